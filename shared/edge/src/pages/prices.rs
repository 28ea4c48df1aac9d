//! Prices of the models in use, and the form that sets one.

use admin::{Operation, PriceView, Problem};
use pages::{
    Money,
    prices::{Form, Prices, Row, Unknown},
    shell::Section,
};
use serde_json::{Value, json};
use telemetry::Day;

use super::{
    page_context::{PageContext, page_with, see_other},
    sums,
    table::{PageFuture, PageResult},
};

/// How many prices are shown at once.
const MAX_ROWS: usize = 200;
/// Over how many days calls without a price are counted.
const RECENT_DAYS: u64 = 30;

fn row(view: &PriceView) -> Row {
    let rates = view.price.as_ref().map(|price| &price.rates);
    Row {
        provider: view.provider.clone(),
        model: view.model.clone(),
        input: rates.map(|it| Money(it.input)),
        cached_input: rates.map(|it| Money(it.cached_input)),
        cache_write: rates.map(|it| Money(it.cache_write)),
        output: rates.map(|it| Money(it.output)),
        is_own: view.is_configured,
    }
}

fn form(context: &PageContext, known: &[PriceView], problem: Option<&Problem>) -> Form {
    let from = if problem.is_some() { &context.form } else { &context.query };
    let (provider, model) = (from.get("provider").to_owned(), from.get("model").to_owned());
    let price = known.iter().find(|it| it.provider == provider && it.model == model);
    let rates = price.and_then(|it| it.price.as_ref()).map(|price| &price.rates);
    let amount = |name: &str, rate: Option<u64>| match problem {
        Some(_) => context.form.get(name).to_owned(),
        None => rate.map(|rate| Money(rate).plain()).unwrap_or_default(),
    };
    let error = problem.map(|problem| {
        let fields = problem.fields.iter().map(|it| format!("{}: {}", it.field, it.message));
        let fields = fields.collect::<Vec<_>>().join(" ");
        if fields.is_empty() { problem.detail.clone() } else { fields }
    });
    Form {
        input: amount("input", rates.map(|it| it.input)),
        cached_input: amount("cached_input", rates.map(|it| it.cached_input)),
        output: amount("output", rates.map(|it| it.output)),
        provider,
        model,
        error,
    }
}

async fn view(context: &PageContext, problem: Option<&Problem>) -> PageResult {
    let known = context.admin()?.prices(context.clock()).await?;
    let today = Day::of(context.now());
    let sums = sums::view(context).await?;
    let days = sums::days(&sums, today.before(RECENT_DAYS - 1), today, None).await?;
    let unpriced = sums::unpriced(&sums::merged(&days));
    let calls = |provider: &str, model: &str| {
        let found = unpriced.iter().find(|((of, name), _)| of == provider && name == model);
        pages::Count(found.map_or(0, |(_, calls)| *calls))
    };
    let unknown = known.iter().filter(|it| it.price.is_none()).map(|it| Unknown {
        provider: it.provider.clone(),
        model: it.model.clone(),
        calls: calls(&it.provider, &it.model),
    });
    let search = context.query.get("q").to_lowercase();
    let is_wanted =
        |it: &&PriceView| format!("{}/{}", it.provider, it.model).to_lowercase().contains(&search);
    let priced = || known.iter().filter(|it| it.price.is_some()).filter(is_wanted);
    let status = problem.map_or(200, |problem| problem.kind.status());
    let view = Prices {
        shell: context.shell(Section::Prices, "Prices").await?,
        search: context.query.get("q").to_owned(),
        unknown: unknown.collect(),
        rows: priced().take(MAX_ROWS).map(row).collect(),
        more: priced().count().saturating_sub(MAX_ROWS),
        form: form(context, &known, problem),
        shipped: "Models of the configuration are listed; what is not set here is from the shipped table.".to_owned(),
    };
    page_with(http::StatusCode::from_u16(status).unwrap_or_default(), &view)
}

pub(super) fn show(context: &mut PageContext) -> PageFuture<'_> {
    Box::pin(async { view(context, None).await })
}

/// A number of the form; what is none is left to the API to refuse.
fn amount(text: &str) -> Value {
    if text.is_empty() {
        return Value::Null;
    }
    serde_json::from_str(text).unwrap_or_else(|_wrong| json!(text))
}

pub(super) fn set(context: &mut PageContext) -> PageFuture<'_> {
    Box::pin(async {
        let text = |name: &str| context.form.get(name);
        let body = json!({
            "provider": text("provider"),
            "model": text("model"),
            "input": amount(text("input")),
            "cached_input": amount(text("cached_input")),
            "output": amount(text("output")),
        });
        match context.api(Operation::SetPrice, &[], &body).await {
            Ok(_) => see_other("/admin/prices?done=priced"),
            Err(problem) if problem.kind.status() < 500 => view(context, Some(&problem)).await,
            Err(problem) => Err(problem),
        }
    })
}

//! The wizard: a provider, a model of its list, a key for the first program.

use admin::{Operation, Problem};
use http::StatusCode;
use pages::{
    form::Choice,
    routes::Tested,
    setup::{Snippet, Values},
    shell::{Section, Tone},
    welcome::{DoneStep, KeyStep, ModelStep, ProviderStep, Step, Welcome},
};
use serde_json::{Value, json};

use super::{
    configuration,
    page_context::{PageContext, fresh_key, page_with, see_other},
    table::{PageFuture, PageResult},
};

async fn view(context: &PageContext, step: Step, status: StatusCode) -> PageResult {
    let mut shell = context.shell(Section::Overview, "To a first answer").await?;
    "/admin/welcome".clone_into(&mut shell.path);
    page_with(status, &Welcome { shell, step })
}

fn kinds() -> Vec<Choice> {
    let kinds = gateway::kinds();
    let mut names: Vec<&str> =
        kinds.iter().map(|kind| kind.name).filter(|name| *name != "mock").collect();
    names.sort_unstable();
    names.into_iter().map(Choice::plain).collect()
}

async fn provider_step(
    context: &PageContext,
    tested: Option<Tested>,
    saved: Option<&str>,
) -> PageResult {
    let status = if tested.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let step = ProviderStep {
        kinds: kinds(),
        kind: context.form.get("kind").to_owned(),
        base_url: context.form.get("base_url").to_owned(),
        tested,
        saved: saved.map(str::to_owned),
    };
    view(context, Step::Provider(step), status).await
}

async fn model_step(context: &PageContext, provider: &str, error: Option<String>) -> PageResult {
    let listed = configuration::tested(context, provider).await?;
    let error = error.or_else(|| Some(listed.text.clone()).filter(|_| listed.tone == Tone::Err));
    let step = ModelStep { provider: provider.to_owned(), models: listed.models, error };
    view(context, Step::Model(step), StatusCode::OK).await
}

async fn key_step(context: &PageContext, model: &str, error: Option<String>) -> PageResult {
    let snapshot = context.app.gateway.snapshot(context.clock()).await?;
    let routes = snapshot.config.routes.iter().filter(|route| route.name == model);
    let mut steps = routes.flat_map(|route| &route.steps);
    let is_priced = steps.all(|step| snapshot.price(&step.provider, &step.model).is_some());
    let idempotency_key = fresh_key(context);
    let step = KeyStep { model: model.to_owned(), is_priced, error, idempotency_key };
    view(context, Step::Key(step), StatusCode::OK).await
}

/// The step that is named, or the first one that something is missing for.
pub(super) fn show(context: &mut PageContext) -> PageFuture<'_> {
    Box::pin(async {
        let snapshot = context.app.gateway.snapshot(context.clock()).await?;
        let config = &snapshot.config;
        let real = config.providers.iter().find(|it| it.kind != "mock");
        let is_real = |route: &&config::Route| {
            route.steps.iter().any(|step| real.is_some_and(|it| it.name == step.provider))
        };
        let route = config.routes.iter().find(is_real).map(|it| it.name.clone());
        match (context.query.get("step"), real, route) {
            ("provider", ..) | ("", None, _) => provider_step(context, None, None).await,
            ("model", ..) => model_step(context, context.query.get("provider"), None).await,
            ("", Some(provider), None) => model_step(context, &provider.name, None).await,
            ("key", _, _) => key_step(context, context.query.get("model"), None).await,
            (_, _, Some(route)) => key_step(context, &route, None).await,
            (_, _, None) => provider_step(context, None, None).await,
        }
    })
}

/// A text as YAML, in quotes.
fn quoted(text: &str) -> String {
    json!(text).to_string()
}

/// Whether a line of a document begins a key at its top.
fn begins_key(line: &str) -> bool {
    // Items of a list may stand as far left as its key.
    line.chars().next().is_some_and(|first| !first.is_whitespace() && first != '-' && first != '#')
}

/// A document with one more item in a list, in place of one of the same name that the wizard made.
fn with_item(yaml: &str, list: &str, name: &str, fields: &[(&str, String)]) -> String {
    let mut lines: Vec<String> = yaml.lines().map(str::to_owned).collect();
    let key = format!("{list}:");
    // Lines instead of a parsed document: comments and variables of the file stay as they are.
    let place = lines.iter().position(|line| line.trim_end() == key);
    let start = place.map_or(lines.len(), |at| at + 1);
    // Up to the next key at the top: other lists may have items of the same name.
    let length = lines[start..].iter().take_while(|line| !begins_key(line)).count();
    let items = &lines[start..start + length];
    let first = items.iter().find(|line| line.trim_start().starts_with('-'));
    let indent = first.map_or(2, |line| line.len() - line.trim_start().len());

    let (dash, inner) = (" ".repeat(indent), " ".repeat(indent + 2));
    let head = format!("{dash}- name: {}", quoted(name));
    let mut item = vec![head.clone()];
    item.extend(fields.iter().map(|(field, value)| format!("{inner}{field}: {value}")));
    if let Some(at) = items.iter().position(|line| *line == head) {
        let fields = items[at + 1..].iter().take_while(|line| line.starts_with(&inner)).count();
        lines.drain(start + at..=start + at + fields);
    }
    match place {
        Some(_) => {
            lines.splice(start..start, item);
        }
        None => {
            lines.push(key);
            lines.extend(item);
        }
    }
    format!("{}\n", lines.join("\n"))
}

fn failure(problem: &Problem) -> Tested {
    let fields = problem.fields.iter().map(|it| format!("{}: {}", it.field, it.message));
    let fields = fields.collect::<Vec<_>>().join(" ");
    let text = if fields.is_empty() { problem.detail.clone() } else { fields };
    Tested { tone: Tone::Err, text, ..Tested::default() }
}

pub(super) fn add_provider(context: &mut PageContext) -> PageFuture<'_> {
    Box::pin(async {
        let kind = context.form.get("kind").to_owned();
        let mut fields = vec![("type", quoted(&kind))];
        for name in ["base_url", "api_key"] {
            fields.extend(context.form.filled(name).map(|value| (name, quoted(value))));
        }
        let changed =
            configuration::change(context, |text| with_item(text, "providers", &kind, &fields));
        if let Err(problem) = changed.await {
            if 500 <= problem.kind.status() {
                return Err(problem);
            }
            return provider_step(context, Some(failure(&problem)), None).await;
        }
        // Tested after it was saved: the test takes the way of a call, which knows saved providers
        // only.
        let tested = configuration::tested(context, &kind).await?;
        if tested.tone == Tone::Err {
            return provider_step(context, Some(tested), Some(&kind)).await;
        }
        see_other(&format!("/admin/welcome?step=model&provider={kind}"))
    })
}

pub(super) fn add_model(context: &mut PageContext) -> PageFuture<'_> {
    Box::pin(async {
        let (provider, model) = (context.form.get("provider"), context.form.get("model"));
        let name = context.form.get("name");
        let step = format!("[{{ provider: {}, model: {} }}]", quoted(provider), quoted(model));
        let fields = [("steps", step)];
        let changed =
            configuration::change(context, |text| with_item(text, "routes", name, &fields));
        match changed.await {
            Ok(()) => see_other(&format!(
                "/admin/welcome?step=key&model={}",
                percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC)
            )),
            Err(problem) if problem.kind.status() < 500 => {
                model_step(context, provider, Some(failure(&problem).text)).await
            }
            Err(problem) => Err(problem),
        }
    })
}

pub(super) fn make_key(context: &mut PageContext) -> PageFuture<'_> {
    Box::pin(async {
        let model = context.form.get("model").to_owned();
        let mut fields = json!({ "name": context.form.get("name") });
        if let Some(budget) = context.form.filled("budget_usd") {
            fields["budget_usd"] = serde_json::from_str(budget).unwrap_or(Value::Null);
        }
        let made = match context.api(Operation::CreateTenant, &[], &fields).await {
            Ok(made) => made,
            Err(problem) if problem.kind.status() < 500 => {
                return key_step(context, &model, Some(failure(&problem).text)).await;
            }
            Err(problem) => return Err(problem),
        };
        let key = made["api_key"].as_str().unwrap_or_default().to_owned();
        let values = Values { base: &context.base, key: &key, model: &model };
        let snippet = Snippet::all(values).into_iter().next();
        view(context, Step::Done(DoneStep { key, model, snippet }), StatusCode::OK).await
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_goes_to_the_head_of_its_list_and_replaces_itself() {
        let fields = |key: &str| [("type", quoted("groq")), ("api_key", quoted(key))];
        let first = with_item("", "providers", "groq", &fields("a"));
        assert_eq!(
            first,
            "providers:\n  - name: \"groq\"\n    type: \"groq\"\n    api_key: \"a\"\n"
        );
        let second = with_item(&first, "providers", "groq", &fields("b"));
        assert_eq!(second, first.replace("\"a\"", "\"b\""));
        let flush = with_item("providers:\n- name: x\n", "providers", "groq", &[]);
        assert_eq!(flush, "providers:\n- name: \"groq\"\n- name: x\n");
        let others =
            with_item("port: 1\nproviders:\n  - name: x\n", "providers", "groq", &fields("a"));
        assert!(others.starts_with("port: 1\nproviders:\n  - name: \"groq\"\n"), "{others}");
        assert!(others.ends_with("  - name: x\n"), "{others}");
    }

    #[test]
    fn an_item_of_the_same_name_in_another_list_stays() {
        let provider = with_item("", "providers", "groq", &[("type", quoted("groq"))]);
        let both = with_item(&provider, "routes", "groq", &[("steps", "[]".to_owned())]);
        let wanted = "routes:\n  - name: \"groq\"\n    steps: []\n";
        assert_eq!(both, format!("{provider}{wanted}"));
        let again = with_item(&both, "providers", "groq", &[("type", quoted("groq"))]);
        assert_eq!(again, both);
        let turned = format!("{wanted}{provider}");
        assert_eq!(with_item(&turned, "providers", "groq", &[("type", quoted("groq"))]), turned);
    }

    #[test]
    fn what_is_typed_cannot_leave_its_quotes() {
        let text = with_item("", "routes", "a\"\nevil: true", &[]);
        assert_eq!(text.lines().count(), 2, "{text}");
    }
}

//! The list of requests, its live tail, and the page of one call.

use std::{collections::BTreeMap, time::Duration};

use admin::{AdminResult, Problem, ProblemKind};
use canonical::Usage;
use config::PromptLog;
use model_catalog::Rates;
use pages::{
    Count, Moment, Money,
    call::{Attempt, Call, ClassCost, Contents, End, Fact, Result as AttemptResult, Times},
    form::Choice,
    requests::{Filter, Only, Requests, Rows, RowsPart},
    shell::{Section, Shell},
};
use telemetry::request_log::{AttemptRow, CallFilter, CallRow, Cursor, OutcomeFilter};

use super::{
    calls,
    page_context::{PageContext, page, see_other, tenant_choices},
    table::PageFuture,
};
use crate::request_log::tenant_id;

/// How many rows a page of the list has.
const PAGE_ROWS: usize = 50;
/// How often the log is read on for one page, where filters leave out most of it.
const MAX_READS: usize = 5;
const SLOW_MS: u64 = 10_000;
const EXPENSIVE_MICROS: u64 = 10_000;

/// A part of the log, newest first.
pub(super) struct Listed {
    pub(super) calls: Vec<CallRow>,
    next: Option<Cursor>,
    newest: Cursor,
    searched_to: u64,
}

/// The filter that a query names. Its tenant is one's id or name.
pub(super) fn filter_of(context: &PageContext, names: &BTreeMap<String, String>) -> Filter {
    let text = |name: &str| context.query.get(name).to_owned();
    let range =
        if context.query.get("range").is_empty() { "24h".to_owned() } else { text("range") };
    let only = Only::ALL.into_iter().filter(|it| context.query.get(it.name()) == "1").collect();
    let tenant = tenant_id(names, context.query.get("tenant"));
    Filter { search: text("q"), range, tenant, target: text("target"), only }
}

/// The filter as the log knows it. A search and more than one attempt are looked for afterwards.
fn call_filter(filter: &Filter, now: u64) -> CallFilter {
    let hours = match filter.range.as_str() {
        "1h" => 1,
        "7d" => 7 * 24,
        "30d" => 30 * 24,
        _ => 24,
    };
    let has = |only: Only| filter.only.contains(&only);
    let text = |text: &String| Some(text.clone()).filter(|it| !it.is_empty());
    CallFilter {
        since: Some(now.saturating_sub(hours * 3_600_000)),
        tenant: text(&filter.tenant),
        provider: text(&filter.target),
        outcome: has(Only::Failed).then_some(OutcomeFilter::Failed),
        min_cost: has(Only::Expensive).then_some(EXPENSIVE_MICROS),
        min_latency: has(Only::Slow).then_some(SLOW_MS),
        ..CallFilter::default()
    }
}

fn is_wanted(call: &CallRow, filter: &Filter) -> bool {
    let search = filter.search.as_str();
    let names = [&call.requested_model, &call.route, &call.sent_model, &call.session, &call.key_id];
    let is_found = search.is_empty()
        || call.id.starts_with(search)
        || call.trace_id == search
        || names.into_iter().flatten().any(|name| name.contains(search));
    is_found && (!filter.only.contains(&Only::FailedOver) || 1 < call.attempts.len())
}

/// Reads a page of the log.
pub(super) async fn read(
    context: &PageContext,
    filter: &Filter,
    rows: usize,
) -> AdminResult<Listed> {
    let (log, now) = (&context.app.records.log, context.now());
    let wanted = call_filter(filter, now);
    let mut cursor = Cursor::parse(context.query.get("cursor")).ok();
    let mut listed: Option<Listed> = None;
    // A search that finds nothing would otherwise read the whole log within one request.
    for _ in 0..MAX_READS {
        let found = log.list(&wanted, cursor.as_ref(), rows, now).await?;
        let calls = found.rows.into_iter().filter(|call| is_wanted(call, filter));
        let whole = listed.get_or_insert(Listed {
            calls: vec![],
            next: None,
            newest: found.newest,
            searched_to: now,
        });
        whole.calls.extend(calls);
        (whole.next, whole.searched_to) = (found.next.clone(), found.searched_back_to);
        cursor = found.next;
        if cursor.is_none() || rows <= whole.calls.len() {
            break;
        }
    }
    listed.ok_or_else(|| Problem::new(ProblemKind::Internal, "The log was not read."))
}

/// What the configuration stores of prompts, in a sentence.
fn prompts(settings: &PromptLog) -> String {
    if !settings.enabled {
        return "Prompts and answers are not stored.".to_owned();
    }
    let hours = settings.retention.as_secs() / 3_600;
    let time = match (hours / 24, hours) {
        (0, 0..=1) => "an hour at most".to_owned(),
        (0, hours) => format!("{hours} hours"),
        (1, _) => "a day".to_owned(),
        (days, _) => format!("{days} days"),
    };
    format!("Prompts and answers are stored for {time}.")
}

fn live_href(filter: &Filter, cursor: &Cursor) -> String {
    format!("{}&part=rows", filter.href_with("after", &cursor.to_string()))
}

/// What has come since a place in the log, newest first.
async fn tail(
    context: &PageContext,
    filter: &Filter,
    names: &BTreeMap<String, String>,
) -> AdminResult<Rows> {
    let (log, now) = (&context.app.records.log, context.now());
    let after = Cursor::parse(context.query.get("after"));
    let after = after.map_err(|_wrong| Problem::field("after", "This is no place in the list."))?;
    // A tail begins at its cursor, not a range ago.
    let wanted = CallFilter { since: None, ..call_filter(filter, now) };
    let found = log.after(&after, &wanted, now).await?;
    let calls = found.rows.iter().rev().filter(|call| is_wanted(call, filter));
    let rows = calls.map(|call| calls::row(call, names)).collect();
    Ok(Rows { rows, live: Some(live_href(filter, &found.cursor)) })
}

pub(super) fn list(context: &mut PageContext) -> PageFuture<'_> {
    Box::pin(async {
        let names = context.names().await?;
        let filter = filter_of(context, &names);
        if context.query.get("part") == "rows" {
            return page(&RowsPart { rows: tail(context, &filter, &names).await? });
        }
        let search = filter.search.as_str();
        // Nothing shorter is an id of ours, and each look costs a read.
        if search.len() >= 16 && context.app.records.log.get(search, context.now()).await?.is_some()
        {
            return see_other(&format!("/admin/requests/{search}"));
        }
        let snapshot = context.app.gateway.snapshot(context.clock()).await?;
        let providers = snapshot.config.providers.iter();
        let targets = providers.map(|it| Choice::plain(it.name.as_str())).collect();

        let found = read(context, &filter, PAGE_ROWS).await?;
        let is_first = !context.query.has("cursor");
        // Only the first page grows at its top.
        let live = is_first.then(|| live_href(&filter, &found.newest));
        let rows = found.calls.iter().map(|call| calls::row(call, &names)).collect();
        page(&Requests {
            shell: context.shell(Section::Requests, "Requests").await?,
            kept_days: context.app.records.log.retention().as_secs() / 86_400,
            prompts: prompts(&snapshot.config.requests.prompts),
            tenants: tenant_choices(&names),
            targets,
            rows: Rows { rows, live },
            older: found.next.map(|cursor| cursor.to_string()),
            searched_to: Some(Moment(found.searched_to)),
            filter,
        })
    })
}

fn then(attempt: &AttemptRow) -> &'static str {
    match attempt.next.as_deref() {
        Some("next_key") => "another key of the same target",
        Some("next_target") => "next target",
        Some("retry_same_target") => "the same target once more",
        Some("apply_remedy") => "once more, without what was rejected",
        Some("fail_fast") => "nothing: it would fail anywhere",
        Some("exhausted") => "no target is left",
        _ if attempt.outcome == "success" => "answered",
        _ if attempt.outcome == "canceled" => "given up",
        _ => "the end",
    }
}

/// An attempt; only a stream has a first token before its end.
fn attempt(row: &AttemptRow, is_stream: bool) -> Attempt {
    let result = match row.outcome.as_str() {
        "success" => AttemptResult::Success,
        "canceled" => AttemptResult::Canceled,
        _ => AttemptResult::Failed,
    };
    let key: String = row.key.chars().rev().take(4).collect::<Vec<_>>().into_iter().rev().collect();
    let has_key = !row.key.is_empty() && row.key != "none";
    Attempt {
        provider: row.provider.clone(),
        model: row.model.clone(),
        key: if has_key { format!("…{key}") } else { String::new() },
        result,
        status: row.status,
        code: row.outcome.clone(),
        message: None,
        start_ms: row.start_ms,
        first_token_ms: row.first_token_ms.filter(|_| is_stream),
        duration_ms: row.duration_ms,
        then: then(row).to_owned(),
    }
}

fn end(call: &CallRow) -> End {
    let message = call.message.clone().unwrap_or_default();
    match call.outcome.as_str() {
        "success" if calls::is_cached(call) => End::Cached,
        "success" => End::Answered,
        "canceled" => End::Canceled,
        _ if calls::is_refused(call) => End::Refused(message),
        _ if calls::is_interrupted(call) => End::Interrupted(message),
        _ => End::Failed(message),
    }
}

fn facts(call: &CallRow) -> Vec<Fact> {
    let format = match (call.format.as_str(), call.stream) {
        ("", _) => None,
        (format, true) => Some(format!("{format}, streamed")),
        (format, false) => Some(format.to_owned()),
    };
    let tags = Some(call.tags.join(", ")).filter(|it| !it.is_empty());
    let known = [
        ("Provider's id", call.provider_request_id.clone(), true),
        ("Route", call.route.clone(), true),
        ("Path", Some(format!("{} {}", call.method, call.path)), true),
        ("Format", format, true),
        ("Finish reason", call.finish_reason.clone(), true),
        ("Key", call.key_id.clone().filter(|it| !it.is_empty()), true),
        ("Session", call.session.clone(), true),
        ("Tags", tags, false),
        ("Client", call.user_agent.clone(), false),
        ("Trace", Some(call.trace_id.clone()), true),
    ];
    let known = known.into_iter().filter_map(|(name, text, is_code)| Some((name, text?, is_code)));
    known.map(|(name, text, is_code)| Fact { name, text, is_code }).collect()
}

/// What each class of tokens cost, by the rates of the model that responded.
fn classes(tokens: &Usage, rates: Option<&Rates>) -> Vec<ClassCost> {
    let classes: [(&str, u64, Option<u64>); 7] = [
        ("Input", tokens.input, rates.map(|it| it.input)),
        ("Cached input", tokens.cached_input, rates.map(|it| it.cached_input)),
        ("Written to the cache", tokens.cache_write, rates.map(|it| it.cache_write)),
        ("Input audio", tokens.input_audio, rates.map(|it| it.input)),
        ("Output", tokens.output, rates.map(|it| it.output)),
        ("Reasoning", tokens.reasoning, rates.map(|it| it.output)),
        ("Output audio", tokens.output_audio, rates.map(|it| it.output)),
    ];
    let used = classes.into_iter().filter(|(_, tokens, _)| 0 < *tokens);
    used.map(|(name, tokens, rate)| ClassCost {
        name,
        tokens: Count(tokens),
        per_million: rate.map(Money),
        cost: rate.map(|rate| Money(tokens.saturating_mul(rate).div_ceil(1_000_000))),
    })
    .collect()
}

/// The head of the response as the client saw it.
fn response(call: &CallRow) -> String {
    let status = call
        .status
        .map_or_else(|| "no status: the client left".to_owned(), |it| format!("HTTP {it}"));
    let dropped = Some(call.dropped.join(", ")).filter(|it| !it.is_empty());
    let headers = [
        ("x-request-id", Some(call.id.clone())),
        ("x-gateway-provider", call.provider.clone()),
        ("x-gateway-model", call.sent_model.clone()),
        ("x-gateway-attempts", Some(call.attempts.len().to_string()).filter(|it| it != "0")),
        ("x-gateway-cache", call.cache.clone()),
        ("x-gateway-dropped", dropped),
    ];
    let lines = headers.into_iter().filter_map(|(name, value)| Some(format!("{name}: {}", value?)));
    [status].into_iter().chain(lines).collect::<Vec<_>>().join("\n")
}

fn call_page(shell: Shell, call: &CallRow, tenant: String) -> Call {
    let (tokens, millis) = (call.tokens(), Duration::from_millis);
    Call {
        shell,
        id: call.id.clone(),
        arrived: Moment(call.arrived),
        end: end(call),
        outcome: calls::outcome(call),
        tenant,
        tenant_id: call.tenant.clone().unwrap_or_default(),
        requested: call.requested_model.clone().unwrap_or_default(),
        route: call.route.clone(),
        sent: call.sent_model.clone(),
        answered: call.answered_model.clone(),
        attempts: call.attempts.iter().map(|it| attempt(it, call.stream)).collect(),
        times: Times {
            admit: call.admit_ms.map(millis),
            first_token: call.first_token_ms.map(millis),
            total: millis(call.total_ms),
            overhead: call.overhead_us.map(Duration::from_micros),
            output_tokens: tokens.all_output(),
            input_tokens: tokens.all_input(),
        },
        facts: facts(call),
        dropped: call.dropped.clone(),
        classes: vec![],
        held: call.hold.map(Money),
        // The ledger's sum, where there is one: that is what the tenant was charged.
        cost: call.settled.or(call.cost).map(Money),
        is_estimated: call.is_estimated,
        saved: call.saved.map(Money),
        response: response(call),
        contents: None,
    }
}

pub(super) fn show(context: &mut PageContext) -> PageFuture<'_> {
    Box::pin(async {
        let (log, now) = (&context.app.records.log, context.now());
        let call = log.get(context.parameter(), now).await?;
        let call = call.ok_or_else(|| Problem::not_found("call"))?;
        let tenant = calls::tenant_name(&call, &context.names().await?);
        let mut view =
            call_page(context.shell(Section::Requests, "A request").await?, &call, tenant);

        let snapshot = context.app.gateway.snapshot(context.clock()).await?;
        let model = call.provider.as_deref().zip(call.sent_model.as_deref());
        let price = model.and_then(|(provider, model)| snapshot.price(provider, model));
        let tokens = call.tokens();
        // A long prompt costs another rate, for all of its tokens, at providers that have one.
        let long = price.and_then(|price| price.long.as_ref());
        let long = long.filter(|it| it.above < tokens.all_input()).map(|it| &it.rates);
        view.classes = classes(&tokens, long.or(price.map(|price| &price.rates)));
        if call.has_content
            && let Some(content) = log.content(&call, now).await?
        {
            let until = Moment(content.expires * 1_000);
            view.contents =
                Some(Contents { request: content.request, response: content.response, until });
        }
        page(&view)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_cost_what_their_tokens_do() {
        let rates = Rates { input: 100_000, output: 900_000, cached_input: 10_000, cache_write: 0 };
        let tokens = Usage { input: 1_204, output: 318, ..Usage::default() };
        let classes = classes(&tokens, Some(&rates));
        let shown: Vec<_> = classes.iter().map(|it| (it.name, it.cost.unwrap().0)).collect();
        assert_eq!(shown, [("Input", 121), ("Output", 287)]);
    }

    #[test]
    fn a_search_finds_ids_sessions_and_models() {
        let call = CallRow {
            id: "req_abc".to_owned(),
            session: Some("wf-991".to_owned()),
            requested_model: Some("fast".to_owned()),
            ..CallRow::default()
        };
        for (search, is_found) in
            [("req_a", true), ("wf-991", true), ("fas", true), ("slow", false)]
        {
            let filter = Filter { search: search.to_owned(), ..Filter::default() };
            assert_eq!(is_wanted(&call, &filter), is_found, "{search}");
        }
        let only = Filter { only: vec![Only::FailedOver], ..Filter::default() };
        assert!(!is_wanted(&call, &only));
    }
}

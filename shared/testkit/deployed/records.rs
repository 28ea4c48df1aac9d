//! A request log as days of work leave it, for what has to stay fast and cheap however long it is.

use std::{sync::Arc, time::Duration};

use canonical::{AttemptRecord, MicroDollars, NextStep, Outcome, Usage};
use storage::Stores;
use telemetry::{
    CallEnd, CallRecord, Principal, RecordSink, RequestFacts, RequestLog, Timings, UsageRecord,
    UsageSource, call_id, request_log::RequestLogSink, sums::CallSums,
};

const HOUR_MS: u64 = 3_600_000;
const TENANTS: [&str; 4] = ["search", "support", "research", "n8n"];
const TARGETS: [(&str, &str); 3] =
    [("groq", "llama-3.3-70b"), ("openrouter", "gpt-oss-120b"), ("anthropic", "claude-sonnet-4-5")];

/// Writes so many calls an hour for so many hours before `now_ms`, as the gateway does. Gives the ids of
/// the newest.
pub(crate) async fn fill(
    stores: &Stores,
    hours: u64,
    calls_an_hour: u64,
    now_ms: u64,
) -> Vec<String> {
    let log = RequestLog::new(stores.state.clone());
    let sums = CallSums::new(stores.state.clone(), log.clone(), Duration::from_secs(10));
    let sink = RequestLogSink::new(log, sums);
    let mut ids = vec![];
    for hour in (0..hours).rev() {
        let end = now_ms - hour * HOUR_MS;
        let gap = HOUR_MS / calls_an_hour;
        let records: Vec<Arc<CallRecord>> =
            (0..calls_an_hour).rev().map(|nth| Arc::new(record(nth, end - nth * gap))).collect();
        sink.write(&records).await;
        ids = records.iter().map(|it| it.id.clone()).collect();
    }
    ids
}

/// One call: nine in ten succeed, some after a failure of the target before.
fn record(nth: u64, ended: u64) -> CallRecord {
    let at = |count: usize| usize::try_from(nth).unwrap_or_default() % count;
    let (provider, model) = TARGETS[at(TARGETS.len())];
    let arrived = ended - 1_500 - nth % 900;
    let outcome = if nth % 10 == 9 { Outcome::Failed("rate_limit") } else { Outcome::Success };
    let attempt = |outcome, status, next| AttemptRecord {
        provider: provider.to_owned(),
        model: model.to_owned(),
        outcome,
        status: Some(status),
        duration_ms: 700,
        next,
        ..AttemptRecord::default()
    };
    let failed = attempt(Outcome::Failed("rate_limit"), 429, Some(NextStep::NextTarget));
    let attempts = match (outcome, nth % 4) {
        (Outcome::Success, 0) => vec![failed, attempt(Outcome::Success, 200, None)],
        (Outcome::Success, _) => vec![attempt(Outcome::Success, 200, None)],
        _ => vec![failed],
    };
    let is_success = outcome == Outcome::Success;
    CallRecord {
        id: call_id(arrived, u128::from(arrived) << 20 | u128::from(nth)),
        trace_id: format!("{arrived:032x}"),
        arrived,
        principal: Some(Principal { tenant: TENANTS[at(4)].into(), key_id: "0123456789ab".into() }),
        request: RequestFacts {
            method: "POST".to_owned(),
            path: "/v1/chat/completions".to_owned(),
            format: "openai_chat",
            model: Some("fast".to_owned()),
            stream: nth.is_multiple_of(2),
        },
        route: Some("fast".to_owned()),
        provider: is_success.then(|| provider.to_owned()),
        model: is_success.then(|| model.to_owned()),
        answered_model: is_success.then(|| model.to_owned()),
        is_configured: true,
        attempts,
        usage: is_success.then(|| UsageRecord {
            tokens: Usage { input: 900 + nth % 300, output: 120 + nth % 90, ..Usage::default() },
            source: UsageSource::Reported,
        }),
        cost: is_success.then_some(MicroDollars(400 + nth % 50)),
        timings: Timings {
            admit: Some(Duration::from_micros(300)),
            first_token: Some(Duration::from_millis(300 + nth % 500)),
            total: Duration::from_millis(ended - arrived),
            overhead: Some(Duration::from_micros(250)),
            ..Timings::default()
        },
        end: CallEnd {
            outcome,
            status: Some(if is_success { 200 } else { 429 }),
            ..CallEnd::default()
        },
        ..CallRecord::default()
    }
}

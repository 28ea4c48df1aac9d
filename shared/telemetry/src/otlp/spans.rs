//! Spans of finished records.
//!
//! Source of the attributes: the semantic conventions 1.41, `docs/gen-ai/gen-ai-spans.md` and
//! `docs/http/http-spans.md`. Names of ours begin with `lockgate.`.

use std::sync::Arc;

use canonical::{AttemptRecord, Outcome};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::KeyValue,
    trace::v1::{ResourceSpans, ScopeSpans, Span, Status, span::SpanKind, status::StatusCode},
};
use prost::Message;

use super::{
    Exported, ProviderKinds, attempt_span_id, decimal, flag, nanos, number, provider_name, scope,
    text, texts, trace_bytes,
};
use crate::{CallRecord, UsageSource, conventions, request_log::millis};

/// The flag of a trace that is sampled.
const SAMPLED: u32 = 1;

/// The body of a request to `/v1/traces`.
pub(super) fn encode(
    exported: &Exported,
    records: &[Arc<CallRecord>],
    kinds: &ProviderKinds,
) -> Option<Vec<u8>> {
    // The edge has decided: as the client's trace says, else by the configured share of traces.
    let sampled = records.iter().filter(|record| record.span.sampled == Some(true));
    let spans: Vec<Span> =
        sampled.flat_map(|record| spans(Scene { exported, kinds, record })).collect();
    if spans.is_empty() {
        return None;
    }
    let scope_spans = vec![ScopeSpans { scope: Some(scope()), spans, ..ScopeSpans::default() }];
    let resource = Some(exported.resource());
    let resource_spans = vec![ResourceSpans { resource, scope_spans, ..ResourceSpans::default() }];
    Some(ExportTraceServiceRequest { resource_spans }.encode_to_vec())
}

/// A call, and what is needed to name what it did.
#[derive(Clone, Copy)]
struct Scene<'a> {
    exported: &'a Exported,
    kinds: &'a ProviderKinds,
    record: &'a CallRecord,
}

/// The span of a call, and those of its attempts.
fn spans(scene: Scene<'_>) -> Vec<Span> {
    let mut spans = vec![of_call(scene)];
    let attempts = scene.record.attempts.iter().enumerate();
    spans.extend(attempts.map(|(nth, attempt)| of_attempt(scene, nth, attempt)));
    spans
}

fn of_call(scene: Scene<'_>) -> Span {
    let record = scene.record;
    let CallRecord { request, end, .. } = record;
    let ended = record.arrived + millis(record.timings.total);
    let name = match request.format {
        // Before a format is known there is no operation to name the span after.
        "" => format!("{} {}", request.method, request.path),
        format => {
            let model = request.model.as_deref().unwrap_or_default();
            format!("{} {model}", conventions::operation(format)).trim_end().to_owned()
        }
    };
    Span {
        trace_id: trace_bytes(&record.trace_id),
        span_id: record.span.span_id.to_be_bytes().to_vec(),
        parent_span_id: record.span.parent.map_or_else(Vec::new, |it| it.to_be_bytes().to_vec()),
        flags: SAMPLED,
        name,
        kind: SpanKind::Server.into(),
        start_time_unix_nano: nanos(record.arrived),
        end_time_unix_nano: nanos(ended),
        attributes: call_attributes(scene),
        status: status(end.outcome, end.message.as_deref()),
        ..Span::default()
    }
}

fn call_attributes(scene: Scene<'_>) -> Vec<KeyValue> {
    let record = scene.record;
    let CallRecord { request, end, .. } = record;
    let mut all = vec![
        text("http.request.method", request.method.as_str()),
        text("url.path", request.path.as_str()),
        text("lockgate.request_id", record.id.as_str()),
        text("lockgate.outcome", end.outcome.as_str()),
        number("lockgate.attempts", u64::try_from(record.attempts.len()).unwrap_or(u64::MAX)),
    ];
    all.extend(end.status.map(|it| number("http.response.status_code", it.into())));
    all.extend(error_type(end.outcome));
    let principal = record.principal.as_ref();
    all.extend(principal.map(|it| text("lockgate.tenant", &*it.tenant)));
    all.extend(record.route.as_deref().map(|it| text("lockgate.route", it)));
    // Calls of the admin API and of unknown paths are no operations of a model.
    if request.format.is_empty() {
        return all;
    }

    all.push(text("gen_ai.operation.name", conventions::operation(request.format)));
    all.push(text("lockgate.format", request.format));
    all.push(flag("gen_ai.request.stream", request.stream));
    all.extend(request.model.as_deref().map(|it| text("gen_ai.request.model", it)));
    let provider = record.provider.as_deref();
    all.extend(provider.map(|it| text("gen_ai.provider.name", provider_name(scene.kinds, it))));
    // A provider may resolve an alias, such as `gpt-4o`, to a dated model, which the attribute is
    // for.
    let model = record.answered_model.as_deref().or(record.model.as_deref());
    all.extend(model.map(|it| text("gen_ai.response.model", it)));
    all.extend(record.provider_request_id.as_deref().map(|it| text("gen_ai.response.id", it)));
    let reason = record.finish_reason.as_deref();
    all.extend(reason.map(|it| texts("gen_ai.response.finish_reasons", &[it])));
    let session = record.client.session.as_deref();
    all.extend(session.map(|it| text("gen_ai.conversation.id", it)));

    all.extend(usage(scene.exported, record));
    all
}

fn usage(exported: &Exported, record: &CallRecord) -> Vec<KeyValue> {
    let mut all = vec![];
    if let Some(usage) = record.usage {
        let tokens = usage.tokens;
        let names = exported.conventions;
        all.extend([
            // The conventions count cached tokens as part of the input, unlike the classes of a
            // record.
            number("gen_ai.usage.input_tokens", tokens.all_input()),
            number("gen_ai.usage.output_tokens", tokens.all_output()),
            number(names.cache_read_tokens(), tokens.cached_input),
            number(names.cache_write_tokens(), tokens.cache_write),
            flag("lockgate.usage.estimated", usage.source == UsageSource::Estimated),
        ]);
    }
    all.extend(record.cost.map(|it| decimal("lockgate.cost_usd", it.dollars())));
    let first_token = record.timings.first_token;
    all.extend(first_token.map(|it| number("lockgate.first_token_ms", millis(it))));
    all
}

fn of_attempt(scene: Scene<'_>, nth: usize, attempt: &AttemptRecord) -> Span {
    let record = scene.record;
    // Attempts keep offsets of a monotonic clock, so that spans nest even if the wall clock jumps.
    let start = record.arrived + attempt.start_ms;
    let operation = conventions::operation(record.request.format);
    let mut attributes = vec![
        text("gen_ai.operation.name", operation),
        text("gen_ai.provider.name", provider_name(scene.kinds, &attempt.provider)),
        text("gen_ai.request.model", attempt.model.as_str()),
        text("lockgate.provider", attempt.provider.as_str()),
        text("lockgate.key", attempt.key.to_string()),
        text("lockgate.outcome", attempt.outcome.as_str()),
    ];
    attributes.extend(attempt.status.map(|it| number("http.response.status_code", it.into())));
    attributes.extend(error_type(attempt.outcome));
    attributes.extend(attempt.next.map(|it| text("lockgate.next", it.as_str())));
    Span {
        trace_id: trace_bytes(&record.trace_id),
        span_id: attempt_span_id(record.span.span_id, nth).to_be_bytes().to_vec(),
        parent_span_id: record.span.span_id.to_be_bytes().to_vec(),
        flags: SAMPLED,
        name: format!("{operation} {}", attempt.model),
        kind: SpanKind::Client.into(),
        start_time_unix_nano: nanos(start),
        end_time_unix_nano: nanos(start + attempt.duration_ms),
        attributes,
        status: status(attempt.outcome, attempt.message.as_deref()),
        ..Span::default()
    }
}

fn error_type(outcome: Outcome) -> Option<KeyValue> {
    match outcome {
        Outcome::Failed(code) => Some(text("error.type", code)),
        // A client that left is no fault of the service, and would spoil its error rate.
        Outcome::Success | Outcome::Canceled => None,
    }
}

/// A failure is an error; a success is left unset, as the conventions say.
fn status(outcome: Outcome, message: Option<&str>) -> Option<Status> {
    match outcome {
        Outcome::Failed(_) => Some(Status {
            code: StatusCode::Error.into(),
            message: message.unwrap_or_default().to_owned(),
        }),
        Outcome::Success | Outcome::Canceled => None,
    }
}

//! Log events of finished records: one for each call, tied to its span.

use std::sync::Arc;

use canonical::Outcome;
use opentelemetry_proto::tonic::{
    collector::logs::v1::ExportLogsServiceRequest,
    common::v1::{AnyValue, any_value::Value},
    logs::v1::{LogRecord, ResourceLogs, ScopeLogs, SeverityNumber},
};
use prost::Message;

use super::{Exported, nanos, number, scope, text, trace_bytes};
use crate::{CallRecord, log::attempts, request_log::millis};

/// The body of a request to `/v1/logs`.
pub(super) fn encode(exported: &Exported, records: &[Arc<CallRecord>]) -> Option<Vec<u8>> {
    if records.is_empty() {
        return None;
    }
    let log_records = records.iter().map(|record| event(record)).collect();
    let scope_logs = vec![ScopeLogs { scope: Some(scope()), log_records, ..ScopeLogs::default() }];
    let resource = Some(exported.resource());
    let resource_logs = vec![ResourceLogs { resource, scope_logs, ..ResourceLogs::default() }];
    Some(ExportLogsServiceRequest { resource_logs }.encode_to_vec())
}

fn event(record: &CallRecord) -> LogRecord {
    let CallRecord { request, end, .. } = record;
    let ended = nanos(record.arrived + millis(record.timings.total));
    let (severity, severity_text) = match end.outcome {
        Outcome::Failed(_) => (SeverityNumber::Warn, "WARN"),
        Outcome::Success | Outcome::Canceled => (SeverityNumber::Info, "INFO"),
    };
    let mut attributes = vec![
        text("lockgate.request_id", record.id.as_str()),
        text("http.request.method", request.method.as_str()),
        text("url.path", request.path.as_str()),
        text("lockgate.outcome", end.outcome.as_str()),
        text("lockgate.attempts", attempts(&record.attempts)),
        number("lockgate.total_ms", millis(record.timings.total)),
    ];
    attributes.extend(end.status.map(|it| number("http.response.status_code", it.into())));
    let tenant = record.principal.as_ref().map(|it| text("lockgate.tenant", &*it.tenant));
    attributes.extend(tenant);
    attributes.extend(request.model.as_deref().map(|it| text("gen_ai.request.model", it)));
    attributes.extend(end.message.as_deref().map(|it| text("lockgate.failure", it)));
    LogRecord {
        time_unix_nano: ended,
        observed_time_unix_nano: ended,
        severity_number: severity.into(),
        severity_text: severity_text.to_owned(),
        body: Some(AnyValue { value: Some(Value::StringValue("call ended".to_owned())) }),
        attributes,
        trace_id: trace_bytes(&record.trace_id),
        span_id: record.span.span_id.to_be_bytes().to_vec(),
        ..LogRecord::default()
    }
}

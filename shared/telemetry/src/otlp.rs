//! Finished records as OTLP: spans, one for the call and one for each attempt, and log events.
//!
//! Spans are made when a call is over, from its record, so that no code has to be instrumented. How
//! bytes reach a collector is left to the caller.

mod log_events;
mod spans;

use std::sync::Arc;

use opentelemetry_proto::tonic::{
    common::v1::{AnyValue, ArrayValue, InstrumentationScope, KeyValue, any_value::Value},
    resource::v1::Resource,
};

use crate::{
    CallRecord,
    conventions::{self, Conventions},
};

/// What says which service spans and log events are of, and how they are named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    /// Attributes of the service, `service.name` among them.
    pub resource: Vec<(String, String)>,
    /// Which state of the conventions names follow.
    pub conventions: Conventions,
}

/// The types of providers in the configuration, by their names.
pub type ProviderKinds = [(String, String)];

impl Exported {
    /// The body of a request to `/v1/traces` with the spans of some calls, in protobuf; none where
    /// none of them is sampled.
    pub fn spans(&self, records: &[Arc<CallRecord>], kinds: &ProviderKinds) -> Option<Vec<u8>> {
        spans::encode(self, records, kinds)
    }

    /// The body of a request to `/v1/logs` with an event for each of some calls, in protobuf.
    pub fn log_events(&self, records: &[Arc<CallRecord>]) -> Option<Vec<u8>> {
        log_events::encode(self, records)
    }

    fn resource(&self) -> Resource {
        let attributes = self.resource.iter().map(|(name, value)| text(name, value.as_str()));
        Resource { attributes: attributes.collect(), ..Resource::default() }
    }
}

/// `gen_ai.provider.name` of a provider.
fn provider_name<'a>(kinds: &'a ProviderKinds, provider: &str) -> &'a str {
    let known = kinds.iter().find(|(name, _)| name == provider);
    conventions::provider(known.map_or("", |(_, kind)| kind))
}

/// The id of the span of a call's attempt. It is sent to the provider before the span exists.
pub fn attempt_span_id(call: u64, attempt: usize) -> u64 {
    // Both the sender, before the attempt, and the export, after the call, work it out from the
    // call's id, so that nothing has to be carried between them.
    // The finalizer of SplitMix64, which gives each input another output.
    let nth = u64::try_from(attempt).unwrap_or(u64::MAX).wrapping_add(1);
    let mut mixed = call.wrapping_add(nth.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    // All zeros are an invalid id in W3C Trace Context.
    (mixed ^ (mixed >> 31)).max(1)
}

/// A `traceparent` header (W3C Trace Context) by which a provider's spans follow those of an attempt.
pub fn traceparent(trace_id: &str, span_id: u64, is_sampled: bool) -> String {
    format!("00-{trace_id}-{span_id:016x}-{:02x}", u8::from(is_sampled))
}

fn scope() -> InstrumentationScope {
    InstrumentationScope {
        name: "lockgate".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    }
}

/// The bytes of a trace's id; none of one that is not 32 hexadecimal digits.
fn trace_bytes(trace_id: &str) -> Vec<u8> {
    u128::from_str_radix(trace_id, 16).map(|id| id.to_be_bytes().to_vec()).unwrap_or_default()
}

fn nanos(ms: u64) -> u64 {
    ms.saturating_mul(1_000_000)
}

fn text(name: &str, value: impl Into<String>) -> KeyValue {
    attribute(name, Value::StringValue(value.into()))
}

fn number(name: &str, value: u64) -> KeyValue {
    // OTLP has no unsigned integers.
    attribute(name, Value::IntValue(i64::try_from(value).unwrap_or(i64::MAX)))
}

fn decimal(name: &str, value: f64) -> KeyValue {
    attribute(name, Value::DoubleValue(value))
}

fn texts(name: &str, values: &[&str]) -> KeyValue {
    let value = |it: &&str| AnyValue { value: Some(Value::StringValue((*it).to_owned())) };
    attribute(name, Value::ArrayValue(ArrayValue { values: values.iter().map(value).collect() }))
}

fn flag(name: &str, value: bool) -> KeyValue {
    attribute(name, Value::BoolValue(value))
}

fn attribute(name: &str, value: Value) -> KeyValue {
    let value = Some(AnyValue { value: Some(value) });
    KeyValue { key: name.to_owned(), value, ..KeyValue::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_attempt_has_a_span_of_its_own() {
        let mut ids: Vec<u64> = (0..100).map(|nth| attempt_span_id(7, nth)).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 100);
        let header = traceparent("4bf92f3577b34da6a3ce929d0e0e4736", 0xf0, true);
        assert_eq!(header, "00-4bf92f3577b34da6a3ce929d0e0e4736-00000000000000f0-01");
    }
}

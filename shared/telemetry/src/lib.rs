//! What each call leaves behind: its record, where finished records go, the request log and sums.

mod call_id;
pub mod conventions;
mod hour;
mod log;
pub mod otlp;
mod record;
mod recorder;
pub mod request_log;
mod sink;
pub mod sums;
mod text;

pub use call_id::{arrival_of, call_id};
pub use hour::{Day, Hour};
pub use log::LogSink;
pub use record::{
    CacheOutcome, CallContent, CallEnd, CallExcerpt, CallRecord, ClientFacts, Principal,
    RequestFacts, SpanContext, Timings, UsageRecord, UsageSource,
};
pub use recorder::CallRecorder;
pub use request_log::RequestLog;
pub use sink::{RecordOutlet, RecordSink, SinkFuture};
pub use text::{first_bytes, first_chars};

//! What each call leaves behind: its record, and where finished records go.

mod log;
mod record;
mod recorder;
mod sink;

pub use log::LogSink;
pub use record::{
    CallEnd, CallRecord, ChargeRecord, Principal, RequestFacts, Timings, UsageRecord, UsageSource,
};
pub use recorder::CallRecorder;
pub use sink::{RecordOutlet, RecordSink, SinkFuture};

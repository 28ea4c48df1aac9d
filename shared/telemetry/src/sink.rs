//! Sinks: who takes finished records.

use std::{fmt, future::Future, pin::Pin, sync::Arc};

use crate::CallRecord;

/// The future of a sink's write.
pub type SinkFuture<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// Takes finished records: a log, a table, metrics, a ledger.
pub trait RecordSink: fmt::Debug + Send + Sync {
    /// Takes some records, in the order in which their calls ended. No client waits for the write.
    /// What fails is for the sink to report.
    fn write<'a>(&'a self, records: &'a [Arc<CallRecord>]) -> SinkFuture<'a>;

    /// Takes the number of requests without a valid key that leave no record, because too many came.
    fn count_strangers(&self, _requests: u64) -> SinkFuture<'_> {
        Box::pin(std::future::ready(()))
    }
}

/// Where a call hands over its record when it ends.
pub trait RecordOutlet: fmt::Debug + Send + Sync {
    /// Takes one finished record, without waiting.
    fn submit(&self, record: Arc<CallRecord>);
}

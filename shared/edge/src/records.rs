//! What a process keeps of calls: the request log and its sums, and the sinks that write them.

use std::{sync::Arc, time::Duration};

use storage::Stores;
use telemetry::{LogSink, RecordSink, RequestLog, request_log::RequestLogSink, sums::CallSums};

/// How late a row may be written on a server, where it is written at once.
const SERVER_LAG: Duration = Duration::from_secs(10);
/// How late a row may be written in Lambda: a process may freeze before its write is through.
const LAMBDA_LAG: Duration = Duration::from_secs(300);

/// The request log of a gateway, and its sums.
#[derive(Clone, Debug)]
pub(crate) struct Records {
    /// One row per call.
    pub(crate) log: RequestLog,
    /// Sums of those rows.
    pub(crate) sums: CallSums,
}

impl Records {
    /// The records of a server.
    pub(crate) fn of_server(stores: &Stores) -> Self {
        Self::new(stores, SERVER_LAG)
    }

    /// The records of a function.
    pub(crate) fn of_lambda(stores: &Stores) -> Self {
        Self::new(stores, LAMBDA_LAG)
    }

    fn new(stores: &Stores, lag: Duration) -> Self {
        let log = RequestLog::new(stores.state.clone());
        Self { sums: CallSums::new(stores.state.clone(), log.clone(), lag), log }
    }

    /// Who takes finished records, in order.
    pub(crate) fn sinks(&self) -> Vec<Arc<dyn RecordSink>> {
        let kept = RequestLogSink::new(self.log.clone(), self.sums.clone());
        vec![Arc::new(LogSink), Arc::new(kept)]
    }
}

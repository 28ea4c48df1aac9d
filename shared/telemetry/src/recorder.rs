//! The recorder: owns the record of a running call, and finishes it exactly once.

use std::{
    ops::{Deref, DerefMut},
    sync::Arc,
    time::{Duration, Instant},
};

use canonical::Error;

use crate::{CallEnd, CallRecord, RecordOutlet};

/// The record of a running call.
///
/// A record is finished by [`CallRecorder::finish`], or as canceled when its recorder goes away: a
/// call that nobody ended was left by its client.
#[derive(Debug)]
pub struct CallRecorder {
    record: CallRecord,
    started: Instant,
    finished: Option<Arc<CallRecord>>,
    outlet: Arc<dyn RecordOutlet>,
}

impl CallRecorder {
    /// Starts the record of a request that arrived at `started`.
    pub fn new(record: CallRecord, started: Instant, outlet: Arc<dyn RecordOutlet>) -> Self {
        Self { record, started, finished: None, outlet }
    }

    /// The time since the request arrived.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Finishes the record and hands it over. What is noted later changes nothing.
    pub fn finish(&mut self, end: CallEnd) -> Arc<CallRecord> {
        // A stream that broke is ended by its pump and once more by its drop. The first end is the
        // true one, and sinks, which add up, must see the record once.
        if let Some(finished) = &self.finished {
            return finished.clone();
        }
        let mut record = std::mem::take(&mut self.record);
        record.timings.total = self.started.elapsed();
        record.end = end;
        let record = Arc::new(record);
        self.finished = Some(record.clone());

        self.outlet.submit(record.clone());
        record
    }

    /// Finishes the record of a call that did what the client wanted.
    pub fn succeeded(&mut self) {
        self.finish(CallEnd::success());
    }

    /// Finishes the record of a call that failed.
    pub fn failed(&mut self, error: &Error) {
        self.finish(CallEnd::failure(error));
    }
}

impl Deref for CallRecorder {
    type Target = CallRecord;

    fn deref(&self) -> &CallRecord {
        &self.record
    }
}

impl DerefMut for CallRecorder {
    fn deref_mut(&mut self) -> &mut CallRecord {
        &mut self.record
    }
}

impl Drop for CallRecorder {
    fn drop(&mut self) {
        // The client left: its connection's task was dropped together with the recorder, in
        // whatever state the call was.
        self.finish(CallEnd::default());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use canonical::{ErrorKind, Outcome};

    use super::*;

    #[derive(Debug, Default)]
    struct Collected(Mutex<Vec<Arc<CallRecord>>>);

    impl RecordOutlet for Collected {
        fn submit(&self, record: Arc<CallRecord>) {
            self.0.lock().unwrap().push(record);
        }
    }

    /// The outcomes that were handed over after `act` had a recorder.
    fn outcomes(act: impl FnOnce(CallRecorder)) -> Vec<(Outcome, Option<u16>)> {
        let collected = Arc::new(Collected::default());
        let record = CallRecord { id: "call".to_owned(), ..CallRecord::default() };
        act(CallRecorder::new(record, Instant::now(), collected.clone()));
        let records = collected.0.lock().unwrap();
        assert!(records.iter().all(|it| it.id == "call"));
        records.iter().map(|it| (it.end.outcome, it.end.status)).collect()
    }

    #[test]
    fn a_record_is_finished_exactly_once() {
        let twice = outcomes(|mut recorder| {
            recorder.succeeded();
            recorder.failed(&Error::new(ErrorKind::Internal, "late"));
        });
        assert_eq!(twice, [(Outcome::Success, Some(200))]);
    }

    #[test]
    fn a_record_that_nobody_finished_is_of_a_client_that_left() {
        assert_eq!(outcomes(drop), [(Outcome::Canceled, None)]);
    }

    #[test]
    fn a_failure_says_what_the_client_read() {
        let failed = outcomes(|mut it| it.failed(&Error::new(ErrorKind::RateLimited, "slow down")));
        assert_eq!(failed, [(Outcome::Failed("rate_limit"), Some(429))]);
    }
}

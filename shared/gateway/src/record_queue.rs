//! The queue between calls and sinks: bounded, and drained before an exit or a freeze.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use telemetry::{CallRecord, RecordOutlet, RecordSink};
use tokio::sync::{Notify, mpsc, oneshot};

/// How many finished records may wait for the sinks. What comes on top is lost, and counted.
const MAX_QUEUED_RECORDS: usize = 8_192;
/// How many records the sinks take at once.
const MAX_BATCH: usize = 1_024;
/// How long the first record of a batch waits for others: a write to a store costs more than many
/// records, and nobody waits for one. In Lambda each call drains the queue, which does not wait.
const GATHERING: Duration = Duration::from_millis(25);

/// How many requests without a valid key leave a record each minute. Strangers can send them without
/// end, and would fill the log, the store and what traces are exported to; more are only counted.
const MAX_STRANGERS: u64 = 60;
const MINUTE_MS: u64 = 60_000;

/// Finished records on their way to the sinks.
#[derive(Debug)]
pub(crate) struct RecordQueue {
    sender: mpsc::Sender<Entry>,
    strangers: Mutex<Strangers>,
    /// Ends the wait for further records.
    hurry: Arc<Notify>,
    lost: AtomicU64,
}

#[derive(Debug)]
enum Entry {
    Record(Arc<CallRecord>),
    /// A request without a valid key, which is only counted.
    Stranger,
    /// Dropped once everything before it was written.
    Drain(oneshot::Sender<()>),
}

/// How many requests without a valid key have left a record in the latest minute.
#[derive(Debug, Default)]
struct Strangers {
    minute: u64,
    recorded: u64,
}

impl Strangers {
    /// Whether one more, which arrived then (milliseconds since 1970), leaves a record.
    fn leaves_record(&mut self, arrived: u64) -> bool {
        let minute = arrived / MINUTE_MS;
        if minute != self.minute {
            *self = Self { minute, recorded: 0 };
        }
        self.recorded += 1;
        self.recorded <= MAX_STRANGERS
    }
}

impl RecordQueue {
    /// Starts the task that gives each record to each of the sinks, in order.
    pub(crate) fn start(sinks: Vec<Arc<dyn RecordSink>>) -> Arc<Self> {
        Self::with_capacity(sinks, MAX_QUEUED_RECORDS)
    }

    fn with_capacity(sinks: Vec<Arc<dyn RecordSink>>, capacity: usize) -> Arc<Self> {
        let (sender, receiver) = mpsc::channel(capacity);
        let hurry = Arc::new(Notify::new());
        tokio::spawn(write_all(receiver, sinks, Arc::clone(&hurry)));
        Arc::new(Self { sender, strangers: Mutex::default(), hurry, lost: AtomicU64::new(0) })
    }

    /// How many records were lost because the sinks were too slow.
    pub(crate) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    fn takes_stranger(&self, arrived: u64) -> bool {
        let mut strangers = self.strangers.lock().unwrap_or_else(PoisonError::into_inner);
        strangers.leaves_record(arrived)
    }

    /// Waits until every record that was submitted so far is written, within a time.
    pub(crate) async fn drain(&self, within: Duration) {
        if tokio::time::timeout(within, self.written()).await.is_err() {
            tracing::warn!("records were not written within {within:?}");
        }
    }

    /// Waits until every record that was submitted so far is written.
    pub(crate) async fn written(&self) {
        let (drained, is_drained) = oneshot::channel();
        if self.sender.send(Entry::Drain(drained)).await.is_ok() {
            self.hurry.notify_one();
            // The sender is dropped when its turn comes.
            drop(is_drained.await);
        }
    }
}

impl RecordOutlet for RecordQueue {
    fn submit(&self, record: Arc<CallRecord>) {
        let leaves_record = record.principal.is_some() || self.takes_stranger(record.arrived);
        let entry = if leaves_record { Entry::Record(record) } else { Entry::Stranger };
        // A response never waits for the log.
        if self.sender.try_send(entry).is_err() && self.lost.fetch_add(1, Ordering::Relaxed) == 0 {
            // Once: the number of lost records is a metric.
            tracing::warn!("records are lost: the sinks are too slow");
        }
    }
}

async fn write_all(
    mut receiver: mpsc::Receiver<Entry>,
    sinks: Vec<Arc<dyn RecordSink>>,
    hurry: Arc<Notify>,
) {
    let (mut batch, mut records, mut drained) = (vec![], vec![], vec![]);
    while let Some(first) = receiver.recv().await {
        batch.push(first);
        if receiver.len() < MAX_BATCH {
            // A drain that came before this leaves its notice.
            drop(tokio::time::timeout(GATHERING, hurry.notified()).await);
        }
        while batch.len() < MAX_BATCH
            && let Ok(next) = receiver.try_recv()
        {
            batch.push(next);
        }

        let mut strangers = 0;
        for entry in batch.drain(..) {
            match entry {
                Entry::Record(record) => records.push(record),
                Entry::Stranger => strangers += 1,
                Entry::Drain(sender) => drained.push(sender),
            }
        }
        if !records.is_empty() {
            // In turn: the log has a record before the store, whatever the store does.
            for sink in &sinks {
                sink.write(&records).await;
            }
        }
        records.clear();
        if 0 < strangers {
            for sink in &sinks {
                sink.count_strangers(strangers).await;
            }
        }
        // Dropping their senders wakes those who drain.
        drained.clear();
    }
}

#[cfg(test)]
mod tests {
    use telemetry::SinkFuture;
    use tokio::sync::Semaphore;

    use super::*;
    use crate::background::DRAIN_TIMEOUT;

    /// A sink that takes a batch for each permit.
    #[derive(Debug)]
    struct Slow {
        permits: Semaphore,
        ids: Mutex<Vec<String>>,
        strangers: AtomicU64,
    }

    fn slow(permits: usize) -> Arc<Slow> {
        let (ids, strangers) = (Mutex::default(), AtomicU64::new(0));
        Arc::new(Slow { permits: Semaphore::new(permits), ids, strangers })
    }

    impl RecordSink for Slow {
        fn write<'a>(&'a self, records: &'a [Arc<CallRecord>]) -> SinkFuture<'a> {
            Box::pin(async move {
                self.permits.acquire().await.unwrap().forget();
                self.ids.lock().unwrap().extend(records.iter().map(|it| it.id.clone()));
            })
        }

        fn count_strangers(&self, requests: u64) -> SinkFuture<'_> {
            self.strangers.fetch_add(requests, Ordering::Relaxed);
            Box::pin(std::future::ready(()))
        }
    }

    fn record(id: &str) -> Arc<CallRecord> {
        Arc::new(CallRecord { id: id.to_owned(), ..CallRecord::default() })
    }

    #[tokio::test]
    async fn draining_waits_for_every_record() {
        let sink = slow(2);
        let queue = RecordQueue::start(vec![sink.clone()]);
        queue.submit(record("a"));
        queue.submit(record("b"));
        queue.drain(DRAIN_TIMEOUT).await;
        assert_eq!(*sink.ids.lock().unwrap(), ["a", "b"]);
        assert_eq!(queue.lost(), 0);
    }

    #[tokio::test]
    async fn strangers_leave_few_records_a_minute_and_are_counted() {
        let sink = slow(9);
        let queue = RecordQueue::start(vec![sink.clone()]);
        let stranger = |arrived| Arc::new(CallRecord { arrived, ..CallRecord::default() });
        let known = Arc::new(CallRecord {
            id: "known".to_owned(),
            principal: Some(telemetry::Principal { tenant: "a".into(), key_id: "k".into() }),
            ..CallRecord::default()
        });
        for _ in 0..MAX_STRANGERS + 5 {
            queue.submit(stranger(MINUTE_MS));
        }
        queue.submit(known);
        queue.submit(stranger(2 * MINUTE_MS));
        queue.drain(DRAIN_TIMEOUT).await;
        assert_eq!(sink.strangers.load(Ordering::Relaxed), 5);
        let ids = sink.ids.lock().unwrap();
        assert_eq!(ids.len() as u64, MAX_STRANGERS + 2);
        assert!(ids.contains(&"known".to_owned()));
    }

    #[tokio::test]
    async fn what_the_queue_cannot_hold_is_counted() {
        let sink = slow(0);
        let queue = RecordQueue::with_capacity(vec![sink.clone()], 2);
        for id in ["a", "b", "c", "d", "e"] {
            queue.submit(record(id));
        }
        assert_eq!(queue.lost(), 3);
        sink.permits.add_permits(2);
        queue.drain(DRAIN_TIMEOUT).await;
        assert_eq!(*sink.ids.lock().unwrap(), ["a", "b"]);
    }
}

//! Usage events: what each call used and cost, sent to a queue of Amazon SQS behind the call.
//!
//! An event is a row of the request log as the admin API gives it. It is sent at least once; what the
//! queue does not accept after some attempts is lost, logged and counted.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use canonical::{Error, ErrorKind, Result};
use providers::Message;
use serde_json::{Value, json};
use storage::Secret;
use telemetry::{CallRecord, RecordSink, SinkFuture, request_log::CallRow};
use tokio::sync::Semaphore;

use crate::{Configuration, Snapshot, call::Clock};

/// How many messages one request may hold.
const MAX_BATCH: usize = 10;
/// How many requests may be under way: what comes on top is lost.
const MAX_SENDING: usize = 32;
/// The waits before the attempts to send a batch.
const DELAYS: [Duration; 3] = [Duration::ZERO, Duration::from_millis(500), Duration::from_secs(5)];

/// Sends the usage of each call to the queue that the configuration names.
#[derive(Clone, Debug)]
pub struct UsageEventSink {
    configuration: Configuration,
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    sending: Arc<Semaphore>,
    lost: AtomicU64,
}

impl UsageEventSink {
    /// A sink that follows a configuration.
    pub fn new(configuration: Configuration) -> Self {
        let sending = Arc::new(Semaphore::new(MAX_SENDING));
        Self { configuration, state: Arc::new(State { sending, lost: AtomicU64::default() }) }
    }

    /// How many events the queue did not get.
    pub fn lost(&self) -> u64 {
        self.state.lost.load(Ordering::Relaxed)
    }

    fn submit(&self, snapshot: &Arc<Snapshot>, queue: &str, batch: &[Arc<CallRecord>]) {
        let Ok(permit) = self.state.sending.clone().try_acquire_owned() else {
            self.state.lose(batch.len(), "too many requests to the queue are under way");
            return;
        };
        let sending = Sending {
            configuration: self.configuration.clone(),
            state: self.state.clone(),
            snapshot: snapshot.clone(),
            queue: queue.to_owned(),
            clock: Clock::starting(
                batch.iter().map(|it| CallRow::new(it).ended()).max().unwrap_or(0),
            ),
        };
        let events = batch.iter().map(|record| CallRow::new(record).to_json().to_string());
        let events = events.collect();
        self.configuration.start_behind(async move {
            sending.send_all(events).await;
            drop(permit);
        });
    }
}

impl RecordSink for UsageEventSink {
    fn write<'a>(&'a self, records: &'a [Arc<CallRecord>]) -> SinkFuture<'a> {
        let snapshot = self.configuration.known();
        let queue = snapshot.as_ref().and_then(|it| it.config.usage_events.sqs_queue.as_deref());
        if let (Some(snapshot), Some(queue)) = (&snapshot, queue) {
            // A call without usage has consumed nothing that could be billed.
            let used = records.iter().filter(|record| record.usage.is_some());
            let used: Vec<Arc<CallRecord>> = used.cloned().collect();
            for batch in used.chunks(MAX_BATCH) {
                self.submit(snapshot, queue, batch);
            }
        }
        // Sent behind the records: a slow queue must not hold back the other sinks.
        Box::pin(std::future::ready(()))
    }
}

impl State {
    fn lose(&self, events: usize, reason: &str) {
        self.lost.fetch_add(events as u64, Ordering::Relaxed);
        tracing::warn!(events, reason, "usage events are lost");
    }
}

/// One batch on its way.
struct Sending {
    configuration: Configuration,
    state: Arc<State>,
    snapshot: Arc<Snapshot>,
    queue: String,
    /// The time, from the end of the last of the calls on.
    clock: Clock,
}

impl Sending {
    async fn send_all(&self, mut events: Vec<String>) {
        let mut reason = String::new();
        for delay in DELAYS {
            tokio::time::sleep(delay).await;
            match self.send(&events).await {
                Ok(rejected) => {
                    // Only what was rejected is sent again: a receiver would count the others twice.
                    let left = events.into_iter().enumerate();
                    let left = left.filter(|(index, _)| rejected.contains(&index.to_string()));
                    events = left.map(|(_, event)| event).collect();
                    "the queue rejects them".clone_into(&mut reason);
                }
                Err(error) => error.message().clone_into(&mut reason),
            }
            if events.is_empty() {
                return;
            }
        }
        self.state.lose(events.len(), &reason);
    }

    /// Sends events at once, and gives the ids of those that the queue rejects.
    async fn send(&self, events: &[String]) -> Result<Vec<String>> {
        let client = self.configuration.client();
        let message = batch_message(&self.queue, events, client.region())?;
        let resolve = |source: &config::SecretSource| self.snapshot.secret(source);
        let now = self.clock.now();
        let sent = client.send_message(&message, &self.snapshot.config, &resolve, now).await?;
        let response: Value = serde_json::from_slice(&sent).unwrap_or_default();
        let failed = response["Failed"].as_array().into_iter().flatten();
        Ok(failed.filter_map(|it| it["Id"].as_str().map(str::to_owned)).collect())
    }
}

/// Source: the API reference of Amazon SQS, *`SendMessageBatch`*.
fn batch_message(queue: &str, events: &[String], own_region: Option<&str>) -> Result<Message> {
    let region = region_of(queue).or(own_region).ok_or_else(|| {
        Error::new(
            ErrorKind::Network,
            "the URL of the queue names no region, and AWS_REGION is not set",
        )
    })?;
    let entries = events.iter().enumerate();
    let entries =
        entries.map(|(index, event)| json!({ "Id": index.to_string(), "MessageBody": event }));
    let entries: Vec<Value> = entries.collect();
    let host_end =
        queue.find("://").and_then(|at| queue.get(at + 3..)?.find('/').map(|it| at + 3 + it));
    let service = queue.get(..host_end.unwrap_or(queue.len())).unwrap_or(queue);
    Ok(Message {
        url: Secret::new(format!("{service}/")),
        content_type: "application/x-amz-json-1.0",
        headers: vec![("x-amz-target", "AmazonSQS.SendMessageBatch".to_owned())],
        body: json!({ "QueueUrl": queue, "Entries": entries }).to_string(),
        service: Some(("sqs", region.to_owned())),
    })
}

/// The region that the host of a queue names: `sqs.REGION.amazonaws.com`, with or without an endpoint
/// of a private network before it, or `REGION.queue.amazonaws.com`.
fn region_of(queue: &str) -> Option<&str> {
    let host = queue.split("://").nth(1)?.split(['/', ':']).next()?;
    let labels: Vec<&str> = host.split('.').collect();
    let place = |name: &str| labels.iter().position(|label| *label == name);
    match (place("sqs"), place("queue")) {
        (Some(at), _) => labels.get(at + 1).copied(),
        (None, Some(at)) => labels.get(at.checked_sub(1)?).copied(),
        (None, None) => None,
    }
    // Every region has a dash, and the host of a stand-in for AWS seldom one.
    .filter(|region| region.contains('-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_names_its_region() {
        for (queue, expected) in [
            ("https://sqs.eu-central-1.amazonaws.com/123456789012/usage", Some("eu-central-1")),
            ("https://vpce-1.sqs.us-east-1.vpce.amazonaws.com/1/usage", Some("us-east-1")),
            ("https://eu-west-1.queue.amazonaws.com/1/usage", Some("eu-west-1")),
            ("http://127.0.0.1:4566/000000000000/usage", None),
        ] {
            assert_eq!(region_of(queue), expected, "{queue}");
        }
    }

    #[test]
    fn a_batch_goes_to_the_service_of_its_queue() {
        let queue = "https://sqs.eu-central-1.amazonaws.com/123456789012/usage";
        let message = batch_message(queue, &["{}".to_owned()], None).unwrap();
        assert_eq!(message.url.expose(), "https://sqs.eu-central-1.amazonaws.com/");
        assert_eq!(message.service, Some(("sqs", "eu-central-1".to_owned())));
        assert!(batch_message("http://127.0.0.1:1/q", &[], None).is_err());
    }
}

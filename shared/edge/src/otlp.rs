//! Export of spans and log events to a collector, by OTLP over HTTP.
//!
//! On a server a task of its own exports, so that a slow collector delays nothing. In Lambda the
//! export follows each response, within a second. What cannot be exported is lost, and counted.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use config::Provider;
use gateway::{Client, ExportRequest};
use telemetry::{CallRecord, RecordSink, SinkFuture, otlp::Exported};
use tokio::sync::{mpsc, oneshot};

/// How long one export may take.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(1);
/// How many records may wait for their export.
const MAX_WAITING: usize = 2_048;
/// How many records are exported together.
const MAX_BATCH: usize = 256;

/// Where and as what to export.
#[derive(Clone, Debug, Default)]
pub struct OtlpSettings {
    /// Where spans go; nowhere when absent.
    pub traces_url: Option<String>,
    /// Where log events go; nowhere when absent.
    pub logs_url: Option<String>,
    /// Headers of every export.
    pub headers: Vec<(String, storage::Secret)>,
    /// What share of traces that begin here are sampled, from 0 to 1.
    pub sample_ratio: f64,
    /// The service, and how spans are named.
    pub exported: Exported,
}

/// Exports finished records.
#[derive(Clone, Debug)]
pub(crate) struct OtlpSink {
    exporter: Arc<Exporter>,
    /// The task that exports; none in Lambda.
    waiting: Option<mpsc::Sender<Waiting>>,
}

#[derive(Debug)]
enum Waiting {
    Record(Arc<CallRecord>),
    /// Dropped once everything before it was exported.
    Flush(oneshot::Sender<()>),
}

#[derive(Debug)]
struct Exporter {
    settings: OtlpSettings,
    client: Client,
    /// The type of each provider, by its name.
    kinds: Mutex<ProviderKinds>,
    lost: AtomicU64,
}

/// Names of providers, and their types.
type ProviderKinds = Vec<(String, String)>;

impl OtlpSink {
    /// A sink that exports behind calls. Must be called within a runtime.
    pub(crate) fn of_server(settings: OtlpSettings, client: Client) -> Self {
        let (sender, receiver) = mpsc::channel(MAX_WAITING);
        let exporter = Exporter::new(settings, client);
        tokio::spawn(export_all(receiver, exporter.clone()));
        Self { exporter, waiting: Some(sender) }
    }

    /// A sink that exports at once.
    pub(crate) fn of_lambda(settings: OtlpSettings, client: Client) -> Self {
        Self { exporter: Exporter::new(settings, client), waiting: None }
    }

    /// Takes over the types of providers, by which the conventions name them.
    pub(crate) fn configure(&self, providers: &[Provider]) {
        let mut kinds = self.exporter.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        let now = providers.iter().map(|it| (&*it.name, &*it.kind));
        // Called with every request; the list is copied only when a configuration has changed it.
        if !kinds.iter().map(|(name, kind)| (&**name, &**kind)).eq(now.clone()) {
            *kinds = now.map(|(name, kind)| (name.to_owned(), kind.to_owned())).collect();
        }
    }

    /// How many records were not exported.
    pub(crate) fn lost(&self) -> u64 {
        self.exporter.lost.load(Ordering::Relaxed)
    }

    /// Whether a trace that begins here is sampled: the same for all who see its id.
    pub(crate) fn samples(&self, trace_id: &str) -> bool {
        let ratio = self.exporter.settings.sample_ratio;
        // The lower half is what is random in W3C's trace ids, so that other services with the same
        // share sample the same traces.
        let low = trace_id.get(16..).and_then(|it| u64::from_str_radix(it, 16).ok());
        #[expect(clippy::cast_precision_loss, reason = "a share of traces is no exact number")]
        let share = low.unwrap_or_default() as f64 / u64::MAX as f64;
        share < ratio || 1.0 <= ratio
    }

    /// Waits until everything that waits is exported, as long as one export may take.
    pub(crate) async fn flush(&self) {
        let Some(waiting) = &self.waiting else { return };
        let (done, is_done) = oneshot::channel();
        let flushed = async {
            if waiting.send(Waiting::Flush(done)).await.is_ok() {
                drop(is_done.await);
            }
        };
        // What is not exported by then is lost with the process.
        drop(tokio::time::timeout(EXPORT_TIMEOUT, flushed).await);
    }
}

impl RecordSink for OtlpSink {
    fn write<'a>(&'a self, records: &'a [Arc<CallRecord>]) -> SinkFuture<'a> {
        Box::pin(async move {
            let Some(waiting) = &self.waiting else {
                return self.exporter.export(records).await;
            };
            for record in records {
                // The queue of records waits for each sink; a collector that hangs must not delay
                // the log's sink.
                if waiting.try_send(Waiting::Record(record.clone())).is_err() {
                    self.exporter.lost.fetch_add(1, Ordering::Relaxed);
                }
            }
        })
    }
}

async fn export_all(mut receiver: mpsc::Receiver<Waiting>, exporter: Arc<Exporter>) {
    let mut batch = vec![];
    while 0 < receiver.recv_many(&mut batch, MAX_BATCH).await {
        let (mut records, mut flushed) = (vec![], vec![]);
        for waiting in batch.drain(..) {
            match waiting {
                Waiting::Record(record) => records.push(record),
                Waiting::Flush(sender) => flushed.push(sender),
            }
        }
        exporter.export(&records).await;
        // Dropping wakes those who flush: everything that was queued before them is through.
        drop(flushed);
    }
}

impl Exporter {
    fn new(settings: OtlpSettings, client: Client) -> Arc<Self> {
        let (kinds, lost) = (Mutex::default(), AtomicU64::new(0));
        Arc::new(Self { settings, client, kinds, lost })
    }

    async fn export(&self, records: &[Arc<CallRecord>]) {
        if records.is_empty() {
            return;
        }
        let exported = &self.settings.exported;
        // Copied, so that the lock is not held while the collector is waited for.
        let kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let traces = self.settings.traces_url.as_deref().zip(exported.spans(records, &kinds));
        let logs = self.settings.logs_url.as_deref().zip(exported.log_events(records));
        // Side by side, since in Lambda the client's next call waits for the slower one.
        let (traces, logs) = tokio::join!(self.post(traces), self.post(logs));
        if !(traces && logs) {
            let lost = u64::try_from(records.len()).unwrap_or(u64::MAX);
            self.lost.fetch_add(lost, Ordering::Relaxed);
        }
    }

    /// Sends one body. False when the collector did not take it.
    async fn post(&self, request: Option<(&str, Vec<u8>)>) -> bool {
        let Some((url, body)) = request else { return true };
        let request = ExportRequest {
            url,
            content_type: "application/x-protobuf",
            headers: &self.settings.headers,
            body: body.into(),
        };
        // A collector gets a second, not the minutes that a model may take.
        let failure = match tokio::time::timeout(EXPORT_TIMEOUT, self.client.export(request)).await
        {
            Ok(Ok(())) => return true,
            Ok(Err(error)) => error.to_string(),
            Err(elapsed) => elapsed.to_string(),
        };
        if self.lost.load(Ordering::Relaxed) == 0 {
            tracing::warn!(
                url,
                failure,
                "failed to export telemetry; more failures are only counted"
            );
        }
        false
    }
}

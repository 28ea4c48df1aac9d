//! What a process keeps of calls: the request log and its sums, and the sinks that write them.

use std::{sync::Arc, time::Duration};

use config::Config;
use gateway::{Client, Configuration, UsageEventSink};
use storage::{StoreErrors, Stores};
use telemetry::{
    LogSink, RecordSink, RequestLog, SpanContext,
    request_log::RequestLogSink,
    sums::{CallSums, LAMBDA_LAG, SERVER_LAG},
};

use crate::otlp::{OtlpSettings, OtlpSink};

/// The request log of a gateway, its sums, and who else takes records.
#[derive(Clone, Debug)]
pub(crate) struct Records {
    /// One row per call.
    pub(crate) log: RequestLog,
    /// Sums of those rows.
    pub(crate) sums: CallSums,
    store_errors: StoreErrors,
    otlp: Option<OtlpSink>,
    usage_events: Option<UsageEventSink>,
}

impl Records {
    /// The records of a server. Must be called within a runtime.
    pub(crate) fn of_server(
        (stores, errors): (&Stores, StoreErrors),
        otlp: Option<OtlpSettings>,
        client: &Client,
    ) -> Self {
        let otlp = otlp.map(|settings| OtlpSink::of_server(settings, client.clone()));
        Self::new(stores, errors, SERVER_LAG, otlp)
    }

    /// The records of a function.
    pub(crate) fn of_lambda(
        (stores, errors): (&Stores, StoreErrors),
        otlp: Option<OtlpSettings>,
        client: &Client,
    ) -> Self {
        let otlp = otlp.map(|settings| OtlpSink::of_lambda(settings, client.clone()));
        Self::new(stores, errors, LAMBDA_LAG, otlp)
    }

    fn new(stores: &Stores, errors: StoreErrors, lag: Duration, otlp: Option<OtlpSink>) -> Self {
        let log = RequestLog::new(stores.state.clone());
        let sums = CallSums::new(stores.state.clone(), log.clone(), lag);
        Self { sums, log, store_errors: errors, otlp, usage_events: None }
    }

    /// How many operations on the store have failed in this process.
    pub(crate) fn store_errors(&self) -> u64 {
        self.store_errors.count()
    }

    /// Also sends usage events to the queue that a configuration names.
    pub(crate) fn with_usage_events(self, configuration: &Configuration) -> Self {
        Self { usage_events: Some(UsageEventSink::new(configuration.clone())), ..self }
    }

    /// Takes over what the configuration says of records.
    pub(crate) fn configure(&self, config: &Config) {
        self.log.set_retention(config.requests.retention);
        if let Some(otlp) = &self.otlp {
            otlp.configure(&config.providers);
        }
    }

    /// Decides whether the trace of a call is sampled: by the client where it says so, else by the
    /// share that is configured. Left open where no trace is exported.
    pub(crate) fn sample(&self, trace_id: &str, span: &mut SpanContext) {
        if let Some(otlp) = &self.otlp {
            span.sampled = Some(span.sampled.unwrap_or_else(|| otlp.samples(trace_id)));
        }
    }

    /// How many calls could not be exported, once for spans and log events and once for their usage event.
    pub(crate) fn lost_exports(&self) -> u64 {
        let of_otlp = self.otlp.as_ref().map_or(0, OtlpSink::lost);
        of_otlp + self.usage_events.as_ref().map_or(0, UsageEventSink::lost)
    }

    /// Waits for exports behind calls, within a second.
    pub(crate) async fn flush(&self) {
        if let Some(otlp) = &self.otlp {
            otlp.flush().await;
        }
    }

    /// Who takes finished records, in order.
    pub(crate) fn sinks(&self) -> Vec<Arc<dyn RecordSink>> {
        let kept = RequestLogSink::new(self.log.clone(), self.sums.clone());
        // The log first: it cannot fail, and the others may take time.
        let mut sinks: Vec<Arc<dyn RecordSink>> = vec![Arc::new(LogSink), Arc::new(kept)];
        if let Some(otlp) = &self.otlp {
            sinks.push(Arc::new(otlp.clone()));
        }
        if let Some(usage_events) = &self.usage_events {
            sinks.push(Arc::new(usage_events.clone()));
        }
        sinks
    }
}

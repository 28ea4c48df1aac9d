//! The path that every call takes.
//!
//! [`Gateway::respond`] is the product: what to attempt is decided by `routing`, sockets belong to
//! `providers`, and what is written to the client to `edge`.

mod administration;
mod background;
mod call;
mod configuration;
mod cooldown_store;
mod record_queue;
mod reply;
mod running_call;
mod snapshot;
mod vitals;

use std::{sync::Arc, time::Instant};

use canonical::{Error, Result};
use config::Auth;
use providers::{FetchedMedia, UpstreamRequest, UpstreamResponse};
use routing::{AttemptId, Failover, Limits, ModelQuery, Outlook, RoutePlan, Target};
use telemetry::{CallRecord, CallRecorder, Principal, RecordSink};
use tenants::{
    AdmissionRequest, Decision, Demand, KeyDirectory, Ledger, ReservationId, Tenant,
    UnreachablePolicy,
};

pub use call::{Call, Clock};
pub use configuration::{Configuration, Freshness, Source, kinds};
pub use providers::{
    Client, ExportRequest, MemoryBudget, MemoryBuffer, ProxyVariables, Reservation,
};
use record_queue::RecordQueue;
pub use reply::{GatewayReply, GatewayReplyBody, MeteredStream};
use running_call::RunningCall;
pub use snapshot::Snapshot;

/// Everything that calls share.
#[derive(Debug)]
pub struct Gateway {
    configuration: Configuration,
    keys: KeyDirectory,
    ledger: Ledger,
    records: Arc<RecordQueue>,
}

/// What an admitted client may go on with.
#[derive(Clone, Debug)]
pub struct Admitted {
    /// The configuration in force.
    pub snapshot: Arc<Snapshot>,
    /// Whom the call was authenticated as, for its record.
    pub principal: Principal,
    /// The tenant, whose settings bound the call.
    pub tenant: Arc<Tenant>,
}

impl Gateway {
    /// A gateway that follows a configuration, and gives the record of each request to each sink.
    ///
    /// Must be called within a runtime, where the sinks are served from then on.
    pub fn new(configuration: Configuration, sinks: Vec<Arc<dyn RecordSink>>) -> Self {
        let stores = configuration.stores();
        let keys = KeyDirectory::new(stores.config.clone());
        let ledger = Ledger::new(stores.state.clone(), UnreachablePolicy::default());
        Self { configuration, keys, ledger, records: RecordQueue::start(sinks) }
    }

    /// Starts the record of a request, of whatever kind.
    pub fn begin_record(&self, record: CallRecord, clock: Clock) -> CallRecorder {
        let record = CallRecord { arrived: clock.arrived, ..record };
        CallRecorder::new(record, clock.started, self.records.clone())
    }

    /// Authenticates a client by the keys that its request carries, and gives the configuration under
    /// which the call is made.
    pub async fn admit(&self, keys: &[&str], clock: Clock) -> Result<Admitted> {
        let snapshot = self.configuration.current(clock).await?;
        let now = clock.now() / 1000;
        let found = match snapshot.config.auth {
            Auth::None => tenants::Principal::open(),
            Auth::Keys => self.keys.authenticate(keys, &snapshot.client_keys, None, now).await?,
        };
        if let Some(row) = self.keys.note_use(&found, now) {
            self.configuration.write_behind(row);
        }

        let key_id = found.key_id().map(str::to_owned);
        let key_id = key_id.unwrap_or_else(|| key_fingerprint(&snapshot, keys));
        let tenant = Arc::from(found.tenant.id.as_str());
        let principal = Principal { tenant, key_id: Arc::from(key_id) };
        Ok(Admitted { snapshot, principal, tenant: found.tenant })
    }

    /// Counts a request against the tenant's limits of requests, with one write; with none where
    /// there is no such limit.
    pub async fn count_request(&self, tenant: &Tenant, clock: Clock) -> Decision {
        let (key, limits) = (tenant.ledger_key(), tenant.settings.limits());
        let now = clock.now() / 1000;
        let demand = Demand { input: 0, output: 0, choices: 1, price: None };
        // Nothing is reserved, so that the name is never looked up.
        let id = ReservationId::new("");
        let request =
            AdmissionRequest { key: &key, limits: &limits, demand, id: &id, deadline: now };
        self.ledger.count_request(&request, now).await
    }

    /// The configuration in force, for what is decided before the caller is known.
    pub async fn snapshot(&self, clock: Clock) -> Result<Arc<Snapshot>> {
        self.configuration.current(clock).await
    }

    /// Whether calls can be made: a configuration is there, or can be read.
    pub async fn is_ready(&self, clock: Clock) -> bool {
        self.configuration.is_ready(clock.now()).await
    }

    /// How many records were lost because the sinks were too slow.
    pub fn lost_records(&self) -> u64 {
        self.records.lost()
    }

    /// Makes one call: attempts one target after the other until one responds.
    pub async fn respond(&self, call: Call) -> Result<GatewayReply> {
        let mut running = RunningCall::new(call, self.configuration.clone());
        match self.attempt_targets(&mut running).await {
            Ok((id, response)) => {
                running.attempt_succeeded(id, &response);
                Ok(GatewayReply::new(response, running))
            }
            Err(error) => {
                running.fail(&error);
                Err(error)
            }
        }
    }

    async fn attempt_targets(
        &self,
        running: &mut RunningCall,
    ) -> Result<(AttemptId, UpstreamResponse)> {
        let plan = resolve(&running.call)?;
        let clock = running.call.clock;
        self.configuration.refresh_cooldowns(clock).await;
        let limits = Limits {
            arrived: clock.started,
            deadline: running.call.deadline(),
            seed: clock.now() ^ u64::from(clock.started.elapsed().subsec_nanos()),
        };
        running.failover = Some(Failover::new(plan, self.configuration.health().clone(), limits));

        let fetched = FetchedMedia::default();
        let mut are_keys_renewed = false;
        loop {
            let (id, outcome) = send_next(running, &fetched).await?;
            let error = match outcome {
                Ok(response) => return Ok((id, response)),
                Err(error) => error,
            };
            if is_about_the_key(&error) && !are_keys_renewed {
                are_keys_renewed = true;
                if self.renew_keys(running, id, &error).await {
                    continue;
                }
            }
            running.attempt_failed(id, error)?;
        }
    }

    /// Reads keys again after one was refused, and goes on with the new ones. False when nothing
    /// changed.
    async fn renew_keys(&self, running: &mut RunningCall, id: AttemptId, error: &Error) -> bool {
        let clock = running.call.clock;
        let renewed = self.configuration.renew_keys(&running.call.snapshot, clock).await;
        let Some(snapshot) = renewed else {
            return false;
        };
        let before = std::mem::replace(&mut running.call.snapshot, snapshot);
        let is_replaced = match (resolve(&running.call), &mut running.failover) {
            (Ok(plan), Some(failover)) => failover.keys_replaced(id, error, plan, clock.instant()),
            _ => false,
        };
        if !is_replaced {
            running.call.snapshot = before;
        }
        is_replaced
    }

    /// What would happen to each target now, without attempting any; and why one cannot be asked at
    /// all.
    pub async fn outlook(
        &self,
        query: ModelQuery<'_>,
        clock: Clock,
    ) -> Result<(Arc<RoutePlan>, Vec<(Outlook, Option<String>)>)> {
        let snapshot = self.configuration.current(clock).await?;
        let plan = snapshot.routes.resolve(query)?;
        let outlook = routing::outlook(&plan, self.configuration.health(), clock.instant());
        let with_fault = |outlook: Outlook| {
            let fault = snapshot.upstream.unusable_reason(&plan.targets[outlook.target]);
            (outlook, fault)
        };
        let outlook = outlook.into_iter().map(with_fault).collect();
        Ok((plan, outlook))
    }

    /// Waits for what runs behind calls: records, a refresh, cooldowns to publish. Bounded in time.
    pub async fn drain(&self) {
        tokio::join!(self.configuration.drain(), self.records.drain());
    }
}

/// What tells a key of the configuration from others in records; none was issued, so it has no id.
fn key_fingerprint(snapshot: &Snapshot, keys: &[&str]) -> String {
    let is_configured = |key: &&&str| snapshot.client_keys.iter().any(|it| it.is_key(key));
    let key = keys.iter().find(is_configured);
    key.map_or_else(String::new, |key| routing::fingerprint(key).to_string())
}

/// The plan for what a call asks for.
fn resolve(call: &Call) -> Result<Arc<RoutePlan>> {
    let query = ModelQuery {
        model: call.request.model.as_deref(),
        provider: call.only_provider.as_deref(),
    };
    call.snapshot.routes.resolve(query)
}

/// Makes the next attempt. The error is that of the call: nothing is left to attempt.
async fn send_next(
    running: &mut RunningCall,
    fetched: &FetchedMedia,
) -> Result<(AttemptId, Result<UpstreamResponse>)> {
    let since = Instant::now();
    let (call, clock) = (&running.call, running.call.clock);
    let Some(failover) = &mut running.failover else {
        return Err(Error::new(canonical::ErrorKind::Internal, "The call has no plan."));
    };
    let attempt = failover.next(clock.instant())?;
    if !attempt.delay.is_zero() {
        tokio::time::sleep(attempt.delay).await;
    }
    let snapshot = &call.snapshot;
    let max_output = |target: &Target| snapshot.max_output(&target.provider, &target.model);
    let traceparent = traceparent(&call.record, failover.attempts().len());
    let request = UpstreamRequest {
        request: &call.request,
        strict: call.strict,
        max_output: &max_output,
        fetched,
        traceparent: traceparent.as_deref(),
    };
    let outcome = snapshot.upstream.send(&attempt, &request, clock.now()).await;
    running.note_wait(since);
    Ok((attempt.id, outcome))
}

/// The header by which a provider's spans follow those of the newest attempt; none where nobody
/// records the trace.
fn traceparent(record: &CallRecord, attempts: usize) -> Option<String> {
    let is_sampled = record.span.sampled?;
    let span = telemetry::otlp::attempt_span_id(record.span.span_id, attempts.saturating_sub(1));
    Some(telemetry::otlp::traceparent(&record.trace_id, span, is_sampled))
}

/// Whether a key was refused that may have been changed where it is kept.
fn is_about_the_key(error: &Error) -> bool {
    error.provider_status == Some(401)
}

#[cfg(test)]
mod tests;

//! The path that every call takes.
//!
//! [`Gateway::respond`] is the product: what to attempt is decided by `routing`, sockets belong to
//! `providers`, and what is written to the client to `edge`.

mod administration;
mod admission;
mod alerts;
mod attempt_sender;
mod attempt_watch;
mod background;
mod cache;
mod call;
mod call_contents;
mod call_hold;
mod call_plan;
mod carried;
mod client_response;
mod configuration;
mod cooldown_store;
mod demand;
mod fingerprint;
mod gauges;
mod hedging;
mod idempotency;
mod in_flight;
mod log_excerpt;
mod model_facts;
mod model_lists;
mod outbound_limits;
mod own_provider;
mod probes;
mod provider_health;
mod record_queue;
mod relay;
mod rescue;
mod response_storage;
mod running_call;
mod settlement;
mod snapshot;
mod stream_speed;
mod target_order;
mod unseen;
mod usage_events;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use canonical::{Error, ErrorKind, Result};
use config::Auth;
use providers::UpstreamResponse;
use routing::{AttemptId, Failover, Limits, ModelQuery, Outlook, RoutePlan};
use telemetry::{CallRecord, CallRecorder, Principal, RecordSink};
use tenants::{KeyDirectory, Ledger, Tenant, UnreachablePolicy};

pub use admission::{AdmittedCall, CallLimits};
use attempt_sender::AttemptSender;
pub use attempt_watch::{AttemptUpdate, AttemptWatch};
use background::carry_on;
pub use cache::{CacheDirectives, CacheMode};
pub use call::{Call, CallHints, Clock};
use call_plan::resolve;
pub use client_response::{ClientResponse, ClientResponseBody, MeteredStream};
pub use configuration::{Configuration, Freshness, KeyedProvider, Source, kinds};
pub use in_flight::{CallInFlight, CallPlace, InFlight};
use model_lists::ModelLists;
pub use model_lists::ProviderModels;
use outbound_limits::OutboundLimits;
use own_provider::OwnProviders;
pub use own_provider::Sealing;
pub use provider_health::{BreakerState, ProviderHealth};
pub use providers::{
    Client, ExportRequest, ListedModel, MemoryBudget, MemoryBuffer, ProxyVariables, RelayPayload,
    RelayRequest, RelayResponse, Reservation, StreamedBody, check_ca_file,
};
use record_queue::RecordQueue;
use running_call::RunningCall;
use settlement::Settlements;
pub use snapshot::{ModelDetails, Snapshot};
pub use usage_events::UsageEventSink;

/// Everything that calls share.
#[derive(Debug)]
pub struct Gateway {
    configuration: Configuration,
    keys: KeyDirectory,
    settlements: Arc<Settlements>,
    records: Arc<RecordQueue>,
    outbound: Arc<OutboundLimits>,
    own_providers: OwnProviders,
    model_lists: ModelLists,
}

/// The outcome of an admission.
#[derive(Clone, Debug)]
pub struct Admitted {
    /// The configuration in force.
    pub snapshot: Arc<Snapshot>,
    /// The principal of the call, for its record.
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
        let settlements = Arc::new(Settlements::new(ledger, configuration.clone()));
        let outbound = Arc::new(OutboundLimits::new(configuration.clone()));
        let records = RecordQueue::start(sinks);
        Self {
            configuration,
            keys,
            settlements,
            records,
            outbound,
            own_providers: OwnProviders::default(),
            model_lists: ModelLists::default(),
        }
    }

    /// Takes what opens the keys of tenants' own providers.
    #[must_use]
    pub fn with_sealing(self, sealing: Sealing) -> Self {
        Self { own_providers: OwnProviders::new(sealing), ..self }
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
            Auth::Keys => self.keys.authenticate(keys, &snapshot.client_keys, now).await?,
        };

        if let Some(row) = self.keys.note_use(&found, now) {
            self.configuration.write_behind(row);
        }

        let tenant = Arc::from(found.tenant.id.as_str());
        let principal = Principal { tenant, key_id: Arc::from(found.key_id()) };
        let snapshot = self.snapshot_for(&found.tenant, snapshot).await?;
        Ok(Admitted { snapshot, principal, tenant: found.tenant })
    }

    /// The configuration as a tenant's calls see it, which may have a provider of its own.
    pub async fn snapshot_for(
        &self,
        tenant: &Tenant,
        snapshot: Arc<Snapshot>,
    ) -> Result<Arc<Snapshot>> {
        self.own_providers.snapshot_for(tenant, snapshot, &self.configuration).await
    }

    /// The configuration in force, for what is decided before the caller is known.
    pub async fn snapshot(&self, clock: Clock) -> Result<Arc<Snapshot>> {
        self.configuration.current(clock).await
    }

    /// The configuration in force, if one was read already.
    pub fn known_snapshot(&self) -> Option<Arc<Snapshot>> {
        self.configuration.known()
    }

    /// Whether calls can be made: a configuration is there, or can be read.
    pub async fn is_ready(&self, clock: Clock) -> bool {
        self.configuration.is_ready(clock.now()).await
    }

    /// How many records were lost because the sinks were too slow.
    pub fn lost_records(&self) -> u64 {
        self.records.lost()
    }

    /// Makes a call that was admitted: attempts one target after the other until one responds.
    ///
    /// A call whose response was promised to be kept goes on when nobody waits for it any more.
    pub async fn respond(self: &Arc<Self>, admitted: AdmittedCall) -> Result<ClientResponse> {
        if admitted.hit.is_some() || !admitted.running.is_promised() {
            return self.make(admitted).await;
        }
        let this = self.clone();
        let made = carry_on(&self.configuration, async move { this.make(admitted).await });
        made.await.unwrap_or_else(|| Err(ended_without_outcome()))
    }

    async fn make(&self, admitted: AdmittedCall) -> Result<ClientResponse> {
        let AdmittedCall { mut running, plan, hit } = admitted;
        if let Some(hit) = hit {
            return Ok(ClientResponse::from_cache(*hit, running));
        }
        match self.attempt_targets(&mut running, plan).await {
            Ok((id, response)) => {
                running.attempt_succeeded(id, &response);
                Ok(ClientResponse::new(response, running))
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
        plan: Arc<RoutePlan>,
    ) -> Result<(AttemptId, UpstreamResponse)> {
        let clock = running.call.clock;

        self.configuration.refresh_cooldowns(clock).await;
        let limits = Limits {
            arrived: clock.started,
            deadline: running.call.deadline(),
            // The wall clock alone is the same for calls that arrive together, which would all pick
            // one target.
            seed: clock.now() ^ u64::from(clock.started.elapsed().subsec_nanos()),
        };
        let health = self.configuration.health();

        let (order, session) = target_order::order(&running.call, &plan, health, limits.seed)?;
        let decodes = rescue::is_wanted(&running.call, &plan);
        running.session = session;
        running.failover = Some(Failover::new(plan, health.clone(), limits).in_order(order));

        let keep = running.storage.is_wanted().then_some(cache::MAX_KEPT_BYTES);
        let sender = AttemptSender::new(&running.call, self.outbound.clone(), decodes);
        let mut sender = sender.with_kept_bytes(keep);
        let mut are_keys_renewed = false;
        loop {
            running.sender = Some(sender.clone());
            let (id, outcome) = hedging::send_next(running, &sender).await?;

            let error = match outcome {
                Ok(response) => return Ok((id, response)),
                Err(error) => error,
            };
            // Once per call: keys that were just read again and are refused are wrong.
            if is_about_the_key(&error) && !are_keys_renewed {
                are_keys_renewed = true;
                if self.renew_keys(running, id, &error).await {
                    sender = sender.with_snapshot(running.call.snapshot.clone());
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
        let Some(renewed) = renewed else {
            return false;
        };
        let Ok(snapshot) = self.snapshot_for(&running.call.tenant, renewed).await else {
            return false;
        };
        let before = std::mem::replace(&mut running.call.snapshot, snapshot);
        let is_replaced = match (resolve(&running.call), &mut running.failover) {
            (Ok(plan), Some(failover)) => failover.keys_replaced(id, error, plan, clock.instant()),
            _ => false,
        };
        // The call must not resolve by one configuration and send by another.
        if !is_replaced {
            running.call.snapshot = before;
        }
        is_replaced
    }

    /// The prospects of each target, without attempting any, and why one cannot be called at
    /// all.
    pub async fn outlook(
        &self,
        query: ModelQuery<'_>,
        clock: Clock,
    ) -> Result<(Arc<RoutePlan>, Vec<(Outlook, Option<String>)>)> {
        let snapshot = self.configuration.current(clock).await?;
        let plan = snapshot.routes.resolve(query)?;
        let mut outlooks = vec![];
        for outlook in routing::outlook(&plan, self.configuration.health(), clock.instant()) {
            let unusable = snapshot.upstream.unusable_reason(&plan.targets[outlook.target]);
            outlooks.push((outlook, unusable));
        }
        Ok((plan, outlooks))
    }

    /// Waits until the calls that have ended are in the request log, so that who reads it next sees
    /// them. A store that is slow is not waited for: those calls then show later.
    pub async fn records_written(&self) {
        drop(tokio::time::timeout(background::READ_TIMEOUT, self.records.written()).await);
    }

    /// Waits for what runs behind calls: records, a refresh, cooldowns to publish. Bounded in time.
    pub async fn drain(&self) {
        self.drain_within(background::DRAIN_TIMEOUT).await;
    }

    /// Waits for what runs behind calls, as [`Self::drain`] does, for `within` at most.
    pub async fn drain_within(&self, within: Duration) {
        let started = Instant::now();
        tokio::join!(self.configuration.drain(within), self.records.drain(within));

        // Work that ended meanwhile may have left records, and sinks start work of their own.
        let left = within.saturating_sub(started.elapsed());
        if !left.is_zero() {
            self.records.drain(left).await;
            self.configuration.drain(left).await;
        }
    }
}

fn ended_without_outcome() -> Error {
    Error::new(ErrorKind::Internal, "Something went wrong within the gateway.")
        .caused_by("a call ended without an outcome")
}

/// Whether a key was refused that may have been changed where it is kept.
fn is_about_the_key(error: &Error) -> bool {
    error.provider_status == Some(401)
}

#[cfg(test)]
mod tests;

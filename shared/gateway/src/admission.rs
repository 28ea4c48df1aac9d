//! Admission of a call: its targets are resolved, its tenant's policy is applied, and what it may use
//! at most is held in the ledger, all before the first attempt.

use std::{sync::Arc, time::Duration};

use canonical::{Error, ErrorKind, Result, Task};
use formats::{RequestPolicy, SystemPromptPolicy};
use routing::RoutePlan;
use telemetry::CacheOutcome;
use tenants::{
    Admission, AdmissionRequest, Decision, Demand, Limits, Quota, ReservationId, Tenant,
    Unavailable, Unpriced,
    policy::{self, SystemPrompt},
};

use crate::{
    Call, Clock, Gateway, Snapshot,
    cache::{self, CacheHit, CachePlace},
    call_hold::{CallHold, exceeded},
    call_plan::resolve,
    demand::{CallDemand, demand, input_tokens},
    fingerprint::Fingerprint,
    idempotency::{Claim, Claimed},
    response_storage::give_up,
    running_call::RunningCall,
    settlement::WantedHold,
};

/// Where a call's tenant stands, for the headers of its response.
#[derive(Debug, Default)]
pub struct CallLimits {
    /// Where the tenant stands against each limit.
    pub quotas: Vec<Quota>,
    /// Whether the response may be shorter than was asked for, since the budget allows no more.
    pub is_capped: bool,
}

/// A call that may go on: its targets are known, and what it may use is held.
#[derive(Debug)]
pub struct AdmittedCall {
    /// On the heap: each future that a call passes through would otherwise hold and move a copy.
    pub(crate) running: Box<RunningCall>,
    pub(crate) plan: Arc<RoutePlan>,
    /// The response, where it was made before.
    pub(crate) hit: Option<Box<CacheHit>>,
}

/// Under what a call's response may have been made before.
#[derive(Debug)]
struct Repeat {
    /// The claim on the call's idempotency key.
    claim: Option<Claim>,
    /// How long its response would be kept in the cache; none where the call passes it by.
    ttl: Option<Duration>,
    /// The fingerprint of the request, where either needs it.
    requested: Option<Fingerprint>,
}

impl Repeat {
    fn of_call(call: &Call) -> Result<Self> {
        let (claim, ttl) = (Claim::of_call(call)?, CachePlace::ttl_of(call));
        let is_needed = claim.is_some() || ttl.is_some();
        let requested = is_needed.then(|| Fingerprint::of_request(call));
        Ok(Self { claim, ttl, requested })
    }
}

impl AdmittedCall {
    /// What is asked for.
    pub fn task(&self) -> Task {
        self.running.call.request.task
    }
}

impl Gateway {
    /// Admits a call against every limit of its tenant at once, with one write; with none where there
    /// is no limit. `limits` is filled in whatever the outcome.
    pub async fn admit_call(&self, call: Call, limits: &mut CallLimits) -> Result<AdmittedCall> {
        // A running call from here on, so that a refusal is recorded and closed like any other end.
        let mut running = Box::new(RunningCall::new(call, self.configuration.clone()));
        match self.admit_running(&mut running, limits).await {
            Ok((plan, hit)) => Ok(AdmittedCall { running, plan, hit }),
            Err(error) => {
                running.fail(&error);
                Err(error)
            }
        }
    }

    async fn admit_running(
        &self,
        running: &mut RunningCall,
        standing: &mut CallLimits,
    ) -> Result<(Arc<RoutePlan>, Option<Box<CacheHit>>)> {
        // Resolved first: an unknown model must cost neither a write nor a reservation.
        let plan = resolve(&running.call)?;
        // Before the policy: what the client asks for stays the same when its tenant's settings change.
        let repeat = Repeat::of_call(&running.call)?;
        apply_policy(&mut running.call)?;
        // Before the reservation, since a response that was made before costs nothing.
        let hit = self.find_response(running, &plan, repeat).await?;
        match hit {
            Some(hit) => {
                // A response that was made before holds and costs nothing, but counts as a request.
                self.count_request_of(&running.call, standing).await?;
                Ok((plan, Some(hit)))
            }
            None => {
                self.reserve(running, &plan, standing).await?;
                Ok((plan, None))
            }
        }
    }

    /// The response to the same request, made before: under the client's idempotency key, or kept in
    /// the response cache.
    async fn find_response(
        &self,
        running: &mut RunningCall,
        plan: &RoutePlan,
        Repeat { claim, ttl, requested }: Repeat,
    ) -> Result<Option<Box<CacheHit>>> {
        let (call, table) = (&running.call, &*self.configuration.stores().state);
        // The claim comes before the cache: the same key has to get the same response even if the
        // cache has a newer one.
        if let (Some(claim), Some(requested)) = (claim, &requested) {
            match claim.clone().take(call, requested, &self.configuration).await {
                Ok(Claimed::Made(hit)) => {
                    running.call.record.cache = Some(CacheOutcome::Hit);
                    return Ok(Some(hit));
                }
                Ok(Claimed::First(claim)) => running.storage.claim = Some(claim),
                Err(error) => {
                    // It may have been made all the same, and would hold the key until its deadline.
                    if error.kind == ErrorKind::Unavailable {
                        give_up(claim, &self.configuration);
                    }
                    return Err(error);
                }
            }
        }

        let call = &running.call;
        let place = ttl
            .zip(requested)
            .map(|(ttl, requested)| CachePlace::of_call(call, plan, &requested, ttl));
        let (outcome, hit) = cache::look_up(&running.call, place.as_ref(), table).await?;
        running.call.record.cache = Some(outcome);
        running.storage.cache = place.filter(|_| hit.is_none());
        Ok(hit.map(Box::new))
    }

    /// Counts a request that costs nothing against the tenant's limits of requests, with one write; with
    /// none where there is no such limit. `standing` is filled in whatever the outcome.
    pub async fn count_request(
        &self,
        tenant: &Tenant,
        snapshot: &Snapshot,
        clock: Clock,
        standing: &mut CallLimits,
    ) -> Result<()> {
        let (limits, now) = (tenant.settings.limits(), clock.now() / 1000);
        if limits.counts_requests() {
            self.settlements.ledger.follow(snapshot.config.store_down);
        }
        let request = AdmissionRequest {
            key: &tenant.ledger_key(),
            limits: &limits,
            demand: Demand { input: 0, output: 0, choices: 1, price: None },
            // Nothing is reserved, so that the name is never looked up.
            id: &ReservationId::new(""),
            deadline: now,
        };
        let decision = self.settlements.ledger.count_request(&request, now).await;
        self.decided(decision, tenant, clock, standing).map(drop)
    }

    async fn count_request_of(&self, call: &Call, standing: &mut CallLimits) -> Result<()> {
        self.count_request(&call.tenant, &call.snapshot, call.clock, standing).await
    }

    async fn reserve(
        &self,
        running: &mut RunningCall,
        plan: &RoutePlan,
        standing: &mut CallLimits,
    ) -> Result<()> {
        if running.call.request.task == Task::CountTokens {
            // Counting costs nothing, so that nothing is held for it.
            return self.count_request_of(&running.call, standing).await;
        }
        let call = &mut running.call;
        let mut limits = call.tenant.settings.limits();
        if limits.is_unlimited() {
            return Ok(());
        }
        let config = &call.snapshot.config;
        self.settlements.ledger.follow(config.store_down);
        // The tenant's own word can only allow more; a gateway-wide refusal does not override it.
        if let Some(budget) = &mut limits.budget
            && config.unpriced == Unpriced::Allow
        {
            budget.unpriced = Unpriced::Allow;
        }

        let now = call.clock.now() / 1000;
        let wanted = demand(call, plan, &limits);
        let id = ReservationId::random().ok_or_else(no_randomness)?;
        let hold = WantedHold {
            key: call.tenant.ledger_key(),
            limits: limits.clone(),
            demand: wanted.demand,
            id,
            // A second more than the call: clocks are cut to seconds.
            deadline: now + call.time_allowed().as_secs() + 1,
        };
        let decision = self.settlements.admit(&hold, call.clock).await;
        let admission = self.decided(decision, &call.tenant, call.clock, standing)?;

        let mut granted = wanted;
        if let Some(capped) = admission.capped_output {
            standing.is_capped = true;
            // A shorter response than was asked for is nobody else's.
            running.storage.cache = None;
            granted = CallDemand { is_bounded: true, ..wanted };
            granted.demand.output = capped;
        }
        let settlements = &self.settlements;
        // Before anything that can fail: from here on the end of the call ends its reservation.
        running.hold = admission
            .reservation
            .map(|reservation| CallHold::new(reservation, limits, granted, settlements.clone()));
        let Some(capped) = admission.capped_output else { return Ok(()) };
        // Such as a compaction, which would be as long as it likes.
        if !running.call.request.takes_output_limit() {
            return Err(cannot_be_capped(&running.call.tenant.settings.limits()));
        }
        let policy = RequestPolicy { max_output: Some(capped), ..RequestPolicy::default() };
        change_request(&mut running.call, &policy)
    }

    /// What a decision of the ledger means for a request.
    fn decided(
        &self,
        decision: Decision,
        tenant: &Tenant,
        clock: Clock,
        standing: &mut CallLimits,
    ) -> Result<Admission> {
        match decision {
            Decision::Admitted(admission) => {
                if let Some(cause) = &admission.unreachable {
                    tracing::warn!(%cause, tenant = tenant.id, "a call passed uncounted");
                }
                standing.quotas.clone_from(&admission.quotas);
                Ok(admission)
            }
            Decision::Refused { refusal, alert } => {
                let limits = tenant.settings.limits();
                // Sent by refusals as well: the call that passes a level may be the one that no
                // longer fits.
                self.settlements.send_alert(alert.map(|alert| *alert), limits, clock);
                standing.quotas.clone_from(&refusal.quotas);
                Err(refusal.to_error(clock.now() / 1000))
            }
            Decision::Unavailable(unavailable) => Err(self.unavailable(unavailable, tenant, clock)),
        }
    }

    /// The error while the store cannot be reached. The write may have been made all the same.
    fn unavailable(&self, unavailable: Unavailable, tenant: &Tenant, clock: Clock) -> Error {
        // The write may have been made although its response was lost, and would then hold for
        // nothing.
        if let Some(release) = unavailable.release {
            self.settlements.settle(release, tenant.settings.limits(), clock);
        }
        let message = "Limits cannot be checked at the moment; try again soon.";
        let mut error = Error::new(ErrorKind::Unavailable, message);
        error.retry_after = Some(Duration::from_secs(unavailable.retry_after));
        error.caused_by(unavailable.cause)
    }
}

/// Applies what the tenant's settings say about every request.
fn apply_policy(call: &mut Call) -> Result<()> {
    let tenant = call.tenant.clone();
    let settings = &tenant.settings.requests;
    let system_prompt = match policy::system_prompt(&tenant) {
        SystemPrompt::Unchanged => SystemPromptPolicy::Unchanged,
        SystemPrompt::Prepend(prompt) => SystemPromptPolicy::Prepend(prompt),
        SystemPrompt::Replace(prompt) => SystemPromptPolicy::Replace(prompt),
    };
    policy::authorize_task(&tenant, call.request.task)?;
    let max_output = settings.max_output_tokens;
    let policy = RequestPolicy { max_output, system_prompt };
    check_input(&tenant, &call.request)?;
    change_request(call, &policy)
}

/// Changes a call's request, which nobody else has yet.
fn change_request(call: &mut Call, policy: &RequestPolicy<'_>) -> Result<()> {
    // The attempts of a call share the request, which must not change once one of them has it.
    match Arc::get_mut(&mut call.request) {
        Some(request) => request.apply_policy(policy),
        None => Err(Error::new(ErrorKind::Internal, "Something went wrong within the gateway.")
            .caused_by("a request was shared before its call was admitted")),
    }
}

/// Refuses a prompt that is longer than the tenant may send, by our own estimate.
fn check_input(tenant: &Tenant, request: &formats::GatewayRequest) -> Result<()> {
    if tenant.settings.requests.max_input_tokens.is_none() {
        return Ok(());
    }
    policy::authorize_input(tenant, input_tokens(request))
}

/// The refusal of a call that would have to be shorter than its request can ask for.
fn cannot_be_capped(limits: &Limits) -> Error {
    let message = "What is left allows a shorter response only, and this request takes no limit of its output";
    exceeded(limits, message)
}

pub(crate) fn no_randomness() -> Error {
    Error::new(ErrorKind::Internal, "Something went wrong within the gateway.")
        .caused_by("the system gives no random numbers")
}

//! Admission of a call: its targets are resolved, its tenant's policy is applied, and what it may use
//! at most is held in the ledger, all before the first attempt.

use std::{sync::Arc, time::Duration};

use canonical::{Error, ErrorKind, Result, Task};
use formats::{RequestPolicy, SystemPromptPolicy};
use routing::RoutePlan;
use tenants::{
    AdmissionRequest, Decision, Quota, ReservationId, Tenant, Unavailable,
    policy::{self, SystemPrompt},
};

use crate::{
    Call, Gateway,
    demand::{CallDemand, demand, input_size},
    hold::CallHold,
    resolve,
    running_call::RunningCall,
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
    pub(crate) running: RunningCall,
    pub(crate) plan: Arc<RoutePlan>,
}

impl Gateway {
    /// Admits a call against every limit of its tenant at once, with one write; with none where there
    /// is no limit. `limits` is filled in whatever the outcome.
    pub async fn admit_call(&self, call: Call, limits: &mut CallLimits) -> Result<AdmittedCall> {
        let mut running = RunningCall::new(call, self.configuration.clone());
        match self.reserve(&mut running, limits).await {
            Ok(plan) => Ok(AdmittedCall { running, plan }),
            Err(error) => {
                running.fail(&error);
                Err(error)
            }
        }
    }

    async fn reserve(
        &self,
        running: &mut RunningCall,
        standing: &mut CallLimits,
    ) -> Result<Arc<RoutePlan>> {
        let call = &mut running.call;
        let plan = resolve(call)?;
        apply_policy(call)?;
        let limits = call.tenant.settings.limits();
        if limits.is_unlimited() {
            return Ok(plan);
        }

        let now = call.clock.now() / 1000;
        let wanted = demand(call, &plan, &limits);
        let id = ReservationId::random().ok_or_else(no_randomness)?;
        let request = AdmissionRequest {
            key: &call.tenant.ledger_key(),
            limits: &limits,
            demand: wanted.demand,
            id: &id,
            deadline: now + call.time_allowed().as_secs() + 1,
        };
        let decision = match call.request.task {
            // Counting costs nothing, so that nothing is held for it.
            Task::CountTokens => self.settlements.ledger.count_request(&request, now).await,
            Task::Chat | Task::Embed => self.settlements.admit(&request, now).await,
        };
        let admission = match decision {
            Decision::Admitted(admission) => admission,
            Decision::Refused { refusal, alert } => {
                self.settlements.send_alert(alert.map(|alert| *alert), limits, call.clock);
                standing.quotas.clone_from(&refusal.quotas);
                return Err(refusal.to_error(now));
            }
            Decision::Unavailable(unavailable) => {
                return Err(self.unavailable(unavailable, call));
            }
        };

        if let Some(cause) = admission.unreachable {
            tracing::warn!(%cause, tenant = call.tenant.id, "a call passed uncounted");
        }
        let mut granted = wanted;
        if let Some(capped) = admission.capped_output {
            standing.is_capped = true;
            granted = CallDemand { is_bounded: true, ..wanted };
            granted.demand.output = capped;
            let max_output = Some(capped);
            call.request.apply_policy(&RequestPolicy { max_output, ..RequestPolicy::default() })?;
        }
        standing.quotas = admission.quotas;
        let settlements = &self.settlements;
        running.hold = admission
            .reservation
            .map(|reservation| CallHold::new(reservation, limits, granted, settlements.clone()));
        Ok(plan)
    }

    /// The error while the store cannot be reached. The write may have been made all the same.
    fn unavailable(&self, unavailable: Unavailable, call: &Call) -> Error {
        if let Some(release) = unavailable.release {
            self.settlements.settle(release, call.tenant.settings.limits(), call.clock);
        }
        let message = "Limits cannot be checked at the moment; try again soon.";
        let mut error = Error::new(ErrorKind::Unavailable, message);
        error.retry_after = Some(Duration::from_secs(unavailable.retry_after));
        error.caused_by(unavailable.cause)
    }
}

/// Applies what the tenant's settings say about every request.
fn apply_policy(call: &mut Call) -> Result<()> {
    let settings = &call.tenant.settings.requests;
    let system_prompt = match policy::system_prompt(&call.tenant) {
        SystemPrompt::Unchanged => SystemPromptPolicy::Unchanged,
        SystemPrompt::Prepend(prompt) => SystemPromptPolicy::Prepend(prompt),
        SystemPrompt::Replace(prompt) => SystemPromptPolicy::Replace(prompt),
    };
    let max_output = settings.max_output_tokens;
    let policy = RequestPolicy { max_output, system_prompt };
    check_input(&call.tenant, &call.request)?;
    call.request.apply_policy(&policy)
}

/// Refuses a prompt that is longer than the tenant may send, by our own estimate.
fn check_input(tenant: &Tenant, request: &formats::GatewayRequest) -> Result<()> {
    if tenant.settings.requests.max_input_tokens.is_none() {
        return Ok(());
    }
    let size = input_size(request);
    policy::authorize_input(tenant, size.estimated_tokens + size.media_tokens)
}

fn no_randomness() -> Error {
    Error::new(ErrorKind::Internal, "Something went wrong within the gateway.")
        .caused_by("the system gives no random numbers")
}

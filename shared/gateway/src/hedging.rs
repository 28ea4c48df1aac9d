//! The next attempt of a call, and the one that starts beside it when it is silent.

use std::{future::Future, pin::Pin, time::Instant};

use canonical::{Error, ErrorKind, Result, Task};
use formats::GatewayRequest;
use providers::UpstreamResponse;
use routing::{Attempt, AttemptEnd, AttemptId, Hedge};

use crate::{
    attempt_sender::{AttemptSender, Sent},
    outbound_limits::Permit,
    running_call::RunningCall,
};

/// An attempt under way.
struct Racer {
    id: AttemptId,
    call: Pin<Box<dyn Future<Output = Sent> + Send>>,
}

impl Racer {
    fn new(sender: &AttemptSender, attempt: Attempt) -> Self {
        Self { id: attempt.id, call: Box::pin(sender.clone().send(attempt, None)) }
    }
}

/// Makes the next attempt, and another beside it when the plan hedges. The error is that of the call:
/// nothing is left to attempt.
pub(crate) async fn send_next(
    running: &mut RunningCall,
    sender: &AttemptSender,
) -> Result<(AttemptId, Result<UpstreamResponse>)> {
    loop {
        let since = Instant::now();
        let now = running.call.clock.instant();
        let failover = running.failover.as_mut().ok_or_else(no_plan)?;
        let hedge = failover.plan().hedge.filter(|_| is_hedgeable(&running.call.request));
        let first = Racer::new(sender, failover.next(now)?);
        running.show_attempt();
        let (id, sent) = match hedge {
            Some(hedge) => race(running, sender, first, hedge).await?,
            None => (first.id, first.call.await),
        };
        running.note_wait(since);
        match sent {
            Sent::Requested(outcome, permit) => {
                running.keep_permit(id, permit);
                return Ok((id, outcome));
            }
            Sent::PassedOver(error) => running.passed_over(id, error),
        }
    }
}

/// Whether another attempt may start beside one that is silent. Only in streams: of a whole response
/// nobody knows whether it is slow or long.
pub(crate) fn is_hedgeable(request: &GatewayRequest) -> bool {
    request.stream && request.task == Task::Chat
}

/// Waits for an attempt, and starts another beside it when it is silent for too long: the first that
/// answers wins. The other is cancelled, and its input is paid for.
async fn race(
    running: &mut RunningCall,
    sender: &AttemptSender,
    mut first: Racer,
    hedge: Hedge,
) -> Result<(AttemptId, Sent)> {
    running.health().hedges.note_call();
    tokio::select! {
        sent = &mut first.call => return Ok((first.id, sent)),
        () = tokio::time::sleep(hedge.after) => {}
    }
    let Some(mut second) = start_hedge(running, sender, hedge) else {
        return Ok((first.id, first.call.await));
    };
    running.show_attempt();

    let (faster, sent, slower) = tokio::select! {
        sent = &mut first.call => (first.id, sent, second),
        sent = &mut second.call => (second.id, sent, first),
    };
    match sent {
        Sent::Requested(Ok(response), permit) => {
            running.hedge_lost(slower.id);
            Ok((faster, Sent::Requested(Ok(response), permit)))
        }
        Sent::Requested(Err(error), permit) => {
            drop(permit);
            // What would repeat anywhere ends the call; the other attempt ends with it.
            running.attempt_failed(faster, error)?;
            Ok((slower.id, slower.call.await))
        }
        Sent::PassedOver(error) => {
            running.passed_over(faster, error);
            Ok((slower.id, slower.call.await))
        }
    }
}

/// Starts an attempt beside a silent one, if the budget and the plan have room for it.
fn start_hedge(running: &mut RunningCall, sender: &AttemptSender, hedge: Hedge) -> Option<Racer> {
    let now = running.call.clock.instant();
    let health = running.health().clone();
    let failover = running.failover.as_mut()?;
    // The budget is asked last, since asking takes from it.
    if !failover.has_next(now) || !health.hedges.take(hedge.budget_percent) {
        return None;
    }
    failover.next_hedge(now).map(|attempt| Racer::new(sender, attempt))
}

fn no_plan() -> Error {
    Error::new(ErrorKind::Internal, "The call has no plan.")
}

impl RunningCall {
    /// Notes that another attempt was faster. Its provider may have read the input meanwhile.
    fn hedge_lost(&mut self, id: AttemptId) {
        let now = self.call.clock.instant();
        let Some(failover) = &mut self.failover else { return };
        failover.ended(id, AttemptEnd::Canceled, now);
        let attempt = failover.attempt(id).clone();
        self.carry_silent(&attempt, 0);
    }

    /// Notes that a target was not asked, since a limit of the operator's own is reached.
    pub(crate) fn passed_over(&mut self, id: AttemptId, error: Error) {
        let now = self.call.clock.instant();
        if let Some(failover) = &mut self.failover {
            failover.passed_over(id, error, now);
        }
    }

    /// Keeps what an attempt holds of its provider's limits until its response is over.
    pub(crate) fn keep_permit(&mut self, id: AttemptId, permit: Option<Permit>) {
        // A retry holds under the same call, and must not give back what it holds itself.
        self.permits.retain(|(held, _)| *held != id);
        self.permits.extend(permit.map(|permit| (id, permit)));
    }
}

//! What one call holds in its tenant's ledger row until it is settled, and how a stream makes it grow.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use canonical::{Error, ErrorKind, LimitDetails, MicroDollars, Origin, Usage};
use storage::StoreError;
use tenants::{Extra, LimitSource, Limits, Reservation, Settlement, TopUp, WhenUnreachable};

use crate::{Clock, demand::CallDemand, settlement::Settlements};

/// How many output tokens are added to a hold at once.
const MORE_OUTPUT_TOKENS: u64 = 1_024;
/// How many output tokens before its end a hold is grown, where nothing bounds the output.
const GROWTH_MARGIN: u64 = 256;
/// How long before its deadline a hold is kept on, in seconds.
const RENEWAL_MARGIN: u64 = 30;

/// The waits between the attempts to grow a hold, while the store fails.
const GROWTH_DELAYS: [Duration; 3] =
    [Duration::from_millis(100), Duration::from_millis(400), Duration::from_millis(1_500)];

/// A write that grows a hold, and the output tokens that it pays for.
type Growth = Pin<Box<dyn Future<Output = Result<TopUp, StoreError>> + Send>>;

/// What one call holds until it is settled.
pub(crate) struct CallHold {
    reservation: Reservation,
    limits: Limits,
    demand: CallDemand,
    settlements: Arc<Settlements>,
    /// The tokens that the hold pays for.
    covered_input: u64,
    covered_output: u64,
    /// The tokens that one attempt is expected to read.
    estimated_input: u64,
    /// Behind a lock, so that a call can be looked at from several threads; it is never contended.
    growth: Option<(Extra, Mutex<Growth>)>,
}

/// How much of a response was received so far.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Progress {
    /// What the provider has reported.
    pub(crate) usage: Option<Usage>,
    /// How many tokens were written, about.
    pub(crate) written_tokens: u64,
    /// What attempts used that broke off or were slower than another.
    pub(crate) carried: Usage,
}

impl Progress {
    /// The output tokens so far: what was reported, or at least what was written.
    fn output(&self) -> u64 {
        let own = self.usage.unwrap_or_default().all_output().max(self.written_tokens);
        self.carried.all_output().saturating_add(own)
    }

    /// The input tokens so far, of which an attempt that goes on for another has reported none yet.
    fn input(&self, estimate: u64) -> u64 {
        let expected = if self.goes_on() { estimate } else { 0 };
        // What was written so far is a part of the prompt of who goes on with it.
        let expected = expected.saturating_add(self.carried.all_output());
        let own = self.usage.map_or(expected, |usage| usage.all_input());
        self.carried.all_input().saturating_add(own)
    }

    /// Whether the response goes on behind attempts that used something.
    fn goes_on(&self) -> bool {
        self.carried != Usage::default()
    }

    /// Whether another attempt is about to go on, of which nothing has come yet.
    fn is_between(&self) -> bool {
        self.goes_on() && self.usage.is_none() && self.written_tokens == 0
    }
}

impl CallHold {
    pub(crate) fn new(
        reservation: Reservation,
        limits: Limits,
        demand: CallDemand,
        settlements: Arc<Settlements>,
    ) -> Self {
        let covered_input = demand.demand.input;
        Self {
            reservation,
            limits,
            demand,
            settlements,
            covered_input,
            covered_output: demand.demand.all_output(),
            estimated_input: demand.one_input,
            growth: None,
        }
    }

    /// The money that is held; none where no budget applies.
    pub(crate) fn money(&self) -> Option<MicroDollars> {
        self.limits.budget.as_ref().map(|_| self.reservation.hold.money())
    }

    /// Ends the reservation behind the call.
    pub(crate) fn settle(self, usage: tenants::Usage, clock: Clock) {
        let settlement = Settlement { reservation: self.reservation, usage };
        self.settlements.settle(settlement, self.limits, clock);
    }

    /// Grows the hold while its stream outgrows it, and lets the stream wait once it has. The error
    /// ends the stream: nothing is left that could be held.
    pub(crate) fn poll_growth(
        &mut self,
        progress: Progress,
        time: (Clock, Duration),
        cx: &mut Context<'_>,
    ) -> Poll<Option<Error>> {
        if self.growth.is_none() {
            let Some(extra) = self.missing(progress, time) else { return Poll::Ready(None) };
            let growth = self.grow(extra, time.0.now() / 1000);
            self.growth = Some((extra, Mutex::new(growth)));
        }
        let Some((extra, growth)) = self.growth.as_mut() else { return Poll::Ready(None) };
        let extra = *extra;
        let growth = growth.get_mut().unwrap_or_else(PoisonError::into_inner);
        let Poll::Ready(outcome) = growth.as_mut().poll(cx) else {
            // As long as the hold pays for what has come, the stream goes on while the write is
            // made. Another target is asked only when its input is paid for.
            let has_room = progress.output() <= self.covered_output && !progress.is_between();
            return if has_room { Poll::Ready(None) } else { Poll::Pending };
        };
        self.growth = None;
        let only_renewed = extra == Extra { until: extra.until, ..Extra::default() };
        match outcome {
            Ok(TopUp::Granted(reservation)) => self.reservation = reservation,
            Ok(TopUp::Refused) if !only_renewed => return Poll::Ready(Some(self.outgrown())),
            // A renewal alone adds no money, so that its refusal says nothing about a limit.
            Ok(TopUp::Refused) => {}
            Err(cause) => {
                let policy = self.settlements.ledger.when_unreachable(&self.limits);
                if !only_renewed && policy == WhenUnreachable::Closed {
                    return Poll::Ready(Some(unreachable(cause)));
                }
                tracing::warn!(%cause, "failed to grow the reservation of a stream");
            }
        }
        // Also after a failed write: a store that fails must not stop an open stream at every batch.
        self.covered_output = self.covered_output.saturating_add(extra.output);
        Poll::Ready(None)
    }

    /// What the hold lacks to pay for what was received and a little more; none where it suffices.
    fn missing(
        &mut self,
        progress: Progress,
        (clock, allowed): (Clock, Duration),
    ) -> Option<Extra> {
        let mut extra = Extra::default();
        let now = clock.now() / 1000;
        // A hold that ends while its stream goes on would be charged as lost.
        if self.reservation.hold.until < now + RENEWAL_MARGIN {
            extra.until = now + allowed.as_secs().max(2 * RENEWAL_MARGIN);
        }

        let written = progress.output();
        // A provider that was told a limit keeps to it, so that only an estimate can pass it a little.
        let threshold = if self.demand.is_bounded {
            self.covered_output.saturating_add(self.covered_output / 2 + GROWTH_MARGIN)
        } else {
            self.covered_output.saturating_sub(GROWTH_MARGIN)
        };
        if threshold < written {
            extra.output = written.saturating_sub(self.covered_output) + MORE_OUTPUT_TOKENS;
        }
        let input = progress.input(self.estimated_input).saturating_sub(self.covered_input);
        // Some providers report their input late, or more of it than was estimated.
        self.covered_input = self.covered_input.saturating_add(input);
        let price = self.demand.demand.price;
        extra.cost = price.map_or(MicroDollars(0), |price| price.cost(input, extra.output));
        (extra != Extra::default()).then_some(extra)
    }

    fn grow(&self, extra: Extra, now: u64) -> Growth {
        let (settlements, limits) = (self.settlements.clone(), self.limits.clone());
        let reservation = self.reservation.clone();
        Box::pin(async move {
            for delay in GROWTH_DELAYS {
                match settlements.ledger.top_up(&reservation, extra, &limits, now).await {
                    Ok(grown) => return Ok(grown),
                    Err(cause) => tracing::debug!(%cause, "growing a hold again in {delay:?}"),
                }
                tokio::time::sleep(delay).await;
            }
            settlements.ledger.top_up(&reservation, extra, &limits, now).await
        })
    }

    fn outgrown(&self) -> Error {
        let message =
            "The response is longer than what was held for it, and nothing is left to hold more";
        exceeded(&self.limits, message)
    }
}

/// The error of a stream that needs more than it holds while nobody can say whether there is more.
fn unreachable(cause: StoreError) -> Error {
    let message = "The response is longer than what was held for it, and limits cannot be checked at the moment.";
    Error::new(ErrorKind::Unavailable, message).caused_by(cause)
}

/// The error of a call whose limits leave too little for its output.
pub(crate) fn exceeded(limits: &Limits, message: &str) -> Error {
    let (kind, source) = match &limits.budget {
        Some(_) => (ErrorKind::BudgetExceeded, LimitSource::Budget),
        None => (ErrorKind::RateLimited, LimitSource::DailyOutputTokens),
    };
    let message = format!("{message} (`{}`).", source.field());
    let mut error = Error::new(kind, message).from_origin(Origin::Policy);
    error.limit = Some(LimitDetails {
        reason: kind.code(),
        source: source.field(),
        reset: None,
        should_retry: false,
    });
    error
}

impl fmt::Debug for CallHold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallHold").field("reservation", &self.reservation).finish_non_exhaustive()
    }
}

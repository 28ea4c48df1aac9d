//! Settlement: ends the reservations of calls behind their responses, and announces what that shows.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use storage::StoreError;
use telemetry::sums;
use tenants::{
    AdmissionRequest, Alert, Decision, Demand, Expired, Ledger, LedgerKey, LimitSource, Limits,
    ReservationId, Settled, Settlement, Usage,
};
use tokio::sync::Notify;

use crate::{Clock, Configuration, alerts, background::OwnedWrite};

/// The waits between the attempts to write a settlement, while the store fails.
const RETRY_DELAYS: [Duration; 6] = [
    Duration::from_millis(50),
    Duration::from_millis(250),
    Duration::from_secs(1),
    Duration::from_secs(4),
    Duration::from_secs(15),
    Duration::from_secs(40),
];

/// The waits before the attempts to send an alert.
const ALERT_DELAYS: [Duration; 3] =
    [Duration::ZERO, Duration::from_millis(500), Duration::from_secs(5)];

/// How long an admission waits for a settlement that is under way, where it is refused only because
/// of what calls in flight hold.
const PENDING_TIMEOUT: Duration = Duration::from_secs(2);

/// The ledger as calls use it, with the settlements that are under way.
#[derive(Debug)]
pub(crate) struct Settlements {
    pub(crate) ledger: Ledger,
    configuration: Configuration,
    pending: Mutex<Pending>,
    ended: Notify,
}

/// The settlements that are under way.
#[derive(Debug, Default)]
struct Pending {
    /// The number of the next settlement.
    next: u64,
    /// The numbers of the settlements, by row. How many there are tells nothing of an end, since
    /// others begin meanwhile.
    rows: HashMap<LedgerKey, Vec<u64>>,
}

/// What a call asks the ledger to hold for it.
#[derive(Clone, Debug)]
pub(crate) struct WantedHold {
    pub(crate) key: LedgerKey,
    pub(crate) limits: Limits,
    pub(crate) demand: Demand,
    pub(crate) id: ReservationId,
    /// When the call ends at the latest, in seconds since 1970.
    pub(crate) deadline: u64,
}

impl WantedHold {
    fn request(&self) -> AdmissionRequest<'_> {
        let Self { key, limits, demand, id, deadline } = self;
        AdmissionRequest { key, limits, demand: *demand, id, deadline: *deadline }
    }
}

impl Settlements {
    pub(crate) fn new(ledger: Ledger, configuration: Configuration) -> Self {
        Self { ledger, configuration, pending: Mutex::default(), ended: Notify::new() }
    }

    /// Admits a call. A client whose last call is being settled at this moment does not have to wait
    /// and ask again. What a call has reserved whose client left meanwhile is given back.
    pub(crate) async fn admit(self: &Arc<Self>, wanted: &WantedHold, clock: Clock) -> Decision {
        // Before the ledger is asked: a settlement may end between its answer and a look at those that
        // are under way, and would be missed.
        let pending = self.pending_of(&wanted.key);
        let decision = self.reserve(wanted.clone(), clock).await;
        self.count_lost_holds();
        let Decision::Refused { refusal, alert: None } = &decision else { return decision };
        // Other refusals do not pass with a settlement, so that waiting would only cost time.
        let is_held = refusal.waits_for_calls() || refusal.quota.source == LimitSource::Concurrency;
        if !is_held || !self.wait_for_settlement(&wanted.key, &pending).await {
            return decision;
        }
        self.reserve(wanted.clone(), clock).await
    }

    /// Reserves what a call may use, and gives it back if nobody waits for the outcome any more.
    fn reserve(self: &Arc<Self>, wanted: WantedHold, clock: Clock) -> OwnedWrite<Decision> {
        let (this, limits) = (self.clone(), wanted.limits.clone());
        let undo = move |decision| this.give_back(decision, limits, clock);
        let this = self.clone();
        let write = async move { this.ledger.admit(&wanted.request(), clock.now() / 1000).await };
        OwnedWrite::new(&self.configuration, write, undo)
    }

    /// Ends what a decision has left behind that no call takes up.
    fn give_back(self: &Arc<Self>, decision: Decision, limits: Limits, clock: Clock) {
        let release = match decision {
            Decision::Admitted(admission) => admission
                .reservation
                .map(|reservation| Settlement { reservation, usage: Usage::Nothing }),
            Decision::Unavailable(unavailable) => unavailable.release,
            Decision::Refused { alert, .. } => {
                return self.send_alert(alert.map(|alert| *alert), limits, clock);
            }
        };
        if let Some(release) = release {
            self.settle(release, limits, clock);
        }
    }

    /// Ends a reservation behind the call, and tries again while the store fails.
    pub(crate) fn settle(self: &Arc<Self>, settlement: Settlement, limits: Limits, clock: Clock) {
        let key = settlement.reservation.key.clone();
        // Counted before the task starts, so that a call which comes next sees it.
        let number = self.note_begun(&key);
        let this = self.clone();
        self.configuration.start_behind(async move {
            let outcome = this.write(&settlement, &limits, clock).await;
            // Also after a failure, or calls would wait for a settlement that never comes.
            this.note_ended(&key, number);
            this.count_lost_holds();
            match outcome {
                Ok(settled) => this.announce(settled, &limits, clock).await,
                Err(cause) => {
                    let tenant = key.partition();
                    tracing::error!(%cause, tenant, "a call was not settled; its hold expires as lost");
                }
            }
        });
    }

    /// Counts the holds of dead owners that this process has charged, behind the call.
    fn count_lost_holds(&self) {
        let holds = self.ledger.take_expired();
        if holds == 0 {
            return;
        }
        let table = self.configuration.stores().state.clone();
        self.configuration.start_behind(async move {
            if let Err(cause) = sums::count_lost_holds(&*table, holds).await {
                tracing::warn!(%cause, holds, "failed to count lost holds");
            }
        });
    }

    /// Sends an alert that this process has claimed, behind the call.
    pub(crate) fn send_alert(self: &Arc<Self>, alert: Option<Alert>, limits: Limits, clock: Clock) {
        let Some(alert) = alert else { return };
        let this = self.clone();
        self.configuration.start_behind(async move { this.send(alert, &limits, clock).await });
    }

    async fn write(
        &self,
        settlement: &Settlement,
        limits: &Limits,
        clock: Clock,
    ) -> Result<Settled, StoreError> {
        // A minute in all: an outage of the store that is longer leaves the hold to expire.
        for delay in RETRY_DELAYS {
            match self.ledger.settle(settlement, limits, clock.now() / 1000).await {
                Ok(settled) => return Ok(settled),
                Err(cause) => {
                    tracing::warn!(%cause, "failed to settle a call; trying again in {delay:?}");
                }
            }
            tokio::time::sleep(delay).await;
        }
        self.ledger.settle(settlement, limits, clock.now() / 1000).await
    }

    async fn announce(&self, settled: Settled, limits: &Limits, clock: Clock) {
        for Expired { attribute, cost } in settled.expired {
            tracing::warn!(reservation = attribute, %cost, "charged the hold of a lost call");
        }
        if let Some(alert) = settled.alert {
            self.send(alert, limits, clock).await;
        }
    }

    async fn send(&self, alert: Alert, limits: &Limits, clock: Clock) {
        let mut due = Some(alert);
        while let Some(alert) = due.take() {
            for level in &alert.levels {
                tracing::warn!(
                    tenant = alert.tenant(),
                    level,
                    period = %alert.period,
                    spent_usd = %alert.spent,
                    budget_usd = %alert.budget,
                    "a level of a budget is reached"
                );
            }
            // Not marked as sent, so that another call takes it over after a minute.
            if !self.tell(&alert, clock).await {
                return;
            }
            match self.ledger.mark_sent(&alert, limits, clock.now() / 1000).await {
                Ok(next) => due = next,
                Err(cause) => tracing::warn!(%cause, "failed to mark an alert as sent"),
            }
        }
    }

    /// Tells everybody who is to know of an alert, again while somebody does not accept it. False where
    /// somebody never did: the next call takes the alert over.
    async fn tell(&self, alert: &Alert, clock: Clock) -> bool {
        for delay in ALERT_DELAYS {
            tokio::time::sleep(delay).await;
            if alerts::send(&self.configuration, alert, clock).await {
                return true;
            }
        }
        false
    }

    /// Waits for a settlement of a row that is under way. False where none ends soon.
    async fn wait_for_settlement(&self, key: &LedgerKey, before: &[u64]) -> bool {
        let awaited = [before, &self.pending_of(key)].concat();
        if awaited.is_empty() {
            return false;
        }
        let ended = async {
            loop {
                let mut ended = std::pin::pin!(self.ended.notified());
                // Registered before the look at the count, or an end in between would be missed.
                ended.as_mut().enable();
                let pending = self.pending_of(key);
                if awaited.iter().any(|number| !pending.contains(number)) {
                    return;
                }
                ended.await;
            }
        };
        tokio::time::timeout(PENDING_TIMEOUT, ended).await.is_ok()
    }

    fn pending_of(&self, key: &LedgerKey) -> Vec<u64> {
        self.pending().rows.get(key).cloned().unwrap_or_default()
    }

    /// Notes that a settlement of a row is under way, and gives its number.
    fn note_begun(&self, key: &LedgerKey) -> u64 {
        let mut pending = self.pending();
        let number = pending.next;
        pending.next += 1;
        pending.rows.entry(key.clone()).or_default().push(number);
        number
    }

    fn note_ended(&self, key: &LedgerKey, number: u64) {
        let mut pending = self.pending();
        if let Some(numbers) = pending.rows.get_mut(key) {
            numbers.retain(|it| *it != number);
            if numbers.is_empty() {
                pending.rows.remove(key);
            }
        }
        drop(pending);
        self.ended.notify_waiters();
    }

    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use crate::tests::support::{TestGateway, UNREACHABLE};

    use super::*;

    #[tokio::test]
    async fn the_end_of_a_settlement_is_seen_while_others_begin() {
        let gateway = TestGateway::start(UNREACHABLE).await;
        let settlements = gateway.gateway.settlements.clone();
        let key = LedgerKey::tenant("search");
        let (first, _) = (settlements.note_begun(&key), settlements.note_begun(&key));
        let waiting = settlements.wait_for_settlement(&key, &[]);
        let replaced = async {
            settlements.note_begun(&key);
            settlements.note_ended(&key, first);
        };
        let started = std::time::Instant::now();
        assert!(tokio::join!(waiting, replaced).0);
        assert!(started.elapsed() < PENDING_TIMEOUT);
        assert!(!settlements.wait_for_settlement(&LedgerKey::tenant("other"), &[]).await);
    }
}

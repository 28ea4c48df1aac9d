//! The ledger: admits calls against their tenant's limits, settles what they used, and charges
//! what was lost, exactly over any number of instances.
//!
//! Every change is one conditional write of one row per tenant. Times are parameters, prices are
//! the caller's, and a failed write of a settlement is the caller's to repeat.

mod adjustment;

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use canonical::MicroDollars;
use storage::{Consistency, StoreError, Table, Tallied, Tallies, Tally};

use crate::{
    admission::{AdmissionRequest, Admit, SORT_KEY, requests_only},
    alert::Alert,
    expiry_watch::ExpiryWatch,
    limits::Limits,
    quota::Quota,
    refusal::Refusal,
    refusal_cache::{Before, RefusalCache},
    reservation::{Hold, LedgerKey, PREFIX, Reservation},
    row::LedgerRow,
    settlement::{self, Extra, ExtraRoom, Settlement, Usage},
    stale::StaleNames,
    usage::LedgerUsage,
};

pub use adjustment::{Adjusted, Adjustment};

/// How often an admission is tried when other calls keep changing the row.
const MAX_ADMISSION_WRITES: usize = 3;

/// How often a settlement is tried when the hold is not what its owner remembers.
const MAX_SETTLEMENT_WRITES: usize = 4;

/// How many lost reservations one call clears away.
const MAX_EXPIRED_AT_ONCE: usize = 16;

/// What a client is told to wait when the store cannot be reached, in seconds.
const STORE_RETRY_SECONDS: u64 = 5;

/// Whether calls pass while the store cannot be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenUnreachable {
    /// Calls pass unlimited.
    Open,
    /// Calls are refused with 503.
    Closed,
}

/// What happens to limited calls while the store cannot be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnreachablePolicy {
    /// For tenants with limits but no budget.
    pub rate_limits: WhenUnreachable,
    /// For tenants with a budget.
    pub budgets: WhenUnreachable,
}

impl Default for UnreachablePolicy {
    /// Rate limits fail open, budgets closed.
    fn default() -> Self {
        Self { rate_limits: WhenUnreachable::Open, budgets: WhenUnreachable::Closed }
    }
}

/// Whether a call may go on.
#[derive(Debug)]
pub enum Decision {
    /// The call may go on.
    Admitted(Admission),
    /// The call is refused, and changed nothing.
    Refused {
        /// The reason, for the client.
        refusal: Box<Refusal>,
        /// Levels of the budget that this process has to announce, and then mark as sent: the
        /// instance that reached them died before it did.
        alert: Option<Box<Alert>>,
    },
    /// The store cannot be reached, and the call may not go on without it.
    Unavailable(Unavailable),
}

/// A call that may go on.
#[derive(Debug, Default)]
pub struct Admission {
    /// What the call holds. It must be settled on every way out.
    pub reservation: Option<Reservation>,
    /// The most output tokens that the provider may be asked for, where the budget allows fewer
    /// than the client wanted: the response says `X-Gateway-Budget: capped`.
    pub capped_output: Option<u64>,
    /// Where the tenant stands against each of its limits, for the rate-limit headers; without what
    /// other calls hold.
    pub quotas: Vec<Quota>,
    /// The reason for the log, where the call passes only because the store cannot be reached.
    pub unreachable: Option<StoreError>,
}

/// A call that cannot go on without the store: the client gets 503.
#[derive(Debug)]
pub struct Unavailable {
    /// The value of `Retry-After`, in seconds.
    pub retry_after: u64,
    /// What to settle in the background, since the write may have been made all the same.
    pub release: Option<Settlement>,
    /// The reason, for the log.
    pub cause: StoreError,
}

/// The outcome of a settlement.
#[derive(Debug)]
pub struct Settled {
    /// Whether this settlement ended the reservation.
    pub ended: Ended,
    /// Levels of the budget that this process has to announce, and then mark as sent.
    pub alert: Option<Alert>,
    /// Holds of dead owners that were charged as lost on the way.
    pub expired: Vec<Expired>,
}

/// Who ended a reservation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// This settlement.
    Now,
    /// An earlier delivery of the settlement, or the expiry of the reservation.
    Before,
}

/// A hold that was charged as lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expired {
    /// The attribute of the reservation.
    pub attribute: String,
    /// The money that was charged.
    pub cost: MicroDollars,
}

/// The outcome of a top-up.
#[derive(Debug)]
pub enum TopUp {
    /// The stream may go on: its reservation from now on.
    Granted(Reservation),
    /// The limits leave no room: the stream ends with the budget error of its format.
    Refused,
}

/// The ledger of every tenant, over one table.
#[derive(Debug)]
pub struct Ledger {
    table: Arc<dyn Table>,
    policy: Mutex<UnreachablePolicy>,
    refusals: RefusalCache,
    stale: StaleNames,
    looks: ExpiryWatch,
    /// How many holds of dead owners were charged since that was last asked.
    expired: AtomicU64,
}

impl Ledger {
    /// A ledger in this table.
    pub fn new(table: Arc<dyn Table>, policy: UnreachablePolicy) -> Self {
        let policy = Mutex::new(policy);
        Self {
            table,
            policy,
            refusals: RefusalCache::default(),
            stale: StaleNames::default(),
            looks: ExpiryWatch::default(),
            expired: AtomicU64::new(0),
        }
    }

    /// Follows another policy from now on: an operator has changed the configuration.
    pub fn follow(&self, policy: UnreachablePolicy) {
        *self.policy.lock().unwrap_or_else(PoisonError::into_inner) = policy;
    }

    /// Admits a call against every limit at once and reserves what it may use, with one write;
    /// with none where nothing is limited.
    pub async fn admit(&self, request: &AdmissionRequest<'_>, now: u64) -> Decision {
        if request.limits.is_unlimited() {
            return Decision::Admitted(Admission::default());
        }
        let needed = |source| request.demand.least(source);
        // A tenant that keeps calling at its limit would otherwise cost a write for each refusal.
        if let Some(refusal) = self.refusals.find(request.key, request.limits, needed, now) {
            return Decision::Refused { refusal: Box::new(refusal), alert: None };
        }
        let before = self.refusals.before(request.key, now);
        let mut admit = match Admit::new(request, now) {
            Ok(admit) => admit,
            Err(refusal) => return Decision::Refused { refusal, alert: None },
        };

        let mut seen = Tallies::default();
        for _ in 0..MAX_ADMISSION_WRITES {
            match self.write(request.key, admit.tally(self.stale.of(request.key, now)), now).await {
                Ok(Tallied::Done(row)) => return admitted(request, &admit, &row, now),
                // The same admission, whose response was lost: its hold is there already.
                Ok(Tallied::Refused(row)) if row.note(&request.id.attribute()).is_some() => {
                    return admitted(request, &admit, &row, now);
                }
                // What dead calls hold may be all that stands in the way.
                Ok(Tallied::Refused(row)) => {
                    seen = self.expire_lost(request.key, row, now).await.0;
                }
                Err(cause) => return self.unreachable(request.limits, &admit, cause),
            }
            match admit.reconsider(&seen) {
                Ok(next) => admit = next,
                Err(refusal) => return self.refused(request, refusal, &seen, before).await,
            }
        }
        self.refused(request, admit.outrun(&seen), &seen, before).await
    }

    /// Counts a request that neither holds nor pays anything, such as one that the cache serves,
    /// against the request windows alone.
    pub async fn count_request(&self, request: &AdmissionRequest<'_>, now: u64) -> Decision {
        let limits = requests_only(request.limits);
        self.admit(&AdmissionRequest { limits: &limits, ..request.clone() }, now).await
    }

    /// Ends a reservation and charges what its call used. May be repeated, and come late.
    ///
    /// Once a second it also charges the holds of dead owners in the row. It claims a budget's alert
    /// levels that are reached. What it fails at there, the next call does.
    pub async fn settle(
        &self,
        settlement: &Settlement,
        limits: &Limits,
        now: u64,
    ) -> Result<Settled, StoreError> {
        let Reservation { key, id, hold } = &settlement.reservation;
        let mut hold = hold.clone();
        let unread_notes = (!self.looks.is_due(key, now)).then_some(PREFIX);
        for _ in 0..MAX_SETTLEMENT_WRITES {
            let change = Tally { unread_notes, ..settlement.tally(&hold) };
            // Nobody waits for a settlement but those who are refused until it is made.
            let written = if self.refusals.waits_for_room(key) {
                self.write(key, change, now).await
            } else {
                self.write_soon(key, change, now).await
            };
            let (row, ended) = match written? {
                Tallied::Done(row) => (row, Ended::Now),
                Tallied::Refused(row) => match row.note(&id.attribute()) {
                    // A top-up whose response was lost, or another mind about the hold: the row is
                    // right.
                    Some(text) => {
                        hold = Hold::parse(text).ok_or_else(|| unreadable(text))?;
                        continue;
                    }
                    None => (row, Ended::Before),
                },
            };
            // Room came back, so that what was refused a moment ago may fit.
            self.refusals.forget(key);
            let (row, expired) = self.expire_lost(key, row, now).await;
            let alert = self.claim_alert(key, limits, &row, now).await;
            return Ok(Settled { ended, alert, expired });
        }
        Err(StoreError::new("settling a reservation", "it kept changing"))
    }

    /// Grows the reservation of a stream that outgrows its hold.
    pub async fn top_up(
        &self,
        reservation: &Reservation,
        extra: Extra,
        limits: &Limits,
        now: u64,
    ) -> Result<TopUp, StoreError> {
        let room = ExtraRoom {
            budget: limits.budget.as_ref().map(|budget| budget.amount),
            daily_output_tokens: limits.daily_output_tokens,
        };
        let mut reservation = reservation.clone();
        for _ in 0..MAX_SETTLEMENT_WRITES {
            let grown = settlement::grown(&reservation.hold, extra);
            let change = settlement::top_up(&reservation, extra, room);
            let hold = match self.write(&reservation.key, change, now).await? {
                Tallied::Done(_) => grown,
                Tallied::Refused(row) => match row.note(&reservation.id.attribute()) {
                    // The same top-up, whose response was lost.
                    Some(text) if text == grown.to_string() => grown,
                    Some(text) if text != reservation.hold.to_string() => {
                        // An earlier top-up, whose response was lost: the row is right.
                        reservation.hold = Hold::parse(text).ok_or_else(|| unreadable(text))?;
                        continue;
                    }
                    Some(_) | None => return Ok(TopUp::Refused),
                },
            };
            return Ok(TopUp::Granted(Reservation { hold, ..reservation }));
        }
        Err(StoreError::new("growing a reservation", "it kept changing"))
    }

    /// Marks an alert as sent, and claims the next one that became due meanwhile. A failure is to
    /// be repeated, or another instance sends the alert again.
    pub async fn mark_sent(
        &self,
        alert: &Alert,
        limits: &Limits,
        now: u64,
    ) -> Result<Option<Alert>, StoreError> {
        match self.write(&alert.key, alert.sent(), now).await? {
            Tallied::Done(row) => Ok(self.claim_alert(&alert.key, limits, &row, now).await),
            // Another instance has taken the claim over, and sends the alert once more.
            Tallied::Refused(_) => Ok(None),
        }
    }

    /// What the row says of a tenant: spent, held, lost and left.
    pub async fn usage(
        &self,
        key: &LedgerKey,
        limits: &Limits,
        now: u64,
    ) -> Result<LedgerUsage, StoreError> {
        let row = self.table.get_tallies(key.partition(), SORT_KEY, Consistency::Eventual, now);
        Ok(LedgerUsage::read(&row.await?.unwrap_or_default(), limits, now))
    }

    async fn refused(
        &self,
        request: &AdmissionRequest<'_>,
        refusal: Box<Refusal>,
        row: &Tallies,
        before: Before,
    ) -> Decision {
        self.refusals.keep(request.key, request.limits, &refusal, before);
        let alert = self.claim_alert(request.key, request.limits, row, before.now).await;
        Decision::Refused { refusal, alert: alert.map(Box::new) }
    }

    /// Whether a call with these limits goes on while the store cannot be reached.
    pub fn when_unreachable(&self, limits: &Limits) -> WhenUnreachable {
        let policy = *self.policy.lock().unwrap_or_else(PoisonError::into_inner);
        if limits.budget.is_some() { policy.budgets } else { policy.rate_limits }
    }

    fn unreachable(&self, limits: &Limits, admit: &Admit<'_>, cause: StoreError) -> Decision {
        match self.when_unreachable(limits) {
            // The write may have been made: the call settles under the same id either way.
            WhenUnreachable::Open => Decision::Admitted(Admission {
                reservation: admit.reservation(),
                capped_output: admit.capped_output(),
                quotas: vec![],
                unreachable: Some(cause),
            }),
            WhenUnreachable::Closed => {
                let release = admit
                    .reservation()
                    .map(|reservation| Settlement { reservation, usage: Usage::Nothing });
                Decision::Unavailable(Unavailable {
                    retry_after: STORE_RETRY_SECONDS,
                    release,
                    cause,
                })
            }
        }
    }

    /// Charges the holds of dead owners in a row; the row after that, and what was charged. A
    /// failure ends it quietly, since the next call sees the same holds.
    async fn expire_lost(
        &self,
        key: &LedgerKey,
        row: Tallies,
        now: u64,
    ) -> (Tallies, Vec<Expired>) {
        let lost = LedgerRow(&row).lost(now).take(MAX_EXPIRED_AT_ONCE);
        let lost = lost.map(|(attribute, text, hold)| {
            let change = settlement::expire(key, attribute, text, &hold);
            (Expired { attribute: attribute.to_owned(), cost: hold.money() }, change)
        });
        let lost: Vec<(Expired, Tally)> = lost.collect();
        let (mut latest, mut expired) = (row, vec![]);
        for (what, change) in lost {
            // Each hold on the condition of its own text: two instances that see it charge it once.
            match self.write(key, change, now).await {
                Ok(Tallied::Done(row)) => {
                    latest = row;
                    expired.push(what);
                }
                Ok(Tallied::Refused(row)) => latest = row,
                Err(_) => break,
            }
        }
        self.expired.fetch_add(u64::try_from(expired.len()).unwrap_or_default(), Ordering::Relaxed);
        (latest, expired)
    }

    /// How many holds of dead owners were charged since this was last asked.
    pub fn take_expired(&self) -> u64 {
        self.expired.swap(0, Ordering::Relaxed)
    }

    async fn claim_alert(
        &self,
        key: &LedgerKey,
        limits: &Limits,
        row: &Tallies,
        now: u64,
    ) -> Option<Alert> {
        let (alert, claim) = Alert::due(key, limits.budget.as_ref()?, row, now)?;
        let claimed = self.write(key, claim, now).await;
        matches!(claimed, Ok(Tallied::Done(_))).then_some(alert)
    }

    /// Makes one change and remembers which attributes of the row are stale.
    async fn write(&self, key: &LedgerKey, change: Tally, now: u64) -> Result<Tallied, StoreError> {
        let written = self.table.tally(&without_contradictions(change)).await?;
        self.stale.remember(key, row_of(&written), now);
        Ok(written)
    }

    /// Makes one change that the store may hold back for a moment, as [`Self::write`] does.
    async fn write_soon(
        &self,
        key: &LedgerKey,
        change: Tally,
        now: u64,
    ) -> Result<Tallied, StoreError> {
        let written = self.table.tally_soon(&without_contradictions(change)).await?;
        self.stale.remember(key, row_of(&written), now);
        Ok(written)
    }
}

fn row_of(written: &Tallied) -> &Tallies {
    let (Tallied::Done(row) | Tallied::Refused(row)) = written;
    row
}

/// The change without the removal of what it adds to: a late settlement may add to a window that is
/// stale by now.
fn without_contradictions(mut change: Tally) -> Tally {
    let Tally { add, remove, .. } = &mut change;
    remove.retain(|name| !add.iter().any(|(added, _)| added == name));
    change
}

fn admitted(
    request: &AdmissionRequest<'_>,
    admit: &Admit<'_>,
    row: &Tallies,
    now: u64,
) -> Decision {
    let mut reservation = admit.reservation();
    if let Some(reservation) = &mut reservation
        && let Some(hold) = row.note(&request.id.attribute()).and_then(Hold::parse)
    {
        // An earlier delivery of the same admission may hold more than this one asks for.
        reservation.hold = hold;
    }
    Decision::Admitted(Admission {
        reservation,
        capped_output: admit.capped_output(),
        quotas: LedgerRow(row).taken_quotas(request.limits, now),
        unreachable: None,
    })
}

fn unreadable(text: &str) -> StoreError {
    StoreError::new("reading a reservation", format!("its hold `{text}` is unreadable"))
}

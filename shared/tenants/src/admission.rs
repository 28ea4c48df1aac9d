//! Admission: the one conditional write that admits a call against every limit and reserves what
//! the call may use, and the reasons against it.
//!
//! Plain values: the ledger sends what is built here and asks what a response means.

use storage::{Condition, Tallies, Tally};

use crate::{
    demand::Demand,
    limits::{Budget, LimitSource, Limits, Unpriced},
    quota::Quota,
    refusal::{Refusal, RefusalKind},
    reservation::{Hold, LedgerKey, PREFIX, Reservation, ReservationId},
    row::{LIVE, LedgerRow},
    window::{BudgetPeriod, DAY, Period, Window, input_attribute, output_attribute},
};

/// The key of a ledger row within its partition.
pub(crate) const SORT_KEY: &str = "ledger";

/// How long a ledger row outlives its budget period, in seconds.
const ROW_OUTLIVES_PERIOD: u64 = 40 * DAY;

/// The longest wait that is advised for calls in flight to end, in seconds.
const MAX_WAIT_FOR_CALLS: u64 = 10;

/// A call that asks to be admitted.
#[derive(Clone, Debug)]
pub struct AdmissionRequest<'a> {
    /// The row of who is limited.
    pub key: &'a LedgerKey,
    /// The limits.
    pub limits: &'a Limits,
    /// The most that the call may use.
    pub demand: Demand,
    /// The name of the call's reservation.
    pub id: &'a ReservationId,
    /// When the call ends at the latest, in seconds since 1970.
    pub deadline: u64,
}

/// One limit that an admission takes from.
#[derive(Clone, Debug)]
struct Charge {
    source: LimitSource,
    attribute: String,
    limit: u64,
    amount: u64,
}

/// The write for one admission.
#[derive(Clone, Debug)]
pub(crate) struct Admit<'a> {
    request: &'a AdmissionRequest<'a>,
    demand: Demand,
    now: u64,
    /// What the demand takes of each limit.
    charges: Vec<Charge>,
}

impl<'a> Admit<'a> {
    /// The write for a call that may use as much as this.
    fn of(request: &'a AdmissionRequest<'a>, demand: Demand, now: u64) -> Self {
        Self { request, demand, now, charges: charges(request.limits, &demand, now) }
    }

    /// The write for a call, shrunk to the whole budget where it is larger; a refusal where no
    /// state of the row could admit it.
    pub(crate) fn new(request: &'a AdmissionRequest<'a>, now: u64) -> Result<Self, Box<Refusal>> {
        let admit = Self::of(request, request.demand, now);
        let untouched = Tallies::default();
        // Known without the row, so that the refusal costs no write.
        if let Some(budget) = &request.limits.budget
            && request.demand.price.is_none()
            && budget.unpriced == Unpriced::Refuse
        {
            return Err(admit.refusal(
                LedgerRow(&untouched),
                LimitSource::Budget,
                RefusalKind::BudgetUnpriced,
                None,
            ));
        }
        // Against a row that is empty: what no row could admit is refused without a write.
        admit.reconsider(&untouched)
    }

    /// The admission that this state of the row allows, shrunk if it must be, or the refusal.
    pub(crate) fn reconsider(&self, tallies: &Tallies) -> Result<Self, Box<Refusal>> {
        let row = LedgerRow(tallies);
        // From the whole demand each time: a row that another call has freed may have room for it
        // again.
        let whole = Self::of(self.request, self.request.demand, self.now);
        if whole.fits(row) {
            return Ok(whole);
        }
        let shrunk = self.request.demand.shrunk(self.money_left(row), self.output_left(row));
        let shrunk = shrunk.map(|demand| Self::of(self.request, demand, self.now));
        match shrunk.filter(|admit| admit.fits(row)) {
            Some(admit) => Ok(admit),
            None => Err(self.explain(row)),
        }
    }

    /// The change to be made. Attributes in `stale` are removed on the way.
    pub(crate) fn tally(&self, stale: Vec<String>) -> Tally {
        // DynamoDB's conditions compare and do no arithmetic, so that the room is computed here.
        let at_most = self.charges.iter().map(|charge| {
            let most = signed(charge.limit).saturating_sub(signed(charge.amount));
            Condition::AtMost(charge.attribute.clone(), most)
        });
        let mut conditions: Vec<Condition> = at_most.collect();
        let mut set = vec![];
        if self.request.limits.reserves() {
            let attribute = self.request.id.attribute();
            // An attempt that was repeated by the SDK must not hold twice.
            conditions.push(Condition::Absent(attribute.clone()));
            set.push((attribute, self.hold().to_string()));
        }
        let charges = self.charges.iter();
        let amounts = charges.map(|charge| (charge.attribute.clone(), signed(charge.amount)));
        let mut add: Vec<(String, i64)> = amounts.collect();
        // Calls in flight are counted where nothing limits them, too: a refusal tells how soon one
        // may end.
        if self.request.limits.reserves() && self.request.limits.max_concurrent.is_none() {
            add.push((LIVE.to_owned(), 1));
        }
        Tally {
            pk: self.request.key.partition().to_owned(),
            sk: SORT_KEY.to_owned(),
            conditions,
            add,
            set,
            remove: stale,
            expires: Some(self.row_expiry()),
            unread_notes: Some(PREFIX),
        }
    }

    /// The reservation that the write makes; none where only requests are counted.
    pub(crate) fn reservation(&self) -> Option<Reservation> {
        let AdmissionRequest { key, id, limits, .. } = *self.request;
        limits.reserves().then(|| Reservation {
            key: key.clone(),
            id: id.clone(),
            hold: self.hold(),
        })
    }

    /// The most output tokens of one choice that the provider may be asked for, where the hold
    /// was shrunk.
    pub(crate) fn capped_output(&self) -> Option<u64> {
        (self.demand.output < self.request.demand.output).then_some(self.demand.output)
    }

    /// The refusal when others keep taking what the row had left.
    pub(crate) fn outrun(&self, tallies: &Tallies) -> Box<Refusal> {
        let row = LedgerRow(tallies);
        let charges = self.charges.iter();
        let scarce = charges.min_by_key(|it| it.limit.saturating_sub(row.taken(&it.attribute)));
        let source = scarce.map_or(LimitSource::Concurrency, |charge| charge.source);
        self.refusal(row, source, RefusalKind::RateLimit, Some(self.now + 1))
    }

    fn hold(&self) -> Hold {
        let limits = self.request.limits;
        Hold {
            cost: if limits.budget.is_some() { self.demand.cost().0 } else { 0 },
            input: limits.daily_input_tokens.map(|_| self.demand.input),
            output: limits.daily_output_tokens.map(|_| self.demand.all_output()),
            day: self.now / DAY,
            period: self.period().map(|period| period.to_string()),
            until: self.request.deadline,
        }
    }

    fn budget(&self) -> Option<&'a Budget> {
        self.request.limits.budget.as_ref()
    }

    fn period(&self) -> Option<Period> {
        self.budget().map(|budget| Period::containing(self.now, budget.period))
    }

    fn row_expiry(&self) -> u64 {
        let length = self.budget().map_or(BudgetPeriod::Month, |budget| budget.period);
        Period::containing(self.now, length).end() + ROW_OUTLIVES_PERIOD
    }

    fn fits(&self, row: LedgerRow<'_>) -> bool {
        self.charges.iter().all(|charge| charge.fits(row))
    }

    fn money_left(&self, row: LedgerRow<'_>) -> Option<u64> {
        let committed = row.taken(&self.period()?.committed_attribute());
        Some(self.budget()?.amount.0.saturating_sub(committed))
    }

    fn output_left(&self, row: LedgerRow<'_>) -> Option<u64> {
        let limit = self.request.limits.daily_output_tokens?;
        Some(limit.saturating_sub(row.taken(&output_attribute(self.now / DAY))))
    }

    /// The refusal by the limit that frees last.
    fn explain(&self, row: LedgerRow<'_>) -> Box<Refusal> {
        // With the smallest demand: what only fails because it is large would have been shrunk.
        let smallest = Self::of(self.request, self.request.demand.smallest(), self.now);
        let failing = smallest.charges.iter().filter(|charge| !charge.fits(row));
        let refusals = failing.map(|charge| smallest.refuse(charge, row));
        // Waiting for one limit is in vain while another refuses for longer.
        let last = refusals.max_by_key(|refusal| refusal.retry_at.unwrap_or(u64::MAX));
        last.unwrap_or_else(|| self.outrun(row.0))
    }

    fn refuse(&self, charge: &Charge, row: LedgerRow<'_>) -> Box<Refusal> {
        let source = charge.source;
        let quota = quota_of(&row.quotas(self.request.limits, self.now), source);
        let settled = quota.used.saturating_sub(quota.held);
        let fits_when_calls_end = settled.saturating_add(charge.amount) <= charge.limit;
        let is_too_large = charge.limit < charge.amount;
        let (kind, retry_at) = match source {
            LimitSource::Budget if is_too_large && charge.limit != 0 => {
                (RefusalKind::RequestExceedsBudget, None)
            }
            LimitSource::Budget if is_too_large => (RefusalKind::BudgetExceeded, None),
            _ if is_too_large => (RefusalKind::RateLimit, None),
            // What calls in flight hold comes back; requests of a window do not.
            _ if !source.counts_requests() && fits_when_calls_end => {
                (RefusalKind::RateLimit, Some(self.now + wait_for_calls(row.in_flight())))
            }
            LimitSource::Budget => (RefusalKind::BudgetExceeded, quota.reset),
            _ => (RefusalKind::RateLimit, quota.reset),
        };
        self.refusal(row, source, kind, retry_at)
    }

    fn refusal(
        &self,
        row: LedgerRow<'_>,
        source: LimitSource,
        kind: RefusalKind,
        retry_at: Option<u64>,
    ) -> Box<Refusal> {
        let charge = self.charges.iter().find(|charge| charge.source == source);
        let quotas = row.quotas(self.request.limits, self.now);
        Box::new(Refusal {
            kind,
            quota: quota_of(&quotas, source),
            needed: charge.map_or(0, |charge| charge.amount),
            retry_at,
            in_flight: row.in_flight(),
            quotas,
        })
    }
}

/// Where a tenant stands against one limit; nothing is left of one that is not there.
fn quota_of(quotas: &[Quota], source: LimitSource) -> Quota {
    let quota = quotas.iter().find(|quota| quota.source == source).copied();
    quota.unwrap_or(Quota { source, limit: 0, used: 0, held: 0, reset: None })
}

/// What a call takes of each limit that there is.
fn charges(limits: &Limits, demand: &Demand, now: u64) -> Vec<Charge> {
    let windows = [
        (LimitSource::RequestsPerMinute, Window::Minute, limits.requests_per_minute),
        (LimitSource::RequestsPerHour, Window::Hour, limits.requests_per_hour),
        (LimitSource::RequestsPerDay, Window::Day, limits.requests_per_day),
    ];
    let windows = windows.into_iter().filter_map(|(source, window, limit)| {
        Some(Charge { source, limit: limit?, attribute: window.attribute(now), amount: 1 })
    });
    let input = limits.daily_input_tokens.map(|limit| Charge {
        source: LimitSource::DailyInputTokens,
        attribute: input_attribute(now / DAY),
        limit,
        amount: demand.input,
    });
    let output = limits.daily_output_tokens.map(|limit| Charge {
        source: LimitSource::DailyOutputTokens,
        attribute: output_attribute(now / DAY),
        limit,
        amount: demand.all_output(),
    });
    let concurrency = limits.max_concurrent.map(|limit| Charge {
        source: LimitSource::Concurrency,
        attribute: LIVE.to_owned(),
        limit,
        amount: 1,
    });
    let budget = limits.budget.as_ref().map(|budget| Charge {
        source: LimitSource::Budget,
        attribute: Period::containing(now, budget.period).committed_attribute(),
        limit: budget.amount.0,
        amount: demand.cost().0,
    });
    windows.chain(input).chain(output).chain(concurrency).chain(budget).collect()
}

impl Charge {
    fn fits(&self, row: LedgerRow<'_>) -> bool {
        row.taken(&self.attribute).saturating_add(self.amount) <= self.limit
    }
}

/// The write that counts a request against the request windows alone; none where none is limited.
/// A cached response takes this way: it holds and pays nothing.
pub(crate) fn requests_only(limits: &Limits) -> Limits {
    Limits {
        requests_per_minute: limits.requests_per_minute,
        requests_per_hour: limits.requests_per_hour,
        requests_per_day: limits.requests_per_day,
        ..Limits::default()
    }
}

/// How long to wait for one of several calls to end: the more there are, the sooner.
fn wait_for_calls(in_flight: u64) -> u64 {
    MAX_WAIT_FOR_CALLS.checked_div(in_flight).unwrap_or(1).max(1)
}

/// A number as the store keeps it.
pub(crate) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

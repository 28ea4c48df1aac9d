//! The ledger row as it is read: counters, sums and open reservations.

use std::ops::Bound;

use storage::Tallies;

use crate::{
    limits::{LimitSource, Limits},
    quota::Quota,
    reservation::{BEHIND_PREFIX, Hold, PREFIX},
    window::{DAY, Period, Window, input_attribute, is_stale, output_attribute},
};

/// The attribute that counts open reservations.
pub(crate) const LIVE: &str = "live";

/// How long after its deadline a reservation counts as lost, in seconds. An owner that lives ends
/// its call by the deadline and has settled long before.
pub(crate) const EXPIRY_MARGIN: u64 = 60;

/// A reading of a ledger row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LedgerRow<'a>(pub(crate) &'a Tallies);

impl<'a> LedgerRow<'a> {
    /// A counter or sum, as what is taken of a limit: never below 0.
    pub(crate) fn taken(self, attribute: &str) -> u64 {
        u64::try_from(self.0.number(attribute)).unwrap_or(0)
    }

    /// Every reservation that is open: the attribute, its text and what it holds. A text that
    /// cannot be read holds nothing and never expires.
    pub(crate) fn reservations(self) -> impl Iterator<Item = (&'a str, &'a str, Hold)> {
        self.reservation_texts().map(|(attribute, text)| {
            // Never expired by a version that cannot read it: its owner settles it by the text.
            let hold = Hold::parse(text).unwrap_or(Hold { until: u64::MAX, ..Hold::default() });
            (attribute, text, hold)
        })
    }

    fn reservation_texts(self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let notes = self.0.notes.range::<str, _>((Bound::Included(PREFIX), Bound::Unbounded));
        let notes = notes.map(|(attribute, text)| (attribute.as_ref(), text.as_ref()));
        notes.take_while(|(attribute, _): &(&str, &str)| attribute.starts_with(PREFIX))
    }

    /// The reservations whose owners can no longer settle them.
    pub(crate) fn lost(self, now: u64) -> impl Iterator<Item = (&'a str, &'a str, Hold)> {
        let is_over = move |until: u64| until.saturating_add(EXPIRY_MARGIN) < now;
        // The deadline alone is read of those that are not over, which are nearly all: each
        // settlement looks at every open reservation of its tenant.
        let over = self.reservation_texts();
        let over = over.filter(move |(_, text)| Hold::deadline(text).is_some_and(is_over));
        over.filter_map(|(attribute, text)| Some((attribute, text, Hold::parse(text)?)))
    }

    /// How many calls are in flight.
    pub(crate) fn in_flight(self) -> u64 {
        self.taken(LIVE)
    }

    /// Attributes of windows long past, to be removed with the next write.
    pub(crate) fn stale(self, now: u64) -> impl Iterator<Item = String> {
        let Tallies { numbers, notes } = self.0;
        // Without the reservations, which are nearly all notes of a busy tenant and end otherwise.
        let before = notes.range::<str, _>((Bound::Unbounded, Bound::Excluded(PREFIX)));
        let behind = notes.range::<str, _>((Bound::Excluded(BEHIND_PREFIX), Bound::Unbounded));
        let names = numbers.keys().chain(before.chain(behind).map(|(name, _)| name));
        names.filter(move |name| is_stale(name, now)).map(ToString::to_string)
    }

    /// Where the tenant stands against each of its limits.
    pub(crate) fn quotas(self, limits: &Limits, now: u64) -> Vec<Quota> {
        let holds: Vec<Hold> = self.reservations().map(|(.., hold)| hold).collect();
        let sum = |amount: &dyn Fn(&Hold) -> Option<u64>| {
            holds.iter().filter_map(amount).fold(0, u64::saturating_add)
        };
        let period =
            limits.budget.as_ref().map(|it| Period::containing(now, it.period).to_string());
        let day = now / DAY;

        let mut quotas = self.taken_quotas(limits, now);
        for quota in &mut quotas {
            quota.held = match quota.source {
                LimitSource::RequestsPerMinute
                | LimitSource::RequestsPerHour
                | LimitSource::RequestsPerDay => 0,
                LimitSource::Concurrency => quota.used,
                LimitSource::DailyInputTokens => sum(&|it| it.input.filter(|_| it.day == day)),
                LimitSource::DailyOutputTokens => sum(&|it| it.output.filter(|_| it.day == day)),
                LimitSource::Budget => sum(&|it| (it.period == period).then_some(it.cost)),
            };
        }
        quotas
    }

    /// The quotas of [`Self::quotas`], without a look at what calls in flight hold: `held` is 0.
    pub(crate) fn taken_quotas(self, limits: &Limits, now: u64) -> Vec<Quota> {
        let requests = [
            (LimitSource::RequestsPerMinute, Window::Minute, limits.requests_per_minute),
            (LimitSource::RequestsPerHour, Window::Hour, limits.requests_per_hour),
            (LimitSource::RequestsPerDay, Window::Day, limits.requests_per_day),
        ];
        let requests = requests.into_iter().filter_map(|(source, window, limit)| {
            let (limit, used) = (limit?, self.taken(&window.attribute(now)));
            Some(Quota { source, limit, used, held: 0, reset: Some(window.end(now)) })
        });
        let others = [
            self.input_quota(limits, now),
            self.output_quota(limits, now),
            self.concurrency_quota(limits),
            self.budget_quota(limits, now),
        ];
        requests.chain(others.into_iter().flatten()).collect()
    }

    fn input_quota(self, limits: &Limits, now: u64) -> Option<Quota> {
        let (source, limit) = (LimitSource::DailyInputTokens, limits.daily_input_tokens?);
        let used = self.taken(&input_attribute(now / DAY));
        Some(Quota { source, limit, used, held: 0, reset: Some(Window::Day.end(now)) })
    }

    fn output_quota(self, limits: &Limits, now: u64) -> Option<Quota> {
        let (source, limit) = (LimitSource::DailyOutputTokens, limits.daily_output_tokens?);
        let used = self.taken(&output_attribute(now / DAY));
        Some(Quota { source, limit, used, held: 0, reset: Some(Window::Day.end(now)) })
    }

    fn concurrency_quota(self, limits: &Limits) -> Option<Quota> {
        let (source, limit) = (LimitSource::Concurrency, limits.max_concurrent?);
        Some(Quota { source, limit, used: self.in_flight(), held: 0, reset: None })
    }

    fn budget_quota(self, limits: &Limits, now: u64) -> Option<Quota> {
        let (source, budget) = (LimitSource::Budget, limits.budget.as_ref()?);
        let period = Period::containing(now, budget.period);
        let used = self.taken(&period.committed_attribute());
        Some(Quota { source, limit: budget.amount.0, used, held: 0, reset: Some(period.end()) })
    }
}

//! The ledger row as it is read: counters, sums and open reservations.

use storage::Tallies;

use crate::{
    limits::{LimitSource, Limits},
    quota::Quota,
    reservation::{Hold, PREFIX},
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
        let notes = self.0.notes.range(PREFIX.to_owned()..);
        let open = notes.take_while(|(attribute, _)| attribute.starts_with(PREFIX));
        open.map(|(attribute, text)| {
            // Never expired by a version that cannot read it: its owner settles it by the text.
            let hold = Hold::parse(text).unwrap_or(Hold { until: u64::MAX, ..Hold::default() });
            (attribute.as_str(), text.as_str(), hold)
        })
    }

    /// The reservations whose owners can no longer settle them.
    pub(crate) fn lost(self, now: u64) -> impl Iterator<Item = (&'a str, &'a str, Hold)> {
        self.reservations().filter(move |(.., hold)| hold.until.saturating_add(EXPIRY_MARGIN) < now)
    }

    /// How many calls are in flight.
    pub(crate) fn in_flight(self) -> u64 {
        self.taken(LIVE)
    }

    /// Attributes of windows long past, to be removed with the next write.
    pub(crate) fn stale(self, now: u64) -> Vec<String> {
        let names = self.0.numbers.keys().chain(self.0.notes.keys());
        names.filter(|attribute| is_stale(attribute, now)).cloned().collect()
    }

    /// Where the tenant stands against each of its limits.
    pub(crate) fn quotas(self, limits: &Limits, now: u64) -> Vec<Quota> {
        let requests = [
            (LimitSource::RequestsPerMinute, Window::Minute, limits.requests_per_minute),
            (LimitSource::RequestsPerHour, Window::Hour, limits.requests_per_hour),
            (LimitSource::RequestsPerDay, Window::Day, limits.requests_per_day),
        ];
        let requests = requests.into_iter().filter_map(|(source, window, limit)| {
            let (used, reset) = (self.taken(&window.attribute(now)), Some(window.end(now)));
            Some(Quota { source, limit: limit?, used, held: 0, reset })
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
        let day = now / DAY;
        let held = self.held(|hold| hold.input.filter(|_| hold.day == day));
        Some(Quota {
            source: LimitSource::DailyInputTokens,
            limit: limits.daily_input_tokens?,
            used: self.taken(&input_attribute(day)),
            held,
            reset: Some(Window::Day.end(now)),
        })
    }

    fn output_quota(self, limits: &Limits, now: u64) -> Option<Quota> {
        let day = now / DAY;
        let held = self.held(|hold| hold.output.filter(|_| hold.day == day));
        Some(Quota {
            source: LimitSource::DailyOutputTokens,
            limit: limits.daily_output_tokens?,
            used: self.taken(&output_attribute(day)),
            held,
            reset: Some(Window::Day.end(now)),
        })
    }

    fn concurrency_quota(self, limits: &Limits) -> Option<Quota> {
        let (limit, used) = (limits.max_concurrent?, self.in_flight());
        Some(Quota { source: LimitSource::Concurrency, limit, used, held: used, reset: None })
    }

    fn budget_quota(self, limits: &Limits, now: u64) -> Option<Quota> {
        let budget = limits.budget.as_ref()?;
        let period = Period::containing(now, budget.period);
        let name = period.to_string();
        let held =
            self.held(|hold| (hold.period.as_deref() == Some(name.as_str())).then_some(hold.cost));
        Some(Quota {
            source: LimitSource::Budget,
            limit: budget.amount.0,
            used: self.taken(&period.committed_attribute()),
            held,
            reset: Some(period.end()),
        })
    }

    fn held(self, amount: impl Fn(&Hold) -> Option<u64>) -> u64 {
        let amounts = self.reservations().filter_map(|(.., hold)| amount(&hold));
        amounts.fold(0, u64::saturating_add)
    }
}

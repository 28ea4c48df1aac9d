//! The row of one provider and key: what is added, what bounds it, what a refusal means.

use std::fmt;

use config::ProviderLimits;
use storage::{Condition, Tallies, Tally};

/// The partition of the `state` table that holds what providers allow.
const PARTITION: &str = "outbound";
/// How long a row lives after its last change, in seconds.
const ROW_LIFETIME: u64 = 2 * 24 * 60 * 60;
/// How many stale names one change removes.
const MAX_REMOVED: usize = 16;
const MINUTE_MS: u64 = 60 * 1_000;
const DAY_MS: u64 = 24 * 60 * MINUTE_MS;

/// What one attempt wants of the row.
#[derive(Debug)]
pub(super) struct Demand<'a> {
    pub(super) limits: &'a ProviderLimits,
    /// What tells the attempt from all others.
    pub(super) id: String,
    /// How many tokens it takes at least.
    pub(super) tokens: u64,
    /// When it is over at the latest, in milliseconds since 1970.
    pub(super) until: u64,
    /// The time, in milliseconds since 1970.
    pub(super) now: u64,
}

/// The limit that is reached, with its number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    RequestsPerMinute(u64),
    RequestsPerDay(u64),
    TokensPerMinute(u64),
    Concurrent(u64),
}

impl Refusal {
    /// Whether the limit that is reached is the one that there is.
    pub(super) fn is_of(&self, limits: &ProviderLimits) -> bool {
        let (limit, reached) = match self {
            Self::RequestsPerMinute(reached) => (limits.requests_per_minute, reached),
            Self::RequestsPerDay(reached) => (limits.requests_per_day, reached),
            Self::TokensPerMinute(reached) => (limits.tokens_per_minute, reached),
            Self::Concurrent(reached) => (limits.concurrent, reached),
        };
        limit == Some(*reached)
    }

    /// How long the refusal may last, in milliseconds.
    pub(super) fn window(&self) -> u64 {
        match self {
            Self::RequestsPerDay(_) => DAY_MS,
            Self::RequestsPerMinute(_) | Self::TokensPerMinute(_) => MINUTE_MS,
            Self::Concurrent(_) => 1_000,
        }
    }
}

/// The names of the windows of a moment.
#[derive(Clone, Debug)]
pub(super) struct Windows {
    minute: String,
    tokens: String,
    day: String,
}

impl Windows {
    pub(super) fn at(now: u64) -> Self {
        let (minute, day) = (now / MINUTE_MS, now / DAY_MS);
        Self { minute: format!("m{minute}"), tokens: format!("t{minute}"), day: format!("d{day}") }
    }

    fn holds(&self, name: &str) -> bool {
        [&self.minute, &self.tokens, &self.day].iter().any(|it| *it == name)
    }
}

/// Counts an attempt, if every limit has room for it.
pub(super) fn admit(sort_key: &str, demand: &Demand<'_>, stale: &[String]) -> Tally {
    let Demand { limits, id, tokens, until, now } = demand;
    let windows = Windows::at(*now);
    let mut change = change(sort_key);
    change.expires = Some(now / 1_000 + ROW_LIFETIME);
    let count = |change: &mut Tally, name: String, amount: u64, limit: Option<u64>| {
        let Some(limit) = limit else { return };
        // One that is larger than the limit itself fits into an empty window only.
        let room = limit.saturating_sub(amount);
        change.conditions.push(Condition::AtMost(name.clone(), whole(room)));
        change.add.push((name, whole(amount)));
    };
    count(&mut change, windows.minute.clone(), 1, limits.requests_per_minute);
    count(&mut change, windows.day.clone(), 1, limits.requests_per_day);
    count(&mut change, windows.tokens.clone(), *tokens, limits.tokens_per_minute);
    count(&mut change, "live".to_owned(), 1, limits.concurrent);
    if limits.concurrent.is_some() {
        change.set.push((id.clone(), until.to_string()));
    }
    let stale = stale.iter().filter(|name| !windows.holds(name));
    change.remove = stale.take(MAX_REMOVED).cloned().collect();
    change
}

/// Gives back the place of an attempt; once, however often it is asked.
pub(super) fn release(sort_key: &str, id: &str) -> Tally {
    Tally {
        // The note is the proof that the place is still held; without it the count would go below
        // zero.
        conditions: vec![Condition::Present(id.to_owned())],
        add: vec![("live".to_owned(), -1)],
        remove: vec![id.to_owned()],
        ..change(sort_key)
    }
}

/// Keeps the place of an attempt until a later time, in milliseconds since 1970.
pub(super) fn renew(sort_key: &str, id: &str, until: u64) -> Tally {
    Tally {
        // A place that was given back must not be taken again by a late write.
        conditions: vec![Condition::Present(id.to_owned())],
        set: vec![(id.to_owned(), until.to_string())],
        ..change(sort_key)
    }
}

/// Corrects the tokens of an attempt, from those that were counted to those that were used.
pub(super) fn correct(sort_key: &str, windows: &Windows, (counted, used): (u64, u64)) -> Tally {
    let name = windows.tokens.clone();
    Tally {
        // A window that was removed is over, and must not come back with a correction alone.
        conditions: vec![Condition::Present(name.clone())],
        add: vec![(name, whole(used) - whole(counted))],
        ..change(sort_key)
    }
}

/// Which limit refused an attempt, and until when it does, in milliseconds since 1970.
pub(super) fn refusal(row: &Tallies, demand: &Demand<'_>) -> (u64, Refusal) {
    let Demand { limits, tokens, now, .. } = demand;
    let windows = Windows::at(*now);
    let is_full = |name: &str, amount: u64, limit: u64| {
        whole(limit.saturating_sub(amount)) < row.number(name)
    };
    let end_of_day = (now / DAY_MS + 1) * DAY_MS;
    let end_of_minute = (now / MINUTE_MS + 1) * MINUTE_MS;
    // The longest window first: waiting for the minute would be in vain while the day is full.
    if let Some(limit) = limits.requests_per_day.filter(|it| is_full(&windows.day, 1, *it)) {
        return (end_of_day, Refusal::RequestsPerDay(limit));
    }
    if let Some(limit) = limits.requests_per_minute.filter(|it| is_full(&windows.minute, 1, *it)) {
        return (end_of_minute, Refusal::RequestsPerMinute(limit));
    }
    let tokens_limit = limits.tokens_per_minute;
    if let Some(limit) = tokens_limit.filter(|it| is_full(&windows.tokens, *tokens, *it)) {
        return (end_of_minute, Refusal::TokensPerMinute(limit));
    }
    (now + 1_000, Refusal::Concurrent(limits.concurrent.unwrap_or(0)))
}

/// The windows in a row that are over.
pub(super) fn stale(row: &Tallies, now: u64) -> Vec<String> {
    let windows = Windows::at(now);
    let is_window = |name: &&str| name.starts_with(['m', 't', 'd']) && !windows.holds(name);
    row.numbers.keys().map(AsRef::as_ref).filter(is_window).map(str::to_owned).collect()
}

/// The attempts in a row whose time is over: their instances died.
pub(super) fn expired(row: &Tallies, now: u64) -> Vec<String> {
    let is_over = |until: &str| until.parse::<u64>().is_ok_and(|until| until < now);
    let notes = row.notes.iter().filter(|(name, until)| name.starts_with('r') && is_over(until));
    notes.map(|(name, _)| name.to_string()).collect()
}

fn change(sort_key: &str) -> Tally {
    Tally { pk: PARTITION.to_owned(), sk: sort_key.to_owned(), ..Tally::default() }
}

fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RequestsPerMinute(limit) => write!(f, "its limit of {limit} requests a minute"),
            Self::RequestsPerDay(limit) => write!(f, "its limit of {limit} requests a day"),
            Self::TokensPerMinute(limit) => write!(f, "its limit of {limit} tokens a minute"),
            Self::Concurrent(limit) => write!(f, "its limit of {limit} requests at the same time"),
        }
    }
}

#[cfg(test)]
mod tests {
    use storage::{Tallied, sqlite};

    use super::*;

    const NOW: u64 = 1_790_000_000_000;

    fn demand(limits: &ProviderLimits, id: u64, now: u64) -> Demand<'_> {
        Demand { limits, id: format!("r{id}"), tokens: 40, until: now + MINUTE_MS, now }
    }

    /// How many of so many attempts are admitted, and what refuses the next.
    async fn admitted(limits: ProviderLimits, now: u64) -> (usize, Option<(u64, Refusal)>) {
        let table = sqlite::in_memory().unwrap().state;
        for nth in 0..10 {
            let demand = demand(&limits, nth, now);
            match table.tally(&admit("p", &demand, &[])).await.unwrap() {
                Tallied::Done(_) => {}
                Tallied::Refused(row) => {
                    let place = usize::try_from(nth).unwrap();
                    return (place, Some(refusal(&row, &demand)));
                }
            }
        }
        (10, None)
    }

    #[tokio::test]
    async fn each_limit_is_exact_and_says_until_when() {
        let minute_ends = (NOW / MINUTE_MS + 1) * MINUTE_MS;
        let day_ends = (NOW / DAY_MS + 1) * DAY_MS;
        let none = ProviderLimits::default;
        for (limits, times, until, refusal) in [
            (
                ProviderLimits { requests_per_minute: Some(3), ..none() },
                3,
                minute_ends,
                Refusal::RequestsPerMinute(3),
            ),
            (
                ProviderLimits { requests_per_day: Some(2), ..none() },
                2,
                day_ends,
                Refusal::RequestsPerDay(2),
            ),
            (
                ProviderLimits { tokens_per_minute: Some(100), ..none() },
                2,
                minute_ends,
                Refusal::TokensPerMinute(100),
            ),
            (
                ProviderLimits { concurrent: Some(4), ..none() },
                4,
                NOW + 1_000,
                Refusal::Concurrent(4),
            ),
        ] {
            assert_eq!(admitted(limits, NOW).await, (times, Some((until, refusal))));
        }
    }

    #[tokio::test]
    async fn places_are_given_back_once_and_those_of_dead_instances_end() {
        let table = sqlite::in_memory().unwrap().state;
        let limits = ProviderLimits { concurrent: Some(1), ..ProviderLimits::default() };
        table.tally(&admit("p", &demand(&limits, 1, NOW), &[])).await.unwrap();
        for _ in 0..2 {
            table.tally(&release("p", "r1")).await.unwrap();
        }
        let Tallied::Done(row) =
            table.tally(&admit("p", &demand(&limits, 2, NOW), &[])).await.unwrap()
        else {
            panic!("the place was given back")
        };
        assert_eq!(row.number("live"), 1);
        assert!(expired(&row, NOW + MINUTE_MS).is_empty());
        assert_eq!(expired(&row, NOW + MINUTE_MS + 1), ["r2"]);
    }

    #[tokio::test]
    async fn windows_that_are_over_are_removed_and_tokens_corrected() {
        let table = sqlite::in_memory().unwrap().state;
        let limits = ProviderLimits { tokens_per_minute: Some(100), ..ProviderLimits::default() };
        table.tally(&admit("p", &demand(&limits, 1, NOW), &[])).await.unwrap();
        let corrected = table.tally(&correct("p", &Windows::at(NOW), (40, 100))).await.unwrap();
        let Tallied::Done(row) = corrected else { panic!("{corrected:?}") };
        assert_eq!(row.number(&Windows::at(NOW).tokens), 100);
        let later = NOW + MINUTE_MS;
        let stale = stale(&row, later);
        assert_eq!(stale, [Windows::at(NOW).tokens]);
        let admitted = table.tally(&admit("p", &demand(&limits, 2, later), &stale)).await.unwrap();
        let Tallied::Done(row) = admitted else { panic!("{admitted:?}") };
        assert_eq!(row.numbers.len(), 1, "{row:?}");
    }
}

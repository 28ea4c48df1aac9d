//! Alerts: which levels of a budget are reached, and who of several instances sends them.
//!
//! A level is claimed by a conditional write before it is sent and marked after it. A claim that
//! is not marked within a minute is taken over, so that a level is sent at least once, and once
//! where nobody dies in between.

use canonical::MicroDollars;
use storage::{Condition, Tallies, Tally};

use crate::{
    admission::{SORT_KEY, signed},
    limits::Budget,
    reservation::LedgerKey,
    row::LedgerRow,
    window::Period,
};

/// How long a claim that is not marked as sent is left alone, in seconds.
const CLAIM_SECONDS: u64 = 60;

/// The bits of one level in the claim's number.
const LEVEL_BITS: u32 = 8;
const LEVEL_MASK: u64 = (1 << LEVEL_BITS) - 1;

/// What a budget's alert attribute says. Each change makes the number larger, so that "at most
/// what was read" means "unchanged since".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct AlertState {
    /// The highest level that somebody claimed, in percent.
    pub(crate) claimed: u8,
    /// The highest level that was sent, in percent.
    pub(crate) sent: u8,
    /// When the last claim was made, in seconds since 1970.
    pub(crate) claimed_at: u64,
}

impl AlertState {
    pub(crate) fn unpack(number: i64) -> Self {
        let bits = u64::try_from(number).unwrap_or(0);
        let level = |bits: u64| u8::try_from(bits & LEVEL_MASK).unwrap_or(0);
        Self {
            claimed: level(bits),
            sent: level(bits >> LEVEL_BITS),
            claimed_at: bits >> (2 * LEVEL_BITS),
        }
    }

    pub(crate) fn pack(self) -> i64 {
        let levels = u64::from(self.sent) << LEVEL_BITS | u64::from(self.claimed);
        // The time stands in the highest bits, so that a later claim is a larger number.
        signed(self.claimed_at << (2 * LEVEL_BITS) | levels)
    }
}

/// Levels of a budget that were reached, claimed by this process to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// The row of who reached them.
    pub key: LedgerKey,
    /// The budget period.
    pub period: Period,
    /// The levels in percent, in ascending order.
    pub levels: Vec<u8>,
    /// What is settled in the period.
    pub spent: MicroDollars,
    /// The budget of the period.
    pub budget: MicroDollars,
    state: AlertState,
}

impl Alert {
    /// The alert that a row calls for and nobody else is sending.
    pub(crate) fn due(
        key: &LedgerKey,
        budget: &Budget,
        row: &Tallies,
        now: u64,
    ) -> Option<(Self, Tally)> {
        let period = Period::containing(now, budget.period);
        let spent = LedgerRow(row).taken(&period.settled_attribute());
        let before = AlertState::unpack(row.number(&period.alert_attribute()));

        // One claim at a time: a later one would hide that an earlier one was never sent.
        let is_being_sent = before.sent < before.claimed;
        if is_being_sent && now <= before.claimed_at.saturating_add(CLAIM_SECONDS) {
            return None;
        }
        let is_due = |level: u8| before.sent < level && is_reached(level, spent, budget.amount);
        let levels = budget.alert_levels.iter().copied();
        let mut levels: Vec<u8> = levels.filter(|level| is_due(*level)).collect();
        levels.sort_unstable();
        let highest = *levels.last()?;
        let state = AlertState {
            claimed: before.claimed.max(highest),
            claimed_at: before.claimed_at.max(now),
            ..before
        };
        let alert = Self {
            key: key.clone(),
            period,
            levels,
            spent: MicroDollars(spent),
            budget: budget.amount,
            state,
        };
        let claim = alert.change(before, state);
        Some((alert, claim))
    }

    /// The write that marks the alert as sent.
    pub(crate) fn sent(&self) -> Tally {
        let sent = self.levels.last().copied().unwrap_or(0).max(self.state.sent);
        self.change(self.state, AlertState { sent, ..self.state })
    }

    fn change(&self, before: AlertState, after: AlertState) -> Tally {
        let attribute = self.period.alert_attribute();
        let (before, after) = (before.pack(), after.pack());
        Tally {
            pk: self.key.partition().to_owned(),
            sk: SORT_KEY.to_owned(),
            // A number that only grows makes "at most what I read" a compare-and-set, which the
            // store lacks for numbers.
            conditions: vec![Condition::AtMost(attribute.clone(), before)],
            add: vec![(attribute, after.saturating_sub(before))],
            ..Tally::default()
        }
    }
}

/// Whether this share of a budget is settled. A budget of nothing has no levels.
fn is_reached(level: u8, spent: u64, budget: MicroDollars) -> bool {
    budget.0 != 0 && u128::from(budget.0) * u128::from(level) <= u128::from(spent) * 100
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_795_860_000;

    fn due(spent: i64, alerts: i64, now: u64) -> Option<Alert> {
        let mut row = Tallies::default();
        row.numbers.insert("s202611".into(), spent);
        row.numbers.insert("a202611".into(), alerts);
        let budget = Budget::monthly(MicroDollars(1_000));
        Alert::due(&LedgerKey::tenant("t"), &budget, &row, now).map(|(alert, _)| alert)
    }

    #[test]
    fn a_level_is_due_from_its_share_on() {
        assert_eq!(due(799, 0, NOW), None);
        assert_eq!(due(800, 0, NOW).unwrap().levels, [80]);
        assert_eq!(due(1_000, 0, NOW).unwrap().levels, [80, 95, 100]);
    }

    #[test]
    fn a_claimed_level_is_left_alone_for_a_minute() {
        let claimed = AlertState { claimed: 80, sent: 0, claimed_at: NOW }.pack();
        assert_eq!(due(900, claimed, NOW + 60), None);
        assert_eq!(due(900, claimed, NOW + 61).unwrap().levels, [80]);
        assert_eq!(due(950, claimed, NOW), None);
        let sent = AlertState { claimed: 80, sent: 80, claimed_at: NOW }.pack();
        assert_eq!(due(900, sent, NOW + 3_600), None);
        assert_eq!(due(950, sent, NOW).unwrap().levels, [95]);
    }

    #[test]
    fn every_change_makes_the_number_larger() {
        let alert = due(960, 0, NOW).unwrap();
        let claimed = alert.state.pack();
        let sent = alert.sent();
        assert!(0 < claimed && 0 < sent.add[0].1);
        assert_eq!(AlertState::unpack(claimed), alert.state);
        assert_eq!(AlertState::unpack(claimed + sent.add[0].1).sent, 95);
    }
}

//! Settlements: the writes that end a reservation or grow it.
//!
//! Plain values: the ledger sends what is built here. Each write is conditional on the exact text
//! of the reservation, so that a write that is repeated, late or raced changes nothing.

use canonical::MicroDollars;
use serde::{Deserialize, Serialize};
use storage::{Condition, Tally};

use crate::{
    admission::{SORT_KEY, signed},
    reservation::{Hold, LedgerKey, Reservation},
    row::LIVE,
    window::{input_attribute, output_attribute},
};

/// What a call used in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Usage {
    /// What the provider reported or, where the provider did not, what was counted.
    Used {
        /// Money in micro-dollars.
        cost: u64,
        /// Input tokens of every class.
        input: u64,
        /// Output tokens of every class.
        output: u64,
    },
    /// Nothing that a provider charges for: no attempt got through.
    Nothing,
    /// Unknown: as much as was held.
    AsHeld,
}

/// A reservation and what its call used. A settlement may be sent any number of times and late.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settlement {
    /// The reservation that ends.
    pub reservation: Reservation,
    /// What the call used.
    pub usage: Usage,
}

impl Settlement {
    /// The write that settles the reservation, given what it holds in the row.
    pub(crate) fn tally(&self, hold: &Hold) -> Tally {
        let Reservation { key, id, .. } = &self.reservation;
        let (cost, input, output) = match self.usage {
            Usage::Used { cost, input, output } => (cost, input, output),
            Usage::Nothing => (0, 0, 0),
            Usage::AsHeld => (hold.cost, hold.input.unwrap_or(0), hold.output.unwrap_or(0)),
        };
        let mut add = vec![(LIVE.to_owned(), -1)];
        if let Some(held) = hold.input {
            // In the day of the admission, whatever the day is now: that is where it was taken.
            add.push((input_attribute(hold.day), difference(input, held)));
        }
        if let Some(held) = hold.output {
            add.push((output_attribute(hold.day), difference(output, held)));
        }
        if let Some(period) = hold.budget_period() {
            // Committed is settled and held together, so that an admission compares one number.
            add.push((period.committed_attribute(), difference(cost, hold.cost)));
            add.push((period.settled_attribute(), signed(cost)));
        }
        ending(key, &id.attribute(), &hold.to_string(), add)
    }
}

/// The write that charges a reservation whose owner is gone: the whole hold, as lost.
pub(crate) fn expire(key: &LedgerKey, attribute: &str, text: &str, hold: &Hold) -> Tally {
    // Committed stays as it is: the whole hold moves from held to lost.
    let mut add = vec![(LIVE.to_owned(), -1)];
    if let Some(period) = hold.budget_period() {
        add.push((period.settled_attribute(), signed(hold.cost)));
        add.push((period.lost_attribute(), signed(hold.cost)));
    }
    ending(key, attribute, text, add)
}

/// What a stream needs beyond its hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extra {
    /// Money.
    pub cost: MicroDollars,
    /// Output tokens.
    pub output: u64,
    /// The new deadline of the call, in seconds since 1970; 0 where it stays.
    pub until: u64,
}

/// The room that an extra must fit into.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ExtraRoom {
    /// The budget of a period.
    pub(crate) budget: Option<MicroDollars>,
    /// The output tokens of a day.
    pub(crate) daily_output_tokens: Option<u64>,
}

/// The hold after an extra.
pub(crate) fn grown(hold: &Hold, extra: Extra) -> Hold {
    let cost = if hold.period.is_some() { extra.cost.0 } else { 0 };
    Hold {
        cost: hold.cost.saturating_add(cost),
        output: hold.output.map(|held| held.saturating_add(extra.output)),
        until: hold.until.max(extra.until),
        ..hold.clone()
    }
}

/// The write that grows a reservation, in the windows that its call was admitted in.
pub(crate) fn top_up(reservation: &Reservation, extra: Extra, room: ExtraRoom) -> Tally {
    let Reservation { key, id, hold } = reservation;
    let attribute = id.attribute();
    let mut conditions = vec![Condition::Is(attribute.clone(), hold.to_string())];
    let mut add = vec![];
    let mut grow = |name: String, amount: u64, limit: Option<u64>| {
        if amount == 0 {
            return;
        }
        if let Some(limit) = limit {
            let most = signed(limit).saturating_sub(signed(amount));
            conditions.push(Condition::AtMost(name.clone(), most));
        }
        add.push((name, signed(amount)));
    };
    if let Some(period) = hold.budget_period() {
        grow(period.committed_attribute(), extra.cost.0, room.budget.map(|budget| budget.0));
    }
    if hold.output.is_some() {
        grow(output_attribute(hold.day), extra.output, room.daily_output_tokens);
    }
    let set = vec![(attribute, grown(hold, extra).to_string())];
    Tally { conditions, add, set, ..blank(key) }
}

fn ending(key: &LedgerKey, attribute: &str, text: &str, add: Vec<(String, i64)>) -> Tally {
    Tally {
        conditions: vec![Condition::Is(attribute.to_owned(), text.to_owned())],
        add,
        remove: vec![attribute.to_owned()],
        ..blank(key)
    }
}

pub(crate) fn blank(key: &LedgerKey) -> Tally {
    Tally { pk: key.partition().to_owned(), sk: SORT_KEY.to_owned(), ..Tally::default() }
}

fn difference(actual: u64, held: u64) -> i64 {
    signed(actual).saturating_sub(signed(held))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reservation::ReservationId;

    fn reservation() -> Reservation {
        Reservation {
            key: LedgerKey::tenant("t1"),
            id: ReservationId::new("a"),
            hold: Hold::parse("30000,1200,256,20785,202611,1795824600").unwrap(),
        }
    }

    fn added(tally: &Tally, name: &str) -> i64 {
        tally.add.iter().find(|(added, _)| added == name).unwrap().1
    }

    #[test]
    fn a_call_settles_into_the_windows_it_was_admitted_in() {
        let reservation = reservation();
        let usage = Usage::Used { cost: 10_000, input: 1_000, output: 300 };
        let tally = Settlement { reservation: reservation.clone(), usage }.tally(&reservation.hold);
        assert_eq!(added(&tally, "b202611"), -20_000);
        assert_eq!(added(&tally, "s202611"), 10_000);
        assert_eq!(added(&tally, "i20785"), -200);
        assert_eq!(added(&tally, "o20785"), 44);
        assert_eq!(added(&tally, "live"), -1);
        assert_eq!(tally.remove, ["r_a"]);
    }

    #[test]
    fn nothing_used_gives_everything_back_and_unknown_use_keeps_it() {
        let reservation = reservation();
        let settle = |usage| Settlement { reservation: reservation.clone(), usage };
        let tally = settle(Usage::Nothing).tally(&reservation.hold);
        assert_eq!((added(&tally, "b202611"), added(&tally, "s202611")), (-30_000, 0));
        let tally = settle(Usage::AsHeld).tally(&reservation.hold);
        assert_eq!((added(&tally, "b202611"), added(&tally, "s202611")), (0, 30_000));
    }

    #[test]
    fn a_call_without_a_budget_settles_no_money() {
        let hold = Hold { period: None, input: None, output: None, ..reservation().hold };
        let settlement = Settlement { reservation: reservation(), usage: Usage::AsHeld };
        assert_eq!(settlement.tally(&hold).add, [("live".to_owned(), -1)]);
    }

    #[test]
    fn a_later_deadline_needs_no_room() {
        let extra = Extra { until: 1_795_824_900, ..Extra::default() };
        let room = ExtraRoom { budget: Some(MicroDollars(0)), daily_output_tokens: Some(0) };
        let tally = top_up(&reservation(), extra, room);
        assert_eq!(tally.set[0].1, "30000,1200,256,20785,202611,1795824900");
        assert_eq!((tally.conditions.len(), tally.add.len()), (1, 0));
    }

    #[test]
    fn a_hold_grows_within_its_room() {
        let extra = Extra { cost: MicroDollars(500), output: 100, until: 0 };
        let room = ExtraRoom { budget: Some(MicroDollars(50_000)), daily_output_tokens: None };
        let tally = top_up(&reservation(), extra, room);
        assert_eq!(tally.set[0].1, "30500,1200,356,20785,202611,1795824600");
        assert!(tally.conditions.contains(&Condition::AtMost("b202611".to_owned(), 49_500)));
        assert_eq!(added(&tally, "o20785"), 100);
    }
}

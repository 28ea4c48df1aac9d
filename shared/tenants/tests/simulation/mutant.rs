//! Mutants: faults of a ledger, made on the way into the store, that prove that the simulator
//! sees them.

use storage::{Condition, Tallied, Tally};

/// One fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mutant {
    /// A settlement does not give back what was held beyond the cost.
    KeepsTheHold,
    /// Nothing compares the budget.
    IgnoresBudget,
    /// Nothing compares the requests of a minute.
    IgnoresMinute,
    /// A minute's counter is removed while the minute lasts.
    ReusesWindow,
    /// Nothing compares the calls in flight.
    IgnoresConcurrency,
    /// The calls in flight are not counted down.
    ForgetsLive,
    /// A settlement that comes again is made again.
    SettlesTwice,
    /// A settlement is said to be made and is not.
    LosesSettlements,
    /// Reservations of dead owners stay.
    NeverExpires,
    /// Reservations of dead owners are given back.
    GivesBackTheLost,
    /// A settlement charges twice what the call cost.
    ChargesTwice,
    /// A refused request is counted.
    CountsRefusals,
    /// An alert is claimed by everybody.
    AlertsAgain,
    /// A claimed alert counts as sent.
    AlertsOnlyOnPaper,
}

impl Mutant {
    /// The change that the store gets to see.
    pub(crate) fn change(self, change: &Tally) -> Tally {
        let mut mutated = change.clone();
        let settles = is_settlement(change);
        match self {
            Self::KeepsTheHold if settles => mutated.add.retain(|(name, _)| !is(name, 'b')),
            Self::IgnoresBudget => forget_bound(&mut mutated, 'b'),
            Self::IgnoresMinute => forget_bound(&mut mutated, 'm'),
            Self::ReusesWindow if settles => {
                let names = change.add.iter().map(|(name, _)| name.as_str());
                let day = names.filter(|name| is(name, 'i')).find_map(|name| name.get(1..));
                let days = day.and_then(|day| day.parse::<u64>().ok());
                mutated.remove.extend(days.map(|day| format!("d{day}")));
            }
            Self::IgnoresConcurrency => {
                mutated.conditions.retain(
                    |condition| !matches!(condition, Condition::AtMost(name, _) if name == "live"),
                );
            }
            Self::ForgetsLive if settles => mutated.add.retain(|(name, _)| name != "live"),
            Self::SettlesTwice if settles => mutated.conditions.clear(),
            Self::GivesBackTheLost if is_expiry(change) => {
                mutated.add.retain(|(name, _)| name == "live");
            }
            Self::ChargesTwice if settles => {
                for (name, amount) in &mut mutated.add {
                    if is(name, 's') {
                        *amount *= 2;
                    }
                }
            }
            Self::AlertsAgain if is_alert(change) => mutated.conditions.clear(),
            Self::AlertsOnlyOnPaper if is_alert(change) => {
                // The claimed level, copied to where the sent one stands.
                for (_, amount) in &mut mutated.add {
                    *amount += (*amount & 0xff) << 8;
                }
            }
            _ => {}
        }
        mutated
    }

    /// The response that the ledger gets instead of asking the store.
    pub(crate) fn swallows(self, change: &Tally, row: &storage::Tallies) -> Option<Tallied> {
        match self {
            Self::LosesSettlements if is_settlement(change) => Some(Tallied::Done(row.clone())),
            Self::NeverExpires if is_expiry(change) => Some(Tallied::Refused(row.clone())),
            _ => None,
        }
    }

    /// What else is changed when a change is refused.
    pub(crate) fn after_refusal(self, change: &Tally) -> Option<Tally> {
        let minute = change.add.iter().find(|(name, _)| is(name, 'm'))?;
        let blank = Tally { pk: change.pk.clone(), sk: change.sk.clone(), ..Tally::default() };
        (self == Self::CountsRefusals).then(|| Tally { add: vec![minute.clone()], ..blank })
    }
}

/// Whether an attribute is this letter and digits.
pub(crate) fn is(name: &str, prefix: char) -> bool {
    name.strip_prefix(prefix)
        .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Whether a change ends a reservation.
pub(crate) fn is_ending(change: &Tally) -> bool {
    change.add.iter().any(|(name, amount)| name == "live" && *amount < 0)
}

/// Whether a change charges a reservation of a dead owner.
pub(crate) fn is_expiry(change: &Tally) -> bool {
    is_ending(change) && !change.add.iter().any(|(name, _)| is(name, 'b') || is(name, 'i'))
}

fn is_settlement(change: &Tally) -> bool {
    is_ending(change) && !is_expiry(change)
}

fn is_alert(change: &Tally) -> bool {
    change.add.iter().any(|(name, _)| is(name, 'a'))
}

fn forget_bound(change: &mut Tally, prefix: char) {
    change
        .conditions
        .retain(|condition| !matches!(condition, Condition::AtMost(name, _) if is(name, prefix)));
}

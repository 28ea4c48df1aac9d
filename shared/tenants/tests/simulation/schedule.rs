//! Schedules: what happens when, as numbers that a property test draws, shrinks and keeps.

use canonical::MicroDollars;
use tenants::{Budget, BudgetPeriod, Limits};

use crate::link::Fate;

/// How many instances of the gateway there are.
pub(crate) const INSTANCES: usize = 3;

/// One step of a schedule.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Choice {
    /// A task runs until it waits.
    Poll(usize),
    /// A request to the store meets its fate.
    Resolve(usize, Fate),
    /// A request that nobody waits for arrives.
    DeliverLate(usize),
    /// A client calls.
    Call(u32),
    /// Time passes.
    Advance(u64),
    /// An instance stops for now.
    Freeze(usize),
    /// A stopped instance goes on.
    Thaw(usize),
    /// An instance dies, and another one takes its place.
    Kill(usize),
}

/// How much time may pass at once, in seconds: within a minute, past a margin, a deadline, an
/// hour, a day and a month.
const LEAPS: [u64; 8] = [1, 7, 31, 65, 700, 3_700, 90_000, 2_700_000];

impl Choice {
    /// The step that a drawn number means.
    pub(crate) fn decode(number: u32) -> Self {
        let argument = number / 24;
        let at = argument as usize;
        match number % 24 {
            0..=5 => Self::Poll(at),
            6..=11 => Self::Resolve(at, Fate::Delivered),
            12 => Self::Resolve(at, Fate::FailedBefore),
            13 => Self::Resolve(at, Fate::ResponseLost),
            14 => Self::Resolve(at, Fate::AppliedLate),
            15 => Self::Resolve(at, Fate::DeliveredTwice),
            16 => Self::DeliverLate(at),
            17..=20 => Self::Call(argument),
            // Long leaps are rare, so that calls meet.
            21 => Self::Advance(LEAPS[(argument % 64).ilog2_or_zero()]),
            22 => Self::Thaw(at),
            _ if argument.is_multiple_of(3) => Self::Kill(at / 3),
            _ => Self::Freeze(at / 3),
        }
    }
}

/// The place of the highest bit, or 0.
trait Log2 {
    fn ilog2_or_zero(self) -> usize;
}

impl Log2 for u32 {
    fn ilog2_or_zero(self) -> usize {
        self.checked_ilog2().map_or(0, |bits| bits as usize)
    }
}

/// A world and what happens in it.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    /// Which limits the tenant has, and how the clocks differ.
    pub(crate) setting: u32,
    /// What happens, in order.
    pub(crate) choices: Vec<u32>,
}

impl Schedule {
    /// The tenant's limits. Input tokens are always limited, so that every call has something to
    /// settle.
    pub(crate) fn limits(&self) -> Limits {
        let given = |bit: u32, limit: u64| (self.setting & (1 << bit) != 0).then_some(limit);
        let amount = [0, 9_000, 40_000, 200_000][(self.setting >> 8 & 3) as usize];
        let period = if self.setting & 1 == 0 { BudgetPeriod::Month } else { BudgetPeriod::Day };
        let budget = Budget { period, ..Budget::monthly(MicroDollars(amount)) };
        Limits {
            requests_per_minute: given(1, 2),
            requests_per_hour: given(2, 4),
            requests_per_day: given(3, 5),
            daily_input_tokens: Some(if self.setting & 16 == 0 { 1_000_000 } else { 6_000 }),
            daily_output_tokens: given(5, 5_000),
            max_concurrent: given(6, 2),
            budget: (self.setting & 3 << 10 != 0).then_some(budget),
        }
    }

    /// How far an instance's clock is off, in seconds.
    pub(crate) fn skew(&self, instance: usize) -> i64 {
        let off = if self.clocks_agree() { [0, 7, -9] } else { [0, 295, -295] };
        off[instance]
    }

    /// Whether the schedule begins shortly before midnight.
    pub(crate) fn starts_late(&self) -> bool {
        self.setting & 1 << 15 != 0
    }

    /// Whether no clock is off by more than the margin of an expiry.
    pub(crate) fn clocks_agree(&self) -> bool {
        self.setting & 7 << 12 != 0
    }
}

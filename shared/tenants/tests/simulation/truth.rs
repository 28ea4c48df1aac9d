//! What really happened, told by the rows alone, and the invariants of the ledger over it.

use std::collections::{BTreeMap, HashMap, HashSet};

use storage::{Tallied, Tallies, Tally};
use tenants::{Hold, Limits};

use crate::mutant::{is, is_ending};

/// What is known of one call.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Call {
    /// What the provider charges for it, once it got through.
    pub(crate) billed: Option<u64>,
    /// What its record says it used: money, input and output tokens.
    pub(crate) used: (u64, u64, u64),
    /// Whether its owner was killed or frozen on the way.
    pub(crate) owner_failed: bool,
    /// Whether its owner learnt that the settlement was made.
    pub(crate) settled: bool,
}

/// A reservation that was ended by its settlement or as lost.
#[derive(Clone, Debug)]
struct Ending {
    attribute: String,
    hold: Hold,
    is_lost: bool,
}

/// What happened.
#[derive(Debug)]
pub(crate) struct Truth {
    limits: Limits,
    row: Tallies,
    /// Requests by the name of their window, removals notwithstanding.
    windows: HashMap<String, i64>,
    settled: i64,
    lost: i64,
    opened: HashMap<String, u32>,
    endings: Vec<Ending>,
    strays: HashSet<String>,
    /// Periods whose sums were removed as long past.
    retired: HashSet<String>,
    /// Whether no living owner can look late to another instance.
    clocks_agree: bool,
    /// The true time, in seconds since 1970.
    pub(crate) now: u64,
    /// Calls by the attribute of their reservation.
    pub(crate) calls: HashMap<String, Call>,
    /// How often each alert level was sent, by period.
    pub(crate) alerts: BTreeMap<(String, u8), u32>,
    /// The invariants that were broken, with the first case of each.
    pub(crate) violations: BTreeMap<u8, String>,
}

/// Whether any clock that AWS accepts, up to 5 minutes off, may be within a window. What a process
/// that was frozen meanwhile counts in an older one limits nobody.
fn is_current(window: &str, now: u64) -> bool {
    let (prefix, index) = window.split_at(1);
    let Ok(index) = index.parse::<u64>() else { return false };
    let seconds = match prefix {
        "m" => 60,
        "h" => 3_600,
        _ => 86_400,
    };
    now <= (index + 1) * seconds + 300
}

impl Truth {
    /// The truth before anything happened.
    pub(crate) fn new(limits: Limits, clocks_agree: bool) -> Self {
        Self {
            limits,
            retired: HashSet::new(),
            clocks_agree,
            now: 0,
            row: Tallies::default(),
            windows: HashMap::new(),
            settled: 0,
            lost: 0,
            opened: HashMap::new(),
            endings: vec![],
            strays: HashSet::new(),
            calls: HashMap::new(),
            alerts: BTreeMap::new(),
            violations: BTreeMap::new(),
        }
    }

    /// Learns the outcome of a change, and holds the row to the invariants.
    pub(crate) fn observe(&mut self, change: &Tally, outcome: &Tallied) {
        match outcome {
            Tallied::Refused(row) if *row != self.row => {
                self.violate(9, format!("a refused change made {:?} of {:?}", row, self.row));
                self.row = row.clone();
            }
            Tallied::Refused(_) => {}
            Tallied::Done(row) => {
                self.learn(change, row);
                self.row = row.clone();
                self.check();
            }
        }
    }

    /// Notes that an admission may arrive again or late.
    pub(crate) fn note_stray(&mut self, change: &Tally) {
        let notes = change.set.iter().map(|(name, _)| name);
        self.strays.extend(notes.filter(|name| name.starts_with("r_")).cloned());
    }

    /// Learns that a call was refused.
    pub(crate) fn refused(&mut self, attribute: &str) {
        if self.opened.contains_key(attribute) && !self.strays.contains(attribute) {
            self.violate(9, format!("the refused call {attribute} holds something"));
        }
    }

    fn learn(&mut self, change: &Tally, after: &Tallies) {
        let numbers = after.numbers.iter().map(|(name, number)| {
            let before = self.row.numbers.get(name).copied().unwrap_or(0);
            (name, number - before)
        });
        for (name, gain) in numbers.filter(|(_, gain)| *gain != 0) {
            match name.chars().next() {
                Some('m' | 'h' | 'd') if is_current(name, self.now) => {
                    *self.windows.entry(name.to_string()).or_default() += gain;
                }
                Some('s') => self.settled += gain,
                Some('x') => self.lost += gain,
                _ => {}
            }
        }
        let opened = after.notes.keys().filter(|name| !self.row.notes.contains_key(*name));
        for name in opened.filter(|name| name.starts_with("r_")) {
            *self.opened.entry(name.to_string()).or_default() += 1;
        }
        if is_ending(change) {
            self.learn_ending(change);
        }
        let removed = change.remove.iter().filter(|name| is(name, 'b'));
        self.retired.extend(removed.filter_map(|name| name.get(1..)).map(str::to_owned));
    }

    fn learn_ending(&mut self, change: &Tally) {
        let Some(attribute) = change.remove.iter().find(|name| name.starts_with("r_")) else {
            return;
        };
        let Some(hold) = self.row.note(attribute).and_then(Hold::parse) else {
            self.violate(5, format!("{attribute} was ended though it was not open"));
            return;
        };
        let is_lost = crate::mutant::is_expiry(change);
        self.endings.push(Ending { attribute: attribute.clone(), hold, is_lost });
    }

    fn used(&self, attribute: &str) -> (u64, u64, u64) {
        self.calls.get(attribute).copied().unwrap_or_default().used
    }

    fn check(&mut self) {
        let open: Vec<Hold> = {
            let notes = self.row.notes.iter().filter(|(name, _)| name.starts_with("r_"));
            notes.map(|(_, text)| Hold::parse(text).unwrap()).collect()
        };
        self.check_money(&open);
        self.check_windows();
        self.check_live(open.len());
        self.check_records();
    }

    fn check_money(&mut self, open: &[Hold]) {
        let sums: Vec<(String, i64)> = {
            let committed = self.row.numbers.iter().filter(|(name, _)| is(name, 'b'));
            committed.map(|(name, sum)| (name.get(1..).unwrap().to_owned(), *sum)).collect()
        };
        for (period, committed) in sums {
            if self.retired.contains(&period) {
                continue;
            }
            let settled = self.row.number(&format!("s{period}"));
            let holds = open.iter().filter(|hold| hold.period.as_deref() == Some(&period));
            let held: u64 = holds.map(|hold| hold.cost).sum();
            let expected = settled + i64::try_from(held).unwrap();
            if committed != expected {
                let message = format!("{period}: committed {committed}, not {expected}");
                self.violate(1, message);
            }
            let over = self.overshoot(&period);
            let budget = self.limits.budget.as_ref().map_or(0, |budget| budget.amount.0);
            if i64::try_from(budget + over).unwrap() < committed {
                self.violate(2, format!("{period}: {committed} of {budget}, {over} unforeseen"));
            }
        }
    }

    /// By how much the calls of a period cost more than they held.
    fn overshoot(&self, period: &str) -> u64 {
        let settled = self.endings.iter().filter(|ending| !ending.is_lost);
        let settled = settled.filter(|ending| ending.hold.period.as_deref() == Some(period));
        settled.map(|it| self.used(&it.attribute).0.saturating_sub(it.hold.cost)).sum()
    }

    fn check_windows(&mut self) {
        let mut wrong = vec![];
        for (name, count) in &self.windows {
            let limit = match name.chars().next() {
                Some('m') => self.limits.requests_per_minute,
                Some('h') => self.limits.requests_per_hour,
                _ => self.limits.requests_per_day,
            };
            if limit.is_none_or(|limit| i64::try_from(limit).unwrap() < *count) {
                wrong.push(format!("{name} counts {count} of {limit:?}"));
            }
        }
        for (prefix, limit) in
            [('i', self.limits.daily_input_tokens), ('o', self.limits.daily_output_tokens)]
        {
            for (name, count) in self.row.numbers.iter().filter(|(name, _)| is(name, prefix)) {
                let over = self.token_overshoot(name);
                if i64::try_from(limit.unwrap_or(0) + over).unwrap() < *count {
                    wrong.push(format!("{name} counts {count} of {limit:?}, {over} unforeseen"));
                }
            }
        }
        for message in wrong {
            self.violate(3, message);
        }
    }

    fn token_overshoot(&self, window: &str) -> u64 {
        let settled = self.endings.iter().filter(|ending| !ending.is_lost);
        let over = settled.map(|ending| {
            let (_, input, output) = self.used(&ending.attribute);
            let day = ending.hold.day;
            if window == format!("i{day}") {
                input.saturating_sub(ending.hold.input.unwrap_or(0))
            } else if window == format!("o{day}") {
                output.saturating_sub(ending.hold.output.unwrap_or(0))
            } else {
                0
            }
        });
        over.sum()
    }

    fn check_live(&mut self, open: usize) {
        let live = self.row.number("live");
        if i64::try_from(open).unwrap() != live {
            self.violate(4, format!("{live} calls are counted, {open} are open"));
        }
        let limit = self.limits.max_concurrent;
        if limit.is_some_and(|limit| i64::try_from(limit).unwrap() < live) {
            self.violate(4, format!("{live} calls are in flight, {limit:?} are allowed"));
        }
    }

    fn check_records(&mut self) {
        if self.limits.budget.is_none() {
            return;
        }
        let settled = self.endings.iter().filter(|ending| !ending.is_lost);
        let settled = settled.filter(|ending| ending.hold.period.is_some());
        let records: u64 = settled.map(|ending| self.used(&ending.attribute).0).sum();
        if self.settled - self.lost != i64::try_from(records).unwrap() {
            let (settled, lost) = (self.settled, self.lost);
            self.violate(8, format!("settled {settled} with {lost} lost, records {records}"));
        }
    }

    /// Holds the end of a schedule to the invariants: everybody is done, and somebody called after
    /// the last deadline.
    pub(crate) fn check_end(&mut self, period: &str, alerts_are_exact: bool) {
        let open: Vec<String> = self
            .row
            .notes
            .keys()
            .filter(|name| name.starts_with("r_"))
            .map(ToString::to_string)
            .collect();
        if !open.is_empty() {
            self.violate(6, format!("{open:?} are open though their deadlines are past"));
        }
        self.check_owners();
        self.check_bill();
        self.check_alerts(period, alerts_are_exact);
    }

    fn check_owners(&mut self) {
        let mut wrong = vec![];
        for (attribute, call) in &self.calls {
            let endings = self.endings.iter().filter(|ending| ending.attribute == *attribute);
            let settled = endings.filter(|ending| !ending.is_lost || !self.clocks_agree).count();
            let is_regular = call.settled && !call.owner_failed && !self.strays.contains(attribute);
            let opened = self.opened.get(attribute).copied().unwrap_or(0);
            if is_regular && settled != usize::try_from(opened).unwrap() {
                wrong.push(format!("{attribute} was opened {opened} and settled {settled} times"));
            }
        }
        for message in wrong {
            self.violate(5, message);
        }
    }

    fn check_bill(&mut self) {
        if self.limits.budget.is_none() {
            return;
        }
        let billed: u64 = self.calls.values().filter_map(|call| call.billed).sum();
        let lost = self.endings.iter().filter(|ending| ending.is_lost);
        let over = lost.map(|ending| {
            let call = self.calls.get(&ending.attribute).copied().unwrap_or_default();
            call.billed.unwrap_or(0).saturating_sub(ending.hold.cost)
        });
        let charged = self.settled + i64::try_from(over.sum::<u64>()).unwrap();
        if charged < i64::try_from(billed).unwrap() {
            self.violate(7, format!("providers bill {billed}, {charged} are charged"));
        }
    }

    fn check_alerts(&mut self, period: &str, are_exact: bool) {
        let Some(budget) = self.limits.budget.clone() else { return };
        let settled = self.row.number(&format!("s{period}"));
        for level in &budget.alert_levels {
            let share = i64::try_from(budget.amount.0).unwrap() * i64::from(*level);
            let is_sent = self.alerts.contains_key(&(period.to_owned(), *level));
            if share <= settled * 100 && budget.amount.0 != 0 && !is_sent {
                self.violate(15, format!("{level} % of {period} was never sent"));
            }
        }
        let repeated = self.alerts.iter().find(|(_, times)| 1 < **times);
        if let (Some((level, times)), true) = (repeated, are_exact) {
            let message = format!("{level:?} was sent {times} times");
            self.violate(15, message);
        }
    }

    fn violate(&mut self, invariant: u8, message: String) {
        self.violations.entry(invariant).or_insert(message);
    }
}

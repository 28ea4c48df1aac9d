//! Routes: names that clients use, and whom to ask for each.

use std::time::Duration;

use super::{
    COOLDOWN,
    log::word,
    node::Node,
    read::{Rules, need_entries},
    reader::{Fields, Keys, Reader},
    step::{self, Step},
    write::{Entries, Map, Written, bare, text, time},
};

pub(super) const ROUTE: Keys = Keys {
    of: "a route",
    known: &[
        "name",
        "description",
        "fallback_on",
        "strategy",
        "steps",
        "cooldown",
        "cooldown_max",
        "breaker",
        "rescue",
        "hedge",
        "hedge_budget",
        "sticky",
    ],
};
pub(super) const BREAKER: Keys = Keys { of: "breaker", known: &["failures", "of"] };
/// How long the cooldown of a route may become when nobody says otherwise.
pub const COOLDOWN_MAX: Duration = Duration::from_secs(15 * 60);
/// How many calls in a hundred may be hedged when nobody says otherwise.
pub const HEDGE_BUDGET: u32 = 5;
/// As many of the last calls to a target as are remembered.
const MAX_REMEMBERED: u32 = 64;

const FALLBACK_ON: [(&str, FallbackOn); 2] =
    [("default", FallbackOn::Default), ("any", FallbackOn::Any)];
const STRATEGIES: [(&str, Strategy); 6] = [
    ("order", Strategy::Order),
    ("weighted", Strategy::Weighted),
    ("round_robin", Strategy::RoundRobin),
    ("cheapest", Strategy::Cheapest),
    ("fastest", Strategy::Fastest),
    ("least_busy", Strategy::LeastBusy),
];
const RESCUES: [(&str, Rescue); 2] = [("off", Rescue::Off), ("continue", Rescue::Continue)];

/// A name that clients put in `model`, and whom to try for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The name: exact, case-sensitive.
    pub name: String,
    /// What a reader of the model list is told.
    pub description: Option<String>,
    /// Which failures advance to the next step.
    pub fallback_on: FallbackOn,
    /// Which step comes first.
    pub strategy: Strategy,
    /// Whom to try; at least one.
    pub steps: Vec<Step>,
    /// How long a target cools down after a failure that names no time. Zero: it never does.
    pub cooldown: Duration,
    /// How long a cooldown may become while failures go on; never less than `cooldown`.
    pub cooldown_max: Duration,
    /// How many failures lead to a cooldown.
    pub breaker: Breaker,
    /// What happens to a stream that breaks after its first token.
    pub rescue: Rescue,
    /// After how long without a first token the next target is asked too.
    pub hedge: Option<Duration>,
    /// How many calls in a hundred may be hedged.
    pub hedge_budget: u32,
    /// Whether the requests of one session prefer the target that answered before.
    pub sticky: bool,
}

/// How many failures (5xx and timeouts) among how many calls lead to a cooldown of the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Breaker {
    /// So many failures; at least one.
    pub failures: u32,
    /// Among so many of the last calls; at least `failures`.
    pub of: u32,
}

/// Which failures advance to the next step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FallbackOn {
    /// Those that another provider may not repeat.
    #[default]
    Default,
    /// Everything but success.
    Any,
}

/// Which step of a route comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strategy {
    /// The first in the configuration.
    #[default]
    Order,
    /// Any, as often as its weight says.
    Weighted,
    /// Each in turn.
    RoundRobin,
    /// The one at which the request costs least.
    Cheapest,
    /// The one whose first token came soonest of late.
    Fastest,
    /// The one with the fewest calls in flight.
    LeastBusy,
}

/// What happens to a stream that breaks after its first token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rescue {
    /// The stream ends with an error.
    #[default]
    Off,
    /// Another target goes on with it.
    Continue,
}

impl Default for Breaker {
    fn default() -> Self {
        Self { failures: 1, of: 1 }
    }
}

impl Strategy {
    /// The word of the configuration.
    pub fn name(self) -> &'static str {
        word(&STRATEGIES, self)
    }
}

pub(super) fn read(
    rules: &mut Rules<'_>,
    reader: &mut Reader<'_>,
    node: &Node<'_>,
) -> Option<Route> {
    let fields = reader.fields(node, &ROUTE)?;
    let cooldown = reader.optional(fields, "cooldown", Reader::duration).unwrap_or(COOLDOWN);
    let hedge_budget = reader.optional(fields, "hedge_budget", |it, node| it.small(node, 0..=100));
    let route = Route {
        name: reader.required(fields, "name", |it, node| rules.served_name(it, node)),
        description: reader.optional(fields, "description", Reader::text),
        fallback_on: choice(reader, fields, "fallback_on", &FALLBACK_ON),
        strategy: choice(reader, fields, "strategy", &STRATEGIES),
        steps: reader.list(fields, "steps", |it, node| step::read(rules, it, node)),
        cooldown,
        cooldown_max: cooldown_max(reader, fields, cooldown),
        breaker: reader.section(fields, "breaker", breaker),
        rescue: choice(reader, fields, "rescue", &RESCUES),
        hedge: reader.optional(fields, "hedge", Reader::time_limit),
        hedge_budget: hedge_budget.unwrap_or(HEDGE_BUDGET),
        sticky: reader.optional(fields, "sticky", Reader::flag).unwrap_or_default(),
    };
    need_entries(reader, fields, "steps", "a route has at least one step");
    Some(route)
}

fn choice<T: Copy + Default>(
    reader: &mut Reader<'_>,
    fields: Fields<'_>,
    key: &str,
    words: &[(&str, T)],
) -> T {
    reader.optional(fields, key, |it, node| it.word(node, words)).flatten().unwrap_or_default()
}

fn cooldown_max(reader: &mut Reader<'_>, fields: Fields<'_>, cooldown: Duration) -> Duration {
    let given = reader.optional(fields, "cooldown_max", |reader, node| {
        let longest = reader.duration(node);
        if longest < cooldown {
            reader.fault(node.at, "is shorter than cooldown");
        }
        longest
    });
    given.unwrap_or(COOLDOWN_MAX.max(cooldown))
}

fn breaker(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<Breaker> {
    let fields = reader.fields(node, &BREAKER)?;
    let count = |reader: &mut Reader<'_>, node: &Node<'_>| reader.small(node, 1..=MAX_REMEMBERED);
    let failures = reader.optional(fields, "failures", count).unwrap_or(1);
    let of = reader.optional(fields, "of", |reader, node| {
        let of = count(reader, node);
        if of < failures {
            reader.fault(node.at, "is less than failures, so that no target would ever cool down");
        }
        of
    });
    Some(Breaker { failures, of: of.unwrap_or(failures) })
}

pub(super) fn write(it: &Route) -> Entries {
    let mut map = Map::default();
    map.put("name", text(&it.name));
    map.some("description", it.description.as_ref().map(text));
    let is_usual = it.fallback_on == FallbackOn::default();
    map.unless("fallback_on", is_usual, bare(&word(&FALLBACK_ON, it.fallback_on)));
    map.unless("strategy", it.strategy == Strategy::default(), bare(&it.strategy.name()));
    map.put("steps", Written::List(it.steps.iter().map(step::write).collect()));
    map.unless("cooldown", it.cooldown == COOLDOWN, time(it.cooldown));
    let is_usual = it.cooldown_max == COOLDOWN_MAX.max(it.cooldown);
    map.unless("cooldown_max", is_usual, time(it.cooldown_max));
    map.unless("breaker", it.breaker == Breaker::default(), write_breaker(it.breaker));
    map.unless("rescue", it.rescue == Rescue::default(), bare(&word(&RESCUES, it.rescue)));
    map.some("hedge", it.hedge.map(time));
    map.unless("hedge_budget", it.hedge_budget == HEDGE_BUDGET, bare(&it.hedge_budget));
    map.unless("sticky", !it.sticky, bare(&it.sticky));
    map.0
}

fn write_breaker(it: Breaker) -> Written {
    let mut map = Map::default();
    map.put("failures", bare(&it.failures));
    map.put("of", bare(&it.of));
    Written::Map(map.0)
}

//! Routes: names that clients use, and the targets behind each.

use std::time::Duration;

use super::{
    COOLDOWN,
    keys::{Key, Keys, Takes, words},
    log::word,
    node::Node,
    read::{Rules, need_entries},
    reader::{Fields, Reader},
    step::{self, Step},
    write::{Entries, Map, Written, bare, text, time},
};

pub(super) const ROUTE: Keys = Keys {
    of: "a route",
    keys: &[
        Key::required("name", Takes::Text, "what a client puts in `model`: exact, case-sensitive"),
        Key::new("description", Takes::Text, "", "shown in `GET /v1/models`"),
        Key::new(
            "fallback_on",
            Takes::Words(&words(&FALLBACK_ON)),
            "`default`",
            "which failures advance to the next step: `default` or `any`",
        ),
        Key::new(
            "strategy",
            Takes::Words(&words(&STRATEGIES)),
            "`order`",
            "which step comes first: `order`, `weighted`, `round_robin`, `cheapest`, `fastest` or `least_busy`",
        ),
        Key::required(
            "steps",
            Takes::List(&Takes::Mapping(&step::STEP)),
            "the targets to attempt, in order; at least one",
        ),
        Key::new(
            "cooldown",
            Takes::Duration,
            "60s",
            "how long a provider's model cools down after a failure that names no time. `0s`: never",
        ),
        Key::new(
            "cooldown_max",
            Takes::Duration,
            "15m",
            "how long a cooldown may become while failures go on",
        ),
        Key::new(
            "breaker",
            Takes::Mapping(&BREAKER),
            "1 of 1",
            "how many 5xx and time-outs lead to a cooldown",
        ),
        Key::new(
            "rescue",
            Takes::Words(&words(&RESCUES)),
            "`off`",
            "`continue`: another target goes on with a stream that broke after its first token",
        ),
        Key::new(
            "hedge",
            Takes::Duration,
            "off",
            "after how long without a first token the next target is called too",
        ),
        Key::new(
            "hedge_budget",
            Takes::Whole(0, 100),
            "5",
            "how many calls in a hundred may be hedged",
        ),
        Key::new(
            "sticky",
            Takes::Flag,
            "`false`",
            "whether the requests of one session prefer the target that responded before",
        ),
    ],
};
pub(super) const BREAKER: Keys = Keys {
    of: "breaker",
    keys: &[
        Key::new("failures", Takes::Whole(1, MAX_REMEMBERED), "1", "so many failures"),
        Key::new(
            "of",
            Takes::Whole(1, MAX_REMEMBERED),
            "`failures`",
            "among so many of the last calls",
        ),
    ],
};
/// How long the cooldown of a route may become when nobody says otherwise.
pub const COOLDOWN_MAX: Duration = Duration::from_secs(15 * 60);
/// How many calls in a hundred may be hedged when nobody says otherwise.
pub const HEDGE_BUDGET: u32 = 5;
/// As many of the last calls to a target as are remembered.
const MAX_REMEMBERED: u64 = 64;

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

/// A name that clients put in `model`, and the targets to attempt for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The name: exact, case-sensitive.
    pub name: String,
    /// What the list of models shows beside the name.
    pub description: Option<String>,
    /// Which failures advance to the next step.
    pub fallback_on: FallbackOn,
    /// Which step comes first.
    pub strategy: Strategy,
    /// The targets to attempt, in order; at least one.
    pub steps: Vec<Step>,
    /// How long a target cools down after a failure that names no time. Zero: it never does.
    pub cooldown: Duration,
    /// How long a cooldown may become while failures go on; never less than `cooldown`.
    pub cooldown_max: Duration,
    /// How many failures lead to a cooldown.
    pub breaker: Breaker,
    /// What happens to a stream that breaks after its first token.
    pub rescue: Rescue,
    /// After how long without a first token the next target is called too.
    pub hedge: Option<Duration>,
    /// How many calls in a hundred may be hedged.
    pub hedge_budget: u32,
    /// Whether the requests of one session prefer the target that responded before.
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
    /// Failures that another provider may not repeat.
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
    /// Another target goes on with the stream.
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
    // First, because `cooldown_max` must not be less.
    let cooldown = reader.optional(fields, "cooldown", Reader::duration).unwrap_or(COOLDOWN);
    let hedge_budget = reader.small_count(fields, "hedge_budget");
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
    let cooldown_max = reader.optional(fields, "cooldown_max", |reader, node| {
        let given = reader.duration(node);
        if given < cooldown {
            reader.report(node.at, "is shorter than cooldown");
        }
        given
    });
    // A cooldown above the usual maximum is meant, so the maximum follows it.
    cooldown_max.unwrap_or(COOLDOWN_MAX.max(cooldown))
}

fn breaker(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<Breaker> {
    let fields = reader.fields(node, &BREAKER)?;

    let failures = reader.small_count(fields, "failures").unwrap_or(1);
    let of = reader.small_count(fields, "of");

    if let (Some(node), Some(of)) = (fields.get("of"), of)
        && of < failures
    {
        let message = "is less than failures, so that no target would ever cool down";
        reader.inside("of", |reader| reader.report(node.at, message));
    }
    Some(Breaker { failures, of: of.unwrap_or(failures) })
}

pub(super) fn write(it: &Route) -> Entries {
    let mut map = Map::default();
    map.put("name", text(&it.name));
    map.some("description", it.description.as_ref().map(text));
    let is_default = it.fallback_on == FallbackOn::default();
    map.unless("fallback_on", is_default, bare(&word(&FALLBACK_ON, it.fallback_on)));
    map.unless("strategy", it.strategy == Strategy::default(), bare(&it.strategy.name()));
    map.put("steps", Written::List(it.steps.iter().map(step::write).collect()));
    map.unless("cooldown", it.cooldown == COOLDOWN, time(it.cooldown));
    let is_default = it.cooldown_max == COOLDOWN_MAX.max(it.cooldown);
    map.unless("cooldown_max", is_default, time(it.cooldown_max));
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

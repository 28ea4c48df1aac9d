//! What a provider allows us, and how its health is probed.

use std::time::Duration;

use super::{
    keys::{Key, Keys, Takes},
    node::Node,
    read::model_name,
    reader::Reader,
    values::write_money,
    write::{Map, Written, bare, text, time},
};

pub(super) const LIMITS: Keys = Keys {
    of: "limits",
    keys: &[
        Key::new(
            "requests_per_minute",
            Takes::Whole(1, MAX_LIMIT),
            "unlimited",
            "requests in a minute",
        ),
        Key::new("requests_per_day", Takes::Whole(1, MAX_LIMIT), "unlimited", "requests in a day"),
        Key::new(
            "tokens_per_minute",
            Takes::Whole(1, MAX_LIMIT),
            "unlimited",
            "input and output tokens in a minute",
        ),
        Key::new("concurrent", Takes::Whole(1, MAX_LIMIT), "unlimited", "calls at the same time"),
    ],
};
pub(super) const PROBE: Keys = Keys {
    of: "probe",
    keys: &[
        Key::new("every", Takes::Duration, "1m", "how long after one probe the next begins"),
        Key::required("model", Takes::Text, "the provider's name for the model that is called"),
        Key::new(
            "max_cost",
            Takes::Money,
            "0.1",
            "what all probes of a day may cost together, in US dollars",
        ),
    ],
};
/// As much as a limit may be: what every store can count to.
const MAX_LIMIT: u64 = 1_000_000_000_000;
/// What the probes of a provider may cost in a day when nobody says otherwise, in micro-dollars.
const MAX_COST: u64 = 100_000;
const EVERY: Duration = Duration::from_secs(60);

/// What a provider allows each key, or all calls where it has none. Absent is unlimited.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProviderLimits {
    /// Requests in a minute.
    pub requests_per_minute: Option<u64>,
    /// Requests in a day.
    pub requests_per_day: Option<u64>,
    /// Input and output tokens in a minute.
    pub tokens_per_minute: Option<u64>,
    /// Calls at the same time.
    pub concurrent: Option<u64>,
}

/// Small calls in the background that find out whether a provider works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// How long after one probe the next begins.
    pub every: Duration,
    /// The provider's name for the model that is called.
    pub model: String,
    /// What all probes of a day may cost together, in micro-dollars.
    pub max_cost: u64,
}

impl ProviderLimits {
    /// Whether nothing is limited.
    pub fn is_unlimited(&self) -> bool {
        *self == Self::default()
    }
}

pub(super) fn limits(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<ProviderLimits> {
    let fields = reader.fields(node, &LIMITS)?;
    let limit = |reader: &mut Reader<'_>, key| reader.count(fields, key);
    Some(ProviderLimits {
        requests_per_minute: limit(reader, "requests_per_minute"),
        requests_per_day: limit(reader, "requests_per_day"),
        tokens_per_minute: limit(reader, "tokens_per_minute"),
        concurrent: limit(reader, "concurrent"),
    })
}

pub(super) fn probe(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<Probe> {
    let fields = reader.fields(node, &PROBE)?;
    let every = reader.optional(fields, "every", |reader, node| {
        let every = reader.time_limit(node);
        if !every.is_zero() && every < Duration::from_secs(1) {
            // Every probe is a call that the provider counts and charges.
            reader.report(node.at, "is less than a second");
        }
        every
    });
    Some(Probe {
        every: every.unwrap_or(EVERY),
        model: reader.required(fields, "model", model_name),
        max_cost: reader.optional(fields, "max_cost", Reader::money).unwrap_or(MAX_COST),
    })
}

pub(super) fn write_limits(it: &ProviderLimits) -> Option<Written> {
    let mut map = Map::default();
    map.some("requests_per_minute", it.requests_per_minute.as_ref().map(bare));
    map.some("requests_per_day", it.requests_per_day.as_ref().map(bare));
    map.some("tokens_per_minute", it.tokens_per_minute.as_ref().map(bare));
    map.some("concurrent", it.concurrent.as_ref().map(bare));
    map.section()
}

pub(super) fn write_probe(it: &Probe) -> Written {
    let mut map = Map::default();
    map.unless("every", it.every == EVERY, time(it.every));
    map.put("model", text(&it.model));
    map.unless("max_cost", it.max_cost == MAX_COST, Written::Bare(write_money(it.max_cost)));
    Written::Map(map.0)
}

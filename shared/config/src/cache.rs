//! How long responses are kept to be given again: to the same request, or for the same
//! `Idempotency-Key`.

use std::time::Duration;

use super::{
    keys::{Key, Keys, Takes},
    node::Node,
    reader::Reader,
    write::{Map, Written, bare, time},
};

pub(super) const CACHE: Keys = Keys {
    of: "cache",
    keys: &[
        Key::new(
            "enabled",
            Takes::Flag,
            "`true` in a `cache` section",
            "whether responses are kept and given again to the same request of the same tenant",
        ),
        Key::new("ttl", Takes::Duration, "5m", "how long"),
    ],
};
pub(super) const IDEMPOTENCY: Keys = Keys {
    of: "idempotency",
    keys: &[Key::new(
        "ttl",
        Takes::Duration,
        "24h",
        "how long the response to a request with an `Idempotency-Key` is kept; `0s` ignores such keys",
    )],
};

/// Whether responses are given again to the same request of the same tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cache {
    /// Whether they are, for tenants that do not say.
    pub enabled: bool,
    /// How long, for tenants that do not say.
    pub ttl: Duration,
}

/// How repeated requests with one `Idempotency-Key` are handled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idempotency {
    /// How long the response to a request with a key is kept. Zero: keys are not heard.
    pub ttl: Duration,
}

impl Default for Cache {
    fn default() -> Self {
        Self { enabled: false, ttl: Duration::from_secs(5 * 60) }
    }
}

impl Default for Idempotency {
    fn default() -> Self {
        Self { ttl: Duration::from_secs(24 * 60 * 60) }
    }
}

/// Reads the section; whoever writes it wants a cache, unless `enabled: false` says otherwise.
pub(super) fn read(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<Cache> {
    let fields = reader.fields(node, &CACHE)?;
    let ttl = reader.optional(fields, "ttl", Reader::retention);
    Some(Cache {
        // A section that only says `ttl` would otherwise change nothing, without a word.
        enabled: reader.optional(fields, "enabled", Reader::flag).unwrap_or(true),
        ttl: ttl.unwrap_or(Cache::default().ttl),
    })
}

pub(super) fn read_idempotency(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<Idempotency> {
    let fields = reader.fields(node, &IDEMPOTENCY)?;
    // Zero is allowed here and means that keys are ignored, which a cache says with `enabled`.
    let ttl = reader.optional(fields, "ttl", Reader::duration);
    Some(Idempotency { ttl: ttl.unwrap_or(Idempotency::default().ttl) })
}

pub(super) fn write(it: &Cache) -> Option<Written> {
    // The section itself switches the cache on, so an empty one must not be written.
    if *it == Cache::default() {
        return None;
    }
    let mut map = Map::default();
    // Written even where it is usual: its default inside the section differs from that without one.
    map.put("enabled", bare(&it.enabled));
    map.unless("ttl", it.ttl == Cache::default().ttl, time(it.ttl));
    map.section()
}

pub(super) fn write_idempotency(it: &Idempotency) -> Option<Written> {
    let mut map = Map::default();
    map.unless("ttl", it.ttl == Idempotency::default().ttl, time(it.ttl));
    map.section()
}

//! How long the request log keeps records of calls, and whether it keeps prompts.

use std::time::Duration;

use super::{
    keys::{Key, Keys, Takes},
    node::Node,
    reader::Reader,
    write::{Map, Written, bare, time},
};

pub(super) const REQUESTS: Keys = Keys {
    of: "requests",
    keys: &[
        Key::new("retention", Takes::Duration, "30d", "how long the record of a call is kept"),
        Key::new(
            "prompts",
            Takes::Mapping(&PROMPTS),
            "not kept",
            "prompts and responses beside it",
        ),
    ],
};
pub(super) const PROMPTS: Keys = Keys {
    of: "prompts",
    keys: &[
        Key::new("enabled", Takes::Flag, "`false`", "whether prompts and responses are kept"),
        Key::new("retention", Takes::Duration, "3d", "how long"),
        Key::new(
            "max_bytes",
            Takes::Whole(1, MAX_PROMPT_BYTES),
            "65536",
            "how many bytes of the prompt and of the response, each",
        ),
    ],
};
/// Half of what a row of DynamoDB can hold: prompt and answer stand in one.
const MAX_PROMPT_BYTES: u64 = 190_000;

/// What the request log keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestLog {
    /// How long the record of a call is kept.
    pub retention: Duration,
    /// Whether prompts and responses are kept beside it.
    pub prompts: PromptLog,
}

/// Whether prompts and responses are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PromptLog {
    /// Whether they are.
    pub enabled: bool,
    /// How long.
    pub retention: Duration,
    /// How many bytes of the prompt and of the response are kept, each.
    pub max_bytes: u64,
}

impl Default for RequestLog {
    fn default() -> Self {
        Self { retention: days(30), prompts: PromptLog::default() }
    }
}

impl Default for PromptLog {
    fn default() -> Self {
        Self { enabled: false, retention: days(3), max_bytes: 64 * 1024 }
    }
}

fn days(days: u64) -> Duration {
    Duration::from_secs(days * 24 * 60 * 60)
}

pub(super) fn read(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<RequestLog> {
    let fields = reader.fields(node, &REQUESTS)?;
    let default = RequestLog::default();
    let retention = reader.optional(fields, "retention", Reader::retention);
    Some(RequestLog {
        retention: retention.unwrap_or(default.retention),
        prompts: reader.section(fields, "prompts", prompts),
    })
}

fn prompts(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<PromptLog> {
    let fields = reader.fields(node, &PROMPTS)?;
    let default = PromptLog::default();
    let max_bytes = reader.count(fields, "max_bytes");
    Some(PromptLog {
        enabled: reader.optional(fields, "enabled", Reader::flag).unwrap_or(default.enabled),
        retention: reader
            .optional(fields, "retention", Reader::retention)
            .unwrap_or(default.retention),
        max_bytes: max_bytes.unwrap_or(default.max_bytes),
    })
}

pub(super) fn write(it: &RequestLog) -> Option<Written> {
    let default = RequestLog::default();
    let mut prompts = Map::default();
    let PromptLog { enabled, retention, max_bytes } = it.prompts;
    prompts.unless("enabled", enabled == default.prompts.enabled, bare(&enabled));
    prompts.unless("retention", retention == default.prompts.retention, time(retention));
    prompts.unless("max_bytes", max_bytes == default.prompts.max_bytes, bare(&max_bytes));

    let mut map = Map::default();
    map.unless("retention", it.retention == default.retention, time(it.retention));
    map.some("prompts", prompts.section());
    map.section()
}

//! Steps of a route: one provider each, and its name for the model.

use std::time::Duration;

use super::{
    keys::{Key, Keys, Takes, words},
    log::word,
    node::Node,
    read::{Rules, model_name},
    reader::Reader,
    when::{self, When},
    write::{Map, Written, bare, text, time},
};

pub(super) const STEP: Keys = Keys {
    of: "a step",
    keys: &[
        Key::required("provider", Takes::Text, "the name of a provider"),
        Key::required("model", Takes::Text, "the provider's name for the model"),
        Key::new("when", Takes::Mapping(&when::WHEN), "always", "which requests the step is for"),
        Key::new(
            "weight",
            Takes::Whole(0, 1000000),
            "1",
            "how often it comes first, beside the weights of the others (`strategy: weighted`)",
        ),
        Key::new(
            "conflict_resolution",
            Takes::Words(&words(&CONFLICT_RESOLUTIONS)),
            "",
            "when a request has both tools and a response format: `tools` keeps the tools, `format` keeps the format",
        ),
        Key::new(
            "timeout",
            Takes::Duration,
            "the provider's",
            "time for this step: the whole response, or the first token of a stream",
        ),
        Key::new(
            "first_token_timeout",
            Takes::Duration,
            "`timeout`",
            "time until the first token of a stream, within `timeout`",
        ),
        Key::new(
            "min_tokens_per_second",
            Takes::Whole(1, 1000000),
            "none",
            "the speed below which a stream counts as broken",
        ),
        Key::new("speed_window", Takes::Duration, "10s", "over how long that speed is measured"),
        Key::new(
            "retries",
            Takes::Whole(0, 10),
            "0",
            "how often the step is retried after a transient failure, at most 10; after a time-out only while no other step is left. Pauses double from up to half a second, and obey `Retry-After`; where that is more than 30 s, the next step is better",
        ),
        Key::new(
            "context_window",
            Takes::Whole(1, 1000000000),
            "the shipped table's",
            "how many tokens the model holds",
        ),
    ],
};
/// Over how long the speed of a stream is measured when nobody says otherwise.
pub const SPEED_WINDOW: Duration = Duration::from_secs(10);
const CONFLICT_RESOLUTIONS: [(&str, ConflictResolution); 2] =
    [("tools", ConflictResolution::Tools), ("format", ConflictResolution::Format)];

/// One provider and its name for the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The name of a provider in the same configuration.
    pub provider: String,
    /// The provider's name for the model.
    pub model: String,
    /// Which requests the step is for.
    pub when: When,
    /// How often the step comes first, beside the weights of the others (`strategy: weighted`).
    pub weight: u32,
    /// What to do when a request has both tools and a response format.
    pub conflict_resolution: Option<ConflictResolution>,
    /// Time for this step: the whole response, or the first token of a stream.
    pub timeout: Option<Duration>,
    /// Time until the first token of a stream, within `timeout`.
    pub first_token_timeout: Option<Duration>,
    /// The speed below which a stream counts as broken, in tokens per second.
    pub min_tokens_per_second: Option<u32>,
    /// Over how long that speed is measured.
    pub speed_window: Duration,
    /// How often the same step is retried after a transient failure.
    pub retries: u32,
    /// How many tokens the model can hold, when the shipped table does not know.
    pub context_window: Option<u64>,
}

/// What stays when a request has both tools and a response format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConflictResolution {
    /// Tools stay; the response format goes.
    Tools,
    /// The response format stays; tools go.
    Format,
}

pub(super) fn read(rules: &Rules<'_>, reader: &mut Reader<'_>, node: &Node<'_>) -> Option<Step> {
    let fields = reader.fields(node, &STEP)?;
    let conflict_resolution = reader
        .optional(fields, "conflict_resolution", |it, node| it.word(node, &CONFLICT_RESOLUTIONS));
    let speed_window = reader.optional(fields, "speed_window", Reader::time_limit);
    Some(Step {
        provider: reader.required(fields, "provider", |it, node| rules.provider_of(it, node)),
        model: reader.required(fields, "model", model_name),
        when: reader.section(fields, "when", when::read),
        weight: reader.small_count(fields, "weight").unwrap_or(1),
        conflict_resolution: conflict_resolution.flatten(),
        timeout: reader.optional(fields, "timeout", Reader::time_limit),
        first_token_timeout: reader.optional(fields, "first_token_timeout", Reader::time_limit),
        min_tokens_per_second: reader.small_count(fields, "min_tokens_per_second"),
        speed_window: speed_window.unwrap_or(SPEED_WINDOW),
        retries: reader.small_count(fields, "retries").unwrap_or(0),
        context_window: reader.count(fields, "context_window"),
    })
}

pub(super) fn write(it: &Step) -> Written {
    let mut map = Map::default();
    map.put("provider", text(&it.provider));
    map.put("model", text(&it.model));
    map.some("when", when::write(&it.when));
    map.unless("weight", it.weight == 1, bare(&it.weight));
    let resolution = it.conflict_resolution.map(|it| bare(&word(&CONFLICT_RESOLUTIONS, it)));
    map.some("conflict_resolution", resolution);
    map.some("timeout", it.timeout.map(time));
    map.some("first_token_timeout", it.first_token_timeout.map(time));
    map.some("min_tokens_per_second", it.min_tokens_per_second.as_ref().map(bare));
    map.unless("speed_window", it.speed_window == SPEED_WINDOW, time(it.speed_window));
    map.unless("retries", it.retries == 0, bare(&it.retries));
    map.some("context_window", it.context_window.as_ref().map(bare));
    Written::Map(map.0)
}

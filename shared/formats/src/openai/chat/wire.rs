//! What travels, as far as the gateway looks at it.
//!
//! Readers are lenient: an unknown field is nobody's fault, and a field of an unknown shape is
//! only a fault where its meaning decides something.

use std::{borrow::Cow, fmt};

use canonical::Usage;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::bound::tokens;

/// A whole answer, or one chunk of a stream: they share these members.
#[derive(Debug, Deserialize)]
pub(super) struct ChatResponse<'a> {
    #[serde(default)]
    pub(super) choices: Option<Choices>,
    #[serde(borrow, default)]
    pub(super) usage: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) error: Option<&'a RawValue>,
}

/// What the choices of an answer amount to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Choices {
    /// How many there are.
    pub(super) count: usize,
    /// Whether one holds something that a client could use.
    pub(super) content: bool,
    /// Whether one says why it ends.
    pub(super) finish: bool,
    /// Whether one ends because the provider failed.
    pub(super) failed: bool,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(default)]
    delta: Option<WireDelta>,
    #[serde(borrow, default)]
    finish_reason: Option<Cow<'a, str>>,
}

/// Whether a delta holds more than a role.
struct WireDelta {
    content: bool,
}

impl<'de> Deserialize<'de> for Choices {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        struct Fold;
        impl<'de> Visitor<'de> for Fold {
            type Value = Choices;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of choices")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Choices, A::Error> {
                let mut sum = Choices::default();
                while let Some(choice) = list.next_element::<Choice<'de>>()? {
                    sum.count += 1;
                    sum.content |= choice.delta.is_some_and(|it| it.content);
                    // Some write an empty reason where others write null.
                    let reason = choice.finish_reason.as_deref().filter(|it| !it.is_empty());
                    sum.finish |= reason.is_some();
                    sum.failed |= reason == Some("error");
                }
                Ok(sum)
            }
        }
        json.deserialize_seq(Fold)
    }
}

impl<'de> Deserialize<'de> for WireDelta {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        struct Fold;
        impl<'de> Visitor<'de> for Fold {
            type Value = WireDelta;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a delta")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<WireDelta, A::Error> {
                let mut content = false;
                while let Some(key) = map.next_key::<Cow<'de, str>>()? {
                    if key == "role" {
                        map.next_value::<IgnoredAny>()?;
                        continue;
                    }
                    let value = map.next_value::<&RawValue>()?.get();
                    content |= !matches!(value, "null" | "\"\"" | "[]" | "{}");
                }
                Ok(WireDelta { content })
            }
        }
        json.deserialize_map(Fold)
    }
}

/// What a provider says about tokens.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct WireUsage {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    total_tokens: Option<u64>,
    prompt_tokens_details: Option<PromptDetails>,
    completion_tokens_details: Option<CompletionDetails>,
    /// DeepSeek's word for cached tokens.
    prompt_cache_hit_tokens: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct PromptDetails {
    cached_tokens: Option<u64>,
    /// OpenRouter's word for tokens written to a cache.
    cache_write_tokens: Option<u64>,
    audio_tokens: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct CompletionDetails {
    reasoning_tokens: Option<u64>,
    audio_tokens: Option<u64>,
}

/// Reads a usage object into disjoint classes; none when it says nothing.
pub(super) fn usage(json: &RawValue) -> Option<Usage> {
    let wire: WireUsage = serde_json::from_str::<Option<_>>(json.get()).ok()??;
    if wire.prompt_tokens.is_none() && wire.completion_tokens.is_none() {
        return None;
    }
    let prompt = tokens(wire.prompt_tokens);
    let completion = tokens(wire.completion_tokens);
    let read = wire.prompt_tokens_details.unwrap_or_default();
    let written = wire.completion_tokens_details.unwrap_or_default();

    let cached = read.cached_tokens.or(wire.prompt_cache_hit_tokens).unwrap_or(0).min(prompt);
    let cache_write = read.cache_write_tokens.unwrap_or(0).min(prompt - cached);
    let input_audio = read.audio_tokens.unwrap_or(0).min(prompt - cached - cache_write);
    let reasoning = tokens(written.reasoning_tokens);
    let output_audio = written.audio_tokens.unwrap_or(0).min(completion);
    // OpenAI counts reasoning within the completion; xAI counts it beside. The total tells.
    let beside = wire.total_tokens == Some(prompt + completion + reasoning);
    let within = if beside { 0 } else { reasoning };
    Some(Usage {
        input: prompt - cached - cache_write - input_audio,
        cached_input: cached,
        cache_write,
        input_audio,
        output: completion.saturating_sub(within + output_audio),
        reasoning,
        output_audio,
    })
}

/// What was consumed, in OpenAI's overlapping counts.
#[derive(Debug, Serialize)]
pub(crate) struct UsageJson {
    prompt_tokens: u64,
    completion_tokens: u64,
    total_tokens: u64,
    prompt_tokens_details: PromptJson,
    completion_tokens_details: CompletionJson,
}

#[derive(Debug, Serialize)]
struct PromptJson {
    cached_tokens: u64,
    #[serde(skip_serializing_if = "is_zero")]
    cache_write_tokens: u64,
    audio_tokens: u64,
}

#[derive(Debug, Serialize)]
struct CompletionJson {
    reasoning_tokens: u64,
    audio_tokens: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks with a reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// Writes usage in OpenAI's counts, where the total holds its details.
pub(crate) fn written(usage: &Usage) -> UsageJson {
    let (prompt_tokens, completion_tokens) = (usage.all_input(), usage.all_output());
    UsageJson {
        prompt_tokens,
        completion_tokens,
        total_tokens: prompt_tokens + completion_tokens,
        prompt_tokens_details: PromptJson {
            cached_tokens: usage.cached_input,
            cache_write_tokens: usage.cache_write,
            audio_tokens: usage.input_audio,
        },
        completion_tokens_details: CompletionJson {
            reasoning_tokens: usage.reasoning,
            audio_tokens: usage.output_audio,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Usage {
        usage(serde_json::from_str(json).unwrap()).unwrap()
    }

    #[test]
    fn classes_of_tokens_do_not_overlap() {
        let usage = read(
            r#"{"prompt_tokens":100,"completion_tokens":50,"total_tokens":150,
            "prompt_tokens_details":{"cached_tokens":60,"audio_tokens":10},
            "completion_tokens_details":{"reasoning_tokens":30,"audio_tokens":5}}"#,
        );
        assert_eq!((usage.input, usage.cached_input, usage.input_audio), (30, 60, 10));
        assert_eq!((usage.output, usage.reasoning, usage.output_audio), (15, 30, 5));
        assert_eq!(usage.all_input() + usage.all_output(), 150);
    }

    #[test]
    fn reasoning_beside_the_completion_is_told_by_the_total() {
        let usage = read(
            r#"{"prompt_tokens":10,"completion_tokens":5,"total_tokens":45,
            "completion_tokens_details":{"reasoning_tokens":30}}"#,
        );
        assert_eq!((usage.output, usage.reasoning), (5, 30));
    }

    #[test]
    fn a_usage_that_says_nothing_is_none() {
        let none = |json: &str| usage(serde_json::from_str(json).unwrap()).is_none();
        assert!(none("null"));
        assert!(none("{}"));
        assert!(none(r#"{"prompt_tokens":"many"}"#));
    }
}

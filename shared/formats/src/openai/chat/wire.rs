//! Summaries of responses and chunks, and usage both ways.
//!
//! Decoding is lenient: a member that is unknown or of an odd shape is an error only where it decides
//! how the response goes on.

use std::{borrow::Cow, fmt};

use canonical::{Error, ErrorKind, ResponseFacts, Result, Usage};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

use super::{finish_reason, response_decode};
use crate::{
    error_body, finish_reason::Finishes, json::Object, redact, size_limits::tokens, surrogates,
};

/// A whole response or one chunk of a stream, as far as both decide how the response goes on.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ResponseSummary<'a> {
    #[serde(borrow)]
    pub(super) choices: Option<ChoicesSummary<'a>>,
    #[serde(borrow)]
    pub(crate) usage: Option<&'a RawValue>,
    #[serde(borrow)]
    model: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    /// Members of errors that have no `error` around them.
    #[serde(borrow)]
    object: Option<&'a RawValue>,
    #[serde(borrow, rename = "type")]
    kind: Option<&'a RawValue>,
    #[serde(borrow)]
    message: Option<&'a RawValue>,
    #[serde(borrow)]
    msg: Option<&'a RawValue>,
    #[serde(borrow)]
    detail: Option<&'a RawValue>,
    #[serde(borrow)]
    errors: Option<&'a RawValue>,
    #[serde(borrow)]
    error_msg: Option<&'a RawValue>,
}

impl ResponseSummary<'_> {
    /// The model that a whole response names, and why it ends.
    pub(super) fn facts(&self) -> ResponseFacts {
        let choices = self.choices.as_ref();
        let model = response_decode::text(self.model);
        ResponseFacts {
            model: Some(model).filter(|it| !it.is_empty()),
            finish_reason: choices.and_then(|it| it.reason.clone()),
        }
    }

    /// The name of an object of another format, such as Anthropic's `message_start`. Objects that only
    /// are unknown may stand beside chunks.
    fn foreign_name(&self, json: &[u8]) -> Option<String> {
        if self.choices.is_some() || names_error(self.object) || names_error(self.kind) {
            return None;
        }
        let name = response_decode::text(self.kind.or(self.object));
        let has_foreign_name = FOREIGN.iter().any(|it| name.starts_with(it));
        let is_foreign = has_foreign_name
            || self.is_bare_error() && !name.is_empty() && !error_body::has_message(json);
        Some(name).filter(|_| is_foreign)
    }

    /// Whether a chunk holds neither a choice nor usage nor anything else that a client could read,
    /// such as the pings of relays. `json` is its text.
    pub(crate) fn says_nothing(&self, json: &[u8]) -> bool {
        if self.usage.is_some() {
            return false;
        }
        match &self.choices {
            // What has no `choices` is no chunk.
            None => true,
            Some(choices) if 0 < choices.count => false,
            // Azure begins with the results of its filter, in a chunk without choices.
            Some(_) => serde_json::from_slice::<Object<'_>>(json)
                .is_ok_and(|it| it.present().all(|(name, _)| AROUND.contains(&name))),
        }
    }

    /// Whether this is an error object without an `error` around it, such as vLLM's and `FastAPI`'s.
    fn is_bare_error(&self) -> bool {
        let has_message = [self.message, self.msg, self.detail, self.errors, self.error_msg];
        self.choices.is_none()
            // A last chunk with usage alone may lack `choices`, too.
            && self.usage.is_none()
            && (names_error(self.object)
                || names_error(self.kind)
                || has_message.iter().any(Option::is_some))
    }
}

fn names_error(it: Option<&RawValue>) -> bool {
    it.is_some_and(|it| it.get().contains("rror"))
}

/// Refuses a response or a chunk that is an error, or whose choice was cut. `json` is its text.
pub(crate) fn check(summary: &ResponseSummary<'_>, json: &[u8]) -> Result<()> {
    let choices = summary.choices.as_ref();
    // Some send an empty error with every chunk.
    let error = summary.error.or(choices.and_then(|it| it.error)).filter(is_error);
    if let Some(error) = error {
        return Err(error_body::beside(error, json));
    }
    if let Some(name) = summary.foreign_name(json) {
        return Err(foreign(&name));
    }
    if summary.is_bare_error() {
        return Err(error_body::from_event(json));
    }
    match choices.and_then(|it| it.cut.as_deref()) {
        Some(reason) => Err(finish_reason::cut(reason)),
        None => Ok(()),
    }
}

/// The members that stand around the choices of every chunk.
const AROUND: &[&str] = &[
    "choices",
    "created",
    "id",
    "model",
    "obfuscation",
    "object",
    "provider",
    "service_tier",
    "system_fingerprint",
];

/// How the names of objects begin that providers of Anthropic's format and of OpenAI Responses send.
const FOREIGN: &[&str] = &["message", "content_block_", "response"];

/// The error for an object of another format: the provider's type in the configuration is wrong.
fn foreign(name: &str) -> Error {
    let name = redact(name);
    let message = format!("sent an object of type `{name}`, which is no chat completion");
    Error::new(ErrorKind::Upstream, message)
}

/// Whether a member `error` reports a failure: some send an empty one with every chunk.
fn is_error(it: &&RawValue) -> bool {
    !matches!(it.get(), "{}" | "\"\"" | "false")
}

/// A summary of the choices of a response or a chunk.
#[derive(Clone, Debug, Default)]
pub(super) struct ChoicesSummary<'a> {
    /// How many there are.
    pub(super) count: usize,
    /// Whether one holds something that a client could use.
    pub(super) has_content: bool,
    /// Which of them say why they end.
    pub(super) finishes: Finishes,
    /// Which of them a limit or a filter ends.
    pub(super) limited: Finishes,
    /// How many hold a whole message.
    pub(super) messages: usize,
    /// Whether one holds tool calls.
    pub(super) has_calls: bool,
    /// Whether one is of a shape that OpenAI's SDKs do not expect.
    pub(super) is_odd: bool,
    /// The finish reason of the last one that has any.
    reason: Option<String>,
    /// The finish reason of one that was cut.
    cut: Option<String>,
    /// The error that one of them holds.
    error: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ChoiceSummary<'a> {
    #[serde(borrow)]
    index: Option<&'a RawValue>,
    delta: Option<MessageSummary>,
    message: Option<MessageSummary>,
    #[serde(borrow)]
    finish_reason: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

/// A summary of the members of a message or a delta, but for its role.
#[derive(Clone, Copy, Default)]
struct MessageSummary {
    has_content: bool,
    has_calls: bool,
    is_odd: bool,
}

impl<'a> ChoicesSummary<'a> {
    fn add(&mut self, choice: &ChoiceSummary<'a>) {
        self.count += 1;
        let message = choice.delta.or(choice.message);
        let lacks_members = choice.index.is_none() || message.is_none();
        let MessageSummary { has_content, has_calls, is_odd } = message.unwrap_or_default();
        self.messages += usize::from(choice.message.is_some());
        self.has_content |= has_content;
        self.has_calls |= has_calls;
        self.is_odd |= is_odd || lacks_members;
        self.error = self.error.or(choice.error);

        // Some write an empty reason where others write null.
        let reason = finish_reason::word_of(choice.finish_reason);
        let is_word = |it: &RawValue| it.get().starts_with('"') && !reason.is_empty();
        self.is_odd |= choice.finish_reason.is_some_and(|it| !is_word(it));
        // A missing index is the first choice, as in the decoder.
        let index = choice.index.and_then(|it| it.get().parse().ok()).unwrap_or(0);
        self.finishes.note(index, !reason.is_empty());
        if reason.is_empty() {
            return;
        }

        self.limited.note(index, finish_reason::is_limit(&reason));
        if finish_reason::is_cut(&reason) {
            self.cut = Some(reason.clone());
        }
        self.reason = Some(reason);
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for ChoicesSummary<'a> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> std::result::Result<Self, D::Error> {
        struct Fold;
        impl<'de> Visitor<'de> for Fold {
            type Value = ChoicesSummary<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of choices")
            }

            fn visit_seq<A: SeqAccess<'de>>(
                self,
                mut list: A,
            ) -> std::result::Result<Self::Value, A::Error> {
                let mut summary = ChoicesSummary::default();
                while let Some(choice) = list.next_element::<ChoiceSummary<'de>>()? {
                    summary.add(&choice);
                }
                Ok(summary)
            }
        }
        json.deserialize_seq(Fold)
    }
}

impl<'de> Deserialize<'de> for MessageSummary {
    fn deserialize<D: Deserializer<'de>>(json: D) -> std::result::Result<Self, D::Error> {
        struct Fold;
        impl<'de> Visitor<'de> for Fold {
            type Value = MessageSummary;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a message or a delta")
            }

            fn visit_map<A: MapAccess<'de>>(
                self,
                mut map: A,
            ) -> std::result::Result<Self::Value, A::Error> {
                let mut summary = MessageSummary::default();
                while let Some(key) = map.next_key::<Cow<'de, str>>()? {
                    // The role alone is not content yet; any other member is, also one that is not
                    // known.
                    if key == "role" {
                        map.next_value::<IgnoredAny>()?;
                    } else {
                        summary.add(&key, map.next_value::<&RawValue>()?.get());
                    }
                }
                Ok(summary)
            }
        }
        json.deserialize_map(Fold)
    }
}

impl MessageSummary {
    fn add(&mut self, key: &str, value: &str) {
        if matches!(value, "null" | "\"\"" | "[]" | "{}") {
            return;
        }
        self.has_content = true;
        match key {
            "tool_calls" | "function_call" => self.has_calls = true,
            "content" | "refusal" | "reasoning_content" | "reasoning" => {
                // Only marked here, by a look at the bytes: whether half a pair is alone is decided
                // where the text is parsed.
                self.is_odd |= !value.starts_with('"') || surrogates::may_have_any(value);
            }
            _ => {}
        }
    }
}

/// Usage as providers write it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct WireUsage {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    total_tokens: Option<u64>,
    prompt_tokens_details: Option<PromptDetails>,
    completion_tokens_details: Option<CompletionDetails>,
    /// Cached tokens at DeepSeek.
    prompt_cache_hit_tokens: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct PromptDetails {
    cached_tokens: Option<u64>,
    /// Tokens written to a cache, at OpenRouter.
    cache_write_tokens: Option<u64>,
    audio_tokens: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct CompletionDetails {
    reasoning_tokens: Option<u64>,
    audio_tokens: Option<u64>,
}

/// Decodes a usage object into classes that do not overlap; none when the object says nothing.
pub(crate) fn usage(json: &RawValue) -> Option<Usage> {
    let wire: WireUsage = serde_json::from_str::<Option<_>>(json.get()).ok()??;
    if wire.prompt_tokens.is_none() && wire.completion_tokens.is_none() {
        return None;
    }
    let prompt = tokens(wire.prompt_tokens);
    let completion = tokens(wire.completion_tokens);
    let read = wire.prompt_tokens_details.unwrap_or_default();
    let written = wire.completion_tokens_details.unwrap_or_default();

    // Each part is limited by what is left of the whole, so that no class goes below 0 and their
    // sum stays the total.
    let cached = read.cached_tokens.or(wire.prompt_cache_hit_tokens).unwrap_or(0).min(prompt);
    let cache_write = read.cache_write_tokens.unwrap_or(0).min(prompt - cached);
    let input_audio = read.audio_tokens.unwrap_or(0).min(prompt - cached - cache_write);
    let reasoning = tokens(written.reasoning_tokens);
    let output_audio = written.audio_tokens.unwrap_or(0).min(completion);
    // OpenAI counts reasoning within the completion, and xAI beside it. The total shows which.
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
        ..Usage::default()
    })
}

/// Usage in OpenAI's overlapping counts.
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

/// Usage in OpenAI's counts, where the total holds its details.
pub(crate) fn encode_usage(usage: &Usage) -> UsageJson {
    let (prompt_tokens, completion_tokens) = (usage.all_input(), usage.all_output());
    UsageJson {
        prompt_tokens,
        completion_tokens,
        total_tokens: usage.total(),
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
    fn a_response_names_its_model_and_why_it_ends() {
        let facts = |json: &str| serde_json::from_str::<ResponseSummary<'_>>(json).unwrap().facts();
        let named = facts(
            r#"{"model":"m-1","choices":[{"message":{"content":"finish_reason"},"finish_reason":"length"}]}"#,
        );
        assert_eq!(named.model.as_deref(), Some("m-1"));
        assert_eq!(named.finish_reason.as_deref(), Some("length"));
        let silent = facts(r#"{"model":null,"choices":[{"message":{},"finish_reason":null}]}"#);
        assert_eq!(silent, ResponseFacts::default());
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
    fn the_total_shows_reasoning_beside_the_completion() {
        let usage = read(
            r#"{"prompt_tokens":10,"completion_tokens":5,"total_tokens":45,
            "completion_tokens_details":{"reasoning_tokens":30}}"#,
        );
        assert_eq!((usage.output, usage.reasoning), (5, 30));
    }

    #[test]
    fn a_usage_without_counts_is_none() {
        let none = |json: &str| usage(serde_json::from_str(json).unwrap()).is_none();
        assert!(none("null"));
        assert!(none("{}"));
        assert!(none(r#"{"prompt_tokens":"many"}"#));
    }
}

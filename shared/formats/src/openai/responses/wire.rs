//! Wire forms of requests and responses, as far as the gateway decodes them: items, their parts,
//! and usage.
//!
//! Clients and providers write the same items. Readers are lenient: an unknown member is nobody's
//! fault.

use std::borrow::Cow;

use canonical::Usage;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::size_limits::tokens;

/// A whole response, also within the events that carry one.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Response<'a> {
    pub(super) id: Option<String>,
    pub(super) model: Option<String>,
    #[serde(borrow)]
    pub(super) status: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) error: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) incomplete_details: Option<Incomplete<'a>>,
    #[serde(borrow)]
    pub(super) output: Option<Vec<&'a RawValue>>,
    #[serde(borrow)]
    pub(super) usage: Option<&'a RawValue>,
}

/// The reason why a response is incomplete.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Incomplete<'a> {
    #[serde(borrow)]
    pub(super) reason: Option<Cow<'a, str>>,
}

/// One item, of a request or of a response.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Item<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) role: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) content: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) call_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) namespace: Option<Cow<'a, str>>,
    /// The argument of a tool that takes any text.
    #[serde(borrow)]
    pub(super) input: Option<Cow<'a, str>>,
    /// Tools that are added on the way.
    #[serde(borrow)]
    pub(super) tools: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) arguments: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) output: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) summary: Option<Vec<Part<'a>>>,
    #[serde(borrow)]
    pub(super) encrypted_content: Option<Cow<'a, str>>,
    /// Whether a message is a commentary or the final answer.
    #[serde(borrow)]
    pub(super) phase: Option<&'a RawValue>,
    /// The image of an image generation, in base64.
    #[serde(borrow)]
    pub(super) result: Option<&'a RawValue>,
}

/// One part of an item.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Part<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) text: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) refusal: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) annotations: Option<Vec<&'a RawValue>>,
    #[serde(borrow)]
    pub(super) image_url: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) file_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) file_data: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) file_url: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) filename: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) detail: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) input_audio: Option<Audio<'a>>,
    #[serde(borrow)]
    pub(super) prompt_cache_breakpoint: Option<Breakpoint<'a>>,
}

/// Audio in base64, and its format.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Audio<'a> {
    #[serde(borrow)]
    pub(super) data: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) format: Cow<'a, str>,
}

/// Up to where the provider may cache.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Breakpoint<'a> {
    #[serde(borrow)]
    pub(super) ttl: Option<Cow<'a, str>>,
}

/// Where a text comes from.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Annotation<'a> {
    #[serde(borrow)]
    pub(super) url: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) title: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) filename: Option<Cow<'a, str>>,
    pub(super) start_index: Option<u64>,
    pub(super) end_index: Option<u64>,
}

/// A text where some providers send other types, which are ignored.
pub(super) fn string(json: Option<&RawValue>) -> Option<Cow<'_, str>> {
    #[derive(Deserialize)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
    serde_json::from_str::<Text<'_>>(json?.get()).ok().map(|it| it.0)
}

/// A provider's report of its usage.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct WireUsage {
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    input_tokens_details: Option<Read>,
    output_tokens_details: Option<Written>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Read {
    cached_tokens: Option<u64>,
    cache_write_tokens: Option<u64>,
    audio_tokens: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Written {
    reasoning_tokens: Option<u64>,
    audio_tokens: Option<u64>,
}

/// Decodes a usage object into classes that do not overlap; none where it is empty.
pub(crate) fn usage(json: &RawValue) -> Option<Usage> {
    let wire: WireUsage = serde_json::from_str::<Option<_>>(json.get()).ok()??;
    if wire.input_tokens.is_none() && wire.output_tokens.is_none() {
        return None;
    }
    let (input, output) = (tokens(wire.input_tokens), tokens(wire.output_tokens));
    let read = wire.input_tokens_details.unwrap_or_default();
    let written = wire.output_tokens_details.unwrap_or_default();
    let cached_input = read.cached_tokens.unwrap_or(0).min(input);
    let cache_write = read.cache_write_tokens.unwrap_or(0).min(input - cached_input);
    let input_audio = read.audio_tokens.unwrap_or(0).min(input - cached_input - cache_write);
    let reasoning = written.reasoning_tokens.unwrap_or(0).min(output);
    let output_audio = written.audio_tokens.unwrap_or(0).min(output - reasoning);
    Some(Usage {
        input: input - cached_input - cache_write - input_audio,
        cached_input,
        cache_write,
        input_audio,
        output: output - reasoning - output_audio,
        reasoning,
        output_audio,
        ..Usage::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_of_tokens_do_not_overlap() {
        let json = r#"{"input_tokens":100,"output_tokens":50,"total_tokens":150,
            "input_tokens_details":{"cached_tokens":60,"cache_write_tokens":10},
            "output_tokens_details":{"reasoning_tokens":30}}"#;
        let usage = usage(serde_json::from_str(json).unwrap()).unwrap();
        assert_eq!((usage.input, usage.cached_input, usage.cache_write), (30, 60, 10));
        assert_eq!((usage.output, usage.reasoning), (20, 30));
    }

    #[test]
    fn a_usage_without_counts_is_none() {
        for json in ["null", "{}", r#"{"input_tokens":"many"}"#] {
            assert_eq!(usage(serde_json::from_str(json).unwrap()), None, "{json}");
        }
    }
}

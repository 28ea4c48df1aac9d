//! Responses as they travel, as far as the gateway looks at them.
//!
//! Readers are lenient: an unknown field is nobody's fault. What only a client of another format
//! needs stays text until it is asked for.

pub(super) mod members;
pub(super) mod parts;

use canonical::{Error, ErrorKind, FinishReason, Result, Usage};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{lenient_values, size_limits::tokens};

/// A whole response, or one chunk of a stream: they are the same.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ChatResponse<'a> {
    #[serde(borrow)]
    pub(super) candidates: Option<Vec<Candidate<'a>>>,
    #[serde(borrow)]
    pub(super) prompt_feedback: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) usage_metadata: Option<&'a RawValue>,
    pub(super) model_version: Option<String>,
    pub(super) response_id: Option<String>,
    #[serde(borrow)]
    pub(super) error: Option<&'a RawValue>,
}

/// One of the responses that were asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Candidate<'a> {
    pub(super) index: Option<u32>,
    #[serde(borrow)]
    pub(super) content: Option<&'a RawValue>,
    pub(super) finish_reason: Option<String>,
    #[serde(borrow)]
    pub(super) citation_metadata: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) grounding_metadata: Option<&'a RawValue>,
}

/// The content of a candidate.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Content<'a> {
    #[serde(borrow)]
    pub(super) parts: Option<Vec<Part<'a>>>,
}

/// One part of a candidate's content.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Part<'a> {
    pub(super) text: Option<String>,
    pub(super) thought: Option<bool>,
    pub(super) thought_signature: Option<String>,
    pub(super) inline_data: Option<Blob>,
    pub(super) file_data: Option<FileData>,
    #[serde(borrow)]
    pub(super) function_call: Option<FunctionCall<'a>>,
}

/// Media whose bytes stand in the response.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Blob {
    #[serde(rename = "mimeType", alias = "mime_type")]
    pub(super) mime_type: Option<String>,
    pub(super) data: String,
}

/// Media at an address.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct FileData {
    #[serde(rename = "mimeType", alias = "mime_type")]
    pub(super) mime_type: Option<String>,
    #[serde(rename = "fileUri", alias = "file_uri")]
    pub(super) file_uri: String,
}

/// A tool call of the model.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct FunctionCall<'a> {
    #[serde(deserialize_with = "lenient_values::text")]
    pub(super) id: Option<String>,
    pub(super) name: Option<String>,
    #[serde(borrow)]
    pub(super) args: Option<&'a RawValue>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct PromptFeedback {
    block_reason: Option<String>,
}

impl ChatResponse<'_> {
    /// Whether the prompt was blocked, so that the response holds nothing but that.
    ///
    /// A blocked prompt is a response, not a failure: Google judged the prompt, reports that in a
    /// 200 and counts its tokens. Asking the next provider would be a way around the judgement.
    pub(super) fn is_blocked(&self) -> bool {
        let feedback = self.prompt_feedback.map(|it| serde_json::from_str(it.get()));
        let feedback: Option<PromptFeedback> = feedback.and_then(Result::ok).flatten();
        let blocked = feedback.is_some_and(|it| it.block_reason.is_some());
        blocked && self.candidates.as_ref().is_none_or(Vec::is_empty)
    }
}

impl Candidate<'_> {
    /// Why it ends; none while it goes on. A failure of the model's is a fault.
    pub(super) fn finish(&self) -> Result<Option<FinishReason>> {
        self.finish_reason.as_deref().map_or(Ok(None), finish)
    }

    /// Whether the candidate holds something that a client could use.
    pub(super) fn has_content(&self) -> bool {
        #[derive(Deserialize)]
        struct Parts<'a> {
            #[serde(borrow, default)]
            parts: Option<&'a RawValue>,
        }
        let parts = self.content.and_then(|it| serde_json::from_str::<Parts<'_>>(it.get()).ok());
        let parts = parts.and_then(|it| it.parts).map_or("", RawValue::get);
        !matches!(parts, "" | "null" | "[]" | r#"[{"text":""}]"# | r#"[{"text": ""}]"#)
    }
}

/// Every reason to end that is documented. One that is not yet known has never been a normal end.
fn finish(reason: &str) -> Result<Option<FinishReason>> {
    Ok(Some(match reason {
        "" | "FINISH_REASON_UNSPECIFIED" => return Ok(None),
        "STOP" => FinishReason::Stop,
        "MAX_TOKENS" | "CONTINUATION" => FinishReason::Length,
        // A fault of the account, not of the model: other targets may respond.
        "PUP_LIMITED_DISABLED" => {
            let message = "has limited or disabled the account";
            return Err(Error::new(ErrorKind::ProviderAccess, message));
        }
        "MALFORMED_FUNCTION_CALL"
        | "UNEXPECTED_TOOL_CALL"
        | "TOO_MANY_TOOL_CALLS"
        | "MISSING_THOUGHT_SIGNATURE"
        | "MALFORMED_RESPONSE"
        | "OTHER"
        | "IMAGE_OTHER"
        | "NO_IMAGE" => {
            let message = format!("failed: finish reason `{reason}`");
            return Err(Error::new(ErrorKind::Upstream, message));
        }
        // SAFETY, RECITATION, LANGUAGE, BLOCKLIST, PROHIBITED_CONTENT, SPII, IMAGE_SAFETY,
        // IMAGE_PROHIBITED_CONTENT, IMAGE_RECITATION, ESCALATION, MODEL_ARMOR.
        _ => FinishReason::Filtered,
    }))
}

/// A provider's report of its usage.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct UsageMetadata {
    prompt_token_count: Option<u64>,
    cached_content_token_count: Option<u64>,
    candidates_token_count: Option<u64>,
    tool_use_prompt_token_count: Option<u64>,
    thoughts_token_count: Option<u64>,
    total_token_count: Option<u64>,
    prompt_tokens_details: Option<Vec<Modality>>,
    cache_tokens_details: Option<Vec<Modality>>,
    candidates_tokens_details: Option<Vec<Modality>>,
    tool_use_prompt_tokens_details: Option<Vec<Modality>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Modality {
    modality: String,
    token_count: u64,
}

/// Reads a usage object into disjoint classes; none when it says nothing.
pub(super) fn usage(json: &RawValue) -> Option<Usage> {
    let wire: UsageMetadata = serde_json::from_str::<Option<_>>(json.get()).ok()??;
    if wire.prompt_token_count.is_none() && wire.total_token_count.is_none() {
        return None;
    }
    let audio = |list: &Option<Vec<Modality>>| -> u64 {
        let list = list.iter().flatten();
        tokens(
            list.filter(|it| it.modality == "AUDIO")
                .map(|it| it.token_count)
                .reduce(u64::saturating_add),
        )
    };
    let prompt = tokens(wire.prompt_token_count);
    let tools = tokens(wire.tool_use_prompt_token_count);
    let candidates = tokens(wire.candidates_token_count);
    let reasoning = tokens(wire.thoughts_token_count);

    let cached = tokens(wire.cached_content_token_count).min(prompt);
    let prompt_audio =
        audio(&wire.prompt_tokens_details).saturating_sub(audio(&wire.cache_tokens_details));
    let prompt_audio = prompt_audio.min(prompt - cached);
    let tool_audio = audio(&wire.tool_use_prompt_tokens_details).min(tools);
    let candidate_audio = audio(&wire.candidates_tokens_details).min(candidates);
    // Reasoning is counted beside the candidates. The total shows where it is not.
    let within = reasoning != 0 && wire.total_token_count == Some(prompt + tools + candidates);
    let within = if within { reasoning } else { 0 };
    Some(Usage {
        input: prompt - cached - prompt_audio + tools - tool_audio,
        cached_input: cached,
        cache_write: 0,
        cache_write_hour: 0,
        input_audio: prompt_audio + tool_audio,
        output: candidates.saturating_sub(within + candidate_audio),
        reasoning,
        output_audio: candidate_audio,
    })
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
            r#"{"promptTokenCount":100,"cachedContentTokenCount":60,"candidatesTokenCount":20,
            "toolUsePromptTokenCount":7,"thoughtsTokenCount":30,"totalTokenCount":157,
            "promptTokensDetails":[{"modality":"TEXT","tokenCount":80},{"modality":"AUDIO","tokenCount":20}],
            "cacheTokensDetails":[{"modality":"AUDIO","tokenCount":5}],
            "candidatesTokensDetails":[{"modality":"AUDIO","tokenCount":4}]}"#,
        );
        assert_eq!((usage.input, usage.cached_input, usage.input_audio), (32, 60, 15));
        assert_eq!((usage.output, usage.reasoning, usage.output_audio), (16, 30, 4));
        assert_eq!(usage.all_input() + usage.all_output(), 157);
    }

    #[test]
    fn reasoning_within_the_candidates_shows_in_the_total() {
        let usage = read(
            r#"{"promptTokenCount":10,"candidatesTokenCount":50,"thoughtsTokenCount":30,
            "totalTokenCount":60}"#,
        );
        assert_eq!((usage.output, usage.reasoning), (20, 30));
    }

    #[test]
    fn a_usage_without_counts_is_none() {
        assert!(usage(serde_json::from_str("{}").unwrap()).is_none());
        assert!(usage(serde_json::from_str("null").unwrap()).is_none());
    }

    #[test]
    fn a_failure_of_the_model_is_no_normal_end() {
        assert_eq!(finish("STOP").unwrap(), Some(FinishReason::Stop));
        assert_eq!(finish("SOMETHING_NEW").unwrap(), Some(FinishReason::Filtered));
        assert_eq!(finish("").unwrap(), None);
        assert_eq!(finish("MALFORMED_FUNCTION_CALL").unwrap_err().kind, ErrorKind::Upstream);
        assert_eq!(finish("PUP_LIMITED_DISABLED").unwrap_err().kind, ErrorKind::ProviderAccess);
    }
}

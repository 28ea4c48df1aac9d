//! What a provider refuses of a request and may answer without, told by the words that each has for it.

use canonical::{ErrorKind, Field};

/// What a 400 is about, if the same provider may answer without it; and which field, if it is one.
pub(crate) fn part(
    code: &str,
    param: Option<&str>,
    message: &str,
) -> Option<(ErrorKind, Option<Field>)> {
    let lower = message.to_ascii_lowercase();
    let field = field(code, param, &lower);
    if field == Some(Field::MaxTokens) {
        return Some((ErrorKind::RejectedParam, field));
    }
    if is_about_proofs(code, &lower) {
        return Some((ErrorKind::InvalidSignature, None));
    }
    if field.is_some() {
        return Some((ErrorKind::RejectedParam, field));
    }
    is_about_a_beta(&lower).then_some((ErrorKind::UnsupportedBeta, None))
}

/// The field that a model does not take, or whose value it does not take.
///
/// Sources: OpenAI's codes; and what users report of the limit at OpenAI (opencode-ai/opencode #140),
/// Anthropic (olimorris/codecompanion.nvim #1028), vLLM (claude-code-best/claude-code #272),
/// Volcengine (Gitlawb/openclaude #331), DeepSeek, Groq, Gemini and Bedrock, and of other fields at
/// OpenAI (itzcrazykns/vane #1173), xAI, Groq and Gemini, and of schemas at DeepSeek
/// (presenton/presenton #676) and Groq (dzhng/deep-research #127), and of the limit's name at Azure
/// (openai/openai-python #1724, anomalyco/opencode #37964).
fn field(code: &str, param: Option<&str>, message: &str) -> Option<Field> {
    let says = |words: &[&str]| words.iter().any(|it| message.contains(it));
    let named = |text: &str| {
        let found = FIELDS.iter().find(|(names, _)| names.iter().any(|it| text.contains(it)));
        found.map(|it| it.1.clone())
    };
    // Mistral says which field it is beside these words, and Anthropic within them.
    let coded = matches!(code, "unsupported_parameter" | "unsupported_value")
        || message == "extra inputs are not permitted";
    let told = param.filter(|_| coded).and_then(|it| named(&it.to_ascii_lowercase()));
    let field = told.or_else(|| named(message))?;
    let untaken = coded || says(NOT_TAKEN);
    match field {
        Field::MaxTokens if says(TOO_HIGH) => Some(field),
        // A limit under another name is still wanted.
        Field::MaxTokens => {
            let mut told = param.into_iter().chain([message]);
            let newer = told.any(|it| it.contains("max_completion_tokens"));
            let renamed = newer && (untaken || says(&["unrecognized request argument"]));
            renamed.then_some(Field::MaxTokensName)
        }
        Field::ResponseSchema => (untaken || says(&["unavailable", OTHERS])).then_some(field),
        Field::Reasoning => (untaken || says(&[OTHERS])).then_some(field),
        _ => untaken.then_some(field),
    }
}

/// What fields are called, in lower case, and which are meant.
const FIELDS: &[(&[&str], Field)] = &[
    (&["response_format", "response format"], Field::ResponseSchema),
    (
        &[
            "max_tokens",
            "max_completion_tokens",
            "max_output_tokens",
            "maxoutputtokens",
            "maximum tokens you requested",
        ],
        Field::MaxTokens,
    ),
    (&["temperature"], Field::Temperature),
    (&["top_p", "`topp`", "'topp'", "parameter topp"], Field::TopP),
    (&["top_k", "`topk`", "'topk'", "parameter topk"], Field::TopK),
    (&["presence_penalty", "presencepenalty"], Field::PresencePenalty),
    (&["frequency_penalty", "frequencypenalty"], Field::FrequencyPenalty),
    (&["parallel_tool_calls"], Field::ParallelToolCalls),
    (&["prompt_cache_key"], Field::PromptCacheKey),
    (&["service_tier"], Field::ServiceTier),
    (&["verbosity"], Field::Verbosity),
    (&["reasoning_effort", "reasoning.effort", "reasoningeffort", "thinking"], Field::Reasoning),
    (&["`stop`", "'stop'", "parameter stop", "stop_sequences"], Field::Stop),
    (&["`seed`", "'seed'", "parameter seed"], Field::Seed),
];

/// How it is said that a limit is higher than the model's own.
const TOO_HIGH: &[&str] = &[
    "is too large",
    "maximum allowed number of output tokens",
    "must be less than or equal to",
    "the valid range of max_tokens is",
    "the supported range is",
    "expected a value <=",
    "exceeds the model limit",
];

/// How it is said that a model does not take a field.
const NOT_TAKEN: &[&str] = &[
    "not supported",
    "not support",
    "unsupported",
    "is not enabled for this model",
    "not available for this model",
];

/// How Groq says that a model takes fewer values than others.
const OTHERS: &str = "not one of the allowed values";

/// A 400 that speaks of what proves an earlier thought: another model's, another account's, one
/// that does not fit, or one that is missing.
///
/// DeepSeek and Kimi demand a thought's text back where others demand a signature.
///
/// Sources: what users report of Anthropic (anthropics/claude-code), Gemini (google-gemini/gemini-cli
/// #13467), OpenAI (openai/codex #8145), DeepSeek (anomalyco/opencode #24083) and Kimi
/// (earendil-works/pi #4251), and `ai.google.dev/gemini-api/docs/thought-signatures`.
fn is_about_proofs(code: &str, message: &str) -> bool {
    code == "invalid_encrypted_content"
        || ["thought signature", "thought_signature"].iter().any(|it| message.contains(it))
        || message.contains("reasoning_content")
            && ["missing", "must be passed back"].iter().any(|it| message.contains(it))
        || message.contains("encrypted content") && message.contains("could not be")
        || message.contains("thinking` block") && message.contains("`signature`")
        || message.contains("expected `thinking`")
}

/// A beta of Anthropic's that its other hosts do not know, or a field that only it has.
///
/// Source: what users of Claude Code report of Bedrock (anthropics/claude-code #49370, #82549).
fn is_about_a_beta(message: &str) -> bool {
    message.contains("invalid beta flag") || message.contains("extra inputs are not permitted")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(message: &str) -> Option<(ErrorKind, Option<Field>)> {
        part("", None, message)
    }

    #[test]
    fn a_limit_that_is_too_high_is_understood() {
        for told in [
            "max_tokens is too large: 50000. This model supports at most 32768 completion tokens",
            "max_tokens: 17000 > 8192, which is the maximum allowed number of output tokens",
            "'max_tokens' or 'max_completion_tokens' is too large: 64000. This model's maximum context \
             length is 64001 tokens and your request has 24235 input tokens",
            "The parameter `max_completion_tokens` is not valid: expected a value <= 12288, got 32000",
            "`max_tokens` must be less than or equal to `32768`, the maximum value for this model",
            "Invalid max_tokens value, the valid range of max_tokens is [1, 8192]",
            "it has a maxOutputTokens value of 70000 but the supported range is from 1 to 65537",
            "The maximum tokens you requested exceeds the model limit of 4096.",
        ] {
            assert_eq!(
                of(told),
                Some((ErrorKind::RejectedParam, Some(Field::MaxTokens))),
                "{told}"
            );
        }
        for told in [
            "`max_tokens` must be greater than `thinking.budget_tokens`",
            "max_tokens must be at least 1",
            "max_tokens: too many",
        ] {
            assert_eq!(of(told), None, "{told}");
        }
    }

    #[test]
    fn a_field_that_a_model_does_not_take_is_understood() {
        for (told, field) in [
            (
                "Unsupported value: 'temperature' does not support 0.2 with this model.",
                Field::Temperature,
            ),
            (
                "Function tools with reasoning_effort are not supported for gpt-5.6-luna in \
                 /v1/chat/completions.",
                Field::Reasoning,
            ),
            ("Model grok-4 does not support parameter presencePenalty.", Field::PresencePenalty),
            ("Penalty is not enabled for this model: frequencyPenalty", Field::FrequencyPenalty),
            ("\"llama3:8b\" does not support thinking", Field::Reasoning),
            (
                "'reasoning_effort' : value is not one of the allowed values ['none']",
                Field::Reasoning,
            ),
            (
                "Unsupported parameter: 'max_tokens' is not supported with this model. Use \
                 'max_completion_tokens' instead.",
                Field::MaxTokensName,
            ),
            ("Unrecognized request argument supplied: max_completion_tokens", Field::MaxTokensName),
            ("This response_format type is unavailable now", Field::ResponseSchema),
            ("response_format.type `json_schema` is unavailable now", Field::ResponseSchema),
            ("This model does not support response format `json_schema`.", Field::ResponseSchema),
            (
                "'response_format.type' : value is not one of the allowed values ['text','json_object']",
                Field::ResponseSchema,
            ),
            (
                "Invalid parameter: 'response_format' of type 'json_schema' is not supported with this \
                 model.",
                Field::ResponseSchema,
            ),
        ] {
            assert_eq!(of(told), Some((ErrorKind::RejectedParam, Some(field))), "{told}");
        }
        let told = "'minimal' is not supported with the 'gpt-5.1' model.";
        let coded = part("unsupported_value", Some("reasoning.effort"), told);
        assert_eq!(coded, Some((ErrorKind::RejectedParam, Some(Field::Reasoning))));
        let told = "Extra inputs are not permitted";
        let coded = part("invalid_request_error", Some("parallel_tool_calls"), told);
        assert_eq!(coded, Some((ErrorKind::RejectedParam, Some(Field::ParallelToolCalls))));
        let coded = part("invalid_request_error", Some("max_completion_tokens"), told);
        assert_eq!(coded, Some((ErrorKind::RejectedParam, Some(Field::MaxTokensName))));
        for told in [
            "'service_tier' : value is not one of the allowed values ['auto','flex']",
            "Invalid schema for response_format 'answer': 'type' is missing.",
            "temperature must be between 0 and 2",
            "registry.ollama.ai/library/llama3 does not support tools",
            "Unknown parameter: 'temprature'.",
        ] {
            assert_eq!(of(told), None, "{told}");
        }
    }

    #[test]
    fn what_is_said_of_an_earlier_thought_is_understood() {
        for told in [
            "messages.1.content.0: Invalid `signature` in `thinking` block",
            "messages.1.content.0.type: Expected `thinking` or `redacted_thinking`, but found `text`.",
            "Corrupted thought signature.",
            "Function call is missing a thought_signature in functionCall parts.",
            "The encrypted content gAAA...DQ== could not be verified.",
            "The `reasoning_content` in the thinking mode must be passed back to the API.",
            "thinking is enabled but reasoning_content is missing in assistant tool call message at 2",
        ] {
            assert_eq!(of(told), Some((ErrorKind::InvalidSignature, None)), "{told}");
        }
        let coded = part("invalid_encrypted_content", None, "It is not ours.");
        assert_eq!(coded, Some((ErrorKind::InvalidSignature, None)));
        for told in [
            "`thinking.budget_tokens` must be at least 1024",
            "'messages.1' : property 'reasoning_content' is unsupported",
            "messages.1.content.0: unknown block `thinking_aloud`",
            "The signature of the request does not match",
        ] {
            assert_eq!(of(told), None, "{told}");
        }
    }

    #[test]
    fn a_beta_that_is_not_known_is_understood() {
        for told in
            ["invalid beta flag", "tools.0.custom.defer_loading: Extra inputs are not permitted"]
        {
            assert_eq!(of(told), Some((ErrorKind::UnsupportedBeta, None)), "{told}");
        }
    }
}

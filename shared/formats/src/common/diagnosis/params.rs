//! Refusals of one part of the request, without which the same target may answer.

use canonical::{ErrorKind, Field, Remedy};

use super::{ANY, Rule, Suggestion, limits::MAX_TOKENS};

const PARAM: Rule = Rule {
    statuses: &[400, 422],
    kind: ErrorKind::Rejected,
    remedy: Suggestion::DropNamedParam,
    ..ANY
};
// The two names of the limit come before the rules for any parameter: what is refused is the name,
// and dropping the field would lose the limit.
const RENAMED: Rule =
    Rule { names: &["max_completion_tokens"], remedy: Suggestion::RenameMaxTokens, ..PARAM };
const SCHEMA: Rule = Rule { names: SCHEMA_NAMES, remedy: Suggestion::SchemaAsText, ..PARAM };
const SYSTEM: Rule = Rule { remedy: Suggestion::MoveSystem, ..PARAM };
const SIGNATURE: Rule = Rule { statuses: &[400], remedy: Suggestion::DropSignatures, ..PARAM };
const BETA: Rule = Rule { statuses: &[400], remedy: Suggestion::DropBetas, ..PARAM };

const SCHEMA_NAMES: &[&str] = &["response_format", "response format"];
const REASONING_NAMES: &[&str] = &[
    "reasoning_effort",
    "reasoning.effort",
    "reasoningeffort",
    "effort parameter",
    "output_config.effort",
    "thinking",
];

/// The names that providers have for parameters, in lower case, and the field of each.
const NAMES: &[(&[&str], Field)] = &[
    (&["temperature"], Field::Temperature),
    (&["top_p", "`topp`", "'topp'", "parameter topp"], Field::TopP),
    (&["stream_options"], Field::StreamUsage),
    (&["top_k", "`topk`", "'topk'", "parameter topk"], Field::TopK),
    (&["presence_penalty", "presencepenalty"], Field::PresencePenalty),
    (&["frequency_penalty", "frequencypenalty"], Field::FrequencyPenalty),
    (&["parallel_tool_calls"], Field::ParallelToolCalls),
    (&["prompt_cache_key"], Field::PromptCacheKey),
    (&["service_tier"], Field::ServiceTier),
    (&["verbosity"], Field::Verbosity),
    (REASONING_NAMES, Field::Reasoning),
    (&["`stop`", "'stop'", "parameter stop", "stop_sequences"], Field::Stop),
    (&["`seed`", "'seed'", "parameter seed", "supplied: seed"], Field::Seed),
    (&["`metadata`", "'metadata'", "supplied: metadata"], Field::Metadata),
    (&["`user`", "'user'", "supplied: user", "metadata.user_id"], Field::User),
];

/// The remedy for the parameter that a failure names: beside its message, or within.
pub(super) fn named(param: &str, message: &str) -> Option<Remedy> {
    let is_of = |text: &str, names: &[&str]| names.iter().any(|it| text.contains(it));
    // Before the table: a schema is not dropped like other fields, but described in the prompt.
    if is_of(param, SCHEMA_NAMES) || is_of(message, SCHEMA_NAMES) {
        return Some(Remedy::SchemaAsText);
    }
    // A limit on output is only ever lowered or renamed.
    if is_of(param, MAX_TOKENS) || is_of(message, MAX_TOKENS) {
        return None;
    }
    // The field beside the message counts first: messages also mention parameters that are not at
    // fault. The quotes let it match names that the table knows only in quotes, because they are
    // everyday words.
    let quoted = format!("'{param}'");
    let found = [quoted.as_str(), message]
        .iter()
        .find_map(|text| NAMES.iter().find(|(names, _)| is_of(text, names)));
    found.map(|(_, field)| Remedy::DropParam(field.clone()))
}

/// Signatures of another model or account, or reasoning that is missing. DeepSeek and Kimi want
/// reasoning as text where others want signatures.
pub(super) const SIGNATURES: &[Rule] = &[
    Rule {
        code: "invalid_encrypted_content",
        source: "OpenAI: openai/codex #8145",
        example: "It is not ours.",
        ..SIGNATURE
    },
    Rule {
        text: &["encrypted content", "could not be"],
        source: "OpenAI: openai/codex #8145",
        example: "The encrypted content gAAA...DQ== could not be verified.",
        ..SIGNATURE
    },
    Rule {
        text: &["thought signature"],
        source: "Gemini: google-gemini/gemini-cli #13467",
        example: "Corrupted thought signature.",
        ..SIGNATURE
    },
    Rule {
        text: &["thought_signature"],
        source: "Gemini: ai.google.dev/gemini-api/docs/thought-signatures",
        example: "Function call is missing a thought_signature in functionCall parts.",
        ..SIGNATURE
    },
    Rule {
        text: &["reasoning_content", "missing"],
        source: "Kimi: earendil-works/pi #4251",
        example: "thinking is enabled but reasoning_content is missing in assistant tool call message at 2",
        ..SIGNATURE
    },
    Rule {
        text: &["reasoning_content", "must be passed back"],
        source: "DeepSeek: anomalyco/opencode #24083",
        example: "The `reasoning_content` in the thinking mode must be passed back to the API.",
        ..SIGNATURE
    },
    Rule {
        text: &["thinking` block", "`signature`"],
        source: "Anthropic: anthropics/claude-code",
        example: "messages.1.content.0: Invalid `signature` in `thinking` block",
        ..SIGNATURE
    },
    Rule {
        text: &["expected `thinking`"],
        source: "Anthropic: anthropics/claude-code",
        example: "messages.1.content.0.type: Expected `thinking` or `redacted_thinking`, but found `text`.",
        ..SIGNATURE
    },
];

/// Sampling parameters that newer Claude models refuse, in words like those for a model that is gone.
pub(super) const SAMPLING: &[Rule] = &[
    Rule {
        text: &["deprecated for this model"],
        source: "Anthropic: sipeed/picoclaw #2939; Bedrock: Mintplex-Labs/anything-llm #5461",
        example: "`temperature` is deprecated for this model.",
        ..PARAM
    },
    Rule {
        // The temperature stays: it is the one that clients set on purpose.
        names: &["top_p", "topp"],
        text: &["cannot both be specified"],
        source: "Anthropic: langfuse/langfuse #9882; Bedrock: aws-samples/bedrock-access-gateway #191",
        example: "`temperature` and `top_p` cannot both be specified for this model. Please use only one.",
        remedy: Suggestion::DropTopP,
        ..PARAM
    },
];

/// Parameters, or values of them, that a model does not take; and betas that a host does not know.
pub(super) const RULES: &[Rule] = &[
    Rule {
        code: "unsupported_parameter",
        source: "Azure OpenAI: openai/openai-python #1724",
        example: "Use 'max_completion_tokens' instead.",
        ..RENAMED
    },
    Rule {
        text: &["not supported"],
        source: "OpenAI: anomalyco/opencode #37964",
        example: "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
        ..RENAMED
    },
    Rule {
        text: &["unrecognized request argument"],
        source: "Azure OpenAI: openai/openai-python #1724",
        example: "Unrecognized request argument supplied: max_completion_tokens",
        ..RENAMED
    },
    Rule {
        text: &["extra inputs are not permitted"],
        source: "Mistral: Gitlawb/openclaude #739",
        example: "max_completion_tokens: Extra inputs are not permitted",
        ..RENAMED
    },
    Rule {
        text: &["unavailable"],
        source: "DeepSeek: presenton/presenton #676",
        example: "This response_format type is unavailable now",
        ..SCHEMA
    },
    Rule {
        text: &["not one of the allowed values"],
        source: "Groq: dzhng/deep-research #127",
        example: "'response_format.type' : value is not one of the allowed values ['text','json_object']",
        ..SCHEMA
    },
    Rule {
        text: &["must be 'json_schema' or 'text'"],
        source: "LM Studio: lmstudio.ai/docs/app/api/structured-output",
        example: "'response_format.type' must be 'json_schema' or 'text'",
        ..SCHEMA
    },
    Rule {
        names: REASONING_NAMES,
        text: &["not one of the allowed values"],
        source: "Groq: console.groq.com/docs/reasoning",
        example: "'reasoning_effort' : value is not one of the allowed values ['none']",
        ..PARAM
    },
    Rule {
        text: &["system message must be at the beginning"],
        source: "Qwen's template: vllm-project/vllm #41114, ggml-org/llama.cpp #27367",
        example: "System message must be at the beginning.",
        ..SYSTEM
    },
    Rule {
        text: &["unexpected role \"system\""],
        source: "Anthropic: anthropics/anthropic-sdk-python #496",
        example: "messages: Unexpected role \"system\". The Messages API accepts a top-level `system` parameter, not \"system\" as an input message role.",
        ..SYSTEM
    },
    Rule {
        // A user's id that is too long is dropped, not cut: half an id may be that of somebody
        // else.
        code: "string_above_max_length",
        names: &["user", "metadata.user_id"],
        source: "OpenAI: mnfst/llm-gateway #2789, looplj/axonhub #1669",
        example: "Invalid 'user': string too long. Expected a string with maximum length 64.",
        remedy: Suggestion::DropUser,
        ..PARAM
    },
    Rule {
        names: &["'user'", "`user`", "user_id", "user id"],
        text: &["length"],
        source: "Z.AI: ujisati/claude-code-provider-proxy #11; OpenRouter: maximhq/bifrost #1000",
        example: "`user` length must be between 6 and 128",
        remedy: Suggestion::DropUser,
        ..PARAM
    },
    Rule {
        code: "unsupported_parameter",
        source: "OpenAI: itzcrazykns/vane #1173",
        example: "Use the default of 'temperature' instead.",
        ..PARAM
    },
    Rule {
        code: "unsupported_value",
        source: "OpenAI: itzcrazykns/vane #1173",
        example: "Only the default (1) value of 'temperature' is allowed.",
        ..PARAM
    },
    Rule {
        text: &["extra inputs are not permitted"],
        source: "Mistral: Gitlawb/openclaude #739",
        example: "parallel_tool_calls: Extra inputs are not permitted",
        ..PARAM
    },
    Rule {
        text: &["unrecognized request argument"],
        source: "OpenAI: community.openai.com, for models without reasoning",
        example: "Unrecognized request argument supplied: reasoning_effort",
        ..PARAM
    },
    Rule {
        text: &["not supported"],
        source: "OpenAI: developers.openai.com, latest model",
        example: "Function tools with reasoning_effort are not supported for gpt-5.6-luna in /v1/chat/completions.",
        ..PARAM
    },
    Rule {
        text: &["not support"],
        source: "xAI: docs.x.ai/docs/guides/reasoning; Ollama",
        example: "Model grok-4 does not support parameter presencePenalty.",
        ..PARAM
    },
    Rule {
        text: &["unsupported"],
        source: "OpenAI: platform.openai.com/docs/guides/reasoning",
        example: "Unsupported value: 'temperature'.",
        ..PARAM
    },
    Rule {
        text: &["is not enabled for this model"],
        source: "Gemini: discuss.ai.google.dev",
        example: "Penalty is not enabled for this model: frequencyPenalty",
        ..PARAM
    },
    Rule {
        text: &["not available for this model"],
        source: "OpenAI: platform.openai.com/docs/guides/flex-processing",
        example: "service_tier flex is not available for this model.",
        ..PARAM
    },
    Rule {
        text: &["invalid beta flag"],
        source: "Claude on Bedrock: anthropics/claude-code #49370",
        example: "invalid beta flag",
        ..BETA
    },
    Rule {
        text: &["anthropic-beta"],
        source: "Anthropic: platform.claude.com/docs/en/api/beta-headers",
        example: "Unexpected value(s) `x` for the `anthropic-beta` header.",
        ..BETA
    },
    Rule {
        text: &["extra inputs are not permitted"],
        source: "Claude on Bedrock: anthropics/claude-code #82549",
        example: "tools.0.custom.defer_loading: Extra inputs are not permitted",
        ..BETA
    },
];

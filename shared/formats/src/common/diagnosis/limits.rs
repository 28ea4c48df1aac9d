//! Limits: on what a model writes, on what it reads, and on how much is asked of it.

use canonical::ErrorKind;

use super::{ANY, REFUSED, Rule, Suggestion};

/// The names that providers have for the limit on output.
pub(super) const MAX_TOKENS: &[&str] = &[
    "max_tokens",
    "max_completion_tokens",
    "max_output_tokens",
    "maxoutputtokens",
    "maximum tokens you requested",
];

const TOO_HIGH: Rule = Rule {
    statuses: &[400, 422],
    names: MAX_TOKENS,
    kind: ErrorKind::Rejected,
    remedy: Suggestion::DropMaxTokens,
    ..ANY
};

/// A limit on output that is higher than the model's own.
pub(super) const OUTPUT: &[Rule] = &[
    Rule {
        text: &["is too large"],
        source: "OpenAI: opencode-ai/opencode #140; vLLM: claude-code-best/claude-code #272",
        example: "max_tokens is too large: 50000. This model supports at most 32768 completion tokens",
        ..TOO_HIGH
    },
    Rule {
        text: &["maximum allowed number of output tokens"],
        source: "Anthropic: olimorris/codecompanion.nvim #1028",
        example: "max_tokens: 17000 > 8192, which is the maximum allowed number of output tokens",
        ..TOO_HIGH
    },
    Rule {
        text: &["must be less than or equal to"],
        source: "Groq: console.groq.com/docs/errors",
        example: "`max_tokens` must be less than or equal to `32768`, the maximum value for this model",
        ..TOO_HIGH
    },
    Rule {
        text: &["the valid range of max_tokens is"],
        source: "DeepSeek: api-docs.deepseek.com",
        example: "Invalid max_tokens value, the valid range of max_tokens is [1, 8192]",
        ..TOO_HIGH
    },
    Rule {
        text: &["the supported range is"],
        source: "Gemini: discuss.ai.google.dev",
        example: "it has a maxOutputTokens value of 70000 but the supported range is from 1 to 65537",
        ..TOO_HIGH
    },
    Rule {
        text: &["expected a value <="],
        source: "Volcengine: Gitlawb/openclaude #331",
        example: "The parameter `max_completion_tokens` is not valid: expected a value <= 12288, got 32000",
        ..TOO_HIGH
    },
    Rule {
        text: &["exceeds the model limit"],
        source: "Bedrock: charmbracelet/crush #946",
        example: "The maximum tokens you requested exceeds the model limit of 32768",
        ..TOO_HIGH
    },
    Rule {
        text: &["exceed the model limit"],
        source: "Bedrock: RooCodeInc/Roo-Code #248",
        example: "The maximum tokens you requested exceed the model limit of 4096. Try again with a maximum tokens value lower than 4096.",
        ..TOO_HIGH
    },
];

const LIMITED: Rule = Rule { statuses: REFUSED, kind: ErrorKind::RateLimited, ..ANY };

/// Rate limits, quotas and usage limits that are reported with the status of a bad request.
pub(super) const RATE: &[Rule] = &[
    Rule {
        code: "rate_limit_exceeded",
        source: "Groq: console.groq.com/docs/rate-limits (413 for tokens per minute)",
        example: "Request too large: too many tokens per minute",
        ..LIMITED
    },
    Rule {
        code: "rate_limit_error",
        source: "platform.claude.com/docs/en/api/errors",
        example: "This request would exceed your account's limit.",
        ..LIMITED
    },
    Rule {
        code: "servicequotaexceededexception",
        source: "Bedrock: the service model bedrock-runtime/2023-09-30 (400)",
        example: "Your request exceeds the service quota for your account.",
        ..LIMITED
    },
    Rule {
        code: "throttlingexception",
        source: "Bedrock: the service model bedrock-runtime/2023-09-30",
        example: "Too many tokens, slow down.",
        ..LIMITED
    },
    Rule {
        code: "resource_exhausted",
        source: "Google: google.rpc.Code",
        example: "Resource has been exhausted (e.g. check quota).",
        ..LIMITED
    },
    Rule {
        code: "insufficient_quota",
        source: "OpenAI: platform.openai.com/docs/guides/error-codes",
        example: "You ran out of credits.",
        ..LIMITED
    },
    Rule {
        text: &["api usage limits"],
        source: "Anthropic: anthropics/claude-code #2127 and #38035",
        example: "You have reached your specified API usage limits. You will regain access on 2026-12-01 at 00:00 UTC.",
        ..LIMITED
    },
    Rule {
        text: &["usage limit"],
        source: "Anthropic: anthropics/claude-code #38038, for workspaces",
        example: "This workspace has reached its usage limit for the month.",
        ..LIMITED
    },
    Rule {
        text: &["spend limit"],
        source: "Groq: console.groq.com/docs/spend-limits",
        example: "Your organization has reached its spend limit.",
        ..LIMITED
    },
    Rule {
        text: &["spending limit"],
        source: "Fireworks: docs.fireworks.ai/guides/quotas_usage/account-quotas",
        example: "Account is suspended, possibly due to reaching the monthly spending limit.",
        ..LIMITED
    },
    Rule {
        text: &["monthly limit"],
        source: "OpenRouter: openrouter.ai/docs/api-reference/limits",
        example: "Key limit exceeded (monthly limit).",
        ..LIMITED
    },
    Rule {
        text: &["exceeded your current quota"],
        source: "OpenAI: BerriAI/litellm, and Gemini: google-gemini/gemini-cli",
        example: "You exceeded your current quota, please check your plan and billing details.",
        ..LIMITED
    },
    Rule {
        text: &["exceeds the service quota"],
        source: "Bedrock: ServiceQuotaExceededException without its code",
        example: "Your request exceeds the service quota for your account.",
        ..LIMITED
    },
    Rule {
        text: &["quota exceeded"],
        source: "Google: cloud.google.com/apis/design/errors",
        example: "Quota exceeded for quota metric 'Generate Content API requests per minute'.",
        ..LIMITED
    },
    Rule {
        text: &["quota has been"],
        source: "DashScope: help.aliyun.com/zh/model-studio/error-code",
        example: "The free quota has been used up.",
        ..LIMITED
    },
    Rule {
        text: &["rate limit"],
        source: "OpenAI: platform.openai.com/docs/guides/rate-limits",
        example: "Rate limit reached for requests.",
        ..LIMITED
    },
    Rule {
        text: &["rate-limit"],
        source: "OpenRouter: openrouter.ai/docs/api-reference/errors",
        example: "google/gemma is temporarily rate-limited upstream.",
        ..LIMITED
    },
    Rule {
        text: &["too many requests"],
        source: "Bedrock: aws-samples/well-architected-iac-analyzer #32",
        example: "Too many requests, please slow down.",
        ..LIMITED
    },
    Rule {
        text: &["please wait before trying again"],
        source: "Bedrock: aws-samples/well-architected-iac-analyzer #32",
        example: "Too many tokens, please wait before trying again.",
        ..LIMITED
    },
    Rule {
        text: &["request rate is too high"],
        source: "Bedrock: aws-samples/amazon-bedrock-agents-healthcare-lifesciences #136",
        example: "Your request rate is too high. Reduce the frequency of requests.",
        ..LIMITED
    },
];

const TOO_LONG: Rule = Rule { statuses: REFUSED, kind: ErrorKind::ContextLength, ..ANY };

/// A prompt that the model cannot hold.
pub(super) const CONTEXT: &[Rule] = &[
    Rule {
        code: "context_length_exceeded",
        source: "OpenAI: platform.openai.com/docs/guides/error-codes",
        example: "Your messages resulted in 9000 tokens.",
        ..TOO_LONG
    },
    Rule {
        code: "tokens_limit_reached",
        source: "GitHub Models: docs.github.com/en/github-models",
        example: "Request body too large for gpt-4o model. Max size: 8000 tokens.",
        ..TOO_LONG
    },
    Rule {
        text: &["maximum context length"],
        source: "OpenAI, vLLM, DeepSeek",
        example: "This model's maximum context length is 8192 tokens.",
        ..TOO_LONG
    },
    Rule {
        text: &["context length exceeded"],
        source: "Cerebras: inference-docs.cerebras.ai",
        example: "Context length exceeded.",
        ..TOO_LONG
    },
    Rule {
        text: &["context size has been exceeded"],
        source: "llama.cpp: tools/server",
        example: "Context size has been exceeded.",
        ..TOO_LONG
    },
    Rule {
        text: &["maximum prompt length is"],
        source: "xAI: docs.x.ai",
        example: "This model's maximum prompt length is 131072 but the request contains 140000 tokens.",
        ..TOO_LONG
    },
    Rule {
        text: &["context length is only"],
        source: "OpenRouter, for Azure",
        example: "The context length is only 8192 tokens.",
        ..TOO_LONG
    },
    Rule {
        text: &["context length of only"],
        source: "LM Studio: lmstudio-ai/lmstudio-bug-tracker",
        example: "The model is loaded with a context length of only 4096 tokens.",
        ..TOO_LONG
    },
    Rule {
        text: &["exceed context limit"],
        source: "Anthropic: platform.claude.com/docs/en/build-with-claude/context-windows",
        example: "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000",
        ..TOO_LONG
    },
    Rule {
        text: &["longer than the model's context length"],
        source: "Mistral and TGI",
        example: "Prompt is longer than the model's context length.",
        ..TOO_LONG
    },
    Rule {
        text: &["reduce the length of the messages"],
        source: "Groq: console.groq.com/docs/errors",
        example: "Please reduce the length of the messages or completion.",
        ..TOO_LONG
    },
    Rule {
        text: &["current length is"],
        source: "Cerebras: inference-docs.cerebras.ai",
        example: "Please reduce the prompt. Current length is 9000 while limit is 8192",
        ..TOO_LONG
    },
    Rule {
        text: &["too many tokens"],
        source: "Cohere: docs.cohere.com/reference/errors",
        example: "too many tokens: size limit exceeded by 11326 tokens",
        ..TOO_LONG
    },
    Rule {
        text: &["prompt is too long"],
        source: "Anthropic: platform.claude.com/docs/en/api/errors",
        example: "prompt is too long: 210000 tokens > 200000 maximum",
        ..TOO_LONG
    },
    Rule {
        text: &["input is too long"],
        source: "Bedrock: aws/aws-sdk",
        example: "Input is too long for requested model.",
        ..TOO_LONG
    },
    Rule {
        text: &["input tokens exceed the configured limit"],
        source: "OpenAI Responses",
        example: "Input tokens exceed the configured limit of 272000 tokens.",
        ..TOO_LONG
    },
    Rule {
        text: &["exceeds the available context size"],
        source: "llama.cpp: tools/server",
        example: "the request exceeds the available context size, try increasing it",
        ..TOO_LONG
    },
    Rule {
        text: &["exceeds the context window"],
        source: "OpenAI Responses",
        example: "Your input exceeds the context window of this model.",
        ..TOO_LONG
    },
    Rule {
        text: &["exceeds the maximum number of tokens allowed"],
        source: "Gemini: google-gemini/gemini-cli",
        example: "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
        ..TOO_LONG
    },
    Rule {
        text: &["too many input tokens"],
        source: "Nova on Bedrock",
        example: "Too many input tokens. Max input tokens: 300000, request input token count: 310000",
        ..TOO_LONG
    },
];

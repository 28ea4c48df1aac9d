//! Refusals of the model: it is not there, it broke down, or it lacks what the request needs.

use canonical::ErrorKind;

use super::{ANY, REFUSED, Rule};

const GONE: Rule = Rule { statuses: REFUSED, kind: ErrorKind::ProviderAccess, ..ANY };
const FAILED: Rule = Rule { statuses: REFUSED, kind: ErrorKind::Upstream, ..ANY };

/// Unknown, retired and unloaded models; endpoints that are down; output that the model garbled.
pub(super) const UNAVAILABLE: &[Rule] = &[
    Rule {
        code: "tool_use_failed",
        source: "Groq: groq/groq-typescript #28",
        example: "Tool call validation failed. See 'failed_generation' for more details.",
        ..FAILED
    },
    Rule {
        text: &["failed to call a function"],
        source: "Groq: anomalyco/opencode #1018, without a code",
        example: "Failed to call a function. Please adjust your prompt.",
        ..FAILED
    },
    Rule {
        code: "json_validate_failed",
        source: "Groq: console.groq.com/docs/structured-outputs",
        example: "Failed to generate JSON. Please adjust your prompt.",
        ..FAILED
    },
    Rule {
        text: &["requested tool does not exist"],
        source: "Groq: BerriAI/litellm #11001",
        example: "requested tool does not exist",
        ..FAILED
    },
    Rule {
        code: "modelnotreadyexception",
        source: "Bedrock: the service model bedrock-runtime/2023-09-30",
        example: "The model is not ready for inference.",
        ..FAILED
    },
    Rule {
        text: &["overloaded"],
        source: "Moonshot: platform.moonshot.ai; Gemini: google-gemini/gemini-cli",
        example: "The engine is currently overloaded, please try again later",
        ..FAILED
    },
    Rule {
        text: &["endpoint is paused"],
        source: "Hugging Face: huggingface.co/docs/inference-endpoints",
        example: "Bad Request: The endpoint is paused, ask a maintainer to restart it",
        ..FAILED
    },
    Rule {
        text: &["cannot be invoked"],
        source: "NVIDIA: Alishahryar1/free-claude-code #1012",
        example: "Function id '3b97': DEGRADED function cannot be invoked",
        ..FAILED
    },
    Rule {
        text: &["temporarily unavailable"],
        source: "OpenRouter: openrouter.ai/docs/api-reference/errors",
        example: "The provider is temporarily unavailable.",
        ..FAILED
    },
    Rule {
        code: "dedicated_endpoint_not_running",
        source: "Together: HeyPuter/puter #3168",
        example: "The dedicated endpoint for a/b is not running.",
        ..GONE
    },
    Rule {
        code: "model_not_found",
        source: "OpenAI; LM Studio: assafelovic/gpt-researcher #1556",
        example: "The model `x` is unknown.",
        ..GONE
    },
    Rule {
        code: "model_not_supported",
        source: "GitHub Models: docs.github.com/en/github-models",
        example: "The requested model is not supported.",
        ..GONE
    },
    Rule {
        code: "model_not_available",
        source: "Together: HeyPuter/puter #3168",
        example: "Unable to access the model.",
        ..GONE
    },
    Rule {
        code: "model_decommissioned",
        source: "Groq: ItzCrazyKns/Vane #771",
        example: "The model `x` is gone.",
        ..GONE
    },
    Rule {
        code: "invalid_model",
        source: "Perplexity: BerriAI/litellm #908; Mistral: mistralai/mistral-vibe #617",
        example: "Permitted models can be found in the documentation.",
        ..GONE
    },
    Rule {
        text: &["is not a valid model"],
        source: "OpenRouter: NousResearch/hermes-agent #40066",
        example: "vendor/model-x is not a valid model ID",
        ..GONE
    },
    Rule {
        text: &["invalid model"],
        source: "Mistral: tmc/langchaingo #1233; LM Studio: assafelovic/gpt-researcher #1556",
        example: "Invalid model: mistral-medium-3.5",
        ..GONE
    },
    Rule {
        text: &["model not found"],
        source: "xAI: definableai/definable.ai #14",
        example: "Model not found: grok-beta",
        ..GONE
    },
    Rule {
        text: &["model not exist"],
        source: "DeepSeek: ConardLi/easy-dataset #9",
        example: "Model Not Exist",
        ..GONE
    },
    Rule {
        text: &["model", "does not exist"],
        source: "OpenAI, Groq and vLLM",
        example: "The model `x` does not exist or you do not have access to it.",
        ..GONE
    },
    Rule {
        text: &["unknown model"],
        source: "Z.AI: docs.z.ai/api-reference/api-code",
        example: "Unknown Model, please check the model code.",
        ..GONE
    },
    Rule {
        text: &["unsupported model"],
        source: "Bedrock and Vertex AI",
        example: "Unsupported model: x",
        ..GONE
    },
    Rule {
        text: &["model", "decommissioned"],
        source: "Groq: RightNow-AI/openfang #834",
        example: "The model gemma2-9b-it has been decommissioned.",
        ..GONE
    },
    Rule {
        text: &["model", "deprecated"],
        source: "xAI: definableai/definable.ai #14",
        example: "The model grok-beta was deprecated on 2025-09-15.",
        ..GONE
    },
    Rule {
        text: &["model", "retired"],
        source: "xAI: docs.x.ai/developers/migration/may-15-retirement",
        example: "The model was retired.",
        ..GONE
    },
    Rule {
        text: &["no longer available"],
        source: "Gemini: google-gemini/gemini-cli",
        example: "models/gemini-1.5-pro is no longer available to new users.",
        ..GONE
    },
    Rule {
        text: &["end of its life"],
        source: "Bedrock: docs.aws.amazon.com/bedrock, model lifecycle",
        example: "This version has reached the end of its life.",
        ..GONE
    },
    Rule {
        text: &["no models loaded"],
        source: "LM Studio: lmstudio-ai/lmstudio-bug-tracker #1730",
        example: "No models loaded. Please load a model in the developer page.",
        ..GONE
    },
    Rule {
        text: &["model", "unloaded"],
        source: "LM Studio: lmstudio-ai/lmstudio-bug-tracker #1492",
        example: "Model is unloaded.",
        ..GONE
    },
    Rule {
        text: &["failed to load model"],
        source: "LM Studio: lmstudio-ai/lmstudio-bug-tracker #1492",
        example: "Failed to load model",
        ..GONE
    },
    Rule {
        text: &["unable to access", "model"],
        source: "Together: truefoundry/models #950",
        example: "Unable to access non-serverless model a/b.",
        ..GONE
    },
    Rule {
        text: &["not found for account"],
        source: "NVIDIA: Alishahryar1/free-claude-code #956",
        example: "Function '1234': Not found for account 'abc'",
        ..GONE
    },
    Rule {
        text: &["not have access to", "model"],
        source: "Bedrock and OpenAI",
        example: "You don't have access to the model; your project does not have access to model x.",
        ..GONE
    },
    Rule {
        text: &["model identifier is invalid"],
        source: "Bedrock: docs.aws.amazon.com/bedrock, troubleshooting",
        example: "The provided model identifier is invalid.",
        ..GONE
    },
    Rule {
        text: &["on-demand throughput isn"],
        source: "Bedrock: docs.aws.amazon.com/bedrock, inference profiles",
        example: "Invocation of x with on-demand throughput isn\u{2019}t supported.",
        ..GONE
    },
    Rule {
        text: &["on-demand throughput is not"],
        source: "Bedrock: docs.aws.amazon.com/bedrock, inference profiles",
        example: "Invocation of x with on-demand throughput is not possible.",
        ..GONE
    },
    Rule {
        text: &["operation does not work with the specified model"],
        source: "Azure OpenAI: learn.microsoft.com/azure/ai-services/openai",
        example: "The chatCompletion operation does not work with the specified model, x.",
        ..GONE
    },
];

const LACKS: Rule = Rule { statuses: REFUSED, kind: ErrorKind::Unsupported, ..ANY };

/// Models without tools, images, a system prompt or another thing that the request needs.
pub(super) const WITHOUT: &[Rule] = &[
    Rule {
        text: &["function calling is not enabled"],
        source: "Gemma at Gemini: google/adk-python #3900",
        example: "Function calling is not enabled for models/gemma-3-27b-it",
        ..LACKS
    },
    Rule {
        text: &["function calling is unsupported"],
        source: "Gemini's image models",
        example: "Tool use with function calling is unsupported",
        ..LACKS
    },
    Rule {
        text: &["tool calling", "not supported"],
        source: "Groq: console.groq.com/docs/tool-use",
        example: "`tool calling` is not supported with this model",
        ..LACKS
    },
    Rule {
        text: &["'tools' is not supported"],
        source: "OpenAI o1-mini",
        example: "Unsupported parameter: 'tools' is not supported with this model.",
        ..LACKS
    },
    Rule {
        text: &["enable-auto-tool-choice"],
        source: "vLLM: docs.vllm.ai/en/latest/features/tool_calling",
        example: "\"auto\" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set",
        ..LACKS
    },
    Rule {
        text: &["modality is not enabled"],
        source: "Gemma at Gemini: ai.google.dev/gemma/docs",
        example: "Image input modality is not enabled for models/gemma-3-1b-it",
        ..LACKS
    },
    Rule {
        text: &["only supported by certain models"],
        source: "OpenAI: platform.openai.com/docs/guides/images-vision",
        example: "Invalid content type. image_url is only supported by certain models.",
        ..LACKS
    },
    Rule {
        text: &["image input is not supported"],
        source: "llama.cpp: lemonade-sdk/lemonade #539",
        example: "image input is not supported - hint: you may need to provide the mmproj",
        ..LACKS
    },
    Rule {
        text: &["support image input"],
        source: "OpenRouter: github/app #2163",
        example: "No endpoints found that support image input",
        ..LACKS
    },
    Rule {
        text: &["support tool use"],
        source: "OpenRouter: openrouter.ai/docs/features/tool-calling",
        example: "No endpoints found that support tool use.",
        ..LACKS
    },
    Rule {
        text: &["unknown variant `image_url`"],
        source: "DeepSeek: api-docs.deepseek.com",
        example: "Failed to deserialize the JSON body: unknown variant `image_url`, expected `text`",
        ..LACKS
    },
    Rule {
        text: &["is not a multimodal model"],
        source: "vLLM: vllm/entrypoints/chat_utils.py",
        example: "x is not a multimodal model",
        ..LACKS
    },
    Rule {
        text: &["at most 0 image"],
        source: "vLLM: vllm/entrypoints/chat_utils.py",
        example: "At most 0 image(s) may be provided in one request.",
        ..LACKS
    },
    Rule {
        text: &["expects a single `text` element"],
        source: "xAI: nocmt/LLMSearchPlus #2",
        example: "The model expects a single `text` element per message.",
        ..LACKS
    },
    Rule {
        text: &["developer instruction is not enabled"],
        source: "Gemma at Gemini: agno-agi/agno #3505",
        example: "Developer instruction is not enabled for models/gemma-3-12b-it",
        ..LACKS
    },
    Rule {
        text: &["system role not supported"],
        source: "vLLM: the chat template of Gemma",
        example: "System role not supported",
        ..LACKS
    },
    Rule {
        text: &["json mode is not enabled"],
        source: "Gemma at Gemini: ai.google.dev/gemma/docs",
        example: "JSON mode is not enabled for models/gemma-3-27b-it",
        ..LACKS
    },
    Rule {
        text: &["does not support"],
        source: "Ollama: ZoneMinder/zmNinjaNg #309; Bedrock",
        example: "registry.ollama.ai/library/gemma3:4b does not support tools",
        ..LACKS
    },
    Rule {
        text: &["doesn't support"],
        source: "Bedrock: docs.aws.amazon.com/bedrock, supported features",
        example: "This model doesn't support documents.",
        ..LACKS
    },
    Rule {
        text: &["not supported by this model"],
        source: "Bedrock: docs.aws.amazon.com/bedrock, supported features",
        example: "Documents are not supported by this model.",
        ..LACKS
    },
    Rule {
        text: &["supported for this model"],
        source: "Bedrock: docs.aws.amazon.com/bedrock, supported features",
        example: "Video isn't supported for this model.",
        ..LACKS
    },
    Rule {
        text: &["not supported on this model"],
        source: "Anthropic: platform.claude.com/docs/en/build-with-claude/adaptive-thinking",
        example: "PDF input is not supported on this model",
        ..LACKS
    },
    Rule {
        text: &["not supported with this model"],
        source: "OpenAI: platform.openai.com/docs/guides/reasoning",
        example: "Audio is not supported with this model.",
        ..LACKS
    },
    Rule {
        text: &["not supported in this model"],
        source: "Mistral and DashScope",
        example: "Vision is not supported in this model.",
        ..LACKS
    },
];

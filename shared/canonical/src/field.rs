//! Names for everything that a request may say, so that each format can call it by its own.

use std::borrow::Cow;

/// One thing that a request may say and a target may have no word for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Field {
    /// The name of one who speaks.
    MessageName,
    /// A refusal among earlier turns.
    Refusal,
    /// Reasoning among earlier turns, where it carries no signature.
    ReasoningText,
    /// Citations of earlier answers.
    Citations,
    /// A picture.
    Image,
    /// How closely to look at a picture.
    ImageDetail,
    /// Sound.
    Audio,
    /// Moving pictures.
    Video,
    /// A document.
    File,
    /// The name of a document.
    FileName,
    /// That a tool call failed.
    ToolError,
    /// What a tool result holds besides text.
    ToolResultMedia,
    /// Cache markers.
    Cache,
    /// How long a cache marker holds.
    CacheTtl,
    /// Tools.
    Tools,
    /// That arguments must follow their schema.
    ToolStrict,
    /// Whether tools may, must or must not be called.
    ToolChoice,
    /// Whether several may be called at once.
    ParallelToolCalls,
    /// The form of the answer.
    ResponseFormat,
    /// The schema of the answer, where it can still be told in words.
    ResponseSchema,
    /// The name or description of the answer's schema.
    ResponseName,
    /// That the answer must follow its schema.
    ResponseStrict,
    /// A keyword of a JSON Schema, for tools or for the answer.
    SchemaKeyword(String),
    /// `temperature`.
    Temperature,
    /// `top_p`.
    TopP,
    /// `top_k`.
    TopK,
    /// `frequency_penalty`.
    FrequencyPenalty,
    /// `presence_penalty`.
    PresencePenalty,
    /// `seed`.
    Seed,
    /// Texts that end the answer.
    Stop,
    /// How many answers.
    N,
    /// The most tokens to write.
    MaxTokens,
    /// The name of the most tokens to write, of the two that OpenAI chat has. Nothing is lost with it.
    MaxTokensName,
    /// The usage of a stream, which the gateway asks for by itself. Nothing is lost with it.
    StreamUsage,
    /// System messages behind the first message, which are moved there. Nothing is lost with them.
    LateSystem,
    /// How hard to think.
    Reasoning,
    /// Whether thoughts are shown.
    ReasoningVisibility,
    /// Which user asks.
    User,
    /// Labels.
    Metadata,
    /// The tier of service.
    ServiceTier,
    /// How many words to make.
    Verbosity,
    /// The key for prompts that share a beginning.
    PromptCacheKey,
    /// How many numbers an embedding has.
    Dimensions,
    /// Embedding input given as tokens.
    /// What an embedding is for.
    EmbeddingPurpose,
}

impl Field {
    /// Whether a request means the same without the field, or with its other form.
    pub fn is_lossless(&self) -> bool {
        matches!(self, Self::MaxTokensName | Self::StreamUsage | Self::LateSystem)
    }

    /// OpenAI's word for it: what formats without a word of their own fall back on.
    pub fn openai_chat_name(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::MessageName => "messages[].name",
            Self::Refusal => "messages[].refusal",
            Self::ReasoningText => "messages[].reasoning_content",
            Self::Citations => "messages[].annotations",
            Self::Image => "messages[].content[].image_url",
            Self::ImageDetail => "messages[].content[].image_url.detail",
            Self::Audio => "messages[].content[].input_audio",
            Self::Video => "messages[].content[].video_url",
            Self::File => "messages[].content[].file",
            Self::FileName => "messages[].content[].file.filename",
            Self::ToolError => "messages[].is_error",
            Self::ToolResultMedia => "messages[].content[]",
            Self::Cache => "cache_control",
            Self::CacheTtl => "cache_control.ttl",
            Self::Tools => "tools",
            Self::ToolStrict => "tools[].function.strict",
            Self::ToolChoice => "tool_choice",
            Self::ParallelToolCalls => "parallel_tool_calls",
            Self::ResponseFormat => "response_format",
            Self::ResponseSchema => "response_format.json_schema",
            Self::ResponseName => "response_format.json_schema.name",
            Self::ResponseStrict => "response_format.json_schema.strict",
            Self::SchemaKeyword(keyword) => return format!("schema.{keyword}").into(),
            Self::Temperature => "temperature",
            Self::TopP => "top_p",
            Self::TopK => "top_k",
            Self::FrequencyPenalty => "frequency_penalty",
            Self::PresencePenalty => "presence_penalty",
            Self::Seed => "seed",
            Self::Stop => "stop",
            Self::N => "n",
            Self::MaxTokensName => "max_completion_tokens",
            Self::StreamUsage => "stream_options",
            Self::LateSystem => "messages[].role",
            Self::MaxTokens => "max_tokens",
            Self::Reasoning => "reasoning_effort",
            Self::ReasoningVisibility => "reasoning.summary",
            Self::User => "user",
            Self::Metadata => "metadata",
            Self::ServiceTier => "service_tier",
            Self::Verbosity => "verbosity",
            Self::PromptCacheKey => "prompt_cache_key",
            Self::Dimensions => "dimensions",
            Self::EmbeddingPurpose => "input_type",
        })
    }
}

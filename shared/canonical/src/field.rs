//! Fields of requests, named independently of any format.

use std::borrow::Cow;

/// One field of a request that a target may not support.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Field {
    /// The name of a message's author.
    MessageName,
    /// A refusal among earlier messages.
    Refusal,
    /// Reasoning among earlier messages that has no signature.
    ReasoningText,
    /// Citations of earlier responses.
    Citations,
    /// An image.
    Image,
    /// How closely to look at an image.
    ImageDetail,
    /// Audio.
    Audio,
    /// Video.
    Video,
    /// A document.
    File,
    /// The name of a document.
    FileName,
    /// The mark of a tool call that failed.
    ToolError,
    /// Content of a tool result besides text.
    ToolResultMedia,
    /// Cache breakpoints.
    Cache,
    /// How long a cache entry lives.
    CacheTtl,
    /// Tools.
    Tools,
    /// The demand that arguments follow their schema.
    ToolStrict,
    /// The choice of tools.
    ToolChoice,
    /// Whether several tools may be called at once.
    ParallelToolCalls,
    /// The form of the response.
    ResponseFormat,
    /// The schema of the response, which may still stand in the prompt.
    ResponseSchema,
    /// The name or description of the response's schema.
    ResponseName,
    /// The demand that the response follow its schema.
    ResponseStrict,
    /// A keyword of a JSON Schema, for tools or for the response.
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
    /// Texts that end the response.
    Stop,
    /// The number of choices.
    N,
    /// The limit on output tokens.
    MaxTokens,
    /// The name of the limit on output tokens, of the two that OpenAI chat has. Nothing is lost with it.
    MaxTokensName,
    /// The usage of a stream, which the gateway asks for by itself. Nothing is lost with it.
    StreamUsage,
    /// System messages behind the first message, which are moved there. Nothing is lost with them.
    LateSystem,
    /// The provider's own compaction, in place of which a summary is asked for. Nothing is lost with it.
    Compaction,
    /// The effort of reasoning.
    Reasoning,
    /// Whether reasoning is visible.
    ReasoningVisibility,
    /// The client's own user.
    User,
    /// Labels.
    Metadata,
    /// The tier of service.
    ServiceTier,
    /// How verbose the response is.
    Verbosity,
    /// The key for prompts that share a beginning.
    PromptCacheKey,
    /// The length of an embedding.
    Dimensions,
    /// What an embedding is for.
    EmbeddingPurpose,
    /// A field that only the client's format has, by its name there.
    Named(String),
}

impl Field {
    /// Whether a request means the same without the field, or with its other form.
    pub fn is_lossless(&self) -> bool {
        matches!(
            self,
            Self::MaxTokensName | Self::StreamUsage | Self::LateSystem | Self::Compaction
        )
    }

    /// The name of the field in OpenAI chat, which formats without a name of their own fall back on.
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
            Self::Compaction => "compaction",
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
            Self::Named(name) => return name.clone().into(),
        })
    }
}

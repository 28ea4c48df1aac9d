//! What a client asks for, in words that no format owns.

use std::borrow::Cow;

use crate::{Conversation, EmbeddingRequest, Error, ErrorKind, Field, Result};

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// The next message of a conversation.
    Chat,
    /// The vectors of texts.
    Embed,
    /// The token count of a conversation.
    CountTokens,
    /// The continuation of a text.
    Complete,
    /// The text that fills a gap.
    Infill,
    /// An item that stands for a conversation.
    Compact,
    /// The text of audio.
    Transcribe,
    /// The English text of audio.
    TranslateAudio,
    /// Audio of a text.
    Speak,
    /// Images of a text.
    GenerateImage,
    /// Images that are changed.
    EditImage,
    /// Whether texts and images are harmful.
    Moderate,
    /// The order of documents by how well they answer a query.
    Rerank,
}

impl Task {
    /// Whether the task is to write text, which targets without an endpoint of its own can do in a
    /// chat.
    pub fn writes_text(self) -> bool {
        match self {
            Self::Chat | Self::Complete | Self::Infill | Self::Compact => true,
            Self::Embed
            | Self::CountTokens
            | Self::Transcribe
            | Self::TranslateAudio
            | Self::Speak
            | Self::GenerateImage
            | Self::EditImage
            | Self::Moderate
            | Self::Rerank => false,
        }
    }

    /// Whether requests and responses only pass through, whatever the response is made of.
    pub fn is_opaque(self) -> bool {
        match self {
            Self::Transcribe
            | Self::TranslateAudio
            | Self::Speak
            | Self::GenerateImage
            | Self::EditImage
            | Self::Moderate
            | Self::Rerank => true,
            Self::Chat
            | Self::Embed
            | Self::CountTokens
            | Self::Complete
            | Self::Infill
            | Self::Compact => false,
        }
    }
}

/// A request in the canonical vocabulary.
#[derive(Clone, Debug, PartialEq)]
pub enum CanonicalRequest {
    /// A conversation, to be continued or counted.
    Conversation(Box<Conversation>),
    /// Texts whose vectors are requested.
    Embedding(EmbeddingRequest),
}

impl CanonicalRequest {
    /// The conversation; an error for a request of another task.
    pub fn conversation(&self) -> Result<&Conversation> {
        match self {
            Self::Conversation(conversation) => Ok(conversation),
            Self::Embedding(_) => Err(not_of_this_task()),
        }
    }

    /// The embedding request; an error for a request of another task.
    pub fn embedding(&self) -> Result<&EmbeddingRequest> {
        match self {
            Self::Embedding(embedding) => Ok(embedding),
            Self::Conversation(_) => Err(not_of_this_task()),
        }
    }

    /// The members of the request that no other format has, by the client's names.
    pub fn unmapped_fields(&self) -> &[String] {
        match self {
            Self::Conversation(conversation) => &conversation.unmapped_fields,
            Self::Embedding(embedding) => &embedding.unmapped_fields,
        }
    }

    /// The same request without these fields.
    #[must_use]
    pub fn without_fields(&self, fields: &[Field]) -> Cow<'_, Self> {
        let Self::Conversation(conversation) = self else {
            return Cow::Borrowed(self);
        };
        if fields.is_empty() {
            return Cow::Borrowed(self);
        }
        let mut less = conversation.clone();
        for field in fields {
            match field {
                Field::ResponseFormat => less.response_format = None,
                Field::ResponseSchema => less.move_schema_into_prompt(),
                Field::Tools => less.tools.clear(),
                Field::ToolChoice => less.tool_choice = None,
                Field::ParallelToolCalls => less.parallel_tool_calls = None,
                Field::MaxTokens => less.max_tokens = None,
                Field::Temperature => less.sampling.temperature = None,
                Field::TopP => less.sampling.top_p = None,
                Field::TopK => less.sampling.top_k = None,
                Field::FrequencyPenalty => less.sampling.frequency_penalty = None,
                Field::PresencePenalty => less.sampling.presence_penalty = None,
                Field::Seed => less.sampling.seed = None,
                Field::Stop => less.sampling.stop.clear(),
                Field::N => less.sampling.n = None,
                Field::Reasoning => less.reasoning = None,
                Field::User => less.user = None,
                Field::Metadata => less.metadata.clear(),
                Field::ServiceTier => less.service_tier = None,
                Field::Verbosity => less.verbosity = None,
                Field::PromptCacheKey => less.prompt_cache_key = None,
                _ => {}
            }
        }
        Cow::Owned(Self::Conversation(less))
    }

    /// The limit on output tokens, if the request names one.
    pub fn max_tokens(&self) -> Option<u64> {
        match self {
            Self::Conversation(conversation) => conversation.max_tokens,
            Self::Embedding(_) => None,
        }
    }

    /// The same request with another limit on output tokens.
    #[must_use]
    pub fn with_max_tokens(mut self, limit: u64) -> Self {
        if let Self::Conversation(conversation) = &mut self {
            conversation.max_tokens = Some(limit);
        }
        self
    }

    /// The same request without the signatures of its reasoning and calls.
    #[must_use]
    pub fn without_signatures(mut self) -> Self {
        if let Self::Conversation(conversation) = &mut self {
            let parts = conversation.messages.iter_mut().flat_map(|it| &mut it.parts);
            parts.for_each(|it| it.signature = None);
        }
        self
    }
}

fn not_of_this_task() -> Error {
    Error::new(ErrorKind::Internal, "A request reached a format of another task.")
}

/// JSON text as its author wrote it: key order and number text intact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Json(pub String);

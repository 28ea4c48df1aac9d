//! What a client asks for, in words that no format owns.

use crate::{Conversation, EmbeddingRequest, Error, ErrorKind, Result};

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

    /// Whether a request may leave the choice of a model to its provider, as OpenAI's SDKs do.
    pub fn has_default_model(self) -> bool {
        match self {
            Self::GenerateImage | Self::EditImage | Self::Moderate => true,
            Self::Chat
            | Self::Embed
            | Self::CountTokens
            | Self::Complete
            | Self::Infill
            | Self::Compact
            | Self::Transcribe
            | Self::TranslateAudio
            | Self::Speak
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
}

fn not_of_this_task() -> Error {
    Error::new(ErrorKind::Internal, "A request reached a format of another task.")
}

/// JSON text as its author wrote it: key order and number text intact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Json(pub String);

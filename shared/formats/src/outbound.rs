//! Formats in which providers are called, by task.
//!
//! Errors are decoded by one rule for all formats, [`from_provider`](crate::from_provider).

use std::fmt;

use bytes::Bytes;
use canonical::{
    Content, Conversation, EmbeddingRequest, GatewayResponse, ModelFacts, Result, StreamEvent, Task,
};

use crate::{
    DecodeOptions, EncodeOptions, EncodedRequest, GatewayRequest, opaque::Opaque, tool_names,
};

/// A format in which providers are called: what the formats of every task have.
pub trait Outbound: fmt::Debug + Send + Sync {
    /// The name of the format. A client's format of the same name is the same.
    fn name(&self) -> &'static str;

    /// Passes a client's request of the same format on, with only what must change changed.
    fn passthrough(
        &self,
        request: &GatewayRequest,
        options: &EncodeOptions<'_>,
    ) -> Result<EncodedRequest> {
        request.passthrough(options)
    }

    /// Decodes a whole response. An error inside a response of status 200 is an error.
    fn response(&self, body: Bytes, options: DecodeOptions) -> Result<GatewayResponse>;
}

/// A format that holds conversations, to be continued or counted.
pub trait OutboundConversation: Outbound {
    /// Encodes a conversation, and names what the format does not support.
    fn encode(
        &self,
        conversation: &Conversation,
        options: &EncodeOptions<'_>,
    ) -> Result<EncodedRequest>;

    /// Whether a tool may have this name.
    fn accepts_tool_name(&self, name: &str) -> bool {
        // The narrowest of the APIs, that of OpenAI and Bedrock: a new format errs on the safe
        // side.
        tool_names::is_plain(name, 64, b"")
    }

    /// Whether a parameter of a tool may have this name.
    fn accepts_param_name(&self, _name: &str) -> bool {
        true
    }

    /// Whether a model may be given a part by this URL. Where not, its bytes have to be fetched.
    fn accepts_url(&self, _part: &Content, _url: &str, _facts: &ModelFacts) -> bool {
        true
    }
}

/// A format in which providers write text, which may be streamed.
pub trait OutboundText: Outbound {
    /// A decoder for one streamed response.
    fn stream_decoder(&self, options: DecodeOptions) -> Box<dyn StreamDecoder>;
}

/// A format in which providers continue conversations.
pub trait OutboundChat: OutboundConversation + OutboundText {}

/// A format in which providers count the tokens of conversations.
pub trait OutboundTokenCount: OutboundConversation {}

/// A format in which providers turn texts into vectors.
pub trait OutboundEmbeddings: Outbound {
    /// Encodes a request, and names what the format does not support.
    fn encode(
        &self,
        request: &EmbeddingRequest,
        options: &EncodeOptions<'_>,
    ) -> Result<EncodedRequest>;

    /// A response that passes through, with its vectors in the encoding that the request asked for.
    fn as_requested(&self, body: Bytes, _request: &GatewayRequest) -> Result<Bytes> {
        Ok(body)
    }
}

/// Decodes one streamed response of a provider.
pub trait StreamDecoder: fmt::Debug + Send {
    /// Decodes what arrived, and adds the events that it completes: those before an error too.
    fn read(&mut self, bytes: Bytes, events: &mut Vec<StreamEvent>) -> Result<()>;

    /// Notes that nothing more will arrive, which is an error unless the stream had ended.
    fn close(&mut self, events: &mut Vec<StreamEvent>) -> Result<()>;
}

/// A provider's format with the task of its requests.
#[derive(Clone, Copy, Debug)]
pub enum ProviderFormat {
    /// For the next message of a conversation.
    Chat(&'static dyn OutboundChat),
    /// For the vectors of texts.
    Embeddings(&'static dyn OutboundEmbeddings),
    /// For the token count of a conversation.
    TokenCount(&'static dyn OutboundTokenCount),
    /// For the continuation of a text. Requests only pass through.
    Completions(&'static dyn OutboundText),
    /// For what fills a gap in a text. Requests only pass through.
    Infill(&'static dyn OutboundText),
    /// For one item in place of a conversation. Requests only pass through.
    Compaction(&'static dyn Outbound),
    /// For what only passes through, requests and responses.
    Opaque(&'static Opaque),
}

impl ProviderFormat {
    /// The part of the format that formats of other tasks have too.
    pub fn outbound(self) -> &'static dyn Outbound {
        match self {
            Self::Chat(format) => format,
            Self::Embeddings(format) => format,
            Self::TokenCount(format) => format,
            Self::Completions(format) | Self::Infill(format) => format,
            Self::Compaction(format) => format,
            Self::Opaque(format) => format,
        }
    }

    /// The format, where its responses are text and may be streamed.
    pub fn text(self) -> Option<&'static dyn OutboundText> {
        match self {
            Self::Chat(format) => Some(format),
            Self::Completions(format) | Self::Infill(format) => Some(format),
            Self::Opaque(format) => Some(format),
            Self::Embeddings(_) | Self::TokenCount(_) | Self::Compaction(_) => None,
        }
    }

    /// The task of the format's requests.
    pub const fn task(self) -> Task {
        match self {
            Self::Chat(_) => Task::Chat,
            Self::Embeddings(_) => Task::Embed,
            Self::TokenCount(_) => Task::CountTokens,
            Self::Completions(_) => Task::Complete,
            Self::Infill(_) => Task::Infill,
            Self::Compaction(_) => Task::Compact,
            Self::Opaque(format) => format.task(),
        }
    }
}

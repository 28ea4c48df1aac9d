//! Formats in which clients send requests, by task.
//!
//! A format implements [`Inbound`] and the trait of its one task. [`ClientFormat`] is the only place
//! that brings a response and a format together, so that no format meets a response of another task.

use std::fmt;

use bytes::{Bytes, BytesMut};
use canonical::{
    CallSummary, ChatResponse, ContentKind, EmbeddingResponse, Error, GatewayResponse,
    ResponseBody, Result, StreamEvent, Usage,
};

use crate::{
    Format, Framing, GatewayRequest,
    opaque::{self, Opaque},
};

/// A format in which clients send requests: what the formats of every task have.
pub trait Inbound: fmt::Debug + Send + Sync {
    /// The part of the format that travels with a request.
    fn format(&self) -> &'static Format;

    /// Decodes as much of a request's body as the gateway has to know. What a path says beside the
    /// body, the caller adds.
    fn decode(&self, body: Bytes) -> Result<GatewayRequest>;

    /// Encodes an error as clients of the format read it.
    fn error(&self, error: &Error, request_id: &str) -> Bytes;

    /// The names of the client's headers that a provider of the same format gets too, in lower case.
    fn passthrough_headers(&self) -> &'static [&'static str] {
        &[]
    }

    /// Adds what the gateway says of a call to a response of the same format.
    fn add_summary(&self, response: &Bytes, _summary: &CallSummary) -> Bytes {
        response.clone()
    }
}

/// A format in which clients ask for text: the next message of a conversation, or the rest of a text.
pub trait InboundChat: Inbound {
    /// Encodes a whole response.
    fn encode(
        &self,
        response: &ChatResponse,
        usage: Option<&Usage>,
        summary: &CallSummary,
    ) -> Bytes;

    /// An encoder for the response to one request.
    fn stream_encoder(&self, request: &GatewayRequest) -> Box<dyn StreamEncoder>;

    /// The kinds of content that responses of the format cannot hold. They are left out, and named.
    fn unsupported_content(&self) -> &'static [ContentKind] {
        &[]
    }

    /// Bytes that fill silence in a stream, and mean nothing to any reader of the format.
    fn keep_alive(&self, framing: Framing) -> &'static [u8] {
        framing.keep_alive()
    }

    /// Whether readers of the format pass over comments among the events of a stream.
    fn takes_comments(&self) -> bool {
        true
    }
}

/// A format in which clients ask for the vectors of texts.
pub trait InboundEmbeddings: Inbound {
    /// Encodes a response.
    fn encode(
        &self,
        response: &EmbeddingResponse,
        usage: Option<&Usage>,
        summary: &CallSummary,
    ) -> Bytes;
}

/// A format in which clients ask for the token count of a conversation.
pub trait InboundTokenCount: Inbound {
    /// Encodes a count.
    fn encode(&self, count: u64) -> Bytes;
}

/// A format in which clients ask for one item in place of a conversation.
pub trait InboundCompaction: Inbound {
    /// Encodes a response whose text is a summary of the conversation.
    fn encode(
        &self,
        response: &ChatResponse,
        usage: Option<&Usage>,
        summary: &CallSummary,
    ) -> Bytes;
}

/// Encodes the response to one request, streamed or whole, in whole frames.
pub trait StreamEncoder: fmt::Debug + Send {
    /// Encodes a whole response that repeats its request; none where responses of the format do not,
    /// and [`InboundChat::encode`] writes all of it.
    fn encode_whole(
        &self,
        _response: &ChatResponse,
        _usage: Option<&Usage>,
        _summary: &CallSummary,
    ) -> Option<Bytes> {
        None
    }

    /// Encodes one event, now or once the encoder knows what follows the event.
    fn write(&mut self, event: StreamEvent, out: &mut BytesMut);

    /// Encodes the regular end of a stream.
    fn end(&mut self, summary: &CallSummary, out: &mut BytesMut);

    /// Encodes an error in place of the regular end.
    fn fail(&mut self, error: &Error, request_id: &str, out: &mut BytesMut);
}

/// A client's format with the task of its requests.
#[derive(Clone, Copy, Debug)]
pub enum ClientFormat {
    /// Of requests for text.
    Chat(&'static dyn InboundChat),
    /// Of requests for the vectors of texts.
    Embeddings(&'static dyn InboundEmbeddings),
    /// Of requests for the token count of a conversation.
    TokenCount(&'static dyn InboundTokenCount),
    /// Of requests for one item in place of a conversation.
    Compaction(&'static dyn InboundCompaction),
    /// Of requests whose responses only pass through.
    Opaque(&'static Opaque),
}

impl ClientFormat {
    /// The part of the format that formats of other tasks have too.
    pub fn inbound(self) -> &'static dyn Inbound {
        match self {
            Self::Chat(format) => format,
            Self::Embeddings(format) => format,
            Self::TokenCount(format) => format,
            Self::Compaction(format) => format,
            Self::Opaque(format) => format,
        }
    }

    /// Encodes a whole response. `encoder` is that of the call, where its format has streams.
    pub fn encode(
        self,
        response: &GatewayResponse,
        summary: &CallSummary,
        encoder: Option<&dyn StreamEncoder>,
    ) -> Bytes {
        let usage = response.usage.as_ref();
        match (self, &response.body) {
            (_, ResponseBody::Raw(raw)) => self.inbound().add_summary(raw, summary),
            (Self::Chat(format), ResponseBody::Chat(chat)) => encoder
                .and_then(|encoder| encoder.encode_whole(chat, usage, summary))
                .unwrap_or_else(|| format.encode(chat, usage, summary)),
            (Self::Embeddings(format), ResponseBody::Embedding(vectors)) => {
                format.encode(vectors, usage, summary)
            }
            (Self::Compaction(format), ResponseBody::Chat(chat)) => {
                format.encode(chat, usage, summary)
            }
            (Self::TokenCount(format), ResponseBody::Tokens { count, .. }) => format.encode(*count),
            // A response of another task holds nothing that the client asked for. Providers are
            // called by task, so that it does not occur; a body must be JSON nevertheless.
            _ => Bytes::from_static(b"{}"),
        }
    }

    /// An encoder for the response to one request; none for a task without streams.
    pub fn stream_encoder(self, request: &GatewayRequest) -> Option<Box<dyn StreamEncoder>> {
        match self {
            Self::Chat(format) => Some(format.stream_encoder(request)),
            Self::Opaque(_) => Some(opaque::stream_encoder()),
            Self::Embeddings(_) | Self::TokenCount(_) | Self::Compaction(_) => None,
        }
    }

    /// The kinds of content that responses of the format cannot hold.
    pub fn unsupported_content(self) -> &'static [ContentKind] {
        match self {
            Self::Chat(format) => format.unsupported_content(),
            Self::Embeddings(_) | Self::TokenCount(_) | Self::Compaction(_) | Self::Opaque(_) => {
                &[]
            }
        }
    }

    /// Bytes that fill silence in a stream.
    pub fn keep_alive(self, framing: Framing) -> &'static [u8] {
        match self {
            Self::Chat(format) => format.keep_alive(framing),
            Self::Embeddings(_) | Self::TokenCount(_) | Self::Compaction(_) | Self::Opaque(_) => {
                framing.keep_alive()
            }
        }
    }

    /// Whether comments may stand among the events of a stream.
    pub fn takes_comments(self) -> bool {
        match self {
            Self::Chat(format) => format.takes_comments(),
            Self::Embeddings(_) | Self::TokenCount(_) | Self::Compaction(_) | Self::Opaque(_) => {
                true
            }
        }
    }
}

//! Wire formats, to and from the canonical vocabulary.
//!
//! Pure: nothing here does I/O, waits or knows a provider. A request that stays in one format
//! keeps its own bytes; only what must change is changed.

pub mod anthropic;
pub mod aws;
mod common;
pub mod google;
pub mod openai;
mod request;

use std::fmt;

use bytes::{Bytes, BytesMut};
use canonical::{
    CallSummary, CanonicalRequest, Content, ContentKind, Error, Field, GatewayResponse, Result,
    StreamEvent,
};
use common::{
    alternating, arguments, base64, bound, data_uri, diagnosis, error_body, fingerprint,
    finish_reason, json, lenient, lost_reasoning, media_type, object_schema, param_names, quota,
    redact, retry_hint, signature_tags, split_surrogates, sse, stop_sequences, strict_schema,
    surrogates, tool_names, unstreamed,
};

pub use common::error_body::from_provider;
pub use common::estimate::{ConversationSize, conversation_size, estimated_tokens};
pub use common::model_name::with_model_name;
pub use common::redact::{redact, without_secrets};
pub use common::request_policy::{RequestPolicy, SystemPromptPolicy};
pub use common::retry_hint::{duration, hint};
pub use common::tool_names::ToolNames;
pub use request::{Format, Framing, GatewayRequest, Member, RawObject};

/// A format that clients speak to the gateway.
pub trait Inbound: fmt::Debug + Send + Sync {
    /// What a request has to know of it.
    fn format(&self) -> &'static Format;
    /// Reads a client's request. What a path says beside it, the caller adds.
    fn decode(&self, body: Bytes) -> Result<GatewayRequest>;
    /// Writes a whole answer.
    fn encode(&self, response: &GatewayResponse, summary: &CallSummary) -> Bytes;
    /// Writes an answer piece by piece; one writer lives as long as one stream.
    fn stream_encoder(&self, request: &GatewayRequest) -> Box<dyn StreamEncoder>;
    /// Writes a failure the way this format's clients expect to read it.
    fn error(&self, error: &Error, request_id: &str) -> Bytes;
    /// What an answer may hold that this API has no word for: it is left out, and that is said.
    fn unsupported_content(&self) -> &'static [ContentKind] {
        &[]
    }
    /// Names of the client's headers that a provider of the same format gets too, in lower case.
    fn passthrough_headers(&self) -> &'static [&'static str] {
        &[]
    }
    /// What fills silence between the pieces of a stream: nothing, to every reader of this format.
    fn keep_alive(&self, framing: Framing) -> &'static [u8] {
        match framing {
            Framing::Events => b": keep-alive\n\n",
            Framing::Array => b"\n",
        }
    }
}

/// Encodes the response to one request, streamed or whole. What it writes is whole frames.
pub trait StreamEncoder: fmt::Debug + Send {
    /// Encodes a whole response that repeats its request; none where responses of the format do not,
    /// and [`Inbound::encode`] says all.
    fn encode_whole(&self, _response: &GatewayResponse, _summary: &CallSummary) -> Option<Bytes> {
        None
    }
    /// Writes one piece, now or once the writer knows what follows it.
    fn write(&mut self, event: StreamEvent, out: &mut BytesMut);
    /// Writes the lawful end.
    fn end(&mut self, summary: &CallSummary, out: &mut BytesMut);
    /// Writes a failure in place of the lawful end.
    fn fail(&mut self, error: &Error, request_id: &str, out: &mut BytesMut);
}

/// A format that the gateway speaks to providers.
pub trait Outbound: fmt::Debug + Send + Sync {
    /// Its name: that of the inbound format which is the same.
    fn name(&self) -> &'static str;
    /// Forwards a request of this very format, with only what must change changed.
    fn passthrough(
        &self,
        request: &GatewayRequest,
        target: &EncodeOptions<'_>,
    ) -> Result<EncodedRequest>;
    /// Writes what was said in another format, and says what could not be said.
    fn encode(
        &self,
        canonical: &CanonicalRequest,
        target: &EncodeOptions<'_>,
    ) -> Result<EncodedRequest>;
    /// Whether a tool may have this name.
    fn accepts_tool_name(&self, name: &str) -> bool {
        tool_names::is_plain(name, 64, b"")
    }
    /// Whether a parameter of a tool may have this name.
    fn accepts_param_name(&self, _name: &str) -> bool {
        true
    }
    /// Whether a model may be given a part by this address. Where not, its bytes have to be fetched.
    fn accepts_url(&self, _part: &Content, _url: &str, _model: &str) -> bool {
        true
    }
    /// Reads a whole answer. A failure inside a 200 is an error.
    fn response(&self, body: Bytes, reading: DecodeOptions) -> Result<GatewayResponse>;
    /// Reads an answer piece by piece; one reader lives as long as one stream.
    fn stream_decoder(&self, reading: DecodeOptions) -> Box<dyn StreamDecoder>;
    /// Reads a failure.
    fn error(&self, status: u16, body: &[u8]) -> Error;
}

/// Reads one streamed answer from a provider.
pub trait StreamDecoder: fmt::Debug + Send {
    /// Reads what arrived, and adds the events that it completes. Those before a fault are added too.
    fn read(&mut self, bytes: Bytes, events: &mut Vec<StreamEvent>) -> Result<()>;
    /// Notes that nothing more will arrive: a fault, unless the end was seen before.
    fn close(&mut self, events: &mut Vec<StreamEvent>) -> Result<()>;
}

/// How an answer is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DecodeOptions {
    /// For whom.
    pub mode: DecodeMode,
    /// How a stream shows that it is whole.
    pub end: StreamEnd,
}

/// For whom an answer is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DecodeMode {
    /// A client of the same format: bytes are kept, and watched only for usage, errors and the end.
    #[default]
    Passthrough,
    /// A client of another format: everything is understood.
    Translate,
}

/// How a stream comes to report its usage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StreamUsage {
    /// When the request asks for it.
    #[default]
    OnRequest,
    /// Always; asking is unknown or refused.
    Always,
}

/// How a provider's stream says that it is whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StreamEnd {
    /// With the terminator of its format.
    #[default]
    Terminator,
    /// With a finish reason; the terminator may be missing.
    FinishReason,
}

/// How a provider speaks OpenAI chat, where those who do differ.
#[derive(Clone, Copy, Debug)]
pub struct ChatCompatibility {
    /// Its word for the most that may be written.
    pub max_tokens_name: MaxTokensName,
    /// Whether it takes the role `developer`; else it is told `system` instead.
    pub developer_role: bool,
    /// Whether it takes the text of earlier thoughts as `reasoning_content`, which is not OpenAI's
    /// own.
    pub reasoning_content: bool,
}

impl ChatCompatibility {
    /// What nearly everybody takes.
    pub const COMMON: Self = Self {
        max_tokens_name: MaxTokensName::Either,
        developer_role: false,
        reasoning_content: true,
    };

    /// The same at an address that is not the provider's own: who imitates OpenAI has not its newer
    /// words.
    #[must_use]
    pub fn imitated(self) -> Self {
        match self.max_tokens_name {
            MaxTokensName::Completion | MaxTokensName::EitherNewer => Self::COMMON,
            max_tokens_name => Self { max_tokens_name, ..Self::COMMON },
        }
    }
}

impl Default for ChatCompatibility {
    fn default() -> Self {
        Self::COMMON
    }
}

/// A provider's word for the most that may be written, where it speaks OpenAI chat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MaxTokensName {
    /// `max_tokens`, which everybody knows, or the client's own word where it is passed on.
    Either,
    /// `max_completion_tokens`, or the client's own word where it is passed on: which one is taken
    /// depends on the model and the version of the API.
    EitherNewer,
    /// `max_tokens` alone: the other is refused, or passed over in silence.
    Plain,
    /// `max_completion_tokens`, which OpenAI's own reasoning models demand.
    Completion,
}

impl MaxTokensName {
    /// Whether a limit is written as `max_completion_tokens`.
    pub(crate) fn is_newer(self) -> bool {
        matches!(self, Self::Completion | Self::EitherNewer)
    }
}

/// What one provider wants of a request.
#[derive(Clone, Copy, Debug, Default)]
pub struct EncodeOptions<'a> {
    /// Its name for the model.
    pub model: &'a str,
    /// Whether the answer is wanted piece by piece.
    pub stream: bool,
    /// How a stream comes to report its usage.
    pub stream_usage: StreamUsage,
    /// How it speaks OpenAI chat, if it does.
    pub compatibility: ChatCompatibility,
    /// The most that the model can write, in tokens, where that is known.
    pub max_output: Option<u64>,
    /// What a policy takes out of a request that is forwarded.
    pub drop_fields: &'a [Field],
    /// Whether what proves earlier thoughts is left out, whoever made it: it was refused.
    pub drop_signatures: bool,
}

/// A request as one provider wants it.
#[derive(Clone, Debug, Default)]
pub struct EncodedRequest {
    /// The body to send.
    pub body: Bytes,
    /// Headers that belong to it.
    pub headers: Vec<(&'static str, String)>,
    /// What could not be said, or was taken out.
    pub dropped: Vec<Field>,
}

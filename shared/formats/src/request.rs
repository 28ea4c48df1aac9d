//! A client's request in one wire format, as far as the gateway has to know of it.
//!
//! The rest is decoded by the format, and only when a provider is called in another one.

use std::{borrow::Cow, fmt, ops::Range, sync::OnceLock};

use bytes::Bytes;
use canonical::{CanonicalRequest, Field, Result, Task};

use crate::{
    EncodeOptions, EncodedRequest, OpaqueSize, OutputMembers, RequestPolicy, RequestedOutput,
    common::{opaque_size::opaque_size, premium_service::wants_premium_service},
    json,
};

/// A wire format, as far as a request in the format needs it later.
pub struct Format {
    /// The name, such as `openai_chat`. Bytes pass through between a client and a provider that
    /// share it.
    pub name: &'static str,
    /// Decodes all of a request, which is needed only for a provider of another format.
    pub decode: fn(&RawObject) -> Result<CanonicalRequest>,
    /// The body under a policy of the gateway.
    pub apply_policy: fn(&RawObject, &RequestPolicy<'_>) -> Result<Bytes>,
    /// Where a request says how much output it asks for.
    pub output: OutputMembers,
    /// Passes a request on to a provider of the same format, with only what must change changed.
    pub passthrough: Passthrough,
    /// The format's own name for a field.
    pub word: fn(&Field) -> Cow<'static, str>,
}

/// A function that passes a request on to a provider of the same format.
pub type Passthrough = fn(&GatewayRequest, &EncodeOptions<'_>) -> Result<EncodedRequest>;

impl fmt::Debug for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// How the events of a streamed response are framed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Framing {
    /// Server-sent events.
    #[default]
    Events,
    /// The elements of one JSON array.
    Array,
}

impl Framing {
    /// Bytes that fill silence in a stream: a comment, or white space between elements.
    pub(crate) fn keep_alive(self) -> &'static [u8] {
        match self {
            Self::Events => b": keep-alive\n\n",
            Self::Array => b"\n",
        }
    }
}

/// A client's request, as far as the gateway has to know of it.
#[expect(clippy::struct_excessive_bools, reason = "independent facts, each read alone")]
#[derive(Debug)]
pub struct GatewayRequest {
    /// The format of the request.
    pub format: &'static Format,
    /// The task of the request.
    pub task: Task,
    /// The client's name for the model; absent where the client leaves the choice to the gateway.
    pub model: Option<String>,
    /// Whether the response is to be a stream.
    pub stream: bool,
    /// How the events of the stream are framed.
    pub framing: Framing,
    /// Whether the client wants a stream to report its usage.
    pub wants_usage: bool,
    /// Whether the request has tools and a response format other than plain text, both at once.
    pub has_tools_and_format: bool,
    /// Whether the response is to be a compaction: one item that stands for the conversation.
    pub compacts: bool,
    /// When the request arrived, in milliseconds since 1970.
    pub arrived: u64,
    /// The id of the call; empty where there is none.
    pub call_id: String,
    /// The headers that a provider of the same format gets too: some of the few that the format allows.
    pub headers: Vec<(&'static str, String)>,
    /// The client's own bytes, for a provider of the same format.
    pub raw: RawObject,
    // A route may try several providers of other formats; the request is decoded for the first of
    // them, and never where all of them take the client's bytes.
    decoded: OnceLock<CanonicalRequest>,
}

impl GatewayRequest {
    /// A request of which nothing is known but its format, task and bytes.
    pub fn new(format: &'static Format, task: Task, raw: RawObject) -> Self {
        Self {
            format,
            task,
            model: None,
            stream: false,
            framing: Framing::default(),
            wants_usage: false,
            has_tools_and_format: false,
            compacts: false,
            arrived: 0,
            call_id: String::new(),
            headers: vec![],
            raw,
            decoded: OnceLock::new(),
        }
    }

    /// Changes the request as a policy of the gateway says.
    pub fn apply_policy(&mut self, policy: &RequestPolicy<'_>) -> Result<()> {
        // Without a policy a request keeps its bytes and is not parsed twice. Forms are no JSON, and
        // hold nothing that a policy is about.
        if *policy == RequestPolicy::default() || self.task.is_opaque() {
            return Ok(());
        }
        self.raw = json::members((self.format.apply_policy)(&self.raw, policy)?)?;
        // The decoded request is the one before the policy.
        self.decoded = OnceLock::new();
        Ok(())
    }

    /// How much output the request asks for, whether or not it can be decoded.
    pub fn requested_output(&self) -> RequestedOutput {
        self.format.output.read(&self.raw)
    }

    /// How much a request that only passes through may use, about.
    pub fn opaque_size(&self) -> OpaqueSize {
        opaque_size(self.task, &self.raw)
    }

    /// Whether the request wants to be served for more than its model's price, such as sooner.
    pub fn wants_premium_service(&self) -> bool {
        self.task.writes_text() && wants_premium_service(&self.raw)
    }

    /// Whether a policy can limit the output of the request.
    pub fn takes_output_limit(&self) -> bool {
        !self.format.output.limits.is_empty()
    }

    /// The decoded request. It is decoded once, and only for a provider of another format.
    pub fn canonical(&self) -> Result<&CanonicalRequest> {
        if let Some(canonical) = self.decoded.get() {
            return Ok(canonical);
        }
        let canonical = (self.format.decode)(&self.raw)?;
        // Not `get_or_init` alone: its closure cannot fail, and `get_or_try_init` is not stable.
        Ok(self.decoded.get_or_init(|| canonical))
    }

    /// The request as a provider of the same format is sent it.
    pub fn passthrough(&self, options: &EncodeOptions<'_>) -> Result<EncodedRequest> {
        (self.format.passthrough)(self, options)
    }
}

/// The text of a JSON object, with the places of its members.
#[derive(Clone, Debug)]
pub struct RawObject {
    /// The whole body.
    pub body: Bytes,
    /// The members, in the order of the text.
    pub members: Vec<Member>,
}

/// Where one member of a JSON object lies in its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The key, quotes included.
    pub key: Range<usize>,
    /// The value.
    pub value: Range<usize>,
}

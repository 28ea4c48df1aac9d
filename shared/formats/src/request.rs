//! A client's request in one wire format, as far as the gateway has to know of it.
//!
//! What the request says is decoded by its format, and only when a provider speaks another one.

use std::{borrow::Cow, fmt, ops::Range, sync::OnceLock};

use bytes::Bytes;
use canonical::{CanonicalRequest, Field, Result, Task};

use crate::{RequestPolicy, json};

/// A wire format, as far as a request has to know of the one that it came in.
pub struct Format {
    /// Its name, such as `openai_chat`. Bytes are forwarded as they are between the two sides that
    /// share it.
    pub name: &'static str,
    /// Reads what a request says: needed only where a provider speaks another format.
    pub decode: fn(&RawObject) -> Result<CanonicalRequest>,
    /// The body under a policy of the gateway.
    pub apply_policy: fn(&RawObject, &RequestPolicy<'_>) -> Result<Bytes>,
    /// The format's own word for something that a request may say.
    pub word: fn(&Field) -> Cow<'static, str>,
}

impl fmt::Debug for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// How the pieces of a streamed answer are told apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Framing {
    /// Server-sent events.
    #[default]
    Events,
    /// The elements of one JSON array.
    Array,
}

/// One question, as far as the gateway has to understand it.
#[derive(Debug)]
pub struct GatewayRequest {
    /// What it came in.
    pub format: &'static Format,
    /// What is wanted.
    pub task: Task,
    /// The client's name for the model; absent when it left the choice to us.
    pub model: Option<String>,
    /// Whether the answer is wanted piece by piece.
    pub stream: bool,
    /// How the pieces are told apart.
    pub framing: Framing,
    /// Whether the client wants a stream to report its usage.
    pub wants_usage: bool,
    /// Whether it offers tools and demands a response format other than plain text, both at once.
    pub has_tools_and_format: bool,
    /// When it arrived, in milliseconds since 1970.
    pub arrived: u64,
    /// Headers that a provider of the same format gets too: of the few that the format allows.
    pub headers: Vec<(&'static str, String)>,
    /// The client's own bytes, for a provider that speaks the same format.
    pub raw: RawObject,
    decoded: OnceLock<CanonicalRequest>,
}

impl GatewayRequest {
    /// A question in a format, with nothing known of it but its bytes.
    pub fn new(format: &'static Format, task: Task, raw: RawObject) -> Self {
        Self {
            format,
            task,
            model: None,
            stream: false,
            framing: Framing::default(),
            wants_usage: false,
            has_tools_and_format: false,
            arrived: 0,
            headers: vec![],
            raw,
            decoded: OnceLock::new(),
        }
    }

    /// Changes the request as a policy of the gateway says.
    pub fn apply_policy(&mut self, policy: &RequestPolicy<'_>) -> Result<()> {
        if *policy == RequestPolicy::default() {
            return Ok(());
        }
        self.raw = json::members((self.format.apply_policy)(&self.raw, policy)?)?;
        self.decoded = OnceLock::new();
        Ok(())
    }

    /// What it says, read once and only when a provider speaks another format.
    pub fn canonical(&self) -> Result<&CanonicalRequest> {
        if let Some(canonical) = self.decoded.get() {
            return Ok(canonical);
        }
        let canonical = (self.format.decode)(&self.raw)?;
        Ok(self.decoded.get_or_init(|| canonical))
    }
}

/// A JSON object as it came, with the places of its members.
#[derive(Clone, Debug)]
pub struct RawObject {
    /// The whole body.
    pub body: Bytes,
    /// Its members, in the order in which they came.
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

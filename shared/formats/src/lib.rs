//! Wire formats, to and from the canonical vocabulary.
//!
//! Pure: nothing here does I/O, waits or knows a provider. A request that stays in one format
//! keeps its own bytes; only what must change is changed.

mod clean;
mod json;
pub mod openai_chat;
mod sse;
mod wait;

use std::fmt;

use bytes::{Bytes, BytesMut};
use canonical::{Error, Event, Request, Response, Result, Summary};

pub use clean::{clean, without_secrets};
pub use wait::{duration, hint};

/// A format that clients speak to the gateway.
pub trait Inbound: fmt::Debug + Send + Sync {
    /// Reads a client's request.
    fn decode(&self, body: Bytes) -> Result<Request>;
    /// Writes a whole answer.
    fn encode(&self, response: &Response, summary: &Summary) -> Bytes;
    /// Writes an answer piece by piece; one writer lives as long as one stream.
    fn writer(&self, request: &Request) -> Box<dyn EventWriter>;
    /// Writes a failure the way this format's clients expect to read it.
    fn error(&self, error: &Error, request_id: &str) -> Bytes;
}

/// Writes one streamed answer to a client. What it writes is whole frames.
pub trait EventWriter: fmt::Debug + Send {
    /// Writes one piece, now or once the writer knows what follows it.
    fn write(&mut self, event: Event, out: &mut BytesMut);
    /// Writes the lawful end.
    fn end(&mut self, summary: &Summary, out: &mut BytesMut);
    /// Writes a failure in place of the lawful end.
    fn fail(&mut self, error: &Error, request_id: &str, out: &mut BytesMut);
}

/// A format that the gateway speaks to providers.
pub trait Outbound: fmt::Debug + Send + Sync {
    /// Writes the request as one provider wants it, and says what could not be said.
    fn encode(&self, request: &Request, target: &Target<'_>) -> Result<Encoded>;
    /// Reads a whole answer. A failure inside a 200 is an error.
    fn response(&self, body: Bytes) -> Result<Response>;
    /// Reads an answer piece by piece; one reader lives as long as one stream.
    fn reader(&self, end: StreamEnd) -> Box<dyn EventReader>;
    /// Reads a failure.
    fn error(&self, status: u16, body: &[u8]) -> Error;
}

/// Reads one streamed answer from a provider.
pub trait EventReader: fmt::Debug + Send {
    /// Reads what arrived, and adds the events that it completes. Those before a fault are added too.
    fn read(&mut self, bytes: Bytes, events: &mut Vec<Event>) -> Result<()>;
    /// Notes that nothing more will arrive: a fault, unless the end was seen before.
    fn close(&mut self, events: &mut Vec<Event>) -> Result<()>;
}

/// How a stream comes to report its usage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StreamUsage {
    /// When the request asks for it.
    #[default]
    Asked,
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

/// What one provider wants of a request.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// Its name for the model.
    pub model: &'a str,
    /// How a stream comes to report its usage.
    pub stream_usage: StreamUsage,
    /// Members of the request that a policy takes out.
    pub without: &'a [&'static str],
}

/// A request as one provider wants it.
#[derive(Clone, Debug)]
pub struct Encoded {
    /// The body to send.
    pub body: Bytes,
    /// What was left out, by the client's names for it.
    pub dropped: Vec<&'static str>,
}

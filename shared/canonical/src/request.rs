//! What a client asks.

use std::ops::Range;

use bytes::Bytes;

/// One question, as far as the gateway has to understand it.
#[derive(Clone, Debug)]
pub struct Request {
    /// The client's name for the model; absent when it left the choice to us.
    pub model: Option<String>,
    /// Whether the answer is wanted piece by piece.
    pub stream: bool,
    /// Whether the client wants a stream to report its usage.
    pub wants_usage: bool,
    /// Whether it offers tools and demands a response format other than plain text, both at once.
    pub has_tools_and_format: bool,
    /// The client's own bytes, for a provider that speaks the same format.
    pub raw: Raw,
}

/// A JSON object as it came, with the places of its members.
#[derive(Clone, Debug)]
pub struct Raw {
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

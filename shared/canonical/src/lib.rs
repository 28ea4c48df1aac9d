//! The vocabulary that every format translates to and from.
//!
//! Plain values: nothing here reads, writes or waits. None of it is ever sent anywhere as it is.

mod answer;
mod attempt;
mod content;
mod embedding;
mod error;
mod event;
mod extra;
mod field;
mod request;
mod signature;
mod summary;
mod usage;

pub use answer::{ChatResponse, Choice, Delta, Finish};
pub use attempt::{AttemptRecord, KeyFingerprint, NextStep, NoFingerprint, Outcome};
pub use content::{
    CacheMark, Citation, Content, Conversation, Effort, Media, Message, Output, Part, Reasoning,
    Role, Sampling, Schema, Source, Tool, ToolCall, ToolChoice, ToolResult,
};
pub use embedding::{Embedding, EmbeddingInput, EmbeddingPurpose, Vectors};
pub use error::{Error, ErrorDetails, ErrorKind, Origin, Result};
pub use event::{EventBody, EventKind, GatewayResponse, ResponseBody, StreamEvent};
pub use extra::Extra;
pub use field::Field;
pub use request::{CanonicalRequest, Format, Framing, GatewayRequest, Json, Member, Raw, Task};
pub use signature::{MARK, Signature};
pub use summary::CallSummary;
pub use usage::{MicroDollars, Usage};

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

pub use answer::{ChatResponse, Choice, Delta, FinishReason};
pub use attempt::{AttemptRecord, Outcome};
pub use content::{
    CacheBreakpoint, Citation, Content, Conversation, Effort, Media, MediaSource, Message, Part,
    Reasoning, ResponseFormat, Role, Sampling, Schema, Tool, ToolCall, ToolChoice, ToolResult,
};
pub use embedding::{EmbeddingInput, EmbeddingPurpose, EmbeddingRequest, EmbeddingResponse};
pub use error::{Error, ErrorDetails, ErrorKind, Origin, Result};
pub use event::{EventBody, EventKind, GatewayResponse, ResponseBody, StreamEvent};
pub use extra::ContentKind;
pub use field::Field;
pub use request::{CanonicalRequest, Format, Framing, GatewayRequest, Json, Member, Raw, Task};
pub use signature::{Signature, TAG_PREFIX};
pub use summary::CallSummary;
pub use usage::{MicroDollars, Usage};

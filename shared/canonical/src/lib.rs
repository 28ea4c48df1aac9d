//! The canonical vocabulary: what every format is decoded to and encoded from.
//!
//! Plain values: nothing here does I/O or knows a wire format, and none of it is ever sent anywhere as
//! it is.

mod attempt_record;
mod call_summary;
mod canonical_request;
mod chat_response;
mod content;
mod content_kind;
mod conversation_edits;
mod embedding;
mod error;
mod field;
mod model_facts;
mod signature;
mod stream_event;
mod usage;

pub use attempt_record::{AttemptRecord, KeyFingerprint, NextStep, NoFingerprint, Outcome};
pub use call_summary::CallSummary;
pub use canonical_request::{CanonicalRequest, Json, Task};
pub use chat_response::{ChatResponse, Choice, Delta, FinishReason};
pub use content::{
    CacheBreakpoint, Citation, Content, Conversation, Effort, Media, MediaSource, Message, Part,
    Reasoning, ResponseFormat, Role, Sampling, Schema, Tool, ToolCall, ToolChoice, ToolResult,
};
pub use content_kind::ContentKind;
pub use embedding::{EmbeddingInput, EmbeddingPurpose, EmbeddingRequest, EmbeddingResponse};
pub use error::{
    Error, ErrorDetails, ErrorKind, ErrorWords, LimitDetails, Origin, Quota, Remedy, Result,
};
pub use field::Field;
pub use model_facts::{
    ModelApi, ModelFacts, ModelFamily, ReasoningControl, ReasoningFacts, ReasoningOff,
    SamplingSupport, nearest_effort,
};
pub use signature::{Signature, TAG_PREFIX};
pub use stream_event::{
    EventBody, EventKind, GatewayResponse, ResponseBody, ResponseFacts, StreamEvent,
};
pub use usage::{MicroDollars, Usage};

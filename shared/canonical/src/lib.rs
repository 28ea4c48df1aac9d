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

pub use answer::{Answer, Choice, Finish, Piece};
pub use attempt::{Attempt, Outcome};
pub use content::{
    CacheMark, Citation, Content, Conversation, Effort, Media, Output, Part, Reasoning, Role,
    Sampling, Schema, Source, Tool, ToolCall, ToolChoice, ToolResult, Turn,
};
pub use embedding::{Embedding, EmbeddingInput, EmbeddingPurpose, Vectors};
pub use error::{Error, Facts, Kind, Origin, Result};
pub use event::{Event, EventBody, EventKind, Response, ResponseBody};
pub use extra::Extra;
pub use field::Field;
pub use request::{Format, Framing, Json, Meaning, Member, Raw, Request, Task};
pub use signature::{MARK, Signature};
pub use summary::Summary;
pub use usage::{MicroDollars, Usage};

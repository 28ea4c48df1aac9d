//! From a model's name to the candidates that may answer, and when to stop trying.
//!
//! Decisions only: nothing here opens a socket or reads a clock. Times are milliseconds since 1970.

pub mod document;
mod health;
mod order;
mod tries;

pub use document::Document;
pub use health::{Rest, Rests};
pub use order::{Asked, Plan, Routes, Step};
pub use tries::{Limits, Outlook, Tries, Try, Verdict, Without};

//! From a model's name to the candidates that may answer, and when to stop trying.
//!
//! Decisions only: nothing here opens a socket or reads a clock. Times are milliseconds since 1970.

pub mod document;
mod health;
mod order;
mod tries;

pub use document::Config;
pub use health::{Cooldown, Cooldowns};
pub use order::{ModelQuery, RoutePlan, Routes, Target};
pub use tries::{AppliedRemedies, Attempt, Failover, Limits, Outlook, Verdict};

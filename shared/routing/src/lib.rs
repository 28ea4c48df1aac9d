//! From a model's name to the targets that may answer, and when to stop asking.
//!
//! Decisions only: nothing here opens a socket or reads a clock. Times are milliseconds since 1970.

mod failover;
mod health;
mod resolve;

pub use failover::{AppliedRemedies, Attempt, Failover, Limits, Outlook, Verdict};
pub use health::{Cooldown, Cooldowns};
pub use resolve::{ModelQuery, RoutePlan, Routes, Target};

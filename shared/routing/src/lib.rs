//! From a model's name to the targets of a call, and from failures to what is attempted next.
//!
//! Only decisions live here: nothing opens a socket or reads a clock. Times are parameters;
//! everything within a process is measured by [`std::time::Instant`], which no change of the wall
//! clock moves.

mod failover;
mod fingerprint;
mod health;
mod resolve;
mod select;

pub use failover::{AppliedRemedies, Attempt, AttemptEnd, AttemptId, Failover, Limits};
pub use fingerprint::fingerprint;
pub use health::{
    Cooldown, CooldownChange, Cooldowns, Health, MAX_SHARED_COOLDOWN, SharedCooldown, TargetHealth,
};
pub use resolve::{ModelQuery, RoutePlan, Routes, Target};
pub use select::{Outlook, Verdict, outlook};

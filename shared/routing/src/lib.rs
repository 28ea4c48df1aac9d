//! From a model's name to the targets of a call, and from failures to what is attempted next.
//!
//! Only decisions live here: nothing opens a socket or reads a clock. Times are parameters;
//! everything within a process is measured by [`std::time::Instant`], which no change of the wall
//! clock moves.

mod conditions;
mod failover;
mod fingerprint;
mod health;
mod resolve;
mod select;
mod strategy;

pub use conditions::{Feature, RequestTraits, StepCondition};
pub use failover::{AppliedRemedies, Attempt, AttemptEnd, AttemptId, Failover, Limits};
pub use fingerprint::fingerprint;
pub use health::{
    Cooldown, CooldownCause, CooldownChange, CooldownReason, CooldownState, Cooldowns, Health,
    HedgeBudget, MAX_SHARED_COOLDOWN, Sessions, SharedCooldown, TargetHealth,
};
pub use resolve::{Hedge, MinSpeed, ModelFactsSource, ModelQuery, RoutePlan, Routes, Target};
pub use select::{Outlook, Verdict, outlook};
pub use strategy::{Circumstances, order};

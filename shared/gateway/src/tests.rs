//! The gateway in one process: SQLite in memory, scripted providers on real sockets, and a clock
//! that is moved by hand.

mod alerts;
mod budgets;
mod cache;
mod cooldowns;
mod counting;
mod failover;
mod held;
mod idempotency;
mod leaving;
mod limits;
mod outbound;
mod policies;
mod records;
mod refreshing;
mod simulation;
mod streams;
pub(crate) mod support;
mod usage_events;

//! The gateway in one process: SQLite in memory, scripted providers on real sockets, and a clock
//! that is moved by hand.

mod cooldowns;
mod failover;
mod records;
mod streams;
mod support;

//! Rows in two tables, and secrets: what the gateway keeps between calls.
//!
//! What a row means is for the callers. A backend is one module, and passes `tests/contract.rs`.

mod aws;
pub mod aws_cli;
mod connections;
pub mod dynamodb;
mod error;
mod limits;
pub mod memory;
mod query;
pub mod secrets;
mod signer;
pub mod sqlite;
mod table;
mod tally;

pub use aws::{Aws, Credentials, Patience};
pub use error::StoreError;
pub use query::{Consistency, Order, Page, Query};
pub use secrets::{Parameters, Secret};
pub use signer::{Signer, Unsigned};
pub use table::{Change, Pending, Row, Stores, Table};
pub use tally::{Condition, Tallied, Tallies, Tally};

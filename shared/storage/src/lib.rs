//! Rows in two tables, and secrets: what the gateway keeps between calls.
//!
//! What a row means is for the callers. A backend is one module, and passes `tests/contract.rs`.

mod aws;
mod credentials;
pub mod dynamodb;
mod error;
mod failure_count;
mod http_client;
mod limits;
pub mod memory;
mod parameters;
mod query;
mod secret;
mod signer;
pub mod sqlite;
mod table;
mod tally;

pub use aws::{Aws, Timeouts};
pub use credentials::{Credentials, CredentialsProvider};
pub use error::StoreError;
pub use failure_count::StoreErrors;
pub use http_client::http_client;
pub use parameters::Parameters;
pub use query::{Consistency, Order, Page, Query};
pub use secret::Secret;
pub use signer::{Signer, UnsignedRequest};
pub use table::{Change, Pending, Row, Stores, Table};
pub use tally::{Condition, Tallied, Tallies, Tally};

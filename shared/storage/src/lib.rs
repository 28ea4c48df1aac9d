//! Memory between calls: rows in two tables, and secrets.
//!
//! What a row means is not known here. A backend is one file and passes `tests/contract.rs`.

mod aws;
pub mod aws_cli;
mod connections;
pub mod dynamodb;
mod limits;
pub mod secrets;
mod signer;
pub mod sqlite;
mod table;

pub use aws::{Aws, Credentials, Patience};
pub use secrets::{Parameters, Secret};
pub use signer::{Signer, Unsigned};
pub use table::{Change, Pending, Row, StoreError, Stores, Table};

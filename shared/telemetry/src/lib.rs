//! What each call leaves behind.

pub mod price;
mod record;

pub use record::CallRecord;

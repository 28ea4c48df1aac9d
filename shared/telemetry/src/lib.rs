//! What each call leaves behind.

mod record;

pub use record::CallRecord;

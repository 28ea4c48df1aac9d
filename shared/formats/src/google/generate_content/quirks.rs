//! What one of Google's models takes and another does not.

pub(super) mod models;
pub(super) mod thinking;

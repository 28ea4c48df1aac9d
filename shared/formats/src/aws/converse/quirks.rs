//! What one model on Bedrock takes and another does not.

pub(super) mod models;
pub(super) mod thinking;

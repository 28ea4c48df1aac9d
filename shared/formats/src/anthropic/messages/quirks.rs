//! What one of Anthropic's models takes and another does not.

pub(crate) mod models;
pub(crate) mod thinking;

//! Differences between Anthropic's models.

pub(crate) mod models;
pub(crate) mod thinking;

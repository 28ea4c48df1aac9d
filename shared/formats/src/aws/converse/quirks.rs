//! Differences between the models on Bedrock.

pub(super) mod models;
pub(super) mod thinking;

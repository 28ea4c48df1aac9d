//! Differences between Google's models.

pub(super) mod models;
pub(super) mod thinking;

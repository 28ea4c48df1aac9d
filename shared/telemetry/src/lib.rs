//! What each call leaves behind.

pub mod price;

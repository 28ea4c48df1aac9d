//! Facts about models: what their tokens cost and how much they take and write.
//!
//! Every fact stands in `models.json` with its source; no Rust file holds one. Formats and providers
//! get what they need of a model with the target, and never look at a model's name themselves.

mod catalog;
mod price;

pub use catalog::{ModelFacts, context_window, facts, max_output, models};
pub use price::{LongPrompt, Price, PriceOverride, PriceTable, Rates, cost};

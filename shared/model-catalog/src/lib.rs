//! Facts about models: prices and limits of each, and how the models of a family are called.
//!
//! Every fact stands in `models.json` with its source; no Rust file holds one. Formats and providers
//! get what they need of a model with the target, and never look at a model's name themselves.

mod catalog;
mod families;
mod price;

pub use catalog::{ModelListing, context_window, facts, listing, maker_names, max_output, models};
pub use price::{LongPrompt, Price, PriceOverride, PriceTable, Rates, cost};

//! Prices of tokens, and the cost of a call.
//!
//! Money is counted in whole micro-dollars and rounded once for each call. A model that is not known
//! has no price, which is not the same as costing nothing. Left out are fees for each request or
//! search, rebates for batches and other rates for audio: audio is charged as text.

#[cfg(test)]
mod tests;

use canonical::{MicroDollars, Usage};

use crate::catalog;

const MILLION: u128 = 1_000_000;
const HALF: u128 = MILLION / 2;

/// The price of one model's tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Price {
    /// The rates of a call whose prompt is not long.
    pub rates: Rates,
    /// The rates of a call with a long prompt, where they differ.
    pub long: Option<LongPrompt>,
}

/// Rates in micro-dollars per million tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rates {
    /// The rate of input tokens that come from no cache.
    pub input: u64,
    /// The rate of output tokens, reasoning included.
    pub output: u64,
    /// The rate of input tokens that are read from the provider's cache.
    pub cached_input: u64,
    /// The rate of input tokens that are written to the provider's cache.
    pub cache_write: u64,
}

/// The rates of every token in a call whose prompt is long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LongPrompt {
    /// The most input tokens that the usual rates still cover.
    pub above: u64,
    /// The rates of a call with more input tokens.
    pub rates: Rates,
}

/// A price from the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriceOverride {
    /// The provider's name in the configuration.
    pub provider: String,
    /// The provider's name for the model.
    pub model: String,
    /// The price of the model at that provider.
    pub price: Price,
}

/// Every known price: those from the configuration, then those that are shipped.
#[derive(Clone, Debug, Default)]
pub struct PriceTable {
    overrides: Vec<PriceOverride>,
}

/// The cost of one call's tokens, rounded half up to a whole micro-dollar.
pub fn cost(price: &Price, usage: &Usage) -> MicroDollars {
    // Whether a prompt is long is decided by all of its tokens, wherever they came from.
    let input_classes = [usage.input, usage.input_audio, usage.cached_input, usage.cache_write];
    let prompt_tokens = input_classes.into_iter().fold(0, u64::saturating_add);
    let rates = price.rates_for(prompt_tokens);

    // Anthropic's rule: twice the rate of input, where writes to the cache have a rate of their own.
    let hour_rate = rates.input.saturating_mul(2).saturating_sub(rates.cache_write);
    let hour_rate = if rates.input < rates.cache_write { hour_rate } else { 0 };
    let total = [
        class_cost(usage.input, rates.input),
        class_cost(usage.input_audio, rates.input),
        class_cost(usage.cached_input, rates.cached_input),
        class_cost(usage.cache_write, rates.cache_write),
        class_cost(usage.cache_write_hour.min(usage.cache_write), hour_rate),
        class_cost(usage.output, rates.output),
        class_cost(usage.reasoning, rates.output),
        class_cost(usage.output_audio, rates.output),
    ]
    .into_iter()
    .fold(0, u128::saturating_add);

    // Once for the whole call: rounding each class would add up to half a micro-dollar seven times.
    let rounded = total.saturating_add(HALF) / MILLION;
    MicroDollars(u64::try_from(rounded).unwrap_or(u64::MAX))
}

impl PriceTable {
    /// The shipped prices behind these overrides.
    pub fn new(overrides: Vec<PriceOverride>) -> Self {
        Self { overrides }
    }

    /// The price of a model at a provider, which is known by its type and by its configured name.
    ///
    /// An override holds for its exact model name. A shipped price also holds for the same name with
    /// a date after it or a vendor before it, unless that could mean another model.
    pub fn find(&self, provider_type: &str, provider_name: &str, model: &str) -> Option<&Price> {
        self.overrides
            .iter()
            .find(|it| it.provider == provider_name && it.model == model)
            .map(|it| &it.price)
            .or_else(|| catalog::listing(provider_type, model).map(|listing| &listing.price))
    }
}

impl Price {
    /// The rates of a call with this many input tokens.
    pub fn rates_for(&self, prompt_tokens: u64) -> &Rates {
        match &self.long {
            Some(long) if long.above < prompt_tokens => &long.rates,
            _ => &self.rates,
        }
    }
}

impl From<Rates> for Price {
    /// A price with the same rates for every call.
    fn from(rates: Rates) -> Self {
        Self { rates, long: None }
    }
}

/// The cost of one class of tokens in millionths of a micro-dollar.
fn class_cost(tokens: u64, rate: u64) -> u128 {
    // Ten million tokens at a thousand dollars a million do not fit 64 bits before the division.
    u128::from(tokens) * u128::from(rate)
}

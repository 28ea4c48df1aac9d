//! What a call costs.
//!
//! Money is counted in whole millionths of a dollar and rounded once for each call. What is not
//! known has no price, which is not the same as costing nothing. Left out are fees for each
//! request or search, rebates for batches and the like, and other rates for sound: it is charged
//! as text.

mod table;
#[cfg(test)]
mod tests;

use canonical::{MicroDollars, Usage};

/// What the tokens of one model cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Price {
    /// What they usually cost.
    pub rates: Rates,
    /// What they cost in a call with a long prompt, where that differs.
    pub long: Option<Long>,
}

/// Rates in micro-dollars per million tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rates {
    /// For a token that is read.
    pub input: u64,
    /// For a token that is written, reasoning included.
    pub output: u64,
    /// For a token that is read from the provider's cache.
    pub cached_input: u64,
    /// For a token that is written to the provider's cache.
    pub cache_write: u64,
}

/// The rates of every token in a call whose prompt is long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Long {
    /// The longest prompt, in tokens, that the usual rates still cover.
    pub above: u64,
    /// The rates beyond it.
    pub rates: Rates,
}

/// A price from the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Override {
    /// The provider's name in the configuration.
    pub provider: String,
    /// The provider's name for the model.
    pub model: String,
    /// What it costs there.
    pub price: Price,
}

/// Every price that is known: those from the configuration, then those that are shipped.
#[derive(Clone, Debug, Default)]
pub struct Prices {
    overrides: Vec<Override>,
}

/// What the tokens of one call cost, rounded half up.
pub fn cost(price: &Price, usage: &Usage) -> MicroDollars {
    let read = [usage.input, usage.input_audio, usage.cached_input, usage.cache_write];
    let rates = price.rates(read.into_iter().fold(0, u64::saturating_add));
    let total = [
        of(usage.input, rates.input),
        of(usage.input_audio, rates.input),
        of(usage.cached_input, rates.cached_input),
        of(usage.cache_write, rates.cache_write),
        of(usage.output, rates.output),
        of(usage.reasoning, rates.output),
        of(usage.output_audio, rates.output),
    ]
    .into_iter()
    .fold(0, u128::saturating_add);
    let rounded = total.saturating_add(HALF) / MILLION;
    MicroDollars(u64::try_from(rounded).unwrap_or(u64::MAX))
}

/// The longest prompt that a shipped model takes, in tokens.
pub fn context_window(provider_type: &str, model: &str) -> Option<u64> {
    shipped(provider_type, model).map(|row| row.context_window)
}

/// The longest answer that a shipped model gives, in tokens.
pub fn max_output(provider_type: &str, model: &str) -> Option<u64> {
    shipped(provider_type, model).map(|row| row.max_output)
}

impl Prices {
    /// The shipped prices, with these in front of them.
    pub fn new(overrides: Vec<Override>) -> Self {
        Self { overrides }
    }

    /// What a model costs at a provider, known by its type and by its own name.
    ///
    /// An override holds for its exact name. A shipped price also holds for the same name with a
    /// date after it or a vendor before it, unless that could mean another model.
    pub fn find(&self, provider_type: &str, provider_name: &str, model: &str) -> Option<&Price> {
        self.overrides
            .iter()
            .find(|it| it.provider == provider_name && it.model == model)
            .map(|it| &it.price)
            .or_else(|| shipped(provider_type, model).map(|row| &row.price))
    }
}

impl Price {
    fn rates(&self, prompt: u64) -> &Rates {
        match &self.long {
            Some(long) if long.above < prompt => &long.rates,
            _ => &self.rates,
        }
    }
}

impl From<Rates> for Price {
    /// The same rates for every call.
    fn from(rates: Rates) -> Self {
        Self { rates, long: None }
    }
}

/// A model in the shipped table.
#[derive(Debug)]
struct Row {
    model: &'static str,
    price: Price,
    context_window: u64,
    max_output: u64,
}

const MILLION: u128 = 1_000_000;
const HALF: u128 = MILLION / 2;

fn of(tokens: u64, rate: u64) -> u128 {
    u128::from(tokens) * u128::from(rate)
}

fn shipped(provider_type: &str, model: &str) -> Option<&'static Row> {
    let at = table::TABLE.binary_search_by(|(name, _)| (*name).cmp(provider_type)).ok()?;
    let (_, lists) = table::TABLE.get(at)?;
    named(lists, model)
        .or_else(|| named(lists, without_vendor(model)?))
        .or_else(|| dated(lists, model))
        .or_else(|| dated(lists, without_vendor(model)?))
}

fn named(lists: &'static [&[Row]], model: &str) -> Option<&'static Row> {
    lists.iter().find_map(|rows| {
        let at = rows.binary_search_by(|row| row.model.cmp(model)).ok()?;
        rows.get(at)
    })
}

/// The row without the date, unless another date of the same model has another price.
fn dated(lists: &'static [&[Row]], model: &str) -> Option<&'static Row> {
    let name = without_date(model)?;
    let row = named(lists, name)?;
    let rows = lists.iter().copied().flatten();
    let mut dates = rows.filter(|it| without_date(it.model) == Some(name));
    dates.all(|it| it.price == row.price).then_some(row)
}

/// `gpt-4o` of `openai/gpt-4o`. A longer path is someone's own model.
fn without_vendor(model: &str) -> Option<&str> {
    let (_, name) = model.split_once('/')?;
    (!name.contains('/')).then_some(name)
}

/// `gpt-4o` of `gpt-4o-2024-11-20`, and `claude-opus-4-5` of `claude-opus-4-5-20251101`.
fn without_date(model: &str) -> Option<&str> {
    ["-20dd-dd-dd", "-20dddddd"].into_iter().find_map(|shape| {
        let at = model.len().checked_sub(shape.len())?;
        let (name, date) = model.split_at_checked(at)?;
        let fits = |(c, d): (char, char)| if d == 'd' { c.is_ascii_digit() } else { c == d };
        date.chars().zip(shape.chars()).all(fits).then_some(name)
    })
}

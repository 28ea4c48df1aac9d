//! The shipped catalog of models: the data file, parsed once, and the lookup by name.

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, HashMap},
    sync::OnceLock,
};

use canonical::ModelFacts;
use serde::Deserialize;

use crate::{
    LongPrompt, Price, Rates,
    families::{self, Family},
};

/// The data file. Rates are micro-dollars per million tokens, limits are tokens.
const DATA: &str = include_str!("../models.json");

/// The price and the limits of one model at one type of provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelListing {
    /// The price of the model's tokens.
    pub price: Price,
    /// The most tokens that prompt and response may have together.
    pub context_window: u64,
    /// The most output tokens.
    pub max_output: u64,
}

/// The listing of a shipped model, by the provider's type and the provider's name for the model.
///
/// A name with a date after it or a vendor before it means the plain name, unless another date of
/// the same model has another price.
pub fn listing(provider_type: &str, model: &str) -> Option<&'static ModelListing> {
    catalog().find(provider_type, model)
}

/// The names of the shipped models of a type of provider, in order; empty where none is known.
pub fn models(provider_type: &str) -> Vec<&'static str> {
    let Some(models) = catalog().models(provider_type) else { return vec![] };
    models.0.iter().map(|(name, _)| *name).collect()
}

/// Facts about a model that its name and the provider's type tell, shipped or not. Limits, which differ
/// from model to model, are in its listing.
pub fn facts(provider_type: &str, model: &str) -> ModelFacts {
    families::find(&catalog().families, provider_type, model)
}

/// How the names of the models begin that a type of provider makes: each with `*` behind it, or a
/// whole name. `*` alone is that of a provider of everybody's models; empty where none are known.
pub fn maker_names(provider_type: &str) -> &'static [&'static str] {
    let maker = catalog().makers.iter().find(|maker| maker.provider == provider_type);
    maker.map_or(&[], |maker| &maker.names)
}

/// The most tokens that prompt and response of a shipped model may have together.
pub fn context_window(provider_type: &str, model: &str) -> Option<u64> {
    listing(provider_type, model).map(|listing| listing.context_window)
}

/// The most output tokens of a shipped model.
pub fn max_output(provider_type: &str, model: &str) -> Option<u64> {
    listing(provider_type, model).map(|listing| listing.max_output)
}

/// The shipped catalog, parsed when it is needed first.
fn catalog() -> &'static Catalog {
    static CATALOG: OnceLock<Catalog> = OnceLock::new();
    CATALOG.get_or_init(|| Catalog::parse(DATA))
}

/// What is used of one line of the data file; its source is for people. A class of tokens that is
/// not priced apart costs what input costs.
#[derive(Debug, Deserialize)]
struct Entry<'a> {
    model: &'a str,
    input: u64,
    output: Option<u64>,
    cached_input: Option<u64>,
    cache_write: Option<u64>,
    context_window: u64,
    /// Absent where sources disagree, and then as large as the context window.
    max_output: Option<u64>,
    long: Option<LongEntry>,
}

#[derive(Debug, Deserialize)]
struct LongEntry {
    above: u64,
    input: u64,
    output: u64,
    cached_input: Option<u64>,
    cache_write: Option<u64>,
}

/// The names of the models of one company.
#[derive(Debug, Deserialize)]
struct Maker<'a> {
    provider: &'a str,
    #[serde(borrow)]
    names: Vec<&'a str>,
}

/// The data file as it is written.
#[derive(Debug, Deserialize)]
struct CatalogFile<'a> {
    #[serde(borrow)]
    makers: Vec<Maker<'a>>,
    /// Types of provider that serve another type's models.
    #[serde(borrow)]
    same_as: HashMap<&'a str, &'a str>,
    #[serde(borrow)]
    families: Vec<Family<'a>>,
    #[serde(borrow)]
    providers: BTreeMap<&'a str, Vec<Entry<'a>>>,
}

/// The models of each type of provider.
#[derive(Debug, Default)]
struct Catalog {
    makers: Vec<Maker<'static>>,
    same_as: HashMap<&'static str, &'static str>,
    families: Vec<Family<'static>>,
    providers: HashMap<&'static str, ProviderModels>,
}

/// The models of one type of provider, in order of their names.
#[derive(Debug)]
struct ProviderModels(Vec<(&'static str, ModelListing)>);

impl Catalog {
    /// Parses the data file. A file that does not parse holds no model; a test holds the shipped one.
    fn parse(data: &'static str) -> Self {
        let Ok(file) = serde_json::from_str::<CatalogFile<'static>>(data) else {
            // Prices that are missing are shown as unknown; a panic here would take every call
            // down.
            return Self::default();
        };
        let providers = file.providers.into_iter().map(|(provider, entries)| {
            let mut models: Vec<_> =
                entries.iter().map(|entry| (entry.model, entry.listing())).collect();
            models.sort_by_key(|(model, _)| *model);
            (provider, ProviderModels(models))
        });
        Self {
            makers: file.makers,
            same_as: file.same_as,
            families: file.families,
            providers: providers.collect(),
        }
    }

    fn models(&self, provider_type: &str) -> Option<&ProviderModels> {
        // Azure and others sell another company's models under its names and prices.
        let provider = self.same_as.get(provider_type).copied().unwrap_or(provider_type);
        self.providers.get(provider)
    }

    fn find(&self, provider_type: &str, model: &str) -> Option<&ModelListing> {
        let models = self.models(provider_type)?;
        models
            // The plain name first: a date or a vendor may be a part of the name itself.
            .named(model)
            .or_else(|| models.named(without_vendor(model)?))
            .or_else(|| models.dated(model))
            .or_else(|| models.dated(without_vendor(model)?))
    }
}

impl ProviderModels {
    fn named(&self, model: &str) -> Option<&ModelListing> {
        let place = self.0.binary_search_by(|(name, _)| (*name).cmp(model)).ok()?;
        self.0.get(place).map(|(_, listing)| listing)
    }

    /// The model without its date, unless another date of the same model has another price.
    fn dated(&self, model: &str) -> Option<&ModelListing> {
        let name = without_date(model)?;
        let listing = self.named(name)?;
        // A newer date may be a dearer model; better no price than the wrong one, which a budget
        // would believe.
        let mut dates = self.0.iter().filter(|(other, _)| without_date(other) == Some(name));
        dates.all(|(_, other)| other.price == listing.price).then_some(listing)
    }
}

impl Entry<'_> {
    fn listing(&self) -> ModelListing {
        let rates = Rates {
            input: self.input,
            output: self.output.unwrap_or(self.input),
            // No discount is known, and charging too much is the smaller mistake.
            cached_input: self.cached_input.unwrap_or(self.input),
            cache_write: self.cache_write.unwrap_or(self.input),
        };
        ModelListing {
            price: Price { rates, long: self.long.as_ref().map(LongEntry::long_prompt) },
            context_window: self.context_window,
            max_output: self.max_output.unwrap_or(self.context_window),
        }
    }
}

impl LongEntry {
    fn long_prompt(&self) -> LongPrompt {
        let rates = Rates {
            input: self.input,
            output: self.output,
            cached_input: self.cached_input.unwrap_or(self.input),
            cache_write: self.cache_write.unwrap_or(self.input),
        };
        LongPrompt { above: self.above, rates }
    }
}

/// `gpt-4o` of `openai/gpt-4o`. A longer path is someone's own model.
fn without_vendor(model: &str) -> Option<&str> {
    let (_, name) = model.split_once('/')?;
    (!name.contains('/')).then_some(name)
}

/// `gpt-4o` of `gpt-4o-2024-11-20`, and `claude-opus-4-5` of `claude-opus-4-5-20251101`.
fn without_date(model: &str) -> Option<&str> {
    ["-20dd-dd-dd", "-20dddddd"].into_iter().find_map(|shape| {
        let place = model.len().checked_sub(shape.len())?;
        let (name, date) = model.split_at_checked(place)?;
        date.chars().zip(shape.chars()).all(fits_shape).then_some(name)
    })
}

/// Whether a character is the one of the shape, or a digit where the shape has a `d`.
fn fits_shape((character, shape): (char, char)) -> bool {
    if shape == 'd' { character.is_ascii_digit() } else { character == shape }
}

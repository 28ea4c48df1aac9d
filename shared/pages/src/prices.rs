//! Prices: what tokens cost, and the models in use whose price is not known.

use askama::Template;

use crate::{
    number::{Count, Money},
    requests::query_value,
    shell::Shell,
};

/// The page of prices.
#[derive(Clone, Debug, Default, PartialEq, Eq, Template)]
#[template(path = "prices.html")]
pub struct Prices {
    /// What surrounds the page.
    pub shell: Shell,
    /// What the names are searched for.
    pub search: String,
    /// Models in use without a price.
    pub unknown: Vec<Unknown>,
    /// Prices, those in use or of the operator's own first.
    pub rows: Vec<Row>,
    /// How many more match.
    pub more: usize,
    /// The price that the form holds.
    pub form: Form,
    /// When the shipped table was made.
    pub shipped: String,
}

/// A model in use without a price.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unknown {
    /// The provider.
    pub provider: String,
    /// The provider's name for the model.
    pub model: String,
    /// Calls that are not counted in money.
    pub calls: Count,
}

/// A price.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// The provider.
    pub provider: String,
    /// The provider's name for the model.
    pub model: String,
    /// Per million input tokens.
    pub input: Option<Money>,
    /// Per million cached input tokens.
    pub cached_input: Option<Money>,
    /// Per million tokens written to the cache.
    pub cache_write: Option<Money>,
    /// Per million output tokens.
    pub output: Option<Money>,
    /// Whether the operator has set the price.
    pub is_own: bool,
}

/// The price that the form holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Form {
    /// The provider.
    pub provider: String,
    /// The model.
    pub model: String,
    /// Per million input tokens.
    pub input: String,
    /// Per million cached input tokens.
    pub cached_input: String,
    /// Per million output tokens.
    pub output: String,
    /// What is wrong.
    pub error: Option<String>,
}

/// The path of the form that sets the price of a model.
pub fn set_href(provider: &str, model: &str) -> String {
    let (provider, model) = (query_value(provider), query_value(model));
    format!("/admin/prices?provider={provider}&model={model}#set")
}

impl Prices {
    fn amount(price: &Option<Money>) -> String {
        price.map_or_else(|| "–".to_owned(), |it| it.to_string())
    }
}

//! Facts about the models of configured providers, from the shipped catalog.

use std::{collections::HashMap, sync::Arc};

use canonical::ModelFacts;
use config::Config;
use routing::ModelFactsSource;

/// The entries of the catalog that hold for each provider.
#[derive(Debug)]
pub(crate) struct CatalogFacts {
    /// The type of each provider, by the name in the configuration.
    types: HashMap<String, String>,
    /// The provider types whose listings hold for each provider.
    listings: HashMap<String, String>,
}

impl CatalogFacts {
    /// A source for the providers of a configuration. `listings` are those whose prices are known.
    pub(crate) fn new(config: &Config, listings: &HashMap<String, String>) -> Arc<Self> {
        let types = config.providers.iter().map(|it| (it.name.clone(), it.kind.clone()));
        Arc::new(Self { types: types.collect(), listings: listings.clone() })
    }
}

impl ModelFactsSource for CatalogFacts {
    fn facts(&self, provider: &str, model: &str) -> ModelFacts {
        let provider_type = self.types.get(provider).map_or("", String::as_str);
        let mut facts = model_catalog::facts(provider_type, model);
        // The limits of a model are those of one provider, while its family is the same everywhere.
        let listing = self.listings.get(provider).and_then(|it| model_catalog::listing(it, model));
        if let Some(listing) = listing {
            facts.context_window = Some(listing.context_window);
            facts.max_output = Some(listing.max_output);
        }
        facts
    }
}

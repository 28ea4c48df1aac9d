//! The configuration where there is no file: every provider whose key is in the environment.

use config::yaml_tree::{Entries, Written, entries_to_yaml};
use edge::settings::Environment;
use gateway::KeyedProvider;
use storage::Secret;

/// The variable that may hold the key of clients.
pub(crate) const KEY_VARIABLE: &str = "LOCKGATE_API_KEY";

/// A configuration that was made from keys in the environment.
#[derive(Debug)]
pub(crate) struct FoundConfig {
    /// The configuration, with a variable in place of each key.
    pub(crate) yaml: String,
    /// The providers that were found, each with its variable.
    pub(crate) providers: Vec<FoundProvider>,
    /// How many models are known by name.
    pub(crate) models: usize,
    /// The key that clients need; made where the environment has none.
    pub(crate) client_key: Secret,
}

/// A provider whose key is in the environment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FoundProvider {
    /// The provider's type, which is its name too.
    pub(crate) kind: KeyedProvider,
    /// The variable that holds the key.
    pub(crate) variable: &'static str,
}

/// The variable that may hold a provider's address, such as `OPENAI_BASE_URL`.
pub(crate) fn address_variable(kind: KeyedProvider) -> String {
    format!("{}_BASE_URL", kind.name.to_ascii_uppercase().replace('-', "_"))
}

/// The providers whose keys are in the environment.
pub(crate) fn providers(environment: &Environment) -> Vec<FoundProvider> {
    let found = |kind: KeyedProvider| {
        let set = kind.key_variables.iter().find(|name| environment.get(name).is_some());
        set.map(|variable| FoundProvider { kind, variable })
    };
    KeyedProvider::all().filter_map(found).collect()
}

/// A configuration of every provider whose key is in the environment; none where there is no key,
/// or no randomness to make the clients' key from.
pub(crate) fn find(environment: &Environment) -> Option<FoundConfig> {
    let providers = providers(environment);
    let first = providers.first()?;

    let client_key = match environment.get(KEY_VARIABLE) {
        Some(key) => Secret::new(key),
        None => generate_key()?,
    };

    let mut models: Vec<Written> = vec![];
    let mut names = vec![];
    for found in &providers {
        for name in found.kind.known_models() {
            // A name that several providers have is the first one's; `provider/model` reaches each.
            if !names.contains(&name) {
                names.push(name);
                let entries = [("name", text(name)), ("provider", text(found.kind.name))];
                models.push(Written::Map(mapping(entries)));
            }
        }
    }

    let provider = |found: &FoundProvider| {
        let key = Written::Bare(format!("${{{}}}", found.variable));
        let name = found.kind.name;
        let mut entries = mapping([("name", text(name)), ("type", text(name)), ("api_key", key)]);
        let address = address_variable(found.kind);
        if environment.get(&address).is_some() {
            entries.push(("base_url".to_owned(), Written::Bare(format!("${{{address}}}"))));
        }
        Written::Map(entries)
    };
    let entries = mapping([
        ("api_key", Written::Bare(format!("${{{KEY_VARIABLE}}}"))),
        // For names that no list knows yet: providers publish models daily.
        ("default_provider", text(first.kind.name)),
        ("providers", Written::List(providers.iter().map(provider).collect())),
        ("models", Written::List(models)),
    ]);
    let yaml = entries_to_yaml(&entries);
    Some(FoundConfig { yaml, providers, models: names.len(), client_key })
}

/// A new key for clients: 256 random bits; none without randomness.
pub(crate) fn generate_key() -> Option<Secret> {
    let random = admin::generate_root_secret()?;
    let digits: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    Some(Secret::new(format!("lg-{digits}")))
}

pub(crate) fn text(value: &str) -> Written {
    Written::Text(value.to_owned())
}

pub(crate) fn mapping<const N: usize>(entries: [(&str, Written); N]) -> Entries {
    entries.map(|(key, value)| (key.to_owned(), value)).into()
}

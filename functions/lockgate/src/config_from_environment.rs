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
#[derive(Clone, Debug)]
pub(crate) struct FoundProvider {
    /// The provider's type, which is its name too.
    pub(crate) kind: KeyedProvider,
    /// The variable that holds the key.
    pub(crate) variable: String,
}

/// The variable that may hold a provider's address, such as `OPENAI_BASE_URL`.
pub(crate) fn address_variable(kind: KeyedProvider) -> String {
    format!("{}_BASE_URL", kind.name.to_ascii_uppercase().replace('-', "_"))
}

/// The providers whose keys are in the environment.
pub(crate) fn providers(environment: &Environment) -> Vec<FoundProvider> {
    let found = |kind: KeyedProvider| {
        let set = kind.key_variables.iter().find(|name| environment.get(name).is_some());
        set.map(|variable| FoundProvider { kind, variable: (*variable).to_owned() })
    };
    KeyedProvider::all().filter_map(found).collect()
}

/// A configuration of every provider whose key is in the environment; none where there is no key,
/// or no randomness to make the clients' key from.
pub(crate) fn find(environment: &Environment) -> Option<FoundConfig> {
    let providers = providers(environment);
    if providers.is_empty() {
        return None;
    }
    let client_key = match environment.get(KEY_VARIABLE) {
        Some(key) => Secret::new(key),
        None => generate_key()?,
    };
    let yaml = config_yaml(&providers, KEY_VARIABLE, environment);
    let models = known_models(&providers).len();
    Some(FoundConfig { yaml, providers, models, client_key })
}

/// A configuration of providers: each of their models that is known by its name, and for other names
/// the company that makes such models.
pub(crate) fn config_yaml(
    providers: &[FoundProvider],
    key_variable: &str,
    environment: &Environment,
) -> String {
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
    let model = |(name, provider): (&str, &str)| {
        Written::Map(mapping([("name", text(name)), ("provider", text(provider))]))
    };
    let models = known_models(providers).into_iter().map(model).collect();

    let mut entries = mapping([("api_key", Written::Bare(format!("${{{key_variable}}}")))]);
    let mut put = |key: &str, value: Written| entries.push((key.to_owned(), value));
    // For names that no list knows yet: providers publish models daily.
    if let Some(name) = default_provider(providers) {
        put("default_provider", text(name));
    }
    if let [_, _, ..] = providers {
        let rules: Vec<Written> = providers.iter().filter_map(maker_rule).collect();
        if !rules.is_empty() {
            put("default_providers", Written::List(rules));
        }
    }
    put("providers", Written::List(providers.iter().map(provider).collect()));
    put("models", Written::List(models));
    entries_to_yaml(&entries)
}

/// The provider of names that no company is known for: the only one, or one of everybody's models. Of
/// several others none may get a name that could be meant for another.
fn default_provider(providers: &[FoundProvider]) -> Option<&'static str> {
    let of_everybody = providers.iter().find(|it| it.kind.maker_names().contains(&"*"));
    let only = providers.first().filter(|_| providers.len() == 1);
    of_everybody.or(only).map(|it| it.kind.name)
}

fn maker_rule(found: &FoundProvider) -> Option<Written> {
    let names = found.kind.maker_names().iter().filter(|name| **name != "*");
    let names: Vec<Written> = names.map(|name| text(name)).collect();
    let rule =
        || mapping([("provider", text(found.kind.name)), ("names", Written::List(names.clone()))]);
    (!names.is_empty()).then(|| Written::Map(rule()))
}

/// The models that are known by their names, each with its provider.
fn known_models(providers: &[FoundProvider]) -> Vec<(&'static str, &'static str)> {
    let mut models: Vec<(&str, &str)> = vec![];
    for found in providers {
        for name in found.kind.known_models() {
            let is_of = |it: &FoundProvider| maker_fits(it, name);
            let maker = providers.iter().find(|it| is_of(it)).map(|it| it.kind.name);
            // `provider/model` reaches each provider, whatever others call the same model.
            let names_other = name.split_once('/').is_some_and(|(start, model)| {
                let other = providers.iter().find(|it| it.kind.name == start);
                other.is_some_and(|it| start != found.kind.name && maker_fits(it, model))
            });
            let is_taken = models.iter().any(|(known, _)| *known == name);
            if !is_taken && !names_other && maker.is_none_or(|maker| maker == found.kind.name) {
                models.push((name, found.kind.name));
            }
        }
    }
    models
}

/// Whether a provider is the company that makes a model.
fn maker_fits(provider: &FoundProvider, model: &str) -> bool {
    provider
        .kind
        .maker_names()
        .iter()
        .filter(|name| **name != "*")
        .any(|name| name.strip_suffix('*').map_or(*name == model, |start| model.starts_with(start)))
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

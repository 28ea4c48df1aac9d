//! The configuration where there is no file: every provider whose key is in the environment.

use config::{
    DefaultProvider,
    yaml_tree::{Entries, Written, entries_to_yaml},
};
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
    let makers = makers(&providers);
    let models = known_models(&providers, &makers);
    let yaml = written(&providers, &makers, &models, (KEY_VARIABLE, environment));
    Some(FoundConfig { yaml, models: models.len(), providers, client_key })
}

/// A configuration of providers: each of their models that is known by its name, and for other names
/// the company that makes such models.
pub(crate) fn config_yaml(
    providers: &[FoundProvider],
    key_variable: &str,
    environment: &Environment,
) -> String {
    let makers = makers(providers);
    let models = known_models(providers, &makers);
    written(providers, &makers, &models, (key_variable, environment))
}

fn written(
    providers: &[FoundProvider],
    makers: &[DefaultProvider],
    models: &[(&str, &str)],
    (key_variable, environment): (&str, &Environment),
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
    let model = |(name, provider): &(&str, &str)| {
        Written::Map(mapping([("name", text(name)), ("provider", text(provider))]))
    };
    let rule = |maker: &DefaultProvider| {
        let names = Written::List(maker.names.iter().map(|name| text(name)).collect());
        Written::Map(mapping([("provider", text(&maker.provider)), ("names", names)]))
    };

    let mut entries = mapping([("api_key", Written::Bare(format!("${{{key_variable}}}")))]);
    let mut put = |key: &str, value: Written| entries.push((key.to_owned(), value));
    // For names that no list knows yet: providers publish models daily.
    if let Some(name) = default_provider(providers) {
        put("default_provider", text(name));
    }
    if 1 < providers.len() && !makers.is_empty() {
        put("default_providers", Written::List(makers.iter().map(rule).collect()));
    }
    put("providers", Written::List(providers.iter().map(provider).collect()));
    put("models", Written::List(models.iter().map(model).collect()));
    entries_to_yaml(&entries)
}

/// The provider of names that no company is known for: the only one, or one of everybody's models. Of
/// several others none may get a name that could be meant for another.
fn default_provider(providers: &[FoundProvider]) -> Option<&'static str> {
    let of_everybody = providers.iter().find(|it| it.kind.maker_names().contains(&"*"));
    let only = providers.first().filter(|_| providers.len() == 1);
    of_everybody.or(only).map(|it| it.kind.name)
}

/// The companies among providers, with the names of the models that they make.
fn makers(providers: &[FoundProvider]) -> Vec<DefaultProvider> {
    let maker = |found: &FoundProvider| {
        let names = found.kind.maker_names().iter().filter(|name| **name != "*");
        let names: Vec<String> = names.map(|name| (*name).to_owned()).collect();
        let provider = found.kind.name.to_owned();
        (!names.is_empty()).then_some(DefaultProvider { provider, names })
    };
    providers.iter().filter_map(maker).collect()
}

/// The models that are known by their names, each with its provider.
fn known_models(
    providers: &[FoundProvider],
    makers: &[DefaultProvider],
) -> Vec<(&'static str, &'static str)> {
    let mut models: Vec<(&str, &str)> = vec![];
    for found in providers {
        let provider = found.kind.name;
        for name in found.kind.known_models() {
            let maker = makers.iter().find(|it| it.fits(name).is_some());
            // `provider/model` reaches each provider, whatever others call the same model.
            let names_other = name.split_once('/').is_some_and(|(start, model)| {
                let other = makers.iter().find(|it| it.provider == start);
                start != provider && other.is_some_and(|it| it.fits(model).is_some())
            });
            let is_taken = models.iter().any(|(known, _)| *known == name);
            if !is_taken && !names_other && maker.is_none_or(|maker| maker.provider == provider) {
                models.push((name, provider));
            }
        }
    }
    models
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

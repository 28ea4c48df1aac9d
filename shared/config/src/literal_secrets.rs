//! Secrets that stand in a document by their value, and a variable's name for each.

use storage::Secret;

use super::{
    Config, SecretSource,
    secrets::{places, variables},
};

/// Every secret whose value stands in the document, with the variable that `to_yaml` writes for it.
pub fn literal_secrets(config: &Config) -> Vec<(String, Secret)> {
    let variables = variables(config);
    let literals = places(config).into_iter().filter_map(|(place, source)| match source {
        SecretSource::Value { value, variable: None } => {
            Some((variables.get(&place)?.clone(), value.clone()))
        }
        SecretSource::Value { .. } | SecretSource::Parameter { .. } => None,
    });
    literals.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_from_the_environment_is_no_literal() {
        let text = "api_key: ${A}\nproviders: [{ name: p, base_url: 'http://h', api_key: sk-1 }]";
        let kinds = [crate::ProviderKind {
            name: "openai",
            needs_base_url: false,
            needs_key: false,
            takes_region: false,
        }];
        let config = crate::read(text, &|_| Some("k".to_owned()), &kinds).unwrap();
        let found = literal_secrets(&config);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].0.as_str(), found[0].1.expose()), ("P_API_KEY", "sk-1"));
    }
}

//! Secrets that stand in a document by their value, and a variable's name for each.

use std::{fmt, ops::Range};

use storage::Secret;

use super::{
    Config, SecretSource,
    secrets::{places, variables},
};

/// Where a secret stands in a file.
#[derive(Clone, PartialEq, Eq)]
pub struct WrittenPlace {
    /// The bytes of its scalar.
    pub bytes: Range<usize>,
    /// Whether variables are a part of it, or all of it.
    pub has_variables: bool,
}

impl fmt::Debug for WrittenPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Two files that say the same look the same, wherever it stands in them.
        f.write_str("WrittenPlace")
    }
}

/// A secret that no variable holds as a whole.
#[derive(Clone, Debug)]
pub struct LiteralSecret {
    /// The variable that `to_yaml` writes for it.
    pub variable: String,
    /// The value, variables replaced.
    pub value: Secret,
    /// Where it stands in the file that the document was read from.
    pub place: Option<WrittenPlace>,
}

/// Every secret whose value, or a part of it, stands in the document.
pub fn literal_secrets(config: &Config) -> Vec<LiteralSecret> {
    let variables = variables(config);
    let literals = places(config).into_iter().filter_map(|(place, source)| match source {
        SecretSource::Value { value, variable: None, place: written } => Some(LiteralSecret {
            variable: variables.get(&place)?.clone(),
            value: value.clone(),
            place: written.clone(),
        }),
        SecretSource::Value { .. } | SecretSource::Parameter { .. } => None,
    });
    literals.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read::tests::config;

    /// The variable of each literal secret, the bytes that hold it, and whether variables have a part.
    fn found(text: &str) -> Vec<(String, &str, bool)> {
        let literals = literal_secrets(&config(text)).into_iter();
        let shown = literals.map(|it| {
            let place = it.place.unwrap();
            (it.variable, text.get(place.bytes).unwrap(), place.has_variables)
        });
        shown.collect()
    }

    #[test]
    fn what_comes_from_the_environment_is_no_literal() {
        let text = "api_key: ${KEY}\nproviders: [{ name: p, base_url: 'http://h', api_key: sk-1 }]";
        assert_eq!(found(text), [("P_API_KEY".to_owned(), "sk-1", false)]);
    }

    #[test]
    fn a_literal_is_known_by_its_place() {
        let text = "api_key: demo\nproviders:\n- name: demo\n  base_url: http://h\n  api_keys: \
                    ['demo', \"x\"]\n  headers: {x-org: 'Bearer ${KEY}'}\n";
        let name = |it: &str| it.to_owned();
        assert_eq!(
            found(text),
            [
                (name("GATEWAY_API_KEY"), "demo", false),
                (name("DEMO_API_KEY_1"), "'demo'", false),
                (name("DEMO_API_KEY_2"), "\"x\"", false),
                (name("DEMO_X_ORG"), "'Bearer ${KEY}'", true),
            ]
        );
    }
}

//! Where the values of a file stand, for what is found to be wrong with them after they were read.

use super::{
    error::{ConfigError, Position},
    node::{Node, Value},
    yaml,
};

/// Errors about values of a file, such as files that it names and nobody can read: each with the place
/// of its value in the file's text, in order of place.
pub fn placed(text: &str, mut errors: Vec<ConfigError>) -> Vec<ConfigError> {
    let Ok(root) = yaml::parse(text) else { return errors };
    for error in &mut errors {
        error.position = place(&root, &error.path);
    }
    errors.sort_by_key(|error| error.position);
    errors
}

/// The place of the value at a path, such as `providers[0].ca_file`.
fn place(root: &Node<'_>, path: &str) -> Option<Position> {
    let mut node = root;
    for segment in path.split(['.', '[']) {
        node = match &node.value {
            Value::Map(entries) => &entries.iter().find(|(key, _)| key.text == segment)?.1,
            Value::List(items) => items.get(segment.strip_suffix(']')?.parse::<usize>().ok()?)?,
            Value::Scalar { .. } => return None,
        };
    }
    node.at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_found_by_its_path() {
        let text = "tls: { cert: c.pem,\n  key: k.pem }\nproviders:\n- name: a\n- ca_file: x.pem\n";
        let error = |path: &str| ConfigError {
            position: None,
            path: path.to_owned(),
            message: String::new(),
        };
        let errors = ["tls.key", "providers[1].ca_file", "providers[2].ca_file", "tls.cert.x"];
        let places: Vec<Option<String>> = placed(text, errors.map(error).to_vec())
            .iter()
            .map(|it| it.position.map(|at| at.to_string()))
            .collect();
        let line = |text: &str| Some(text.to_owned());
        assert_eq!(places, [None, None, line("2:8"), line("5:12")]);
    }
}

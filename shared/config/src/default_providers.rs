//! Which provider gets unknown models, by how their names begin.

use super::{
    keys::{Key, Keys, Takes},
    node::Node,
    read::{Rules, need_entries},
    reader::Reader,
    values,
    write::{Map, Written, text},
};

pub(super) const DEFAULT_PROVIDER: Keys = Keys {
    of: "a default provider",
    keys: &[
        Key::required("provider", Takes::Text, "the name of a provider"),
        Key::required(
            "names",
            Takes::List(&Takes::Text),
            "its models: a name, or the beginning of names and `*`. Of several, the one that fits most of a name counts",
        ),
    ],
};

/// The provider that gets the unknown models of some names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DefaultProvider {
    /// The name of a provider in the same configuration.
    pub provider: String,
    /// Names, or the beginning of names and `*`.
    pub names: Vec<String>,
}

impl DefaultProvider {
    /// How much of a model's name one of the names fits; none where none does.
    pub fn fits(&self, model: &str) -> Option<usize> {
        let length = |name: &String| match name.strip_suffix('*') {
            Some(start) => model.starts_with(start).then_some(start.len()),
            // More than every beginning of the name.
            None => (model == name).then_some(name.len() + 1),
        };
        self.names.iter().filter_map(length).max()
    }
}

/// Reads one entry.
pub(super) fn read(
    rules: &Rules<'_>,
    reader: &mut Reader<'_>,
    node: &Node<'_>,
) -> Option<DefaultProvider> {
    let fields = reader.fields(node, &DEFAULT_PROVIDER)?;
    need_entries(reader, fields, "names", "the provider would get no model");
    Some(DefaultProvider {
        provider: reader.required(fields, "provider", |it, node| rules.provider_of(it, node)),
        names: reader.list(fields, "names", |it, node| Some(it.checked_text(node, pattern))),
    })
}

fn pattern(text: &str) -> Result<(), &'static str> {
    let start = text.strip_suffix('*').unwrap_or(text);
    if start.contains('*') {
        return Err("has a `*` that does not stand at its end");
    }
    values::model_name(start)
}

/// Writes all entries; none where there are none.
pub(super) fn write(all: &[DefaultProvider]) -> Option<Written> {
    let entry = |it: &DefaultProvider| {
        let mut map = Map::default();
        map.put("provider", text(&it.provider));
        map.put("names", Written::List(it.names.iter().map(text).collect()));
        Written::Map(map.0)
    };
    let entries: Vec<Written> = all.iter().map(entry).collect();
    Some(Written::List(entries)).filter(|_| !all.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_that_fits_most_counts() {
        let names = ["text-*", "text-embedding-004"].map(str::to_owned).to_vec();
        let rule = DefaultProvider { provider: "p".to_owned(), names };
        let fits = ["text-embedding-3", "text-embedding-004", "gpt"].map(|it| rule.fits(it));
        assert_eq!(fits, [Some(5), Some(19), None]);
    }
}

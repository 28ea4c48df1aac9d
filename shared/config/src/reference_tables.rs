//! The tables of keys in `docs/configuration.md`, held to what the reader knows.
//!
//! Each stands below a line `<!-- keys: … -->`; `UPDATE_GOLDEN=1` writes them anew.

use std::{collections::BTreeSet, fs};

use super::{
    keys::{Keys, Takes},
    node::{Node, Value},
    read::{
        DOCUMENT,
        tests::{EXAMPLE, config},
    },
    to_yaml, yaml,
};

const DOCS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration.md");
const MARK: &str = "<!-- keys: ";

/// Each mapping that a configuration may hold, once.
fn every_mapping() -> Vec<&'static Keys> {
    let mut found = vec![&DOCUMENT];
    let mut next = 0;
    while let Some(keys) = found.get(next).copied() {
        for inner in keys.keys.iter().filter_map(|key| mapping_in(&key.takes)) {
            if !found.iter().any(|known| known.of == inner.of) {
                found.push(inner);
            }
        }
        next += 1;
    }
    found
}

/// The mapping that a value holds, if it holds one with known keys.
fn mapping_in(takes: &Takes) -> Option<&'static Keys> {
    match takes {
        Takes::Mapping(keys) | Takes::TextOr(keys) => Some(keys),
        Takes::List(takes) => mapping_in(takes),
        Takes::Text
        | Takes::Words(_)
        | Takes::Kind
        | Takes::Flag
        | Takes::Whole(..)
        | Takes::Money
        | Takes::Duration
        | Takes::Texts => None,
    }
}

/// The rows of a mapping; mappings within it that have no table of their own are part of it.
fn rows(keys: &Keys, prefix: &str, with_tables: &BTreeSet<&str>) -> Vec<String> {
    let mut rows = vec![];
    for key in keys.keys {
        let name = format!("{prefix}{}", key.name);
        rows.push(format!("| `{name}` | {} | {} |", key.default, key.about).replace("  ", " "));
        let Some(inner) = mapping_in(&key.takes) else { continue };
        if !with_tables.contains(inner.of) {
            let dot = if matches!(key.takes, Takes::List(_)) { "[]." } else { "." };
            rows.extend(self::rows(inner, &format!("{name}{dot}"), with_tables));
        }
    }
    rows
}

#[test]
fn the_documentation_lists_every_key() {
    let docs = fs::read_to_string(DOCS).unwrap();
    let marked = |line: &'static str| line.strip_prefix(MARK)?.strip_suffix(" -->");
    let docs: &'static str = docs.leak();
    let with_tables: BTreeSet<&str> = docs.lines().filter_map(marked).collect();
    let mappings = every_mapping();
    let mut written = String::new();
    let mut lines = docs.lines().peekable();
    while let Some(line) = lines.next() {
        written.push_str(line);
        written.push('\n');
        let Some(name) = marked(line) else { continue };
        let keys = mappings.iter().find(|keys| keys.of == name).expect(name);
        while lines.peek().is_some_and(|line| line.starts_with('|')) {
            lines.next();
        }
        written.push_str("| key | default | what |\n| --- | --- | --- |\n");
        for row in rows(keys, "", &with_tables) {
            written.push_str(&row);
            written.push('\n');
        }
    }

    if option_env!("UPDATE_GOLDEN").is_some() {
        fs::write(DOCS, written).unwrap();
    } else {
        let hint =
            "docs/configuration.md differs from the keys: UPDATE_GOLDEN=1 cargo test -p config";
        assert!(docs == written, "{hint}");
    }
}

/// Every key in a document, each behind its mapping, such as `a step when`.
fn paths(node: &Node<'_>, keys: Option<&'static Keys>, found: &mut BTreeSet<String>) {
    match &node.value {
        Value::Scalar { .. } => {}
        Value::List(items) => items.iter().for_each(|item| paths(item, keys, found)),
        Value::Map(entries) => {
            let Some(keys) = keys else { return };
            for (key, value) in entries {
                let path = format!("{} {}", keys.of, key.text);
                let inner = keys.find(&key.text).and_then(|key| mapping_in(&key.takes));
                found.insert(path);
                paths(value, inner, found);
            }
        }
    }
}

fn paths_of(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    paths(&yaml::parse(text).unwrap(), Some(&DOCUMENT), &mut found);
    found
}

#[test]
fn the_example_names_every_key_and_so_does_its_export() {
    let name = |keys: &'static Keys| {
        keys.names().into_iter().map(move |name| format!("{} {name}", keys.of))
    };
    let known: BTreeSet<String> = every_mapping().into_iter().flat_map(name).collect();
    assert_eq!(paths_of(EXAMPLE), known);
    // What is usual is left out of an export.
    let default =
        ["a configuration auth", "a tenant enabled", "a tenant tool_mode"].map(str::to_owned);
    let exported = paths_of(&to_yaml(&config(EXAMPLE)));
    let missing: Vec<&String> = known.difference(&exported).collect();
    assert_eq!(missing, default.iter().collect::<Vec<_>>());
}

//! YAML as a tree, whatever it means: what the importers of other gateways' files read and write.

use super::{ConfigErrors, yaml};

pub use super::{
    events::{YamlEvent, YamlEventKind, events},
    export::entries_to_yaml,
    node::{Entry, Key, Node, Style, Value},
    variables::escape,
    write::{Entries, Written},
};

/// Parses YAML, and JSON with it; variables are left as they stand.
pub fn parse(text: &str) -> Result<Node<'_>, ConfigErrors> {
    yaml::parse(text)
}

//! A mapping of another gateway's file, key by key: what nobody takes is noted at the end.

use config::yaml_tree::{Entry, Node, Value};

use crate::draft::Draft;

/// A mapping, and which of its keys were taken.
pub(crate) struct Mapping<'n> {
    entries: &'n [Entry<'n>],
    taken: Vec<&'n str>,
}

/// The line of a value.
pub(crate) fn line(node: &Node<'_>) -> Option<usize> {
    node.at.map(|at| at.line)
}

/// A scalar as a text; empty texts and nulls count as absent.
pub(crate) fn text(node: &Node<'_>) -> Option<String> {
    match &node.value {
        // An export writes null for what is not set.
        Value::Scalar { text, .. } if !node.is_null() && !text.trim().is_empty() => {
            Some(text.trim().to_owned())
        }
        Value::Scalar { .. } | Value::List(_) | Value::Map(_) => None,
    }
}

/// The items of a list; a single value is a list of one.
pub(crate) fn items<'n>(node: &'n Node<'n>) -> Vec<&'n Node<'n>> {
    match &node.value {
        Value::List(items) => items.iter().collect(),
        Value::Scalar { .. } | Value::Map(_) => vec![node],
    }
}

impl<'n> Mapping<'n> {
    /// Opens a mapping; none where the value is something else.
    pub(crate) fn open(node: &'n Node<'n>) -> Option<Self> {
        match &node.value {
            Value::Map(entries) => Some(Self { entries, taken: vec![] }),
            Value::Scalar { .. } | Value::List(_) => None,
        }
    }

    /// Whether the mapping has a key.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.entries.iter().any(|(known, _)| known.text == key)
    }

    /// Whether the value under a key is a list.
    pub(crate) fn is_list(&self, key: &str) -> bool {
        let found = self.entries.iter().find(|(known, _)| known.text == key);
        found.is_some_and(|(_, node)| matches!(node.value, Value::List(_)))
    }

    /// Takes the value under a key.
    pub(crate) fn take(&mut self, key: &str) -> Option<&'n Node<'n>> {
        let (known, node) = self.entries.iter().find(|(known, _)| known.text == key)?;
        self.taken.push(&known.text);
        Some(node)
    }

    /// Takes a text.
    pub(crate) fn text(&mut self, key: &str) -> Option<String> {
        self.take(key).and_then(text)
    }

    /// Takes a truth value.
    pub(crate) fn flag(&mut self, key: &str) -> Option<bool> {
        match self.text(key)?.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "1" => Some(true),
            "false" | "no" | "off" | "0" => Some(false),
            _ => None,
        }
    }

    /// Takes a number.
    pub(crate) fn number(&mut self, key: &str) -> Option<f64> {
        self.text(key)?.parse().ok().filter(|number: &f64| number.is_finite())
    }

    /// Takes a number that is whole and not negative; a fraction is cut off.
    pub(crate) fn count(&mut self, key: &str) -> Option<u64> {
        let number = self.text(key)?;
        // Python writes whole numbers as floats.
        let (whole, _) = number.split_once('.').unwrap_or((&number, ""));
        whole.parse().ok()
    }

    /// Takes the items of a list.
    pub(crate) fn list(&mut self, key: &str) -> Vec<&'n Node<'n>> {
        self.take(key).map(items).unwrap_or_default()
    }

    /// Takes the texts of a list.
    pub(crate) fn texts(&mut self, key: &str) -> Vec<String> {
        self.list(key).into_iter().filter_map(text).collect()
    }

    /// Takes a mapping.
    pub(crate) fn mapping(&mut self, key: &str) -> Option<Self> {
        self.take(key).and_then(Self::open)
    }

    /// Takes every key that nobody took yet, with its value.
    pub(crate) fn rest(self) -> impl Iterator<Item = (&'n str, &'n Node<'n>)> {
        let Self { entries, taken } = self;
        let left = entries.iter().filter(move |(key, _)| !taken.contains(&&*key.text));
        left.map(|(key, node)| (&*key.text, node))
    }

    /// Notes every key that nobody took, with its reason where there is one.
    pub(crate) fn leave(self, place: &str, reasons: &[(&str, &str)], draft: &mut Draft) {
        let Self { entries, taken } = self;
        for (key, _) in entries.iter().filter(|(key, _)| !taken.contains(&&*key.text)) {
            let reason = reasons.iter().find(|(known, _)| *known == key.text);
            let reason = reason.map_or("has no counterpart here", |(_, reason)| reason);
            let dot = if place.is_empty() { "" } else { "." };
            let message = format!("`{place}{dot}{}` is not carried over: {reason}", key.text);
            draft.note(key.at.map(|at| at.line), message);
        }
    }
}

//! Reads nodes field by field and collects every config error on the way.
//!
//! A faulty value is noted and stands in as an empty one, so that reading goes on; nobody sees it,
//! because one error rejects the configuration. The fields themselves stand in `read`.

use std::{borrow::Cow, ops::RangeInclusive, time::Duration};

use super::{
    duration::{duration, retention},
    error::{ConfigError, Position},
    keys::{Key, Keys, Takes},
    node::{Entry, Node, Style, Value},
    values,
    variables::expand,
};

/// Looks a variable up.
pub(super) type Variables<'v> = &'v dyn Fn(&str) -> Option<String>;

/// Reads nodes and remembers what is wrong with them.
pub(super) struct Reader<'v> {
    /// What `${VAR}` stands for; None where texts are taken as they are.
    variables: Option<Variables<'v>>,
    path: String,
    errors: Vec<ConfigError>,
}

/// The entries of one mapping.
#[derive(Clone, Copy)]
pub(super) struct Fields<'n> {
    pub(super) at: Option<Position>,
    pub(super) entries: &'n [Entry<'n>],
    /// What the mapping may hold; none where the keys are the operator's own.
    keys: Option<&'static [Key]>,
}

/// A scalar whose variables are known.
pub(super) struct Scalar<'n> {
    pub(super) text: Cow<'n, str>,
    /// The variable, when the whole text was one.
    pub(super) variable: Option<String>,
    /// How it was written; open when a variable had a part in it.
    pub(super) style: Style,
}

impl<'v> Reader<'v> {
    pub(super) fn new(variables: Option<Variables<'v>>) -> Self {
        Self { variables, path: String::new(), errors: vec![] }
    }

    /// What was wrong.
    pub(super) fn into_errors(self) -> Vec<ConfigError> {
        self.errors
    }

    /// Notes that the value being read is wrong.
    pub(super) fn report(&mut self, at: Option<Position>, message: impl Into<String>) {
        let error = ConfigError { position: at, path: self.path.clone(), message: message.into() };
        self.errors.push(error);
    }

    /// The path of the value being read, as errors show it.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// Opens a mapping. Keys that it may not have, or has twice, are errors.
    pub(super) fn fields<'n>(
        &mut self,
        node: &'n Node<'n>,
        keys: &'static Keys,
    ) -> Option<Fields<'n>> {
        let fields = self.map(node)?;
        // Unknown keys are refused: a misspelled limit would otherwise be no limit, without a word.
        for (key, _) in fields.entries {
            if keys.find(&key.text).is_some() {
                continue;
            }
            let known = keys.names();
            let message = match values::nearest(&key.text, &known) {
                Some(near) => format!("is no key of {}; did you mean {near}?", keys.of),
                None => format!("is no key of {} (known: {})", keys.of, known.join(", ")),
            };
            self.inside(&key.text, |reader| reader.report(key.at, message));
        }
        Some(Fields { keys: Some(keys.keys), ..fields })
    }

    /// Opens a mapping whose keys are the operator's own. A key that it has twice is an error.
    pub(super) fn map<'n>(&mut self, node: &'n Node<'n>) -> Option<Fields<'n>> {
        let Value::Map(entries) = &node.value else {
            self.report(node.at, "takes `key: value` lines, not a list or a single value");
            return None;
        };
        // YAML keeps the last of two silently, which people notice when the first one had the
        // limit.
        for (index, (key, _)) in entries.iter().enumerate() {
            let first = entries.iter().take(index).find(|(known, _)| known.text == key.text);
            if let Some((first, _)) = first {
                let place =
                    first.at.map_or(String::new(), |at| format!(" (first on line {})", at.line));
                let message = format!("is given twice{place}; remove one");
                self.inside(&key.text, |reader| reader.report(key.at, message));
            }
        }
        Some(Fields { at: node.at, entries, keys: None })
    }

    /// Reads a value that must be there.
    pub(super) fn required<'n, T: Default>(
        &mut self,
        fields: Fields<'n>,
        key: &str,
        read: impl FnOnce(&mut Self, &'n Node<'n>) -> T,
    ) -> T {
        if fields.get(key).is_none() {
            self.inside(key, |reader| reader.report(fields.at, "is missing"));
            return T::default();
        }
        self.optional(fields, key, read).unwrap_or_default()
    }

    /// Reads a value that may be there.
    pub(super) fn optional<'n, T>(
        &mut self,
        fields: Fields<'n>,
        key: &str,
        read: impl FnOnce(&mut Self, &'n Node<'n>) -> T,
    ) -> Option<T> {
        let node = fields.get(key)?;
        self.inside(key, |reader| reader.present(node, read))
    }

    /// Reads a mapping that may be there; what is absent in it has its default.
    pub(super) fn section<'n, T: Default>(
        &mut self,
        fields: Fields<'n>,
        key: &str,
        read: impl FnOnce(&mut Self, &'n Node<'n>) -> Option<T>,
    ) -> T {
        self.optional(fields, key, read).flatten().unwrap_or_default()
    }

    /// Reads the values of a list that may be there; those that cannot be read are left out.
    pub(super) fn list<'n, T>(
        &mut self,
        fields: Fields<'n>,
        key: &str,
        mut read: impl FnMut(&mut Self, &'n Node<'n>) -> Option<T>,
    ) -> Vec<T> {
        let read_all = |reader: &mut Self, node: &'n Node<'n>| {
            let Value::List(items) = &node.value else {
                reader.report(node.at, "takes a list: one entry per line, each behind `- `");
                return vec![];
            };
            let mut list = vec![];
            for (index, item) in items.iter().enumerate() {
                let place = format!("[{index}]");
                list.extend(
                    reader.inside(&place, |reader| reader.present(item, &mut read)).flatten(),
                );
            }
            list
        };
        self.optional(fields, key, read_all).unwrap_or_default()
    }

    /// Runs `read` one step further down the path: under a key, or at `[index]`.
    pub(super) fn inside<T>(&mut self, step: &str, read: impl FnOnce(&mut Self) -> T) -> T {
        let length = self.path.len();
        if length > 0 && !step.starts_with('[') {
            self.path.push('.');
        }
        self.path.push_str(step);
        let result = read(self);
        // One buffer for all paths; errors copy it, and a file without errors never does.
        self.path.truncate(length);
        result
    }

    /// Reads a value unless it is empty, which is an error.
    pub(super) fn present<'n, T>(
        &mut self,
        node: &'n Node<'n>,
        read: impl FnOnce(&mut Self, &'n Node<'n>) -> T,
    ) -> Option<T> {
        // A key with nothing behind it is most often a value that was forgotten or a wrong indent.
        if node.is_null() {
            self.report(node.at, "has no value; give one, or remove the line");
            return None;
        }
        Some(read(self, node))
    }

    /// Reads a single value whatever its type, its variables replaced.
    pub(super) fn scalar<'n>(&mut self, node: &'n Node<'n>) -> Option<Scalar<'n>> {
        let Value::Scalar { text, style } = &node.value else {
            self.report(node.at, "takes a single value, not a list or mapping");
            return None;
        };
        let as_it_is = || Scalar { text: Cow::Borrowed(text), variable: None, style: *style };
        // Rows are never expanded: whoever may write to the table could read the environment
        // otherwise.
        let Some(variables) = self.variables.filter(|_| text.contains("${")) else {
            return Some(as_it_is());
        };
        match expand(text, variables) {
            Ok(expanded) => Some(Scalar {
                text: Cow::Owned(expanded.text),
                variable: expanded.variable,
                // A variable has no quotes, so the field decides which type its text has.
                style: Style::Open,
            }),
            Err(wrong) => {
                for message in wrong {
                    self.report(node.at, message);
                }
                None
            }
        }
    }

    /// Reads a single value that is a text and not a number or truth value.
    pub(super) fn text_scalar<'n>(&mut self, node: &'n Node<'n>) -> Option<Scalar<'n>> {
        let scalar = self.scalar(node)?;
        // `model: 1e3` or a key of digits would lose its spelling if it were taken for a number.
        if scalar.style == Style::Plain && values::is_no_text(&scalar.text) {
            self.report(
                node.at,
                "is a number or truth value where a text belongs; put it in quotes",
            );
            return None;
        }
        Some(scalar)
    }

    /// Reads a text, which may be empty.
    pub(super) fn any_text(&mut self, node: &Node<'_>) -> String {
        self.text_scalar(node).map(|it| it.text.into_owned()).unwrap_or_default()
    }

    /// Reads a text that says something.
    pub(super) fn text(&mut self, node: &Node<'_>) -> String {
        let Some(scalar) = self.text_scalar(node) else { return String::new() };
        if scalar.text.trim().is_empty() {
            self.report(node.at, "is empty; give a value, or remove the line");
        }
        scalar.text.into_owned()
    }

    /// Reads a text and checks it; the complaint must not repeat the text.
    pub(super) fn checked_text(
        &mut self,
        node: &Node<'_>,
        check: impl FnOnce(&str) -> Result<(), &'static str>,
    ) -> String {
        let text = self.text(node);
        if text.trim().is_empty() {
            return text;
        }
        if let Err(message) = check(&text) {
            self.report(node.at, message);
            return String::new();
        }
        text
    }

    /// Reads a whole number that may be there, within the bounds that its key names.
    pub(super) fn count(&mut self, fields: Fields<'_>, key: &str) -> Option<u64> {
        let bounds = fields.bounds(key);
        self.optional(fields, key, |reader, node| reader.whole(node, bounds))
    }

    /// Reads a small whole number that may be there, within the bounds that its key names.
    pub(super) fn small_count(&mut self, fields: Fields<'_>, key: &str) -> Option<u32> {
        let highest = u32::try_from(*fields.bounds(key).end()).unwrap_or(u32::MAX);
        self.count(fields, key).map(|number| u32::try_from(number).unwrap_or(highest))
    }

    /// Reads a whole number within bounds.
    fn whole(&mut self, node: &Node<'_>, bounds: RangeInclusive<u64>) -> u64 {
        let (lowest, highest) = (*bounds.start(), *bounds.end());
        // The lowest allowed value stands in, so that what is derived from it stays within bounds.
        let Some(text) = self.number(node) else { return lowest };
        let is_whole = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse().ok().filter(|number| is_whole && bounds.contains(number));
        number.unwrap_or_else(|| {
            self.report(node.at, format!("takes a whole number from {lowest} to {highest}"));
            lowest
        })
    }

    /// Reads a price in micro-dollars per million tokens.
    pub(super) fn money(&mut self, node: &Node<'_>) -> u64 {
        let Some(text) = self.number(node) else { return 0 };
        values::money(&text).unwrap_or_else(|message| {
            self.report(node.at, message);
            0
        })
    }

    /// Reads a duration, which may be zero.
    pub(super) fn duration(&mut self, node: &Node<'_>) -> Duration {
        let Some(scalar) = self.scalar(node) else { return Duration::ZERO };
        duration(&scalar.text).unwrap_or_else(|message| {
            self.report(node.at, message);
            Duration::ZERO
        })
    }

    /// Reads how long something is kept, which may be longer than a day.
    pub(super) fn retention(&mut self, node: &Node<'_>) -> Duration {
        let Some(scalar) = self.scalar(node) else { return Duration::ZERO };
        let kept = retention(&scalar.text).unwrap_or_else(|message| {
            self.report(node.at, message);
            // Not zero, which would bring a second complaint about the same value.
            Duration::MAX
        });
        if kept.is_zero() {
            self.report(node.at, "is zero, so that nothing would be kept; give it some time");
        }
        kept
    }

    /// Reads `true` or `false`.
    pub(super) fn flag(&mut self, node: &Node<'_>) -> bool {
        let Some(scalar) = self.scalar(node) else { return false };
        match (&*scalar.text, scalar.style) {
            // Only these two: `yes`, `no`, `on` and `off` are texts in YAML 1.2, and truth values
            // in 1.1.
            ("true", Style::Plain | Style::Open) => true,
            ("false", Style::Plain | Style::Open) => false,
            _ => {
                self.report(node.at, "is neither true nor false");
                false
            }
        }
    }

    /// Reads a duration that allows something to happen.
    pub(super) fn time_limit(&mut self, node: &Node<'_>) -> Duration {
        // A text that is no duration stands in as zero and has its error already.
        let before = self.errors.len();
        let duration = self.duration(node);
        if duration.is_zero() && self.errors.len() == before {
            self.report(node.at, "is zero, so that nothing could ever respond; give it some time");
        }
        duration
    }

    /// Reads one word of a few.
    pub(super) fn word<T: Copy>(&mut self, node: &Node<'_>, words: &[(&str, T)]) -> Option<T> {
        let scalar = self.text_scalar(node)?;
        let found = words.iter().find(|(word, _)| *word == scalar.text);
        if found.is_none() {
            let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            self.report(node.at, format!("is none of: {}", known.join(", ")));
        }
        found.map(|(_, value)| *value)
    }

    fn number<'n>(&mut self, node: &'n Node<'n>) -> Option<Cow<'n, str>> {
        let scalar = self.scalar(node)?;
        if scalar.style == Style::Quoted {
            self.report(node.at, "is a text where a number belongs; remove the quotes");
            return None;
        }
        Some(scalar.text)
    }
}

impl<'n> Fields<'n> {
    /// The value under a key, which has to be one that the mapping may hold.
    pub(super) fn get(&self, key: &str) -> Option<&'n Node<'n>> {
        // A key that is read without a descriptor would be missing from the schema and from the
        // docs.
        debug_assert!(
            self.keys.is_none_or(|keys| keys.iter().any(|known| known.name == key)),
            "{key} is read and not described"
        );
        self.entries.iter().find(|(known, _)| known.text == key).map(|(_, node)| node)
    }

    /// The bounds of a key that takes a whole number.
    fn bounds(&self, key: &str) -> RangeInclusive<u64> {
        let keys = self.keys.unwrap_or_default();
        match keys.iter().find(|known| known.name == key).map(|known| &known.takes) {
            Some(Takes::Whole(lowest, highest)) => *lowest..=*highest,
            _ => unreachable!("{key} is described as a whole number"),
        }
    }
}

/// A text as errors show it: as it was written, so without what variables hold.
pub(super) fn shown(node: &Node<'_>) -> String {
    match &node.value {
        Value::Scalar { text, .. } => format!("{text:?}"),
        Value::List(_) | Value::Map(_) => String::new(),
    }
}

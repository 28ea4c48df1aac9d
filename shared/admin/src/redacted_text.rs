//! The text of a configuration with a variable in place of each secret that stands in it.
//!
//! Operators read and send the text with variables; what stood in their places comes back, byte by
//! byte, when it is written. Everything else is shown, and kept, as the operator wrote it.

use std::ops::Range;

use config::{
    Config, literal_secrets,
    yaml_tree::{YamlEvent, YamlEventKind, escape, events},
};
use storage::Secret;

use crate::{
    problem::{AdminResult, Problem},
    redacted_comments::comment_secrets,
    secret_words::secret_parts,
};

/// A text without secrets.
#[derive(Clone, Debug)]
pub(crate) struct HiddenText {
    /// The text.
    pub(crate) text: String,
    /// What was taken out.
    kept: Vec<KeptSecret>,
}

/// A secret that was taken out of a text.
#[derive(Clone, Debug)]
struct KeptSecret {
    /// The variable that stands for it.
    variable: String,
    /// The bytes in the text, quotes with them.
    written: Secret,
    /// What it says.
    value: Secret,
    /// Whether it was all of a scalar.
    is_whole: bool,
}

/// A secret that is to be taken out, and where it stands.
struct Found {
    bytes: Range<usize>,
    /// The variable that may stand for it; one with a number where there is none.
    name: Option<String>,
    value: String,
    /// Whether it is all of a scalar.
    is_whole: bool,
}

/// Takes every secret out of a text from which the configuration was read. Which these are is decided
/// by their places: an equal text elsewhere is none.
pub(crate) fn hide(
    text: &str,
    config: &Config,
    variables: &dyn Fn(&str) -> Option<String>,
) -> AdminResult<HiddenText> {
    let before = events(text);
    let mut kept: Vec<KeptSecret> = vec![];
    let mut hidden = String::with_capacity(text.len());
    let mut rest = 0;
    for found in found_secrets(text, config, &before) {
        // Two places may be one: what an anchor names.
        if found.bytes.start < rest {
            continue;
        }
        // A name that somebody else knows would bring another value back.
        let is_free = |name: &String| {
            variables(name).is_none()
                && !text.contains(&mask(name))
                && !kept.iter().any(|known| known.variable == *name)
        };
        let variable = free_name(found.name.as_deref(), &is_free);
        let written = slice(text, found.bytes.clone());
        hidden.push_str(slice(text, rest..found.bytes.start));
        let quote = written.chars().next().filter(|it| *it == '\'').unwrap_or('"');
        match found.is_whole {
            // Braces mean something else in the one-line style.
            true => hidden.push_str(&format!("{quote}{}{quote}", mask(&variable))),
            false => hidden.push_str(&mask(&variable)),
        }
        rest = found.bytes.end;
        let (written, value) = (Secret::new(written), Secret::new(found.value));
        kept.push(KeptSecret { variable, written, value, is_whole: found.is_whole });
    }
    hidden.push_str(slice(text, rest..text.len()));

    let hidden = HiddenText { text: hidden, kept };
    // The text has to be the same but for the secrets, or an edit of it would be one of another text.
    match hidden.first_difference(&events(&hidden.text), &before) {
        None => Ok(hidden),
        Some(at) => Err(not_editable(text, at)),
    }
}

/// What is wrong with a text that cannot be shown without its secrets.
fn not_editable(text: &str, at: usize) -> Problem {
    let line = slice(text, 0..at).matches('\n').count() + 1;
    let detail = format!(
        "Line {line} of the configuration holds a secret in a form that cannot be hidden here: put it \
         in quotes on one line, or into a variable, by editing the file by hand."
    );
    Problem::on_line("", line, detail)
}

/// The secrets of a text, in the order of their places.
fn found_secrets(text: &str, config: &Config, events: &[YamlEvent<'_>]) -> Vec<Found> {
    let mut found = vec![];
    for secret in literal_secrets(config) {
        let Some(place) = secret.place else { continue };
        if place.has_variables {
            // The variables hide what they hold; the rest is shown, but for what looks like a key.
            let parts = secret_parts(slice(text, place.bytes.clone())).into_iter();
            found.extend(parts.map(|part| {
                part_at(text, place.bytes.start + part.start..place.bytes.start + part.end)
            }));
            continue;
        }
        found.push(Found {
            bytes: place.bytes,
            name: Some(secret.variable),
            value: secret.value.expose().to_owned(),
            is_whole: true,
        });
    }
    let scalars: Vec<Range<usize>> =
        events.iter().filter(is_scalar).map(|it| it.bytes.clone()).collect();
    found.extend(comment_secrets(text, &scalars).into_iter().map(|bytes| part_at(text, bytes)));
    found.sort_by_key(|it| it.bytes.start);
    found
}

fn part_at(text: &str, bytes: Range<usize>) -> Found {
    let value = slice(text, bytes.clone()).to_owned();
    Found { bytes, name: None, value, is_whole: false }
}

fn is_scalar(event: &&YamlEvent<'_>) -> bool {
    matches!(event.kind, YamlEventKind::Scalar { .. })
}

/// A name that is free: the one that is given, or one with another end.
fn free_name(name: Option<&str>, is_free: &dyn Fn(&String) -> bool) -> String {
    let named = |number: usize| match name {
        Some(name) => format!("{name}{}", "_KEPT".repeat(number - 1)),
        None => format!("HIDDEN_{number}"),
    };
    (1..).map(named).find(is_free).unwrap_or_default()
}

fn mask(variable: &str) -> String {
    format!("${{{variable}}}")
}

fn slice(text: &str, bytes: Range<usize>) -> &str {
    text.get(bytes).unwrap_or_default()
}

impl HiddenText {
    /// A text that holds no secrets, and so hides none.
    pub(crate) fn without_secrets(text: String) -> Self {
        Self { text, kept: vec![] }
    }

    /// A text with the line ends of this one, which forms of browsers do not keep.
    pub(crate) fn with_line_ends(&self, text: &str) -> String {
        if self.text.contains("\r\n") && !text.contains('\r') {
            return text.replace('\n', "\r\n");
        }
        text.to_owned()
    }

    /// The value of the secret that a variable stands for.
    pub(crate) fn value(&self, variable: &str) -> Option<String> {
        let kept = self.kept.iter().find(|kept| kept.variable == variable)?;
        Some(kept.value.expose().to_owned())
    }

    /// A text with the secrets back in their places, each as it was written there.
    pub(crate) fn restore(&self, text: &str) -> String {
        let before = events(text);
        let as_written = self.replace(text, &before, |kept| kept.written.expose().to_owned());
        if self.first_difference(&before, &events(&as_written)).is_none() {
            return as_written;
        }
        // Moved to where its lines or signs would mean something else.
        self.replace(text, &before, |kept| quoted(&escape(kept.value.expose())))
    }

    fn replace(
        &self,
        text: &str,
        events: &[YamlEvent<'_>],
        spelled: impl Fn(&KeptSecret) -> String,
    ) -> String {
        let mut replaced = String::with_capacity(text.len());
        let mut rest = 0;
        for event in events {
            let YamlEventKind::Scalar { text: says, .. } = &event.kind else { continue };
            if event.bytes.start < rest {
                continue;
            }
            replaced.push_str(&self.with_comments(slice(text, rest..event.bytes.start)));
            let written = slice(text, event.bytes.clone());
            let whole = self.kept.iter().find(|kept| mask(&kept.variable) == **says);
            let scalar = match whole {
                Some(kept) => spelled(kept),
                None => self.with_parts(written, says),
            };
            replaced.push_str(&scalar);
            rest = event.bytes.end;
        }
        replaced.push_str(&self.with_comments(slice(text, rest..text.len())));
        replaced
    }

    /// A scalar with the secrets that stand in it beside other text.
    fn with_parts(&self, written: &str, says: &str) -> String {
        let mut kept =
            self.kept.iter().filter(|kept| written.contains(&mask(&kept.variable))).peekable();
        if kept.peek().is_none() {
            return written.to_owned();
        }
        let (mut scalar, mut text) = (written.to_owned(), says.to_owned());
        let mut is_plain = true;
        for kept in kept {
            let mask = mask(&kept.variable);
            is_plain &=
                kept.written.expose() == kept.value.expose() && is_word(kept.value.expose());
            scalar = scalar.replace(&mask, kept.value.expose());
            text = text.replace(&mask, &escape(kept.value.expose()));
        }
        if is_plain { scalar } else { quoted(&text) }
    }

    /// What stands between scalars, with the secrets that comments had.
    fn with_comments(&self, text: &str) -> String {
        let mut shown = text.to_owned();
        if !shown.contains("${") {
            return shown;
        }
        for kept in &self.kept {
            let (mask, value) = (mask(&kept.variable), kept.value.expose());
            let written = kept.written.expose();
            let line = match written.contains('\n') {
                true => quoted(&escape(value)),
                false => written.to_owned(),
            };
            if kept.is_whole {
                // A line that was made a comment has the quotes that were put around the variable.
                let quoted = ['"', '\''].map(|quote| format!("{quote}{mask}{quote}"));
                shown = quoted.iter().fold(shown, |shown, quoted| shown.replace(quoted, &line));
            }
            shown = shown.replace(&mask, &line);
        }
        shown
    }

    /// Where a text stops to be the same as the one with its secrets: its byte in the latter.
    fn first_difference(&self, hidden: &[YamlEvent<'_>], whole: &[YamlEvent<'_>]) -> Option<usize> {
        let differs = |(hidden, whole): &(&YamlEvent<'_>, &YamlEvent<'_>)| {
            let (YamlEventKind::Scalar { text, .. }, YamlEventKind::Scalar { text: says, .. }) =
                (&hidden.kind, &whole.kind)
            else {
                return hidden.kind != whole.kind;
            };
            let masked = self.kept.iter().filter(|kept| text.contains(&mask(&kept.variable)));
            let shown = masked.fold(text.to_string(), |shown, kept| {
                shown.replace(&mask(&kept.variable), &escape(kept.value.expose()))
            });
            shown != **says || (shown == **text && hidden.kind != whole.kind)
        };
        let pair = hidden.iter().zip(whole).find(differs);
        let end = || whole.last().filter(|_| hidden.len() != whole.len());
        pair.map(|(_, whole)| whole).or_else(end).map(|event| event.bytes.start)
    }
}

/// Whether a text is the same with quotes and without.
fn is_word(text: &str) -> bool {
    text.bytes().all(|it| it.is_ascii_alphanumeric() || b"-_.".contains(&it))
}

/// A text as a YAML scalar in double quotes, which JSON's strings are.
pub(crate) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests;

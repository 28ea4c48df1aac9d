//! The events of a YAML text and the bytes that each stands in, for edits that leave all others as they
//! are.

use std::{borrow::Cow, ops::Range};

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

/// One event of a text: a scalar, or where a list or mapping begins or ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct YamlEvent<'a> {
    /// Where it stands in the text.
    pub bytes: Range<usize>,
    /// What it is.
    pub kind: YamlEventKind<'a>,
}

/// What an event is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum YamlEventKind<'a> {
    /// A key, a text, a number or a truth value.
    Scalar {
        /// What it says.
        text: Cow<'a, str>,
        /// Whether it has neither quotes nor lines of its own.
        is_plain: bool,
    },
    /// Anything else, by its name.
    Other(String),
}

/// The events of a text in their order, as far as it is YAML.
pub fn events(text: &str) -> Vec<YamlEvent<'_>> {
    let offsets = Offsets::of(text);
    let mut events = vec![];
    for event in Parser::new_from_str(offsets.parsed(text)) {
        let Ok((event, span)) = event else { return events };
        let bytes = offsets.of_event(text, &event, &span);
        let kind = match event {
            Event::Scalar(text, style, ..) => {
                YamlEventKind::Scalar { text, is_plain: style == ScalarStyle::Plain }
            }
            other => YamlEventKind::Other(format!("{other:?}")),
        };
        events.push(YamlEvent { bytes, kind });
    }
    events
}

/// From the characters that the parser counts to bytes.
#[derive(Default)]
pub(super) struct Offsets {
    /// How many bytes stand before the text that is parsed.
    skipped: usize,
    /// The byte of each character; empty where each character has one byte.
    starts: Vec<usize>,
}

impl Offsets {
    pub(super) fn of(text: &str) -> Self {
        // Editors on Windows write a byte order mark, which would become part of the first key.
        let parsed = text.strip_prefix('\u{feff}').unwrap_or(text);
        let starts = match parsed.is_ascii() {
            true => vec![],
            false => parsed.char_indices().map(|(at, _)| at).collect(),
        };
        Self { skipped: text.len() - parsed.len(), starts }
    }

    /// The text that the parser gets.
    pub(super) fn parsed<'a>(&self, text: &'a str) -> &'a str {
        text.get(self.skipped..).unwrap_or_default()
    }

    /// The bytes of the whole text in which an event stands. Those of a scalar begin at its quote or
    /// at the head of its block, behind anchor and tag, and end before what follows it.
    pub(super) fn of_event(&self, text: &str, event: &Event<'_>, span: &Span) -> Range<usize> {
        let (start, end) = (self.byte(text, span.start.index()), self.byte(text, span.end.index()));
        if let Event::SequenceStart(anchor, tag) | Event::MappingStart(anchor, tag) = event
            && (*anchor != 0 || tag.is_some())
        {
            let covered = text.get(start..end).unwrap_or_default();
            return end - without_properties(covered).len()..end;
        }
        let Event::Scalar(_, style, anchor, tag) = event else { return start..end };

        let covered = text.get(start..end).unwrap_or_default();
        let scalar = match *anchor == 0 && tag.is_none() {
            true => covered,
            false => without_properties(covered),
        };
        let start = end - scalar.len();
        match style {
            ScalarStyle::Plain => start..start + scalar.trim_end().len(),
            ScalarStyle::SingleQuoted => start..start + single_quoted(scalar),
            ScalarStyle::DoubleQuoted => start..start + double_quoted(scalar),
            ScalarStyle::Literal | ScalarStyle::Folded => {
                // The parser begins at the first line of the content.
                let before = text.get(..start).unwrap_or_default();
                let head = if scalar.starts_with(['|', '>']) { None } else { block_head(before) };
                head.unwrap_or(start)..start + scalar.trim_end().len()
            }
        }
    }

    fn byte(&self, text: &str, character: usize) -> usize {
        let inside = match self.starts.get(character) {
            Some(at) => *at,
            None if self.starts.is_empty() => character,
            None => text.len(),
        };
        (self.skipped + inside).min(text.len())
    }
}

/// A scalar behind its anchor and its tag.
fn without_properties(covered: &str) -> &str {
    let mut rest = covered;
    while rest.starts_with(['&', '!']) {
        let (_, behind) = rest.split_once(char::is_whitespace).unwrap_or_default();
        rest = behind.trim_start();
    }
    rest
}

/// How many bytes a scalar in single quotes has.
fn single_quoted(scalar: &str) -> usize {
    let mut quotes = scalar.match_indices('\'').skip(1).map(|(at, _)| at).peekable();
    while let Some(at) = quotes.next() {
        // Two quotes stand for one.
        if quotes.next_if_eq(&(at + 1)).is_none() {
            return at + 1;
        }
    }
    scalar.len()
}

/// How many bytes a scalar in double quotes has.
fn double_quoted(scalar: &str) -> usize {
    let mut is_escaped = false;
    for (at, letter) in scalar.char_indices().skip(1) {
        if letter == '"' && !is_escaped {
            return at + 1;
        }
        is_escaped = letter == '\\' && !is_escaped;
    }
    scalar.len()
}

/// Where the head of a block begins, such as `>-`, of which the content follows.
fn block_head(before: &str) -> Option<usize> {
    let before = before.trim_end();
    let line = before.rfind('\n').map_or(0, |at| at + 1);
    let is_head = |at: usize| {
        let rest = before.get(at + 1..).unwrap_or_default();
        let rest = rest.trim_start_matches(|it: char| it.is_ascii_digit() || "+-".contains(it));
        rest.trim_start().is_empty()
            || (rest.starts_with([' ', '\t']) && rest.trim_start().starts_with('#'))
    };
    let marks = before.match_indices(['|', '>']).map(|(at, _)| at);
    marks.filter(|at| line <= *at).find(|at| is_head(*at))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each scalar of a text: where it stands, and what it says.
    fn scalars(text: &str) -> Vec<(&str, String)> {
        let all = events(text).into_iter();
        let scalars = all.filter_map(|event| match event.kind {
            YamlEventKind::Scalar { text: says, .. } => Some((text.get(event.bytes)?, says.into())),
            YamlEventKind::Other(_) => None,
        });
        scalars.collect()
    }

    fn value(text: &str) -> (&str, String) {
        scalars(text).into_iter().nth(1).unwrap()
    }

    #[test]
    fn a_scalar_stands_where_its_bytes_are() {
        for (text, bytes, says) in [
            ("a: sk-1 # why\n", "sk-1", "sk-1"),
            ("\u{feff}ü: 'it''s é' # why\nb: 1\n", "'it''s é'", "it's é"),
            ("a: \"x\\\"\\x41\\\\\"  # why\n", "\"x\\\"\\x41\\\\\"", "x\"A\\"),
            ("a: &x sk-1\nb: *x\n", "sk-1", "sk-1"),
            ("a: !!str &x 'sk'\n", "'sk'", "sk"),
            ("a: {b: sk-1 , c: d}\n", "b", "b"),
            ("a: one\n  two\nb: 1\n", "one\n  two", "one two"),
            ("a: 'one\n  two' # why\n", "'one\n  two'", "one two"),
            ("a: one\r\n  two\r\nb: 1\r\n", "one\r\n  two", "one two"),
            ("a:\n", "", ""),
            ("a:\n  'x'\n", "'x'", "x"),
        ] {
            assert_eq!(value(text), (bytes, says.to_owned()), "{text}");
        }
    }

    #[test]
    fn a_block_begins_at_its_head_and_ends_with_its_content() {
        for (text, bytes, says) in [
            ("a: >-\n  one\n  two\n# why\nb: 1\n", ">-\n  one\n  two", "one two"),
            ("a: | # why > so\n  x # y\n\nb: 1\n", "| # why > so\n  x # y", "x # y\n"),
            ("a: &x >-\n  &one\nb: 1\n", ">-\n  &one", "&one"),
            ("a: |2+\n   one\n\n# w\n", "|2+\n   one", " one\n\n"),
            ("a: |\n\n  one\n", "|\n\n  one", "\none\n"),
            ("a: |\r\n  one\r\nb: 1\r\n", "|\r\n  one", "one\n"),
        ] {
            assert_eq!(value(text), (bytes, says.to_owned()), "{text}");
        }
    }
}

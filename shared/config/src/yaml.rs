//! YAML text into nodes: anchors resolved, merge keys merged, sizes bounded.
//!
//! What the values mean is decided elsewhere.

use std::{borrow::Cow, collections::BTreeMap, ops::Range};

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Span, StrInput, Tag};

use super::{
    error::{ConfigError, ConfigErrors, Position},
    events::Offsets,
    node::{Entry, Key, Node, Style, Value},
};

/// Deeper than any configuration, and shallow enough for every stack.
const DEPTH: usize = 32;
/// How many values aliases may add: more than any configuration has.
const SIZE: usize = 50_000;

/// Reads one document; an empty text is an empty mapping.
pub(super) fn parse(text: &str) -> Result<Node<'_>, ConfigErrors> {
    let offsets = Offsets::of(text);
    let mut parser = Parser::new_from_str(offsets.parsed(text));
    let mut builder = Builder::default();
    let bytes = |event: &Event<'_>, span: &Span| offsets.of_event(text, event, span);
    match builder.build(&mut parser, &bytes) {
        Ok(()) => {}
        Err(Stop::Syntax(error)) => builder.errors.push(syntax_error(text, &error)),
        Err(Stop::ConfigError(error)) => builder.errors.push(error),
    }
    if !builder.errors.is_empty() {
        return Err(ConfigErrors::in_order(builder.errors));
    }
    let start = Position { line: 1, column: 1 };
    let empty = Node { at: Some(start), bytes: 0..0, value: Value::Map(vec![]) };
    // For an empty file the error is what a configuration needs, not what a mapping is.
    Ok(builder.root.filter(|root| !root.is_null()).unwrap_or(empty))
}

/// Why reading cannot go on.
enum Stop {
    Syntax(ScanError),
    ConfigError(ConfigError),
}

/// A list or mapping that has begun and not ended.
struct Open<'a> {
    at: Position,
    start: usize,
    anchor: usize,
    inside: Inside<'a>,
}

enum Inside<'a> {
    List(Vec<Node<'a>>),
    Map { pairs: Vec<(Node<'a>, Node<'a>)>, key: Option<Node<'a>> },
}

#[derive(Default)]
struct Builder<'a> {
    open: Vec<Open<'a>>,
    anchors: BTreeMap<usize, Node<'a>>,
    root: Option<Node<'a>>,
    documents: usize,
    /// How many values aliases have added.
    size: usize,
    errors: Vec<ConfigError>,
}

impl<'a> Builder<'a> {
    fn build(
        &mut self,
        parser: &mut Parser<'a, StrInput<'a>>,
        bytes: &dyn Fn(&Event<'_>, &Span) -> Range<usize>,
    ) -> Result<(), Stop> {
        while let Some(event) = parser.next_event() {
            let (event, span) = event.map_err(Stop::Syntax)?;
            let bytes = bytes(&event, &span);
            self.take(event, position(&span.start), bytes)?;
        }
        Ok(())
    }

    fn take(&mut self, event: Event<'a>, at: Position, bytes: Range<usize>) -> Result<(), Stop> {
        let (start, end) = (bytes.start, bytes.end);
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
            Event::DocumentStart(_) => self.start_document(at),
            Event::Alias(anchor) => self.alias(anchor, at),
            Event::Scalar(text, style, anchor, tag) => {
                let style = self.style(style, tag.as_deref(), at);
                let value = Value::Scalar { text, style };
                self.put(Node { at: Some(at), bytes, value }, anchor)
            }
            Event::SequenceStart(anchor, tag) => {
                self.refuse_tag(tag.as_deref(), at);
                self.open(Open { at, start, anchor, inside: Inside::List(vec![]) })
            }
            Event::MappingStart(anchor, tag) => {
                self.refuse_tag(tag.as_deref(), at);
                let inside = Inside::Map { pairs: vec![], key: None };
                self.open(Open { at, start, anchor, inside })
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(end),
        }
    }

    fn start_document(&mut self, at: Position) -> Result<(), Stop> {
        self.documents += 1;
        // A second document would be dropped without a word.
        if self.documents > 1 {
            return Err(stop(at, "a second document begins here; a file holds one configuration"));
        }
        Ok(())
    }

    fn open(&mut self, open: Open<'a>) -> Result<(), Stop> {
        // The reader and the encoders recurse over nodes; the bound keeps them within any thread's
        // stack.
        if self.open.len() >= DEPTH {
            return Err(stop(open.at, format!("values stand more than {DEPTH} deep")));
        }
        self.open.push(open);
        Ok(())
    }

    fn close(&mut self, end: usize) -> Result<(), Stop> {
        let Some(open) = self.open.pop() else { return Ok(()) };
        let value = match open.inside {
            Inside::List(items) => Value::List(items),
            Inside::Map { pairs, .. } => Value::Map(self.entries(pairs)),
        };
        self.put(Node { at: Some(open.at), bytes: open.start..end, value }, open.anchor)
    }

    /// Puts a finished value where it belongs, and remembers it for aliases.
    fn put(&mut self, node: Node<'a>, anchor: usize) -> Result<(), Stop> {
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut().map(|open| &mut open.inside) {
            None => self.root = Some(node),
            Some(Inside::List(items)) => items.push(node),
            Some(Inside::Map { pairs, key }) => match key.take() {
                None => *key = Some(node),
                Some(key) => pairs.push((key, node)),
            },
        }
        Ok(())
    }

    fn alias(&mut self, anchor: usize, at: Position) -> Result<(), Stop> {
        // A value is known when it has ended, so that no alias can make a circle.
        let Some(node) = self.anchors.get(&anchor) else {
            return Err(stop(at, "this alias stands inside the value that it names"));
        };
        if self.open.len() + node.depth() > DEPTH + 1 {
            return Err(stop(at, format!("with this alias, values stand more than {DEPTH} deep")));
        }
        // Nine aliases of nine aliases and so on make billions of values of one kilobyte of text.
        self.size += node.size();
        if self.size > SIZE {
            return Err(stop(at, format!("with this alias, there are more than {SIZE} values")));
        }
        // Errors point to the alias, where the value is used, not to the anchor.
        let node = Node { at: Some(at), ..node.clone() };
        self.put(node, 0)
    }

    /// Pairs into entries: keys are texts, and `<<` brings in what is not given outright.
    fn entries(&mut self, pairs: Vec<(Node<'a>, Node<'a>)>) -> Vec<Entry<'a>> {
        let mut entries = vec![];
        let mut merged = vec![];
        // Merges come last wherever they stand: what is given outright wins over what is brought in
        // (YAML's merge key).
        for (key, value) in pairs {
            match key.value {
                Value::Scalar { text, style: Style::Plain } if text == "<<" => merged.push(value),
                Value::Scalar { text, .. } => {
                    entries.push((Key { at: key.at, bytes: key.bytes, text }, value));
                }
                Value::List(_) | Value::Map(_) => {
                    self.report(key.at, "a key is one word or text, not a list or mapping");
                }
            }
        }
        for node in merged {
            self.merge(&mut entries, node);
        }
        entries
    }

    fn merge(&mut self, entries: &mut Vec<Entry<'a>>, node: Node<'a>) {
        match node.value {
            Value::Map(more) => {
                for (key, value) in more {
                    // Of several merged mappings the first one wins, as the merge key's definition
                    // says.
                    if !entries.iter().any(|(known, _)| known.text == key.text) {
                        entries.push((key, value));
                    }
                }
            }
            Value::List(nodes) if nodes.iter().all(|it| matches!(it.value, Value::Map(_))) => {
                for node in nodes {
                    self.merge(entries, node);
                }
            }
            Value::List(_) | Value::Scalar { .. } => {
                self.report(node.at, "`<<` takes a mapping, or a list of mappings");
            }
        }
    }

    fn style(&mut self, style: ScalarStyle, tag: Option<&Tag>, at: Position) -> Style {
        // `!!str` is the one tag with a meaning here: it is another way to write quotes.
        let says_text = tag.is_some_and(|tag| tag.is_yaml_core_schema() && tag.suffix == "str");
        if says_text {
            return Style::Quoted;
        }
        // Other tags make some parsers construct objects; refusing them keeps files plain.
        self.refuse_tag(tag, at);
        if style == ScalarStyle::Plain { Style::Plain } else { Style::Quoted }
    }

    fn refuse_tag(&mut self, tag: Option<&Tag>, at: Position) {
        if tag.is_some() {
            self.report(Some(at), "tags (words that begin with `!`) mean nothing here; remove it");
        }
    }

    fn report(&mut self, position: Option<Position>, message: &str) {
        let message = message.to_owned();
        self.errors.push(ConfigError { position, path: String::new(), message });
    }
}

fn position(marker: &Marker) -> Position {
    // The parser counts columns from 0, editors from 1.
    Position { line: marker.line(), column: marker.col() + 1 }
}

fn stop(at: Position, message: impl Into<String>) -> Stop {
    Stop::ConfigError(ConfigError {
        position: Some(at),
        path: String::new(),
        message: message.into(),
    })
}

/// Repeats what the parser reports, and what to do about the commonest causes.
fn syntax_error(text: &str, error: &ScanError) -> ConfigError {
    let position = position(error.marker());
    let line = text.lines().nth(position.line.saturating_sub(1)).unwrap_or_default();
    let indent: Cow<'_, str> = line.chars().take_while(|it| it.is_whitespace()).collect();
    // The braces of `${…}` begin no mapping.
    let outside_variables = line.replace("${", "");
    let hint = if indent.contains('\t') || error.info().contains("tab") {
        "; indent with spaces, not tabs"
    } else if line.contains("${") && outside_variables.contains(['{', '[']) {
        "; inside `{ }` and `[ ]` a variable stands in quotes: \"${NAME}\""
    } else {
        ""
    };
    let message = format!("this is not YAML: {}{hint}", error.info());
    ConfigError { position: Some(position), path: String::new(), message }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A node as a compact text: lists in brackets, mappings in braces, quoted texts in quotes.
    fn compact(node: &Node<'_>) -> String {
        match &node.value {
            Value::Scalar { text, style: Style::Plain } => text.to_string(),
            Value::Scalar { text, .. } => format!("{text:?}"),
            Value::List(items) => {
                format!("[{}]", items.iter().map(compact).collect::<Vec<_>>().join(" "))
            }
            Value::Map(entries) => {
                let entries =
                    entries.iter().map(|(key, it)| format!("{}:{}", key.text, compact(it)));
                format!("{{{}}}", entries.collect::<Vec<_>>().join(" "))
            }
        }
    }

    fn good(text: &str) -> String {
        compact(&parse(text).unwrap())
    }

    fn bad(text: &str) -> String {
        parse(text).unwrap_err().to_string()
    }

    #[test]
    fn nothing_is_an_empty_mapping() {
        for text in ["", "\n", "# only words\n", "---\n", "\u{feff}", "~", "---\n...\n"] {
            assert_eq!(good(text), "{}", "{text:?}");
        }
    }

    #[test]
    fn an_alias_repeats_what_its_anchor_names() {
        assert_eq!(good("a: &x {b: 1}\nc: *x\nd: [&y e, *y]"), "{a:{b:1} c:{b:1} d:[e e]}");
    }

    #[test]
    fn a_merge_key_brings_in_what_is_not_given() {
        assert_eq!(good("a: &x {b: 1, c: 2}\nd: {<<: *x, c: 3}"), "{a:{b:1 c:2} d:{c:3 b:1}}");
        let several = "- &x {b: 1}\n- &y {b: 2, c: 2}\n- {<<: [*x, *y]}";
        assert_eq!(good(several), "[{b:1} {b:2 c:2} {b:1 c:2}]");
        assert_eq!(bad("a: {<<: 1}"), "1:9: `<<` takes a mapping, or a list of mappings");
        assert_eq!(good("'<<': 1"), "{<<:1}");
    }

    #[test]
    fn an_alias_cannot_hold_itself_or_name_nothing() {
        assert_eq!(bad("a: &x [*x]"), "1:8: this alias stands inside the value that it names");
        assert!(bad("a: *x").starts_with("1:4: this is not YAML: "));
    }

    #[test]
    fn aliases_cannot_multiply_without_end() {
        let mut bomb = "- &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..10 {
            let below = vec![format!("*a{}", level - 1); 10].join(", ");
            bomb.push_str(&format!("- &a{level} [{below}]\n"));
        }
        assert!(bad(&bomb).contains("with this alias, there are more than 50000 values"));
    }

    #[test]
    fn depth_has_an_end() {
        let flow = |depth| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(parse(&flow(32)).is_ok());
        assert_eq!(bad(&flow(33)), "1:33: values stand more than 32 deep");
        assert!(bad(&flow(10_000)).contains("recursion limit"));
        let block: String = (0..10_000).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
        assert_eq!(bad(&block), "33:33: values stand more than 32 deep");
        assert!(parse(&"- ".repeat(10_000)).is_err());
        let deep = format!("a: &x {}\nb: {}*x{}", flow(20), "[".repeat(20), "]".repeat(20));
        assert_eq!(bad(&deep), "2:24: with this alias, values stand more than 32 deep");
    }

    #[test]
    fn a_file_holds_one_document() {
        assert_eq!(
            bad("a: 1\n---\nb: 2\n"),
            "2:1: a second document begins here; a file holds one configuration"
        );
        assert_eq!(good("---\na: 1\n...\n"), "{a:1}");
    }

    #[test]
    fn a_key_is_a_text() {
        assert_eq!(bad("? [a, b]\n: 1"), "1:3: a key is one word or text, not a list or mapping");
        assert_eq!(good("1: a\ntrue: b\nü: c"), "{1:a true:b ü:c}");
    }

    #[test]
    fn tags_are_refused_but_for_text() {
        assert_eq!(good("!!str 12"), "\"12\"");
        for text in ["!mine 12", "!!int 12", "!mine {a: b}", "!!set [a]"] {
            assert!(bad(text).contains("tags"), "{text}");
        }
    }

    #[test]
    fn a_syntax_error_keeps_its_place_and_gets_a_hint() {
        assert!(
            bad("a: 1\n\tb: 2").ends_with("; indent with spaces, not tabs"),
            "{}",
            bad("a: 1\n\tb: 2")
        );
        let unquoted = bad("a: 1\nb: {c: ${D}}");
        assert!(unquoted.starts_with("2:"), "{unquoted}");
        assert!(unquoted.ends_with("a variable stands in quotes: \"${NAME}\""), "{unquoted}");
        assert!(
            bad("a: 'x\nb: 2").starts_with("1:4: this is not YAML: "),
            "{}",
            bad("a: 'x\nb: 2")
        );
    }
}

//! What a command prints: an aligned table, or JSON.

use std::io::{self, Write};

use serde_json::Value;

/// A column: its heading, and the field that it shows.
pub(crate) type Column = (&'static str, &'static str);

/// How a response is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    /// For people.
    Table,
    /// For programs.
    Json,
}

impl From<bool> for Output {
    /// What `--json` asks for.
    fn from(json: bool) -> Self {
        if json { Self::Json } else { Self::Table }
    }
}

/// Prints items.
pub(crate) fn print_items(
    items: &[Value],
    columns: &[Column],
    output: Output,
    out: &mut impl Write,
) -> io::Result<()> {
    match output {
        Output::Json => writeln!(out, "{}", pretty(&Value::from(items.to_vec()))),
        Output::Table => out.write_all(table(items, columns).as_bytes()),
    }
}

/// Prints one item, a line for each field.
pub(crate) fn print_item(item: &Value, output: Output, out: &mut impl Write) -> io::Result<()> {
    match (output, item) {
        (_, Value::Null) => Ok(()),
        (Output::Table, Value::String(text)) => out.write_all(printable_lines(text).as_bytes()),
        (Output::Table, Value::Object(fields)) => {
            let width = fields.keys().map(|name| name.chars().count()).max().unwrap_or(0);
            let shown = fields.iter().filter(|(_, value)| !value.is_null());
            for (name, value) in shown {
                writeln!(out, "{name:width$}  {}", cell(value))?;
            }
            Ok(())
        }
        _ => writeln!(out, "{}", pretty(item)),
    }
}

/// A value as JSON on several lines, as a terminal may get it.
pub(crate) fn pretty(value: &Value) -> String {
    let text = serde_json::to_string_pretty(value).unwrap_or_else(|_| value.to_string());
    printable_json(&text)
}

/// JSON as a terminal may get it. Its own escapes end below the space.
pub(crate) fn printable_json(text: &str) -> String {
    let escape = |it: char| match it {
        '\u{7f}'..='\u{9f}' => format!("\\u{:04x}", u32::from(it)),
        other => other.to_string(),
    };
    text.chars().map(escape).collect()
}

/// A text of a client or a provider in one line: what could steer a terminal is escaped.
pub(crate) fn printable(text: &str) -> String {
    escaped(text, &[])
}

/// A text of a client or a provider with its lines: what could steer a terminal is escaped.
pub(crate) fn printable_lines(text: &str) -> String {
    // A carriage return alone writes over the line that it is in.
    let lines = text.split("\r\n").map(|part| escaped(part, &['\n', '\t']));
    lines.collect::<Vec<_>>().join("\r\n")
}

fn escaped(text: &str, kept: &[char]) -> String {
    let escape = |it: char| {
        let is_harmless = !it.is_control() || kept.contains(&it);
        if is_harmless { it.to_string() } else { it.escape_unicode().to_string() }
    };
    text.chars().map(escape).collect()
}

/// Items below headings, each column as wide as its widest cell.
fn table(items: &[Value], columns: &[Column]) -> String {
    let heading = columns.iter().map(|(heading, _)| (*heading).to_owned()).collect();
    let mut rows: Vec<Vec<String>> = vec![heading];
    rows.extend(
        items.iter().map(|item| {
            columns.iter().map(|(_, field)| cell(&item[*field])).collect::<Vec<String>>()
        }),
    );

    let width =
        |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();

    let mut text = String::new();
    for row in &rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        let line = cells.collect::<Vec<_>>().join("  ");
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// A value in a cell.
fn cell(value: &Value) -> String {
    let text = match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(cell).collect::<Vec<_>>().join(", "),
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => value.to_string(),
    };
    printable(&text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn columns_are_aligned() {
        let items = [json!({"n": "a", "c": 1.5}), json!({"n": "longer\u{1b}[2J", "c": null})];
        assert_eq!(
            table(&items, &[("NAME", "n"), ("COST", "c")]),
            "NAME             COST\na                1.5\nlonger\\u{1b}[2J  -\n"
        );
    }

    #[test]
    fn nothing_that_is_printed_steers_a_terminal() {
        let text = "a\u{1b}]0;x\u{7}\u{9b}2J\rb\r\n";
        assert_eq!(printable(text), "a\\u{1b}]0;x\\u{7}\\u{9b}2J\\u{d}b\\u{d}\\u{a}");
        assert_eq!(printable_lines(text), "a\\u{1b}]0;x\\u{7}\\u{9b}2J\\u{d}b\r\n");
        let shown = pretty(&json!({ "a": text }));
        assert!(shown.chars().all(|it| it == '\n' || !it.is_control()), "{shown}");
        assert_eq!(serde_json::from_str::<Value>(&shown).unwrap()["a"], text);
        let mut out = vec![];
        print_item(&json!(text), Output::Table, &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), printable_lines(text));
    }

    #[test]
    fn one_item_is_a_line_for_each_field() {
        let mut out = vec![];
        let item = json!({"id": "t_1", "tags": {"a": "b"}, "none": null});
        print_item(&item, Output::Table, &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "id    t_1\ntags  {\"a\":\"b\"}\n");
    }
}

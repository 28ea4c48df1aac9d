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
        (Output::Table, Value::String(text)) => out.write_all(text.as_bytes()),
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

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_else(|_| value.to_string())
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

/// A value in a cell. What could steer a terminal is left out.
fn cell(value: &Value) -> String {
    let text = match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(cell).collect::<Vec<_>>().join(", "),
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => value.to_string(),
    };
    text.chars().filter(|it| !it.is_control()).collect()
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
            "NAME       COST\na          1.5\nlonger[2J  -\n"
        );
    }

    #[test]
    fn one_item_is_a_line_for_each_field() {
        let mut out = vec![];
        let item = json!({"id": "t_1", "tags": {"a": "b"}, "none": null});
        print_item(&item, Output::Table, &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "id    t_1\ntags  {\"a\":\"b\"}\n");
    }
}

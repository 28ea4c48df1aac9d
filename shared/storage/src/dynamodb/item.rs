//! Items of DynamoDB from and to rows and tallies.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

use crate::{table::Row, tally::Tallies};

pub(super) type Item = HashMap<String, AttributeValue>;

/// Decodes the row of an item. An item that only `tally` has written has no `value`.
pub(super) fn row(mut item: Item) -> Result<Row, String> {
    let expires = expires(&item)?;
    let mut text = |name: &str| match item.remove(name) {
        Some(AttributeValue::S(text)) => Ok(text),
        // A tally makes its row without a value.
        None if name == "value" => Ok(String::new()),
        _ => Err(format!("a row has no text in `{name}`")),
    };
    let (pk, sk, value) = (text("pk")?, text("sk")?, text("value")?);
    Ok(Row { pk, sk, value, expires })
}

/// Decodes the numbers and notes of an item.
pub(super) fn tallies(item: Item) -> Result<Tallies, String> {
    let mut tallies = Tallies::default();
    for (name, value) in item {
        if matches!(name.as_str(), "pk" | "sk" | "value" | "expires") {
            continue;
        }
        match value {
            AttributeValue::N(number) => {
                let parsed = number
                    .parse()
                    .map_err(|error| format!("`{name}` has the value {number}: {error}"))?;
                tallies.numbers.insert(name.into(), parsed);
            }
            AttributeValue::S(text) => drop(tallies.notes.insert(name.into(), text.into())),
            _ => return Err(format!("`{name}` is neither a number nor a text")),
        }
    }
    Ok(tallies)
}

/// Decodes when an item ends.
pub(super) fn expires(item: &Item) -> Result<Option<u64>, String> {
    match item.get("expires") {
        Some(AttributeValue::N(number)) => {
            let parsed = number.parse();
            parsed.map(Some).map_err(|error| format!("a row expires at {number}: {error}"))
        }
        _ => Ok(None),
    }
}

/// Encodes a row as an item.
pub(super) fn item(row: &Row) -> Item {
    let mut item = key(&row.pk, &row.sk);
    item.insert("value".to_owned(), text(&row.value));
    if let Some(expires) = row.expires {
        item.insert("expires".to_owned(), number(&expires));
    }
    item
}

/// Encodes the key of an item.
pub(super) fn key(pk: &str, sk: &str) -> Item {
    HashMap::from([("pk".to_owned(), text(pk)), ("sk".to_owned(), text(sk))])
}

/// Encodes a text.
pub(super) fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

/// Encodes a number.
pub(super) fn number(value: &impl ToString) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

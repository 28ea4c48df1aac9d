//! Prices in the text of a configuration: put into the list, or changed where they stand, without
//! touching the rest.

use std::ops::Range;

use config::{
    Price,
    yaml_tree::{Entry, Node, Value, escape, parse},
};

use crate::{
    problem::{AdminResult, Problem, ProblemField},
    redacted_text::quoted,
};

/// A price to put into the list, in dollars per million tokens.
#[derive(Clone, Debug, PartialEq)]
pub struct NewPrice {
    /// The provider's name in the configuration.
    pub provider: String,
    /// The provider's name for the model.
    pub model: String,
    /// For a token that is read.
    pub input: f64,
    /// For a token that is written.
    pub output: f64,
    /// For a token that is read from the provider's cache.
    pub cached_input: Option<f64>,
    /// For a token that is written to the provider's cache.
    pub cache_write: Option<f64>,
}

impl NewPrice {
    /// The price as one line of a list.
    fn line(&self) -> String {
        let text = |text: &str| quoted(&escape(text));
        let rates = self.rates().into_iter();
        let rates = rates.filter_map(|(key, rate)| Some(format!(", {key}: {}", rate?)));
        let (provider, model) = (text(&self.provider), text(&self.model));
        format!("{{ provider: {provider}, model: {model}{} }}", rates.collect::<String>())
    }

    fn rates(&self) -> [(&'static str, Option<f64>); 4] {
        [
            ("input", Some(self.input)),
            ("output", Some(self.output)),
            ("cached_input", self.cached_input),
            ("cache_write", self.cache_write),
        ]
    }

    /// Whether this is the price of the same model.
    pub(crate) fn is_of(&self, price: &Price) -> bool {
        self.provider == price.provider && self.model == price.model
    }
}

/// A change of a text: bytes, and what to write in their place.
type Edit = (Range<usize>, String);

/// The text with prices put at the head of its list, or changed where they stand there: `present` has
/// those of the text, in its order.
pub(crate) fn with_prices(
    text: &str,
    present: &[Price],
    prices: &[NewPrice],
) -> AdminResult<String> {
    let mut changed = text.to_owned();
    let mut new = vec![];
    for price in prices {
        match present.iter().position(|old| price.is_of(old)) {
            Some(index) => changed = with_changed(&changed, index, (&present[index], price))?,
            None => new.push(price.line()),
        }
    }
    if new.is_empty() { Ok(changed) } else { with_new(&changed, &new) }
}

/// A text with another price in the place of one that it has.
fn with_changed(text: &str, index: usize, (old, new): (&Price, &NewPrice)) -> AdminResult<String> {
    let root = root_of(text)?;
    let Some((_, Node { value: Value::List(items), .. })) = entry(&root, "prices") else {
        return Err(by_hand(text));
    };
    let Some(Node { value: Value::Map(entries), bytes, .. }) = items.get(index) else {
        return Err(by_hand(text));
    };
    let micros = [Some(old.input), Some(old.output), old.cached_input, old.cache_write];
    let mut edits: Vec<Edit> = vec![];
    for ((key, rate), before) in new.rates().into_iter().zip(micros) {
        // A rate that stays may be written as a variable, or with other decimals.
        if rate.map(micro_dollars) == before {
            continue;
        }
        let found = entries.iter().find(|(known, _)| known.text == key);
        // What an alias brings in stands elsewhere, and others use it too.
        let is_own = |(key, value): &&Entry<'_>| {
            bytes.contains(&key.bytes.start) && bytes.contains(&value.bytes.start)
        };
        if found.is_some_and(|it| !is_own(&it)) {
            return Err(by_hand_at(text, bytes.start, key));
        }
        edits.push(match (found, rate) {
            (Some((_, value)), Some(rate)) => (value.bytes.clone(), rate.to_string()),
            (Some((key, value)), None) => removal(text, key.bytes.start..value.bytes.end),
            (None, Some(rate)) => addition(text, (entries, bytes), key, rate)?,
            (None, None) => continue,
        });
    }
    Ok(apply(text, edits))
}

/// The edit that takes an entry out of a price.
fn removal(text: &str, entry: Range<usize>) -> Edit {
    let (before, after) = (slice(text, 0..entry.start), slice(text, entry.end..text.len()));
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let indent = slice(text, line_start..entry.start);
    let line_end = after.find('\n').map_or(text.len(), |at| entry.end + at + 1);
    let behind = slice(text, entry.end..line_end).trim();
    if indent.trim().is_empty() && (behind.is_empty() || behind.starts_with('#')) {
        return (line_start..line_end, String::new());
    }
    // Within braces, with the comma before it or behind it.
    if let Some(comma) = before.trim_end_matches(' ').strip_suffix(',') {
        return (comma.len()..entry.end, String::new());
    }
    let rest = after.trim_start_matches(' ');
    let rest = rest.strip_prefix(',').map_or(rest, |rest| rest.trim_start_matches(' '));
    (entry.start..text.len() - rest.len(), String::new())
}

/// The edit that puts a rate behind the last entry of a price.
fn addition(
    text: &str,
    (entries, price): (&[Entry<'_>], &Range<usize>),
    key: &str,
    rate: f64,
) -> AdminResult<Edit> {
    let own = entries.iter().filter(|(key, value)| {
        price.contains(&key.bytes.start) && price.contains(&value.bytes.start)
    });
    let Some((last, value)) = own.max_by_key(|(key, _)| key.bytes.start) else {
        return Err(by_hand_at(text, price.start, key));
    };
    let end = value.bytes.end;
    if slice(text, price.clone()).trim_start().starts_with('{') {
        return Ok((end..end, format!(", {key}: {rate}")));
    }
    let before = slice(text, 0..last.bytes.start);
    let line = before.get(before.rfind('\n').map_or(0, |at| at + 1)..).unwrap_or_default();
    let indent = " ".repeat(line.chars().count());
    // Behind the comment of the last line.
    let at = slice(text, end..text.len()).find('\n').map_or(text.len(), |line| end + line);
    let at = if slice(text, 0..at).ends_with('\r') { at - 1 } else { at };
    Ok((at..at, format!("{}{indent}{key}: {rate}", line_end(text))))
}

/// A text with lines at the head of its list of prices, or with a list where there is none.
fn with_new(text: &str, prices: &[String]) -> AdminResult<String> {
    let root = root_of(text)?;
    let end = line_end(text);
    let lines = |indent: &str| -> String {
        prices.iter().map(|price| format!("{indent}- {price}{end}")).collect()
    };
    let Some((key, list)) = entry(&root, "prices") else {
        let indent = column(text, first_key(&root));
        let gap = if text.is_empty() || text.ends_with('\n') { end } else { &end.repeat(2) };
        return Ok(format!("{text}{gap}{indent}prices:{end}{}", lines(&format!("{indent}  "))));
    };
    // Of an alias, the list would stand before its key.
    let Value::List(items) = &list.value else { return Err(by_hand(text)) };
    if list.bytes.start < key.bytes.end {
        return Err(by_hand(text));
    }
    if let Some(inside) = slice(text, list.bytes.clone()).trim_start().strip_prefix('[') {
        let at = list.bytes.end - inside.len();
        let comma = if items.is_empty() { "" } else { ", " };
        return Ok(apply(text, vec![(at..at, format!("{}{comma}", prices.join(", ")))]));
    }
    let at = slice(text, key.bytes.end..text.len()).find('\n');
    let at = at.map_or(text.len(), |line| key.bytes.end + line + 1);
    Ok(apply(text, vec![(at..at, lines(&column(text, list.bytes.start)))]))
}

fn root_of(text: &str) -> AdminResult<Node<'_>> {
    parse(text).map_err(|errors| Problem::fields(errors.iter().map(ProblemField::from).collect()))
}

fn entry<'n, 'a>(root: &'n Node<'a>, name: &str) -> Option<&'n Entry<'a>> {
    let Value::Map(entries) = &root.value else { return None };
    entries.iter().find(|(key, _)| key.text == name)
}

fn first_key(root: &Node<'_>) -> usize {
    let Value::Map(entries) = &root.value else { return 0 };
    entries.iter().map(|(key, _)| key.bytes.start).min().unwrap_or(0)
}

/// The blanks that stand before a place in its line.
fn column(text: &str, at: usize) -> String {
    let before = slice(text, 0..at);
    let line = before.get(before.rfind('\n').map_or(0, |at| at + 1)..).unwrap_or_default();
    line.chars().take_while(|it| *it == ' ').collect()
}

fn line_end(text: &str) -> &'static str {
    if text.contains("\r\n") { "\r\n" } else { "\n" }
}

fn slice(text: &str, bytes: Range<usize>) -> &str {
    text.get(bytes).unwrap_or_default()
}

/// A text with edits that do not overlap.
fn apply(text: &str, mut edits: Vec<Edit>) -> String {
    edits.sort_by_key(|(bytes, _)| bytes.start);
    let mut changed = String::with_capacity(text.len());
    let mut rest = 0;
    for (bytes, by) in edits {
        changed.push_str(slice(text, rest..bytes.start.max(rest)));
        changed.push_str(&by);
        rest = bytes.end.max(rest);
    }
    changed + slice(text, rest..text.len())
}

/// Dollars in whole micro-dollars.
pub(crate) fn micro_dollars(rate: f64) -> u64 {
    // Rates were checked to be within the bounds of prices.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a checked rate")]
    let micros = (rate * 1e6).round() as u64;
    micros
}

/// What an operator is told about prices that are written in a form which cannot be edited here.
pub(crate) fn by_hand(text: &str) -> Problem {
    let root = parse(text).ok();
    let key = root.as_ref().and_then(|root| entry(root, "prices"));
    by_hand_at(text, key.map_or(0, |(key, _)| key.bytes.start), "prices")
}

fn by_hand_at(text: &str, at: usize, key: &str) -> Problem {
    let line = slice(text, 0..at).matches('\n').count() + 1;
    let detail = format!(
        "`{key}` on line {line} is written in a form that cannot be changed in its place: edit the \
         configuration by hand there."
    );
    Problem::on_line("prices", line, detail)
}

#[cfg(test)]
mod tests;

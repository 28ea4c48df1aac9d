//! Fields of a JSON object, read one by one; every problem is named with its field and kept.

use std::{collections::BTreeMap, fmt};

use canonical::MicroDollars;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::text::plain_decimal;

/// What is wrong with one field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// The field.
    pub field: String,
    /// What is wrong, as a sentence.
    pub message: String,
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}", self.field, self.message)
    }
}

/// Reads an object's fields; those that nobody read are unknown.
#[derive(Debug)]
pub struct Fields {
    object: Map<String, Value>,
    /// The fields that were read, in their order.
    known: Vec<String>,
    errors: Vec<FieldError>,
}

impl Fields {
    /// The fields of an object.
    pub fn new(object: Map<String, Value>) -> Self {
        Self { object, known: vec![], errors: vec![] }
    }

    /// Notes a problem.
    pub fn complain(&mut self, field: &str, message: impl Into<String>) {
        self.errors.push(FieldError { field: field.to_owned(), message: message.into() });
    }

    /// The value, or every problem that was found.
    pub fn finish<T>(mut self, value: T) -> Result<T, Vec<FieldError>> {
        let unknown: Vec<String> = self.object.keys().cloned().collect();
        // A misspelled limit would otherwise be no limit.
        for field in unknown {
            let message = format!("There is no such field; there are {}.", self.known.join(", "));
            self.complain(&field, message);
        }
        if self.errors.is_empty() { Ok(value) } else { Err(self.errors) }
    }

    /// Whether a field is there and not null.
    pub fn has(&self, field: &str) -> bool {
        self.object.get(field).is_some_and(|value| !value.is_null())
    }

    /// A value that is there and not null.
    pub(crate) fn value(&mut self, field: &str) -> Option<Value> {
        self.known.push(format!("`{field}`"));
        self.object.remove(field).filter(|value| !value.is_null())
    }

    /// A value that is there and not null, as `read` takes it; a problem where it takes none.
    pub fn read<T>(
        &mut self,
        field: &str,
        expected: &str,
        read: impl FnOnce(&Value) -> Option<T>,
    ) -> Option<T> {
        let value = self.value(field)?;
        let read = read(&value);
        if read.is_none() {
            self.complain(field, format!("This must be {expected}."));
        }
        read
    }

    pub(crate) fn count(&mut self, field: &str) -> Option<u64> {
        let storable = |number: &u64| i64::try_from(*number).is_ok();
        self.read(field, "a whole number of at least 0", |value| value.as_u64().filter(storable))
    }

    pub(crate) fn flag(&mut self, field: &str) -> Option<bool> {
        self.read(field, "true or false", Value::as_bool)
    }

    pub(crate) fn text(&mut self, field: &str) -> Option<String> {
        let not_empty = |text: &&str| !text.is_empty();
        self.read(field, "a text that is not empty", |value| {
            value.as_str().filter(not_empty).map(str::to_owned)
        })
    }

    pub(crate) fn texts(&mut self, field: &str) -> Option<Vec<String>> {
        self.read(field, "a list of texts that are not empty", |value| {
            let texts = value.as_array()?.iter();
            texts.map(|it| it.as_str().filter(|text| !text.is_empty()).map(str::to_owned)).collect()
        })
    }

    pub(crate) fn labels(&mut self, field: &str) -> Option<BTreeMap<String, String>> {
        self.read(field, "an object of texts", |value| {
            let labels = value.as_object()?.iter();
            labels.map(|(name, label)| Some((name.clone(), label.as_str()?.to_owned()))).collect()
        })
    }

    pub(crate) fn percentages(&mut self, field: &str) -> Option<Vec<u8>> {
        self.read(field, "a list of whole percentages from 1 to 100", |value| {
            let levels = value.as_array()?.iter().map(|level| {
                let level = u8::try_from(level.as_u64()?).ok()?;
                (1..=100).contains(&level).then_some(level)
            });
            let mut levels: Vec<u8> = levels.collect::<Option<_>>()?;
            levels.sort_unstable();
            levels.dedup();
            Some(levels)
        })
    }

    pub(crate) fn dollars(&mut self, field: &str) -> Option<MicroDollars> {
        self.read(field, "an amount of at least 0 with at most 6 decimals", |value| match value {
            // By its digits: as a float, an amount would be off by a fraction of a micro-dollar.
            Value::Number(number) => dollars(&number.to_string()),
            _ => None,
        })
    }

    /// Micro-dollars, less than 0 allowed.
    pub fn signed_dollars(&mut self, field: &str) -> Option<i64> {
        self.read(field, "an amount with at most 6 decimals", |value| {
            let Value::Number(number) = value else { return None };
            let text = number.to_string();
            let (sign, text) = text.strip_prefix('-').map_or((1, &*text), |text| (-1, text));
            Some(sign * i64::try_from(dollars(text)?.0).ok()?)
        })
    }

    /// A text of a closed set.
    pub(crate) fn choice<T: Copy>(&mut self, field: &str, choices: &[(&str, T)]) -> Option<T> {
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        self.read(field, &format!("one of {}", names.join(", ")), |value| {
            let found = choices.iter().find(|(name, _)| value.as_str() == Some(name));
            found.map(|(_, choice)| *choice)
        })
    }

    /// A duration as Go writes it, such as `1m30s`, in whole seconds.
    pub(crate) fn seconds(&mut self, field: &str) -> Option<u64> {
        self.read(field, "a duration in whole seconds such as 90s, 5m or 1h30m", |value| {
            seconds(value.as_str()?)
        })
    }
}

/// Dollars from a decimal number, exactly.
fn dollars(number: &str) -> Option<MicroDollars> {
    let number = plain_decimal(number)?;
    let (whole, decimals) = number.split_once('.').unwrap_or((&number, ""));
    if 6 < decimals.len() {
        return None;
    }
    let micros: u64 = format!("{decimals:0<6}").parse().ok()?;
    let whole: u64 = whole.parse().ok()?;
    let amount = whole.checked_mul(1_000_000)?.checked_add(micros)?;
    i64::try_from(amount).is_ok().then_some(MicroDollars(amount))
}

/// Dollars as a JSON number.
pub(crate) fn dollars_as_json(amount: MicroDollars) -> Value {
    let text = amount.to_string();
    let text = text.trim_end_matches('0').trim_end_matches('.');
    serde_json::from_str(text).unwrap_or_default()
}

fn seconds(text: &str) -> Option<u64> {
    let mut total: u64 = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, after) = rest.split_at_checked(digits)?;
        let unit = match after.chars().next()? {
            's' => 1,
            'm' => 60,
            'h' => 3_600,
            _ => return None,
        };
        total = total.checked_add(number.parse::<u64>().ok()?.checked_mul(unit)?)?;
        rest = after.get(1..)?;
    }
    (total != 0).then_some(total)
}

/// A duration as Go writes it.
pub(crate) fn seconds_as_json(seconds: u64) -> Value {
    Value::String(format!("{seconds}s"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dollars_are_read_exactly() {
        for (text, micros) in
            [("50", 50_000_000), ("0.000001", 1), ("12.5", 12_500_000), ("0.0", 0), ("1e-6", 1)]
        {
            assert_eq!(dollars(text), Some(MicroDollars(micros)), "{text}");
        }
        for wrong in ["-1", "0.0000001", "1e-7", "1e30", "99999999999999"] {
            assert_eq!(dollars(wrong), None, "{wrong}");
        }
        assert_eq!(dollars_as_json(MicroDollars(12_500_000)).to_string(), "12.5");
        assert_eq!(dollars_as_json(MicroDollars(50_000_000)).to_string(), "50");
        assert_eq!(dollars_as_json(MicroDollars(0)).to_string(), "0");
    }

    #[test]
    fn a_correction_is_read_exactly() {
        let value = serde_json::json!({ "a": -0.29, "b": 1.5, "c": 4.9e-7, "d": "1" });
        let mut fields = Fields::new(value.as_object().unwrap().clone());
        let read = ["a", "b", "c", "d"].map(|field| fields.signed_dollars(field));
        assert_eq!(read, [Some(-290_000), Some(1_500_000), None, None]);
    }

    #[test]
    fn durations_are_those_of_go_in_whole_seconds() {
        assert_eq!((seconds("90s"), seconds("1h30m")), (Some(90), Some(5_400)));
        for wrong in ["", "5", "m", "5m3", "500ms", "0s", "-1s", "1.5s"] {
            assert_eq!(seconds(wrong), None, "{wrong}");
        }
    }
}

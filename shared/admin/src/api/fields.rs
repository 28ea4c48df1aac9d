//! Fields of a request's JSON body, read one by one; every problem is named with its field.

use serde_json::{Map, Value};

use crate::{
    operator::Role,
    problem::{AdminResult, Problem, ProblemField},
};

/// The most dollars that a field may hold: beyond, micro-dollars are not exact in JSON's numbers.
const MAX_DOLLARS: f64 = 1_000_000_000.0;
/// The most seconds that a duration may have: a hundred years.
const MAX_SECONDS: u64 = 100 * 366 * 24 * 60 * 60;

/// Reads an object's fields; those that nobody read are unknown.
pub(super) struct Fields {
    object: Map<String, Value>,
    /// The fields that were read, in their order.
    known: Vec<String>,
    errors: Vec<ProblemField>,
}

impl Fields {
    pub(super) fn new(object: Map<String, Value>) -> Self {
        Self { object, known: vec![], errors: vec![] }
    }

    /// The value, or every problem that was found.
    pub(super) fn finish<T>(mut self, value: T) -> AdminResult<T> {
        // A misspelt limit must not leave a tenant unlimited.
        let message = format!("There is no such field; there are {}.", self.known.join(", "));
        let unknown = self.object.keys().map(|field| ProblemField::new(field, &message));
        self.errors.extend(unknown.collect::<Vec<_>>());
        if self.errors.is_empty() { Ok(value) } else { Err(Problem::fields(self.errors)) }
    }

    pub(super) fn complain(&mut self, field: &str, message: impl Into<String>) {
        self.errors.push(ProblemField::new(field, message));
    }

    fn read<T>(
        &mut self,
        field: &str,
        expected: &str,
        read: impl FnOnce(&Value) -> Option<T>,
    ) -> Option<T> {
        self.known.push(format!("`{field}`"));
        // Clients that serialize optional members send null for those that are absent.
        let value = self.object.remove(field).filter(|value| !value.is_null())?;
        let read = read(&value);
        if read.is_none() {
            self.complain(field, format!("This must be {expected}."));
        }
        read
    }

    pub(super) fn text(&mut self, field: &str) -> Option<String> {
        self.read(field, "a text that is not empty, of at most 1,024 bytes", |value| {
            let text = value.as_str().filter(|text| (1..=1024).contains(&text.len()));
            text.map(str::to_owned)
        })
    }

    pub(super) fn required_text(&mut self, field: &str) -> String {
        let is_absent = self.object.get(field).is_none_or(Value::is_null);
        if is_absent {
            self.complain(field, "This is required.");
        }
        self.text(field).unwrap_or_default()
    }

    pub(super) fn role(&mut self, field: &str) -> Option<Role> {
        self.read(field, "`viewer`, `editor` or `admin`", |value| Role::parse(value.as_str()?))
    }

    pub(super) fn seconds(&mut self, field: &str) -> Option<u64> {
        self.read(field, "a whole number of seconds", |value| {
            value.as_u64().filter(|seconds| *seconds <= MAX_SECONDS)
        })
    }

    /// Dollars as micro-dollars, less than 0 allowed.
    pub(super) fn dollars(&mut self, field: &str) -> Option<i64> {
        self.read(field, "an amount of dollars", |value| {
            let dollars = value.as_f64().filter(|it| it.abs() <= MAX_DOLLARS)?;
            #[expect(clippy::cast_possible_truncation, reason = "the amount is bounded above")]
            // Not truncated: 0.29 dollars are 289,999.99… micro-dollars in floating point.
            let micros = (dollars * 1_000_000.0).round() as i64;
            Some(micros)
        })
    }

    /// A number that is at least 0, such as a price in dollars.
    pub(super) fn price(&mut self, field: &str) -> Option<f64> {
        self.read(field, "an amount of dollars of at least 0", |value| {
            value.as_f64().filter(|it| (0.0..=1_000_000.0).contains(it))
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_unknown_field_is_refused_with_the_known_ones() {
        let Value::Object(object) = json!({ "name": "a", "expires": 60 }) else { unreachable!() };
        let mut fields = Fields::new(object);
        let read = (fields.text("name"), fields.seconds("expires_in_seconds"));
        let problem = fields.finish(read).unwrap_err();
        assert_eq!(
            problem.fields[0].message,
            "There is no such field; there are `name`, `expires_in_seconds`."
        );
    }
}

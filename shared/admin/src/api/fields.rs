//! Fields of a request's JSON body, read one by one; every problem is named with its field.

use ::tenants::FieldError;
use serde_json::{Map, Value};

use crate::{
    operator::Role,
    problem::{AdminResult, Problem, ProblemField},
};

/// The most dollars that a field may hold: beyond, micro-dollars are not exact in JSON's numbers.
const MAX_DOLLARS: u64 = 1_000_000_000;
/// The most seconds that a duration may have: a hundred years.
const MAX_SECONDS: u64 = 100 * 366 * 24 * 60 * 60;

/// Reads an object's fields; those that nobody read are unknown.
pub(super) struct Fields(::tenants::Fields);

impl Fields {
    pub(super) fn new(object: Map<String, Value>) -> Self {
        Self(::tenants::Fields::new(object))
    }

    /// The value, or every problem that was found.
    pub(super) fn finish<T>(self, value: T) -> AdminResult<T> {
        let problems = |errors: Vec<FieldError>| {
            Problem::fields(errors.into_iter().map(ProblemField::from).collect())
        };
        self.0.finish(value).map_err(problems)
    }

    pub(super) fn complain(&mut self, field: &str, message: impl Into<String>) {
        self.0.complain(field, message);
    }

    pub(super) fn text(&mut self, field: &str) -> Option<String> {
        self.0.read(field, "a text that is not empty, of at most 1,024 bytes", |value| {
            let text = value.as_str().filter(|text| (1..=1024).contains(&text.len()));
            text.map(str::to_owned)
        })
    }

    pub(super) fn required_text(&mut self, field: &str) -> String {
        if !self.0.has(field) {
            self.complain(field, "This is required.");
        }
        self.text(field).unwrap_or_default()
    }

    pub(super) fn role(&mut self, field: &str) -> Option<Role> {
        self.0.read(field, "`viewer`, `editor` or `admin`", |value| Role::parse(value.as_str()?))
    }

    pub(super) fn seconds(&mut self, field: &str) -> Option<u64> {
        self.0.read(field, "a whole number of seconds", |value| {
            value.as_u64().filter(|seconds| *seconds <= MAX_SECONDS)
        })
    }

    /// A time in which something lives, so at least a second.
    pub(super) fn lifetime(&mut self, field: &str) -> Option<u64> {
        let seconds = self.seconds(field)?;
        if seconds == 0 {
            self.complain(field, "This must be at least 1: with 0 it would have ended already.");
        }
        Some(seconds)
    }

    /// Dollars as micro-dollars, less than 0 allowed.
    pub(super) fn dollars(&mut self, field: &str) -> Option<i64> {
        let dollars = self.0.signed_dollars(field)?;
        if MAX_DOLLARS * 1_000_000 < dollars.unsigned_abs() {
            self.complain(field, format!("This must be at most {MAX_DOLLARS} dollars."));
            return None;
        }
        Some(dollars)
    }

    /// A number that is at least 0, such as a price in dollars.
    pub(super) fn price(&mut self, field: &str) -> Option<f64> {
        self.0.read(field, "an amount of dollars of at least 0", |value| {
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
        let read = (fields.text("name"), fields.lifetime("expires_in_seconds"));
        let problem = fields.finish(read).unwrap_err();
        assert_eq!(
            problem.fields[0].message,
            "There is no such field; there are `name`, `expires_in_seconds`."
        );
    }

    #[test]
    fn what_would_have_ended_already_is_refused() {
        let Value::Object(object) = json!({ "expires_in_seconds": 0 }) else { unreachable!() };
        let mut fields = Fields::new(object);
        let read = fields.lifetime("expires_in_seconds");
        assert!(fields.finish(read).unwrap_err().detail.contains("at least 1"));
    }
}

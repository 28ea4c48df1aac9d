//! A JSON value with its path, checked as a strict decoder does.

use std::fmt::Write;

use serde_json::Value;

/// A violation of the API's rules, and its path.
#[derive(Clone, Debug)]
pub(super) struct Violation {
    pub(super) path: Vec<Step>,
    pub(super) what: Problem,
}

/// One step of a path.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Key(String),
    Index(usize),
}

/// The kind of a violation.
#[derive(Clone, Debug)]
pub(super) enum Problem {
    /// An unknown member.
    Unknown(String),
    /// A member that has to be there.
    Missing(String),
    /// What is wanted, and what is there.
    Type(&'static str, &'static str),
    /// What is there, and what could be.
    Word(String, Vec<String>),
    /// A rule of the API, in the API's words.
    Rule(String),
    /// The API's error code, and a rule of the API in the API's words.
    Coded(&'static str, String),
}

pub(super) type Checked<T> = Result<T, Violation>;

/// A value and its path.
#[derive(Clone, Debug)]
pub(super) struct Node<'a> {
    pub(super) value: &'a Value,
    pub(super) path: Vec<Step>,
    /// Whether names may be written in either case, as in Google's JSON.
    either_case: bool,
}

impl<'a> Node<'a> {
    pub(super) fn new(value: &'a Value) -> Self {
        Self { value, path: vec![], either_case: false }
    }

    pub(super) fn in_either_case(value: &'a Value) -> Self {
        Self { value, path: vec![], either_case: true }
    }

    /// Refuses whatever is no object of these members.
    pub(super) fn only(&self, known: &[&str]) -> Checked<()> {
        let object = self.value.as_object().ok_or_else(|| self.wrong("an object"))?;
        let is_known = |name: &str| {
            known.contains(&name) || self.either_case && known.iter().any(|it| snake(it) == name)
        };
        match object.keys().find(|it| !is_known(it)) {
            Some(name) => Err(self.violation(Problem::Unknown(name.clone()))),
            None => Ok(()),
        }
    }

    /// A member, unless it is absent or null.
    pub(super) fn get(&self, name: &str) -> Option<Self> {
        let snake = if self.either_case { snake(name) } else { String::new() };
        let found = self.value.get(name).or_else(|| self.value.get(&snake))?;
        (!found.is_null()).then(|| self.at(Step::Key(name.to_owned()), found))
    }

    /// A member that has to be there.
    pub(super) fn need(&self, name: &str) -> Checked<Self> {
        self.get(name).ok_or_else(|| self.violation(Problem::Missing(name.to_owned())))
    }

    pub(super) fn text(&self) -> Checked<&'a str> {
        self.value.as_str().ok_or_else(|| self.wrong("a string"))
    }

    pub(super) fn flag(&self) -> Checked<bool> {
        self.value.as_bool().ok_or_else(|| self.wrong("a boolean"))
    }

    pub(super) fn whole(&self) -> Checked<i64> {
        self.value.as_i64().ok_or_else(|| self.wrong("an integer"))
    }

    pub(super) fn object(&self) -> Checked<&'a serde_json::Map<String, Value>> {
        self.value.as_object().ok_or_else(|| self.wrong("an object"))
    }

    pub(super) fn list(&self) -> Checked<Vec<Self>> {
        let list = self.value.as_array().ok_or_else(|| self.wrong("an array"))?;
        Ok(list.iter().enumerate().map(|(at, it)| self.at(Step::Index(at), it)).collect())
    }

    /// The elements, or nothing where the member is absent.
    pub(super) fn each(&self, name: &str) -> Checked<Vec<Self>> {
        self.get(name).map_or_else(|| Ok(vec![]), |it| it.list())
    }

    /// A number within bounds.
    pub(super) fn between(&self, low: f64, high: f64) -> Checked<f64> {
        let number = self.value.as_f64().ok_or_else(|| self.wrong("a number"))?;
        if (low..=high).contains(&number) {
            return Ok(number);
        }
        Err(self
            .rule_violation(format!("expected a value between {low} and {high}, but got {number}")))
    }

    /// One of these words.
    pub(super) fn word(&self, allowed: &[&str]) -> Checked<&'a str> {
        let text = self.text()?;
        if allowed.contains(&text) {
            return Ok(text);
        }
        let allowed = allowed.iter().map(|it| (*it).to_owned()).collect();
        Err(self.violation(Problem::Word(text.to_owned(), allowed)))
    }

    pub(super) fn rule_violation(&self, what: impl Into<String>) -> Violation {
        self.violation(Problem::Rule(what.into()))
    }

    pub(super) fn coded(&self, code: &'static str, what: impl Into<String>) -> Violation {
        self.violation(Problem::Coded(code, what.into()))
    }

    fn wrong(&self, wanted: &'static str) -> Violation {
        self.violation(Problem::Type(wanted, kind(self.value)))
    }

    fn violation(&self, what: Problem) -> Violation {
        Violation { path: self.path.clone(), what }
    }

    fn at(&self, step: Step, value: &'a Value) -> Self {
        let path = self.path.iter().cloned().chain([step]).collect();
        Self { value, path, either_case: self.either_case }
    }
}

impl Violation {
    /// The way as `a[0].b`.
    pub(super) fn bracketed(&self) -> String {
        let mut out = String::new();
        for step in &self.path {
            match step {
                Step::Key(key) if out.is_empty() => out.push_str(key),
                Step::Key(key) => drop(write!(out, ".{key}")),
                Step::Index(index) => drop(write!(out, "[{index}]")),
            }
        }
        out
    }

    /// The way as `a.0.b`.
    pub(super) fn dotted(&self) -> String {
        let step = |it: &Step| match it {
            Step::Key(key) => key.clone(),
            Step::Index(index) => index.to_string(),
        };
        self.path.iter().map(step).collect::<Vec<_>>().join(".")
    }

    /// The way to a member of what the fault is in.
    pub(super) fn below(mut self, name: &str) -> Self {
        self.path.push(Step::Key(name.to_owned()));
        self
    }
}

/// Whether it is of letters, digits, `_` and `-`, and not longer than this.
pub(super) fn is_plain(text: &str, max: usize) -> bool {
    let plain = |it: u8| it.is_ascii_alphanumeric() || matches!(it, b'_' | b'-');
    !text.is_empty() && text.len() <= max && text.bytes().all(plain)
}

/// What a JSON value is called.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(it) if it.is_i64() || it.is_u64() => "an integer",
        Value::Number(_) => "a decimal",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// A name as Google's own messages write it.
pub(super) fn snake(name: &str) -> String {
    let mut out = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            out.push('_');
        }
        out.push(letter.to_ascii_lowercase());
    }
    out
}

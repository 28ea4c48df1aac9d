//! Conversations, independent of the format.

use std::collections::BTreeMap;

use serde_json::Value;
use testkit::strict::{Choice, Shape};

/// A client's request, with all messages before it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Conversation {
    pub(crate) lines: Vec<Line>,
    pub(crate) tools: Vec<Tool>,
    pub(crate) choice: Option<Choice>,
    pub(crate) parallel: Option<bool>,
    pub(crate) shape: Option<Shape>,
    /// By OpenAI's names.
    pub(crate) numbers: BTreeMap<&'static str, f64>,
    pub(crate) stop: Vec<&'static str>,
    pub(crate) reasoning_setting: Option<ReasoningSetting>,
    pub(crate) user: Option<&'static str>,
    pub(crate) metadata: Option<(&'static str, &'static str)>,
    /// Marks the system text for the cache, with this time to live; empty text for none.
    pub(crate) cache: Option<&'static str>,
    /// Whether usage of a stream is requested, where it must be requested.
    pub(crate) wants_usage: bool,
}

/// One message.
#[derive(Clone, Debug)]
pub(crate) enum Line {
    System(&'static str),
    Developer(&'static str),
    User(Vec<Bit>),
    /// An earlier response, in the client's own format.
    Answer(Vec<Value>),
    Results(Vec<Outcome>),
}

#[derive(Clone, Debug)]
pub(crate) enum Bit {
    Text(&'static str),
    /// Media type and base64.
    Image(&'static str, &'static str),
    ImageUrl(&'static str),
    Pdf(&'static str),
    Wav(&'static str),
}

/// The result of a tool call.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) text: String,
    pub(crate) image: Option<(&'static str, &'static str)>,
    pub(crate) failed: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Tool {
    pub(crate) name: &'static str,
    pub(crate) description: &'static str,
    pub(crate) schema: Value,
}

/// The reasoning setting of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReasoningSetting {
    /// The default of the client's format.
    Somehow,
    Word(&'static str),
    Budget(u64),
}

/// A feature that the client's format does not support.
pub(crate) struct Unsupported;

impl Conversation {
    pub(crate) fn of(text: &'static str) -> Self {
        Self { lines: vec![Line::User(vec![Bit::Text(text)])], ..Self::default() }
    }

    pub(crate) fn after(mut self, line: Line) -> Self {
        let at = self.lines.len() - 1;
        self.lines.insert(at, line);
        self
    }

    pub(crate) fn number(mut self, name: &'static str, value: f64) -> Self {
        self.numbers.insert(name, value);
        self
    }

    pub(crate) fn tool(mut self, name: &'static str, schema: Value) -> Self {
        self.tools.push(Tool { name, description: "Looks something up.", schema });
        self
    }

    /// Rejects audio.
    pub(crate) fn require_no_audio(&self) -> Result<(), Unsupported> {
        let has_audio = |it: &Line| matches!(it, Line::User(bits) if bits.iter().any(|it| matches!(it, Bit::Wav(_))));
        if self.lines.iter().any(has_audio) { Err(Unsupported) } else { Ok(()) }
    }

    /// Rejects numbers that are not among these.
    pub(crate) fn require_known_numbers(&self, known: &[&str]) -> Result<(), Unsupported> {
        let known = self.numbers.keys().all(|it| known.contains(it));
        if known { Ok(()) } else { Err(Unsupported) }
    }
}

/// A number without a point where it needs none.
pub(crate) fn number(value: f64) -> Value {
    #[expect(clippy::cast_possible_truncation, reason = "the tests' own numbers are small")]
    let whole = value as i64;
    if (whole as f64 - value).abs() < f64::EPSILON { whole.into() } else { value.into() }
}

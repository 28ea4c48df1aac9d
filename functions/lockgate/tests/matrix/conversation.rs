//! Conversations, said once for all formats.

use std::collections::BTreeMap;

use serde_json::Value;
use testkit::strict::{Choice, Shape};

/// A question of a client, and everything said before it.
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
    /// Whether a stream is to report its usage, where clients have to ask.
    pub(crate) wants_usage: bool,
}

/// What one side said.
#[derive(Clone, Debug)]
pub(crate) enum Line {
    System(&'static str),
    Developer(&'static str),
    User(Vec<Bit>),
    /// An earlier answer, in the client's own form.
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

/// What came of a call.
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

/// How hard to think.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReasoningSetting {
    /// However the client's format says it.
    Somehow,
    Word(&'static str),
    Budget(u64),
}

/// What a client's format has no word for.
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

    /// Refuses sound.
    pub(crate) fn require_no_audio(&self) -> Result<(), Unsupported> {
        let has_audio = |it: &Line| matches!(it, Line::User(bits) if bits.iter().any(|it| matches!(it, Bit::Wav(_))));
        if self.lines.iter().any(has_audio) { Err(Unsupported) } else { Ok(()) }
    }

    /// Refuses numbers that are not among these.
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

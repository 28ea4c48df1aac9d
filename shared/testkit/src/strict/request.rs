//! What a strict provider was asked, in words that no format owns.

use std::collections::BTreeMap;

use serde_json::Value;

/// A request that was found right.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DecodedRequest {
    /// Which of its provider's answers this gets, counted from 1.
    pub number: usize,
    /// The model.
    pub model: String,
    /// Whether the answer is wanted piece by piece.
    pub stream: bool,
    /// Whether a stream is to report its usage, where one has to ask for it.
    pub wants_usage: bool,
    /// Whether signed thoughts are wanted, where one has to ask; absent where nothing is signed.
    pub wants_signatures: Option<bool>,
    /// What was said so far; texts for all turns stand first where the API has a place of their own.
    pub messages: Vec<Message>,
    /// What may be called.
    pub tools: Vec<Tool>,
    /// Whether it may.
    pub choice: Option<Choice>,
    /// Whether several may be called at once.
    pub parallel: Option<bool>,
    /// The form of the answer.
    pub shape: Option<Shape>,
    /// Numbers by OpenAI's names: `temperature`, `top_p`, `top_k`, `seed`, `n`, `max_tokens`,
    /// `frequency_penalty`, `presence_penalty`.
    pub numbers: BTreeMap<&'static str, f64>,
    /// Texts that end the answer.
    pub stop: Vec<String>,
    /// How hard to think: a word, or a budget in tokens.
    pub effort: Option<String>,
    /// Which user asks.
    pub user: Option<String>,
    /// Labels.
    pub metadata: BTreeMap<String, String>,
    /// The cache markers' times to live, in order; empty text where none is given.
    pub cache: Vec<String>,
}

/// What one side said at once.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// Who.
    pub role: Role,
    /// What.
    pub bits: Vec<Bit>,
}

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The operator.
    System,
    /// The developer.
    Developer,
    /// The one who asks; and tools.
    User,
    /// The model.
    Assistant,
}

/// One thing that was said.
#[derive(Clone, Debug, PartialEq)]
pub enum Bit {
    /// Text.
    Text(String),
    /// A picture: its address, or a data URI.
    Image(String),
    /// A document: its address, or a data URI.
    File(String),
    /// Sound, as a data URI.
    Audio(String),
    /// A refusal.
    Refusal(String),
    /// A thought.
    Reasoning {
        /// Its text.
        text: String,
        /// Whether this provider's own proof came with it.
        signed: bool,
    },
    /// A call of a tool.
    Call {
        /// Its id.
        id: String,
        /// The tool.
        name: String,
        /// An object.
        arguments: Value,
        /// Whether this provider's own proof came with it.
        signed: bool,
    },
    /// What came of a call.
    Result {
        /// The call's id.
        id: String,
        /// What it holds.
        bits: Vec<Self>,
        /// Whether it is said that it failed.
        failed: bool,
    },
}

/// Something that may be called.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tool {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// JSON Schema of its arguments.
    pub schema: Value,
}

/// Whether tools are called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// As the model likes.
    Auto,
    /// None.
    None,
    /// At least one.
    Required,
    /// This one.
    Named(String),
}

/// The form of an answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    /// Any JSON.
    Json,
    /// JSON that follows a schema.
    Schema(Value),
}

impl DecodedRequest {
    /// The texts of turns in this role, in order.
    pub fn texts(&self, role: Role) -> Vec<&str> {
        self.bits(role).filter_map(Bit::text).collect()
    }

    /// Everything said in this role, in order.
    pub fn bits(&self, role: Role) -> impl Iterator<Item = &Bit> {
        self.messages.iter().filter(move |it| it.role == role).flat_map(|it| &it.bits)
    }

    /// Adds to the last turn, if it is of this role, else begins one.
    pub(super) fn say(&mut self, role: Role, bits: impl IntoIterator<Item = Bit>) {
        match self.messages.last_mut() {
            Some(turn) if turn.role == role => turn.bits.extend(bits),
            _ => self.messages.push(Message { role, bits: bits.into_iter().collect() }),
        }
    }

    /// Notes a number, if it is there.
    pub(super) fn number(&mut self, name: &'static str, value: Option<f64>) {
        if let Some(value) = value {
            self.numbers.insert(name, value);
        }
    }
}

impl Bit {
    /// Its text, if it is one.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

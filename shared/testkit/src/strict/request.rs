//! Decoded requests of strict providers, independent of the format.

use std::collections::BTreeMap;

use serde_json::Value;

/// A valid request.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DecodedRequest {
    /// The number of the response that the request gets, counted from 1.
    pub number: usize,
    /// The model.
    pub model: String,
    /// Whether a streamed response is requested.
    pub stream: bool,
    /// Whether usage of a stream is requested, where it must be requested.
    pub wants_usage: bool,
    /// Whether signed reasoning is requested, where it must be; absent where nothing is signed.
    pub wants_signatures: Option<bool>,
    /// The messages; system prompts stand first where the API has a field for them.
    pub messages: Vec<Message>,
    /// The tools.
    pub tools: Vec<Tool>,
    /// The tool choice.
    pub choice: Option<Choice>,
    /// Whether parallel tool calls are allowed.
    pub parallel: Option<bool>,
    /// The response format.
    pub shape: Option<Shape>,
    /// Numbers by OpenAI's names: `temperature`, `top_p`, `top_k`, `seed`, `n`, `max_tokens`,
    /// `frequency_penalty`, `presence_penalty`.
    pub numbers: BTreeMap<&'static str, f64>,
    /// The stop sequences.
    pub stop: Vec<String>,
    /// The reasoning effort: a word, or a budget in tokens.
    pub effort: Option<String>,
    /// The end user's id.
    pub user: Option<String>,
    /// Labels.
    pub metadata: BTreeMap<String, String>,
    /// The cache markers' times to live, in order; empty text where none is given.
    pub cache: Vec<String>,
}

/// One message.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// The author.
    pub role: Role,
    /// The content.
    pub bits: Vec<Bit>,
}

/// The author of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The operator.
    System,
    /// The developer.
    Developer,
    /// The user, and tools.
    User,
    /// The model.
    Assistant,
}

/// One part of a message.
#[derive(Clone, Debug, PartialEq)]
pub enum Bit {
    /// Text.
    Text(String),
    /// An image: its URL, or a data URI.
    Image(String),
    /// A document: its URL, or a data URI.
    File(String),
    /// Audio, as a data URI.
    Audio(String),
    /// A refusal.
    Refusal(String),
    /// Reasoning.
    Reasoning {
        /// The text of the reasoning.
        text: String,
        /// Whether a signature of this provider is present.
        signed: bool,
    },
    /// A call of a tool.
    Call {
        /// The call's id.
        id: String,
        /// The tool.
        name: String,
        /// An object.
        arguments: Value,
        /// Whether a signature of this provider is present.
        signed: bool,
    },
    /// The result of a tool call.
    Result {
        /// The call's id.
        id: String,
        /// What it holds.
        bits: Vec<Self>,
        /// Whether the result is marked as failed.
        failed: bool,
    },
}

/// A tool.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tool {
    /// The tool's name.
    pub name: String,
    /// What the tool is for.
    pub description: String,
    /// JSON Schema of the tool's arguments.
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
    /// The tool of this name.
    Named(String),
}

/// A response format.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    /// Any JSON.
    Json,
    /// JSON that follows a schema.
    Schema(Value),
}

impl DecodedRequest {
    /// The texts of messages of this role, in order.
    pub fn texts(&self, role: Role) -> Vec<&str> {
        self.bits(role).filter_map(Bit::text).collect()
    }

    /// The parts of messages of this role, in order.
    pub fn bits(&self, role: Role) -> impl Iterator<Item = &Bit> {
        self.messages.iter().filter(move |it| it.role == role).flat_map(|it| &it.bits)
    }

    /// Adds to the last message, if it has this role, else begins one.
    pub(super) fn say(&mut self, role: Role, bits: impl IntoIterator<Item = Bit>) {
        match self.messages.last_mut() {
            Some(turn) if turn.role == role => turn.bits.extend(bits),
            _ => self.messages.push(Message { role, bits: bits.into_iter().collect() }),
        }
    }

    /// Records a number, if it is present.
    pub(super) fn number(&mut self, name: &'static str, value: Option<f64>) {
        if let Some(value) = value {
            self.numbers.insert(name, value);
        }
    }
}

impl Bit {
    /// The text of a part that is text.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

//! A fake provider's script as JSON, for tests that are not written in Rust.
//!
//! The program `fake-provider` describes it.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::answer::{Answer, Gate, Step};
use crate::openai;

/// Why a script could not be read.
#[derive(Debug)]
pub struct ScriptError(String);

/// Reads a script, and the gates it names.
pub fn parse(text: &[u8]) -> Result<(Vec<Answer>, BTreeMap<String, Gate>), ScriptError> {
    let lines: Vec<Line> =
        serde_json::from_slice(text).map_err(|error| ScriptError(error.to_string()))?;
    let mut gates = BTreeMap::new();
    let answers =
        lines.into_iter().map(|line| line.answer(&mut gates)).collect::<Result<_, _>>()?;
    Ok((answers, gates))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Line {
    json: Option<Value>,
    raw: Option<String>,
    stream: Option<Vec<Word>>,
    completion: Option<String>,
    chunks: Option<Vec<String>>,
    error: Option<Failure>,
    hang: Option<bool>,
    close: Option<bool>,
    status: Option<u16>,
    headers: BTreeMap<String, String>,
    content_type: Option<String>,
    delay_ms: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Failure {
    r#type: String,
    message: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Word {
    Frame(String),
    WaitMs(u64),
    Gate(String),
    Cut,
    Hang,
    Role,
    Text(String),
    ToolCall(String, String),
    ToolArguments(String),
    Finish(String),
    Usage(u64, u64),
    Done,
}

impl Line {
    fn answer(self, gates: &mut BTreeMap<String, Gate>) -> Result<Answer, ScriptError> {
        let contents = [
            self.json.map(|value| Answer::json(200, &value)),
            self.raw.map(|text| Answer::raw(200, "text/plain", text)),
            self.stream.map(|words| Answer::stream(words.into_iter().map(|word| word.step(gates)))),
            self.completion.map(|text| openai::completion(&text)),
            self.chunks.map(|texts| openai::stream(texts.iter().map(String::as_str))),
            self.error.map(|error| openai::error(500, &error.r#type, &error.message)),
            self.hang.map(|_| Answer::hang()),
            self.close.map(|_| Answer::close()),
        ];
        let mut contents = contents.into_iter().flatten();
        let (Some(mut answer), None) = (contents.next(), contents.next()) else {
            return Err(ScriptError("an answer needs exactly one content".to_owned()));
        };
        if let Some(status) = self.status {
            answer = answer.status(status);
        }
        if let Some(content_type) = self.content_type {
            answer = answer.header("content-type", &content_type);
        }
        for (name, value) in &self.headers {
            answer = answer.header(name, value);
        }
        Ok(Answer::delay(Duration::from_millis(self.delay_ms), answer))
    }
}

impl Word {
    fn step(self, gates: &mut BTreeMap<String, Gate>) -> Step {
        match self {
            Self::Frame(text) => Step::text(text),
            Self::WaitMs(milliseconds) => Step::Wait(Duration::from_millis(milliseconds)),
            Self::Gate(name) => Step::Gate(gates.entry(name).or_default().clone()),
            Self::Cut => Step::Cut,
            Self::Hang => Step::Hang,
            Self::Role => openai::role(),
            Self::Text(text) => openai::chunk(&text),
            Self::ToolCall(id, name) => openai::tool_call(0, &id, &name),
            Self::ToolArguments(piece) => openai::tool_arguments(0, &piece),
            Self::Finish(reason) => openai::finish(&reason),
            Self::Usage(input, output) => openai::usage(input, output),
            Self::Done => openai::done(),
        }
    }
}

impl fmt::Display for ScriptError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for ScriptError {}

//! A fake provider's script as JSON, for tests that are not written in Rust.
//!
//! The program `fake-provider` describes it.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::response::{Latch, ScriptedResponse, Step};
use crate::openai;

/// Why a script could not be read.
#[derive(Debug)]
pub struct ScriptError(String);

/// Reads a script, and the latches it names.
pub fn parse(text: &[u8]) -> Result<(Vec<ScriptedResponse>, BTreeMap<String, Latch>), ScriptError> {
    let lines: Vec<Line> =
        serde_json::from_slice(text).map_err(|error| ScriptError(error.to_string()))?;
    let mut latches = BTreeMap::new();
    let answers =
        lines.into_iter().map(|line| line.answer(&mut latches)).collect::<Result<_, _>>()?;
    Ok((answers, latches))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Line {
    json: Option<Value>,
    raw: Option<String>,
    stream: Option<Vec<ScriptStep>>,
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
enum ScriptStep {
    Frame(String),
    WaitMs(u64),
    Latch(String),
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
    fn answer(
        self,
        latches: &mut BTreeMap<String, Latch>,
    ) -> Result<ScriptedResponse, ScriptError> {
        let contents = [
            self.json.map(|value| ScriptedResponse::json(200, &value)),
            self.raw.map(|text| ScriptedResponse::raw(200, "text/plain", text)),
            self.stream.map(|steps| {
                ScriptedResponse::stream(steps.into_iter().map(|word| word.step(latches)))
            }),
            self.completion.map(|text| openai::completion(&text)),
            self.chunks.map(|texts| openai::stream(texts.iter().map(String::as_str))),
            self.error.map(|error| openai::error(500, &error.r#type, &error.message)),
            self.hang.map(|_| ScriptedResponse::hang()),
            self.close.map(|_| ScriptedResponse::close()),
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
        Ok(ScriptedResponse::delay(Duration::from_millis(self.delay_ms), answer))
    }
}

impl ScriptStep {
    fn step(self, latches: &mut BTreeMap<String, Latch>) -> Step {
        match self {
            Self::Frame(text) => Step::text(text),
            Self::WaitMs(milliseconds) => Step::Wait(Duration::from_millis(milliseconds)),
            Self::Latch(name) => Step::Latch(latches.entry(name).or_default().clone()),
            Self::Cut => Step::Cut,
            Self::Hang => Step::Hang,
            Self::Role => openai::role(),
            Self::Text(text) => openai::chunk(&text),
            Self::ToolCall(id, name) => openai::tool_call(0, &id, &name),
            Self::ToolArguments(arguments) => openai::tool_arguments(0, &arguments),
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

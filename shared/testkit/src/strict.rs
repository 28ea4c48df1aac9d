//! Providers that refuse what the real ones refuse.
//!
//! Each listens on a real socket, reads a request the way its API documents it, answers a wrong
//! one with that API's own status and error, and a right one from a [`Script`] that is written once
//! for all formats. What was asked is kept in words that no format owns, so that a test can say
//! once what must have arrived.
//!
//! What is not checked: anything that only a model decides, such as which pictures it can read.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

mod anthropic;
mod asked;
mod bedrock;
mod gemini;
mod look;
mod openai;
mod openai_chat;
mod openai_responses;
mod schema;
mod script;
mod seal;
mod sse;

use crate::provider::{Answer, Fake, Seen};

pub use asked::{Asked, Bit, Choice, Role, Shape, Tool, Turn};
pub use script::{Say, Script, Stop, Tokens, Trouble};

/// The key that every strict provider demands.
pub const KEY: &str = "provider-key";

/// What a strict provider speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Dialect {
    /// `POST /v1/chat/completions`.
    OpenAiChat,
    /// `POST /v1/responses`.
    OpenAiResponses,
    /// `POST /v1/messages`.
    Anthropic,
    /// `POST /v1beta/models/{model}:generateContent`.
    Gemini,
    /// `POST /model/{model}/converse`.
    Bedrock,
}

/// A strict provider. It stops when it is dropped.
pub struct Strict {
    dialect: Dialect,
    fake: Fake,
    notes: Arc<Mutex<Notes>>,
}

#[derive(Debug, Default)]
struct Notes {
    scripts: VecDeque<Script>,
    answers: usize,
    asked: Vec<Asked>,
    refused: Vec<String>,
}

impl Strict {
    /// Starts one.
    ///
    /// # Panics
    ///
    /// When no port can be had.
    pub async fn start(dialect: Dialect) -> Self {
        let notes = Arc::new(Mutex::new(Notes::default()));
        let shared = Arc::clone(&notes);
        let fake = Fake::judging(move |seen| answer(dialect, &shared, seen)).await;
        Self { dialect, fake, notes }
    }

    /// What it speaks.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Where it listens, without a path or a slash at the end.
    pub fn url(&self) -> String {
        self.fake.url()
    }

    /// Replaces what is left to say. Answers are given in order and the last one repeats.
    pub fn says(&self, scripts: impl IntoIterator<Item = Script>) {
        lock(&self.notes).scripts = scripts.into_iter().collect();
    }

    /// Every request that was found right, in order.
    pub fn asked(&self) -> Vec<Asked> {
        lock(&self.notes).asked.clone()
    }

    /// What was wrong with every request that was refused.
    pub fn refused(&self) -> Vec<String> {
        lock(&self.notes).refused.clone()
    }

    /// Every request as it came.
    pub fn seen(&self) -> Vec<Seen> {
        self.fake.seen()
    }

    /// Forgets every request so far.
    pub fn forget(&self) {
        self.fake.forget();
        let mut notes = lock(&self.notes);
        notes.asked.clear();
        notes.refused.clear();
    }
}

impl fmt::Debug for Strict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("Strict");
        shown.field("dialect", &self.dialect).field("url", &self.url()).finish_non_exhaustive()
    }
}

impl Dialect {
    /// Its name, which is that of the wire format.
    pub fn name(self) -> &'static str {
        match self {
            Self::OpenAiChat => "openai_chat",
            Self::OpenAiResponses => "openai_responses",
            Self::Anthropic => "anthropic",
            Self::Gemini => "gemini",
            Self::Bedrock => "bedrock",
        }
    }

    fn check(self, seen: &Seen) -> Result<Asked, Refused> {
        match self {
            Self::OpenAiChat => openai_chat::check(seen),
            Self::OpenAiResponses => openai_responses::check(seen),
            Self::Anthropic => anthropic::check(seen),
            Self::Gemini => gemini::check(seen),
            Self::Bedrock => bedrock::check(seen),
        }
    }

    fn answer(self, script: &Script, asked: &Asked) -> Answer {
        if let Some(Trouble::Status(status)) = script.trouble {
            return self.failure(status);
        }
        match self {
            Self::OpenAiChat => openai_chat::answer(script, asked),
            Self::OpenAiResponses => openai_responses::answer(script, asked),
            Self::Anthropic => anthropic::answer(script, asked),
            Self::Gemini => gemini::answer(script, asked),
            Self::Bedrock => bedrock::answer(script, asked),
        }
    }

    fn failure(self, status: u16) -> Answer {
        match self {
            Self::OpenAiChat | Self::OpenAiResponses => openai::failure(status),
            Self::Anthropic => anthropic::failure(status),
            Self::Gemini => gemini::failure(status),
            Self::Bedrock => bedrock::failure(status),
        }
    }
}

/// A request that the real API would not take: why, and how it says so.
#[derive(Debug)]
struct Refused {
    why: String,
    answer: Answer,
}

fn answer(dialect: Dialect, notes: &Mutex<Notes>, seen: &Seen) -> Answer {
    let mut notes = lock(notes);
    notes.answers += 1;
    let asked = match dialect.check(seen) {
        Ok(asked) => Asked { number: notes.answers, ..asked },
        Err(refused) => {
            notes.refused.push(refused.why);
            return refused.answer;
        }
    };
    let script = match notes.scripts.len() {
        0 => Script::text(["Hi"]),
        1 => notes.scripts[0].clone(),
        _ => notes.scripts.pop_front().unwrap_or_default(),
    };
    let answer = dialect.answer(&script, &asked);
    notes.asked.push(asked);
    answer
}

fn lock(notes: &Mutex<Notes>) -> MutexGuard<'_, Notes> {
    notes.lock().unwrap_or_else(PoisonError::into_inner)
}

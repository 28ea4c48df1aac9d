//! Strict providers: they reject what the real APIs reject.
//!
//! Each listens on a real socket, decodes a request as its API documents it, responds to an invalid
//! one with that API's own status and error, and to a valid one from a [`Script`] that is written
//! once for all formats. Requests are recorded independent of the format, so that a test can state
//! once what must have arrived.
//!
//! What is not checked: anything that only a model decides, such as which images it can read.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

mod anthropic;
mod bedrock;
mod gemini;
mod node;
mod openai;
mod openai_chat;
mod openai_responses;
mod request;
mod schema;
mod script;
mod signature;
mod sse;

use crate::provider::{FakeProvider, ReceivedRequest, ScriptedResponse};

pub use request::{Bit, Choice, DecodedRequest, Message, Role, Shape, Tool};
pub use script::{InjectedFault, Script, ScriptedContent, Stop, Tokens};

/// The key that every strict provider demands.
pub const KEY: &str = "provider-key";

/// The format of a strict provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Format {
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
    format: Format,
    fake: FakeProvider,
    notes: Arc<Mutex<Notes>>,
}

#[derive(Debug, Default)]
struct Notes {
    scripts: VecDeque<Script>,
    responses: usize,
    accepted: Vec<DecodedRequest>,
    rejected: Vec<String>,
}

impl Strict {
    /// Starts one.
    ///
    /// # Panics
    ///
    /// When no port can be had.
    pub async fn start(format: Format) -> Self {
        Self::with(format, |notes, _| notes.next_script()).await
    }

    /// Starts one that computes each response from the request, without a script.
    ///
    /// # Panics
    ///
    /// When no port can be had.
    pub async fn responding_with(
        format: Format,
        script_fn: impl Fn(&DecodedRequest) -> Script + Send + Sync + 'static,
    ) -> Self {
        Self::with(format, move |_, request| script_fn(request)).await
    }

    async fn with(
        format: Format,
        script_fn: impl Fn(&mut Notes, &DecodedRequest) -> Script + Send + Sync + 'static,
    ) -> Self {
        let notes = Arc::new(Mutex::new(Notes::default()));
        let shared = Arc::clone(&notes);
        let respond = move |seen: &ReceivedRequest| response(format, &shared, seen, &script_fn);
        Self { format, fake: FakeProvider::responding_with(respond).await, notes }
    }

    /// The provider's format.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Where it listens, without a path or a slash at the end.
    pub fn url(&self) -> String {
        self.fake.url()
    }

    /// Replaces the rest of the script. Responses are sent in order and the last one repeats.
    pub fn script(&self, scripts: impl IntoIterator<Item = Script>) {
        lock(&self.notes).scripts = scripts.into_iter().collect();
    }

    /// Every valid request, in order.
    pub fn accepted(&self) -> Vec<DecodedRequest> {
        lock(&self.notes).accepted.clone()
    }

    /// The reason for every rejection, in order.
    pub fn rejected(&self) -> Vec<String> {
        lock(&self.notes).rejected.clone()
    }

    /// Every request as it came.
    pub fn requests(&self) -> Vec<ReceivedRequest> {
        self.fake.requests()
    }

    /// Forgets every request so far.
    pub fn forget(&self) {
        self.fake.forget();
        let mut notes = lock(&self.notes);
        notes.accepted.clear();
        notes.rejected.clear();
    }
}

impl fmt::Debug for Strict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("Strict");
        shown.field("dialect", &self.format).field("url", &self.url()).finish_non_exhaustive()
    }
}

impl Format {
    /// The name of the wire format.
    pub fn name(self) -> &'static str {
        match self {
            Self::OpenAiChat => "openai_chat",
            Self::OpenAiResponses => "openai_responses",
            Self::Anthropic => "anthropic",
            Self::Gemini => "gemini",
            Self::Bedrock => "bedrock",
        }
    }

    fn check(self, seen: &ReceivedRequest) -> Result<DecodedRequest, Rejection> {
        match self {
            Self::OpenAiChat => openai_chat::check(seen),
            Self::OpenAiResponses => openai_responses::check(seen),
            Self::Anthropic => anthropic::check(seen),
            Self::Gemini => gemini::check(seen),
            Self::Bedrock => bedrock::check(seen),
        }
    }

    fn response(self, script: &Script, request: &DecodedRequest) -> ScriptedResponse {
        if let Some(response) = script.injected_fault.and_then(|it| self.fault(it)) {
            return response;
        }
        match self {
            Self::OpenAiChat => openai_chat::response(script, request),
            Self::OpenAiResponses => openai_responses::response(script, request),
            Self::Anthropic => anthropic::response(script, request),
            Self::Gemini => gemini::response(script, request),
            Self::Bedrock => bedrock::response(script, request),
        }
    }

    /// The response of a fault that comes in place of the scripted one.
    fn fault(self, fault: InjectedFault) -> Option<ScriptedResponse> {
        Some(match fault {
            InjectedFault::Status(status) => self.failure(status),
            InjectedFault::Silent => ScriptedResponse::hang(),
            InjectedFault::Reset => ScriptedResponse::close(),
            InjectedFault::RetryAfter(seconds) => {
                self.failure(429).header("retry-after", &seconds.to_string())
            }
            InjectedFault::TooLong => self.refusal(match self {
                Self::OpenAiChat | Self::OpenAiResponses => {
                    ("context_length_exceeded", "Your input exceeds the context window of this model.")
                }
                Self::Gemini => (
                    "",
                    "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
                ),
                Self::Anthropic | Self::Bedrock => {
                    ("", "prompt is too long: 210000 tokens > 200000 maximum")
                }
            }),
            InjectedFault::Filtered => self.refusal((
                "content_policy_violation",
                "Your request was rejected by the safety system.",
            )),
            InjectedFault::NoPrefill => self.refusal((
                "invalid_prefill",
                "This model does not support assistant message prefill. The conversation must end with a user message.",
            )),
            _ => return None,
        })
    }

    /// A request that is refused with 400, with a code where the API has codes.
    fn refusal(self, (code, message): (&str, &str)) -> ScriptedResponse {
        match self {
            Self::OpenAiChat | Self::OpenAiResponses => openai::refusal(code, message),
            Self::Anthropic => anthropic::refusal(message),
            Self::Gemini => gemini::refusal(message),
            Self::Bedrock => bedrock::refusal(message),
        }
    }

    fn failure(self, status: u16) -> ScriptedResponse {
        match self {
            Self::OpenAiChat | Self::OpenAiResponses => openai::failure(status),
            Self::Anthropic => anthropic::failure(status),
            Self::Gemini => gemini::failure(status),
            Self::Bedrock => bedrock::failure(status),
        }
    }
}

impl Notes {
    fn next_script(&mut self) -> Script {
        match self.scripts.len() {
            0 => Script::text(["Hi"]),
            1 => self.scripts[0].clone(),
            _ => self.scripts.pop_front().unwrap_or_default(),
        }
    }
}

/// The rejection of a request: the reason, and the API's error response.
#[derive(Debug)]
struct Rejection {
    reason: String,
    response: ScriptedResponse,
}

fn response(
    format: Format,
    notes: &Mutex<Notes>,
    seen: &ReceivedRequest,
    script_fn: impl Fn(&mut Notes, &DecodedRequest) -> Script,
) -> ScriptedResponse {
    let mut notes = lock(notes);
    notes.responses += 1;
    let request = match format.check(seen) {
        Ok(request) => DecodedRequest { number: notes.responses, ..request },
        Err(rejection) => {
            notes.rejected.push(rejection.reason);
            return rejection.response;
        }
    };
    let script = script_fn(&mut notes, &request);
    let response = format.response(&script, &request);
    notes.accepted.push(request);
    response
}

fn lock(notes: &Mutex<Notes>) -> MutexGuard<'_, Notes> {
    notes.lock().unwrap_or_else(PoisonError::into_inner)
}

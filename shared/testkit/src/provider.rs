//! A fake provider on a real loopback socket that responds from a script.
//!
//! ```no_run
//! # async fn example() {
//! use testkit::openai;
//! use testkit::provider::{FakeProvider, Latch, ScriptedResponse, Step};
//!
//! let fake = FakeProvider::start().await;
//! let latch = Latch::new();
//! fake.respond_with([
//!     openai::error(429, "rate_limit_error", "slow down").header("retry-after", "2"),
//!     ScriptedResponse::stream([
//!         openai::role(),
//!         openai::chunk("Hi"),
//!         Step::Latch(latch.clone()),
//!         Step::Cut,
//!     ]),
//! ]);
//! // Call `fake.url()`, then:
//! latch.open();
//! assert_eq!(fake.requests().len(), 2);
//! # }
//! ```
//!
//! The formats of the responses are not known here: `openai` encodes OpenAI's.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method};
use serde_json::Value;

mod control;
mod responder;
mod response;
mod script;

use crate::server::{self, Server};
use control::Control;
use responder::Responder;

pub use response::{Latch, ScriptedResponse, Step};
pub use script::{ScriptError, parse};

/// How long a wait in a test may take before it gives up.
const WAIT_TIMEOUT: Duration = Duration::from_secs(10);

/// A scripted provider. It stops when it is dropped.
pub struct FakeProvider {
    server: Server,
    responder: Arc<Responder>,
}

/// One request that a fake provider got.
#[derive(Clone, Debug)]
pub struct ReceivedRequest {
    /// The method.
    pub method: Method,
    /// The path with its query.
    pub target: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// The outcome of the response.
    pub outcome: Outcome,
}

/// The outcome of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The response is still being given.
    Open,
    /// The response was given to the end of its script, which may be a cut.
    Complete,
    /// The caller dropped the connection before its end.
    Cancelled,
}

impl FakeProvider {
    /// Starts a provider with an empty script, which responds with 500.
    ///
    /// # Panics
    ///
    /// When no port can be had.
    pub async fn start() -> Self {
        Self::at(Responder::default())
    }

    /// Starts a provider that computes each response from the request, without a script.
    ///
    /// # Panics
    ///
    /// When no port can be had.
    pub async fn responding_with(
        respond_fn: impl Fn(&ReceivedRequest) -> ScriptedResponse + Send + Sync + 'static,
    ) -> Self {
        Self::at(Responder::responding_with(respond_fn))
    }

    fn at(responder: Responder) -> Self {
        let listener = server::listen().expect("loopback has a free port");
        let responder = Arc::new(responder);
        let shared = Arc::clone(&responder);
        let server = Server::start(listener, move |request| Arc::clone(&shared).answer(request))
            .expect("a bound socket has an address");
        Self { server, responder }
    }

    /// Starts a provider that is steered over HTTP, as the program `fake-provider` describes.
    ///
    /// # Panics
    ///
    /// When no port can be had.
    pub async fn steerable() -> Self {
        let listener = server::listen().expect("loopback has a free port");
        let responder = Arc::new(Responder::default());
        let (control, shared) = (Arc::new(Control::default()), Arc::clone(&responder));
        let server = Server::start(listener, move |request| {
            Arc::clone(&control).answer(Arc::clone(&shared), request)
        })
        .expect("a bound socket has an address");
        Self { server, responder }
    }

    /// Where it listens, without a path or a slash at the end.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Replaces what is left of the script. Responses are sent in order and the last one repeats.
    pub fn respond_with(&self, answers: impl IntoIterator<Item = ScriptedResponse>) {
        self.responder.script(answers.into_iter().collect());
    }

    /// Responds with 401, outside the script, to requests without this bearer key.
    pub fn require_bearer(&self, key: &str) {
        self.responder.require(key);
    }

    /// Every request so far, in order.
    pub fn requests(&self) -> Vec<ReceivedRequest> {
        self.responder.calls().borrow().clone()
    }

    /// Waits until this many requests were received, and returns them.
    ///
    /// # Panics
    ///
    /// When they do not come in ten seconds.
    pub async fn wait_for_requests(&self, times: usize) -> Vec<ReceivedRequest> {
        let in_time = self.responder.wait(|calls| times <= calls.len()).await;
        assert!(in_time, "asked {} times and not {times}", self.requests().len());
        self.requests()
    }

    /// Waits until some caller has dropped its connection before its response was complete.
    /// False when that does not happen in ten seconds.
    pub async fn cancelled(&self) -> bool {
        self.responder
            .wait(|calls| calls.iter().any(|seen| seen.outcome == Outcome::Cancelled))
            .await
    }

    /// Forgets the requests so far.
    pub fn forget(&self) {
        self.responder.forget();
    }
}

impl fmt::Debug for FakeProvider {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Fake").field("url", &self.url()).finish_non_exhaustive()
    }
}

impl ReceivedRequest {
    /// The body as JSON, or null if it is not.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// A header as text, empty if it is absent.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

//! The responses that a fake provider can send.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;
use tokio::sync::watch;

/// One response of a script.
#[derive(Clone, Debug)]
pub struct ScriptedResponse {
    pub(super) delay: Duration,
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) content: Content,
}

#[derive(Clone, Debug)]
pub(super) enum Content {
    Whole(Bytes),
    Stream(Vec<Step>),
    Hang,
    Close,
}

/// One step of a streamed response.
#[derive(Clone, Debug)]
pub enum Step {
    /// Sends these bytes as one chunk.
    Frame(Bytes),
    /// Pauses. A latch is better wherever a test can open one.
    Wait(Duration),
    /// Pauses until the test opens the latch.
    Latch(Latch),
    /// Breaks the connection, so that the caller sees an unexpected end.
    Cut,
    /// Sends nothing more and keeps the connection.
    Hang,
}

/// A latch that a test opens to let a stream continue. Clones are the same latch.
#[derive(Clone, Debug)]
pub struct Latch(Arc<watch::Sender<bool>>);

impl ScriptedResponse {
    /// JSON under a status.
    pub fn json(status: u16, value: &Value) -> Self {
        Self::raw(status, "application/json", value.to_string())
    }

    /// Any bytes under a status.
    pub fn raw(status: u16, content_type: &str, body: impl Into<Bytes>) -> Self {
        Self::new(status, Content::Whole(body.into())).header("content-type", content_type)
    }

    /// Accepts the connection and never responds.
    pub fn hang() -> Self {
        Self::new(200, Content::Hang)
    }

    /// Accepts and drops the connection before a status.
    pub fn close() -> Self {
        Self::new(200, Content::Close)
    }

    /// Waits before another response.
    pub fn delay(duration: Duration, answer: Self) -> Self {
        Self { delay: duration, ..answer }
    }

    /// Server-sent events under status 200, in chunks. The stream ends properly unless a step breaks it.
    pub fn stream(steps: impl IntoIterator<Item = Step>) -> Self {
        let steps = steps.into_iter().collect();
        Self::new(200, Content::Stream(steps)).header("content-type", "text/event-stream")
    }

    /// Answers under another status.
    #[must_use]
    pub fn status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    /// Sets a header, in place of one of the same name.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(present, _)| !present.eq_ignore_ascii_case(name));
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    fn new(status: u16, content: Content) -> Self {
        Self { delay: Duration::ZERO, status, headers: Vec::new(), content }
    }
}

impl Step {
    /// Sends this text as one chunk.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Frame(Bytes::from(text.into()))
    }
}

impl Latch {
    /// A closed latch.
    pub fn new() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }

    /// Opens it, for good.
    pub fn open(&self) {
        self.0.send_replace(true);
    }

    /// Waits until it is open.
    pub(super) async fn passed(&self) {
        // The latch cannot go away while this clone of it lives.
        drop(self.0.subscribe().wait_for(|open| *open).await);
    }
}

impl Default for Latch {
    fn default() -> Self {
        Self::new()
    }
}

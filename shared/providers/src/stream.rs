//! A stream of a provider's events, from its first meaningful event on.

mod answered_model;
mod estimate;
mod tee;

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use canonical::{Delta, Error, ErrorKind, EventBody, EventKind, Result, StreamEvent};
use formats::StreamDecoder;
use http_body::Body;
use storage::Secret;
use tokio::time::{Instant, Sleep};

pub use estimate::OutputEstimate;
use tee::Tee;

use crate::{redaction::redact_error, response::broken_body};

/// How long a connection may take to end after its stream, so that it can be kept.
const CONNECTION_END_TIMEOUT: Duration = Duration::from_millis(250);
/// How many bytes may come before the first meaningful event.
const MAX_PRELUDE_BYTES: usize = 1024 * 1024;
/// How much a decoded event counts towards that, since one without text takes room too.
const DELTA_BYTES: usize = 64;

/// Where a stream comes from.
pub(crate) struct Source<'a> {
    pub(crate) provider: &'a str,
    /// The provider's name for the model, which stands where the stream names none.
    pub(crate) model: &'a str,
    /// Values that no message may quote.
    pub(crate) secrets: Arc<[Secret]>,
}

/// The events of one response, in the batches in which they arrived.
pub struct EventStream {
    provider: String,
    model: String,
    secrets: Arc<[Secret]>,
    body: reqwest::Body,
    decoder: Option<Box<dyn StreamDecoder>>,
    idle_timeout: Duration,
    silence: Pin<Box<Sleep>>,
    /// Events that were decoded before they were asked for.
    ready: Vec<StreamEvent>,
    /// The failure that follows the events in `ready`.
    failure: Option<Error>,
    /// The tool whose call is being written, where the response is decoded.
    open_call: Option<String>,
    estimate: OutputEstimate,
    tee: Option<Tee>,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing has come that a client could use: how long that may take is the attempt's limit.
    Prelude,
    /// More events are expected.
    Open,
    /// The stream has ended; the connection has yet to.
    Ended,
    /// Nothing more is given.
    Closed,
}

impl EventStream {
    /// Starts on a response whose headers have arrived.
    pub(crate) fn new(
        source: Source<'_>,
        body: reqwest::Body,
        decoder: Box<dyn StreamDecoder>,
        idle_timeout: Duration,
    ) -> Self {
        Self {
            provider: source.provider.to_owned(),
            model: source.model.to_owned(),
            secrets: source.secrets,
            body,
            decoder: Some(decoder),
            idle_timeout,
            silence: Box::pin(tokio::time::sleep(idle_timeout)),
            ready: vec![],
            failure: None,
            open_call: None,
            estimate: OutputEstimate::default(),
            tee: None,
            state: State::Prelude,
        }
    }

    /// Keeps a copy of the bytes that are received from now on, up to `limit`.
    pub fn tee(&mut self, limit: usize) {
        self.tee = Some(Tee::new(limit));
    }

    /// The bytes that were received since [`EventStream::tee`]; none when they were too many.
    pub fn take_tee(&mut self) -> Option<Bytes> {
        self.tee.take()?.finish()
    }

    /// The output of the stream so far, passed-through frames included.
    pub fn estimate(&self) -> &OutputEstimate {
        &self.estimate
    }

    /// A stream of events that are all there.
    pub(crate) fn from_events(source: Source<'_>, events: Vec<StreamEvent>) -> Self {
        let mut estimate = OutputEstimate::default();
        estimate.add(&events);
        Self {
            provider: source.provider.to_owned(),
            model: source.model.to_owned(),
            secrets: source.secrets,
            body: reqwest::Body::default(),
            decoder: None,
            idle_timeout: Duration::ZERO,
            silence: Box::pin(tokio::time::sleep(Duration::ZERO)),
            ready: events,
            failure: None,
            open_call: None,
            estimate,
            tee: None,
            state: State::Closed,
        }
    }

    /// Waits for the first meaningful event, so that a provider that fails before it can be failed
    /// over.
    pub(crate) async fn await_first_event(&mut self) -> Result<()> {
        let mut seen = vec![];
        let mut size = 0;
        loop {
            let batch = std::future::poll_fn(|cx| self.poll_next(cx)).await;
            let ended = || Error::new(ErrorKind::Upstream, "ended its stream without content");
            let events = batch.ok_or_else(ended)??;
            // Comments and empty deltas could go on for ever and hold the call between two
            // providers.
            size += events.iter().map(size_of_event).sum::<usize>();
            let has_begun = events.iter().any(|event| event.kind.is_meaningful());
            seen.extend(events);
            if has_begun {
                // What was read so far belongs to the response and is given out first.
                self.ready = seen;
                return Ok(());
            }
            if MAX_PRELUDE_BYTES < size {
                let message = format!("sent {} events without content", seen.len());
                return Err(Error::new(ErrorKind::Upstream, message));
            }
        }
    }

    /// The next events. None after a complete stream; a failure is the last thing that is given.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Vec<StreamEvent>>>> {
        loop {
            // Events that were decoded before a failure are whole, and the client gets them first.
            if !self.ready.is_empty() {
                return Poll::Ready(Some(Ok(std::mem::take(&mut self.ready))));
            }
            if let Some(failure) = self.failure.take() {
                self.state = State::Closed;
                return Poll::Ready(Some(Err(self.describe(failure))));
            }
            match self.state {
                State::Closed => return Poll::Ready(None),
                State::Ended => ready!(self.poll_connection_end(cx)),
                State::Prelude | State::Open => ready!(self.poll_bytes(cx)),
            }
        }
    }

    /// The events that end a stream whose connection broke when everything had been sent; none when
    /// it broke before, or when the decoder cannot tell.
    pub fn end_early(&mut self) -> Option<Vec<StreamEvent>> {
        let mut events = vec![];
        self.decoder.take()?.close(&mut events).ok()?;
        let is_whole = events.last().is_some_and(|event| event.kind == EventKind::End);
        if is_whole { Some(events) } else { None }
    }

    /// Decodes bytes that arrived, and notes what they lead to.
    pub(crate) fn push_bytes(&mut self, bytes: Bytes) {
        self.note_received(&bytes);
        let Some(decoder) = &mut self.decoder else { return };
        let known = self.ready.len();

        self.failure = decoder.read(bytes, &mut self.ready).err();
        let events = self.ready.get(known..).unwrap_or_default();
        self.estimate.add(events);
        if self.state == State::Prelude && events.iter().any(|it| it.kind.is_meaningful()) {
            self.state = State::Open;
            self.silence.as_mut().reset(Instant::now() + self.idle_timeout);
        }
        self.name_model();
        self.note_open_call();
        if self.ready.last().is_some_and(|event| event.kind == EventKind::End) {
            self.state = State::Ended;
            // A body that is read to its end gives its connection back to the pool.
            self.silence.as_mut().reset(Instant::now() + CONNECTION_END_TIMEOUT);
        }
    }

    /// Copies bytes that arrived, where they are kept.
    pub(crate) fn note_received(&mut self, bytes: &Bytes) {
        if let Some(tee) = &mut self.tee {
            tee.push(bytes);
        }
    }

    /// A failure with its origin and what it leaves incomplete, without secrets.
    fn describe(&self, error: Error) -> Error {
        let origin = canonical::Origin::Provider(self.provider.clone());
        let error = redact_error(error, &self.secrets).from_origin(origin);
        let Some(tool) = &self.open_call else { return error };
        // A client must not run a tool with half of its arguments, even if they parse.
        let message = format!("{} (its call of `{tool}` is incomplete)", error.message());
        error.with_message(message)
    }

    /// Reads on until there are events or a failure.
    fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) else {
            // Some send the head at once and then work on the prompt for minutes.
            if self.state == State::Prelude {
                return Poll::Pending;
            }
            ready!(self.silence.as_mut().poll(cx));
            self.failure = Some(silence_error(self.idle_timeout));
            return Poll::Ready(());
        };
        match frame {
            Some(Ok(frame)) => {
                self.silence.as_mut().reset(Instant::now() + self.idle_timeout);
                if let Ok(bytes) = frame.into_data() {
                    self.push_bytes(bytes);
                }
            }
            Some(Err(error)) => self.failure = Some(broken_body(error)),
            None => {
                // Only the decoder knows whether an end without a terminator is a whole response.
                self.state = State::Closed;
                let ended = self.decoder.as_mut().map(|decoder| decoder.close(&mut self.ready));
                self.failure = ended.and_then(Result::err);
            }
        }
        Poll::Ready(())
    }

    /// Gives a response that names no model, such as Bedrock's, the target's name.
    fn name_model(&mut self) {
        for event in &mut self.ready {
            if let EventBody::Delta(_, delta) = &mut event.body
                && let Delta::Start { model, .. } = &mut **delta
            {
                model.get_or_insert_with(|| self.model.clone());
            }
        }
    }

    /// Notes which call is being written: half of its arguments may still look like all of them.
    fn note_open_call(&mut self) {
        for event in &self.ready {
            let EventBody::Delta(_, delta) = &event.body else { continue };
            match &**delta {
                Delta::ToolCall { name, .. } => self.open_call = Some(name.clone()),
                Delta::Arguments { .. } | Delta::Usage => {}
                _ => self.open_call = None,
            }
        }
    }

    /// Lets the connection end, so that it can be used again. What still comes does not matter.
    fn poll_connection_end(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let rest = Pin::new(&mut self.body).poll_frame(cx);
        let is_late = self.silence.as_mut().poll(cx).is_ready();
        match rest {
            Poll::Ready(Some(Ok(_))) if !is_late => Poll::Ready(()),
            Poll::Pending if !is_late => Poll::Pending,
            _ => {
                self.state = State::Closed;
                Poll::Ready(())
            }
        }
    }
}

/// The failure of a stream in which nothing came for too long.
pub(crate) fn silence_error(idle_timeout: Duration) -> Error {
    let message = format!("sent nothing for {} s inside its stream", idle_timeout.as_secs_f32());
    Error::new(ErrorKind::Timeout, message)
}

/// How many bytes an event counts as.
fn size_of_event(event: &StreamEvent) -> usize {
    match &event.body {
        EventBody::Frame(frame) => frame.len(),
        EventBody::Delta(..) => DELTA_BYTES,
    }
}

impl fmt::Debug for EventStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventStream").field("provider", &self.provider).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;

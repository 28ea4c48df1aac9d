//! A provider's stream after its first meaningful event.

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
use formats::{EventReader, without_secrets};
use http_body_util::{Either, Full};
use hyper::body::{Body, Incoming};
use storage::Secret;
use tokio::time::{Instant, Sleep};

pub use estimate::OutputEstimate;
use tee::Tee;

/// How long the connection may take to end after the stream's own end, so that it can be kept.
const GRACE: Duration = Duration::from_millis(250);
/// How much may come before anything meaningful.
const LONGEST_PRELUDE: usize = 1024 * 1024;

/// Stored bytes are there at once, so no silence is waited for.
const STORED_IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// Whose answer it is.
pub(crate) struct Source<'a> {
    pub(crate) provider: &'a str,
    /// Values that no message may quote.
    pub(crate) secrets: Arc<[Secret]>,
}

/// The events of one answer, in the batches in which they arrived.
pub struct EventStream {
    provider: String,
    secrets: Arc<[Secret]>,
    body: Either<Incoming, Full<Bytes>>,
    reader: Box<dyn EventReader>,
    idle: Duration,
    silence: Pin<Box<Sleep>>,
    /// Events that were read before anybody asked for them.
    ready: Vec<StreamEvent>,
    /// What the events in `ready` end with.
    fault: Option<Error>,
    /// The tool whose call is being written, where the answer is understood.
    call: Option<String>,
    estimate: OutputEstimate,
    tee: Option<Tee>,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// More is expected.
    Open,
    /// The stream said its last; only the connection has to end.
    Ended,
    /// Nothing more is given.
    Over,
}

impl EventStream {
    /// Starts on an answer whose headers have arrived.
    pub(crate) fn new(
        source: Source<'_>,
        body: Incoming,
        reader: Box<dyn EventReader>,
        idle: Duration,
    ) -> Self {
        Self::from_body(source, Either::Left(body), reader, idle)
    }

    /// A stream of the bytes that an earlier stream has received: the same decoder gives the same
    /// events.
    pub fn stored(provider: &str, bytes: Bytes, reader: Box<dyn EventReader>) -> Self {
        let source = Source { provider, secrets: Arc::from([]) };
        Self::from_body(source, Either::Right(Full::new(bytes)), reader, STORED_IDLE_TIMEOUT)
    }

    fn from_body(
        source: Source<'_>,
        body: Either<Incoming, Full<Bytes>>,
        reader: Box<dyn EventReader>,
        idle: Duration,
    ) -> Self {
        Self {
            provider: source.provider.to_owned(),
            secrets: source.secrets,
            body,
            reader,
            idle,
            silence: Box::pin(tokio::time::sleep(idle)),
            ready: vec![],
            fault: None,
            call: None,
            estimate: OutputEstimate::default(),
            tee: None,
            state: State::Open,
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

    /// What the stream has written so far, passed-through frames included.
    pub fn estimate(&self) -> &OutputEstimate {
        &self.estimate
    }

    /// Waits for the first meaningful event, so that a provider that breaks before can be passed over.
    pub(crate) async fn first(&mut self) -> Result<()> {
        let mut seen = vec![];
        let mut size = 0;
        loop {
            let batch = std::future::poll_fn(|cx| self.poll_next(cx)).await;
            let nothing = || Error::new(ErrorKind::Upstream, "its stream ended without an answer");
            let events = batch.ok_or_else(nothing)??;
            size += events.iter().map(size_of_event).sum::<usize>();
            let meaningful = events.iter().any(|it| it.kind.is_meaningful());
            seen.extend(events);
            if meaningful {
                self.ready = seen;
                return Ok(());
            }
            if LONGEST_PRELUDE < size {
                return Err(Error::new(ErrorKind::Upstream, "it sent much and answered nothing"));
            }
        }
    }

    /// The next events. None after a lawful end; a fault is the last thing that is given.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Vec<StreamEvent>>>> {
        loop {
            if !self.ready.is_empty() {
                return Poll::Ready(Some(Ok(std::mem::take(&mut self.ready))));
            }
            if let Some(fault) = self.fault.take() {
                self.state = State::Over;
                return Poll::Ready(Some(Err(self.named(fault))));
            }
            match self.state {
                State::Over => return Poll::Ready(None),
                State::Ended => ready!(self.poll_rest(cx)),
                State::Open => ready!(self.poll_bytes(cx)),
            }
        }
    }

    fn named(&self, error: Error) -> Error {
        let origin = canonical::Origin::Provider(self.provider.clone());
        let error = quoting_none(error, &self.secrets).from_origin(origin);
        let Some(tool) = &self.call else { return error };
        let message = format!("{} (its call of `{tool}` is incomplete)", error.message());
        error.with_message(message)
    }

    /// Reads on until events or a fault are there.
    fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) else {
            ready!(self.silence.as_mut().poll(cx));
            let message = format!("its stream was silent for {} s", self.idle.as_secs_f32());
            self.fault = Some(Error::new(ErrorKind::Timeout, message));
            return Poll::Ready(());
        };
        match frame {
            Some(Ok(frame)) => {
                self.silence.as_mut().reset(Instant::now() + self.idle);
                if let Ok(bytes) = frame.into_data() {
                    self.take(bytes);
                }
            }
            Some(Err(error)) => {
                let cut = Error::new(ErrorKind::Network, "its stream was cut");
                self.fault = Some(cut.caused_by(error));
            }
            None => {
                self.state = State::Over;
                self.fault = self.reader.close(&mut self.ready).err();
            }
        }
        Poll::Ready(())
    }

    fn take(&mut self, bytes: Bytes) {
        if let Some(tee) = &mut self.tee {
            tee.push(&bytes);
        }
        self.fault = self.reader.read(bytes, &mut self.ready).err();
        self.estimate.add(&self.ready);
        self.note_calls();
        if self.ready.last().is_some_and(|it| it.kind == EventKind::End) {
            self.state = State::Ended;
            self.silence.as_mut().reset(Instant::now() + GRACE);
        }
    }

    /// Notes which call is being written: half of one may still look like a whole.
    fn note_calls(&mut self) {
        for event in &self.ready {
            let EventBody::Delta(_, piece) = &event.body else { continue };
            match &**piece {
                Delta::ToolCall { name, .. } => self.call = Some(name.clone()),
                Delta::Arguments { .. } | Delta::Usage => {}
                _ => self.call = None,
            }
        }
    }

    /// Lets the connection end, so that it can be used again. What comes now does not matter.
    fn poll_rest(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let rest = Pin::new(&mut self.body).poll_frame(cx);
        let late = self.silence.as_mut().poll(cx).is_ready();
        match rest {
            Poll::Ready(Some(Ok(_))) if !late => Poll::Ready(()),
            Poll::Pending if !late => Poll::Pending,
            _ => {
                self.state = State::Over;
                Poll::Ready(())
            }
        }
    }
}

/// How much an event takes; pieces without any text count too.
fn size_of_event(event: &StreamEvent) -> usize {
    match &event.body {
        EventBody::Frame(frame) => frame.len(),
        EventBody::Delta(..) => 64,
    }
}

/// The same failure, in words that quote none of these secrets.
pub(crate) fn quoting_none(mut error: Error, secrets: &[Secret]) -> Error {
    let secrets = || secrets.iter().map(Secret::expose);
    error.param = error.param.take().map(|it| without_secrets(&it, secrets()));
    if !secrets().any(|it| error.message().contains(it)) {
        return error;
    }
    let message = without_secrets(error.message(), secrets());
    error.with_message(message)
}

impl fmt::Debug for EventStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").field("provider", &self.provider).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;

//! From a call to its HTTP answer: whole or streamed, at once or with heartbeats before it.

use std::{
    convert::Infallible,
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use canonical::{ContentKind, Error, ErrorKind, EventBody, EventKind, Result, StreamEvent};
use formats::{Framing, StreamEncoder};
use gateway::{Call, GatewayReply, GatewayReplyBody, MeteredStream};
use http::{HeaderValue, Response, StatusCode, header};
use http_body::Frame;
use tokio::time::{Instant, Sleep};

use crate::{App, body::Guarded, conversation::Format, reply};

/// White space, which may stand before any JSON.
const WHOLE_BEAT: Bytes = Bytes::from_static(b"\n");

/// Who asked, and how they are answered.
pub(crate) struct ClientWriter {
    pub(crate) format: Format,
    /// How the pieces are told apart, if pieces are wanted.
    pub(crate) framing: Option<Framing>,
    pub(crate) request_id: String,
    pub(crate) writer: Box<dyn StreamEncoder>,
}

/// An answer that may still take a while.
type Pending = Pin<Box<dyn Future<Output = Result<GatewayReply>> + Send>>;

/// Answers a call.
pub(crate) async fn respond(app: Arc<App>, asker: ClientWriter, call: Call) -> Response<Body> {
    let beats = app.heartbeats;
    let framing = asker.framing;
    let Some(patience) = (if framing.is_some() { beats.early } else { beats.whole }) else {
        return finished(app.gateway.answer(call).await, asker, beats.stream);
    };
    let mut pending: Pending = Box::pin(async move { app.gateway.answer(call).await });
    match tokio::time::timeout(patience, &mut pending).await {
        Ok(outcome) => finished(outcome, asker, beats.stream),
        Err(_) => {
            let beat = match framing {
                Some(framing) => KeepAlive::stream(patience, asker.format.keep_alive(framing)),
                None => KeepAlive::whole(patience),
            };
            sent(Sending::new(State::Waiting(pending), asker, beat))
        }
    }
}

/// Answers with what is known before the first byte is sent.
fn finished(
    outcome: Result<GatewayReply>,
    asker: ClientWriter,
    beat: Option<Duration>,
) -> Response<Body> {
    let answer = match outcome {
        Ok(answer) => answer,
        Err(error) => return reply::failure_in(asker.format, &error, &asker.request_id),
    };
    let mut headers = http::HeaderMap::with_capacity(16);
    reply::describe(&answer, asker.format, &mut headers);
    let mut response = match answer.body {
        GatewayReplyBody::Whole(response, summary) => {
            reply::json(StatusCode::OK, asker.format.encode(&response, &summary))
        }
        GatewayReplyBody::Stream(watched) => {
            let bytes = asker.format.keep_alive(asker.framing.unwrap_or_default());
            let beat = beat.map_or(KeepAlive::NONE, |every| KeepAlive::stream(every, bytes));
            sent(Sending::new(State::Streaming(watched), asker, beat))
        }
    };
    response.headers_mut().extend(headers);
    response
}

fn sent(sending: Sending) -> Response<Body> {
    let framing = sending.asker.framing;
    let mut response = reply::json(StatusCode::OK, sending.into_body());
    let headers = response.headers_mut();
    if framing == Some(Framing::Events) {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    }
    if framing.is_some() {
        // nginx and its kin hold streams back unless told not to.
        headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    }
    response
}

/// What fills silence, and how often.
struct KeepAlive {
    every: Option<Duration>,
    bytes: Bytes,
    /// Whether the first one is due at once: it is what commits the answer.
    due: bool,
}

impl KeepAlive {
    const NONE: Self = Self { every: None, bytes: Bytes::new(), due: false };

    fn stream(every: Duration, bytes: &'static [u8]) -> Self {
        Self { every: Some(every), bytes: Bytes::from_static(bytes), due: false }
    }

    fn whole(every: Duration) -> Self {
        let every = Some(every.min(Duration::from_secs(15)));
        Self { every, bytes: WHOLE_BEAT, due: true }
    }
}

enum State {
    /// Nothing meaningful is there yet, but the status is committed.
    Waiting(Pending),
    /// Events are written as they come.
    Streaming(Box<MeteredStream>),
    /// Everything is written; the provider's connection may still end.
    Ending(Box<MeteredStream>),
    /// Nothing more is sent.
    Over,
}

/// An answer while it is sent.
struct Sending {
    state: State,
    asker: ClientWriter,
    beat: KeepAlive,
    silence: Option<Pin<Box<Sleep>>>,
    deadline: Option<Pin<Box<Sleep>>>,
    out: BytesMut,
    /// How much of `out` is whole frames.
    whole: usize,
    /// What was left out of the answer.
    unsaid: Vec<ContentKind>,
}

impl Sending {
    fn new(state: State, asker: ClientWriter, mut beat: KeepAlive) -> Self {
        beat.due |= matches!(state, State::Waiting(_));
        let mut sending = Self {
            silence: beat.every.map(|it| Box::pin(tokio::time::sleep(it))),
            state: State::Over,
            asker,
            beat,
            deadline: None,
            out: BytesMut::new(),
            whole: 0,
            unsaid: vec![],
        };
        sending.enter(state);
        sending
    }

    fn into_body(self) -> Body {
        Body::new(Guarded::new(self, Self::last_words))
    }

    /// What is said when sending cannot go on. Half a frame is not.
    fn last_words(&mut self) -> Bytes {
        self.out.truncate(self.whole);
        self.fail(&reply::internal());
        self.out.split().freeze()
    }

    fn enter(&mut self, state: State) {
        if let State::Streaming(watched) = &state
            && let Some(left) = watched.time_left()
        {
            self.deadline = Some(Box::pin(tokio::time::sleep(left)));
        }
        self.state = state;
    }

    /// Goes on until there is something to send. False when there is nothing for now.
    fn advance(&mut self, cx: &mut Context<'_>) -> bool {
        match &mut self.state {
            State::Waiting(pending) => match pending.as_mut().poll(cx) {
                Poll::Pending => return false,
                Poll::Ready(outcome) => self.begin(outcome),
            },
            State::Streaming(watched) => match watched.poll_next(cx) {
                Poll::Pending => return false,
                Poll::Ready(Some(Ok(events))) => self.write(events),
                Poll::Ready(Some(Err(error))) => self.fail(&error),
                Poll::Ready(None) => self.state = State::Over,
            },
            State::Ending(watched) => match watched.poll_next(cx) {
                Poll::Pending => return false,
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Ready(Some(Err(_)) | None) => self.state = State::Over,
            },
            State::Over => return false,
        }
        true
    }

    /// Begins an answer that was waited for.
    fn begin(&mut self, outcome: Result<GatewayReply>) {
        match outcome.map(|it| it.body) {
            Ok(GatewayReplyBody::Stream(watched)) => self.enter(State::Streaming(watched)),
            Ok(GatewayReplyBody::Whole(response, summary)) => {
                self.out.extend_from_slice(&self.asker.format.encode(&response, &summary));
                self.state = State::Over;
            }
            Err(error) => self.fail(&error),
        }
    }

    /// Says, once of each kind, what the client's API has no word for. Its headers are sent.
    fn mention(&mut self, event: &StreamEvent) {
        let EventBody::Delta(_, piece) = &event.body else { return };
        let unsaid =
            piece.content_kind().filter(|it| self.asker.format.unsupported_content().contains(it));
        if let (Some(extra), Some(Framing::Events)) = (unsaid, self.asker.framing)
            && !self.unsaid.contains(&extra)
        {
            self.unsaid.push(extra);
            self.out.extend_from_slice(format!(": dropped {}\n\n", extra.name()).as_bytes());
        }
    }

    fn write(&mut self, events: Vec<StreamEvent>) {
        let mut ended = false;
        for event in events {
            ended |= event.kind == EventKind::End;
            self.mention(&event);
            self.asker.writer.write(event, &mut self.out);
            self.whole = self.out.len();
        }
        if !ended {
            return;
        }
        if let State::Streaming(mut watched) = std::mem::replace(&mut self.state, State::Over) {
            self.asker.writer.end(&watched.finish(), &mut self.out);
            self.state = State::Ending(watched);
        }
    }

    fn fail(&mut self, error: &Error) {
        let ClientWriter { format, framing, request_id, writer } = &mut self.asker;
        match framing {
            Some(_) => writer.fail(error, request_id, &mut self.out),
            None => self.out.extend_from_slice(&format.error(error, request_id)),
        }
        self.state = State::Over;
    }

    /// Ends a stream that the platform is about to end.
    fn is_late(&mut self, cx: &mut Context<'_>) -> bool {
        let State::Streaming(watched) = &mut self.state else {
            return false;
        };
        let late = self.deadline.as_mut().is_some_and(|it| it.as_mut().poll(cx).is_ready());
        if late {
            let error = Error::new(
                ErrorKind::Timeout,
                "The time for this request is over; the answer is cut.",
            );
            watched.failed(&error);
            self.fail(&error);
        }
        late
    }

    /// Whether silence has lasted long enough to be filled.
    fn is_silent(&mut self, cx: &mut Context<'_>) -> bool {
        if std::mem::take(&mut self.beat.due) {
            return true;
        }
        !matches!(self.state, State::Ending(_))
            && self.silence.as_mut().is_some_and(|it| it.as_mut().poll(cx).is_ready())
    }

    fn frame(&mut self, bytes: Bytes) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let (Some(silence), Some(every)) = (&mut self.silence, self.beat.every) {
            silence.as_mut().reset(Instant::now() + every);
        }
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }
}

impl http_body::Body for Sending {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        loop {
            let more = self.advance(cx);
            if !self.out.is_empty() {
                let bytes = self.out.split().freeze();
                self.whole = 0;
                return self.frame(bytes);
            }
            if more {
                continue;
            }
            if matches!(self.state, State::Over) {
                return Poll::Ready(None);
            }
            if self.is_late(cx) {
                continue;
            }
            if self.is_silent(cx) {
                let beat = self.beat.bytes.clone();
                return self.frame(beat);
            }
            return Poll::Pending;
        }
    }
}

impl fmt::Debug for Sending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sending")
    }
}

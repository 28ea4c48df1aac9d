//! From a call to its HTTP response: whole or streamed, at once or with keep-alives before it.

use std::{
    convert::Infallible,
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use canonical::{
    CallSummary, ContentKind, Error, ErrorKind, ErrorWords, EventBody, EventKind, GatewayResponse,
    Result, StreamEvent,
};
use formats::{ClientFormat, Framing, StreamEncoder};
use gateway::{
    AdmittedCall, CallInFlight, ClientResponse, ClientResponseBody, MeteredStream, Reservation,
};
use http::{HeaderValue, Response, StatusCode, header};
use http_body::Frame;
use tokio::time::{Instant, Sleep};

use crate::{
    body::{Body, GuardedBody, boxed},
    front::App,
    response,
    shutdown::{Phase, Stopping, stopping_error},
};

/// White space, which may stand before any JSON.
const JSON_KEEP_ALIVE: Bytes = Bytes::from_static(b"\n");

/// The writer of a response to the client.
pub(crate) struct ClientWriter {
    pub(crate) format: ClientFormat,
    /// How the elements of a stream are framed; none for a whole response.
    pub(crate) framing: Option<Framing>,
    pub(crate) request_id: String,
    /// Whose words the client reads in errors.
    pub(crate) error_words: Option<ErrorWords>,
    /// None for a task without streams.
    pub(crate) encoder: Option<Box<dyn StreamEncoder>>,
    /// The memory of the call's buffers, held until the response is over.
    pub(crate) _buffers: Reservation,
    /// Counts the call as long as its response is not over.
    pub(crate) in_flight: CallInFlight,
}

impl ClientWriter {
    fn encode(&self, response: &GatewayResponse, summary: &CallSummary) -> Bytes {
        self.format.encode(response, summary, self.encoder.as_deref())
    }
}

/// A response that is still being made.
type PendingResponse = Pin<Box<dyn Future<Output = Result<ClientResponse>> + Send>>;

/// Responds to a call.
pub(crate) async fn respond(
    app: Arc<App>,
    client: ClientWriter,
    call: AdmittedCall,
) -> Result<Response<Body>> {
    let settings = app.keep_alive;
    let framing = client.framing;

    // White space before audio or a plain text would become a part of it.
    if framing.is_none() && call.task().is_opaque() {
        return Ok(encode(app.gateway.respond(call).await?, client, &app));
    }
    let Some(silence) = (if framing.is_some() { settings.early } else { settings.whole }) else {
        return Ok(encode(app.gateway.respond(call).await?, client, &app));
    };

    let gateway = app.clone();
    let mut pending: PendingResponse = Box::pin(async move { gateway.gateway.respond(call).await });
    // By reference: when time is up the call goes on, and only its status is decided.
    match tokio::time::timeout(silence, &mut pending).await {
        Ok(response) => Ok(encode(response?, client, &app)),
        Err(_) => {
            let keep_alive = match framing {
                Some(framing) => KeepAlive::stream(silence, client.format.keep_alive(framing)),
                None => KeepAlive::whole(silence),
            };
            let state = State::Waiting(pending);
            Ok(stream(ResponseStream::new(state, client, keep_alive, &app.stopping)))
        }
    }
}

/// The response to a call that succeeded before the first byte was sent.
fn encode(response: ClientResponse, client: ClientWriter, app: &App) -> Response<Body> {
    let mut headers = http::HeaderMap::with_capacity(16);
    response::add_headers(&response, client.format, &mut headers);
    let content_type =
        response.content_type.as_deref().and_then(|it| HeaderValue::from_str(it).ok());
    let mut http_response = match response.body {
        ClientResponseBody::Whole(whole, summary) => {
            response::json(StatusCode::OK, client.encode(&whole, &summary))
        }
        ClientResponseBody::Stream(events) => {
            let bytes = client.format.keep_alive(client.framing.unwrap_or_default());
            let silence = app.keep_alive.stream;
            let keep_alive =
                silence.map_or(KeepAlive::NONE, |every| KeepAlive::stream(every, bytes));
            // Bytes without frames, such as audio, have no place for a keep-alive.
            let keep_alive = if client.framing.is_some() { keep_alive } else { KeepAlive::NONE };
            let state = State::Streaming(events);
            let mut http_response =
                stream(ResponseStream::new(state, client, keep_alive, &app.stopping));
            if let Some(kind) = content_type {
                http_response.headers_mut().insert(header::CONTENT_TYPE, kind);
            }
            http_response
        }
    };

    // The few headers of the body join the many of the response, which are not hashed again.
    let of_body = std::mem::replace(http_response.headers_mut(), headers);
    http_response.headers_mut().extend(of_body);
    http_response
}

fn stream(stream: ResponseStream) -> Response<Body> {
    let framing = stream.client.framing;
    let mut response = response::json_body(StatusCode::OK, stream.into_body());
    let headers = response.headers_mut();
    if framing == Some(Framing::Events) {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    }
    if framing.is_some() {
        // nginx and others hold streams back without this header.
        headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    }
    response
}

/// The bytes that fill silence, and how often.
struct KeepAlive {
    every: Option<Duration>,
    bytes: Bytes,
    /// Whether the first one is due at once: it commits the status.
    due: bool,
}

impl KeepAlive {
    const NONE: Self = Self { every: None, bytes: Bytes::new(), due: false };

    fn stream(every: Duration, bytes: &'static [u8]) -> Self {
        Self { every: Some(every), bytes: Bytes::from_static(bytes), due: false }
    }

    fn whole(every: Duration) -> Self {
        // The first one waits long, since it commits the status; later ones only keep proxies
        // patient.
        let every = Some(every.min(Duration::from_secs(15)));
        Self { every, bytes: JSON_KEEP_ALIVE, due: true }
    }
}

enum State {
    /// There is no event yet, but the status is committed.
    Waiting(PendingResponse),
    /// Events are written as they come.
    Streaming(Box<MeteredStream>),
    /// Everything is written; the provider's connection may still end.
    Ending(Box<MeteredStream>),
    /// Nothing more is sent.
    Over,
}

/// A response while it is sent.
struct ResponseStream {
    state: State,
    client: ClientWriter,
    keep_alive: KeepAlive,
    silence: Option<Pin<Box<Sleep>>>,
    deadline: Option<Pin<Box<Sleep>>>,
    /// The end of a server that stops, which no stream outlives.
    stopped: Pin<Box<dyn Future<Output = ()> + Send>>,
    out: BytesMut,
    /// How many bytes of `out` are whole frames.
    whole: usize,
    /// The content that was dropped from the response so far.
    dropped: Vec<ContentKind>,
}

impl ResponseStream {
    fn new(
        state: State,
        client: ClientWriter,
        mut keep_alive: KeepAlive,
        stopping: &Stopping,
    ) -> Self {
        keep_alive.due |= matches!(state, State::Waiting(_));
        let mut sending = Self {
            silence: keep_alive.every.map(|it| Box::pin(tokio::time::sleep(it))),
            state: State::Over,
            client,
            keep_alive,
            deadline: None,
            stopped: Box::pin(stopping.clone().reached(Phase::Ending)),
            out: BytesMut::new(),
            whole: 0,
            dropped: vec![],
        };
        sending.enter(state);
        sending
    }

    fn into_body(self) -> Body {
        boxed(GuardedBody::new(self, Self::write_end))
    }

    /// Writes the end of a stream that cannot go on, in place of half a frame.
    fn write_end(&mut self) -> Bytes {
        self.out.truncate(self.whole);
        self.fail(response::internal_error());
        self.out.split().freeze()
    }

    fn enter(&mut self, state: State) {
        if let State::Streaming(events) = &state
            && let Some(left) = events.time_left()
        {
            self.deadline = Some(Box::pin(tokio::time::sleep(left)));
        }
        self.state = state;
    }

    /// Takes one step. False when there is nothing to do for now.
    fn advance(&mut self, cx: &mut Context<'_>) -> bool {
        match &mut self.state {
            State::Waiting(pending) => match pending.as_mut().poll(cx) {
                Poll::Pending => return false,
                Poll::Ready(outcome) => self.begin(outcome),
            },
            State::Streaming(events) => match events.poll_next(cx) {
                Poll::Pending => return false,
                Poll::Ready(Some(Ok(batch))) => {
                    // Before the events of the batch: the note is about what they continue.
                    let note = events.take_note();
                    if let Some(note) = note {
                        self.write_comment(&note);
                    }
                    self.write(batch);
                }
                Poll::Ready(Some(Err(error))) => self.fail(error),
                Poll::Ready(None) => self.state = State::Over,
            },
            State::Ending(events) => match events.poll_next(cx) {
                Poll::Pending => return false,
                // The response is over for the client; what follows only lets the connection be
                // used again.
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Ready(Some(Err(_)) | None) => self.state = State::Over,
            },
            State::Over => return false,
        }
        true
    }

    /// Begins a response that was waited for.
    fn begin(&mut self, outcome: Result<ClientResponse>) {
        match outcome.map(|it| it.body) {
            Ok(ClientResponseBody::Stream(events)) => self.enter(State::Streaming(events)),
            Ok(ClientResponseBody::Whole(response, summary)) => {
                self.out.extend_from_slice(&self.client.encode(&response, &summary));
                self.state = State::Over;
            }
            Err(error) => self.fail(error),
        }
    }

    /// Names, once of each kind, what the client's format has no field for. The headers are sent.
    fn name_dropped(&mut self, event: &StreamEvent) {
        let EventBody::Delta(_, delta) = &event.body else { return };
        let unsupported =
            delta.content_kind().filter(|it| self.client.format.unsupported_content().contains(it));
        // Only server-sent events have comments; a JSON array has no room for a remark.
        if let (Some(extra), Some(Framing::Events)) = (unsupported, self.client.framing)
            && !self.dropped.contains(&extra)
        {
            self.dropped.push(extra);
            self.write_comment(&format!("dropped {}", extra.name()));
        }
    }

    /// Tells a client in a comment what no event of its format can say.
    fn write_comment(&mut self, text: &str) {
        let has_events = self.client.framing == Some(Framing::Events);
        if has_events && self.client.format.takes_comments() {
            self.out.extend_from_slice(format!(": {text}\n\n").as_bytes());
        }
    }

    fn write(&mut self, batch: Vec<StreamEvent>) {
        let mut ended = false;
        for event in batch {
            ended |= event.kind == EventKind::End;
            self.name_dropped(&event);
            if let Some(encoder) = &mut self.client.encoder {
                encoder.write(event, &mut self.out);
            }
            self.whole = self.out.len();
        }
        if !ended {
            return;
        }
        // The summary needs the usage, which the provider may have sent with the very last event.
        if let State::Streaming(mut events) = std::mem::replace(&mut self.state, State::Over) {
            let summary = events.finish();
            if let Some(encoder) = &mut self.client.encoder {
                encoder.end(&summary, &mut self.out);
            }
            self.state = State::Ending(events);
        }
    }

    fn fail(&mut self, mut error: Error) {
        let ClientWriter { format, framing, request_id, error_words, encoder, .. } =
            &mut self.client;
        error.words = *error_words;
        match encoder {
            Some(encoder) if framing.is_some() => encoder.fail(&error, request_id, &mut self.out),
            _ => self.out.extend_from_slice(&format.inbound().error(&error, request_id)),
        }
        self.state = State::Over;
    }

    /// Ends a response that the platform, or the end of the server, is about to end.
    fn end_when_late(&mut self, cx: &mut Context<'_>) -> bool {
        let error = if self.deadline.as_mut().is_some_and(|it| it.as_mut().poll(cx).is_ready()) {
            let message = "The time for this request is over; the response is incomplete.";
            Error::new(ErrorKind::Timeout, message)
        } else if self.stopped.as_mut().poll(cx).is_ready() {
            stopping_error()
        } else {
            return false;
        };
        match &mut self.state {
            // Noted before the client's frame, so that the record says timeout and not canceled.
            State::Streaming(events) => events.stopped(&error),
            State::Waiting(_) => {}
            // Nothing is missing from the response, which ends as it should.
            State::Ending(_) | State::Over => {
                self.state = State::Over;
                return true;
            }
        }
        self.fail(error);
        true
    }

    /// Whether the silence has lasted long enough to be filled.
    fn is_silent(&mut self, cx: &mut Context<'_>) -> bool {
        if std::mem::take(&mut self.keep_alive.due) {
            return true;
        }
        // After its end a stream must bring nothing more, not even a comment.
        !matches!(self.state, State::Ending(_))
            && self.silence.as_mut().is_some_and(|it| it.as_mut().poll(cx).is_ready())
    }

    fn frame(&mut self, bytes: Bytes) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        // Any byte counts as a sign of life, so that the next keep-alive is due from here on.
        if let (Some(silence), Some(every)) = (&mut self.silence, self.keep_alive.every) {
            silence.as_mut().reset(Instant::now() + every);
        }
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }
}

impl http_body::Body for ResponseStream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        loop {
            let more = self.advance(cx);
            // What is ready goes out before anything is polled again, so that no token waits for
            // the next one.
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
            // After the stream itself: events that are there already are still delivered.
            if self.end_when_late(cx) {
                continue;
            }
            if self.is_silent(cx) {
                let keep_alive = self.keep_alive.bytes.clone();
                return self.frame(keep_alive);
            }
            return Poll::Pending;
        }
    }
}

impl fmt::Debug for ResponseStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResponseStream")
    }
}

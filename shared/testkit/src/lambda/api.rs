//! The Runtime API, where a function's process gets events and posts its responses.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;

use super::environment::{Environment, ResponseSender};
use super::pool::Pool;
use super::process::REGION;
use super::report::Outcome;
use super::response::{self, Relay};
use super::{Mode, event};
use crate::body::Body;

/// Lambda's limit for a buffered response.
const LIMIT: usize = 6 * 1024 * 1024;

/// What every path of the API begins with.
const PREFIX: &str = "/2018-06-01/runtime/";

/// Answers one request of the process in `environment`.
pub(super) async fn answer(
    pool: Arc<Pool>,
    environment: Arc<Environment>,
    request: Request<Incoming>,
) -> io::Result<Response<Body>> {
    let (head, body) = request.into_parts();
    let path = head.uri.path().strip_prefix(PREFIX).unwrap_or_default();
    let segments: Vec<_> = path.split('/').collect();
    match (&head.method, segments.as_slice()) {
        (&Method::GET, ["invocation", "next"]) => next(&pool, &environment).await,
        (&Method::POST, ["invocation", id, "response"]) => {
            let Some(response_sender) = environment.take_response_sender(id) else {
                return Ok(response::plain(400, r#"{"errorType":"InvalidRequestID"}"#));
            };
            // On a task of its own, so that it outlives the connection of a dying process.
            let call = Answering { pool, environment, response_sender: Some(response_sender) };
            let answered = tokio::spawn(call.answered(head.headers, body));
            answered.await.map_err(io::Error::other)
        }
        (&Method::POST, ["invocation", id, "error"]) => {
            let response_sender = environment.take_response_sender(id);
            let error = body.collect().await.map_err(io::Error::other)?.to_bytes();
            environment.ended(&pool, Outcome::Failed(text(&error)));
            pool.finishing(environment.number);
            drop(response_sender);
            Ok(accepted())
        }
        (&Method::POST, ["init", "error"]) => {
            let error = body.collect().await.map_err(io::Error::other)?.to_bytes();
            pool.ledger.warn(&pool.function.name, format!("it failed to start: {}", text(&error)));
            environment.kill();
            Ok(accepted())
        }
        _ => {
            let warning =
                format!("it asked the Runtime API for {} {}", head.method, head.uri.path());
            pool.ledger.warn(&pool.function.name, warning);
            Ok(response::plain(404, "not in this emulator"))
        }
    }
}

async fn next(pool: &Arc<Pool>, environment: &Arc<Environment>) -> io::Result<Response<Body>> {
    if environment.asks(pool) {
        pool.idle(environment.number);
    }
    let call = environment.begins(pool).await;
    let deadline = event::now() + pool.function.timeout;
    let arn = format!("arn:aws:lambda:{REGION}:000000000000:function:{}", pool.function.name);
    Response::builder()
        .header("content-type", "application/json")
        .header("lambda-runtime-aws-request-id", call.request_id)
        .header("lambda-runtime-deadline-ms", deadline.as_millis().to_string())
        .header("lambda-runtime-invoked-function-arn", arn)
        .header("lambda-runtime-trace-id", call.trace_id)
        .body(Body::whole(call.event))
        .map_err(io::Error::other)
}

/// A call whose response has begun.
struct Answering {
    pool: Arc<Pool>,
    environment: Arc<Environment>,
    response_sender: Option<ResponseSender>,
}

impl Answering {
    async fn answered(self, headers: HeaderMap, body: Incoming) -> Response<Body> {
        let mode = headers.get("lambda-runtime-function-response-mode");
        let streams = mode.is_some_and(|mode| mode == "streaming");
        match (streams, self.pool.function.mode) {
            (true, Mode::ResponseStream) => self.stream(body).await,
            (true, Mode::Buffered) => {
                self.warn("it streamed an answer, and its URL is declared to buffer");
                self.discard(body).await
            }
            (false, mode) => {
                if mode == Mode::ResponseStream {
                    self.warn("it buffered an answer, and its URL is declared to stream");
                }
                self.buffer(body).await
            }
        }
    }

    async fn stream(mut self, mut body: Incoming) -> Response<Body> {
        let mut relay = Relay::new(self.response_sender.take());
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else {
                return self.broken_off().await;
            };
            let taken = match frame.into_data() {
                Ok(bytes) => relay.take(bytes),
                Err(frame) => match frame.trailers_ref().and_then(response::error_in) {
                    Some(error) => {
                        self.warn(format!("its stream ended with an error: {error}"));
                        return self.ended(Outcome::Failed(error));
                    }
                    None => Ok(()),
                },
            };
            if let Err(wrong) = taken {
                self.warn(wrong);
            }
        }
        if let Some(wrong) = relay.missing() {
            self.warn(wrong);
        }
        // The report is written before the client sees the end.
        let accepted = self.ended(Outcome::Answered);
        relay.finish();
        accepted
    }

    async fn buffer(mut self, body: Incoming) -> Response<Body> {
        let Ok(body) = body.collect().await else {
            return self.broken_off().await;
        };
        let body = body.to_bytes();
        if LIMIT < body.len() {
            self.warn("its buffered answer is larger than 6 MB");
            self.ended(Outcome::Failed("Function.ResponseSizeTooLarge".to_owned()));
            return response::plain(413, r#"{"errorType":"RequestEntityTooLarge"}"#);
        }
        let response = response::buffered(&body).unwrap_or_else(|wrong| {
            self.warn(format!("its answer is none: {wrong}"));
            response::bad_gateway()
        });
        let response_sender = self.response_sender.take();
        let accepted = self.ended(Outcome::Answered);
        if let Some(response_sender) = response_sender {
            // The client may be gone.
            drop(response_sender.send(response));
        }
        accepted
    }

    async fn discard(self, body: Incoming) -> Response<Body> {
        drop(body.collect().await);
        self.ended(Outcome::Answered)
    }

    /// The process broke off in the middle: most likely it is dead, which is noted elsewhere.
    async fn broken_off(self) -> Response<Body> {
        self.environment.gone().await;
        self.ended(Outcome::Failed("it broke its answer off".to_owned()))
    }

    fn ended(&self, outcome: Outcome) -> Response<Body> {
        self.environment.ended(&self.pool, outcome);
        self.pool.finishing(self.environment.number);
        accepted()
    }

    fn warn(&self, text: impl Into<String>) {
        self.pool.ledger.warn(&self.pool.function.name, text);
    }
}

fn accepted() -> Response<Body> {
    let mut response = response::plain(202, r#"{"status":"OK"}"#);
    let json = http::HeaderValue::from_static("application/json");
    response.headers_mut().insert(http::header::CONTENT_TYPE, json);
    response
}

fn text(bytes: &Bytes) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

//! Records the requests of a fake provider and sends its responses.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use http::header::AUTHORIZATION;
use http::{HeaderMap, Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::json;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::watch;

use super::response::{Content, ScriptedResponse, Step};
use super::{Outcome, ReceivedRequest, WAIT_TIMEOUT};
use crate::body::{Body, Chunk, Ending};

/// A script, and the requests received so far.
#[derive(Debug, Default)]
pub(super) struct Responder {
    plan: Mutex<Plan>,
    respond_fn: Option<RespondFn>,
    calls: watch::Sender<Calls>,
}

/// Computes a response from the request, in place of a script.
pub(super) struct RespondFn(Box<dyn Fn(&ReceivedRequest) -> ScriptedResponse + Send + Sync>);

impl fmt::Debug for RespondFn {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Judge")
    }
}

/// Every request since the last call of `forget`.
type Calls = Vec<ReceivedRequest>;

#[derive(Debug, Default)]
struct Plan {
    answers: VecDeque<ScriptedResponse>,
    bearer: Option<String>,
}

impl Responder {
    pub(super) fn responding_with(
        respond_fn: impl Fn(&ReceivedRequest) -> ScriptedResponse + Send + Sync + 'static,
    ) -> Self {
        Self { respond_fn: Some(RespondFn(Box::new(respond_fn))), ..Self::default() }
    }

    pub(super) fn script(&self, answers: VecDeque<ScriptedResponse>) {
        self.with_plan(|plan| plan.answers = answers);
    }

    pub(super) fn require(&self, key: &str) {
        self.with_plan(|plan| plan.bearer = Some(format!("Bearer {key}")));
    }

    pub(super) fn calls(&self) -> watch::Receiver<Calls> {
        self.calls.subscribe()
    }

    pub(super) fn forget(&self) {
        self.calls.send_replace(Calls::new());
    }

    /// Waits until the requests meet a condition; false after the timeout.
    pub(super) async fn wait(&self, condition: impl FnMut(&Calls) -> bool) -> bool {
        let mut calls = self.calls();
        let in_time = tokio::time::timeout(WAIT_TIMEOUT, calls.wait_for(condition)).await;
        in_time.is_ok_and(|in_time| in_time.is_ok())
    }

    /// Waits for a disconnect before the end of a response; false after the timeout.
    pub(super) async fn cancelled(&self) -> bool {
        self.wait(|calls| calls.iter().any(|seen| seen.outcome == Outcome::Cancelled)).await
    }

    /// Records one request and sends it the next response.
    pub(super) async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> io::Result<Response<Body>> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
        let target = head.uri.path_and_query().map_or("/", |target| target.as_str()).to_owned();
        let seen = ReceivedRequest {
            method: head.method,
            target,
            headers: head.headers,
            body,
            outcome: Outcome::Open,
        };
        let answer = match &self.respond_fn {
            Some(RespondFn(respond_fn)) => respond_fn(&seen),
            None => self.next(&seen.headers),
        };
        let ending = self.note(seen);
        if !answer.delay.is_zero() {
            tokio::time::sleep(answer.delay).await;
        }
        respond(answer, ending).await
    }

    fn next(&self, headers: &HeaderMap) -> ScriptedResponse {
        self.with_plan(|plan| {
            if plan.bearer.as_deref().is_some_and(|bearer| !has_bearer(headers, bearer)) {
                return wrong_key();
            }
            match plan.answers.len() {
                0 => ScriptedResponse::raw(500, "text/plain", "the test has scripted no answer"),
                1 => plan.answers[0].clone(),
                _ => plan.answers.pop_front().expect("there are two or more"),
            }
        })
    }

    fn note(self: &Arc<Self>, seen: ReceivedRequest) -> Ending {
        let mut index = 0;
        self.calls.send_modify(|calls| {
            index = calls.len();
            calls.push(seen);
        });
        let responder = Arc::clone(self);
        Ending::new(move |complete| {
            let outcome = if complete { Outcome::Complete } else { Outcome::Cancelled };
            responder.calls.send_modify(|calls| {
                if let Some(seen) = calls.get_mut(index) {
                    seen.outcome = outcome;
                }
            });
        })
    }

    fn with_plan<T>(&self, change: impl FnOnce(&mut Plan) -> T) -> T {
        change(&mut self.plan.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

async fn respond(answer: ScriptedResponse, ending: Ending) -> io::Result<Response<Body>> {
    let ScriptedResponse { status, headers, content, .. } = answer;
    let body = match content {
        Content::Whole(bytes) => Body::whole(bytes).with_ending(ending),
        Content::Stream(steps) => {
            let (chunks, body) = Body::piped();
            tokio::spawn(send_steps(steps, chunks));
            body.with_ending(ending)
        }
        Content::Hang => {
            let _open = ending;
            std::future::pending().await
        }
        Content::Close => {
            ending.complete();
            return Err(io::Error::other("closed on purpose"));
        }
    };
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(name, value);
    }
    response.body(body).map_err(io::Error::other)
}

/// Does the steps of a stream until they end or the caller is gone.
async fn send_steps(steps: Vec<Step>, chunks: UnboundedSender<Chunk>) {
    for step in steps {
        let sent = match step {
            Step::Frame(bytes) => chunks.send(Chunk::Data(bytes)),
            Step::Cut => {
                drop(chunks.send(Chunk::Cut));
                return;
            }
            Step::Wait(_) | Step::Latch(_) | Step::Hang => {
                tokio::select! {
                    () = pause(step) => Ok(()),
                    () = chunks.closed() => return,
                }
            }
        };
        if sent.is_err() {
            return;
        }
    }
}

async fn pause(step: Step) {
    match step {
        Step::Wait(duration) => tokio::time::sleep(duration).await,
        Step::Latch(latch) => latch.passed().await,
        Step::Hang => std::future::pending().await,
        Step::Frame(_) | Step::Cut => {}
    }
}

fn has_bearer(headers: &HeaderMap, bearer: &str) -> bool {
    headers.get(AUTHORIZATION).is_some_and(|value| value.as_bytes() == bearer.as_bytes())
}

fn wrong_key() -> ScriptedResponse {
    ScriptedResponse::json(
        401,
        &json!({"error": {
            "message": "Incorrect API key provided.",
            "type": "invalid_request_error",
            "param": null,
            "code": "invalid_api_key",
        }}),
    )
}

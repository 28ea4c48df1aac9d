//! Where a fake provider's calls come in and its answers go out.

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

use super::answer::{Answer, Content, Step};
use super::{Outcome, PATIENCE, Seen};
use crate::body::{Body, Ending, Piece};

/// A script, and the calls it has answered.
#[derive(Debug, Default)]
pub(super) struct Desk {
    plan: Mutex<Plan>,
    judge: Option<Judge>,
    calls: watch::Sender<Calls>,
}

/// Answers by looking at the request, in place of a script.
pub(super) struct Judge(Box<dyn Fn(&Seen) -> Answer + Send + Sync>);

impl fmt::Debug for Judge {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Judge")
    }
}

/// Every call since the provider was last told to forget.
type Calls = Vec<Seen>;

#[derive(Debug, Default)]
struct Plan {
    answers: VecDeque<Answer>,
    bearer: Option<String>,
}

impl Desk {
    pub(super) fn judging(judge: impl Fn(&Seen) -> Answer + Send + Sync + 'static) -> Self {
        Self { judge: Some(Judge(Box::new(judge))), ..Self::default() }
    }

    pub(super) fn script(&self, answers: VecDeque<Answer>) {
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

    /// Waits for the calls to be as wished, and says whether it came to that.
    pub(super) async fn wait(&self, wished: impl FnMut(&Calls) -> bool) -> bool {
        let mut calls = self.calls();
        let come = tokio::time::timeout(PATIENCE, calls.wait_for(wished)).await;
        come.is_ok_and(|come| come.is_ok())
    }

    /// Waits for a caller that leaves too early, and says whether one did.
    pub(super) async fn cancelled(&self) -> bool {
        self.wait(|calls| calls.iter().any(|seen| seen.outcome == Outcome::Cancelled)).await
    }

    /// Takes down one call and gives it the next answer.
    pub(super) async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> io::Result<Response<Body>> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
        let target = head.uri.path_and_query().map_or("/", |target| target.as_str()).to_owned();
        let seen = Seen {
            method: head.method,
            target,
            headers: head.headers,
            body,
            outcome: Outcome::Open,
        };
        let answer = match &self.judge {
            Some(Judge(judge)) => judge(&seen),
            None => self.next(&seen.headers),
        };
        let ending = self.note(seen);
        if !answer.delay.is_zero() {
            tokio::time::sleep(answer.delay).await;
        }
        give(answer, ending).await
    }

    fn next(&self, headers: &HeaderMap) -> Answer {
        self.with_plan(|plan| {
            if plan.bearer.as_deref().is_some_and(|bearer| !brings(headers, bearer)) {
                return wrong_key();
            }
            match plan.answers.len() {
                0 => Answer::raw(500, "text/plain", "the test has scripted no answer"),
                1 => plan.answers[0].clone(),
                _ => plan.answers.pop_front().expect("there are two or more"),
            }
        })
    }

    fn note(self: &Arc<Self>, seen: Seen) -> Ending {
        let mut index = 0;
        self.calls.send_modify(|calls| {
            index = calls.len();
            calls.push(seen);
        });
        let desk = Arc::clone(self);
        Ending::new(move |complete| {
            let outcome = if complete { Outcome::Complete } else { Outcome::Cancelled };
            desk.calls.send_modify(|calls| {
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

async fn give(answer: Answer, ending: Ending) -> io::Result<Response<Body>> {
    let Answer { status, headers, content, .. } = answer;
    let body = match content {
        Content::Whole(bytes) => Body::whole(bytes).with_ending(ending),
        Content::Stream(steps) => {
            let (pieces, body) = Body::piped();
            tokio::spawn(play(steps, pieces));
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
async fn play(steps: Vec<Step>, pieces: UnboundedSender<Piece>) {
    for step in steps {
        let sent = match step {
            Step::Frame(bytes) => pieces.send(Piece::Data(bytes)),
            Step::Cut => {
                drop(pieces.send(Piece::Cut));
                return;
            }
            Step::Wait(_) | Step::Gate(_) | Step::Hang => {
                tokio::select! {
                    () = pause(step) => Ok(()),
                    () = pieces.closed() => return,
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
        Step::Gate(gate) => gate.passed().await,
        Step::Hang => std::future::pending().await,
        Step::Frame(_) | Step::Cut => {}
    }
}

fn brings(headers: &HeaderMap, bearer: &str) -> bool {
    headers.get(AUTHORIZATION).is_some_and(|value| value.as_bytes() == bearer.as_bytes())
}

fn wrong_key() -> Answer {
    Answer::json(
        401,
        &json!({"error": {
            "message": "Incorrect API key provided.",
            "type": "invalid_request_error",
            "param": null,
            "code": "invalid_api_key",
        }}),
    )
}

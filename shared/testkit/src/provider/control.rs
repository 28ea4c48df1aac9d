//! Control of a fake provider over HTTP, for tests in another process.
//!
//! The program `fake-provider` describes how.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use http::{Method, Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::{Value, json};

use super::responder::Responder;
use super::response::Latch;
use super::{Outcome, ReceivedRequest, script};
use crate::body::Body;

/// The latches of the current script, by name.
#[derive(Debug, Default)]
pub(super) struct Control {
    latches: Mutex<BTreeMap<String, Latch>>,
}

impl Control {
    /// Executes a request to a control path, and passes any other to the script.
    pub(super) async fn answer(
        self: Arc<Self>,
        responder: Arc<Responder>,
        request: Request<Incoming>,
    ) -> io::Result<Response<Body>> {
        let Some(word) = request.uri().path().strip_prefix("/_").map(str::to_owned) else {
            return responder.answer(request).await;
        };
        let method = request.method().clone();
        let body = request.into_body().collect().await.map_err(io::Error::other)?.to_bytes();
        let (status, answer) = match (method, word.split_once('/').unwrap_or((&word, ""))) {
            (Method::PUT, ("script", "")) => self.script(&responder, &body),
            (Method::PUT, ("latch", name)) => self.open(name),
            (Method::PUT, ("bearer", "")) => {
                responder.require(&String::from_utf8_lossy(&body));
                (200, Value::Null)
            }
            (Method::GET, ("seen", "")) => {
                (200, responder.calls().borrow().iter().map(ReceivedRequest::describe).collect())
            }
            (Method::GET, ("cancelled", "")) => (200, responder.cancelled().await.into()),
            _ => (404, "there is no such control".into()),
        };
        Response::builder()
            .status(status)
            .header("content-type", "application/json")
            .body(Body::whole(answer.to_string()))
            .map_err(io::Error::other)
    }

    fn script(&self, responder: &Responder, body: &[u8]) -> (u16, Value) {
        match script::parse(body) {
            Ok((answers, latches)) => {
                *self.latches.lock().unwrap_or_else(PoisonError::into_inner) = latches;
                responder.forget();
                responder.script(answers.into());
                (200, Value::Null)
            }
            Err(error) => (400, error.to_string().into()),
        }
    }

    fn open(&self, name: &str) -> (u16, Value) {
        let latches = self.latches.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(latch) = latches.get(name) else {
            return (404, format!("the script has no latch {name}").into());
        };
        latch.open();
        (200, Value::Null)
    }
}

impl ReceivedRequest {
    /// The request as JSON.
    fn describe(&self) -> Value {
        let headers: BTreeMap<_, _> =
            self.headers.keys().map(|name| (name.as_str(), self.header(name.as_str()))).collect();
        json!({
            "method": self.method.as_str(),
            "target": self.target,
            "headers": headers,
            "body": String::from_utf8_lossy(&self.body),
            "json": self.json(),
            "outcome": match self.outcome {
                Outcome::Open => "open",
                Outcome::Complete => "complete",
                Outcome::Cancelled => "cancelled",
            },
        })
    }
}

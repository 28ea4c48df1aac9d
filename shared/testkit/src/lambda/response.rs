//! What clients get: a function's answer, buffered or streamed, or AWS's own when there is none.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use http::header::{self, HeaderName};
use http::response::Builder;
use http::{HeaderMap, Response};
use serde_json::Value;
use tokio::sync::mpsc::UnboundedSender;

use super::environment::ResponseSender;
use crate::body::{Body, Chunk};

/// What parts the head of a streamed response from its body.
const DELIMITER: [u8; 8] = [0; 8];

/// What the runtime writes into a body when the function's stream fails.
const ERROR_TEXT: &[u8] = b"Lambda-Runtime-Function-Error-Type:";

/// Headers that AWS sets by itself.
const NOT_PASSED: [HeaderName; 4] =
    [header::CONNECTION, header::TRAILER, header::TRANSFER_ENCODING, header::UPGRADE];

/// The response when a function gave none.
pub(super) fn bad_gateway() -> Response<Body> {
    plain(502, "Internal Server Error")
}

/// The response when no environment is left.
pub(super) fn throttled() -> Response<Body> {
    plain(
        429,
        r#"{"Reason":"ReservedFunctionConcurrentInvocationLimitExceeded","Type":"User","message":"Rate Exceeded."}"#,
    )
}

/// The response to a request that does not fit into an event.
pub(super) fn too_large() -> Response<Body> {
    plain(413, "Request must be smaller than 6291456 bytes for the InvokeFunction operation")
}

/// A short response that no function gave.
pub(super) fn plain(status: u16, text: &'static str) -> Response<Body> {
    let body = Body::whole(text);
    Response::builder().status(status).body(body).expect("a status of ours is valid")
}

/// A buffered response: the function's JSON, unwrapped.
pub(super) fn buffered(json: &[u8]) -> Result<Response<Body>, String> {
    let answer: Value = serde_json::from_slice(json).map_err(|error| error.to_string())?;
    if answer.get("statusCode").is_none() {
        // Whatever is not a response is a body of its own.
        let response = Response::builder().header(header::CONTENT_TYPE, "application/json");
        return response
            .body(Body::whole(Bytes::copy_from_slice(json)))
            .map_err(|error| error.to_string());
    }
    let text = answer["body"].as_str().unwrap_or_default();
    let body = if answer["isBase64Encoded"] == true {
        STANDARD.decode(text).map_err(|error| format!("a body not in base64: {error}"))?
    } else {
        text.as_bytes().to_vec()
    };
    head(&answer)?.body(Body::whole(body)).map_err(|error| error.to_string())
}

/// Status, headers and cookies of a response.
fn head(answer: &Value) -> Result<Builder, String> {
    let status = answer["statusCode"].as_u64().and_then(|status| u16::try_from(status).ok());
    let mut response = Response::builder().status(status.ok_or("no status")?);
    for headers in [&answer["headers"], &answer["multiValueHeaders"]] {
        for (name, value) in headers.as_object().into_iter().flatten() {
            let name: HeaderName = name.parse().map_err(|error| format!("{name:?}: {error}"))?;
            for value in one_or_many(value) {
                response = with_header(response, &name, &value);
            }
        }
    }
    for cookie in one_or_many(&answer["cookies"]) {
        response = response.header(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

fn with_header(response: Builder, name: &HeaderName, value: &str) -> Builder {
    if *name == header::CONTENT_LENGTH {
        return response.header("x-amzn-remapped-content-length", value);
    }
    if NOT_PASSED.contains(name) {
        return response;
    }
    response.header(name, value)
}

fn one_or_many(value: &Value) -> Vec<String> {
    match value {
        Value::Null => Vec::new(),
        Value::Array(values) => values.iter().flat_map(one_or_many).collect(),
        Value::String(text) => vec![text.clone()],
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => vec![value.to_string()],
    }
}

/// A streamed response on its way to the client. Dropped before its end, it is cut.
#[derive(Debug)]
pub(super) struct Relay {
    stage: Stage,
    response_sender: Option<ResponseSender>,
}

#[derive(Debug)]
enum Stage {
    /// The head is still arriving.
    Head(BytesMut),
    /// The head is known, and the first byte of the body is awaited.
    Waiting(Box<Builder>),
    /// The client is being answered.
    Open(UnboundedSender<Chunk>),
    /// Nothing more can come.
    Over,
}

impl Relay {
    pub(super) fn new(response_sender: Option<ResponseSender>) -> Self {
        Self { stage: Stage::Head(BytesMut::new()), response_sender }
    }

    /// Forwards bytes; an error describes what is wrong with them.
    pub(super) fn take(&mut self, bytes: Bytes) -> Result<(), String> {
        match &mut self.stage {
            Stage::Head(start) => {
                start.extend_from_slice(&bytes);
                let Some(end) = find(start, &DELIMITER) else {
                    return Ok(());
                };
                let json = start.split_to(end);
                let rest = start.split_off(DELIMITER.len()).freeze();
                let json = serde_json::from_slice(&json).map_err(|error| error.to_string())?;
                self.stage = Stage::Waiting(Box::new(head(&json)?));
                self.take(rest)
            }
            Stage::Waiting(_) if bytes.is_empty() => Ok(()),
            Stage::Waiting(_) => {
                self.open()?;
                self.take(bytes)
            }
            Stage::Open(chunks) => {
                let failed = find(&bytes, ERROR_TEXT).is_some();
                // The client may be gone; the function continues.
                drop(chunks.send(Chunk::Data(bytes)));
                if failed { Err("its stream yielded an error".to_owned()) } else { Ok(()) }
            }
            Stage::Over => Ok(()),
        }
    }

    /// What would be wrong if the response ended here.
    pub(super) fn missing(&self) -> Option<&'static str> {
        match &self.stage {
            Stage::Head(_) => Some("it streamed an answer without a head"),
            Stage::Waiting(_) => Some("it streamed an answer with an empty body"),
            Stage::Open(_) | Stage::Over => None,
        }
    }

    /// Ends the response properly, if it had begun.
    pub(super) fn finish(mut self) {
        self.stage = Stage::Over;
    }

    fn open(&mut self) -> Result<(), String> {
        let (chunks, body) = Body::piped();
        if let Stage::Waiting(head) = std::mem::replace(&mut self.stage, Stage::Open(chunks)) {
            let response = head.body(body).map_err(|error| error.to_string())?;
            if let Some(response_sender) = self.response_sender.take() {
                drop(response_sender.send(response));
            }
        }
        Ok(())
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        if let Stage::Open(chunks) = &self.stage {
            drop(chunks.send(Chunk::Cut));
        }
    }
}

/// The runtime's error in the trailers of a stream.
pub(super) fn error_in(trailers: &HeaderMap) -> Option<String> {
    let kind = trailers.get("lambda-runtime-function-error-type")?;
    Some(String::from_utf8_lossy(kind.as_bytes()).into_owned())
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

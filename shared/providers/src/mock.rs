//! A scripted provider with OpenAI chat and embeddings, which needs no key.
//!
//! It is a real server on a loopback port, so that what it shows is what a provider would show: the
//! demo, a first try of one's own routes, and tests all take the same path. It responds with what
//! the configuration says (`script`), word by word when a stream is asked for; numbers it makes up.

use std::{
    convert::Infallible,
    net::{Ipv4Addr, SocketAddr},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use canonical::{
    CallSummary, EmbeddingInput, EmbeddingRequest, EmbeddingResponse, Error, ErrorKind, Result,
    Usage,
};
use config::Script;
use formats::{Inbound, InboundEmbeddings, openai::embeddings::OpenAiEmbeddings};
use http::{Method, Response, StatusCode, header};
use http_body_util::{BodyExt, Either, Full, Limited};
use hyper::{
    body::{Body, Frame, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::AbortHandle, time::Sleep};

use crate::{Key, OPENAI_COMPATIBLE, Provider};

pub(crate) const PROVIDER: Provider =
    Provider { name: "mock", base_url: WITHIN, key: Key::Optional, ..OPENAI_COMPATIBLE };

/// Where a scripted provider lives: within this process.
pub(crate) const WITHIN: &str = "http://within/v1";

const RESPONSE_TEXT: &str =
    "This is a scripted response: no model was called and nothing was spent.";
/// The largest request that a mock reads, in bytes.
const MAX_REQUEST_BYTES: usize = 16 * 1024 * 1024;

/// A scripted provider at work. It stops when this is dropped.
#[derive(Debug)]
pub(crate) struct Mock {
    address: SocketAddr,
    server: AbortHandle,
}

impl Mock {
    /// Starts one on a port of its own. Must be called within a runtime.
    pub(crate) fn start(script: Script) -> Result<Self> {
        let unavailable = |error: std::io::Error| {
            Error::new(ErrorKind::Internal, "it could not be started").caused_by(error)
        };
        let listener =
            std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(unavailable)?;
        listener.set_nonblocking(true).map_err(unavailable)?;
        let address = listener.local_addr().map_err(unavailable)?;
        let listener = TcpListener::from_std(listener).map_err(unavailable)?;
        let play = Arc::new(Play { script, calls: AtomicU32::new(0) });
        Ok(Self { address, server: tokio::spawn(serve(listener, play)).abort_handle() })
    }

    pub(crate) fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Mock {
    fn drop(&mut self) {
        self.server.abort();
    }
}

#[derive(Debug)]
struct Play {
    script: Script,
    calls: AtomicU32,
}

async fn serve(listener: TcpListener, play: Arc<Play>) {
    let mut clients = tokio::task::JoinSet::new();
    loop {
        // Descriptors may have run out; without a pause the loop would turn at once.
        let Ok((socket, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        // Finished connections would otherwise be remembered as long as the provider plays.
        while clients.try_join_next().is_some() {}
        let play = play.clone();
        clients.spawn(async move {
            let service = service_fn(|request| {
                let play = play.clone();
                async move { Ok::<_, Infallible>(play.respond(request).await) }
            });
            let io = TokioIo::new(socket);
            let served =
                http1::Builder::new().timer(TokioTimer::new()).serve_connection(io, service).await;
            if let Err(error) = served {
                tracing::debug!(%error, "a connection to a scripted provider broke");
            }
        });
    }
}

type UpstreamResponse = Response<Either<Full<Bytes>, Words>>;

impl Play {
    async fn respond(&self, request: http::Request<Incoming>) -> UpstreamResponse {
        let path = request.uri().path();
        // It takes every name, so that it has none to list. The script is about calls.
        if request.method() == Method::GET && path.ends_with("/models") {
            return whole(StatusCode::OK, &json!({"object": "list", "data": []}));
        }
        let embeds = path.ends_with("/embeddings");
        let body = Limited::new(request.into_body(), MAX_REQUEST_BYTES).collect().await;
        let body = body.map(|it| it.to_bytes()).unwrap_or_default();
        let Ok(request) = serde_json::from_slice::<Value>(&body) else {
            return failure(StatusCode::BAD_REQUEST, "the request is not JSON");
        };

        if let Some(delay) = self.script.delay {
            tokio::time::sleep(delay).await;
        }
        if let Some(status) = self.status_of_failure() {
            let mut response = failure(status, "the script says so");
            let seconds = self.script.retry_after.map(Into::into);
            response.headers_mut().extend(seconds.map(|it| (header::RETRY_AFTER, it)));
            return response;
        }

        if embeds {
            return embeddings(body)
                .unwrap_or_else(|error| failure(StatusCode::BAD_REQUEST, error.message()));
        }
        let text = self.script.answer.as_deref().unwrap_or(RESPONSE_TEXT);
        if request["stream"] == true {
            return stream(Words::new(text, &request, self.script.pause));
        }
        let response = json!({
            "id": "chatcmpl-mock", "object": "chat.completion", "created": 0,
            "model": request["model"],
            "choices": [{
                "index": 0,
                "message": {"role": "assistant", "content": text},
                "finish_reason": "stop",
            }],
            "usage": usage(&request, text),
        });
        whole(StatusCode::OK, &response)
    }

    /// Counts this call, and returns the status if it is one that fails.
    fn status_of_failure(&self) -> Option<StatusCode> {
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        let fails = match self.script.fail_first {
            Some(first) => call < first,
            None => self.script.status.is_some(),
        };
        let status = self.script.status.unwrap_or(500);
        fails.then(|| StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR))
    }
}

/// Numbers for each text, which are the same whenever the text is.
fn embeddings(body: Bytes) -> Result<UpstreamResponse> {
    let request = OpenAiEmbeddings.decode(body)?;
    let EmbeddingRequest { inputs, dimensions, base64, .. } = request.canonical()?.embedding()?;
    // A client may ask for any length.
    let length = dimensions.unwrap_or(8).min(4096);
    let vectors = inputs.iter().map(|it| numbers(it).take(length as usize).collect()).collect();
    let words = inputs.iter().map(|it| match it {
        EmbeddingInput::Text(text) => text.split_whitespace().count() as u64,
        EmbeddingInput::Tokens(tokens) => tokens.len() as u64,
    });
    let usage = Usage { input: words.sum(), ..Usage::default() };
    let response = EmbeddingResponse { vectors, base64: *base64 };
    let model = request.model.unwrap_or_default();
    let summary = CallSummary { model, ..CallSummary::default() };
    let body = OpenAiEmbeddings.encode(&response, Some(&usage), &summary);
    Ok(json_response(StatusCode::OK, body))
}

/// Numbers between -1 and 1 without an end, each drawn from the one before.
fn numbers(input: &EmbeddingInput) -> impl Iterator<Item = f32> {
    let fold = |sum: u64, it: u64| (sum ^ it).wrapping_mul(0x0100_0000_01b3);
    let seed = match input {
        EmbeddingInput::Text(text) => text.bytes().map(u64::from).fold(1, fold),
        EmbeddingInput::Tokens(tokens) => tokens.iter().copied().fold(1, fold),
    };
    std::iter::successors(Some(seed), |it| {
        Some(it.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1))
    })
    .skip(1)
    .map(|it| f32::from((it >> 48) as u16) / 32_768.0 - 1.0)
}

/// An estimate of a tokenizer's count: a word is a token.
fn usage(request: &Value, text: &str) -> Value {
    let read = request["messages"].to_string().split_whitespace().count();
    let written = text.split_whitespace().count();
    json!({
        "prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written,
    })
}

fn failure(status: StatusCode, message: &str) -> UpstreamResponse {
    whole(status, &json!({"error": {"message": message, "type": "mock", "code": null}}))
}

fn whole(status: StatusCode, body: &Value) -> UpstreamResponse {
    json_response(status, body.to_string().into())
}

fn json_response(status: StatusCode, body: Bytes) -> UpstreamResponse {
    let mut response = Response::new(Either::Left(Full::new(body)));
    *response.status_mut() = status;
    let kind = header::HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

fn stream(words: Words) -> UpstreamResponse {
    let mut response = Response::new(Either::Right(words));
    let kind = header::HeaderValue::from_static("text/event-stream");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// A streamed response: a role, the words one by one, a finish, the usage if requested, the end.
struct Words {
    frames: std::vec::IntoIter<String>,
    pause: Option<Duration>,
    waiting: Option<Pin<Box<Sleep>>>,
}

impl Words {
    fn new(text: &str, request: &Value, pause: Option<Duration>) -> Self {
        let chunk = |choices: Value, usage: Value| {
            let chunk = json!({
                "id": "chatcmpl-mock", "object": "chat.completion.chunk", "created": 0,
                "model": request["model"], "choices": choices, "usage": usage,
            });
            format!("data: {chunk}\n\n")
        };
        let delta = |delta: Value, finish: Value| {
            chunk(json!([{"index": 0, "delta": delta, "finish_reason": finish}]), Value::Null)
        };
        let mut frames = vec![delta(json!({"role": "assistant", "content": ""}), Value::Null)];
        let words = text.split_inclusive(' ');
        frames.extend(words.map(|it| delta(json!({"content": it}), Value::Null)));
        frames.push(delta(json!({}), json!("stop")));
        if request["stream_options"]["include_usage"] == true {
            frames.push(chunk(json!([]), usage(request, text)));
        }
        frames.push("data: [DONE]\n\n".to_owned());
        Self { frames: frames.into_iter(), pause, waiting: None }
    }
}

impl Body for Words {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(waiting) = &mut self.waiting {
            ready!(waiting.as_mut().poll(cx));
        }

        self.waiting = self.pause.map(|it| Box::pin(tokio::time::sleep(it)));
        Poll::Ready(self.frames.next().map(|it| Ok(Frame::data(it.into()))))
    }
}

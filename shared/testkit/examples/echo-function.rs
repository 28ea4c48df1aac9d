//! A small function for the tests of the emulator: the path selects its behaviour.
//!
//! With `MODE=buffered` the response is buffered, else streamed.

use std::convert::Infallible;
use std::io;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{HeaderMap, Method, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use futures_util::stream;
use lambda_http::{Error, run, run_with_streaming_response};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let app = Router::new()
        .route("/v1/echo", any(echo))
        .route("/v1/bytes", any(bytes))
        .route("/relay/{port}", get(relay))
        .route("/crash", get(crash))
        .route("/crash-in-stream", get(crash_in_stream))
        .route("/empty", get(empty))
        .route("/error-in-stream", get(error_in_stream))
        .route("/variables", get(variables))
        .layer(DefaultBodyLimit::disable());
    if variable("MODE") == "buffered" {
        run(app).await
    } else {
        run_with_streaming_response(app).await
    }
}

/// What came in, as JSON.
async fn echo(method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let headers: Vec<_> = headers
        .iter()
        .map(|(name, value)| json!([name.as_str(), String::from_utf8_lossy(value.as_bytes())]))
        .collect();
    let headers = Value::from(headers);
    let body = String::from_utf8_lossy(&body).into_owned();
    let target = uri.path_and_query().map_or("/", |target| target.as_str());
    let echo =
        json!({"method": method.as_str(), "target": target, "headers": headers, "body": body});
    ([("content-type", "application/json"), ("set-cookie", "a=1")], echo.to_string())
        .into_response()
}

/// The same bytes.
async fn bytes(body: Bytes) -> Response {
    ([("content-type", "application/octet-stream")], body).into_response()
}

/// The bytes of the given port of loopback, chunk by chunk, to the end.
async fn relay(uri: Uri) -> Response {
    let port = uri.path().trim_start_matches("/relay/").parse().unwrap_or(0_u16);
    let Ok(source) = TcpStream::connect(("127.0.0.1", port)).await else {
        return "nobody is there".into_response();
    };
    let chunks = stream::unfold(source, |mut source| async {
        let mut buffer = [0; 1024];
        match source.read(&mut buffer).await {
            Ok(length) if length != 0 => {
                Some((Ok::<_, Infallible>(Bytes::copy_from_slice(&buffer[..length])), source))
            }
            _ => {
                say("relayed to the end");
                None
            }
        }
    });
    Body::from_stream(chunks).into_response()
}

async fn crash() -> Response {
    say("about to crash");
    std::process::abort()
}

/// A first chunk, and a crash once the given port of loopback has let go of us.
async fn crash_in_stream(request: Request) -> Response {
    let port = request.uri().query().and_then(|port| port.parse().ok()).unwrap_or(0_u16);
    let chunks = stream::unfold(true, move |first| async move {
        if first {
            return Some((Ok::<_, Infallible>(Bytes::from_static(b"first")), false));
        }
        if let Ok(mut source) = TcpStream::connect(("127.0.0.1", port)).await {
            drop(source.read_u8().await);
        }
        std::process::abort()
    });
    Body::from_stream(chunks).into_response()
}

async fn empty() -> Response {
    Body::empty().into_response()
}

async fn error_in_stream() -> Response {
    let chunks = [Ok(Bytes::from_static(b"good")), Err(io::Error::other("bad"))];
    Body::from_stream(stream::iter(chunks)).into_response()
}

/// The names and values of Lambda's variables, one a line.
async fn variables() -> Response {
    let lines: Vec<_> = std::env::vars().map(|(name, value)| format!("{name}={value}")).collect();
    lines.join("\n").into_response()
}

#[expect(clippy::disallowed_methods, reason = "a test program has no settings to read once")]
fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}

#[expect(clippy::print_stdout, reason = "the tests look at what a function prints")]
fn say(text: &str) {
    println!("{text}");
}

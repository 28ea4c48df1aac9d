//! A small HTTP client that returns a response chunk by chunk.
//!
//! Every call has a connection of its own, which closes when the response is dropped. There is no
//! TLS, no pool and no redirect: a test should see exactly what was sent.

use std::fmt;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::task::AbortHandle;

/// Why a call failed: it could not be sent, or its response ended early.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// A response whose body is still arriving.
pub struct ClientResponse {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    body: Incoming,
    connection: AbortHandle,
}

/// Asks for `url`.
pub async fn get(url: &str) -> Result<ClientResponse, Error> {
    send(Request::get(url).body(Bytes::new())?).await
}

/// Sends JSON to `url`, with a bearer key unless `key` is empty.
pub async fn post_json(url: &str, key: &str, body: &Value) -> Result<ClientResponse, Error> {
    let mut request = Request::post(url).header(header::CONTENT_TYPE, "application/json");
    if !key.is_empty() {
        request = request.header(header::AUTHORIZATION, format!("Bearer {key}"));
    }
    send(request.body(serde_json::to_vec(body)?.into())?).await
}

/// Sends a request to the absolute URL in it, and returns the response as soon as its head has arrived.
pub async fn send(request: Request<Bytes>) -> Result<ClientResponse, Error> {
    let authority = request.uri().authority().ok_or("the URL has no host")?.to_string();
    let stream = TcpStream::connect(&authority).await?;
    stream.set_nodelay(true)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection).abort_handle();
    let response = sender.send_request(on_the_wire(request, &authority)?).await?;
    let (head, body) = response.into_parts();
    Ok(ClientResponse { status: head.status, headers: head.headers, body, connection })
}

impl ClientResponse {
    /// The next chunk as received, or none at a proper end.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        while let Some(frame) = self.body.frame().await {
            if let Ok(bytes) = frame?.into_data() {
                return Ok(Some(bytes));
            }
        }
        Ok(None)
    }

    /// Reads on until `text` has come, and gives everything read; an error if the end comes first.
    pub async fn until(&mut self, text: &str) -> Result<String, Error> {
        let mut seen = String::new();
        while !seen.contains(text) {
            let chunk = self.chunk().await?.ok_or_else(|| format!("no {text:?} in {seen:?}"))?;
            seen.push_str(&String::from_utf8_lossy(&chunk));
        }
        Ok(seen)
    }

    /// The rest of the body.
    pub async fn bytes(mut self) -> Result<Bytes, Error> {
        Ok((&mut self.body).collect().await?.to_bytes())
    }

    /// The rest of the body as text.
    pub async fn text(self) -> Result<String, Error> {
        Ok(String::from_utf8(self.bytes().await?.into())?)
    }

    /// The rest of the body as JSON.
    pub async fn json(self) -> Result<Value, Error> {
        Ok(serde_json::from_slice(&self.bytes().await?)?)
    }

    /// A header as text, empty if it is absent.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

impl Drop for ClientResponse {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

impl fmt::Debug for ClientResponse {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Answer").field("status", &self.status).finish_non_exhaustive()
    }
}

/// The request as HTTP/1.1 writes it: only path and query in the first line, the host in a header.
fn on_the_wire(request: Request<Bytes>, authority: &str) -> Result<Request<Full<Bytes>>, Error> {
    let (mut head, body) = request.into_parts();
    let target = head.uri.path_and_query().map_or("/", |target| target.as_str()).to_owned();
    head.uri = target.parse()?;
    if !head.headers.contains_key(header::HOST) {
        head.headers.insert(header::HOST, authority.parse()?);
    }
    Ok(Request::from_parts(head, Full::new(body)))
}

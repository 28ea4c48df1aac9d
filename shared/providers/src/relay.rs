//! Requests that go to one provider as they are: its files and its batches, which only it knows.
//!
//! The key is always the first of the provider's: what was uploaded under one may be unknown to another.

use std::{
    borrow::Cow,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use canonical::{Error, ErrorKind, Origin, Result};
use http::{HeaderValue, Method, header};
use http_body::{Body, Frame, SizeHint};
use http_body_util::combinators::BoxBody;
use tokio::time::{Instant, Sleep};

use crate::{
    Upstream,
    connections::HttpRequest,
    endpoint::Endpoint,
    redaction::redact_error,
    response::{self, broken_body},
    stream::silence_error,
};

/// A body that is sent as it comes.
pub type StreamedBody = BoxBody<Bytes, Box<dyn std::error::Error + Send + Sync>>;

/// The body of a request for one provider.
#[derive(Debug)]
pub enum RelayPayload {
    /// All of it.
    Whole(Bytes),
    /// What is still coming.
    Streamed(StreamedBody),
}

/// A request for one provider.
#[derive(Debug)]
pub struct RelayRequest {
    /// The method.
    pub method: Method,
    /// The collection that is asked for, such as `files`.
    pub collection: &'static str,
    /// What follows the collection in the URL: a path and a query, each with its sign.
    pub rest: String,
    /// The media type of the body; absent where there is no body.
    pub content_type: Option<HeaderValue>,
    /// The body.
    pub body: RelayPayload,
    /// How long the head of the response may take, from the last bytes of the body on.
    pub timeout: Duration,
    /// The time, in milliseconds since 1970.
    pub now: u64,
}

/// A provider's response, which passes through.
#[derive(Debug)]
pub struct RelayResponse {
    /// The HTTP status.
    pub status: u16,
    /// The media type of the body.
    pub content_type: Option<HeaderValue>,
    /// The body, as it comes.
    pub body: RelayBody,
}

/// The body of a response that passes through. Silence that lasts too long is an error.
#[derive(Debug)]
pub struct RelayBody {
    body: reqwest::Body,
    idle_timeout: Duration,
    silence: Pin<Box<Sleep>>,
}

impl Upstream {
    /// Whether a provider has a collection.
    pub fn has_collection(&self, provider: &str, collection: &str) -> bool {
        self.endpoint_of(provider).is_ok_and(|it| path_of(it, collection).is_some())
    }

    /// Sends a request to one provider.
    pub async fn relay(&self, provider: &str, request: RelayRequest) -> Result<RelayResponse> {
        let from_provider = |error: Error| error.from_origin(Origin::Provider(provider.to_owned()));
        let endpoint = self.endpoint_of(provider).map_err(from_provider)?;
        let (limit, now) = (request.timeout, request.now);
        let progress = Progress::default();
        let sent = self.send_relay(provider, endpoint, request, &progress);
        let timed_out = || {
            let message = format!("sent no response within {} s", limit.as_secs_f32());
            Error::new(ErrorKind::Timeout, message)
        };
        let sent = progress.within(limit, sent).await;
        let response = sent.ok_or_else(timed_out).and_then(|it| it).map_err(from_provider)?;
        // Errors are decoded, so that the client reads them in its own API's format and without
        // secrets.
        if !response.status().is_success() {
            let error = response::decode_error(response, now).await;
            return Err(from_provider(redact_error(about_the_object(error), &endpoint.secrets)));
        }

        let (head, body) = response.into_parts();
        let silence = Box::pin(tokio::time::sleep(self.idle_timeout()));
        Ok(RelayResponse {
            status: head.status.as_u16(),
            content_type: head.headers.get(header::CONTENT_TYPE).cloned(),
            body: RelayBody { body, idle_timeout: self.idle_timeout(), silence },
        })
    }

    async fn send_relay(
        &self,
        provider: &str,
        endpoint: &Endpoint,
        request: RelayRequest,
        progress: &Progress,
    ) -> Result<http::Response<reqwest::Body>> {
        let path = path_of(endpoint, request.collection)
            .ok_or_else(|| Error::new(ErrorKind::Unsupported, "has no endpoint for this"))?;
        let url = endpoint.url_of(&format!("{path}{}", request.rest))?;
        let headers = endpoint.first_headers();
        let without_key = || Error::new(ErrorKind::ProviderAccess, "has no usable key");
        let mut headers = headers.ok_or_else(without_key)?.clone();
        // The common headers announce JSON; uploads are forms.
        match request.content_type {
            Some(kind) => drop(headers.insert(header::CONTENT_TYPE, kind)),
            None => drop(headers.remove(header::CONTENT_TYPE)),
        }
        let (method, headers) = (request.method, Cow::Owned(headers));
        let connections = self.connections_of(provider)?;
        match request.body {
            RelayPayload::Whole(body) => {
                connections.send(HttpRequest { method, url, headers, body }).await
            }
            RelayPayload::Streamed(body) => {
                let request = HttpRequest { method, url, headers, body: Bytes::new() };
                let body = SentBody { body, progress: progress.clone() };
                connections.send_streamed(request, reqwest::Body::wrap(body)).await
            }
        }
    }
}

/// When the last bytes of a body were sent.
#[derive(Clone, Debug)]
struct Progress(Arc<Mutex<Instant>>);

impl Default for Progress {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Instant::now())))
    }
}

impl Progress {
    fn note(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn latest(&self) -> Instant {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until nothing was sent for so long. A large body on a slow line is honest work, and its
    /// silence is limited where it comes from.
    async fn within<T>(&self, limit: Duration, sent: impl Future<Output = T>) -> Option<T> {
        let mut sent = std::pin::pin!(sent);
        loop {
            let latest = self.latest();
            let outcome = tokio::time::timeout_at(latest + limit, &mut sent).await;
            if outcome.is_ok() || self.latest() == latest {
                return outcome.ok();
            }
        }
    }
}

/// A body that notes when its bytes are taken to be sent.
struct SentBody {
    body: StreamedBody,
    progress: Progress,
}

impl Body for SentBody {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        if frame.is_ready() {
            self.progress.note();
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

fn path_of(endpoint: &Endpoint, collection: &str) -> Option<&'static str> {
    let collections = endpoint.provider.collections;
    collections.iter().find(|(name, _)| *name == collection).map(|(_, path)| *path)
}

/// An unknown file or batch is the client's mistake, and not the account's.
fn about_the_object(mut error: Error) -> Error {
    if error.provider_status == Some(404) {
        error.kind = ErrorKind::UnknownPath;
    }
    error
}

impl Body for RelayBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>>>> {
        let this = &mut *self;
        // The body before the timer: bytes that came in time are not lost to a late wake-up.
        match Pin::new(&mut this.body).poll_frame(cx) {
            Poll::Ready(frame) => {
                let next = Instant::now() + this.idle_timeout;
                this.silence.as_mut().reset(next);
                Poll::Ready(frame.map(|it| it.map_err(broken_body)))
            }
            Poll::Pending => {
                std::task::ready!(this.silence.as_mut().poll(cx));
                Poll::Ready(Some(Err(silence_error(this.idle_timeout))))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_limit_counts_from_the_last_bytes_of_the_body() {
        let (limit, step) = (Duration::from_secs(1), Duration::from_millis(250));
        let progress = Progress::default();
        let honest = async {
            for _ in 0..6 {
                tokio::time::sleep(step).await;
                progress.note();
            }
        };
        assert!(progress.within(limit, honest).await.is_some());
        assert!(progress.within(limit, std::future::pending::<()>()).await.is_none());
    }
}

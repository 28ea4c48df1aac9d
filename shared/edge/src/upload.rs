//! A request's body on its way to a provider, as it comes: nothing of it is kept.

use std::{
    fmt,
    pin::Pin,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use canonical::{Error, ErrorKind};
use gateway::StreamedBody;
use http::Request;
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt;
use tokio::time::{Instant, Sleep};

use crate::{
    body::{Body, BodyError, boxed},
    request_body::{silence_error, too_large},
};

/// How large a streamed body may be: as large as a file may be at `OpenAI`.
pub(crate) const MAX_UPLOAD_BYTES: usize = 512 * 1024 * 1024;

/// The client's error by which a body ended early, if it did.
#[derive(Clone, Debug, Default)]
pub(crate) struct UploadError(Arc<Progress>);

/// How far a body has come.
#[derive(Debug, Default)]
struct Progress {
    early_end: OnceLock<EarlyEnd>,
    /// Whether it was read to its end.
    is_over: AtomicBool,
}

#[derive(Clone, Copy, Debug)]
enum EarlyEnd {
    Broken,
    Silent(Duration),
    TooLarge,
}

impl UploadError {
    /// The client's error, where the body ended by one, in place of what came of it at the provider.
    pub(crate) fn or(&self, error: Error) -> Error {
        match self.0.early_end.get() {
            Some(EarlyEnd::Broken) => {
                Error::new(ErrorKind::InvalidRequest, "The request body ended early.")
            }
            Some(EarlyEnd::Silent(silence)) => silence_error(*silence),
            Some(EarlyEnd::TooLarge) => too_large(MAX_UPLOAD_BYTES),
            None => error,
        }
    }
}

/// A body that passes through.
struct Upload {
    /// Behind a lock that nobody takes: what sends the body wants to be shared between threads.
    body: Mutex<Body>,
    silence: Duration,
    timer: Pin<Box<Sleep>>,
    /// How many bytes may still come.
    left: usize,
    upload_error: UploadError,
}

/// Takes the body out of a request, to be sent on as it comes.
pub(crate) fn take_body(
    request: &mut Request<Body>,
    silence: Duration,
) -> (StreamedBody, UploadError) {
    let upload_error = UploadError::default();
    let upload = Upload {
        body: Mutex::new(std::mem::replace(request.body_mut(), boxed(Rest(upload_error.clone())))),
        silence,
        timer: Box::pin(tokio::time::sleep(silence)),
        left: MAX_UPLOAD_BYTES,
        upload_error: upload_error.clone(),
    };
    (upload.boxed(), upload_error)
}

impl Upload {
    fn end(&self, early_end: EarlyEnd) -> BodyError {
        // The first error is the one that ended the body.
        self.upload_error.0.early_end.get_or_init(|| early_end);
        "the client's body ended early".into()
    }
}

impl HttpBody for Upload {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        let body = this.body.get_mut().unwrap_or_else(PoisonError::into_inner);
        let Poll::Ready(frame) = Pin::new(body).poll_frame(cx) else {
            ready!(this.timer.as_mut().poll(cx));
            return Poll::Ready(Some(Err(this.end(EarlyEnd::Silent(this.silence)))));
        };
        // From the last bytes on, not from the first: a large file takes its time.
        this.timer.as_mut().reset(Instant::now() + this.silence);
        let Some(frame) = frame else {
            this.upload_error.0.is_over.store(true, Ordering::Relaxed);
            return Poll::Ready(None);
        };
        let Ok(frame) = frame else { return Poll::Ready(Some(Err(this.end(EarlyEnd::Broken)))) };
        let length = frame.data_ref().map_or(0, Bytes::len);
        let Some(left) = this.left.checked_sub(length) else {
            return Poll::Ready(Some(Err(this.end(EarlyEnd::TooLarge))));
        };
        this.left = left;
        Poll::Ready(Some(Ok(frame)))
    }

    fn size_hint(&self) -> SizeHint {
        self.body.lock().unwrap_or_else(PoisonError::into_inner).size_hint()
    }
}

/// What stands in the place of a body that was taken: it has nothing, and ends when that one does, by
/// which a refusal knows whether the client is still sending.
struct Rest(UploadError);

impl HttpBody for Rest {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        self.0.0.is_over.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for Upload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Upload")
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::StreamBody;

    use super::*;
    use crate::{body::full, request_body::has_unread_body};

    async fn status_of(body: Body) -> u16 {
        let mut request = Request::new(body);
        let (streamed, upload_error) = take_body(&mut request, Duration::from_millis(20));
        assert!(streamed.collect().await.is_err());
        upload_error.or(Error::new(ErrorKind::Network, "closed the connection")).status()
    }

    #[tokio::test]
    async fn a_body_passes_with_its_length() {
        let mut request = Request::new(full("abc"));
        let (streamed, upload_error) = take_body(&mut request, Duration::from_secs(60));
        assert_eq!(streamed.size_hint().exact(), Some(3));
        assert_eq!(streamed.collect().await.unwrap().to_bytes(), "abc");
        assert_eq!(upload_error.or(Error::new(ErrorKind::Network, "closed")).status(), 502);
    }

    #[tokio::test]
    async fn a_body_that_was_taken_is_unread_until_it_has_ended() {
        let mut request = Request::new(full("abc"));
        let (streamed, _) = take_body(&mut request, Duration::from_secs(60));
        assert!(has_unread_body(&request));
        streamed.collect().await.unwrap();
        assert!(!has_unread_body(&request));
    }

    #[tokio::test]
    async fn an_error_of_the_client_is_reported_as_such() {
        let silent = futures_util::stream::pending::<Result<Frame<Bytes>, BodyError>>();
        assert_eq!(status_of(boxed(StreamBody::new(silent))).await, 400);
        let broken = [Err::<Frame<Bytes>, BodyError>("reset".into())];
        assert_eq!(
            status_of(boxed(StreamBody::new(futures_util::stream::iter(broken)))).await,
            400
        );
        let chunk = Bytes::from(vec![0; 1024 * 1024]);
        let endless = futures_util::stream::repeat_with(move || {
            Ok::<_, BodyError>(Frame::data(chunk.clone()))
        });
        assert_eq!(status_of(boxed(StreamBody::new(endless))).await, 413);
    }
}

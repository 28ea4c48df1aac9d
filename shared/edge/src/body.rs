//! Bodies of requests and responses, and responses that keep their word: they never yield an error,
//! never panic through, and are never empty.
//!
//! In Lambda an error would be printed into the client's body, a panic would end it as if it were
//! whole, and an empty one hangs until the function times out.

use std::{
    convert::Infallible,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame};
use http_body_util::{BodyExt, Empty, Full, combinators::UnsyncBoxBody};
use tracing::Span;

/// Why a body ended early.
pub(crate) type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// The body of a request or a response, wherever its bytes come from.
pub(crate) type Body = UnsyncBoxBody<Bytes, BodyError>;

/// A body of these bytes.
pub(crate) fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never: Infallible| match never {}).boxed_unsync()
}

/// A body without bytes.
pub(crate) fn empty() -> Body {
    Empty::new().map_err(|never: Infallible| match never {}).boxed_unsync()
}

/// Any body as a [`Body`].
pub(crate) fn boxed<B>(body: B) -> Body
where
    B: HttpBody<Data = Bytes, Error: Into<BodyError>> + Send + 'static,
{
    body.map_err(Into::into).boxed_unsync()
}

/// Writes the end of a body that cannot go on.
type EndWriter<B> = Box<dyn FnOnce(&mut B) -> Bytes + Send>;

/// A body that is watched while it is sent.
pub(crate) struct GuardedBody<B> {
    inner: B,
    end_writer: Option<EndWriter<B>>,
    /// The request's own span: a body is polled outside of it.
    span: Span,
    has_sent: bool,
    is_over: bool,
}

impl<B> GuardedBody<B> {
    /// Guards a body. When the body breaks, it ends with what `end_writer` gives.
    pub(crate) fn new(inner: B, end_writer: impl FnOnce(&mut B) -> Bytes + Send + 'static) -> Self {
        let end_writer: EndWriter<B> = Box::new(end_writer);
        Self {
            inner,
            end_writer: Some(end_writer),
            span: Span::current(),
            has_sent: false,
            is_over: false,
        }
    }
}

impl<B> HttpBody for GuardedBody<B>
where
    B: HttpBody<Data = Bytes, Error: fmt::Display> + Unpin,
{
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        // The inner body need not bear being polled after its end.
        if self.is_over {
            return Poll::Ready(None);
        }
        let this = &mut *self;
        let span = this.span.clone();
        let _inside = span.enter();

        // A panic here would reach hyper or the Lambda runtime, and close the connection in the
        // middle.
        let polled = catch_unwind(AssertUnwindSafe(|| Pin::new(&mut this.inner).poll_frame(cx)));
        let frame = match polled {
            Ok(poll) => match ready!(poll) {
                Some(Ok(frame)) => frame,
                Some(Err(error)) => this.break_off(&error),
                None => {
                    this.is_over = true;
                    if this.has_sent {
                        return Poll::Ready(None);
                    }
                    // Lambda's stream hangs on a body without bytes; white space is allowed around
                    // any JSON.
                    Frame::data(Bytes::from_static(b"\n"))
                }
            },
            Err(_) => this.break_off(&"a panic"),
        };
        this.has_sent |= frame.data_ref().is_some_and(|data| !data.is_empty());
        Poll::Ready(Some(Ok(frame)))
    }
}

impl<B> GuardedBody<B> {
    fn break_off(&mut self, cause: &dyn fmt::Display) -> Frame<Bytes> {
        tracing::error!("a response body broke off: {cause}");
        // Set before the end is written, so that a second failure cannot bring a second end.
        self.is_over = true;
        let end_writer = self.end_writer.take();
        // The writer looks into the very state that just panicked, so it may panic too.
        let end = end_writer
            .and_then(|write| catch_unwind(AssertUnwindSafe(|| write(&mut self.inner))).ok());
        Frame::data(end.filter(|end| !end.is_empty()).unwrap_or(Bytes::from_static(b"\n")))
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    /// A body that gives its frames and then ends in one of three ways.
    struct Scripted(Vec<&'static str>, End);

    #[derive(Clone, Copy)]
    enum End {
        Whole,
        Error,
        Panic,
    }

    impl HttpBody for Scripted {
        type Data = Bytes;
        type Error = std::io::Error;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
            if !self.0.is_empty() {
                let frame = Bytes::from_static(self.0.remove(0).as_bytes());
                return Poll::Ready(Some(Ok(Frame::data(frame))));
            }
            match self.1 {
                End::Whole => Poll::Ready(None),
                End::Error => Poll::Ready(Some(Err(std::io::Error::other("cut")))),
                End::Panic => panic!("at the disco"),
            }
        }
    }

    async fn sent(frames: Vec<&'static str>, end: End) -> Bytes {
        let body = GuardedBody::new(Scripted(frames, end), |_| Bytes::from_static(b"[broken]"));
        body.collect().await.unwrap().to_bytes()
    }

    #[tokio::test]
    async fn a_whole_body_is_sent_as_it_is() {
        assert_eq!(sent(vec!["a", "b"], End::Whole).await, "ab");
    }

    #[tokio::test]
    async fn an_error_becomes_the_written_end() {
        assert_eq!(sent(vec!["a"], End::Error).await, "a[broken]");
    }

    #[tokio::test]
    async fn a_panic_becomes_the_written_end() {
        assert_eq!(sent(vec!["a"], End::Panic).await, "a[broken]");
    }

    #[tokio::test]
    async fn a_body_is_never_empty() {
        assert_eq!(sent(vec![], End::Whole).await, "\n");
        assert_eq!(sent(vec![""], End::Whole).await, "\n");
    }
}

//! Bodies that keep their word: they never yield an error, never panic through, and are never empty.
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
use http_body::{Body, Frame};
use tracing::Span;

/// What a body says when it cannot go on.
type LastWords<B> = Box<dyn FnOnce(&mut B) -> Bytes + Send>;

/// A body that is watched while it is sent.
pub(crate) struct Guarded<B> {
    inner: B,
    last_words: Option<LastWords<B>>,
    /// The request's own span: a body is polled outside of it.
    span: Span,
    sent: bool,
    over: bool,
}

impl<B> Guarded<B> {
    /// Guards a body that ends with `last_words` when it breaks.
    pub(crate) fn new(inner: B, last_words: impl FnOnce(&mut B) -> Bytes + Send + 'static) -> Self {
        let last_words: LastWords<B> = Box::new(last_words);
        Self {
            inner,
            last_words: Some(last_words),
            span: Span::current(),
            sent: false,
            over: false,
        }
    }
}

impl<B> Body for Guarded<B>
where
    B: Body<Data = Bytes, Error: fmt::Display> + Unpin,
{
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.over {
            return Poll::Ready(None);
        }
        let this = &mut *self;
        let span = this.span.clone();
        let _inside = span.enter();
        let polled = catch_unwind(AssertUnwindSafe(|| Pin::new(&mut this.inner).poll_frame(cx)));
        let frame = match polled {
            Ok(poll) => match ready!(poll) {
                Some(Ok(frame)) => frame,
                Some(Err(error)) => this.break_off(&error),
                None => {
                    this.over = true;
                    if this.sent {
                        return Poll::Ready(None);
                    }
                    Frame::data(Bytes::from_static(b"\n"))
                }
            },
            Err(_) => this.break_off(&"it panicked"),
        };
        this.sent |= frame.data_ref().is_some_and(|it| !it.is_empty());
        Poll::Ready(Some(Ok(frame)))
    }
}

impl<B> Guarded<B> {
    fn break_off(&mut self, why: &dyn fmt::Display) -> Frame<Bytes> {
        tracing::error!("a body broke off: {why}");
        self.over = true;
        let say = self.last_words.take();
        let last_words =
            say.and_then(|say| catch_unwind(AssertUnwindSafe(|| say(&mut self.inner))).ok());
        Frame::data(last_words.filter(|it| !it.is_empty()).unwrap_or(Bytes::from_static(b"\n")))
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    /// Gives its frames, then does what it is told.
    struct Scripted(Vec<&'static str>, End);

    #[derive(Clone, Copy)]
    enum End {
        Whole,
        Error,
        Panic,
    }

    impl Body for Scripted {
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
        let body = Guarded::new(Scripted(frames, end), |_| Bytes::from_static(b"[broken]"));
        body.collect().await.unwrap().to_bytes()
    }

    #[tokio::test]
    async fn a_whole_body_is_sent_as_it_is() {
        assert_eq!(sent(vec!["a", "b"], End::Whole).await, "ab");
    }

    #[tokio::test]
    async fn an_error_becomes_last_words() {
        assert_eq!(sent(vec!["a"], End::Error).await, "a[broken]");
    }

    #[tokio::test]
    async fn a_panic_becomes_last_words() {
        assert_eq!(sent(vec!["a"], End::Panic).await, "a[broken]");
    }

    #[tokio::test]
    async fn nothing_is_never_sent() {
        assert_eq!(sent(vec![], End::Whole).await, "\n");
        assert_eq!(sent(vec![""], End::Whole).await, "\n");
    }
}

//! Bodies of the test servers: whole, chunked, or cut in the middle.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// The next action of a piped body.
#[derive(Debug)]
pub(crate) enum Chunk {
    /// Bytes to send.
    Data(Bytes),
    /// Breaks the connection, so that the other side sees an unexpected end.
    Cut,
}

/// A body of ours on its way out.
#[derive(Debug)]
pub(crate) struct Body {
    content: Content,
    ending: Option<Ending>,
}

#[derive(Debug)]
enum Content {
    Whole(Bytes),
    Piped { chunks: UnboundedReceiver<Chunk>, cut: bool },
}

impl Body {
    /// A body known from the start, sent with its length.
    pub(crate) fn whole(bytes: impl Into<Bytes>) -> Self {
        Self { content: Content::Whole(bytes.into()), ending: None }
    }

    /// A body sent in chunks, ending when the sender is dropped.
    pub(crate) fn piped() -> (UnboundedSender<Chunk>, Self) {
        let (sender, chunks) = unbounded_channel();
        (sender, Self { content: Content::Piped { chunks, cut: false }, ending: None })
    }

    /// Reports through `ending` whether the body was taken to its end.
    pub(crate) fn with_ending(mut self, ending: Ending) -> Self {
        match &self.content {
            Content::Whole(bytes) if bytes.is_empty() => ending.complete(),
            Content::Whole(_) | Content::Piped { .. } => self.ending = Some(ending),
        }
        self
    }

    fn complete(&mut self) {
        if let Some(ending) = self.ending.take() {
            ending.complete();
        }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        let chunk = match &mut self.content {
            Content::Whole(bytes) if bytes.is_empty() => None,
            Content::Whole(bytes) => {
                let bytes = std::mem::take(bytes);
                self.complete();
                return Poll::Ready(Some(Ok(Frame::data(bytes))));
            }
            Content::Piped { cut: true, .. } => {
                self.complete();
                return Poll::Ready(Some(Err(Cut)));
            }
            Content::Piped { chunks, .. } => ready!(chunks.poll_recv(context)),
        };
        match (chunk, &mut self.content) {
            (Some(Chunk::Data(bytes)), _) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
            (Some(Chunk::Cut), Content::Piped { cut, .. }) => {
                // Pausing once lets the server flush what came before the cut.
                *cut = true;
                context.waker().wake_by_ref();
                Poll::Pending
            }
            (Some(Chunk::Cut), Content::Whole(_)) | (None, _) => {
                self.complete();
                Poll::Ready(None)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(&self.content, Content::Whole(bytes) if bytes.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Content::Piped { .. } => SizeHint::default(),
        }
    }
}

/// The error that makes the server break a connection.
#[derive(Debug)]
pub(crate) struct Cut;

impl fmt::Display for Cut {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("cut on purpose")
    }
}

impl std::error::Error for Cut {}

/// Calls back once: with true when completed, with false when dropped before.
pub(crate) struct Ending(Option<Box<dyn FnOnce(bool) + Send>>);

impl Ending {
    pub(crate) fn new(report: impl FnOnce(bool) + Send + 'static) -> Self {
        Self(Some(Box::new(report)))
    }

    pub(crate) fn complete(mut self) {
        self.report(true);
    }

    fn report(&mut self, complete: bool) {
        if let Some(report) = self.0.take() {
            report(complete);
        }
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.report(false);
    }
}

impl fmt::Debug for Ending {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Ending")
    }
}

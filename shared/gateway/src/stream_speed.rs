//! The speed of a stream: one that is slower than its step allows counts as broken.
//!
//! Only the time counts in which the provider is waited for, so that a slow client slows no provider.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use canonical::{Error, ErrorKind};
use routing::MinSpeed;
use tokio::time::{Instant, Sleep};

/// The measure of one stream.
#[derive(Debug)]
pub(crate) struct SpeedGauge {
    min: MinSpeed,
    /// How long the provider was waited for in this window.
    waited: Duration,
    waiting_since: Option<Instant>,
    /// How many tokens were there when the window began.
    tokens_before: u64,
    timer: Pin<Box<Sleep>>,
}

impl SpeedGauge {
    pub(crate) fn new(min: MinSpeed) -> Self {
        let timer = Box::pin(tokio::time::sleep(min.window));
        Self { min, waited: Duration::ZERO, waiting_since: None, tokens_before: 0, timer }
    }

    /// Notes that the provider sent something.
    pub(crate) fn received(&mut self) {
        if let Some(since) = self.waiting_since.take() {
            self.waited += since.elapsed();
        }
    }

    /// Waits beside a stream that has written so many tokens so far. The error says that it is slow.
    pub(crate) fn poll_slow(&mut self, tokens: u64, cx: &mut Context<'_>) -> Poll<Error> {
        loop {
            if self.waiting_since.is_none() {
                let now = Instant::now();
                self.waiting_since = Some(now);
                let left = self.min.window.saturating_sub(self.waited);
                self.timer.as_mut().reset(now + left);
            }
            ready!(self.timer.as_mut().poll(cx));
            let written = tokens.saturating_sub(self.tokens_before);
            let wanted = f64::from(self.min.tokens_per_second) * self.min.window.as_secs_f64();

            // Token counts are far below 2^52.
            #[expect(clippy::cast_precision_loss, reason = "counts of tokens are small")]
            if (written as f64) < wanted {
                return Poll::Ready(self.error(written));
            }
            (self.waited, self.waiting_since) = (Duration::ZERO, None);
            self.tokens_before = tokens;
        }
    }

    fn error(&self, written: u64) -> Error {
        let seconds = self.min.window.as_secs_f32();
        let message = format!(
            "wrote about {written} tokens in {seconds} s, and its step demands {} each second",
            self.min.tokens_per_second
        );
        Error::new(ErrorKind::Timeout, message)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    const MIN: MinSpeed = MinSpeed { tokens_per_second: 10, window: Duration::from_millis(200) };

    #[tokio::test]
    async fn a_stream_that_writes_too_little_while_it_is_waited_for_is_slow() {
        let mut gauge = SpeedGauge::new(MIN);
        let error = poll_fn(|cx| gauge.poll_slow(1, cx)).await;
        assert_eq!(error.kind, ErrorKind::Timeout);
        assert!(error.message().contains("demands 10"), "{error}");
    }

    #[tokio::test]
    async fn each_window_is_measured_anew() {
        let mut gauge = SpeedGauge::new(MIN);
        let first = tokio::time::timeout(MIN.window * 3 / 2, poll_fn(|cx| gauge.poll_slow(9, cx)));
        assert!(first.await.is_err(), "nine tokens are enough for the first window");
        assert_eq!(poll_fn(|cx| gauge.poll_slow(9, cx)).await.kind, ErrorKind::Timeout);
    }
}

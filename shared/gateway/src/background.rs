//! Work that no client waits for.
//!
//! On a server the work simply runs. In Lambda the process freezes once a call is over, so whoever
//! ends a call drains it first.

use std::{
    fmt,
    pin::Pin,
    sync::{Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use storage::StoreError;
use tokio::{runtime::Handle, sync::oneshot, task::JoinSet};

use crate::Configuration;

/// How long the end of a call waits for the work behind it.
pub(crate) const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a reader of the request log waits for calls that ended before.
pub(crate) const READ_TIMEOUT: Duration = Duration::from_millis(250);

/// The waits between the attempts at a write behind a call, while the store fails.
const RETRY_DELAYS: [Duration; 4] = [
    Duration::from_millis(50),
    Duration::from_millis(250),
    Duration::from_secs(1),
    Duration::from_secs(4),
];

/// Makes a write to the store behind a call, and makes it again while the store fails. A write that
/// was made though its response was lost has to be harmless a second time.
pub(crate) async fn persist<T, F>(write: impl Fn() -> F) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    for delay in RETRY_DELAYS {
        if let Ok(done) = write().await {
            return Ok(done);
        }
        tokio::time::sleep(delay).await;
    }
    write().await
}

/// Tasks under way.
#[derive(Debug, Default)]
pub(crate) struct Background {
    tasks: Mutex<JoinSet<()>>,
}

impl Background {
    /// Starts a task. One that comes after the end of the runtime is too late.
    pub(crate) fn start(&self, task: impl Future<Output = ()> + Send + 'static) {
        if Handle::try_current().is_err() {
            return;
        }
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        // Finished tasks would otherwise be kept until the next drain, which a server has only at
        // its end.
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
    }

    /// Waits for every task that was started, and for those that these start, within a time; what
    /// takes longer goes on.
    pub(crate) async fn drain(&self, within: Duration) {
        // Taken out of the lock, which must not be held over an await.
        let mut tasks = self.take();
        let all = async {
            while !tasks.is_empty() {
                while tasks.join_next().await.is_some() {}
                tasks = self.take();
            }
        };
        if tokio::time::timeout(within, all).await.is_err() {
            tracing::warn!("background work takes longer than {within:?}");
            // A set that is dropped would abort its tasks in the middle of their writes.
            tasks.detach_all();
        }
    }

    fn take(&self) -> JoinSet<()> {
        std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Does work to its end, also when nobody waits for its outcome any more. None where the work ended
/// without one.
pub(crate) async fn carry_on<T: Send + 'static>(
    configuration: &Configuration,
    work: impl Future<Output = T> + Send + 'static,
) -> Option<T> {
    let (sender, outcome) = oneshot::channel();
    // An outcome that nobody takes is dropped where the work was done.
    configuration.start_behind(async move { drop(sender.send(work.await)) });
    outcome.await.ok()
}

/// A write whose outcome always has an owner: whoever waits for it or, once they have left, `undo`.
///
/// A request to a store that is dropped may be applied all the same, and later than anything that is
/// sent to take it back. So the write is carried on behind the call, and taken back after its end.
#[must_use = "a write that nobody waits for is taken back"]
pub(crate) struct OwnedWrite<T: Send + 'static> {
    parts: Option<(Write<T>, Undo<T>)>,
    configuration: Configuration,
}

type Write<T> = Pin<Box<dyn Future<Output = T> + Send>>;
type Undo<T> = Box<dyn FnOnce(T) + Send>;

impl<T: Send + 'static> OwnedWrite<T> {
    pub(crate) fn new(
        configuration: &Configuration,
        write: impl Future<Output = T> + Send + 'static,
        undo: impl FnOnce(T) + Send + 'static,
    ) -> Self {
        let parts: (Write<T>, Undo<T>) = (Box::pin(write), Box::new(undo));
        Self { parts: Some(parts), configuration: configuration.clone() }
    }
}

impl<T: Send + 'static> Future for OwnedWrite<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let Some((write, _)) = &mut self.parts else { return Poll::Pending };
        let outcome = std::task::ready!(write.as_mut().poll(cx));
        self.parts = None;
        Poll::Ready(outcome)
    }
}

impl<T: Send + 'static> Drop for OwnedWrite<T> {
    fn drop(&mut self) {
        if let Some((write, undo)) = self.parts.take() {
            self.configuration.start_behind(async move { undo(write.await) });
        }
    }
}

impl<T: Send + 'static> fmt::Debug for OwnedWrite<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnedWrite").finish_non_exhaustive()
    }
}

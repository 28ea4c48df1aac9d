//! Work that no client waits for.
//!
//! On a server the work simply runs. In Lambda the process freezes once a call is over, so whoever
//! ends a call drains it first.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::{runtime::Handle, task::JoinSet};

/// How long the end of a call, or of the process, waits for the work behind it.
pub(crate) const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);

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

    /// Waits for every task that was started, within [`DRAIN_TIMEOUT`]; what takes longer goes on.
    pub(crate) async fn drain(&self) {
        // Taken out of the lock, which must not be held over an await; tasks that start meanwhile
        // are for the next drain.
        let mut tasks =
            std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        if tasks.is_empty() {
            return;
        }
        let all = async { while tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(DRAIN_TIMEOUT, all).await.is_err() {
            tracing::warn!("background work takes longer than {} s", DRAIN_TIMEOUT.as_secs());
            // A set that is dropped would abort its tasks in the middle of their writes.
            tasks.detach_all();
        }
    }
}

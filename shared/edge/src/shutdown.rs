//! How a server stops: calls go on for a while, then each ends with an error of its format.

use canonical::{Error, ErrorKind};
use tokio::sync::watch;

/// How far a server is on its way to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// The server takes calls.
    Serving,
    /// The server takes no new calls, and those in progress go on.
    Draining,
    /// Calls in progress are ended.
    Ending,
}

/// A handle that moves a server from one phase to the next.
#[derive(Debug)]
pub(crate) struct Stopper(watch::Sender<Phase>);

/// A handle that follows the phases of a server.
#[derive(Clone, Debug)]
pub(crate) struct Stopping(watch::Receiver<Phase>);

impl Stopper {
    /// A server that begins to serve.
    pub(crate) fn new() -> (Self, Stopping) {
        let (sender, receiver) = watch::channel(Phase::Serving);
        (Self(sender), Stopping(receiver))
    }

    /// Enters a phase.
    pub(crate) fn enter(&self, phase: Phase) {
        // Kept although nobody may be listening: a connection that comes later has to see it.
        self.0.send_replace(phase);
    }
}

impl Stopping {
    /// A process that another ends, such as a function in Lambda.
    pub(crate) fn never() -> Self {
        Stopper::new().1
    }

    /// Waits until a phase is reached; for ever where it never is.
    pub(crate) async fn reached(mut self, phase: Phase) {
        // The sender is gone where nobody can stop the process, which is not the same as stopping.
        if self.0.wait_for(|current| phase <= *current).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// The error of a call that is ended because the server stops.
pub(crate) fn stopping_error() -> Error {
    Error::new(ErrorKind::Unavailable, "The gateway is stopping; try again.")
}

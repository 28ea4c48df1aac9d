//! Signals and limits of a process where there are none of Unix.

use std::io;

/// The signal that asks a process to stop: Ctrl-C.
pub(crate) struct StopSignals;

impl StopSignals {
    /// Starts to listen.
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self)
    }

    /// Waits for the next Ctrl-C; for ever where it cannot be listened for.
    pub(crate) async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            // A future that is ready at once would stop the server as it starts.
            std::future::pending::<()>().await;
        }
    }
}

/// Gives no limit: descriptors are not limited per process here.
pub(crate) fn raise_descriptor_limit() -> Option<u64> {
    None
}

//! Signals and limits of a process on Unix.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// How many descriptors macOS allows a process whose hard limit is infinite (`OPEN_MAX`).
const OPEN_MAX: u64 = 10_240;

/// The signals that ask a process to stop: SIGINT and SIGTERM.
pub(crate) struct StopSignals {
    interrupt: Signal,
    terminate: Signal,
}

impl StopSignals {
    /// Starts to listen for the signals; from here on they no longer end the process.
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Waits for the next signal.
    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Raises the soft limit of descriptors to the hard one. Gives the limit in force; none without one.
pub(crate) fn raise_descriptor_limit() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    // macOS refuses an infinite soft limit, although the hard one is.
    for wanted in [limit.maximum, limit.maximum.map(|it| it.min(OPEN_MAX)).or(Some(OPEN_MAX))] {
        let raised = Rlimit { current: wanted, maximum: limit.maximum };
        if setrlimit(Resource::Nofile, raised).is_ok() {
            return wanted;
        }
    }
    limit.current
}

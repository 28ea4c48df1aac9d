//! Signals and limits of a process on Unix.

use std::io::{self, IsTerminal};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// How many descriptors macOS allows a process whose hard limit is infinite (`OPEN_MAX`).
const OPEN_MAX: u64 = 10_240;

/// The signals that ask a process to stop: SIGINT and SIGTERM, and SIGHUP of a terminal that closes.
pub(crate) struct StopSignals {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
    has_terminal: bool,
}

impl StopSignals {
    /// Starts to listen for the signals; from here on they no longer end the process.
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
            has_terminal: io::stderr().is_terminal(),
        })
    }

    /// Waits for the next signal.
    pub(crate) async fn next(&mut self) {
        loop {
            tokio::select! {
                _ = self.interrupt.recv() => return,
                _ = self.terminate.recv() => return,
                _ = self.hang_up.recv() => {}
            }
            if self.has_terminal {
                return;
            }
            // Who manages services means "read the configuration again" by it.
            tracing::info!("the configuration file is under watch; a change is in force by itself");
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

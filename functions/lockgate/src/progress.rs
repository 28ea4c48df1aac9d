//! What a terminal shows while a command works for longer than a second: a line on standard error.
//!
//! Where standard error is no terminal, nothing is shown.

use std::{
    io::{self, Write},
    thread,
    time::Duration,
};

use admin::ApplyObserver;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How long a command works in silence.
const SILENCE: Duration = Duration::from_secs(1);
/// How often the line is drawn anew.
const TICK: Duration = Duration::from_millis(100);

/// The progress of a command, shown until it goes away.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// Begins to work on something, such as `writing the configuration`.
    pub(crate) fn start(what: &'static str) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        bar.set_style(ProgressStyle::default_spinner());
        bar.set_message(what);
        let shown = bar.clone();
        thread::spawn(move || {
            thread::sleep(SILENCE);
            if !shown.is_finished() {
                // Draws on a terminal only.
                shown.set_draw_target(ProgressDrawTarget::stderr());
                shown.enable_steady_tick(TICK);
            }
        });
        Self { bar }
    }

    /// Standard output that what is shown makes way for.
    pub(crate) fn stdout(&self) -> Suspending {
        Suspending { bar: self.bar.clone() }
    }
}

impl ApplyObserver for Progress {
    fn wrote(&self, done: usize, of: usize) {
        let as_u64 = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        self.bar.set_style(ProgressStyle::default_bar());
        self.bar.set_length(as_u64(of));
        self.bar.set_position(as_u64(done));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// Standard output beside a line that is drawn again and again.
#[derive(Debug)]
pub(crate) struct Suspending {
    bar: ProgressBar,
}

impl Write for Suspending {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bar.suspend(|| io::stdout().write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stdout().flush()
    }
}

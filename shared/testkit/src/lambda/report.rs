//! What the emulator has seen, for tests to look at.

use std::time::Duration;

use serde::Serialize;
use tokio::sync::watch;

/// Everything that has happened so far.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// Every environment that was started.
    pub cold_starts: Vec<ColdStart>,
    /// Every call that has a response, or never will.
    pub invocations: Vec<Invocation>,
    /// How many calls found no environment.
    pub throttled: usize,
    /// What would go wrong on AWS, or may.
    pub warnings: Vec<Warning>,
    /// What the functions printed.
    pub lines: Vec<Line>,
}

/// An environment's start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ColdStart {
    /// The function.
    pub function: String,
    /// The environment's number.
    pub environment: usize,
    /// The environment's process.
    pub pid: u32,
    /// Time from the start of the process until its first request for an event.
    pub init_micros: Option<u64>,
    /// Processor time it had used by then, where the system reports it.
    pub init_cpu_micros: Option<u64>,
}

/// A call of a function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Invocation {
    /// The function.
    pub function: String,
    /// The request's id.
    pub request_id: String,
    /// The environment's number.
    pub environment: usize,
    /// Whether the environment was started for it.
    pub cold: bool,
    /// Time from when the function got the event until its response was complete.
    pub micros: u64,
    /// How it ended.
    pub outcome: Outcome,
}

/// How a call of a function ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The function responded, with any status.
    Answered,
    /// The function reported this error to the runtime.
    Failed(String),
    /// The process ended, with this status.
    Crashed(String),
    /// The function took too long and was killed.
    TimedOut,
}

/// Something that a test should not let pass.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Warning {
    /// The function.
    pub function: String,
    /// What is wrong.
    pub text: String,
}

/// A line that a function printed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    /// The function.
    pub function: String,
    /// The environment's number.
    pub environment: usize,
    /// Whether it was printed as an error.
    pub error: bool,
    /// The line.
    pub text: String,
}

impl Report {
    /// How many environments of a function were started.
    pub fn starts_of(&self, function: &str) -> usize {
        self.cold_starts.iter().filter(|start| start.function == function).count()
    }

    /// How the calls of a function ended, in order.
    pub fn outcomes_of(&self, function: &str) -> Vec<&Outcome> {
        let of_function = self.invocations.iter().filter(|call| call.function == function);
        of_function.map(|call| &call.outcome).collect()
    }
}

/// Where the report is written.
#[derive(Debug, Default)]
pub(super) struct Ledger(watch::Sender<Report>);

impl Ledger {
    pub(super) fn report(&self) -> Report {
        self.0.borrow().clone()
    }

    pub(super) fn note(&self, change: impl FnOnce(&mut Report)) {
        self.0.send_modify(change);
    }

    pub(super) fn warn(&self, function: &str, text: impl Into<String>) {
        let warning = Warning { function: function.to_owned(), text: text.into() };
        self.note(|report| report.warnings.push(warning));
    }

    /// Waits until the report meets a condition; false after the timeout.
    pub(super) async fn wait(
        &self,
        condition: impl FnMut(&Report) -> bool,
        timeout: Duration,
    ) -> bool {
        let mut reports = self.0.subscribe();
        let in_time = tokio::time::timeout(timeout, reports.wait_for(condition)).await;
        in_time.is_ok_and(|in_time| in_time.is_ok())
    }
}

//! Finish reasons that no format documents, and that mean a cut; and responses without any.

use canonical::{Error, ErrorKind};

use crate::redact;

/// Reasons of a response that was cut: `abort` of vLLM and `SGLang`, DeepSeek's
/// `insufficient_system_resource`, OpenRouter's `error`, and their like at other servers.
const CUT: &[&str] = &[
    "abort",
    "aborted",
    "cancelled",
    "canceled",
    "error",
    "failed",
    "insufficient_system_resource",
    "interrupted",
    "network_error",
    "timeout",
];

/// The failure that a finish reason means, where the response was cut.
pub(crate) fn check(reason: &str) -> Result<(), Error> {
    if CUT.iter().any(|it| reason.eq_ignore_ascii_case(it)) {
        let message = format!("stopped in the middle of its response: finish reason `{reason}`");
        return Err(Error::new(ErrorKind::Upstream, message));
    }
    Ok(())
}

/// The failure of a stream that ends before every choice has its finish reason.
#[must_use]
pub fn missing() -> Error {
    let message = "ended its stream without a finish reason: the response is cut";
    Error::new(ErrorKind::Upstream, message)
}

/// The choices of a stream: which have begun, and which have a finish reason.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Finishes {
    begun: u128,
    finished: u128,
}

impl Finishes {
    /// Notes a choice by its index, and whether it has its finish reason now.
    pub(crate) fn note(&mut self, index: u32, has_reason: bool) {
        // Nobody asks for so many choices: those beyond count as one.
        let choice = 1 << index.min(u128::BITS - 1);
        self.begun |= choice;
        self.finished |= if has_reason { choice } else { 0 };
    }

    /// Adds what a part of the stream notes.
    pub(crate) fn add(&mut self, other: Self) {
        self.begun |= other.begun;
        self.finished |= other.finished;
    }

    /// Whether the choice of this index has its finish reason.
    pub(crate) fn has(self, index: u32) -> bool {
        self.finished & 1 << index.min(u128::BITS - 1) != 0
    }

    /// Whether a choice has its finish reason.
    pub(crate) fn have_any(self) -> bool {
        self.finished != 0
    }

    /// Whether there are choices, and each has its finish reason.
    pub(crate) fn are_complete(self) -> bool {
        self.begun != 0 && self.begun == self.finished
    }

    /// Checks that a stream may end now.
    pub(crate) fn check(self) -> Result<(), Error> {
        if self.are_complete() { Ok(()) } else { Err(missing()) }
    }
}

/// The failure of a response that ends for a reason that nobody knows: half a response must not pass
/// for a whole one.
pub(crate) fn unknown(reason: &str) -> Error {
    let message = format!("ended its response for an unknown reason: `{}`", redact(reason));
    Error::new(ErrorKind::Upstream, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_choice_that_has_begun_needs_a_finish_reason() {
        let mut finishes = Finishes::default();
        assert!(finishes.check().is_err(), "there is no choice");
        finishes.note(0, true);
        assert!(finishes.are_complete());
        finishes.note(1, false);
        assert!(!finishes.are_complete());
        finishes.note(1, true);
        finishes.note(1, false);
        assert!(finishes.are_complete());
        finishes.note(u32::MAX, false);
        assert!(finishes.check().is_err());
    }

    #[test]
    fn a_reason_that_means_a_cut_is_a_failure() {
        assert_eq!(check("abort").unwrap_err().kind, ErrorKind::Upstream);
        assert!(check("insufficient_system_resource").is_err());
        assert!(check("stop").is_ok() && check("something_new").is_ok());
    }
}

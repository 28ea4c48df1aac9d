//! The trail that a call leaves: whom it tried, and what came of it.

/// One try of one candidate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptRecord {
    /// The provider's name in the configuration.
    pub provider: String,
    /// The provider's name for the model.
    pub model: String,
    /// What came of it.
    pub outcome: Outcome,
    /// The provider's HTTP status, when it gave one.
    pub status: Option<u16>,
    /// From asking to knowing, in milliseconds.
    pub duration_ms: u64,
    /// What went wrong, in a sentence that a client may read.
    pub message: Option<String>,
}

/// What came of one try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It answered, or is answering.
    Success,
    /// It failed, and why: the word that `code` has for it.
    Failed(&'static str),
}

impl Outcome {
    /// The word for it on the wire and in logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failed(code) => code,
        }
    }
}

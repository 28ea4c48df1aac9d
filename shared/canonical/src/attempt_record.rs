//! The attempts of a call, as clients and logs show them.

/// One request to one target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptRecord {
    /// The provider's name in the configuration.
    pub provider: String,
    /// The provider's name for the model.
    pub model: String,
    /// How the attempt ended.
    pub outcome: Outcome,
    /// The provider's HTTP status, when it gave one.
    pub status: Option<u16>,
    /// The time from sending the request to the outcome, in milliseconds.
    pub duration_ms: u64,
    /// The error, in a sentence that a client may read.
    pub message: Option<String>,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The provider responded, or is responding.
    Success,
    /// The attempt failed, with the error code of the cause.
    Failed(&'static str),
}

impl Outcome {
    /// The outcome's name on the wire and in logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failed(code) => code,
        }
    }
}

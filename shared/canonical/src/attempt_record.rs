//! Attempts: what a call records of each request to a target.

use std::{fmt, str::FromStr};

/// The name of a provider's key in records, logs and cooldowns. The key cannot be found from it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct KeyFingerprint(pub [u8; Self::BYTES]);

/// One request to one target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AttemptRecord {
    /// The provider's name in the configuration.
    pub provider: String,
    /// The provider's name for the model.
    pub model: String,
    /// The key that the request carried.
    pub key: KeyFingerprint,
    /// How the attempt ended; canceled as long as it has not.
    pub outcome: Outcome,
    /// The provider's HTTP status, when there was one.
    pub status: Option<u16>,
    /// Whether the request was never sent, so that its provider bills nothing.
    pub is_unsent: bool,
    /// From the call's arrival to the start of the attempt, in milliseconds.
    pub start_ms: u64,
    /// From the start to the first meaningful event of a stream, in milliseconds.
    pub first_token_ms: Option<u64>,
    /// From the start to the end of the attempt, in milliseconds.
    pub duration_ms: u64,
    /// What went wrong, in a sentence that a client may read.
    pub message: Option<String>,
    /// What was decided after a failure.
    pub next: Option<NextStep>,
    /// For how long the target cools down because of the attempt, in milliseconds; zero where it does
    /// not.
    pub cooldown_ms: u64,
}

/// How one attempt ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Outcome {
    /// A response came, or its beginning.
    Success,
    /// The attempt failed with this error code.
    Failed(&'static str),
    /// The client left, or another attempt was faster.
    // An attempt that is dropped before it ends was canceled: nobody is left to write another
    // outcome.
    #[default]
    Canceled,
}

/// What is decided after a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextStep {
    /// The same target once more, after a delay.
    RetryTarget,
    /// The same target without what it has rejected.
    ApplyRemedy,
    /// The same target under another key.
    NextKey,
    /// Another target.
    NextTarget,
    /// Nothing: the failure would repeat anywhere.
    FailFast,
    /// Nothing: no target is left, or no time.
    Exhausted,
}

impl KeyFingerprint {
    /// The length of a fingerprint, in bytes.
    pub const BYTES: usize = 6;
    /// Stands for a request that carries no key.
    pub const NONE: Self = Self([0; Self::BYTES]);
}

impl fmt::Display for KeyFingerprint {
    /// Twelve hexadecimal digits, or `none`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::NONE {
            return f.write_str("none");
        }
        // One number: formatting each byte by itself takes as long as six of them.
        let number = self.0.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        write!(f, "{number:012x}")
    }
}

/// A text that is no fingerprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoFingerprint;

impl FromStr for KeyFingerprint {
    type Err = NoFingerprint;

    fn from_str(text: &str) -> Result<Self, NoFingerprint> {
        if text == "none" {
            return Ok(Self::NONE);
        }
        // `from_str_radix` takes a sign as well.
        let is_hexadecimal = text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = u64::from_str_radix(text, 16).ok().ok_or(NoFingerprint)?;
        if text.len() != 2 * Self::BYTES || !is_hexadecimal {
            return Err(NoFingerprint);
        }
        // Twelve digits fill six of the eight bytes.
        let [_, _, bytes @ ..] = number.to_be_bytes();
        Ok(Self(bytes))
    }
}

impl Outcome {
    /// The outcome's name on the wire and in logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failed(code) => code,
            Self::Canceled => "canceled",
        }
    }
}

impl NextStep {
    /// The decision's name in records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RetryTarget => "retry_same_target",
            Self::ApplyRemedy => "apply_remedy",
            Self::NextKey => "next_key",
            Self::NextTarget => "next_target",
            Self::FailFast => "fail_fast",
            Self::Exhausted => "exhausted",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_read_as_it_was_written() {
        let fingerprint = KeyFingerprint([0, 1, 0xab, 0xff, 16, 7]);
        assert_eq!(fingerprint.to_string(), "0001abff1007");
        assert_eq!("0001abff1007".parse(), Ok(fingerprint));
        assert_eq!("none".parse(), Ok(KeyFingerprint::NONE));
        for odd in ["", "+001abff1007", "0001abff10", "0001abff100700", "key"] {
            assert_eq!(odd.parse::<KeyFingerprint>(), Err(NoFingerprint), "{odd}");
        }
    }
}

//! What an answer consumed.

use std::fmt;

/// Tokens in classes that do not overlap: together they are the total.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Read, at the full price: text that came from no cache.
    pub input: u64,
    /// Read from the provider's cache.
    pub cached_input: u64,
    /// Written to the provider's cache while being read.
    pub cache_write: u64,
    /// Read as sound.
    pub input_audio: u64,
    /// Written, without reasoning and sound.
    pub output: u64,
    /// Written as reasoning, whether or not it is shown.
    pub reasoning: u64,
    /// Written as sound.
    pub output_audio: u64,
}

impl Usage {
    /// Every token that was read.
    pub fn all_input(&self) -> u64 {
        self.input + self.cached_input + self.cache_write + self.input_audio
    }

    /// Every token that was written.
    pub fn all_output(&self) -> u64 {
        self.output + self.reasoning + self.output_audio
    }
}

/// Money: millionths of a US dollar.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct MicroDollars(pub u64);

impl fmt::Display for MicroDollars {
    /// Dollars as a decimal number, such as `0.000123`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_shown_in_dollars() {
        assert_eq!(MicroDollars(12_345_678).to_string(), "12.345678");
        assert_eq!(MicroDollars(7).to_string(), "0.000007");
    }
}

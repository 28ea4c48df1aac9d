//! Token usage, and money.

use std::fmt;

/// Tokens in classes that do not overlap, but for one part of a class: their sum is the total.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Input text at the full price: no part of it came from a cache.
    pub input: u64,
    /// Input read from the provider's cache.
    pub cached_input: u64,
    /// Input written to the provider's cache.
    pub cache_write: u64,
    /// What of `cache_write` stays for an hour, which costs more.
    pub cache_write_hour: u64,
    /// Input audio.
    pub input_audio: u64,
    /// Output, without reasoning and audio.
    pub output: u64,
    /// Reasoning, whether or not the client sees it.
    pub reasoning: u64,
    /// Output audio.
    pub output_audio: u64,
}

impl Usage {
    /// All input tokens.
    pub fn all_input(&self) -> u64 {
        // Counts of providers are not to be trusted: a sum must not wrap around to nothing.
        let cached = self.cached_input.saturating_add(self.cache_write);
        self.input.saturating_add(cached).saturating_add(self.input_audio)
    }

    /// The sum of both, class by class.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        Self {
            input: self.input.saturating_add(other.input),
            cached_input: self.cached_input.saturating_add(other.cached_input),
            cache_write: self.cache_write.saturating_add(other.cache_write),
            cache_write_hour: self.cache_write_hour.saturating_add(other.cache_write_hour),
            input_audio: self.input_audio.saturating_add(other.input_audio),
            output: self.output.saturating_add(other.output),
            reasoning: self.reasoning.saturating_add(other.reasoning),
            output_audio: self.output_audio.saturating_add(other.output_audio),
        }
    }

    /// All output tokens.
    pub fn all_output(&self) -> u64 {
        self.output.saturating_add(self.reasoning).saturating_add(self.output_audio)
    }

    /// All tokens.
    pub fn total(&self) -> u64 {
        self.all_input().saturating_add(self.all_output())
    }
}

/// Money: millionths of a US dollar.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct MicroDollars(pub u64);

impl MicroDollars {
    /// The amount in dollars, exact below nine thousand million of them.
    #[expect(clippy::cast_precision_loss, reason = "no account spends that much")]
    pub fn dollars(self) -> f64 {
        self.0 as f64 / 1_000_000.0
    }
}

impl fmt::Display for MicroDollars {
    /// Dollars as a decimal number, such as `0.000123`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // From whole numbers: a float would not write every amount exactly.
        write!(f, "{}.{:06}", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_of_tokens_never_wrap_around() {
        let most = u64::MAX;
        let usage = Usage {
            input: most,
            cached_input: most,
            cache_write: most,
            cache_write_hour: most,
            input_audio: most,
            output: most,
            reasoning: most,
            output_audio: most,
        };
        assert_eq!((usage.all_input(), usage.all_output(), usage.total()), (most, most, most));
        assert_eq!(usage.plus(&usage), usage);
    }

    #[test]
    fn money_is_shown_in_dollars() {
        assert_eq!(MicroDollars(12_345_678).to_string(), "12.345678");
        assert_eq!(MicroDollars(7).to_string(), "0.000007");
    }
}

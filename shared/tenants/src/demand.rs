//! Demands: how much a call may use at most, and what that costs at worst.
//!
//! Prices are looked up by the caller: the highest rates that any step of the route may charge.

use canonical::MicroDollars;

use crate::limits::LimitSource;

/// How many output tokens are held where nothing bounds them.
pub const DEFAULT_MAX_OUTPUT_TOKENS: u64 = 16_384;

/// The smallest response that is worth a call: a hold is never shrunk below it.
pub const MIN_CAPPED_OUTPUT_TOKENS: u64 = 256;

const MILLION: u128 = 1_000_000;

/// The highest rates that a call may be charged, in micro-dollars per million tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorstPrice {
    /// For an input token of the most expensive class, cache writes included.
    pub input: u64,
    /// For an output token of the most expensive class.
    pub output: u64,
}

impl WorstPrice {
    /// The dearer rate of either, class by class.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self { input: self.input.max(other.input), output: self.output.max(other.output) }
    }

    /// The cost of these tokens, rounded up.
    pub fn cost(self, input: u64, output: u64) -> MicroDollars {
        let total = u128::from(input) * u128::from(self.input)
            + u128::from(output) * u128::from(self.output);
        MicroDollars(u64::try_from(total.div_ceil(MILLION)).unwrap_or(u64::MAX))
    }

    /// How many output tokens this much money pays for; everything where they are free.
    fn output_tokens(self, money: u64) -> u64 {
        let tokens = (u128::from(money) * MILLION).checked_div(u128::from(self.output));
        tokens.map_or(u64::MAX, |tokens| u64::try_from(tokens).unwrap_or(u64::MAX))
    }
}

/// What a request says about its size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InputSize {
    /// Our own estimate of the text's tokens.
    pub estimated_tokens: u64,
    /// The characters of the text.
    pub characters: u64,
    /// The most tokens that images, audio and video may count as.
    pub media_tokens: u64,
}

impl InputSize {
    /// An upper estimate of the input: half as much again as estimated, and at least one token
    /// for two characters.
    pub fn upper_estimate(self) -> u64 {
        // Held too much comes back with the settlement; held too little is spent beyond the budget.
        let generous = self.estimated_tokens.saturating_add(self.estimated_tokens / 2);
        generous.max(self.characters / 2).saturating_add(self.media_tokens)
    }
}

/// The most output tokens of one choice: the least of the bounds that are known.
pub fn max_output_tokens(bounds: &[Option<u64>]) -> u64 {
    bounds.iter().flatten().copied().min().unwrap_or(DEFAULT_MAX_OUTPUT_TOKENS)
}

/// The most that a call may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Demand {
    /// Input tokens.
    pub input: u64,
    /// Output tokens of one choice.
    pub output: u64,
    /// How many choices are asked for, at least 1.
    pub choices: u64,
    /// The highest rates; absent where a step's price is unknown.
    pub price: Option<WorstPrice>,
}

impl Demand {
    /// Output tokens of all choices.
    pub fn all_output(&self) -> u64 {
        self.output.saturating_mul(self.choices.max(1))
    }

    /// What the call costs at most; nothing where its price is unknown.
    pub fn cost(&self) -> MicroDollars {
        self.price.map_or(MicroDollars(0), |price| price.cost(self.input, self.all_output()))
    }

    /// The same call with the smallest response that is worth it.
    pub(crate) fn smallest(&self) -> Self {
        Self { output: self.output.min(MIN_CAPPED_OUTPUT_TOKENS), ..*self }
    }

    /// What the call needs of a limit at least.
    pub(crate) fn least(&self, source: LimitSource) -> u64 {
        match source {
            LimitSource::RequestsPerMinute
            | LimitSource::RequestsPerHour
            | LimitSource::RequestsPerDay
            | LimitSource::Concurrency => 1,
            LimitSource::DailyInputTokens => self.smallest().input,
            LimitSource::DailyOutputTokens => self.smallest().all_output(),
            LimitSource::Budget => self.smallest().cost().0,
        }
    }

    /// The same call with a response that fits this much money and these output tokens, if that
    /// leaves one that is worth it.
    pub(crate) fn shrunk(&self, money: Option<u64>, output: Option<u64>) -> Option<Self> {
        let choices = self.choices.max(1);
        let mut room = output.unwrap_or(u64::MAX) / choices;
        if let (Some(money), Some(price)) = (money, self.price) {
            // Output is what can be shrunk; a prompt that alone costs more than what is left
            // cannot.
            let left = money.checked_sub(price.cost(self.input, 0).0)?;
            room = room.min(price.output_tokens(left) / choices);
        }
        let shrunk = Self { output: self.output.min(room), ..*self };
        (self.smallest().output <= shrunk.output).then_some(shrunk)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// $3 and $15 per million tokens.
    const PRICE: WorstPrice = WorstPrice { input: 3_000_000, output: 15_000_000 };

    fn demand(input: u64, output: u64) -> Demand {
        Demand { input, output, choices: 1, price: Some(PRICE) }
    }

    #[test]
    fn a_part_of_a_micro_dollar_is_held_as_a_whole_one() {
        let cheap = WorstPrice { input: 1, output: 0 };
        assert_eq!(cheap.cost(1, 0), MicroDollars(1));
        assert_eq!(cheap.cost(0, 0), MicroDollars(0));
        assert_eq!(PRICE.cost(1_000, 1_000), MicroDollars(18_000));
    }

    #[test]
    fn input_is_estimated_generously() {
        let size = InputSize { estimated_tokens: 100, characters: 400, media_tokens: 7 };
        assert_eq!(size.upper_estimate(), 207);
        assert_eq!(InputSize { characters: 10, ..size }.upper_estimate(), 157);
    }

    #[test]
    fn the_least_bound_holds() {
        assert_eq!(max_output_tokens(&[None, Some(900), Some(800)]), 800);
        assert_eq!(max_output_tokens(&[None, None]), DEFAULT_MAX_OUTPUT_TOKENS);
    }

    #[test]
    fn a_shrunk_call_fits_its_room_to_the_token() {
        let shrunk = demand(1_000, 10_000).shrunk(Some(18_000), None).unwrap();
        assert_eq!((shrunk.output, shrunk.cost().0), (1_000, 18_000));
        assert_eq!(demand(1_000, 10_000).shrunk(None, Some(300)).unwrap().output, 300);
    }

    #[test]
    fn a_call_is_not_shrunk_to_nothing() {
        assert_eq!(demand(1_000, 10_000).shrunk(Some(3_000 + 255 * 15), None), None);
        assert!(demand(1_000, 10_000).shrunk(Some(3_000 + 256 * 15), None).is_some());
        assert_eq!(demand(1_000, 10_000).shrunk(Some(2_999), None), None);
        assert!(demand(1_000, 20).shrunk(Some(3_300), None).is_some());
    }

    #[test]
    fn several_choices_share_the_room() {
        let call = Demand { choices: 4, ..demand(0, 10_000) };
        assert_eq!(call.shrunk(None, Some(2_000)).unwrap().output, 500);
        assert_eq!(call.cost().0, 600_000);
    }
}

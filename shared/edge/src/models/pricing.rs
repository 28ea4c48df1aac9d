//! Prices as `OpenRouter` shows them in its list: US dollars for a token, as decimal text.
//!
//! Source: openrouter.ai, *List available models*, seen 2026-11.

use gateway::ListedModel;
use model_catalog::Price;
use serde::Serialize;

/// A rate of one micro-dollar for a million tokens is this part of a dollar for a token.
const RATES_IN_A_DOLLAR: u64 = 1_000_000_000_000;

/// What the tokens of a model cost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Pricing {
    prompt: String,
    completion: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    input_cache_read: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    input_cache_write: Option<String>,
}

impl From<&Price> for Pricing {
    fn from(price: &Price) -> Self {
        let rates = price.rates;
        Self {
            prompt: for_a_token(rates.input),
            completion: for_a_token(rates.output),
            input_cache_read: Some(for_a_token(rates.cached_input)),
            input_cache_write: Some(for_a_token(rates.cache_write)),
        }
    }
}

impl Pricing {
    /// The price that a provider lists; none where the provider names none.
    pub(super) fn as_listed(model: &ListedModel) -> Option<Self> {
        Some(Self {
            prompt: model.input_price.clone()?,
            completion: model.output_price.clone()?,
            input_cache_read: None,
            input_cache_write: None,
        })
    }
}

/// A rate in micro-dollars per million tokens as dollars for a token.
fn for_a_token(rate: u64) -> String {
    let (whole, rest) = (rate / RATES_IN_A_DOLLAR, rate % RATES_IN_A_DOLLAR);
    let text = format!("{whole}.{rest:012}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_shown_for_one_token() {
        for (rate, text) in
            [(0, "0"), (3_000_000, "0.000003"), (150_000, "0.00000015"), (1, "0.000000000001")]
        {
            assert_eq!(for_a_token(rate), text);
        }
        assert_eq!(for_a_token(RATES_IN_A_DOLLAR * 2), "2");
    }
}

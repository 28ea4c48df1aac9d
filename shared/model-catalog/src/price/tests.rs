//! Prices: rates by class, tiers by prompt length, rounding, overrides.

use super::*;

const RATES: Rates =
    Rates { input: 3_000_000, output: 15_000_000, cached_input: 300_000, cache_write: 3_750_000 };

fn price(rates: Rates) -> Price {
    rates.into()
}

fn overriding(provider: &str, model: &str) -> PriceTable {
    let (provider, model) = (provider.to_owned(), model.to_owned());
    PriceTable::new(vec![PriceOverride { provider, model, price: price(RATES) }])
}

#[test]
fn each_class_of_tokens_has_its_own_rate() {
    let usage = Usage {
        input: 1_000,
        cached_input: 1_000,
        cache_write: 1_000,
        output: 1_000,
        ..Usage::default()
    };
    assert_eq!(cost(&price(RATES), &usage), MicroDollars(3_000 + 300 + 3_750 + 15_000));
}

#[test]
fn what_stays_in_the_cache_for_an_hour_costs_twice_the_input() {
    let usage = Usage { cache_write: 1_000, cache_write_hour: 600, ..Usage::default() };
    assert_eq!(cost(&price(RATES), &usage), MicroDollars(1_500 + 3_600));
    // Without a rate of its own, a write to the cache is input, however long it stays.
    let same = Rates { cache_write: RATES.input, ..RATES };
    assert_eq!(cost(&price(same), &usage), MicroDollars(3_000));
}

#[test]
fn token_classes_add_up() {
    // Whole rates, so that no rounding hides a missing class.
    let price = price(Rates {
        input: 3_000_000,
        output: 15_000_000,
        cached_input: 1_000_000,
        cache_write: 4_000_000,
    });
    let apart = [
        Usage { input: 7, ..Usage::default() },
        Usage { cached_input: 11, ..Usage::default() },
        Usage { cache_write: 13, ..Usage::default() },
        Usage { input_audio: 17, ..Usage::default() },
        Usage { output: 19, ..Usage::default() },
        Usage { reasoning: 23, ..Usage::default() },
        Usage { output_audio: 29, ..Usage::default() },
    ];
    let together = Usage {
        input: 7,
        cached_input: 11,
        cache_write: 13,
        input_audio: 17,
        output: 19,
        reasoning: 23,
        output_audio: 29,
        ..Usage::default()
    };
    let sum = apart.iter().map(|it| cost(&price, it).0).sum();
    assert_eq!(cost(&price, &together), MicroDollars(sum));
}

#[test]
fn reasoning_and_audio_are_charged_as_text() {
    let usage =
        Usage { input_audio: 1_000, reasoning: 1_000, output_audio: 1_000, ..Usage::default() };
    assert_eq!(cost(&price(RATES), &usage), MicroDollars(3_000 + 15_000 + 15_000));
}

#[test]
fn no_tokens_cost_nothing() {
    assert_eq!(cost(&price(RATES), &Usage::default()), MicroDollars(0));
}

#[test]
fn more_tokens_never_cost_less() {
    let costs = (0..2_000).map(|input| cost(&price(RATES), &Usage { input, ..Usage::default() }));
    assert!(costs.is_sorted());
}

#[test]
fn half_a_micro_dollar_is_rounded_up_and_less_is_not() {
    let rates = |input| price(Rates { input, ..RATES });
    let token = Usage { input: 1, ..Usage::default() };
    assert_eq!(cost(&rates(500_000), &token), MicroDollars(1));
    assert_eq!(cost(&rates(499_999), &token), MicroDollars(0));
}

#[test]
fn rounding_happens_once_for_the_whole_call() {
    let half = price(Rates { input: 400_000, output: 400_000, ..RATES });
    let usage = Usage { input: 1, output: 1, ..Usage::default() };
    assert_eq!(cost(&half, &usage), MicroDollars(1));
}

#[test]
fn the_largest_numbers_do_not_overflow() {
    let max = u64::MAX;
    let price_of_max =
        price(Rates { input: max, output: max, cached_input: max, cache_write: max });
    let usage = Usage {
        input: max,
        cached_input: max,
        cache_write: max,
        cache_write_hour: max,
        input_audio: max,
        output: max,
        reasoning: max,
        output_audio: max,
    };
    assert_eq!(cost(&price_of_max, &usage), MicroDollars(max));
}

#[test]
fn a_long_prompt_raises_the_rate_of_every_token() {
    let long = Rates { input: 6_000_000, output: 22_500_000, ..RATES };
    let price = Price { rates: RATES, long: Some(LongPrompt { above: 200_000, rates: long }) };
    let usage = |input| Usage { input, output: 1_000, ..Usage::default() };
    assert_eq!(cost(&price, &usage(200_000)), MicroDollars(600_000 + 15_000));
    assert_eq!(cost(&price, &usage(200_001)), MicroDollars(1_200_006 + 22_500));
}

#[test]
fn cached_tokens_count_towards_a_long_prompt() {
    let price = Price { rates: RATES, long: Some(LongPrompt { above: 10, rates: RATES.twice() }) };
    let usage = Usage { cached_input: 1_000_000, ..Usage::default() };
    assert_eq!(cost(&price, &usage), MicroDollars(600_000));
}

#[test]
fn an_override_wins_over_the_shipped_price() {
    let prices = overriding("mine", "gpt-4o");
    assert_eq!(prices.find("openai", "mine", "gpt-4o"), Some(&price(RATES)));
    assert_ne!(prices.find("openai", "other", "gpt-4o"), Some(&price(RATES)));
}

#[test]
fn an_override_holds_for_its_exact_model_only() {
    let prices = overriding("mine", "llama");
    assert_eq!(prices.find("openai", "mine", "llama-2026-01-01"), None);
    assert_eq!(prices.find("openai", "mine", "meta/llama"), None);
}

impl Rates {
    fn twice(self) -> Self {
        Self {
            input: 2 * self.input,
            output: 2 * self.output,
            cached_input: 2 * self.cached_input,
            cache_write: 2 * self.cache_write,
        }
    }
}

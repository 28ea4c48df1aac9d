//! What the prices promise.

use super::*;

const RATES: Rates =
    Rates { input: 3_000_000, output: 15_000_000, cached_input: 300_000, cache_write: 3_750_000 };

fn price(rates: Rates) -> Price {
    rates.into()
}

fn ours(provider: &str, model: &str) -> Prices {
    let (provider, model) = (provider.to_owned(), model.to_owned());
    Prices::new(vec![Override { provider, model, price: price(RATES) }])
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
fn the_classes_add_up() {
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
    };
    let sum = apart.iter().map(|it| cost(&price, it).0).sum();
    assert_eq!(cost(&price, &together), MicroDollars(sum));
}

#[test]
fn reasoning_and_sound_are_charged_as_text() {
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
    let most = u64::MAX;
    let dear = price(Rates { input: most, output: most, cached_input: most, cache_write: most });
    let usage = Usage {
        input: most,
        cached_input: most,
        cache_write: most,
        input_audio: most,
        output: most,
        reasoning: most,
        output_audio: most,
    };
    assert_eq!(cost(&dear, &usage), MicroDollars(most));
}

#[test]
fn a_long_prompt_makes_every_token_dearer() {
    let long = Rates { input: 6_000_000, output: 22_500_000, ..RATES };
    let price = Price { rates: RATES, long: Some(Long { above: 200_000, rates: long }) };
    let usage = |input| Usage { input, output: 1_000, ..Usage::default() };
    assert_eq!(cost(&price, &usage(200_000)), MicroDollars(600_000 + 15_000));
    assert_eq!(cost(&price, &usage(200_001)), MicroDollars(1_200_006 + 22_500));
}

#[test]
fn cached_tokens_count_towards_a_long_prompt() {
    let price = Price { rates: RATES, long: Some(Long { above: 10, rates: RATES.twice() }) };
    let usage = Usage { cached_input: 1_000_000, ..Usage::default() };
    assert_eq!(cost(&price, &usage), MicroDollars(600_000));
}

#[test]
fn an_override_wins_over_the_shipped_price() {
    let prices = ours("mine", "gpt-4o");
    assert_eq!(prices.find("openai", "mine", "gpt-4o"), Some(&price(RATES)));
    assert_ne!(prices.find("openai", "other", "gpt-4o"), Some(&price(RATES)));
}

#[test]
fn an_override_holds_for_its_exact_model_only() {
    let prices = ours("mine", "llama");
    assert_eq!(prices.find("openai", "mine", "llama-2026-01-01"), None);
    assert_eq!(prices.find("openai", "mine", "meta/llama"), None);
}

#[test]
fn what_is_unknown_has_no_price() {
    let prices = Prices::default();
    assert_eq!(prices.find("openai", "openai", "gpt-nonsense"), None);
    assert_eq!(prices.find("nonsense", "nonsense", "gpt-4o"), None);
    assert_eq!(prices.find("ollama", "local", "gpt-oss-120b"), None);
    assert_eq!(context_window("openai", "gpt-nonsense"), None);
}

#[test]
fn a_date_or_a_vendor_falls_back_to_the_plain_name() {
    let prices = Prices::default();
    let find = |model| prices.find("openai", "openai", model);
    let plain = find("gpt-4o");
    assert!(plain.is_some());
    assert_eq!(find("gpt-4o-2024-11-20"), plain);
    assert_eq!(find("openai/gpt-4o"), plain);
    assert_eq!(find("openai/gpt-4o-2024-11-20"), plain);
    assert_eq!(
        prices.find("anthropic", "claude", "claude-opus-4-5-20251101"),
        prices.find("anthropic", "claude", "claude-opus-4-5"),
    );
}

#[test]
fn a_name_that_merely_looks_similar_is_unknown() {
    let prices = Prices::default();
    for model in
        ["gpt-4o-fast", "gpt-4o-202", "gpt-4o-2024-1-20", "a/b/gpt-4o", "ft:gpt-4o", "gpt-é"]
    {
        assert_eq!(prices.find("openai", "openai", model), None, "{model}");
    }
}

#[test]
fn an_unknown_date_is_unknown_where_dates_differ_in_price() {
    let prices = Prices::default();
    let find = |model| prices.find("azure-openai", "azure", model);
    assert_ne!(find("gpt-4o-2024-05-13"), find("gpt-4o"));
    assert_eq!(find("gpt-4o-2030-01-01"), None);
}

#[test]
fn the_table_says_how_long_prompts_and_answers_may_be() {
    assert_eq!(context_window("cerebras", "gpt-oss-120b"), Some(131_072));
    assert_eq!(max_output("anthropic", "claude-opus-4-6"), Some(128_000));
}

#[test]
fn a_known_price_is_as_published() {
    let prices = Prices::default();
    let found = prices.find("cerebras", "cerebras", "gpt-oss-120b").unwrap();
    assert_eq!((found.rates.input, found.rates.output), (350_000, 750_000));
}

#[test]
fn what_embeds_has_a_price_too() {
    let prices = Prices::default();
    for (provider, model, rate) in [
        ("openai", "text-embedding-3-small", 20_000),
        ("openai", "text-embedding-3-large", 130_000),
        ("gemini", "gemini-embedding-001", 150_000),
        ("bedrock", "amazon.titan-embed-text-v2:0", 20_000),
        ("bedrock", "us.cohere.embed-v4:0", 120_000),
        ("cohere", "embed-v4.0", 120_000),
    ] {
        let found = prices.find(provider, "p", model).unwrap();
        assert_eq!(found.rates.input, rate, "{model}");
    }
}

#[test]
fn what_bedrock_serves_costs_what_its_profile_costs() {
    let prices = Prices::default();
    for (provider, model, input, output) in [
        ("bedrock", "anthropic.claude-haiku-4-5-20251001-v1:0", 1_000_000, 5_000_000),
        ("bedrock", "eu.anthropic.claude-haiku-4-5-20251001-v1:0", 1_100_000, 5_500_000),
        ("bedrock", "us.amazon.nova-micro-v1:0", 35_000, 140_000),
        ("bedrock-anthropic", "global.anthropic.claude-opus-5-5", 4_000_000, 20_000_000),
        ("bedrock-openai", "openai.gpt-oss-120b-1:0", 150_000, 600_000),
    ] {
        let found = prices.find(provider, "p", model).unwrap();
        assert_eq!((found.rates.input, found.rates.output), (input, output), "{model}");
    }
    assert!(prices.find("bedrock", "p", "arn:aws:bedrock:eu-west-1:1:profile/x").is_none());
}

#[test]
fn the_table_is_in_order_and_names_nothing_twice() {
    assert!(table::TABLE.is_sorted_by(|(a, _), (b, _)| a < b));
    for (provider, lists) in table::TABLE {
        assert!(lists.iter().all(|it| it.is_sorted_by(|a, b| a.model < b.model)), "{provider}");
        let mut names: Vec<_> = lists.iter().copied().flatten().map(|it| it.model).collect();
        names.sort_unstable();
        assert!(names.is_sorted_by(|a, b| a < b), "{provider}");
    }
}

#[test]
fn every_row_is_plausible() {
    for row in table::TABLE.iter().flat_map(|(_, lists)| *lists).copied().flatten() {
        let usual = row.price.rates;
        for rates in [Some(usual), row.price.long.map(|it| it.rates)].into_iter().flatten() {
            assert!(0 < rates.cached_input && rates.cached_input <= rates.input, "{row:?}");
            assert!(rates.input <= rates.cache_write && rates.input <= rates.output, "{row:?}");
            assert!(rates.output < 1_000_000_000, "{row:?}");
            assert!(usual.input <= rates.input && usual.output <= rates.output, "{row:?}");
        }
        assert!(0 < row.max_output && row.max_output <= row.context_window, "{row:?}");
        assert!(row.price.long.is_none_or(|it| it.above < row.context_window), "{row:?}");
    }
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

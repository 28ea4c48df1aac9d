//! The shipped catalog: names and their variants, known prices, and the plausibility of every entry.

use super::*;
use crate::PriceTable;

#[test]
fn an_unknown_model_has_no_price() {
    let prices = PriceTable::default();
    assert_eq!(prices.find("openai", "openai", "gpt-nonsense"), None);
    assert_eq!(prices.find("nonsense", "nonsense", "gpt-4o"), None);
    assert_eq!(prices.find("ollama", "local", "gpt-oss-120b"), None);
    assert_eq!(context_window("openai", "gpt-nonsense"), None);
}

#[test]
fn a_date_or_a_vendor_falls_back_to_the_plain_name() {
    let prices = PriceTable::default();
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
    let prices = PriceTable::default();
    for model in
        ["gpt-4o-fast", "gpt-4o-202", "gpt-4o-2024-1-20", "a/b/gpt-4o", "ft:gpt-4o", "gpt-é"]
    {
        assert_eq!(prices.find("openai", "openai", model), None, "{model}");
    }
}

#[test]
fn an_unknown_date_is_unknown_where_dates_differ_in_price() {
    let prices = PriceTable::default();
    let find = |model| prices.find("azure-openai", "azure", model);
    assert_ne!(find("gpt-4o-2024-05-13"), find("gpt-4o"));
    assert_eq!(find("gpt-4o-2030-01-01"), None);
}

#[test]
fn the_catalog_knows_context_windows_and_output_limits() {
    assert_eq!(context_window("cerebras", "gpt-oss-120b"), Some(131_072));
    assert_eq!(max_output("anthropic", "claude-opus-4-6"), Some(128_000));
}

#[test]
fn a_known_price_is_as_published() {
    let prices = PriceTable::default();
    let found = prices.find("cerebras", "cerebras", "gpt-oss-120b").unwrap();
    assert_eq!((found.rates.input, found.rates.output), (350_000, 750_000));
}

#[test]
fn embedding_models_have_prices() {
    let prices = PriceTable::default();
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
fn a_bedrock_model_has_the_price_of_its_inference_profile() {
    let prices = PriceTable::default();
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
fn the_data_file_has_known_members_only_and_every_entry_has_a_source() {
    let file: serde_json::Value = serde_json::from_str(DATA).unwrap();
    let known = [
        "api",
        "cache_write",
        "cached_input",
        "context_window",
        "input",
        "long",
        "max_output",
        "model",
        "output",
        "source",
    ];
    for entry in
        file["providers"].as_object().unwrap().values().flat_map(|list| list.as_array().unwrap())
    {
        let entry = entry.as_object().unwrap();
        assert!(entry.keys().all(|key| known.contains(&key.as_str())), "{entry:?}");
        let source = entry["source"].as_str().unwrap();
        assert!(file["sources"][source]["seen"].is_string(), "{entry:?}");
    }
    for family in file["families"].as_array().unwrap() {
        let source = family["source"].as_str().unwrap();
        assert!(file["sources"][source]["seen"].is_string(), "{family:?}");
    }
    for provider in file["same_as"].as_object().unwrap().values() {
        assert!(file["providers"][provider.as_str().unwrap()].is_array(), "{provider}");
    }
}

#[test]
fn no_model_stands_twice_in_the_data_file() {
    for (provider, models) in Catalog::parse(DATA).providers {
        assert!(models.0.is_sorted_by(|(one, _), (other, _)| one < other), "{provider}");
    }
}

#[test]
fn every_entry_is_plausible() {
    let catalog = Catalog::parse(DATA);
    for (model, listing) in catalog.providers.values().flat_map(|models| &models.0) {
        let plain = listing.price.rates;
        for rates in [Some(plain), listing.price.long.map(|long| long.rates)].into_iter().flatten()
        {
            assert!(0 < rates.cached_input && rates.cached_input <= rates.input, "{model}");
            assert!(rates.input <= rates.cache_write && rates.input <= rates.output, "{model}");
            assert!(rates.output < 1_000_000_000, "{model}");
            assert!(plain.input <= rates.input && plain.output <= rates.output, "{model}");
        }
        assert!(0 < listing.max_output && listing.max_output <= listing.context_window, "{model}");
        let long = listing.price.long;
        assert!(long.is_none_or(|long| long.above < listing.context_window), "{model}");
    }
}

#[test]
fn a_broken_data_file_holds_no_model() {
    assert!(Catalog::parse("{").find("openai", "gpt-4o").is_none());
}

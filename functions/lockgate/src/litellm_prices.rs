//! LiteLLM's public file of prices: an object with one entry per model, in dollars per token.

use serde_json::{Value, json};

/// How many tokens our prices are for.
const MILLION: f64 = 1_000_000.0;
/// Up to how many digits behind the point a price is exact: whole micro-dollars.
const DIGITS: f64 = 1_000_000.0;

/// The price of a provider's model, as the admin API takes it. LiteLLM lists some models under their
/// own name and others behind that of the provider.
pub(crate) fn find(list: &Value, provider: &str, model: &str) -> Option<Value> {
    let bare = model.rsplit('/').next().unwrap_or(model);
    let names = [model.to_owned(), format!("{provider}/{model}"), bare.to_owned()];
    let entry = names.iter().find_map(|name| list.get(name))?;
    let rate = |field: &str| {
        let dollars = entry.get(field)?.as_f64()?;
        Some((dollars * MILLION * DIGITS).round() / DIGITS)
    };
    Some(json!({
        "provider": provider,
        "model": model,
        // Without both there is no price: half of one would bill half of each call.
        "input": rate("input_cost_per_token")?,
        "output": rate("output_cost_per_token")?,
        "cached_input": rate("cache_read_input_token_cost"),
        "cache_write": rate("cache_creation_input_token_cost"),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_per_token_becomes_one_per_million() {
        let list = json!({
            "groq/llama": {"input_cost_per_token": 5.9e-7, "output_cost_per_token": 7.9e-7},
            "odd": {"mode": "image"},
        });
        let price = find(&list, "groq", "llama").unwrap();
        assert_eq!((&price["input"], &price["output"]), (&json!(0.59), &json!(0.79)));
        assert!(price["cached_input"].is_null());
        assert!(find(&list, "groq", "odd").is_none());
        assert!(find(&list, "other", "llama").is_none());
    }
}

//! Prices in the text of a configuration: put into the list without touching the rest.

/// A price to put into the list, in dollars per million tokens.
#[derive(Clone, Debug, PartialEq)]
pub struct NewPrice {
    /// The provider's name in the configuration.
    pub provider: String,
    /// The provider's name for the model.
    pub model: String,
    /// For a token that is read.
    pub input: f64,
    /// For a token that is written.
    pub output: f64,
    /// For a token that is read from the provider's cache.
    pub cached_input: Option<f64>,
    /// For a token that is written to the provider's cache.
    pub cache_write: Option<f64>,
}

impl NewPrice {
    /// The price as one line of a list.
    fn line(&self) -> String {
        // A JSON string is a YAML scalar in double quotes, and `${` in it would be read as a
        // variable.
        let text = |text: &str| serde_json::Value::from(text.replace("${", "$${")).to_string();
        let mut line = format!(
            "{{ provider: {}, model: {}, input: {}, output: {}",
            text(&self.provider),
            text(&self.model),
            self.input,
            self.output
        );
        if let Some(rate) = self.cached_input {
            line.push_str(&format!(", cached_input: {rate}"));
        }
        if let Some(rate) = self.cache_write {
            line.push_str(&format!(", cache_write: {rate}"));
        }
        line.push_str(" }");
        line
    }
}

/// The text with prices put at the head of its list, or with a list where there is none.
pub(crate) fn with_prices(text: &str, prices: &[NewPrice]) -> String {
    let lines: String = prices.iter().map(|price| format!("  - {}\n", price.line())).collect();
    let mut out = String::with_capacity(text.len() + lines.len());
    let mut is_placed = false;

    for line in text.split_inclusive('\n') {
        let head = line.split('#').next().unwrap_or_default().trim_end();
        // Only at the first column: a provider may have a key of that name.
        if head == "prices:" && !is_placed {
            is_placed = true;
            out.push_str(line.trim_end_matches('\n'));
            out.push('\n');
            out.push_str(&lines);
        } else {
            out.push_str(line);
        }
    }

    if !is_placed {
        if !out.ends_with('\n') {
            out.push('\n');
        }
        out.push_str("\nprices:\n");
        out.push_str(&lines);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn price() -> NewPrice {
        NewPrice {
            provider: "p".to_owned(),
            model: "m: x".to_owned(),
            input: 0.35,
            output: 1.0,
            cached_input: None,
            cache_write: Some(0.5),
        }
    }

    const LINE: &str =
        "  - { provider: \"p\", model: \"m: x\", input: 0.35, output: 1, cache_write: 0.5 }\n";

    #[test]
    fn a_price_is_put_into_the_list_or_makes_one() {
        let listed = with_prices("a: 1\nprices: # ours\n  - { provider: q }\nb: 2\n", &[price()]);
        let wanted = format!("a: 1\nprices: # ours\n{LINE}  - {{ provider: q }}\nb: 2\n");
        assert_eq!(listed, wanted);
        assert_eq!(with_prices("a: 1", &[price()]), format!("a: 1\n\nprices:\n{LINE}"));
    }
}

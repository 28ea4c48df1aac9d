//! Forms and queries: names with values, as `application/x-www-form-urlencoded` has them.

use percent_encoding::percent_decode_str;

/// The fields of a form or a query, in order.
#[derive(Clone, Debug, Default)]
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    /// Reads a form's body, or the query of a URL.
    pub(super) fn parse(text: &str) -> Self {
        let pairs = text.split('&').filter(|pair| !pair.is_empty());
        let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        Self(pairs.map(|(name, value)| (decode(name), decode(value))).collect())
    }

    /// The value of a field, without blanks around it; empty where there is no such field.
    pub(super) fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value.trim())
    }

    /// The value of a field as it was typed, with a line's end as programs write it.
    pub(super) fn text(&self, name: &str) -> String {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map_or_else(String::new, |(_, value)| value.replace("\r\n", "\n"))
    }

    /// Whether the form has a field of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| known == name)
    }

    /// The value of a field that is not empty.
    pub(super) fn filled(&self, name: &str) -> Option<&str> {
        Some(self.get(name)).filter(|value| !value.is_empty())
    }
}

fn decode(text: &str) -> String {
    // The plus comes first: an encoded plus, `%2B`, has to stay one.
    percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned()
}

/// The parts of a list with commas, without blanks.
pub(super) fn listed(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_read_as_a_browser_sends_it() {
        let form = Form::parse("name=my+service&note=a%26b%0D%0Ac&empty=&flag");
        assert_eq!(form.get("name"), "my service");
        assert_eq!(form.text("note"), "a&b\nc");
        assert_eq!(form.filled("empty"), None);
        assert!(form.has("flag") && !form.has("other"));
    }

    #[test]
    fn a_list_has_commas() {
        assert_eq!(listed(" a, b ,,c"), ["a", "b", "c"]);
    }
}

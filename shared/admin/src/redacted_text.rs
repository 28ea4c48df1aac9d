//! The text of a configuration with a variable in place of each secret that stands in it.
//!
//! Operators read and send the text with variables; secrets that stand in the file by their value
//! come back into their places when it is written.

use config::{Config, literal_secrets, to_yaml};
use storage::Secret;

use crate::redacted_comments::hide_comments;

/// A text without secrets.
#[derive(Clone, Debug)]
pub(crate) struct HiddenText {
    /// The text.
    pub(crate) text: String,
    /// The secrets that were taken out, by the variables that stand for them.
    pub(crate) secrets: Vec<(String, Secret)>,
}

/// Takes every secret out of a text. What cannot be found in it by its value, such as one with
/// escapes, has the whole text written anew, without its comments.
pub(crate) fn hide(
    text: &str,
    config: &Config,
    variables: &dyn Fn(&str) -> Option<String>,
) -> HiddenText {
    // A name that the process knows would bring another value back.
    let free = |name: &String| {
        let mut free = name.clone();
        while variables(&free).is_some() {
            free.push_str("_KEPT");
        }
        free
    };
    let literals = literal_secrets(config);
    let secrets: Vec<(String, Secret)> =
        literals.iter().map(|(name, secret)| (free(name), secret.clone())).collect();

    let (mut hidden, commented) = hide_comments(text, &free);
    // What looks like a comment may be part of a text, which must stay as it is.
    let is_same = |read: Config| to_yaml(&read) == to_yaml(config);
    let are_comments = commented.is_empty()
        || config::read(&hidden, variables, &gateway::kinds()).is_ok_and(is_same);
    if !are_comments {
        return HiddenText { text: to_yaml(config), secrets: literals };
    }
    for (name, secret) in &secrets {
        hidden = replace_scalar(&hidden, secret.expose(), &format!("${{{name}}}"));
    }
    let find = |name: &str| {
        let kept = secrets.iter().find(|(known, _)| known == name);
        kept.map(|(_, secret)| secret.expose().to_owned()).or_else(|| variables(name))
    };
    // Reading it back is the proof: a secret that is still in the text in some spelling would be
    // shown.
    let read_back = config::read(&hidden, &find, &gateway::kinds());
    let is_whole = read_back.is_ok_and(|read| literal_secrets(&read).is_empty());
    if is_whole {
        let secrets = [secrets, commented].concat();
        return HiddenText { text: hidden, secrets };
    }
    HiddenText { text: to_yaml(config), secrets: literals }
}

impl HiddenText {
    /// A text with the secrets back in their places.
    pub(crate) fn show(&self, text: &str, variables: &dyn Fn(&str) -> Option<String>) -> String {
        let mut shown = text.to_owned();
        // The process's variable wins when the file is read, so that its name stays in the text.
        let kept = self.secrets.iter().filter(|(name, _)| variables(name).is_none());
        for (name, secret) in kept {
            let variable = format!("${{{name}}}");
            let quoted = quoted(secret.expose());
            // With its quotes, which the value brings along itself.
            for written in [format!("\"{variable}\""), format!("'{variable}'"), variable.clone()] {
                shown = shown.replace(&written, &quoted);
            }
        }
        shown
    }
}

/// Replaces a value where it is all of a scalar, bare or in quotes.
fn replace_scalar(text: &str, value: &str, by: &str) -> String {
    let mut replaced = String::with_capacity(text.len());

    let mut rest = text;
    while let Some((before, after)) = rest.split_once(value) {
        let last = replaced.chars().chain(before.chars()).next_back();
        let is_quoted = last.is_some_and(|it| it == '"' || it == '\'');
        // A short secret, such as `a`, is part of many words.
        let begins = is_quoted || last.is_none_or(|it| it.is_whitespace() || "[{,".contains(it));
        let next = after.chars().next();
        let ends = next.is_none_or(|it| it.is_whitespace() || "\"']},".contains(it));
        replaced.push_str(before);
        match (begins && ends, is_quoted) {
            (false, _) => replaced.push_str(value),
            (true, true) => replaced.push_str(by),
            // Braces mean something else in the one-line style.
            (true, false) => replaced.push_str(&format!("\"{by}\"")),
        }
        rest = after;
    }
    replaced.push_str(rest);
    replaced
}

/// A value as a YAML scalar in double quotes, which JSON's strings are, with `${` kept as it is.
fn quoted(value: &str) -> String {
    serde_json::Value::from(value.replace("${", "$${")).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# Ours.\napi_key: sk-gateway # the key\nproviders:\n  - name: p\n    \
                        base_url: http://h\n    api_key: 'sk-\"1'\n  - { name: q, base_url: \
                        'http://h', api_keys: [\"${Q}\", sk-2] }\n";

    fn variables(name: &str) -> Option<String> {
        (name == "Q").then(|| "sk-of-q".to_owned())
    }

    fn read(text: &str) -> Config {
        config::read(text, &variables, &gateway::kinds()).unwrap()
    }

    #[test]
    fn secrets_leave_the_text_and_comments_stay() {
        let hidden = hide(TEXT, &read(TEXT), &variables);
        for secret in ["sk-gateway", "sk-\"1", "sk-2", "sk-of-q"] {
            assert!(!hidden.text.contains(secret), "{}", hidden.text);
        }
        assert!(hidden.text.starts_with("# Ours.\napi_key: \"${GATEWAY_API_KEY}\" # the key\n"));
        assert!(hidden.text.contains("\"${Q}\""));
    }

    #[test]
    fn secrets_come_back_when_the_text_is_written() {
        let hidden = hide(TEXT, &read(TEXT), &variables);
        let changed = hidden.text.replace("name: p", "name: other");
        let shown = hidden.show(&changed, &variables);
        let secrets = |text: &str| -> Vec<String> {
            let all = literal_secrets(&read(text));
            all.into_iter().map(|(_, secret)| secret.expose().to_owned()).collect()
        };
        assert_eq!(secrets(&shown), secrets(TEXT));
        assert!(shown.contains("\"${Q}\"") && shown.contains("name: other"), "{shown}");
    }

    #[test]
    fn a_secret_with_escapes_is_hidden_too() {
        let text = "api_key: \"sk-\\x41\"\nproviders: [{ name: p, base_url: 'http://h' }]\n";
        let hidden = hide(text, &read(text), &variables);
        assert!(!hidden.text.contains("sk-"), "{}", hidden.text);
    }

    #[test]
    fn keys_in_comments_are_hidden_and_come_back() {
        let text = format!("{TEXT}# api_key: sk-old\n#   password: 'hunter 2'\n");
        let hidden = hide(&text, &read(&text), &variables);
        for secret in ["sk-old", "hunter"] {
            assert!(!hidden.text.contains(secret), "{}", hidden.text);
        }
        assert!(hidden.text.contains("# api_key: ${HIDDEN_1}\n"), "{}", hidden.text);
        let shown = hidden.show(&hidden.text, &variables);
        assert!(shown.ends_with("# api_key: \"sk-old\"\n#   password: \"hunter 2\"\n"), "{shown}");
    }

    #[test]
    fn a_text_that_looks_like_a_comment_is_not_changed() {
        let text = "api_key: sk-1\nproviders:\n  - { name: p, base_url: http://h }\ntenants:\n  \
                    - name: t\n    system_prompt: |\n      # password: hunter2\n    api_key: sk-2\n";
        let config = read(text);
        let hidden = hide(text, &config, &variables);
        let back = hidden.show(&hidden.text, &variables);
        assert_eq!(to_yaml(&read(&back)), to_yaml(&config), "{back}");
    }

    #[test]
    fn a_part_of_another_word_is_left_alone() {
        assert_eq!(
            replace_scalar("a: demo\nb: demos\nc: [demo]", "demo", "X"),
            "a: \"X\"\nb: demos\nc: [\"X\"]"
        );
    }
}

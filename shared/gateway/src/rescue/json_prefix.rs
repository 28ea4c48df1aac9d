//! Whether a text can still become one JSON value, read character by character.

/// How deep values may be nested.
const MAX_DEPTH: usize = 256;

/// The reader of a text that should become JSON.
#[derive(Debug, Default)]
pub(crate) struct JsonPrefix {
    open: Vec<Container>,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Container {
    Object,
    Array,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// A value has to follow.
    #[default]
    Value,
    /// A value or the end of the array has to follow.
    FirstElement,
    /// A key or the end of the object has to follow.
    FirstKey,
    /// A key has to follow.
    Key,
    /// A colon has to follow.
    Colon,
    /// A comma or the end of the container has to follow; nothing, outside of all.
    AfterValue,
    /// Within a string: whether it is a key, and how many characters of an escape are left.
    Text { is_key: bool, escape: Escape },
    /// Within a number.
    Number,
    /// Within `true`, `false` or `null`: what is left of it.
    Word(&'static str),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Escape {
    None,
    Begun,
    Hexadecimal(u8),
}

impl JsonPrefix {
    /// Takes in more text. False when no JSON begins like this.
    pub(crate) fn push(&mut self, text: &str) -> bool {
        text.chars().all(|it| self.step(it))
    }

    fn step(&mut self, character: char) -> bool {
        match self.state {
            State::Text { is_key, escape } => return self.step_in_text(character, is_key, escape),
            State::Word(rest) => return self.step_in_word(character, rest),
            // Which characters of a number may follow which is not checked: the client's parser
            // will say so.
            State::Number if character.is_ascii_digit() || "+-.eE".contains(character) => {
                return true;
            }
            // A number ends only with the character behind it.
            State::Number => self.state = State::AfterValue,
            _ => {}
        }

        if character.is_ascii_whitespace() {
            return true;
        }
        match (self.state, character) {
            (State::Value | State::FirstElement, _) if self.begin_value(character) => true,
            (State::FirstElement, ']') => self.close(Container::Array),
            (State::FirstKey | State::Key, '"') => {
                self.state = State::Text { is_key: true, escape: Escape::None };
                true
            }
            (State::FirstKey, '}') => self.close(Container::Object),
            (State::Colon, ':') => {
                self.state = State::Value;
                true
            }
            (State::AfterValue, ',') => match self.open.last() {
                Some(Container::Object) => {
                    self.state = State::Key;
                    true
                }
                Some(Container::Array) => {
                    self.state = State::Value;
                    true
                }
                None => false,
            },
            (State::AfterValue, '}') => self.close(Container::Object),
            (State::AfterValue, ']') => self.close(Container::Array),
            _ => false,
        }
    }

    fn begin_value(&mut self, character: char) -> bool {
        let container = match character {
            '{' => Container::Object,
            '[' => Container::Array,
            _ => {
                self.state = match character {
                    '"' => State::Text { is_key: false, escape: Escape::None },
                    't' => State::Word("rue"),
                    'f' => State::Word("alse"),
                    'n' => State::Word("ull"),
                    '-' | '0'..='9' => State::Number,
                    _ => return false,
                };
                return true;
            }
        };
        self.open.push(container);
        self.state = match container {
            Container::Object => State::FirstKey,
            Container::Array => State::FirstElement,
        };
        // Bounds memory: a model may write `[` without an end.
        self.open.len() <= MAX_DEPTH
    }

    fn close(&mut self, container: Container) -> bool {
        self.state = State::AfterValue;
        self.open.pop() == Some(container)
    }

    fn step_in_text(&mut self, character: char, is_key: bool, escape: Escape) -> bool {
        let escape = match (escape, character) {
            (Escape::None, '"') => {
                self.state = if is_key { State::Colon } else { State::AfterValue };
                return true;
            }
            (Escape::None, '\\') => Escape::Begun,
            // JSON has no raw control characters in strings, which models write now and then.
            (Escape::None, _) if character < ' ' => return false,
            (Escape::None, _) => Escape::None,
            (Escape::Begun, 'u') => Escape::Hexadecimal(4),
            (Escape::Begun, _) if r#""\/bfnrt"#.contains(character) => Escape::None,
            (Escape::Hexadecimal(1), _) if character.is_ascii_hexdigit() => Escape::None,
            (Escape::Hexadecimal(left), _) if character.is_ascii_hexdigit() => {
                Escape::Hexadecimal(left - 1)
            }
            (Escape::Begun | Escape::Hexadecimal(_), _) => return false,
        };
        self.state = State::Text { is_key, escape };
        true
    }

    fn step_in_word(&mut self, character: char, rest: &'static str) -> bool {
        let Some(rest) = rest.strip_prefix(character) else { return false };
        self.state = if rest.is_empty() { State::AfterValue } else { State::Word(rest) };
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn may_become_json(text: &str) -> bool {
        JsonPrefix::default().push(text)
    }

    #[test]
    fn every_beginning_of_json_may_become_json() {
        let json = r#" {"a": [1, -2.5e+3, true, null, {}, []], "b\n\u00e9": {"c": "d\"e"}} "#;
        for end in json.char_indices().map(|(place, _)| place).chain([json.len()]) {
            let (beginning, _) = json.split_at(end);
            assert!(may_become_json(beginning), "{beginning}");
        }
    }

    #[test]
    fn what_can_never_become_json_is_rejected() {
        for text in [
            "Sure",
            "```json",
            "{a",
            "{\"a\" 1",
            "{\"a\": }",
            "{,",
            "[1,]",
            "[1}",
            "{\"a\": 1}{",
            "\"a\\x",
            "\"\\u12g",
            "tru3",
            "\"a\nb",
            "{\"a\": 1 Here",
        ] {
            assert!(!may_become_json(text), "{text}");
        }
    }
}

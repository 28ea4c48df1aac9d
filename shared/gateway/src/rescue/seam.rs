//! The seam between what a client has read and what another model goes on with.
//!
//! A model that is told to go on repeats the last words, begins in the middle of one, or begins anew.
//! What it repeats of the last [`MAX_TAIL_CHARS`] characters is taken out; white space of any length
//! is one space to the comparison. Text is held back only while it may still be a repetition.

/// How far back a repetition is looked for, in characters.
const MAX_TAIL_CHARS: usize = 400;
/// How much of the beginning has to come again for a response to be one that begins anew.
const MIN_ANEW_CHARS: usize = 40;
/// How much of the beginning has to come again of a text of which everything is compared.
const MIN_SHORT_ANEW_CHARS: usize = 20;
/// How much a prefilled model has to repeat: it goes on where it stopped, so that a short repetition
/// is what it means.
const MIN_PREFILLED_CHARS: usize = 12;
/// How many characters without a letter are told from a coincidence.
const MIN_PLAIN_CHARS: usize = 4;
/// How many characters of a script that writes words in one or two must be repeated to be told from
/// a coincidence.
const MIN_WIDE_CHARS: usize = 3;

/// How a model was asked to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// With its own last message left open.
    Prefill,
    /// With an instruction.
    Instruction,
}

/// What becomes of more text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Mended {
    /// The client gets this; empty while nothing can be said yet.
    Text(String),
    /// The model repeats its message from the beginning, in other words.
    BegunAnew,
}

/// A seam that is being mended.
#[derive(Debug)]
pub(crate) struct Seam {
    form: Form,
    /// The beginning of what was said.
    head: Vec<char>,
    /// The end of what was said.
    tail: Vec<char>,
    /// Whether `tail` is all that was said.
    is_all: bool,
    /// Text that may still be a repetition.
    held: String,
    is_mended: bool,
}

/// How a text compares with the beginning of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    /// All of the text comes, in so many characters of the other.
    Whole(usize),
    /// The other text ended first, after so many characters that are no white space.
    Partial(usize),
    /// The texts differ after so many characters that are no white space.
    Differs(usize),
}

impl Seam {
    /// A seam behind what was said.
    pub(crate) fn new(before: &str, form: Form) -> Self {
        let head: Vec<char> = before.chars().take(MAX_TAIL_CHARS).collect();
        let mut tail: Vec<char> = before.chars().rev().take(MAX_TAIL_CHARS).collect();
        tail.reverse();
        let is_all = head.len() < MAX_TAIL_CHARS;
        Self { form, head, tail, is_all, held: String::new(), is_mended: before.is_empty() }
    }

    /// Takes in more text of the continuation.
    pub(crate) fn push(&mut self, text: &str) -> Mended {
        if self.is_mended {
            return Mended::Text(text.to_owned());
        }
        self.held.push_str(text);
        self.decide(Stage::Open)
    }

    /// Notes that no more text follows at once.
    pub(crate) fn finish(&mut self) -> Mended {
        if self.is_mended {
            return Mended::Text(String::new());
        }
        self.decide(Stage::Over)
    }

    fn decide(&mut self, stage: Stage) -> Mended {
        let held: Vec<char> = self.held.chars().collect();
        // White space alone decides nothing: a repetition may begin behind it.
        if stage == Stage::Open && held.iter().all(|it| it.is_whitespace()) {
            return Mended::Text(String::new());
        }
        let mut repeated = 0;
        // From the longest possible repetition to the shortest.
        for start in (0..self.tail.len()).filter(|start| self.may_begin(*start)) {
            let rest = self.tail.get(start..).unwrap_or_default();
            match compare(rest, &held) {
                Comparison::Whole(length) if self.is_telling(rest) => {
                    repeated = length;
                    break;
                }
                // More text may complete the repetition. Nothing is sent until it is clear, since
                // it could not be taken back.
                Comparison::Partial(_) if stage == Stage::Open => {
                    return Mended::Text(String::new());
                }
                Comparison::Partial(_) if rest_is_blank(rest, &held) && self.is_telling(rest) => {
                    repeated = held.len();
                    break;
                }
                Comparison::Whole(_) | Comparison::Partial(_) | Comparison::Differs(_) => {}
            }
        }

        if repeated == 0 {
            match self.is_anew(&held) {
                Anew::Yes => return Mended::BegunAnew,
                Anew::Perhaps if stage == Stage::Open => return Mended::Text(String::new()),
                Anew::Perhaps | Anew::No => {}
            }
        }

        self.is_mended = true;
        self.held = String::new();
        Mended::Text(held.into_iter().skip(repeated).collect())
    }

    /// Whether a repetition may begin at a place: not within a word.
    fn may_begin(&self, start: usize) -> bool {
        let before = start.checked_sub(1).and_then(|place| self.tail.get(place));
        let is_word = |it: &char| it.is_alphanumeric() && !is_wide(*it);
        !(before.is_some_and(is_word) && self.tail.get(start).is_some_and(is_word))
    }

    /// Whether a repetition is long enough to be no coincidence.
    fn is_telling(&self, repeated: &[char]) -> bool {
        let visible = repeated.iter().filter(|it| !it.is_whitespace());
        let count = visible.clone().count();
        // White space only: a space that comes twice is a repetition, whoever wrote it.
        if count == 0 {
            return true;
        }
        match self.form {
            Form::Prefill => MIN_PREFILLED_CHARS <= count,
            Form::Instruction => {
                let is_letter = |it: &&char| it.is_alphabetic() && !is_wide(**it);
                let wide = visible.clone().filter(|it| is_wide(**it)).count();
                MIN_PLAIN_CHARS <= count
                    || MIN_WIDE_CHARS <= wide
                    || visible.clone().any(|it| is_letter(&it))
            }
        }
    }

    fn is_anew(&self, held: &[char]) -> Anew {
        let (same, is_over) = match compare(&self.head, held) {
            Comparison::Partial(same) => (same, false),
            Comparison::Differs(same) => (same, true),
            Comparison::Whole(_) => return Anew::No,
        };
        // A short text is begun anew by accident more easily: a quarter of it has to agree.
        let enough = if self.is_all {
            MIN_SHORT_ANEW_CHARS.max(self.head.len() / 4)
        } else {
            MIN_ANEW_CHARS
        };
        match (enough <= same, is_over) {
            (true, _) => Anew::Yes,
            (false, false) => Anew::Perhaps,
            (false, true) => Anew::No,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Open,
    Over,
}

enum Anew {
    Yes,
    Perhaps,
    No,
}

/// Scripts without spaces between words.
fn is_wide(character: char) -> bool {
    '\u{2e80}' <= character
}

/// Compares a text with the beginning of another. White space before the other does not count, unless
/// the text begins with some.
fn compare(text: &[char], other: &[char]) -> Comparison {
    let (mut at, mut there, mut same) = (0, 0, 0);
    if !text.first().is_some_and(|it| it.is_whitespace()) {
        there = skip_blank(other, 0);
    }
    loop {
        let Some(wanted) = text.get(at) else { return Comparison::Whole(there) };
        let Some(found) = other.get(there) else { return Comparison::Partial(same) };
        if wanted.is_whitespace() && found.is_whitespace() {
            at = skip_blank(text, at);
            there = skip_blank(other, there);
        } else if wanted == found {
            (at, there, same) = (at + 1, there + 1, same + 1);
        } else {
            return Comparison::Differs(same);
        }
    }
}

fn skip_blank(text: &[char], from: usize) -> usize {
    let blank = text.iter().skip(from).take_while(|it| it.is_whitespace()).count();
    from + blank
}

/// Whether all that the other text lacks is white space.
fn rest_is_blank(text: &[char], other: &[char]) -> bool {
    let visible = |text: &[char]| text.iter().filter(|it| !it.is_whitespace()).count();
    visible(text) == visible(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a client reads behind `said`, when the continuation comes letter by letter.
    fn mended(before: &str, continuation: &str, form: Form) -> Option<String> {
        let mut seam = Seam::new(before, form);
        let mut out = String::new();
        let letters = continuation.chars().map(|it| seam.push(&it.to_string())).collect::<Vec<_>>();
        for part in letters.into_iter().chain([seam.finish()]) {
            match part {
                Mended::Text(text) => out.push_str(&text),
                Mended::BegunAnew => return None,
            }
        }
        Some(format!("{before}{out}"))
    }

    fn instructed(before: &str, continuation: &str) -> String {
        mended(before, continuation, Form::Instruction).unwrap()
    }

    #[test]
    fn what_is_repeated_is_taken_out() {
        for (before, continuation, whole) in [
            ("The quick brown", " fox", "The quick brown fox"),
            ("The quick brown", "brown fox", "The quick brown fox"),
            ("The quick bro", "brown fox", "The quick brown fox"),
            ("The quick brown ", " fox", "The quick brown fox"),
            ("The quick brown ", "quick brown fox", "The quick brown fox"),
            ("The quick\nbrown", "quick brown fox", "The quick\nbrown fox"),
            ("The quick brown", "\n\nThe quick brown fox", "The quick brown fox"),
            ("The quick brown", "The quick brown", "The quick brown"),
            ("Hel", "lo", "Hello"),
            ("f(g(1)", "))", "f(g(1)))"),
            ("It costs 1", "1 euros", "It costs 11 euros"),
            ("foo foo", "foo bar", "foo foo bar"),
            ("", "anything", "anything"),
            ("一二三四五", "三四五六", "一二三四五六"),
        ] {
            assert_eq!(instructed(before, continuation), whole, "{before:?} + {continuation:?}");
        }
    }

    #[test]
    fn a_prefilled_model_means_its_short_repetitions() {
        let prefilled = |before: &str, more: &str| mended(before, more, Form::Prefill).unwrap();
        assert_eq!(prefilled("ha", "ha ha"), "haha ha");
        assert_eq!(prefilled("The quick brown ", " fox"), "The quick brown fox");
        let long = "The quick brown fox jumps";
        assert_eq!(prefilled(long, "brown fox jumps over"), "The quick brown fox jumps over");
    }

    #[test]
    fn a_long_text_is_compared_by_its_end() {
        let before = "word after word ".repeat(100) + "and then the end came near";
        let whole = instructed(&before, "the end came nearer still");
        assert!(whole.ends_with("and then the end came nearer still"), "{whole}");
        assert_eq!(whole.matches("the end").count(), 1);
    }

    #[test]
    fn a_response_that_begins_anew_is_recognized() {
        let before = "Once upon a time there was a king who had three daughters, and the eldest ";
        let anew = "Once upon a time there was a queen who lived by the sea.";
        assert_eq!(mended(before, anew, Form::Instruction), None);
        let long = format!("{before}{}", "went on and on. ".repeat(60));
        assert_eq!(mended(&long, before, Form::Instruction), None);
        // The same words once more are a repetition, and mended.
        assert_eq!(instructed(before, &format!("{before}left.")), format!("{before}left."));
    }

    #[test]
    fn text_is_held_back_only_while_it_may_be_a_repetition() {
        let mut seam = Seam::new("The quick brown", Form::Instruction);
        assert_eq!(seam.push(" qui"), Mended::Text(String::new()));
        assert_eq!(seam.push("et"), Mended::Text(" quiet".to_owned()));
        assert_eq!(seam.push(" quick brown"), Mended::Text(" quick brown".to_owned()));
    }
}

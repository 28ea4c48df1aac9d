//! A text that citations point into: Google counts bytes where others count characters.

/// How long a text may grow; places behind that are unknown.
const MAX_LENGTH: usize = 16 * 1024 * 1024;
/// How many bytes there are between two places whose characters were counted.
const STEP: usize = 1024;

/// A text so far. No place is looked for from the start.
#[derive(Debug, Default)]
pub(super) struct CitedText {
    text: String,
    /// How many characters begin before each multiple of [`STEP`].
    marks: Vec<usize>,
    /// How many there are.
    chars: usize,
    full: bool,
}

impl CitedText {
    /// More text.
    pub(super) fn push(&mut self, more: &str) {
        // For good, even if the next text is short: places behind the gap would be wrong.
        self.full |= MAX_LENGTH < self.text.len() + more.len();
        if self.full {
            return;
        }
        for (at, byte) in (self.text.len()..).zip(more.bytes()) {
            // A mark for each kilobyte: a citation is found by counting one block, not the text
            // from its start.
            if at % STEP == 0 {
                self.marks.push(self.chars);
            }
            self.chars += usize::from(begins(byte));
        }
        self.text.push_str(more);
    }

    /// How many characters stand before a byte.
    pub(super) fn chars(&self, byte: usize) -> Option<usize> {
        // A place within a character is a provider's mistake; none is better than a wrong one.
        if !self.text.is_char_boundary(byte) {
            return None;
        }
        let Some(mark) = self.marks.get(byte / STEP) else { return Some(self.chars) };
        let rest = self.text.as_bytes().get(byte / STEP * STEP..byte)?;
        Some(mark + rest.iter().filter(|it| begins(**it)).count())
    }

    /// How many bytes stand before a character.
    pub(super) fn byte(&self, chars: usize) -> Option<usize> {
        if self.chars <= chars {
            return (self.chars == chars).then_some(self.text.len());
        }
        let block = self.marks.partition_point(|it| *it <= chars).checked_sub(1)?;
        let start = block * STEP;
        let rest = self.text.as_bytes().get(start..)?.iter().enumerate();
        let mut beginnings = rest.filter(|it| begins(*it.1)).map(|it| start + it.0);
        beginnings.nth(chars - self.marks.get(block)?)
    }
}

/// Whether a character begins with this byte.
fn begins(byte: u8) -> bool {
    byte & 0xc0 != 0x80
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_the_same_as_if_they_were_counted() {
        let mut cited = CitedText::default();
        let deltas = ["a", "gr\u{fc}n\u{20ac}", &"x\u{1f600}".repeat(1000), "end"];
        deltas.into_iter().for_each(|it| cited.push(it));
        let text = deltas.concat();
        for byte in 0..text.len() + 2 {
            assert_eq!(cited.chars(byte), text.get(..byte).map(|it| it.chars().count()), "{byte}");
        }
        let bytes: Vec<usize> = text.char_indices().map(|it| it.0).chain([text.len()]).collect();
        for chars in 0..bytes.len() + 2 {
            assert_eq!(cited.byte(chars), bytes.get(chars).copied(), "{chars}");
        }
    }

    #[test]
    fn an_empty_text_has_one_place() {
        assert_eq!(CitedText::default().chars(0), Some(0));
        assert_eq!(CitedText::default().byte(0), Some(0));
        assert_eq!(CitedText::default().byte(1), None);
    }
}

//! Changes of a text by lines: the difference of two texts, and the merge of two changes of one
//! text.

use pages::routes::{Change, Line};

/// Lines around a change that are shown.
const CONTEXT: usize = 3;

/// The one stretch of lines in which two texts differ: its bounds in the first and in the second.
struct Hunk {
    start: usize,
    before_end: usize,
    after_end: usize,
}

/// A text as two people changed it.
pub(super) struct Merged {
    /// The text; where both changed the same lines, it has both with marks around them.
    pub(super) text: String,
    /// Whether nobody has to choose.
    pub(super) is_clean: bool,
}

fn hunk(before: &[&str], after: &[&str]) -> Hunk {
    let start = before.iter().zip(after).take_while(|(one, other)| one == other).count();
    let (rest_before, rest_after) = (&before[start..], &after[start..]);
    let same = rest_before.iter().rev().zip(rest_after.iter().rev());

    let tail = same.take_while(|(one, other)| one == other).count();
    Hunk { start, before_end: before.len() - tail, after_end: after.len() - tail }
}

/// Merges two changes of one text.
pub(super) fn merge(base: &str, mine: &str, theirs: &str) -> Merged {
    let (base, mine): (Vec<&str>, Vec<&str>) = (base.lines().collect(), mine.lines().collect());
    let theirs: Vec<&str> = theirs.lines().collect();
    let (ours, other) = (hunk(&base, &mine), hunk(&base, &theirs));
    let my_lines = &mine[ours.start..ours.after_end];
    let their_lines = &theirs[other.start..other.after_end];

    // First: a change that both made would also count as two that touch each other.
    let (mut lines, is_clean): (Vec<&str>, bool) = if mine == theirs {
        (mine.clone(), true)
    } else if ours.before_end <= other.start {
        let between = &base[ours.before_end..other.start];
        let tail = &base[other.before_end..];
        ([&base[..ours.start], my_lines, between, their_lines, tail].concat(), true)
    } else if other.before_end <= ours.start {
        let between = &base[other.before_end..ours.start];
        let tail = &base[ours.before_end..];
        ([&base[..other.start], their_lines, between, my_lines, tail].concat(), true)
    } else {
        let both = hunk(&mine, &theirs);
        let (my_part, their_part) =
            (&mine[both.start..both.before_end], &theirs[both.start..both.after_end]);
        // The marks of Git and `diff3`, which editors know.
        let marked = [&["<<<<<<< yours"], my_part, &["======="], their_part, &[">>>>>>> theirs"]];
        ([&mine[..both.start], &marked.concat(), &mine[both.before_end..]].concat(), false)
    };
    // The text ends with a line break, as files do.
    lines.push("");
    Merged { text: lines.join("\n"), is_clean }
}

/// The difference that a unified diff shows, line by line.
pub(super) fn lines_of(unified: &str) -> Vec<Line> {
    let (mut before, mut after) = (0, 0);
    let mut lines = vec![];
    for text in unified.lines().filter(|it| !it.starts_with("---") && !it.starts_with("+++")) {
        let rest = text.get(1..).unwrap_or_default().to_owned();
        match text.as_bytes().first() {
            Some(b'@') => {
                (before, after) = starts(text);
                lines.push(Line { change: Change::Gap, ..Line::default() });
            }
            Some(b'-') => {
                lines.push(Line { change: Change::Removed, number: before, text: rest });
                before += 1;
            }
            Some(b'+') => {
                lines.push(Line { change: Change::Added, number: after, text: rest });
                after += 1;
            }
            Some(b' ') => {
                lines.push(Line { change: Change::Kept, number: after, text: rest });
                (before, after) = (before + 1, after + 1);
            }
            _ => {}
        }
    }
    lines
}

/// The first lines of a hunk, of `@@ -12,3 +14,4 @@`.
fn starts(head: &str) -> (usize, usize) {
    let start = |mark: char| {
        let numbers = head.split(mark).nth(1).unwrap_or_default();
        let digits: String = numbers.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().unwrap_or(1)
    };
    (start('-'), start('+'))
}

/// The difference of two texts as one stretch, with the lines around it.
pub(super) fn difference(before: &str, after: &str) -> Vec<Line> {
    let (before, after): (Vec<&str>, Vec<&str>) =
        (before.lines().collect(), after.lines().collect());

    let hunk = hunk(&before, &after);
    let line = |change, index: usize, text: &str| Line {
        change,
        number: index + 1,
        text: text.to_owned(),
    };
    let first = hunk.start.saturating_sub(CONTEXT);
    let last = (hunk.after_end + CONTEXT).min(after.len());
    let part = |change, lines: &[&str], from: usize| {
        lines.iter().enumerate().map(|(at, text)| line(change, from + at, text)).collect::<Vec<_>>()
    };
    [
        part(Change::Kept, &before[first..hunk.start], first),
        part(Change::Removed, &before[hunk.start..hunk.before_end], hunk.start),
        part(Change::Added, &after[hunk.start..hunk.after_end], hunk.start),
        part(Change::Kept, &after[hunk.after_end..last], hunk.after_end),
    ]
    .concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = "a\nb\nc\nd\ne\n";

    #[test]
    fn changes_of_different_lines_are_both_kept() {
        for (mine, theirs) in
            [("a\nB\nc\nd\ne\n", "a\nb\nc\nD\ne\n"), ("a\nb\nc\nD\ne\n", "a\nB\nc\nd\ne\n")]
        {
            let merged = merge(BASE, mine, theirs);
            assert!(merged.is_clean);
            assert_eq!(merged.text, "a\nB\nc\nD\ne\n");
        }
    }

    #[test]
    fn a_line_that_both_changed_is_marked_and_not_lost() {
        let merged = merge(BASE, "a\nb\nmine\nd\ne\n", "a\nb\ntheirs\nd\ne\n");
        assert!(!merged.is_clean);
        let wanted = "a\nb\n<<<<<<< yours\nmine\n=======\ntheirs\n>>>>>>> theirs\nd\ne\n";
        assert_eq!(merged.text, wanted);
    }

    #[test]
    fn one_change_made_twice_is_one_change() {
        let merged = merge(BASE, "a\nx\n", "a\nx\n");
        assert!(merged.is_clean);
        assert_eq!(merged.text, "a\nx\n");
    }

    #[test]
    fn lines_that_both_put_in_are_there_once() {
        for (base, both) in [("a\nb\n", "a\nx\nb\n"), ("a\n", "a\nx\n"), ("a\n", "x\na\n")] {
            let merged = merge(base, both, both);
            assert!(merged.is_clean);
            assert_eq!(merged.text, both);
        }
    }

    #[test]
    fn a_unified_diff_is_shown_with_its_lines_numbers() {
        let lines = lines_of("--- before\n+++ after\n@@ -2,3 +2,3 @@\n b\n-c\n+C\n d\n");
        let shown: Vec<_> =
            lines.iter().map(|it| (it.change, it.number, it.text.as_str())).collect();
        let wanted = [
            (Change::Gap, 0, ""),
            (Change::Kept, 2, "b"),
            (Change::Removed, 3, "c"),
            (Change::Added, 3, "C"),
            (Change::Kept, 4, "d"),
        ];
        assert_eq!(shown, wanted);
    }

    #[test]
    fn a_difference_has_the_lines_around_it() {
        let shown = difference(BASE, "a\nb\nc\nD\ne\n");
        assert_eq!(shown.len(), 6);
        assert_eq!(shown[3].change, Change::Removed);
        assert_eq!((shown[4].change, shown[4].number), (Change::Added, 4));
    }
}

//! Texts that end a response, as far as providers accept them.

use canonical::{Field, Sampling};

use crate::size_limits;

/// The texts that end the response, `max` at most. Blank ones are refused, and dropped.
pub(crate) fn accepted<'a>(
    sampling: &'a Sampling,
    max: usize,
    dropped: &mut Vec<Field>,
) -> Vec<&'a str> {
    let texts = sampling.stop.iter().map(String::as_str);
    let mut kept: Vec<&str> = texts.filter(|it| !it.trim().is_empty()).collect();
    // A request with fewer texts is accepted and may go on too long; one with too many is refused
    // altogether.
    kept.truncate(max);
    if kept.len() < sampling.stop.len() {
        size_limits::note(dropped, Field::Stop);
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blank_texts_are_dropped_and_named() {
        let stop = ["", "\n", "END", "x"].map(str::to_owned).to_vec();
        let sampling = Sampling { stop, ..Sampling::default() };
        let mut dropped = vec![];
        assert_eq!(accepted(&sampling, 5, &mut dropped), ["END", "x"]);
        assert_eq!(accepted(&sampling, 1, &mut dropped), ["END"]);
        assert_eq!(dropped, [Field::Stop]);
    }
}

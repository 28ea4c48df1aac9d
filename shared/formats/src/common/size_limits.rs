//! Limits on what others send, each far beyond what is usual: work and memory grow no faster than
//! what came.

use bytes::Bytes;
use canonical::{Error, ErrorKind, Result, StreamEvent};

use crate::{DecodeMode, StreamDecoder};

/// How long a streamed response may be that is decoded, and so may have to be held, in bytes.
const MAX_STREAM_BYTES: usize = 128 * 1024 * 1024;
/// How many tokens one count may name: no sum of a few such counts overflows.
const MAX_TOKENS: u64 = 1 << 40;
/// How many dropped fields of a request are named.
const MAX_NAMED: usize = 256;
/// How long the name of a place within a request may grow, in bytes.
const MAX_PATH_BYTES: usize = 512;

/// A reader that gives up on a response that does not end.
#[derive(Debug)]
pub(crate) struct Bounded<R> {
    reader: R,
    left: usize,
}

impl<R> Bounded<R> {
    /// A decoder that gives up on a response of more than 128 MiB.
    pub(crate) fn new(reader: R) -> Self {
        Self { reader, left: MAX_STREAM_BYTES }
    }
}

impl<R: StreamDecoder> StreamDecoder for Bounded<R> {
    fn read(&mut self, bytes: Bytes, events: &mut Vec<StreamEvent>) -> Result<()> {
        // What is counted is what came, not what is held: an encoder may keep all of it until the
        // end.
        self.left = self.left.checked_sub(bytes.len()).ok_or_else(|| {
            Error::new(
                ErrorKind::Upstream,
                "sent a response larger than 128 MiB: the response is cut",
            )
        })?;
        self.reader.read(bytes, events)
    }

    fn close(&mut self, events: &mut Vec<StreamEvent>) -> Result<()> {
        self.reader.close(events)
    }
}

/// A reader with a limit where what it reads may be held: what is only passed on never is.
pub(crate) fn reader(
    reader: impl StreamDecoder + 'static,
    purpose: DecodeMode,
) -> Box<dyn StreamDecoder> {
    match purpose {
        // A long stream that passes through costs no memory, and its client wants all of it.
        DecodeMode::Passthrough => Box::new(reader),
        DecodeMode::Translate => Box::new(Bounded::new(reader)),
    }
}

/// A count of tokens of a provider, no higher than any that is real; none is 0.
#[must_use]
pub fn tokens(count: Option<u64>) -> u64 {
    count.unwrap_or(0).min(MAX_TOKENS)
}

/// Adds to a list of what is named to the client, once.
pub(crate) fn note<T: PartialEq>(named: &mut Vec<T>, what: T) {
    if named.len() < MAX_NAMED && !named.contains(&what) {
        named.push(what);
    }
}

/// The name of a place within another. Clients choose keys, so it does not grow for ever.
pub(crate) fn within(path: &str, name: &str) -> String {
    // A schema may nest a hundred keys of any length, and the path is written again at each of
    // them.
    if MAX_PATH_BYTES < path.len() + name.len() {
        return path.to_owned();
    }
    format!("{path}.{name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Nothing;

    impl StreamDecoder for Nothing {
        fn read(&mut self, _bytes: Bytes, _events: &mut Vec<StreamEvent>) -> Result<()> {
            Ok(())
        }

        fn close(&mut self, _events: &mut Vec<StreamEvent>) -> Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_response_without_end_is_cut() {
        let mut reader = Bounded::new(Nothing);
        let delta = Bytes::from(vec![b'x'; MAX_STREAM_BYTES / 2]);
        reader.read(delta.clone(), &mut vec![]).unwrap();
        reader.read(delta.clone(), &mut vec![]).unwrap();
        let error = reader.read(Bytes::from_static(b"x"), &mut vec![]).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Upstream);
    }

    #[test]
    fn names_are_noted_once_and_not_without_end() {
        let mut other = vec![];
        for at in 0..1000 {
            note(&mut other, format!("x{}", at / 2));
        }
        assert_eq!(other.len(), MAX_NAMED);
        assert_eq!(&other[..2], ["x0", "x1"]);
    }

    #[test]
    fn the_name_of_a_place_does_not_grow_for_ever() {
        assert_eq!(within("a", "b"), "a.b");
        assert_eq!(within("a", &"b".repeat(1000)), "a");
    }
}

//! A copy of the bytes that a stream receives, bounded: what is too large is not kept at all.

use bytes::Bytes;

/// The bytes that a stream has received so far.
#[derive(Debug)]
pub(crate) struct Tee {
    chunks: Vec<Bytes>,
    room: usize,
    is_full: bool,
}

impl Tee {
    /// Keeps at most `limit` bytes.
    pub(crate) fn new(limit: usize) -> Self {
        Self { chunks: vec![], room: limit, is_full: false }
    }

    /// Keeps a chunk, which is shared and not copied.
    pub(crate) fn push(&mut self, chunk: &Bytes) {
        if self.is_full || self.room < chunk.len() {
            self.is_full = true;
            // Half of a response is of no use to anybody, and its memory is.
            self.chunks = vec![];
            return;
        }
        self.room -= chunk.len();
        self.chunks.push(chunk.clone());
    }

    /// Everything that was received, as one buffer; none when that was too much.
    pub(crate) fn finish(self) -> Option<Bytes> {
        if self.is_full { None } else { Some(self.chunks.concat().into()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_kept_whole_or_not_at_all() {
        let kept = |limit: usize| {
            let mut tee = Tee::new(limit);
            for chunk in ["ab", "cde"] {
                tee.push(&Bytes::from_static(chunk.as_bytes()));
            }
            tee.finish()
        };
        assert_eq!(kept(5), Some(Bytes::from_static(b"abcde")));
        assert_eq!(kept(4), None);
    }
}

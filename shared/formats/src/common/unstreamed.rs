//! Stream decoders and encoders of formats without streams.

use bytes::{BufMut, Bytes, BytesMut};
use canonical::{CallSummary, Error, ErrorKind, Result, StreamEvent};

use crate::{StreamDecoder, StreamEncoder};

/// Refuses every stream.
#[derive(Debug)]
pub(crate) struct NoReader;

impl StreamDecoder for NoReader {
    fn read(&mut self, _bytes: Bytes, _events: &mut Vec<StreamEvent>) -> Result<()> {
        Err(refusal())
    }

    fn close(&mut self, _events: &mut Vec<StreamEvent>) -> Result<()> {
        Err(refusal())
    }
}

fn refusal() -> Error {
    Error::new(ErrorKind::Upstream, "sent a stream where only whole responses exist")
}

/// Writes nothing but a failure, as the one event there is.
#[derive(Debug)]
pub(crate) struct NoWriter {
    /// How the format writes a failure.
    pub(crate) failure: fn(&Error, &str) -> Bytes,
}

impl StreamEncoder for NoWriter {
    fn write(&mut self, _event: StreamEvent, _out: &mut BytesMut) {}

    fn end(&mut self, _summary: &CallSummary, _out: &mut BytesMut) {}

    fn fail(&mut self, error: &Error, request_id: &str, out: &mut BytesMut) {
        out.put_slice(b"data: ");
        out.put_slice(&(self.failure)(error, request_id));
        out.put_slice(b"\n\n");
    }
}

/// The failure of a request in a format that no client uses.
pub(crate) fn no_client_format() -> Error {
    Error::new(ErrorKind::Internal, "A request came in a format that no client speaks.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_a_fault() {
        let mut events = vec![];
        assert_eq!(NoReader.read(Bytes::new(), &mut events).unwrap_err().kind, ErrorKind::Upstream);
        assert_eq!(NoReader.close(&mut events).unwrap_err().kind, ErrorKind::Upstream);
        assert!(events.is_empty());
    }

    #[test]
    fn a_failure_is_all_that_is_written() {
        let mut writer = NoWriter { failure: |error, id| format!("{error} {id}").into() };
        let mut out = BytesMut::new();
        writer.end(&CallSummary::default(), &mut out);
        assert!(out.is_empty());
        writer.fail(&Error::new(ErrorKind::Upstream, "no"), "r1", &mut out);
        assert_eq!(&out[..], b"data: Lockgate: no r1\n\n");
    }
}

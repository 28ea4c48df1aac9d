//! The body of a request: how large it may be, and how long it may be silent.

use std::time::Duration;

use bytes::Bytes;
use canonical::{Error, ErrorKind, Result};
use gateway::{MemoryBudget, MemoryBuffer};
use http::{HeaderMap, Request, header};
use http_body_util::BodyExt;

use crate::{
    body::Body,
    compression::{codings, decompress},
};

/// How large a body may be in Lambda where its stack sets no limit: an event holds no more.
pub(crate) const MAX_LAMBDA_BODY_BYTES: usize = 6 * 1024 * 1024;
/// How long a body may be silent in Lambda, where events hold all of it.
pub(crate) const LAMBDA_BODY_SILENCE: Duration = Duration::from_secs(60);
/// How many bytes are reserved for a body at first that is decompressed.
const FIRST_BYTES: usize = 64 * 1024;

/// From which size on a body's values are counted: what is made of a smaller one takes little.
const LARGE_BODY_BYTES: usize = 256 * 1024;
/// The memory that a value takes once it is decoded, about: a message of a few letters is three of them
/// and takes a kilobyte.
const VALUE_BYTES: usize = 384;

/// The bounds of a request's body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BodyLimits {
    /// How large a body may be, compressed or not.
    pub(crate) max_bytes: usize,
    /// How long it may be silent.
    pub(crate) silence: Duration,
}

/// Reads a whole body, and decompresses it.
pub(crate) async fn read(
    request: &mut Request<Body>,
    limits: BodyLimits,
    memory: &MemoryBudget,
) -> Result<Bytes> {
    let codings = codings(request.headers())?;
    let length = content_length(request.headers());
    // Known before a byte is read, so that a client which waits for `100 Continue` sends nothing.
    if length.is_some_and(|length| limits.max_bytes < length) {
        return Err(too_large(limits.max_bytes));
    }
    let mut buffer = MemoryBuffer::announced(length, limits.max_bytes, memory)?;
    collect(request.body_mut(), &mut buffer, limits).await?;

    for coding in codings {
        let mut decompressed = MemoryBuffer::new(FIRST_BYTES, limits.max_bytes, memory)?;
        // Every layer is bounded as the body itself, so that a small body cannot grow without end.
        let decompress_into = |chunk: &[u8]| push(&mut decompressed, chunk, limits.max_bytes);
        decompress(coding, buffer.bytes(), decompress_into)?;
        buffer = decompressed;
    }
    if LARGE_BODY_BYTES < buffer.bytes().len() {
        let values = formats::value_count(buffer.bytes());
        buffer.reserve_more(values.saturating_mul(VALUE_BYTES))?;
    }
    Ok(buffer.freeze())
}

/// Whether a request has a body that is not read yet.
pub(crate) fn has_unread_body(request: &Request<Body>) -> bool {
    !http_body::Body::is_end_stream(request.body())
}

/// The length of a body, where its headers tell.
pub(crate) fn content_length(headers: &HeaderMap) -> Option<usize> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

async fn collect(body: &mut Body, buffer: &mut MemoryBuffer, limits: BodyLimits) -> Result<()> {
    let silence = limits.silence;
    loop {
        // A limit on silence, not on the whole: a large body on a slow line is honest work.
        let frame = tokio::time::timeout(silence, body.frame())
            .await
            .map_err(|elapsed| silence_error(silence).caused_by(elapsed))?;
        let Some(frame) = frame else { return Ok(()) };
        let frame = frame.map_err(|error| {
            Error::new(ErrorKind::InvalidRequest, "The request body ended early.").caused_by(error)
        })?;
        if let Some(data) = frame.data_ref() {
            push(buffer, data, limits.max_bytes)?;
        }
    }
}

fn push(buffer: &mut MemoryBuffer, data: &[u8], max_bytes: usize) -> Result<()> {
    if !buffer.has_room(data.len()) {
        return Err(too_large(max_bytes));
    }
    buffer.push(data)
}

/// The error for a body that is silent for too long.
pub(crate) fn silence_error(silence: Duration) -> Error {
    let message = format!("No byte of the request body came for {silence:?}.");
    Error::new(ErrorKind::InvalidRequest, message)
}

/// The error for a body that is larger than a limit.
pub(crate) fn too_large(limit: usize) -> Error {
    let message = format!("The body is larger than {}.", megabytes(limit));
    Error::new(ErrorKind::TooLarge, message)
}

/// A limit in words: binary megabytes where they come out even, as `6 MB`, else decimal ones.
fn megabytes(limit: usize) -> String {
    const BINARY: usize = 1024 * 1024;
    if limit.is_multiple_of(BINARY) {
        return format!("{} MB", limit / BINARY);
    }
    if limit < 1_000_000 {
        return format!("{limit} bytes");
    }
    let (whole, rest) = (limit / 1_000_000, limit % 1_000_000);
    format!("{whole}.{} MB", rest / 100_000)
}

#[cfg(test)]
mod tests {
    use http_body::Frame;
    use http_body_util::StreamBody;

    use super::*;
    use crate::body::{BodyError, boxed, empty, full};

    const LIMITS: BodyLimits = BodyLimits { max_bytes: 6, silence: Duration::from_millis(20) };

    async fn read_within(body: Body, memory: &MemoryBudget) -> Result<Bytes> {
        read(&mut Request::new(body), LIMITS, memory).await
    }

    async fn status_of(body: Body) -> u16 {
        read_within(body, &MemoryBudget::new(1000)).await.unwrap_err().status()
    }

    #[test]
    fn a_limit_is_written_in_megabytes() {
        assert_eq!(megabytes(10 * 1024 * 1024), "10 MB");
        assert_eq!(megabytes(4_500_000), "4.5 MB");
        assert_eq!(megabytes(1000), "1000 bytes");
    }

    #[tokio::test]
    async fn what_is_made_of_many_values_is_reserved_too() {
        let limits = BodyLimits { max_bytes: 1024 * 1024, ..LIMITS };
        let text = |body: String| async move {
            let memory = MemoryBudget::new(16 * 1024 * 1024);
            read(&mut Request::new(full(body)), limits, &memory).await.map(drop)
        };
        let size = 3 * LARGE_BODY_BYTES;
        assert!(text(format!("{{\"a\":\"{}\"}}", "x,".repeat(size / 2))).await.is_ok());
        let many = text(format!("{{\"a\":[{}1]}}", "1,".repeat(size / 2))).await;
        assert_eq!(many.unwrap_err().status(), 503);
    }

    #[tokio::test]
    async fn a_body_up_to_the_limit_is_read_whole() {
        let frames = ["ab", "cd", "ef"].map(|data| Ok::<_, BodyError>(Frame::data(data.into())));
        let body = boxed(StreamBody::new(futures_util::stream::iter(frames)));
        assert_eq!(read_within(body, &MemoryBudget::new(6)).await.unwrap(), "abcdef");
        assert_eq!(read_within(empty(), &MemoryBudget::new(6)).await.unwrap(), "");
    }

    #[tokio::test]
    async fn a_larger_one_is_refused_before_it_is_read() {
        assert_eq!(status_of(full("abcdefg")).await, 413);
        let mut request = Request::new(boxed(silent()));
        request.headers_mut().insert(header::CONTENT_LENGTH, 7.into());
        let error = read(&mut request, LIMITS, &MemoryBudget::new(100)).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::TooLarge);
    }

    #[tokio::test]
    async fn a_silent_body_is_given_up() {
        assert_eq!(status_of(boxed(silent())).await, 400);
    }

    #[tokio::test]
    async fn a_body_holds_its_memory_until_its_bytes_are_gone() {
        let memory = MemoryBudget::new(6);
        let body = read_within(full("abc"), &memory).await.unwrap();
        let part = body.slice(1..2);
        drop(body);
        assert_eq!(read_within(full("abc"), &memory).await.unwrap_err().status(), 503);
        drop(part);
        assert!(read_within(full("abc"), &memory).await.is_ok());
    }

    #[tokio::test]
    async fn the_limit_is_one_of_what_comes_out() {
        use std::io::Write;

        for (text, status) in [("abcdef", None), ("abcdefg", Some(413))] {
            let mut gzip = flate2::write::GzEncoder::new(vec![], flate2::Compression::default());
            gzip.write_all(text.as_bytes()).unwrap();
            let mut request = Request::new(full(gzip.finish().unwrap()));
            let coding = http::HeaderValue::from_static("gzip");
            request.headers_mut().insert(header::CONTENT_ENCODING, coding);
            let limits = BodyLimits { max_bytes: 100, ..LIMITS };
            let memory = MemoryBudget::new(1000);
            assert_eq!(read(&mut request, limits, &memory).await.unwrap(), text);

            let mut buffer = MemoryBuffer::new(0, 6, &memory).unwrap();
            let outcome = push(&mut buffer, text.as_bytes(), 6);
            assert_eq!(outcome.err().map(|error| error.status()), status);
        }
    }

    fn silent() -> impl http_body::Body<Data = Bytes, Error = BodyError> + Send {
        StreamBody::new(futures_util::stream::pending::<Result<Frame<Bytes>, BodyError>>())
    }
}

//! The body of a request: how large it may be, and how long it may take.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use canonical::{Error, ErrorKind, Result};
use http::{Request, header};
use http_body_util::BodyExt;

use crate::body::Body;

/// How large a body may be on a server.
pub(crate) const MAX_SERVER_BODY_BYTES: usize = 10 * 1024 * 1024;
/// How large a body may be in Lambda where its stack sets no limit: an event holds no more.
pub(crate) const MAX_LAMBDA_BODY_BYTES: usize = 6 * 1024 * 1024;
/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(60);
/// How long the rest of a refused request may take to arrive.
const DISCARD_TIMEOUT: Duration = Duration::from_secs(5);
/// How much of a body that is too large is still read, so that its sender hears why it was refused.
const DISCARDED_LIMITS: usize = 8;

/// Reads a whole body within the limits.
pub(crate) async fn read(request: &mut Request<Body>, limit: usize) -> Result<Bytes> {
    if let Some(encoding) = request.headers().get(header::CONTENT_ENCODING)
        && encoding != "identity"
    {
        return Err(Error::new(
            ErrorKind::InvalidRequest,
            "The body is compressed; send it without `Content-Encoding`.",
        ));
    }
    match tokio::time::timeout(BODY_TIMEOUT, collect(request.body_mut(), limit)).await {
        Ok(body) => body,
        Err(_) => {
            let message = format!("The body did not arrive within {} s.", BODY_TIMEOUT.as_secs());
            Err(Error::new(ErrorKind::InvalidRequest, message))
        }
    }
}

/// Reads the rest of a refused request's body. A client that is busy with sending would otherwise
/// meet a broken connection and never read why.
pub(crate) async fn discard(request: &mut Request<Body>) {
    // A client that waits for `100 Continue` has sent nothing.
    if request.headers().contains_key(header::EXPECT) {
        return;
    }
    let body = request.body_mut();
    let mut left = MAX_SERVER_BODY_BYTES;
    let reading = async {
        while let Some(Ok(frame)) = body.frame().await {
            left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
            if left == 0 {
                break;
            }
        }
    };
    drop(tokio::time::timeout(DISCARD_TIMEOUT, reading).await);
}

async fn collect(body: &mut Body, limit: usize) -> Result<Bytes> {
    let mut first = Bytes::new();
    let mut more = BytesMut::new();
    let mut size = 0_usize;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            Error::new(ErrorKind::InvalidRequest, "The request body ended early.").caused_by(error)
        })?;
        let Ok(data) = frame.into_data() else { continue };
        size = size.saturating_add(data.len());
        if limit < size {
            more = BytesMut::new();
            if limit.saturating_mul(DISCARDED_LIMITS) < size {
                break;
            }
        } else if first.is_empty() && more.is_empty() {
            first = data;
        } else {
            if more.is_empty() {
                more.extend_from_slice(&first);
            }
            more.extend_from_slice(&data);
        }
    }
    if limit < size {
        let message = format!("The body is larger than {}.", megabytes(limit));
        return Err(Error::new(ErrorKind::TooLarge, message));
    }
    Ok(if more.is_empty() { first } else { more.freeze() })
}

/// A limit in words: binary megabytes where they come out even, as `6 MB`, else decimal ones.
fn megabytes(limit: usize) -> String {
    const BINARY: usize = 1024 * 1024;
    if limit % BINARY == 0 {
        return format!("{} MB", limit / BINARY);
    }
    let (whole, rest) = (limit / 1_000_000, limit % 1_000_000);
    format!("{whole}.{} MB", rest / 100_000)
}

#[cfg(test)]
mod tests {
    use http_body::Frame;
    use http_body_util::StreamBody;

    use super::*;
    use crate::body::{BodyError, boxed, full};

    #[test]
    fn a_limit_is_told_in_megabytes() {
        assert_eq!(megabytes(MAX_SERVER_BODY_BYTES), "10 MB");
        assert_eq!(megabytes(4_500_000), "4.5 MB");
    }

    #[tokio::test]
    async fn a_body_up_to_the_limit_is_read_whole() {
        let frames = ["ab", "cd", "ef"].map(|data| Ok::<_, BodyError>(Frame::data(data.into())));
        let mut body = boxed(StreamBody::new(futures_util::stream::iter(frames)));
        assert_eq!(collect(&mut body, 6).await.unwrap(), "abcdef");
    }

    #[tokio::test]
    async fn a_larger_one_is_refused() {
        assert_eq!(collect(&mut full("abc"), 2).await.unwrap_err().kind, ErrorKind::TooLarge);
    }
}

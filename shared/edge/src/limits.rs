//! How much a client may send, and how long it may take.

use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use canonical::{Error, ErrorKind, Result};
use http::{HeaderMap, Request, header};
use http_body_util::BodyExt;

/// How large a body may be on a server.
pub(crate) const SERVER_BODY: usize = 10 * 1024 * 1024;
/// How large a body may be in Lambda where its stack sets no limit: an event holds no more.
pub(crate) const LAMBDA_BODY: usize = 6 * 1024 * 1024;
/// How many headers a request may have.
pub(crate) const MOST_HEADERS: usize = 100;
/// How large they may be together, names included.
const LARGEST_HEADERS: usize = 32 * 1024;
/// How long a body may take to arrive.
const BODY_TIME: Duration = Duration::from_secs(60);
/// How long the rest of a refused request may take to arrive.
const DISCARD_TIME: Duration = Duration::from_secs(5);
/// How much of a body that is too large is still read, so that its sender hears why it was refused.
const READ_IN_VAIN: usize = 8;

/// Refuses headers that are too many or too large.
pub(crate) fn check_headers(headers: &HeaderMap) -> Result<()> {
    let size: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if MOST_HEADERS < headers.len() || LARGEST_HEADERS < size {
        let message = format!(
            "The headers are too large: at most {MOST_HEADERS} headers and {} KiB together.",
            LARGEST_HEADERS / 1024
        );
        return Err(Error::new(ErrorKind::HeadersTooLarge, message));
    }
    Ok(())
}

/// Reads a whole body within the limits.
pub(crate) async fn body(request: &mut Request<Body>, limit: usize) -> Result<Bytes> {
    if let Some(encoding) = request.headers().get(header::CONTENT_ENCODING)
        && encoding != "identity"
    {
        return Err(Error::new(
            ErrorKind::InvalidRequest,
            "The body is compressed; send it without `Content-Encoding`.",
        ));
    }
    match tokio::time::timeout(BODY_TIME, read(request.body_mut(), limit)).await {
        Ok(body) => body,
        Err(_) => {
            let message = format!("The body did not arrive within {} s.", BODY_TIME.as_secs());
            Err(Error::new(ErrorKind::InvalidRequest, message))
        }
    }
}

/// Reads what nobody wants of a refused request. Its sender, busy with sending, would otherwise meet
/// a broken connection and never hear why.
pub(crate) async fn discard(request: Request<Body>) {
    // Who waits to be told to go on has sent nothing.
    if request.headers().contains_key(header::EXPECT) {
        return;
    }
    let mut body = request.into_body();
    let mut left = SERVER_BODY;
    let reading = async {
        while let Some(Ok(frame)) = body.frame().await {
            left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
            if left == 0 {
                break;
            }
        }
    };
    // Who is slower than this learns it from the connection.
    drop(tokio::time::timeout(DISCARD_TIME, reading).await);
}

async fn read(body: &mut Body, limit: usize) -> Result<Bytes> {
    let mut first = Bytes::new();
    let mut more = BytesMut::new();
    let mut size = 0_usize;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            Error::new(ErrorKind::InvalidRequest, "The body was cut.").caused_by(error)
        })?;
        let Ok(data) = frame.into_data() else { continue };
        size = size.saturating_add(data.len());
        if limit < size {
            more = BytesMut::new();
            if limit.saturating_mul(READ_IN_VAIN) < size {
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
    if limit.is_multiple_of(BINARY) {
        return format!("{} MB", limit / BINARY);
    }
    let (whole, rest) = (limit / 1_000_000, limit % 1_000_000);
    format!("{whole}.{} MB", rest / 100_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_told_in_megabytes() {
        assert_eq!(megabytes(SERVER_BODY), "10 MB");
        assert_eq!(megabytes(4_500_000), "4.5 MB");
    }

    #[tokio::test]
    async fn a_body_up_to_the_limit_is_read_whole() {
        let pieces = [Ok::<_, std::io::Error>("ab"), Ok("cd"), Ok("ef")];
        let mut body = Body::from_stream(futures_util::stream::iter(pieces));
        assert_eq!(read(&mut body, 6).await.unwrap(), "abcdef");
    }

    #[tokio::test]
    async fn a_larger_one_is_refused() {
        assert_eq!(read(&mut Body::from("abc"), 2).await.unwrap_err().kind, ErrorKind::TooLarge);
    }

    #[test]
    fn too_many_headers_are_refused() {
        let mut headers = HeaderMap::new();
        for nth in 0..=MOST_HEADERS {
            let name = http::HeaderName::from_bytes(format!("x-{nth}").as_bytes()).unwrap();
            headers.insert(name, "1".parse().unwrap());
        }
        assert_eq!(check_headers(&headers).unwrap_err().status(), 431);
    }

    #[test]
    fn large_headers_are_refused() {
        let headers = HeaderMap::from_iter([(
            header::COOKIE,
            http::HeaderValue::from_str(&"x".repeat(LARGEST_HEADERS)).unwrap(),
        )]);
        assert_eq!(check_headers(&headers).unwrap_err().status(), 431);
    }
}

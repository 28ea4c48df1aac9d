//! The mark that some programs begin a text with to say that it is UTF-8, and that no parser of JSON
//! expects.

use bytes::Bytes;

/// A byte order mark in UTF-8.
pub const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A text without the mark that it may begin with.
#[must_use]
pub fn without_byte_order_mark(text: Bytes) -> Bytes {
    if text.starts_with(BYTE_ORDER_MARK) { text.slice(BYTE_ORDER_MARK.len()..) } else { text }
}

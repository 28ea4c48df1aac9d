//! Pages of lists: how many items, and after which.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};

use crate::problem::{AdminResult, Problem};

/// How many items a page has when nobody says otherwise.
pub const DEFAULT_PAGE_ITEMS: usize = 50;
/// How many items a page may have.
pub const MAX_PAGE_ITEMS: usize = 100;

/// Which page of a list is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageRequest {
    /// Where the page begins; absent for the first one.
    pub cursor: Option<String>,
    /// How many items the page has at most.
    pub limit: usize,
}

impl Default for PageRequest {
    fn default() -> Self {
        Self { cursor: None, limit: DEFAULT_PAGE_ITEMS }
    }
}

impl PageRequest {
    /// The page that the parameters `cursor` and `limit` of a query name.
    pub fn parse(cursor: Option<&str>, limit: Option<&str>) -> AdminResult<Self> {
        let limit = match limit {
            None => DEFAULT_PAGE_ITEMS,
            Some(text) => {
                let number = text.parse().ok().filter(|it| (1..=MAX_PAGE_ITEMS).contains(it));
                let message = format!("This must be a whole number from 1 to {MAX_PAGE_ITEMS}.");
                number.ok_or_else(|| Problem::field("limit", message))?
            }
        };
        // Empty: what a form without a cursor sends.
        let is_fit = |cursor: &&str| cursor.len() <= 1024 && !cursor.is_empty();
        Ok(Self { cursor: cursor.filter(is_fit).map(str::to_owned), limit })
    }
}

/// A place in a list as a cursor, which needs no encoding in a URL.
pub(crate) fn encode_cursor(place: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(place)
}

/// The place that a cursor names.
pub(crate) fn decode_cursor(cursor: &str) -> AdminResult<String> {
    let place = BASE64_URL_SAFE_NO_PAD.decode(cursor).ok();
    let place = place.and_then(|bytes| String::from_utf8(bytes).ok());
    place.ok_or_else(|| Problem::field("cursor", "This is no cursor."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_a_bounded_number_of_items() {
        assert_eq!(PageRequest::parse(None, None).unwrap(), PageRequest::default());
        assert_eq!(PageRequest::parse(Some("t_1"), Some("7")).unwrap().limit, 7);
        for wrong in ["0", "101", "-1", "x", ""] {
            assert!(PageRequest::parse(None, Some(wrong)).is_err(), "{wrong}");
        }
    }
}

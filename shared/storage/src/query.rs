//! Which rows of a partition to read, and the page of rows that a read gives.

use std::ops::Bound;

use crate::table::Row;

/// Rows of one partition within a range of `sk`.
///
/// ```
/// use std::ops::Bound;
/// use storage::{Order, Query};
///
/// let newest = Query {
///     order: Order::Descending,
///     limit: Some(100),
///     end: Bound::Excluded("1785000000000#abc".to_owned()),
///     ..Query::partition("calls#2026112810", 1_785_000_000)
/// };
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// The partition.
    pub pk: String,
    /// Where the range of `sk` begins, whatever the order of reading.
    pub start: Bound<String>,
    /// Where the range of `sk` ends, whatever the order of reading.
    pub end: Bound<String>,
    /// The order of reading.
    pub order: Order,
    /// The most rows to return. Absent: all.
    pub limit: Option<usize>,
    /// Whether the latest writes must be seen.
    pub consistency: Consistency,
    /// The time, in seconds since 1970; rows that have expired by then are left out.
    pub now: u64,
}

/// The order of rows, by the bytes of `sk`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// Smallest first.
    #[default]
    Ascending,
    /// Largest first.
    Descending,
}

/// Whether a read sees every write that succeeded before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Consistency {
    /// The read sees every write that succeeded before it.
    #[default]
    Strong,
    /// The read may miss the writes of the last second or so. DynamoDB charges half.
    Eventual,
}

/// The rows that a query returns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The rows, in the order of the query.
    pub rows: Vec<Row>,
    /// Whether the range holds more rows, beyond the limit. The next page begins after the last row.
    pub more: bool,
}

impl Query {
    /// Every row of a partition, in ascending order, strongly consistent.
    pub fn partition(pk: impl Into<String>, now: u64) -> Self {
        Self {
            pk: pk.into(),
            start: Bound::Unbounded,
            end: Bound::Unbounded,
            order: Order::Ascending,
            limit: None,
            consistency: Consistency::Strong,
            now,
        }
    }

    /// Every row of a partition whose `sk` begins with `prefix`, otherwise as [`Query::partition`].
    pub fn prefix(pk: impl Into<String>, prefix: &str, now: u64) -> Self {
        let start = Bound::Included(prefix.to_owned());
        let end = after_prefix(prefix).map_or(Bound::Unbounded, Bound::Excluded);
        Self { start, end, ..Self::partition(pk, now) }
    }

    /// Whether a row's `sk` lies within the range.
    pub(crate) fn contains(&self, sk: &str) -> bool {
        let after_start = match &self.start {
            Bound::Included(start) => start.as_str() <= sk,
            Bound::Excluded(start) => start.as_str() < sk,
            Bound::Unbounded => true,
        };
        let before_end = match &self.end {
            Bound::Included(end) => sk <= end.as_str(),
            Bound::Excluded(end) => sk < end.as_str(),
            Bound::Unbounded => true,
        };
        after_start && before_end
    }

    /// Whether no `sk` can lie within the range, because it ends before it begins.
    pub(crate) fn is_empty(&self) -> bool {
        match (&self.start, &self.end) {
            (
                Bound::Included(start) | Bound::Excluded(start),
                Bound::Included(end) | Bound::Excluded(end),
            ) => end < start,
            (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
        }
    }

    /// How many rows decide the page: one beyond the limit says whether there are more.
    pub(crate) fn rows_to_read(&self) -> usize {
        self.limit.map_or(usize::MAX, |limit| limit.saturating_add(1))
    }

    /// The page for the rows that were read, at most [`Query::rows_to_read`].
    pub(crate) fn page(&self, mut rows: Vec<Row>) -> Page {
        let limit = self.limit.unwrap_or(usize::MAX);
        let more = limit < rows.len();
        rows.truncate(limit);
        Page { rows, more }
    }
}

/// The smallest text that is larger than every text with this prefix. None if there is no such text.
fn after_prefix(prefix: &str) -> Option<String> {
    let mut text: Vec<char> = prefix.chars().collect();
    while let Some(last) = text.pop() {
        // UTF-8 orders texts by code point, so the next character gives the next larger text.
        if let Some(next) = (last..=char::MAX).nth(1) {
            text.push(next);
            return Some(text.into_iter().collect());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_before_the_next_character() {
        assert_eq!(after_prefix("r_").as_deref(), Some("r`"));
        assert_eq!(after_prefix("a\u{10ffff}").as_deref(), Some("b"));
        assert_eq!(after_prefix("\u{d7ff}").as_deref(), Some("\u{e000}"));
        assert_eq!(after_prefix("\u{10ffff}"), None);
        assert_eq!(after_prefix(""), None);
    }

    #[test]
    fn a_range_keeps_or_leaves_out_its_ends() {
        let query = |start, end| Query { start, end, ..Query::partition("p", 0) };
        let text = |text: &str| text.to_owned();
        let inclusive = query(Bound::Included(text("b")), Bound::Included(text("d")));
        assert!(inclusive.contains("b") && inclusive.contains("d"));
        let exclusive = query(Bound::Excluded(text("b")), Bound::Excluded(text("d")));
        assert!(!exclusive.contains("b") && exclusive.contains("c") && !exclusive.contains("d"));
        assert!(Query::partition("p", 0).contains(""));
    }
}

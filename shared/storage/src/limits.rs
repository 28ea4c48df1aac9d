//! The largest rows and changes that every backend takes.
//!
//! The numbers are DynamoDB's. Every backend refuses the same changes with the same sentence, so
//! that what works on a laptop works in AWS.

use std::{collections::HashMap, ops::Bound};

use crate::{
    error::StoreError,
    query::Query,
    table::{Change, Row},
    tally::{Condition, Tally},
};

/// How many changes are made together.
pub(crate) const GROUP: usize = 100;

const MAX_PK_BYTES: usize = 2048;
const MAX_SK_BYTES: usize = 1024;
const MAX_ROW_BYTES: usize = 400 * 1024;
const MAX_GROUP_BYTES: usize = 4 * 1024 * 1024;
const MAX_NAME_BYTES: usize = 255;

/// The size of a row beside its texts: the attributes' names and the number, at their largest.
const ROW_OVERHEAD_BYTES: usize = 40;

/// The attributes of a row that are no tallies.
const RESERVED_NAMES: [&str; 4] = ["pk", "sk", "value", "expires"];

/// The changes in groups that can be made together, each row at most once in a group.
///
/// Where a group changes a row twice, the later change wins. Nothing has been written when this
/// fails.
pub(crate) fn groups(changes: &[Change]) -> Result<Vec<Vec<&Change>>, StoreError> {
    // All are checked before the first is written.
    let groups: Vec<_> = changes.chunks(GROUP).map(last_of_each_row).collect();
    for group in &groups {
        check_group(group).map_err(|cause| StoreError::new("writing rows", cause))?;
    }
    Ok(groups)
}

/// Checks what can be known of a tally without its row.
pub(crate) fn check_tally(change: &Tally) -> Result<(), StoreError> {
    check_keys(&change.pk, &change.sk)
        .and_then(|()| check_expires(&change.pk, &change.sk, change.expires))
        .and_then(|()| check_names(change))
        .map_err(|cause| StoreError::new("changing tallies", cause))
}

/// Checks the keys of one row.
pub(crate) fn check_row(pk: &str, sk: &str) -> Result<(), StoreError> {
    check_keys(pk, sk).map_err(|cause| StoreError::new("reading rows", cause))
}

/// Checks the texts of a query.
pub(crate) fn check_query(query: &Query) -> Result<(), StoreError> {
    let max = [&query.start, &query.end]
        .map(|bound| match bound {
            Bound::Included(sk) | Bound::Excluded(sk) => sk.as_str(),
            Bound::Unbounded => "",
        })
        .into_iter()
        .max_by_key(|sk| sk.len())
        .filter(|sk| !sk.is_empty());
    // A query without ends names no key; any that is valid passes for it.
    check_keys(&query.pk, max.unwrap_or("any"))
        .map_err(|cause| StoreError::new("reading rows", cause))
}

fn last_of_each_row(changes: &[Change]) -> Vec<&Change> {
    // DynamoDB refuses a transaction that names one item twice.
    let last: HashMap<_, _> =
        changes.iter().enumerate().map(|(at, change)| (change.keys(), at)).collect();
    changes
        .iter()
        .enumerate()
        .filter(|(at, change)| last[&change.keys()] == *at)
        .map(|(_, change)| change)
        .collect()
}

fn check_group(group: &[&Change]) -> Result<(), String> {
    let mut total = 0;
    for change in group {
        let (pk, sk) = change.keys();
        check_keys(pk, sk)?;
        let Change::Put(row) = change else { continue };
        let size = size(row);

        if MAX_ROW_BYTES < size {
            return Err(format!("the row {pk} {sk} has {size} bytes, more than {MAX_ROW_BYTES}"));
        }
        check_expires(pk, sk, row.expires)?;
        total += size;
    }
    if MAX_GROUP_BYTES < total {
        return Err(format!("{total} bytes in one group of changes, more than {MAX_GROUP_BYTES}"));
    }
    Ok(())
}

fn check_keys(pk: &str, sk: &str) -> Result<(), String> {
    if pk.is_empty() || MAX_PK_BYTES < pk.len() {
        return Err(format!("a partition has 1 to {MAX_PK_BYTES} bytes, this has {}", pk.len()));
    }
    if sk.is_empty() || MAX_SK_BYTES < sk.len() {
        return Err(format!("a row's key has 1 to {MAX_SK_BYTES} bytes, this has {}", sk.len()));
    }
    Ok(())
}

fn check_expires(pk: &str, sk: &str, expires: Option<u64>) -> Result<(), String> {
    // SQLite's integers are signed.
    if expires.is_some_and(|expires| i64::try_from(expires).is_err()) {
        return Err(format!("the row {pk} {sk} expires in a year that no store can hold"));
    }
    Ok(())
}

fn check_names(change: &Tally) -> Result<(), String> {
    let mut changed: Vec<&String> = change
        .add
        .iter()
        .map(|(name, _)| name)
        .chain(change.set.iter().map(|(name, _)| name))
        .chain(&change.remove)
        .collect();
    if changed.is_empty() && change.expires.is_none() {
        return Err("a tally without a change".to_owned());
    }
    // DynamoDB refuses an update that has two expressions for one attribute.
    changed.sort_unstable();
    if let Some([twice, _]) = changed.array_windows().find(|[name, next]| name == next) {
        return Err(format!("one tally changes `{twice}` twice"));
    }
    let conditions = change.conditions.iter().map(Condition::name);
    for name in changed.iter().map(|name| name.as_str()).chain(conditions) {
        if name.is_empty() || MAX_NAME_BYTES < name.len() || RESERVED_NAMES.contains(&name) {
            return Err(format!("`{name}` cannot be the name of a tally"));
        }
    }
    Ok(())
}

fn size(row: &Row) -> usize {
    row.pk.len() + row.sk.len() + row.value.len() + ROW_OVERHEAD_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(change: &Tally) -> String {
        let named = Tally { pk: "p".to_owned(), sk: "s".to_owned(), ..change.clone() };
        check_tally(&named).unwrap_err().to_string()
    }

    #[test]
    fn a_tally_changes_a_name_once() {
        let add = vec![("n".to_owned(), 1)];
        let twice = Tally { add, remove: vec!["n".to_owned()], ..Tally::default() };
        assert_eq!(refusal(&twice), "changing tallies failed: one tally changes `n` twice");
    }

    #[test]
    fn the_attributes_of_a_row_are_no_tallies() {
        for name in ["", "pk", "sk", "value", "expires"] {
            let change = Tally { add: vec![(name.to_owned(), 1)], ..Tally::default() };
            assert!(refusal(&change).contains("cannot be the name of a tally"), "{name}");
        }
        let conditions = vec![Condition::Absent("value".to_owned())];
        let change = Tally { conditions, remove: vec!["n".to_owned()], ..Tally::default() };
        assert!(refusal(&change).contains("cannot be the name of a tally"));
    }

    #[test]
    fn a_tally_changes_something() {
        assert!(refusal(&Tally::default()).contains("without a change"));
    }
}

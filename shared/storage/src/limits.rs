//! What no backend may be asked to keep.
//!
//! The numbers are DynamoDB's. Every backend refuses the same changes with the same sentence, so
//! that what works on a laptop works in AWS.

use std::collections::HashMap;

use crate::table::{Change, Row, StoreError};

/// How many changes are made together.
pub(crate) const GROUP: usize = 100;

const PK_BYTES: usize = 2048;
const SK_BYTES: usize = 1024;
const ROW_BYTES: usize = 400 * 1024;
const GROUP_BYTES: usize = 4 * 1024 * 1024;

/// What a row takes beside its texts: the attributes' names and the number, at their largest.
const ROW_FRAME: usize = 40;

/// The changes in groups that can be made together, each row at most once in a group.
///
/// Where a group changes a row twice, the later change wins. Nothing has been written when this
/// refuses.
pub(crate) fn groups(changes: &[Change]) -> Result<Vec<Vec<&Change>>, StoreError> {
    let groups: Vec<_> = changes.chunks(GROUP).map(last_of_each_row).collect();
    for group in &groups {
        check(group).map_err(|refusal| StoreError::new("writing rows", refusal))?;
    }
    Ok(groups)
}

fn last_of_each_row(changes: &[Change]) -> Vec<&Change> {
    let last: HashMap<_, _> = changes.iter().enumerate().map(|(at, it)| (it.keys(), at)).collect();
    changes
        .iter()
        .enumerate()
        .filter(|(at, it)| last[&it.keys()] == *at)
        .map(|(_, it)| it)
        .collect()
}

fn check(group: &[&Change]) -> Result<(), String> {
    let mut total = 0;
    for change in group {
        let (pk, sk) = change.keys();
        if pk.is_empty() || PK_BYTES < pk.len() {
            return Err(format!("a partition has 1 to {PK_BYTES} bytes, this has {}", pk.len()));
        }
        if sk.is_empty() || SK_BYTES < sk.len() {
            return Err(format!("a row's place has 1 to {SK_BYTES} bytes, this has {}", sk.len()));
        }
        let Change::Put(row) = change else { continue };
        let size = size(row);
        if ROW_BYTES < size {
            return Err(format!("the row {pk} {sk} has {size} bytes, more than {ROW_BYTES}"));
        }
        if row.expires.is_some_and(|it| i64::try_from(it).is_err()) {
            return Err(format!("the row {pk} {sk} expires in a year that no store can hold"));
        }
        total += size;
    }
    if GROUP_BYTES < total {
        return Err(format!("{total} bytes in one group of changes, more than {GROUP_BYTES}"));
    }
    Ok(())
}

fn size(row: &Row) -> usize {
    row.pk.len() + row.sk.len() + row.value.len() + ROW_FRAME
}

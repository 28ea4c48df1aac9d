//! The contract of a table, whatever keeps it.
//!
//! A backend is one line in the list at the end. Times are far ahead, so that no store removes a
//! row by its own clock while a test runs.
#![expect(clippy::unwrap_used, reason = "a broken setup should stop the test")]

#[path = "support/emulated.rs"]
mod emulated;
#[path = "contract/ranges.rs"]
mod ranges;
#[path = "contract/rows.rs"]
mod rows;
#[path = "contract/tallies.rs"]
mod tallies;

use std::{
    fs,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use storage::{Change, Query, Row, Stores, Table};
use testkit::aws::Aws;

pub(crate) const NOW: u64 = 4_000_000_000;

/// An empty store of its own for each test, opened twice.
pub(crate) struct Store {
    pub(crate) table: Arc<dyn Table>,
    pub(crate) other: Arc<dyn Table>,
    pub(crate) stores: Stores,
    file: Option<PathBuf>,
}

impl Store {
    fn new(one: Stores, two: &Stores, file: Option<PathBuf>) -> Self {
        let (table, other) = (Arc::clone(&one.state), Arc::clone(&two.state));
        Self { table, other, stores: one, file }
    }

    pub(crate) async fn put(&self, rows: &[Row]) {
        let changes: Vec<_> = rows.iter().cloned().map(Change::Put).collect();
        self.table.write(&changes).await.unwrap();
    }

    pub(crate) async fn rows(&self, pk: &str) -> Vec<Row> {
        self.table.query(&Query::partition(pk, NOW)).await.unwrap().rows
    }

    pub(crate) async fn sks(&self, pk: &str) -> Vec<String> {
        self.rows(pk).await.into_iter().map(|row| row.sk).collect()
    }

    /// One of the two handles, in turn, so that races are between handles, too.
    pub(crate) fn handle(&self, turn: usize) -> Arc<dyn Table> {
        Arc::clone(if turn.is_multiple_of(2) { &self.table } else { &self.other })
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        if let Some(folder) = self.file.as_ref().and_then(|file| file.parent()) {
            fs::remove_dir_all(folder).unwrap();
        }
    }
}

fn memory() -> Option<Store> {
    let stores = storage::memory::open();
    Some(Store::new(stores.clone(), &stores, None))
}

fn sqlite_file() -> Option<Store> {
    let folder = format!("{}-{}", std::process::id(), serial());
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(folder).join("gateway.db");
    let open = || storage::sqlite::open(&file).unwrap();
    let (one, two) = (open(), open());
    Some(Store::new(one, &two, Some(file)))
}

fn sqlite_memory() -> Option<Store> {
    let stores = storage::sqlite::in_memory().unwrap();
    Some(Store::new(stores.clone(), &stores, None))
}

fn ministack() -> Option<Store> {
    Some(dynamodb(Aws::shared()))
}

/// AWS's own DynamoDB Local. None where there is no Java.
fn dynamodb_local() -> Option<Store> {
    Aws::shared_dynamodb_local().map(dynamodb)
}

fn dynamodb(emulator: &Aws) -> Store {
    let tables = emulator.tables(&serial().to_string());
    let open = || {
        let aws = emulated::account(&emulator.endpoint_url);
        storage::dynamodb::open(&aws, &tables.config, &tables.state)
    };
    Store::new(open(), &open(), None)
}

fn serial() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Makes each rule a test of each backend.
macro_rules! every_backend {
    ($backends:tt $rules:tt) => {
        every_backend! { @each $backends $rules }
    };
    (@each [$($backend:ident),* $(,)?] $rules:tt) => {
        $(mod $backend { every_backend! { @rules $backend $rules } })*
    };
    (@rules $backend:ident [$($part:ident::$rule:ident),* $(,)?]) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $rule() {
                if let Some(store) = super::$backend() {
                    crate::$part::$rule(&store).await;
                }
            }
        )*
    };
}

every_backend! {
    [memory, sqlite_file, sqlite_memory, ministack, dynamodb_local]
    [
        rows::a_partition_without_rows_is_empty,
        rows::a_row_comes_back_as_it_was_written,
        rows::a_row_is_read_by_its_keys,
        rows::a_row_that_is_not_there_is_none,
        rows::rows_come_back_in_the_order_of_their_bytes,
        rows::a_partition_does_not_see_its_neighbours,
        rows::the_two_tables_do_not_see_each_other,
        rows::a_second_write_replaces_the_whole_row,
        rows::a_deleted_row_is_gone_and_may_be_deleted_again,
        rows::a_row_is_gone_in_the_second_it_expires,
        rows::an_expired_row_can_be_written_anew,
        rows::nothing_to_change_is_no_failure,
        rows::puts_and_deletes_go_together,
        rows::the_last_of_several_changes_of_a_row_wins,
        rows::more_than_a_hundred_changes_are_made_in_order,
        rows::a_row_may_have_400_kb_with_its_keys,
        rows::one_change_too_many_bytes_stops_them_all,
        rows::a_group_of_changes_may_have_4_mb,
        rows::keys_have_the_same_bounds_everywhere,
        rows::any_text_comes_back_as_it_was,
        rows::a_partition_may_hold_several_mb,
        rows::two_handles_see_each_other,
        rows::writers_at_once_do_not_lose_or_mix_rows,
        rows::puts_of_one_row_at_once_leave_one_of_them,
        ranges::a_range_includes_or_excludes_its_ends,
        ranges::a_range_may_be_open_at_either_end,
        ranges::a_range_that_ends_before_it_begins_is_empty,
        ranges::a_prefix_is_a_range,
        ranges::the_largest_rows_come_first_in_descending_order,
        ranges::a_limit_says_whether_there_are_more,
        ranges::expired_rows_count_for_nothing,
        ranges::pages_join_without_gap_or_overlap,
        ranges::a_page_may_be_larger_than_a_response,
        ranges::an_eventual_read_returns_rows,
        ranges::a_bound_that_no_key_can_have_is_an_error,
        tallies::an_addition_makes_a_missing_row,
        tallies::numbers_and_notes_come_back_after_each_change,
        tallies::a_refusal_changes_nothing_and_shows_the_row,
        tallies::notes_that_nobody_reads_stay_in_the_row,
        tallies::a_missing_number_is_zero,
        tallies::a_condition_looks_at_one_name,
        tallies::all_conditions_must_hold,
        tallies::removing_what_is_not_there_is_no_failure,
        tallies::a_number_may_be_negative_and_large,
        tallies::nothing_is_added_to_a_note,
        tallies::a_tally_leaves_the_value_alone_and_a_put_replaces_all,
        tallies::a_tally_says_when_its_row_ends,
        tallies::two_handles_build_on_what_the_other_has_tallied,
        tallies::a_change_that_may_wait_is_made_all_the_same,
        tallies::names_may_be_any_word,
        tallies::fifty_callers_do_not_pass_a_limit,
        tallies::a_repeated_id_is_counted_once,
        tallies::a_reservation_settles_once,
        tallies::one_of_ten_reclaimers_wins,
        tallies::no_addition_is_lost,
    ]
}

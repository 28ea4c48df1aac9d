//! The contract of `tally`: conditions, changes, and races between callers.

use std::{collections::BTreeMap, sync::Arc};

use storage::{Condition, Consistency, Row, StoreError, Table, Tallied, Tallies, Tally};

use crate::{NOW, Store, rows::row};

/// A change of the one ledger that these tests use.
fn change() -> Tally {
    Tally { pk: "tenant#a".to_owned(), sk: "ledger".to_owned(), ..Tally::default() }
}

fn adding(name: &str, amount: i64) -> Tally {
    Tally { add: vec![(name.to_owned(), amount)], ..change() }
}

fn on(condition: Condition, change: Tally) -> Tally {
    Tally { conditions: vec![condition], ..change }
}

fn absent(name: &str) -> Condition {
    Condition::Absent(name.to_owned())
}

fn present(name: &str) -> Condition {
    Condition::Present(name.to_owned())
}

fn is(name: &str, note: &str) -> Condition {
    Condition::Is(name.to_owned(), note.to_owned())
}

fn at_most(name: &str, most: i64) -> Condition {
    Condition::AtMost(name.to_owned(), most)
}

fn tallies(numbers: &[(&str, i64)], notes: &[(&str, &str)]) -> Tallies {
    let numbers = numbers.iter().map(|(name, number)| ((*name).into(), *number));
    let notes = notes.iter().map(|(name, note)| ((*name).into(), (*note).into()));
    Tallies { numbers: numbers.collect(), notes: notes.collect::<BTreeMap<_, _>>() }
}

async fn make(store: &Store, change: &Tally) -> Tallied {
    store.table.tally(change).await.unwrap()
}

async fn is_done(store: &Store, change: &Tally) -> bool {
    matches!(make(store, change).await, Tallied::Done(_))
}

async fn stored(store: &Store) -> Tallies {
    let stored = store.other.get_tallies("tenant#a", "ledger", Consistency::Strong, NOW);
    stored.await.unwrap().unwrap()
}

/// Has callers make changes at once, over both handles, and gives their outcomes.
async fn race(store: &Store, changes: Vec<Tally>) -> Vec<Result<Tallied, StoreError>> {
    let callers = changes.into_iter().enumerate().map(|(turn, change)| {
        let table: Arc<dyn Table> = store.handle(turn);
        tokio::spawn(async move { table.tally(&change).await })
    });
    let mut outcomes = vec![];
    for caller in callers.collect::<Vec<_>>() {
        outcomes.push(caller.await.unwrap());
    }
    outcomes
}

fn count_done(outcomes: &[Result<Tallied, StoreError>]) -> usize {
    outcomes.iter().filter(|outcome| matches!(outcome, Ok(Tallied::Done(_)))).count()
}

pub(crate) async fn an_addition_makes_a_missing_row(store: &Store) {
    let missing = store.table.get_tallies("tenant#a", "ledger", Consistency::Strong, NOW);
    assert_eq!(missing.await.unwrap(), None);
    assert_eq!(make(store, &adding("live", 1)).await, Tallied::Done(tallies(&[("live", 1)], &[])));
    let found = store.table.get("tenant#a", "ledger", Consistency::Strong, NOW).await.unwrap();
    assert_eq!(found, Some(row("tenant#a", "ledger", "")));
    assert_eq!(store.rows("tenant#a").await, [row("tenant#a", "ledger", "")]);
}

pub(crate) async fn numbers_and_notes_come_back_after_each_change(store: &Store) {
    make(store, &Tally { set: vec![("r_1".to_owned(), "5".to_owned())], ..adding("b", 5) }).await;
    let settle = Tally {
        add: vec![("b".to_owned(), -2), ("s".to_owned(), 3)],
        set: vec![("seen".to_owned(), String::new())],
        remove: vec!["r_1".to_owned()],
        ..change()
    };
    let after = tallies(&[("b", 3), ("s", 3)], &[("seen", "")]);
    assert_eq!(make(store, &settle).await, Tallied::Done(after.clone()));
    assert_eq!(stored(store).await, after);
}

pub(crate) async fn a_refusal_changes_nothing_and_shows_the_row(store: &Store) {
    let refused = on(present("r_1"), adding("b", 1));
    assert_eq!(make(store, &refused).await, Tallied::Refused(Tallies::default()));
    assert_eq!(store.rows("tenant#a").await, []);
    make(store, &adding("b", 7)).await;
    let before = tallies(&[("b", 7)], &[]);
    assert_eq!(make(store, &refused).await, Tallied::Refused(before.clone()));
    assert_eq!(stored(store).await, before);
}

pub(crate) async fn notes_that_nobody_reads_stay_in_the_row(store: &Store) {
    let opened = Tally {
        set: ["r_1", "r_2", "w"].map(|name| (name.to_owned(), "text".to_owned())).to_vec(),
        unread_notes: Some("r_"),
        ..adding("n", 1)
    };
    let Tallied::Done(row) = make(store, &opened).await else { panic!("refused") };
    // A backend that has them anyway may give them.
    assert_eq!((row.number("n"), row.note("w")), (1, Some("text")));
    let all = tallies(&[("n", 1)], &[("r_1", "text"), ("r_2", "text"), ("w", "text")]);
    assert_eq!(stored(store).await, all);
    // A refusal shows everything: it may be the open calls that stand in the way.
    let refused = make(store, &on(absent("w"), opened)).await;
    assert_eq!(refused, Tallied::Refused(all));
}

pub(crate) async fn a_missing_number_is_zero(store: &Store) {
    assert!(!is_done(store, &on(at_most("debt", -1), adding("n", 1))).await);
    assert!(is_done(store, &on(at_most("debt", 0), adding("n", 1))).await);
    assert!(!is_done(store, &on(at_most("debt", -1), adding("n", 1))).await);
    assert!(is_done(store, &adding("debt", -1)).await);
    assert!(is_done(store, &on(at_most("debt", -1), adding("n", 1))).await);
    assert_eq!(stored(store).await, tallies(&[("debt", -1), ("n", 2)], &[]));
}

pub(crate) async fn a_condition_looks_at_one_name(store: &Store) {
    make(store, &Tally { set: vec![("note".to_owned(), "5".to_owned())], ..adding("number", 5) })
        .await;
    for (condition, holds) in [
        (present("number"), true),
        (present("note"), true),
        (present("nothing"), false),
        (absent("number"), false),
        (absent("note"), false),
        (absent("nothing"), true),
        (is("note", "5"), true),
        (is("note", "50"), false),
        (is("number", "5"), false),
        (is("nothing", ""), false),
        (at_most("number", 5), true),
        (at_most("number", 4), false),
        (at_most("note", 9), false),
    ] {
        let text = format!("{condition:?}");
        assert_eq!(is_done(store, &on(condition, adding("n", 1))).await, holds, "{text}");
    }
}

pub(crate) async fn all_conditions_must_hold(store: &Store) {
    make(store, &adding("a", 1)).await;
    let conditions = vec![present("a"), at_most("a", 1), absent("b"), at_most("c", 0)];
    assert!(is_done(store, &Tally { conditions: conditions.clone(), ..adding("d", 1) }).await);
    for place in 0..conditions.len() {
        let mut broken = conditions.clone();
        broken[place] = present("never");
        assert!(!is_done(store, &Tally { conditions: broken, ..adding("d", 1) }).await);
    }
}

pub(crate) async fn removing_what_is_not_there_is_no_failure(store: &Store) {
    let removing = Tally { remove: vec!["m1".to_owned(), "m2".to_owned()], ..change() };
    assert_eq!(make(store, &removing).await, Tallied::Done(Tallies::default()));
    make(store, &Tally { set: vec![("m2".to_owned(), "x".to_owned())], ..adding("m1", 1) }).await;
    assert_eq!(make(store, &removing).await, Tallied::Done(Tallies::default()));
}

pub(crate) async fn a_number_may_be_negative_and_large(store: &Store) {
    let large = 9_007_199_254_740_993;
    make(store, &adding("n", large)).await;
    assert_eq!(make(store, &adding("m", -large)).await, {
        Tallied::Done(tallies(&[("m", -large), ("n", large)], &[]))
    });
    assert!(is_done(store, &on(at_most("n", large), adding("n", 0))).await);
    assert!(!is_done(store, &on(at_most("n", large - 1), adding("n", 0))).await);
}

pub(crate) async fn nothing_is_added_to_a_note(store: &Store) {
    make(store, &Tally { set: vec![("a".to_owned(), "1".to_owned())], ..change() }).await;
    store.table.tally(&adding("a", 1)).await.unwrap_err();
    assert_eq!(stored(store).await, tallies(&[], &[("a", "1")]));
}

pub(crate) async fn a_tally_leaves_the_value_alone_and_a_put_replaces_all(store: &Store) {
    let row = row("tenant#a", "ledger", "{}");
    store.table.put(row.clone()).await.unwrap();
    make(store, &adding("n", 1)).await;
    assert_eq!(store.rows("tenant#a").await, std::slice::from_ref(&row));
    store.table.put(row.clone()).await.unwrap();
    assert_eq!(stored(store).await, Tallies::default());
    store.table.delete("tenant#a", "ledger").await.unwrap();
    assert_eq!(make(store, &adding("n", 1)).await, Tallied::Done(tallies(&[("n", 1)], &[])));
}

pub(crate) async fn a_tally_says_when_its_row_ends(store: &Store) {
    make(store, &Tally { expires: Some(NOW + 1), ..adding("n", 1) }).await;
    make(store, &adding("n", 1)).await;
    let ends = Row { expires: Some(NOW + 1), ..row("tenant#a", "ledger", "") };
    assert_eq!(store.rows("tenant#a").await, [ends]);
    let read = |now| store.table.get_tallies("tenant#a", "ledger", Consistency::Eventual, now);
    assert_eq!(read(NOW).await.unwrap(), Some(tallies(&[("n", 2)], &[])));
    assert_eq!(read(NOW + 1).await.unwrap(), None);
    make(store, &Tally { expires: Some(NOW + 9), ..change() }).await;
    assert!(read(NOW + 1).await.unwrap().is_some());
}

pub(crate) async fn two_handles_build_on_what_the_other_has_tallied(store: &Store) {
    for turn in 0..6 {
        let change = Tally { expires: Some(NOW + 1 + turn), ..adding("n", 1) };
        let table = store.handle(usize::try_from(turn).unwrap());
        let count = i64::try_from(turn).unwrap() + 1;
        assert_eq!(
            table.tally(&change).await.unwrap(),
            Tallied::Done(tallies(&[("n", count)], &[]))
        );
    }
    let ends = Row { expires: Some(NOW + 6), ..row("tenant#a", "ledger", "") };
    assert_eq!(store.rows("tenant#a").await, [ends]);
}

pub(crate) async fn a_change_that_may_wait_is_made_all_the_same(store: &Store) {
    let soon = store.table.tally_soon(&adding("n", 1)).await.unwrap();
    assert_eq!(soon, Tallied::Done(tallies(&[("n", 1)], &[])));
    assert_eq!(stored(store).await, tallies(&[("n", 1)], &[]));
    let refused = store.table.tally_soon(&on(absent("n"), adding("n", 1))).await.unwrap();
    assert_eq!(refused, Tallied::Refused(tallies(&[("n", 1)], &[])));
}

pub(crate) async fn names_may_be_any_word(store: &Store) {
    let name = "size.of #1: 'é' \"x\"".to_owned();
    let words = Tally {
        add: vec![("count".to_owned(), 1), (name.clone(), 2)],
        set: vec![("name".to_owned(), "'; --".to_owned())],
        ..change()
    };
    let after = tallies(&[("count", 1), (&name, 2)], &[("name", "'; --")]);
    assert_eq!(make(store, &words).await, Tallied::Done(after));
}

pub(crate) async fn fifty_callers_do_not_pass_a_limit(store: &Store) {
    let admit = on(at_most("m29930400", 19), adding("m29930400", 1));
    let outcomes = race(store, vec![admit; 50]).await;
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    assert_eq!(count_done(&outcomes), 20);
    assert_eq!(stored(store).await, tallies(&[("m29930400", 20)], &[]));
}

pub(crate) async fn a_repeated_id_is_counted_once(store: &Store) {
    let reserve = |id: &str| Tally {
        set: vec![(id.to_owned(), "3".to_owned())],
        ..on(absent(id), adding("b", 3))
    };
    let twice: Vec<_> = ["r_1", "r_2", "r_1", "r_2", "r_1"].iter().map(|id| reserve(id)).collect();
    let outcomes = race(store, twice).await;
    assert_eq!(count_done(&outcomes), 2);
    let after = tallies(&[("b", 6)], &[("r_1", "3"), ("r_2", "3")]);
    assert_eq!(make(store, &reserve("r_1")).await, Tallied::Refused(after));
}

pub(crate) async fn a_reservation_settles_once(store: &Store) {
    make(store, &Tally { set: vec![("r_1".to_owned(), "9".to_owned())], ..adding("b", 9) }).await;
    let settle = Tally {
        add: vec![("b".to_owned(), -4), ("s".to_owned(), 5)],
        remove: vec!["r_1".to_owned()],
        ..on(present("r_1"), change())
    };
    let after = tallies(&[("b", 5), ("s", 5)], &[]);
    assert_eq!(make(store, &settle).await, Tallied::Done(after.clone()));
    assert_eq!(make(store, &settle).await, Tallied::Refused(after));
}

pub(crate) async fn one_of_ten_reclaimers_wins(store: &Store) {
    make(store, &Tally { set: vec![("r_1".to_owned(), "7".to_owned())], ..adding("live", 1) })
        .await;
    let reclaim = Tally {
        add: vec![("live".to_owned(), -1), ("x".to_owned(), 7)],
        remove: vec!["r_1".to_owned()],
        ..on(is("r_1", "7"), change())
    };
    assert_eq!(count_done(&race(store, vec![reclaim; 10]).await), 1);
    assert_eq!(stored(store).await, tallies(&[("live", 0), ("x", 7)], &[]));
}

pub(crate) async fn no_addition_is_lost(store: &Store) {
    let changes = (1..=40).map(|amount| adding("sum", amount)).collect();
    assert_eq!(count_done(&race(store, changes).await), 40);
    assert_eq!(stored(store).await.number("sum"), 820);
}

//! A seeded simulation of the ledger: several instances, a link that fails in every way, clocks
//! that differ, and processes that freeze and die at any await.
//!
//! `PROPTEST_CASES=1000000` plays that many schedules; a schedule that breaks an invariant is
//! shrunk and its seed is kept.
#![expect(clippy::unwrap_used, reason = "a broken setup should stop the test")]

mod executor;
mod exhaustive;
mod link;
mod mutant;
mod schedule;
mod store;
mod truth;
mod world;

use proptest::{
    prelude::{ProptestConfig, Strategy, any},
    strategy::ValueTree,
    test_runner::{FailurePersistence, FileFailurePersistence, TestCaseError, TestRunner},
};

use mutant::Mutant;
use schedule::Schedule;

/// How many schedules are played unless more are asked for.
const SCHEDULES: u32 = 10_000;

/// Where the seeds of schedules that once failed are kept, to be played first.
const SEEDS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/simulation/seeds.txt");

fn schedules() -> impl Strategy<Value = Schedule> {
    let choices = proptest::collection::vec(any::<u32>(), 20..90);
    (any::<u32>(), choices).prop_map(|(setting, choices)| Schedule { setting, choices })
}

#[test]
fn no_schedule_breaks_an_invariant() {
    let defaults = ProptestConfig::default();
    let cases = defaults.cases.max(SCHEDULES);
    let failure_persistence: Option<Box<dyn FailurePersistence>> =
        Some(Box::new(FileFailurePersistence::Direct(SEEDS)));
    let mut runner = TestRunner::new(ProptestConfig { cases, failure_persistence, ..defaults });
    let played = runner.run(&schedules(), |schedule| {
        let violations = world::play(&schedule, None);
        if violations.is_empty() {
            return Ok(());
        }
        Err(TestCaseError::fail(format!("{violations:?}")))
    });
    if let Err(failure) = played {
        panic!("{failure}");
    }
}

#[test]
fn no_interleaving_of_two_calls_with_one_fault_breaks_an_invariant() {
    let mut played = 0;
    for setting in exhaustive::SETTINGS {
        for calls in exhaustive::CALLS {
            played += exhaustive::play_all(setting, calls, None, |path, violations| {
                assert!(violations.is_empty(), "{setting:b} {calls:?} {path:?}: {violations:?}");
            });
        }
    }
    assert!(1_000 < played, "only {played} interleavings were found");
}

#[test]
fn a_call_that_settles_twice_is_seen_in_some_interleaving() {
    let mut is_seen = false;
    for calls in exhaustive::CALLS {
        let mutant = Some(Mutant::SettlesTwice);
        exhaustive::play_all(exhaustive::SETTINGS[0], calls, mutant, |_, violations| {
            is_seen |= violations.contains_key(&5);
        });
    }
    assert!(is_seen);
}

/// Plays schedules until one shows that a mutant breaks this invariant.
fn sees(mutant: Mutant, invariant: u8) {
    let mut runner = TestRunner::deterministic();
    for _ in 0..SCHEDULES {
        let schedule = schedules().new_tree(&mut runner).unwrap().current();
        if world::play(&schedule, Some(mutant)).contains_key(&invariant) {
            return;
        }
    }
    panic!("{SCHEDULES} schedules do not show that {mutant:?} breaks invariant {invariant}");
}

#[test]
fn a_hold_that_is_kept_is_seen() {
    sees(Mutant::KeepsTheHold, 1);
}

#[test]
fn an_ignored_budget_is_seen() {
    sees(Mutant::IgnoresBudget, 2);
}

#[test]
fn an_ignored_window_is_seen() {
    sees(Mutant::IgnoresMinute, 3);
}

#[test]
fn a_window_used_again_is_seen() {
    sees(Mutant::ReusesWindow, 3);
}

#[test]
fn an_ignored_limit_of_calls_in_flight_is_seen() {
    sees(Mutant::IgnoresConcurrency, 4);
}

#[test]
fn calls_that_are_not_counted_down_are_seen() {
    sees(Mutant::ForgetsLive, 4);
}

#[test]
fn a_call_that_settles_twice_is_seen() {
    sees(Mutant::SettlesTwice, 5);
}

#[test]
fn a_settlement_that_is_lost_is_seen() {
    sees(Mutant::LosesSettlements, 5);
}

#[test]
fn a_hold_that_never_expires_is_seen() {
    sees(Mutant::NeverExpires, 6);
}

#[test]
fn a_lost_hold_that_is_given_back_is_seen() {
    sees(Mutant::GivesBackTheLost, 7);
}

#[test]
fn a_call_that_is_charged_twice_is_seen() {
    sees(Mutant::ChargesTwice, 8);
}

#[test]
fn a_counted_refusal_is_seen() {
    sees(Mutant::CountsRefusals, 9);
}

#[test]
fn an_alert_that_is_sent_twice_is_seen() {
    sees(Mutant::AlertsAgain, 15);
}

#[test]
fn an_alert_that_is_never_sent_is_seen() {
    sees(Mutant::AlertsOnlyOnPaper, 15);
}

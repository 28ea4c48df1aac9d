//! A seeded simulation of whole gateways: several instances over one store, providers that flap,
//! hedges, rescues, limits of providers, cooldowns, the cache and idempotency keys.
//!
//! The code is the real one, with real sockets to the providers; only the store's answers are a
//! schedule's affair. The ledger alone is simulated in `tenants`, where a schedule costs a thousandth.
//! `PROPTEST_CASES=10000` plays that many; a failure names its seed.

mod link;
mod providers;
mod truth;
mod world;

use std::collections::BTreeMap;

use proptest::prelude::ProptestConfig;
use world::World;

/// How many schedules may show that a mutant breaks an invariant.
const MUTANT_SCHEDULES: u64 = 60;

/// A fault of the gateway, made at its borders, that proves that the simulation sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mutant {
    /// A settlement does not give back what was held beyond the cost.
    KeepsTheHold,
    /// A client gets an event twice.
    SendsTwice,
    /// A broken stream ends like a whole one.
    HidesFailures,
    /// Every request under an idempotency key is the first.
    ForgetsClaims,
    /// A target that failed is asked again at once.
    NeverCools,
    /// A provider's limits are not compared.
    IgnoresOutboundLimits,
    /// A silent provider is waited for without an end.
    WaitsForEver,
    /// Records are not written.
    LosesRecords,
    /// Records are written twice.
    CountsTwice,
}

/// Plays one schedule: the invariants that were broken, with the first case of each.
fn play(seed: u64, mutant: Option<Mutant>) -> BTreeMap<u8, String> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().build().unwrap();
    runtime.block_on(async { World::new(seed, mutant).await.play().await })
}

#[test]
fn no_schedule_of_whole_gateways_breaks_an_invariant() {
    for seed in 0..u64::from(ProptestConfig::default().cases) {
        let violations = play(seed, None);
        assert!(violations.is_empty(), "seed {seed}: {violations:#?}");
    }
}

/// Plays schedules until one shows that a mutant breaks this invariant.
fn sees(mutant: Mutant, invariant: u8) {
    // Schedules of calls in turn, without faults of the store, show more of what targets are asked.
    let step = if mutant == Mutant::NeverCools { 6 } else { 1 };
    let mut seeds = (0..MUTANT_SCHEDULES).map(|nth| nth * step);
    let is_seen = seeds.any(|seed| play(seed, Some(mutant)).contains_key(&invariant));
    assert!(is_seen, "no schedule shows that {mutant:?} breaks invariant {invariant}");
}

#[test]
fn a_hold_that_stays_behind_a_call_is_seen() {
    sees(Mutant::KeepsTheHold, 1);
}

#[test]
fn an_event_that_is_sent_twice_is_seen() {
    sees(Mutant::SendsTwice, 10);
}

#[test]
fn a_failure_that_ends_as_a_success_is_seen() {
    sees(Mutant::HidesFailures, 10);
}

#[test]
fn a_repeated_request_that_is_made_twice_is_seen() {
    sees(Mutant::ForgetsClaims, 11);
}

#[test]
fn a_target_that_never_cools_down_is_seen() {
    sees(Mutant::NeverCools, 12);
}

#[test]
fn a_limit_of_a_provider_that_is_passed_is_seen() {
    sees(Mutant::IgnoresOutboundLimits, 3);
}

#[test]
fn a_call_without_an_end_is_seen() {
    sees(Mutant::WaitsForEver, 13);
}

#[test]
fn a_record_that_is_lost_is_seen() {
    sees(Mutant::LosesRecords, 14);
}

#[test]
fn a_record_that_is_counted_twice_is_seen() {
    sees(Mutant::CountsTwice, 14);
}

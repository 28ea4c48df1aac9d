//! Outages, quotas, probes, hedges and rescues, one example each.

use canonical::Quota;
use config::Breaker;

use super::*;

fn with_breaker(failures: u32, of: u32) -> RoutePlan {
    RoutePlan { breaker: Some(Breaker { failures, of }), ..plan(vec![target("a"), target("b")]) }
}

fn is_cooling(world: &World) -> bool {
    !world.left("a", KeyFingerprint::NONE).is_zero()
}

/// Fails the first target this often, in calls of their own, and says whether it cools down after each.
fn cooling_after(world: &World, times: usize, (kind, status): (ErrorKind, u16)) -> Vec<bool> {
    let mut seen = vec![];
    for _ in 0..times {
        world.fail(&mut world.call(with_breaker(3, 5)), kind, status);
        seen.push(is_cooling(world));
    }
    seen
}

fn succeed(world: &World) {
    let mut call = world.call(with_breaker(3, 5));
    let attempt = call.next(world.now).unwrap();
    assert_eq!(attempt.target().provider, "a");
    call.succeeded(attempt.id, 200, world.now);
}

#[test]
fn an_outage_is_so_many_failures_of_the_latest_attempts() {
    for failure in [(ErrorKind::Upstream, 500), (ErrorKind::Timeout, 0), (ErrorKind::Network, 0)] {
        assert_eq!(cooling_after(&World::new(), 3, failure), [false, false, true], "{failure:?}");
    }
}

#[test]
fn successes_between_push_failures_out_of_the_window() {
    let world = World::new();
    cooling_after(&world, 2, (ErrorKind::Upstream, 500));
    for _ in 0..4 {
        succeed(&world);
    }
    assert_eq!(cooling_after(&world, 2, (ErrorKind::Upstream, 500)), [false, false]);
}

#[test]
fn a_probe_that_fails_prolongs_the_outage_at_once() {
    let mut world = World::new();
    cooling_after(&world, 3, (ErrorKind::Upstream, 500));
    world.now += MINUTE;
    assert!(!is_cooling(&world));
    assert_eq!(cooling_after(&world, 1, (ErrorKind::Upstream, 500)), [true]);
    assert_eq!(world.left("a", KeyFingerprint::NONE), 2 * MINUTE);
}

#[test]
fn others_pass_over_a_target_while_one_call_probes_it() {
    let mut world = World::new();
    world.fail(&mut world.call(plan(vec![target("a"), target("b")])), ErrorKind::Upstream, 500);
    world.now += MINUTE;
    let both = || plan(vec![target("a"), target("b")]);
    let mut probing = world.call(both());
    let probe = probing.next(world.now).unwrap();
    assert_eq!(probe.target().provider, "a");
    assert_eq!(world.call(both()).next(world.now).unwrap().target().provider, "b");
    probing.succeeded(probe.id, 200, world.now);
    assert_eq!(world.call(both()).next(world.now).unwrap().target().provider, "a");
}

#[test]
fn a_probe_that_is_given_up_lets_another_call_probe() {
    let mut world = World::new();
    let both = || plan(vec![target("a"), target("b")]);
    world.fail(&mut world.call(both()), ErrorKind::Upstream, 500);
    world.now += MINUTE;
    let mut probing = world.call(both());
    probing.next(world.now).unwrap();
    probing.close(world.now);
    assert_eq!(world.call(both()).next(world.now).unwrap().target().provider, "a");
}

/// How long a key cools down after a failure with this quota and this time that the provider names.
fn cooldown(quota: Option<Quota>, named: Option<u64>, kind: ErrorKind) -> Duration {
    let world = World::new();
    let mut call = world.call(plan(vec![target("a"), target("b")]));
    let attempt = call.next(world.now).unwrap();
    let mut failure = error(kind, 429);
    failure.quota = quota;
    failure.retry_after = named.map(Duration::from_secs);
    call.failed(attempt.id, failure, world.now).unwrap();
    world.left("a", KeyFingerprint::NONE)
}

#[test]
fn quotas_last_longer_than_rate_limits() {
    let (day, credit) = (Some(Quota::Day), Some(Quota::Credit));
    let limited = ErrorKind::RateLimited;
    assert_eq!(cooldown(None, Some(7), limited), Duration::from_secs(7));
    assert_eq!(cooldown(day, Some(30), limited), 60 * MINUTE, "Gemini names seconds for a day");
    assert_eq!(cooldown(day, Some(600), limited), 10 * MINUTE);
    assert_eq!(cooldown(credit, Some(7), limited), 240 * MINUTE);
    assert_eq!(cooldown(credit, None, ErrorKind::ProviderAccess), 240 * MINUTE);
}

#[test]
fn a_hedge_runs_beside_the_first_attempt_at_another_target() {
    let world = World::new();
    let mut call = world.call(plan(vec![target("a"), target("b")]));
    let first = call.next(world.now).unwrap();
    let hedge = call.next_hedge(world.now).unwrap();
    assert_eq!(hedge.target().provider, "b");
    assert!(call.next_hedge(world.now).is_none(), "there is no third target");
    call.succeeded(hedge.id, 200, world.now);
    call.ended(first.id, AttemptEnd::Canceled, world.now);
    assert_eq!(call.attempt(first.id).outcome, Outcome::Canceled);
    assert!(call.is_running());
}

#[test]
fn nothing_is_hedged_by_a_target_that_cools_down() {
    let world = World::new();
    world.fail(&mut world.call(plan(vec![target("b")])), ErrorKind::RateLimited, 429);
    let mut call = world.call(plan(vec![target("a"), target("b")]));
    call.next(world.now).unwrap();
    assert!(call.next_hedge(world.now).is_none());
}

#[test]
fn a_rescue_goes_on_whatever_the_next_target_refuses() {
    let world = World::new();
    let mut call = world.call(plan(vec![target("a"), target("b"), target("c")]));
    let first = call.next(world.now).unwrap();
    call.succeeded(first.id, 200, world.now);
    call.ended(first.id, AttemptEnd::Failed(&error(ErrorKind::Network, 0)), world.now);
    call.begin_rescue();
    let second = call.next(world.now).unwrap();
    assert!(call.repeat(second.id, &error(ErrorKind::InvalidRequest, 400), world.now));
    let again = call.next(world.now).unwrap();
    assert_eq!(again.target().provider, "b");
    call.failed(again.id, error(ErrorKind::InvalidRequest, 400), world.now).unwrap();
    assert_eq!(call.next(world.now).unwrap().target().provider, "c");
}

#[test]
fn a_target_whose_limit_is_reached_is_passed_over_without_a_cooldown() {
    let world = World::new();
    let mut call = world.call(plan(vec![pool("a", &[1, 2]), target("b")]));
    let mut requested = vec![];
    while let Ok(attempt) = call.next(world.now) {
        requested.push(attempt.target().provider.clone());
        call.passed_over(attempt.id, error(ErrorKind::RateLimited, 0), world.now);
    }
    assert_eq!(requested, ["a", "a", "b"]);
    assert!(world.left("a", key(1)).is_zero());
}

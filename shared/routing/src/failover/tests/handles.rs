//! Attempts by their handles: side by side, beyond the first event, and after their call is gone.

use super::*;

#[test]
fn two_attempts_run_side_by_side() {
    let world = World::new();
    let mut call = world.call(plan(vec![target("a"), target("b")]));
    let (slow, fast) = (call.next(world.now).unwrap(), call.next(world.now).unwrap());
    assert_eq!(world.health.target("a", "m").in_flight, 1);
    let later = world.now + Duration::from_millis(20);
    call.succeeded(fast.id, 200, later);
    call.ended(slow.id, AttemptEnd::Canceled, later);
    call.ended(fast.id, AttemptEnd::Complete, later + Duration::from_millis(30));

    let [slow, fast] = call.attempts() else { panic!("{:?}", call.attempts()) };
    assert_eq!((slow.outcome, slow.duration_ms), (Outcome::Canceled, 20));
    assert_eq!((fast.outcome, fast.first_token_ms), (Outcome::Success, Some(20)));
    assert_eq!(fast.duration_ms, 50);
    assert_eq!(world.health.target("a", "m").in_flight, 0);
    assert_eq!(world.health.target("b", "m").latency, Some(Duration::from_millis(20)));
}

#[test]
fn a_stream_that_breaks_counts_against_its_target() {
    let world = World::new();
    let mut call = world.call(plan(vec![target("a")]));
    let attempt = call.next(world.now).unwrap();
    call.succeeded(attempt.id, 200, world.now);
    call.ended(attempt.id, AttemptEnd::Failed(&error(ErrorKind::Upstream, 529)), world.now);
    assert_eq!(call.attempts()[0].outcome, Outcome::Failed("server_error"));
    assert_eq!(world.health.target("a", "m").consecutive_failures, 1);
    assert_eq!(world.left("a", KeyFingerprint::NONE), COOLDOWN);
}

#[test]
fn a_call_that_is_dropped_is_no_longer_in_flight() {
    let world = World::new();
    let mut call = world.call(plan(vec![target("a")]));
    call.next(world.now).unwrap();
    assert_eq!(call.attempts()[0].outcome, Outcome::Canceled);
    drop(call);
    assert_eq!(world.health.target("a", "m").in_flight, 0);
}

#[test]
fn the_success_of_an_older_call_ends_no_newer_cooldown() {
    let mut world = World::new();
    let mut older = world.call(plan(vec![target("a")]));
    let attempt = older.next(world.now).unwrap();
    world.now += Duration::from_secs(1);
    world.fail(&mut world.call(plan(vec![target("a")])), ErrorKind::RateLimited, 429);
    older.succeeded(attempt.id, 200, world.now);
    assert_eq!(world.left("a", KeyFingerprint::NONE), COOLDOWN);
}

#[test]
fn a_key_that_was_replaced_is_used_at_once() {
    let world = World::new();
    let mut call = world.call(plan(vec![pool("a", &[1])]));
    let attempt = call.next(world.now).unwrap();
    let refused = error(ErrorKind::ProviderAccess, 401);
    let other = Arc::new(plan(vec![target("b")]));
    assert!(!call.keys_replaced(attempt.id, &refused, other, world.now));
    let replaced = Arc::new(plan(vec![pool("a", &[2])]));
    assert!(call.keys_replaced(attempt.id, &refused, replaced, world.now));
    assert_eq!(call.next(world.now).unwrap().key, key(2));
    assert_eq!(call.attempts()[0].next, Some(NextStep::NextKey));
}

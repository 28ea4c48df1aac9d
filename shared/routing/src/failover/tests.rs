//! The rules of failover, one example each, under a clock that stands still.

mod breaker;
mod handles;

use canonical::{Field, Remedy};
use config::COOLDOWN;

use super::*;
use crate::{
    health::{Cooldown, CooldownCause, CooldownReason, Cooldowns},
    select::{Verdict, outlook},
};

const MINUTE: Duration = Duration::from_secs(60);

fn key(nth: u8) -> KeyFingerprint {
    KeyFingerprint([nth; KeyFingerprint::BYTES])
}

fn target(provider: &str) -> Target {
    Target {
        provider: provider.to_owned(),
        model: "m".to_owned(),
        keys: Arc::from([KeyFingerprint::NONE]),
        timeout: Duration::from_secs(30),
        ..Target::default()
    }
}

fn pool(provider: &str, keys: &[u8]) -> Target {
    Target { keys: keys.iter().map(|nth| key(*nth)).collect(), ..target(provider) }
}

fn plan(targets: Vec<Target>) -> RoutePlan {
    RoutePlan { route: Some("r".to_owned()), targets, ..RoutePlan::default() }
}

/// Calls that share a health, at a moment that only a test moves.
struct World {
    health: Arc<Health>,
    now: Instant,
}

impl World {
    fn new() -> Self {
        Self { health: Arc::default(), now: Instant::now() }
    }

    fn call(&self, plan: RoutePlan) -> Failover {
        let limits = Limits { arrived: self.now, deadline: self.now + 10 * MINUTE, seed: 7 };
        Failover::new(Arc::new(plan), self.health.clone(), limits)
    }

    fn cooldowns(&self) -> &Cooldowns {
        &self.health.cooldowns
    }

    fn left(&self, provider: &str, key: KeyFingerprint) -> Duration {
        self.cooldowns().remaining(provider, "m", key, self.now)
    }

    /// Makes one attempt that fails.
    fn fail(&self, failover: &mut Failover, kind: ErrorKind, status: u16) {
        let attempt = failover.next(self.now).unwrap();
        failover.failed(attempt.id, error(kind, status), self.now).unwrap();
    }

    /// Makes attempts until nothing is left, all failing alike: what was attempted, and the error.
    fn exhaust(
        &self,
        mut failover: Failover,
        kind: ErrorKind,
        status: u16,
    ) -> (Vec<String>, Error) {
        let mut attempted = vec![];
        loop {
            let attempt = match failover.next(self.now) {
                Ok(attempt) => attempt,
                Err(error) => return (attempted, error),
            };
            attempted.push(format!("{}#{}", attempt.target().provider, attempt.key.0[0]));
            if let Err(error) = failover.failed(attempt.id, error(kind, status), self.now) {
                return (attempted, error);
            }
        }
    }
}

fn error(kind: ErrorKind, status: u16) -> Error {
    let mut error = Error::new(kind, "no");
    error.provider_status = Some(status).filter(|it| *it != 0);
    error
}

fn rejected(remedy: Remedy) -> Error {
    let mut error = error(ErrorKind::Rejected, 400);
    error.remedy = Some(remedy);
    error
}

fn limited(retry_after: u64) -> Error {
    let mut error = error(ErrorKind::RateLimited, 429);
    error.retry_after = Some(Duration::from_secs(retry_after));
    error
}

#[test]
fn targets_are_attempted_in_order_and_once() {
    let world = World::new();
    let call = world.call(plan(vec![target("a"), target("b")]));
    assert_eq!(world.exhaust(call, ErrorKind::Upstream, 500).0, ["a#0", "b#0"]);
}

#[test]
fn a_bad_prompt_is_not_sent_twice() {
    let world = World::new();
    let call = world.call(plan(vec![target("a"), target("b")]));
    let (attempted, error) = world.exhaust(call, ErrorKind::InvalidRequest, 422);
    assert_eq!((attempted.len(), error.status(), error.attempts.len()), (1, 422, 1));
    assert_eq!(error.attempts[0].next, Some(NextStep::FailFast));
}

#[test]
fn each_attempt_records_why_the_next_was_made() {
    let world = World::new();
    let retried = Target { retries: 1, ..pool("a", &[1, 2]) };
    let mut call = world.call(plan(vec![retried, target("b")]));
    world.fail(&mut call, ErrorKind::RateLimited, 429);
    world.fail(&mut call, ErrorKind::Network, 0);
    let attempt = call.next(world.now).unwrap();
    call.failed(attempt.id, rejected(Remedy::DropSignatures), world.now).unwrap();
    world.fail(&mut call, ErrorKind::Upstream, 500);
    world.fail(&mut call, ErrorKind::Upstream, 500);
    let steps: Vec<_> = call.attempts().iter().map(|it| it.next.unwrap().as_str()).collect();
    assert_eq!(
        steps,
        ["next_key", "retry_same_target", "apply_remedy", "next_target", "exhausted"]
    );
    let keys: Vec<_> = call.attempts().iter().map(|it| it.key).collect();
    assert_eq!(keys, [key(1), key(2), key(2), key(2), KeyFingerprint::NONE]);
}

#[test]
fn signatures_that_a_target_rejects_are_left_out_once() {
    let world = World::new();
    let mut call = world.call(plan(vec![target("a"), target("b")]));
    let mut attempted = vec![];
    for _ in 0..4 {
        let attempt = call.next(world.now).unwrap();
        attempted.push((attempt.target().provider.clone(), attempt.remedies.signatures));
        call.failed(attempt.id, rejected(Remedy::DropSignatures), world.now).unwrap();
    }
    let each = |name: &str| [(name.to_owned(), false), (name.to_owned(), true)];
    assert_eq!(attempted, [each("a"), each("b")].concat());
    let error = call.next(world.now).unwrap_err();
    assert_eq!((error.kind, error.status(), error.attempts.len()), (ErrorKind::Rejected, 400, 4));
}

#[test]
fn each_field_that_a_target_rejects_is_left_out() {
    let world = World::new();
    let mut call = world.call(plan(vec![target("a")]));
    for error in [rejected(Remedy::DropParam(Field::Temperature)), rejected(Remedy::DropSignatures)]
    {
        let attempt = call.next(world.now).unwrap();
        call.failed(attempt.id, error, world.now).unwrap();
    }
    let attempt = call.next(world.now).unwrap();
    let remedies =
        AppliedRemedies { signatures: true, betas: false, fields: vec![Field::Temperature] };
    assert_eq!(attempt.remedies, remedies);
    // The same once more changes nothing.
    call.failed(attempt.id, rejected(Remedy::DropParam(Field::Temperature)), world.now).unwrap();
    assert_eq!(call.next(world.now).unwrap_err().attempts.len(), 3);
}

#[test]
fn a_rejected_signature_begins_no_cooldown() {
    let world = World::new();
    let mut call = world.call(plan(vec![target("a")]));
    let attempt = call.next(world.now).unwrap();
    call.failed(attempt.id, rejected(Remedy::DropSignatures), world.now).unwrap();
    assert!(world.left("a", KeyFingerprint::NONE).is_zero());
}

#[test]
fn any_advances_on_a_bad_prompt_too() {
    let world = World::new();
    let any = RoutePlan { fallback_on: FallbackOn::Any, ..plan(vec![target("a"), target("b")]) };
    let (attempted, error) = world.exhaust(world.call(any), ErrorKind::InvalidRequest, 400);
    assert_eq!((attempted.len(), error.status()), (2, 400));
}

#[test]
fn rate_limits_everywhere_are_a_rate_limit() {
    let world = World::new();
    let call = world.call(plan(vec![target("a"), target("b")]));
    let (_, error) = world.exhaust(call, ErrorKind::RateLimited, 429);
    assert_eq!((error.status(), error.retry_after), (429, Some(COOLDOWN)));
}

#[test]
fn time_outs_everywhere_are_a_time_out() {
    let world = World::new();
    let call = world.call(plan(vec![target("a"), target("b")]));
    assert_eq!(world.exhaust(call, ErrorKind::Timeout, 504).1.status(), 504);
}

#[test]
fn different_failures_are_a_bad_gateway_that_lists_each() {
    let world = World::new();
    let mut call = world.call(plan(vec![target("a"), target("b")]));
    world.fail(&mut call, ErrorKind::RateLimited, 429);
    world.fail(&mut call, ErrorKind::ProviderAccess, 401);
    let error = call.next(world.now).unwrap_err();
    assert_eq!((error.status(), error.attempts.len()), (502, 2));
    assert_eq!(error.message(), "Every step of `r` failed. a (m): no; b (m): no");
}

#[test]
fn a_target_that_does_not_support_the_request_receives_none() {
    let world = World::new();
    let mut call = world.call(plan(vec![target("mute"), target("busy")]));
    world.fail(&mut call, ErrorKind::Unsupported, 0);
    assert_eq!(world.exhaust(call, ErrorKind::RateLimited, 429).1.status(), 429);

    let mut call = world.call(plan(vec![target("one"), target("other")]));
    let attempt = call.next(world.now).unwrap();
    let mut first = Error::new(ErrorKind::Unsupported, "no");
    first.param = Some("logprobs".to_owned());
    call.failed(attempt.id, first, world.now).unwrap();
    let (_, error) = world.exhaust(call, ErrorKind::Unsupported, 0);
    assert_eq!((error.status(), error.param.as_deref()), (400, Some("logprobs")));
}

#[test]
fn a_prompt_that_is_too_long_skips_models_that_hold_as_little() {
    let sized = |name: &str, model: &str, window: Option<u64>| Target {
        context_window: window,
        model: model.to_owned(),
        ..target(name)
    };
    let targets = vec![
        sized("a", "small", Some(8_000)),
        sized("smaller", "tiny", Some(4_000)),
        sized("reseller", "vendor/small", None),
        sized("unknown", "who-knows", None),
        sized("large", "large", Some(128_000)),
    ];
    let world = World::new();
    let mut call = world.call(plan(targets));
    let mut attempted = vec![];
    while let Ok(attempt) = call.next(world.now) {
        attempted.push(attempt.target().provider.clone());
        if call.failed(attempt.id, error(ErrorKind::ContextLength, 400), world.now).is_err() {
            break;
        }
    }
    assert_eq!(attempted, ["a", "unknown", "large"]);
}

#[test]
fn a_prompt_that_is_too_long_is_not_sent_to_the_same_model_elsewhere() {
    let world = World::new();
    let call = world.call(plan(vec![target("a"), target("b")]));
    let (_, error) = world.exhaust(call, ErrorKind::ContextLength, 400);
    assert_eq!((error.kind, error.attempts.len()), (ErrorKind::ContextLength, 1));
}

#[test]
fn a_failure_begins_a_cooldown_for_the_calls_that_follow() {
    let mut world = World::new();
    let both = || plan(vec![target("a"), target("b")]);
    world.fail(&mut world.call(both()), ErrorKind::Upstream, 503);
    assert_eq!(world.call(both()).next(world.now).unwrap().target().provider, "b");
    world.now += COOLDOWN;
    assert_eq!(world.call(both()).next(world.now).unwrap().target().provider, "a");
}

#[test]
fn a_provider_says_how_long_a_cooldown_lasts() {
    let world = World::new();
    let mut call = world.call(plan(vec![target("a")]));
    let attempt = call.next(world.now).unwrap();
    call.failed(attempt.id, limited(7), world.now).unwrap();
    assert_eq!(world.left("a", KeyFingerprint::NONE), Duration::from_secs(7));
}

#[test]
fn a_time_out_or_a_refusal_begins_no_cooldown() {
    for (kind, status) in
        [(ErrorKind::Network, 0), (ErrorKind::ProviderAccess, 401), (ErrorKind::Timeout, 0)]
    {
        let world = World::new();
        world.fail(&mut world.call(plan(vec![target("a")])), kind, status);
        assert!(world.left("a", KeyFingerprint::NONE).is_zero(), "{kind:?}");
    }
}

#[test]
fn a_cooldown_of_nothing_is_none() {
    let world = World::new();
    let none = RoutePlan { cooldown: Duration::ZERO, ..plan(vec![target("a")]) };
    world.fail(&mut world.call(none), ErrorKind::RateLimited, 429);
    assert!(world.left("a", KeyFingerprint::NONE).is_zero());
}

#[test]
fn when_all_cool_down_the_one_available_first_is_attempted() {
    let world = World::new();
    for (provider, seconds) in [("a", 90), ("b", 30)] {
        let what = Cooldown {
            provider: provider.to_owned(),
            model: "m".to_owned(),
            key: KeyFingerprint::NONE,
        };
        let cause = CooldownCause {
            reason: CooldownReason::RateLimit,
            length: Duration::from_secs(seconds),
            max: MINUTE,
            is_named: false,
            sent: world.now,
        };
        world.cooldowns().begin(what, cause, world.now);
    }
    let mut call = world.call(plan(vec![target("a"), target("b")]));
    let verdicts = outlook(call.plan(), &world.health, world.now);
    assert_eq!(verdicts[0].verdict, Verdict::CoolingDown(Duration::from_secs(90)));
    assert_eq!(verdicts[1].verdict, Verdict::AvailableFirst(Duration::from_secs(30)));

    let attempt = call.next(world.now).unwrap();
    assert_eq!(attempt.target().provider, "b");
    call.succeeded(attempt.id, 200, world.now);
    assert!(world.left("b", KeyFingerprint::NONE).is_zero(), "a success ends a cooldown");
}

#[test]
fn when_all_that_a_call_may_take_cool_down_one_is_attempted() {
    let world = World::new();
    let route = || plan(vec![target("a"), target("b")]);
    world.fail(&mut world.call(route()).in_order(vec![1]), ErrorKind::RateLimited, 429);
    assert!(!world.left("b", KeyFingerprint::NONE).is_zero());
    // The first target is free, and not for this call.
    let call = world.call(route()).in_order(vec![1]);
    assert_eq!(world.exhaust(call, ErrorKind::RateLimited, 429).0, ["b#0"]);
    let mut call = world.call(route());
    assert_eq!(call.next(world.now).unwrap().target().provider, "a");
}

#[test]
fn when_all_cool_down_only_one_is_attempted() {
    let world = World::new();
    let both = || plan(vec![target("a"), target("b")]);
    world.exhaust(world.call(both()), ErrorKind::Upstream, 500);
    let (attempted, error) = world.exhaust(world.call(both()), ErrorKind::Upstream, 500);
    assert_eq!((attempted.len(), error.attempts.len()), (1, 1));
}

#[test]
fn another_key_is_attempted_before_another_target() {
    let world = World::new();
    let call = world.call(plan(vec![pool("a", &[1, 2]), target("b")]));
    assert_eq!(world.exhaust(call, ErrorKind::RateLimited, 429).0, ["a#1", "a#2", "b#0"]);
}

#[test]
fn a_key_that_cools_down_is_not_the_first_choice() {
    let world = World::new();
    let keys = || plan(vec![pool("a", &[1, 2])]);
    world.fail(&mut world.call(keys()), ErrorKind::ProviderAccess, 401);
    assert_eq!(world.call(keys()).next(world.now).unwrap().key, key(2));
}

#[test]
fn a_cooldown_stays_with_its_key_when_the_pool_is_edited() {
    let world = World::new();
    world.fail(&mut world.call(plan(vec![pool("a", &[1, 2])])), ErrorKind::RateLimited, 429);
    let edited = world.call(plan(vec![pool("a", &[3, 1])])).next(world.now).unwrap();
    assert_eq!(edited.key, key(3), "a new key in the place of one that cools down may be used");
    assert!(!world.left("a", key(1)).is_zero());
}

#[test]
fn an_outage_is_about_every_key() {
    let world = World::new();
    world.fail(&mut world.call(plan(vec![pool("a", &[1, 2])])), ErrorKind::Upstream, 503);
    assert_eq!((world.left("a", key(1)), world.left("a", key(2))), (COOLDOWN, COOLDOWN));
}

#[test]
fn a_missing_model_is_not_requested_under_another_key() {
    let world = World::new();
    let call = world.call(plan(vec![pool("a", &[1, 2])]));
    assert_eq!(world.exhaust(call, ErrorKind::ProviderAccess, 404).0, ["a#1"]);
}

#[test]
fn a_target_is_retried_as_often_as_it_says() {
    let world = World::new();
    let retried = Target { retries: 2, ..target("a") };
    let call = world.call(plan(vec![retried, target("b")]));
    let (attempted, _) = world.exhaust(call, ErrorKind::Network, 0);
    assert_eq!(attempted, ["a#0", "a#0", "a#0", "b#0"]);
}

#[test]
fn a_time_out_is_not_retried_while_another_target_is_left() {
    let world = World::new();
    let retried = |name: &str| Target { retries: 1, ..target(name) };
    let call = world.call(plan(vec![retried("a"), retried("b")]));
    let (attempted, error) = world.exhaust(call, ErrorKind::Timeout, 0);
    assert_eq!(attempted, ["a#0", "b#0", "b#0"]);
    assert_eq!(error.status(), 504);
}

#[test]
fn retry_delays_grow_and_differ() {
    let world = World::new();
    let mut call = world.call(plan(vec![Target { retries: 3, ..target("a") }]));
    let mut delays = vec![];
    while let Ok(attempt) = call.next(world.now) {
        delays.push(attempt.delay);
        call.failed(attempt.id, error(ErrorKind::Network, 0), world.now).unwrap();
    }
    assert_eq!(delays.len(), 4);
    for (nth, delay) in delays.iter().skip(1).enumerate() {
        let max_delay = FIRST_RETRY_DELAY * 2_u32.pow(u32::try_from(nth).unwrap());
        assert!(max_delay / 2 <= *delay && *delay <= max_delay, "{delays:?}");
    }
}

#[test]
fn a_retry_waits_as_long_as_the_provider_says() {
    let world = World::new();
    let mut call = world.call(plan(vec![Target { retries: 1, ..target("a") }]));
    let attempt = call.next(world.now).unwrap();
    call.failed(attempt.id, limited(9), world.now).unwrap();
    assert_eq!(call.next(world.now).unwrap().delay, Duration::from_secs(9));
}

#[test]
fn a_delay_that_is_too_long_is_not_waited_for() {
    let world = World::new();
    let mut call = world.call(plan(vec![Target { retries: 1, ..target("a") }, target("b")]));
    let attempt = call.next(world.now).unwrap();
    call.failed(attempt.id, limited(31), world.now).unwrap();
    assert_eq!(call.next(world.now).unwrap().target().provider, "b");
}

#[test]
fn an_attempt_never_outlives_its_call() {
    let world = World::new();
    let limits =
        Limits { arrived: world.now, deadline: world.now + Duration::from_secs(2), seed: 7 };
    let targets = Arc::new(plan(vec![target("a"), target("b")]));
    let mut call = Failover::new(targets, world.health.clone(), limits);
    let attempt = call.next(world.now + Duration::from_millis(500)).unwrap();
    assert_eq!(attempt.timeout, Duration::from_millis(1_500));
    let late = world.now + Duration::from_secs(2);
    call.failed(attempt.id, Error::new(ErrorKind::Timeout, "late"), late).unwrap();
    let error = call.next(late).unwrap_err();
    assert_eq!((error.status(), error.attempts.len()), (504, 1));
    assert_eq!((error.attempts[0].start_ms, error.attempts[0].duration_ms), (500, 1_500));
}

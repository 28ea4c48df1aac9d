//! The rules of trying, one example each, under a clock that stands still.

use super::*;
use config::{COOLDOWN, FallbackOn};

const NOW: u64 = 1_000_000;

fn step(provider: &str) -> Target {
    Target {
        provider: provider.to_owned(),
        model: "m".to_owned(),
        keys: 1,
        conflict_resolution: None,
        timeout: Duration::from_secs(30),
        first_token_timeout: None,
        retries: 0,
        context_window: None,
    }
}

fn plan(steps: Vec<Target>) -> RoutePlan {
    RoutePlan {
        route: Some("r".to_owned()),
        steps,
        fallback_on: FallbackOn::Default,
        cooldown: COOLDOWN,
    }
}

fn start_with(plan: RoutePlan, rests: &Arc<Cooldowns>) -> Failover {
    let limits = Limits { deadline: NOW + 600_000, seed: 7 };
    Failover::new(Arc::new(plan), rests.clone(), limits)
}

fn start(plan: RoutePlan) -> Failover {
    start_with(plan, &Arc::default())
}

fn error(kind: ErrorKind, status: u16) -> Error {
    let mut error = Error::new(kind, "no");
    error.provider_status = Some(status);
    error
}

/// Asks until nobody is left, everyone failing alike: whom it asked, and what the client gets.
fn exhaust(mut tries: Failover, kind: ErrorKind, status: u16) -> (Vec<String>, Error) {
    let mut asked = vec![];
    loop {
        match tries.next(NOW) {
            Ok(next) => asked.push(format!("{}#{}", next.step().provider, next.key)),
            Err(error) => return (asked, error),
        }
        if let Err(error) = tries.failed(error(kind, status), NOW) {
            return (asked, error);
        }
    }
}

fn fail(tries: &mut Failover, kind: ErrorKind, status: u16) {
    tries.next(NOW).unwrap();
    tries.failed(error(kind, status), NOW).unwrap();
}

#[test]
fn steps_are_tried_in_order_and_once() {
    let (asked, _) = exhaust(start(plan(vec![step("a"), step("b")])), ErrorKind::Upstream, 500);
    assert_eq!(asked, ["a#0", "b#0"]);
}

#[test]
fn a_bad_prompt_is_not_sent_twice() {
    let tries = start(plan(vec![step("a"), step("b")]));
    let (asked, error) = exhaust(tries, ErrorKind::InvalidRequest, 422);
    assert_eq!((asked.len(), error.status(), error.attempts.len()), (1, 422, 1));
}

fn rejected(remedy: Remedy) -> Error {
    let mut error = error(ErrorKind::Rejected, 400);
    error.remedy = Some(remedy);
    error
}

#[test]
fn proofs_that_a_provider_refuses_are_left_out_once() {
    let mut tries = start(plan(vec![step("a"), step("b")]));
    let mut asked = vec![];
    for _ in 0..4 {
        let next = tries.next(NOW).unwrap();
        asked.push((next.step().provider.clone(), next.without.proofs));
        tries.failed(rejected(Remedy::DropSignatures), NOW).unwrap();
    }
    let each = |name: &str| [(name.to_owned(), false), (name.to_owned(), true)];
    assert_eq!(asked, [each("a"), each("b")].concat());
    let error = tries.next(NOW).unwrap_err();
    assert_eq!((error.kind, error.status(), error.attempts.len()), (ErrorKind::Rejected, 400, 4));
}

#[test]
fn each_that_a_provider_refuses_is_left_out() {
    let unsupported = |field: Field| rejected(Remedy::DropParam(field));
    let mut tries = start(plan(vec![step("a")]));
    for error in [unsupported(Field::Temperature), rejected(Remedy::DropSignatures)] {
        tries.next(NOW).unwrap();
        tries.failed(error, NOW).unwrap();
    }
    let without = AppliedRemedies { proofs: true, betas: false, fields: vec![Field::Temperature] };
    assert_eq!(tries.next(NOW).unwrap().without, without);
    // The same once more changes nothing.
    tries.failed(unsupported(Field::Temperature), NOW).unwrap();
    assert_eq!(tries.next(NOW).unwrap_err().attempts.len(), 3);
}

#[test]
fn proofs_are_no_reason_to_let_anyone_rest() {
    let rests = Arc::new(Cooldowns::default());
    let mut tries = start_with(plan(vec![step("a")]), &rests);
    tries.next(NOW).unwrap();
    tries.failed(rejected(Remedy::DropSignatures), NOW).unwrap();
    assert!(rests.until("a", "m", 0) <= NOW);
}

#[test]
fn any_advances_on_a_bad_prompt_too() {
    let any = RoutePlan { fallback_on: FallbackOn::Any, ..plan(vec![step("a"), step("b")]) };
    let (asked, error) = exhaust(start(any), ErrorKind::InvalidRequest, 400);
    assert_eq!((asked.len(), error.status()), (2, 400));
}

#[test]
fn rate_limits_everywhere_are_a_rate_limit() {
    let tries = start(plan(vec![step("a"), step("b")]));
    let (_, error) = exhaust(tries, ErrorKind::RateLimited, 429);
    assert_eq!(error.status(), 429);
    assert_eq!(error.retry_after, Some(COOLDOWN));
}

#[test]
fn time_outs_everywhere_are_a_time_out() {
    let (_, error) = exhaust(start(plan(vec![step("a"), step("b")])), ErrorKind::Timeout, 504);
    assert_eq!(error.status(), 504);
}

#[test]
fn different_failures_are_a_bad_gateway_that_tells_each() {
    let mut tries = start(plan(vec![step("a"), step("b")]));
    fail(&mut tries, ErrorKind::RateLimited, 429);
    fail(&mut tries, ErrorKind::ProviderAccess, 401);
    let error = tries.next(NOW).unwrap_err();
    assert_eq!((error.status(), error.attempts.len()), (502, 2));
    assert_eq!(error.message(), "Every step of `r` failed. a (m): no; b (m): no");
}

#[test]
fn who_could_not_say_it_was_not_asked() {
    let mut tries = start(plan(vec![step("mute"), step("busy")]));
    fail(&mut tries, ErrorKind::Unsupported, 0);
    let (_, error) = exhaust(tries, ErrorKind::RateLimited, 429);
    assert_eq!(error.status(), 429);

    let mut tries = start(plan(vec![step("one"), step("other")]));
    tries.next(NOW).unwrap();
    let mut first = Error::new(ErrorKind::Unsupported, "no");
    first.param = Some("logprobs".to_owned());
    tries.failed(first, NOW).unwrap();
    let (_, error) = exhaust(tries, ErrorKind::Unsupported, 0);
    assert_eq!((error.status(), error.param.as_deref()), (400, Some("logprobs")));
}

#[test]
fn a_prompt_that_is_too_long_goes_only_to_a_larger_model() {
    let sized = |name: &str, window: Option<u64>| Target { context_window: window, ..step(name) };
    let steps = vec![
        sized("a", Some(8_000)),
        sized("small", Some(4_000)),
        sized("unknown", None),
        sized("large", Some(128_000)),
    ];
    let mut tries = start(plan(steps));
    fail(&mut tries, ErrorKind::ContextLength, 400);
    assert_eq!(tries.next(NOW).unwrap().step().provider, "large");

    let error = exhaust(start(plan(vec![step("a"), step("b")])), ErrorKind::ContextLength, 400).1;
    assert_eq!((error.kind, error.attempts.len()), (ErrorKind::ContextLength, 1));
}

#[test]
fn who_failed_rests_for_the_calls_that_follow() {
    let rests = Arc::default();
    let both = || plan(vec![step("a"), step("b")]);
    fail(&mut start_with(both(), &rests), ErrorKind::Upstream, 503);
    assert_eq!(start_with(both(), &rests).next(NOW).unwrap().step().provider, "b");
    let later = NOW + 60_000;
    assert_eq!(start_with(both(), &rests).next(later).unwrap().step().provider, "a");
}

#[test]
fn a_provider_says_how_long_it_rests() {
    let rests = Arc::default();
    let mut tries = start_with(plan(vec![step("a")]), &rests);
    tries.next(NOW).unwrap();
    let mut busy = error(ErrorKind::RateLimited, 429);
    busy.retry_after = Some(Duration::from_secs(7));
    tries.failed(busy, NOW).unwrap();
    assert_eq!(rests.until("a", "m", 0), NOW + 7_000);
}

#[test]
fn a_time_out_or_a_refusal_rests_nobody() {
    for (kind, status) in
        [(ErrorKind::Network, 0), (ErrorKind::ProviderAccess, 401), (ErrorKind::Timeout, 0)]
    {
        let rests = Arc::default();
        fail(&mut start_with(plan(vec![step("a")]), &rests), kind, status);
        assert_eq!(rests.until("a", "m", 0), 0, "{kind:?}");
    }
}

#[test]
fn a_cooldown_of_nothing_rests_nobody() {
    let rests = Arc::default();
    let restless = RoutePlan { cooldown: Duration::ZERO, ..plan(vec![step("a")]) };
    fail(&mut start_with(restless, &rests), ErrorKind::RateLimited, 429);
    assert_eq!(rests.until("a", "m", 0), 0);
}

#[test]
fn when_all_rest_the_one_that_is_free_soonest_is_tried() {
    let rests = Arc::new(Cooldowns::default());
    for (provider, until) in [("a", 90_000), ("b", 30_000)] {
        let rest = Cooldown {
            provider: provider.to_owned(),
            model: "m".to_owned(),
            key: 0,
            until: NOW + until,
        };
        rests.rest(rest, NOW);
    }
    let mut tries = start_with(plan(vec![step("a"), step("b")]), &rests);
    assert_eq!(tries.outlook(NOW)[1].verdict, Verdict::SoonestFree(30_000));
    assert_eq!(tries.outlook(NOW)[0].verdict, Verdict::Resting(90_000));
    assert_eq!(tries.next(NOW).unwrap().step().provider, "b");
    let attempts = tries.succeeded(200, NOW);
    assert_eq!(attempts.len(), 1);
    assert_eq!(rests.until("b", "m", 0), 0, "who answers rests no longer");
}

#[test]
fn when_all_rest_only_one_is_asked() {
    let rests = Arc::default();
    let both = || plan(vec![step("a"), step("b")]);
    exhaust(start_with(both(), &rests), ErrorKind::Upstream, 500);
    let (asked, error) = exhaust(start_with(both(), &rests), ErrorKind::Upstream, 500);
    assert_eq!((asked.len(), error.attempts.len()), (1, 1));
}

#[test]
fn another_key_is_tried_before_another_step() {
    let pool = Target { keys: 2, ..step("a") };
    let (asked, _) = exhaust(start(plan(vec![pool, step("b")])), ErrorKind::RateLimited, 429);
    assert_eq!(asked, ["a#0", "a#1", "b#0"]);
}

#[test]
fn a_key_that_rests_is_not_the_first_choice() {
    let rests = Arc::default();
    let pool = || plan(vec![Target { keys: 2, ..step("a") }]);
    fail(&mut start_with(pool(), &rests), ErrorKind::ProviderAccess, 401);
    assert_eq!(start_with(pool(), &rests).next(NOW).unwrap().key, 1);
}

#[test]
fn a_missing_model_is_not_asked_for_under_another_key() {
    let pool = Target { keys: 2, ..step("a") };
    let (asked, _) = exhaust(start(plan(vec![pool])), ErrorKind::ProviderAccess, 404);
    assert_eq!(asked, ["a#0"]);
}

#[test]
fn a_step_is_retried_as_often_as_it_says() {
    let patient = Target { retries: 2, ..step("a") };
    let (asked, _) = exhaust(start(plan(vec![patient, step("b")])), ErrorKind::Network, 0);
    assert_eq!(asked, ["a#0", "a#0", "a#0", "b#0"]);
}

#[test]
fn pauses_grow_and_differ() {
    let mut tries = start(plan(vec![Target { retries: 3, ..step("a") }]));
    let mut pauses = vec![];
    while let Ok(next) = tries.next(NOW) {
        pauses.push(next.pause);
        tries.failed(error(ErrorKind::Network, 0), NOW).unwrap();
    }
    for (nth, pause) in pauses.iter().skip(1).enumerate() {
        let longest = FIRST_PAUSE * 2_u32.pow(u32::try_from(nth).unwrap());
        assert!(longest / 2 <= *pause && *pause <= longest, "{pauses:?}");
    }
}

#[test]
fn a_retry_waits_as_long_as_the_provider_asks() {
    let mut tries = start(plan(vec![Target { retries: 1, ..step("a") }]));
    tries.next(NOW).unwrap();
    let mut busy = error(ErrorKind::RateLimited, 429);
    busy.retry_after = Some(Duration::from_secs(9));
    tries.failed(busy, NOW).unwrap();
    assert_eq!(tries.next(NOW).unwrap().pause, Duration::from_secs(9));
}

#[test]
fn a_pause_that_is_too_long_is_not_waited_for() {
    let mut tries = start(plan(vec![Target { retries: 1, ..step("a") }, step("b")]));
    tries.next(NOW).unwrap();
    let mut busy = error(ErrorKind::RateLimited, 429);
    busy.retry_after = Some(Duration::from_secs(31));
    tries.failed(busy, NOW).unwrap();
    assert_eq!(tries.next(NOW).unwrap().step().provider, "b");
}

#[test]
fn a_step_never_outlives_its_route() {
    let limits = Limits { deadline: NOW + 2_000, seed: 7 };
    let mut tries =
        Failover::new(Arc::new(plan(vec![step("a"), step("b")])), Arc::default(), limits);
    assert_eq!(tries.next(NOW + 500).unwrap().timeout, Duration::from_millis(1_500));
    tries.failed(Error::new(ErrorKind::Timeout, "late"), NOW + 2_000).unwrap();
    let error = tries.next(NOW + 2_000).unwrap_err();
    assert_eq!((error.status(), error.attempts.len()), (504, 1));
}

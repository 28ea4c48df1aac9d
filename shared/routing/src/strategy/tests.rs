//! The rules of ordering, one example each.

use std::sync::Arc;

use canonical::KeyFingerprint;

use super::*;
use crate::conditions::{Feature, StepCondition};

fn target(provider: &str) -> Target {
    Target {
        provider: provider.to_owned(),
        model: "m".to_owned(),
        keys: Arc::from([KeyFingerprint::NONE]),
        ..Target::default()
    }
}

fn plan(strategy: Strategy, targets: Vec<Target>) -> RoutePlan {
    RoutePlan { route: Some("r".to_owned()), targets, strategy, ..RoutePlan::default() }
}

fn abc(strategy: Strategy) -> RoutePlan {
    plan(strategy, vec![target("a"), target("b"), target("c")])
}

/// The order of a call's targets, by name.
fn ordered(plan: &RoutePlan, health: &Health, request: &RequestTraits, seed: u64) -> String {
    let cost = |target: &Target| match target.provider.as_str() {
        "a" => Some(30),
        "b" => Some(10),
        _ => None,
    };
    let now = Instant::now();
    let circumstances = Circumstances { request, health, cost: &cost, seed, now };
    let order = order(plan, &circumstances).unwrap();
    order.iter().map(|target| plan.targets[*target].provider.as_str()).collect()
}

fn of_strategy(strategy: Strategy, health: &Health) -> String {
    ordered(&abc(strategy), health, &RequestTraits::default(), 1)
}

fn sticky(strategy: Strategy) -> RoutePlan {
    RoutePlan { is_sticky: true, ..abc(strategy) }
}

fn in_session() -> RequestTraits {
    RequestTraits { session: Some(99), ..RequestTraits::default() }
}

#[test]
fn the_order_is_the_routes_own() {
    assert_eq!(of_strategy(Strategy::Order, &Health::default()), "abc");
}

#[test]
fn the_cheapest_comes_first_and_the_unpriced_last() {
    assert_eq!(of_strategy(Strategy::Cheapest, &Health::default()), "bac");
}

#[test]
fn the_least_busy_comes_first() {
    let health = Health::default();
    health.targets.began("a", "m");
    health.targets.began("a", "m");
    health.targets.began("b", "m");
    assert_eq!(of_strategy(Strategy::LeastBusy, &health), "cba");
}

#[test]
fn the_fastest_comes_first() {
    let health = Health::default();
    for (provider, latency) in [("a", 300), ("b", 100), ("c", 200)] {
        health.targets.succeeded(provider, "m", Duration::from_millis(latency));
    }
    assert_eq!(of_strategy(Strategy::Fastest, &health), "bca");
}

#[test]
fn a_target_of_unknown_speed_is_tried_unless_it_fails() {
    let health = Health::default();
    health.targets.succeeded("a", "m", Duration::from_millis(300));
    health.targets.failed("b", "m");
    assert_eq!(of_strategy(Strategy::Fastest, &health), "cab");
}

#[test]
fn now_and_then_another_than_the_fastest_is_explored() {
    let health = Health::default();
    for (provider, latency) in [("a", 100), ("b", 200), ("c", 300)] {
        health.targets.succeeded(provider, "m", Duration::from_millis(latency));
    }
    let plan = abc(Strategy::Fastest);
    let request = RequestTraits::default();
    let orders: Vec<_> = (0..1_000).map(|seed| ordered(&plan, &health, &request, seed)).collect();
    let explored = orders.iter().filter(|order| !order.starts_with('a')).count();
    assert!((20..=100).contains(&explored), "{explored} of 1000");
}

#[test]
fn each_call_begins_one_target_later() {
    let plan = abc(Strategy::RoundRobin);
    let request = RequestTraits::default();
    let orders = [(); 4].map(|()| ordered(&plan, &Health::default(), &request, 1));
    assert_eq!(orders, ["abc", "bca", "cab", "abc"]);
}

#[test]
fn weights_are_shares_of_the_calls() {
    let weighted = |provider: &str, weight: u32| Target { weight, ..target(provider) };
    let plan = plan(Strategy::Weighted, vec![weighted("a", 3), weighted("b", 1), weighted("c", 0)]);
    let request = RequestTraits::default();
    let health = Health::default();
    let orders: Vec<_> = (0..1_000).map(|seed| ordered(&plan, &health, &request, seed)).collect();
    let first = |name: char| orders.iter().filter(|order| order.starts_with(name)).count();
    assert!((700..=800).contains(&first('a')), "{}", first('a'));
    assert_eq!((first('a') + first('b'), first('c')), (1_000, 0));
    assert!(orders.iter().all(|order| order.ends_with('c')));
}

#[test]
fn a_session_stays_where_it_was_served() {
    let (plan, health, request) = (sticky(Strategy::Cheapest), Health::default(), in_session());
    health.sessions.served(99, ("c", "m"), Instant::now());
    assert_eq!(ordered(&plan, &health, &request, 1), "cba");
    assert_eq!(ordered(&abc(Strategy::Cheapest), &health, &request, 1), "bac", "not sticky");
    assert_eq!(ordered(&sticky(Strategy::Order), &health, &request, 1), "cab");
    health.sessions.failed(99, ("c", "m"));
    assert_eq!(ordered(&plan, &health, &request, 1), "bac");
}

#[test]
fn a_new_session_begins_alike_everywhere() {
    for strategy in [Strategy::Weighted, Strategy::RoundRobin] {
        let begun = |seed: u64| ordered(&sticky(strategy), &Health::default(), &in_session(), seed);
        assert_eq!(begun(1), begun(2), "{strategy:?}");
    }
}

#[test]
fn a_step_is_passed_over_by_its_conditions() {
    let tools = Arc::from([StepCondition::With(Feature::Tools)]);
    let mut plan = abc(Strategy::Order);
    plan.targets[0].conditions = Arc::clone(&tools);
    let with_tools = RequestTraits { features: vec![Feature::Tools], ..RequestTraits::default() };
    assert_eq!(ordered(&plan, &Health::default(), &with_tools, 1), "abc");
    assert_eq!(ordered(&plan, &Health::default(), &RequestTraits::default(), 1), "bc");

    plan.targets.truncate(1);
    let request = RequestTraits::default();
    let (health, now) = (Health::default(), Instant::now());
    let circumstances =
        Circumstances { request: &request, health: &health, cost: &|_| None, seed: 1, now };
    assert_eq!(order(&plan, &circumstances).unwrap_err().kind, ErrorKind::Unsupported);
}

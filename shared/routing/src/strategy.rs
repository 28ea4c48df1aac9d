//! Strategies: in which order a call takes the targets of its route.
//!
//! A strategy only orders. What cools down is passed over by `failover`, whatever the order.

use std::time::{Duration, Instant};

use canonical::{Error, ErrorKind, Result};
use config::Strategy;

use crate::{
    conditions::RequestTraits,
    health::Health,
    resolve::{RoutePlan, Target},
};

/// How often a target that is not the fastest comes first, so that its speed stays known: one call in
/// so many.
const EXPLORED_CALLS: u32 = 20;

/// The circumstances that an order depends on beside the plan.
pub struct Circumstances<'a> {
    /// The request.
    pub request: &'a RequestTraits,
    /// The health of targets.
    pub health: &'a Health,
    /// What a call would cost at a target, in micro-dollars; none where no price is known.
    pub cost: &'a dyn Fn(&Target) -> Option<u64>,
    /// The seed that makes random orders of this call differ from those of others.
    pub seed: u64,
    /// The time.
    pub now: Instant,
}

impl std::fmt::Debug for Circumstances<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Circumstances").field("request", &self.request).finish_non_exhaustive()
    }
}

/// The targets that may serve a request, in the order in which they are attempted. An error where the
/// conditions of every step exclude the request.
pub fn order(plan: &RoutePlan, circumstances: &Circumstances<'_>) -> Result<Vec<usize>> {
    let is_for = |target: &usize| is_for(&plan.targets[*target], circumstances.request);
    let mut order: Vec<usize> = (0..plan.targets.len()).filter(is_for).collect();
    if order.is_empty() {
        return Err(no_step(plan));
    }
    if order.len() == 1 {
        return Ok(order);
    }

    // A session that is new begins where every instance would begin it.
    let session = circumstances.request.session.filter(|_| plan.is_sticky);
    // The same seed for a session gives every instance the same order, without anything shared.
    let mut random = fastrand::Rng::with_seed(session.unwrap_or(circumstances.seed));
    match plan.strategy {
        Strategy::Order => {}
        Strategy::Weighted => order = weighted(plan, order, &mut random),
        Strategy::RoundRobin => {
            let turn = session.unwrap_or_else(|| plan.next_turn());
            let count = order.len() as u64;
            order.rotate_left(usize::try_from(turn % count).unwrap_or(0));
        }
        Strategy::Cheapest => order
            // A sort that is stable: what costs the same stays in the order of the configuration.
            // An unknown price comes last.
            .sort_by_key(|target| (circumstances.cost)(&plan.targets[*target]).unwrap_or(u64::MAX)),
        Strategy::Fastest => sort_by_speed(plan, &mut order, circumstances),
        Strategy::LeastBusy => order.sort_by_key(|target| {
            let target = &plan.targets[*target];
            circumstances.health.target(&target.provider, &target.model).in_flight
        }),
    }
    // After the strategy, since a prompt cache that is warm usually outweighs it.
    if let Some(session) = session {
        prefer_last(plan, &mut order, session, circumstances);
    }
    Ok(order)
}

/// Whether a request meets every condition of a target.
pub(crate) fn is_for(target: &Target, request: &RequestTraits) -> bool {
    target.conditions.iter().all(|condition| condition.is_met(request))
}

/// Draws targets by weight, without putting them back. One of weight 0 comes after all others.
fn weighted(plan: &RoutePlan, mut left: Vec<usize>, random: &mut fastrand::Rng) -> Vec<usize> {
    let mut order = Vec::with_capacity(left.len());
    while !left.is_empty() {
        let weights = left.iter().map(|target| u64::from(plan.targets[*target].weight));
        let sum: u64 = weights.clone().sum();
        let mut drawn = if sum == 0 { 0 } else { random.u64(..sum) };
        let is_drawn = |weight: u64| {
            let is_here = drawn < weight;
            drawn = drawn.saturating_sub(weight);
            is_here
        };
        let place = weights.into_iter().position(is_drawn).unwrap_or(0);
        order.push(left.remove(place));
    }
    order
}

/// Orders targets by the time to their first token. One that was never seen comes first, one that is
/// failing last; now and then another one than the fastest comes first.
fn sort_by_speed(plan: &RoutePlan, order: &mut [usize], circumstances: &Circumstances<'_>) {
    order.sort_by_key(|target| {
        let target = &plan.targets[*target];
        let health = circumstances.health.target(&target.provider, &target.model);
        let is_failing = health.latency.is_none() && 0 < health.consecutive_failures;
        // A target without any latency counts as the fastest, so that it is tried and becomes
        // known.
        (is_failing, health.latency.unwrap_or(Duration::ZERO))
    });
    let mut random = fastrand::Rng::with_seed(circumstances.seed);
    if random.u32(..EXPLORED_CALLS) == 0 {
        let explored = random.usize(1..order.len());
        if let Some(front) = order.get_mut(..=explored) {
            front.rotate_right(1);
        }
    }
}

/// Puts the target that served the session last before the others.
fn prefer_last(
    plan: &RoutePlan,
    order: &mut [usize],
    session: u64,
    circumstances: &Circumstances<'_>,
) {
    let last = circumstances.health.sessions.last(session, circumstances.now);
    let Some((provider, model)) = last else { return };
    let is_last = |target: &usize| {
        let target = &plan.targets[*target];
        target.provider == provider && target.model == model
    };
    if let Some(place) = order.iter().position(is_last)
        && let Some(front) = order.get_mut(..=place)
    {
        front.rotate_right(1);
    }
}

fn no_step(plan: &RoutePlan) -> Error {
    let name = plan.route.as_deref().unwrap_or_default();
    let message = format!("No step of `{name}` is for such a request: their `when` excludes it.");
    Error::new(ErrorKind::Unsupported, message)
}

#[cfg(test)]
mod tests;

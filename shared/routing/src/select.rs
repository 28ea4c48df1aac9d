//! Selection: which target and which key a call takes next, by what is cooling down.

use std::time::{Duration, Instant};

use canonical::KeyFingerprint;

use crate::{
    health::{CooldownReason, Cooldowns, Health},
    resolve::{RoutePlan, Target},
};

/// The prospect of one target of a plan.
#[derive(Clone, Debug)]
pub struct Outlook {
    /// The target's place in the plan.
    pub target: usize,
    /// The verdict.
    pub verdict: Verdict,
    /// Why the target cools down, if it does.
    pub reason: Option<CooldownReason>,
}

/// The treatment that a target would get now, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The target is attempted, after those before it failed.
    Attempted,
    /// The target is passed over, since it cools down for so long.
    CoolingDown(Duration),
    /// Every target cools down, and this one is available first, after so long.
    AvailableFirst(Duration),
}

/// The prospects of each target of a plan, without attempting any.
pub fn outlook(plan: &RoutePlan, health: &Health, now: Instant) -> Vec<Outlook> {
    let cooldowns = &health.cooldowns;
    let first = first_available(&plan.targets, cooldowns, now);
    let verdict = |target: usize| match remaining(&plan.targets[target], cooldowns, now) {
        Duration::ZERO => Verdict::Attempted,
        left if first == Some(target) => Verdict::AvailableFirst(left),
        left => Verdict::CoolingDown(left),
    };
    let outlook = |target: usize| Outlook {
        target,
        verdict: verdict(target),
        reason: reason(&plan.targets[target], cooldowns, now),
    };
    (0..plan.targets.len()).map(outlook).collect()
}

/// Why a target cools down: the reason of the key that is free soonest. None when one is free.
fn reason(target: &Target, cooldowns: &Cooldowns, now: Instant) -> Option<CooldownReason> {
    let keys = target.keys.iter().copied();
    let soonest = keys.min_by_key(|key| key_remaining(target, *key, cooldowns, now))?;
    cooldowns.reason(&target.provider, &target.model, soonest, now)
}

/// How long until a target may be asked: as soon as one of its keys may.
pub(crate) fn remaining(target: &Target, cooldowns: &Cooldowns, now: Instant) -> Duration {
    let keys = target.keys.iter();
    keys.map(|key| key_remaining(target, *key, cooldowns, now)).min().unwrap_or_default()
}

pub(crate) fn key_remaining(
    target: &Target,
    key: KeyFingerprint,
    cooldowns: &Cooldowns,
    now: Instant,
) -> Duration {
    cooldowns.remaining(&target.provider, &target.model, key, now)
}

/// The key of a target that may be asked first, of those that were not tried; none when all were.
pub(crate) fn next_key(
    target: &Target,
    tried: &[KeyFingerprint],
    cooldowns: &Cooldowns,
    now: Instant,
) -> Option<KeyFingerprint> {
    let untried = target.keys.iter().copied().filter(|key| !tried.contains(key));
    // Ties keep the order of the pool, so that the operator's first key is used first.
    untried.min_by_key(|key| key_remaining(target, *key, cooldowns, now))
}

/// The target that is available first, if all of them cool down.
pub(crate) fn first_available(
    targets: &[Target],
    cooldowns: &Cooldowns,
    now: Instant,
) -> Option<usize> {
    let left: Vec<Duration> = targets.iter().map(|it| remaining(it, cooldowns, now)).collect();
    if left.iter().any(Duration::is_zero) {
        return None;
    }
    (0..left.len()).min_by_key(|target| left[*target])
}

/// Whether a target is of another model than one that a prompt was too long for, and is not known to
/// hold as little.
pub(crate) fn may_hold_more(target: &Target, failed: &Target) -> bool {
    let holds_more = match (failed.context_window, target.context_window) {
        (Some(held), Some(window)) => held < window,
        _ => true,
    };
    // Resellers name the same model with its maker before it, and it has the same window there.
    holds_more && base_name(&target.model) != base_name(&failed.model)
}

/// A model's name without the vendor that resellers put before it.
fn base_name(model: &str) -> &str {
    model.rsplit_once('/').map_or(model, |(_, name)| name)
}

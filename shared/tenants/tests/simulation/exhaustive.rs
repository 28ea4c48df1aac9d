//! Every interleaving of two calls of two instances with at most one fault.
//!
//! Calls meet in the store only, so a step is one request that meets its fate, after which every
//! task runs until it waits again.

use std::collections::BTreeMap;

use crate::{link::Fate, mutant::Mutant, schedule::Schedule, world::World};

/// Limits, as [`Schedule`] reads them: all of them under a budget that two calls do not fit, one
/// call at a time, and a day's tokens without a budget.
pub(crate) const SETTINGS: [u32; 3] =
    [0b0111_0101_0010_1110, 0b0111_1110_0100_0000, 0b0111_0000_0011_0000];

/// Pairs of calls, as drawn numbers: small ones, one that is capped and one that grows, and one
/// that gets nowhere.
pub(crate) const CALLS: [[u32; 2]; 3] = [
    [0b1110_1100_0001, 0b1110_1100_0001],
    [0b0110_1100_1110, 0b1000_1100_0110],
    [0b0110_0000_0001, 0b0000_1100_0101],
];

const FAULTS: [Fate; 4] =
    [Fate::FailedBefore, Fate::ResponseLost, Fate::AppliedLate, Fate::DeliveredTwice];

/// How many steps a path may have, so that one that never ends is seen.
const MAX_STEPS: usize = 60;

/// What may happen next.
#[derive(Clone, Copy, Debug)]
enum Step {
    Resolve(usize, Fate),
    DeliverLate(usize),
    Kill(usize),
}

/// Plays every path and shows each one's violations; how many paths there are.
pub(crate) fn play_all(
    setting: u32,
    calls: [u32; 2],
    mutant: Option<Mutant>,
    mut show: impl FnMut(&[usize], &BTreeMap<u8, String>),
) -> usize {
    let mut path = vec![];
    let mut played = 0;
    loop {
        let widths = {
            let (widths, violations) = play(setting, calls, mutant, &path);
            path.resize(widths.len(), 0);
            show(&path, &violations);
            widths
        };
        played += 1;
        // The next path differs in the last step that has another possibility left.
        let Some(last) = (0..path.len()).rfind(|at| path[*at] + 1 < widths[*at]) else {
            return played;
        };
        path.truncate(last + 1);
        path[last] += 1;
    }
}

/// Plays one path, and on with the first possibility; how many there were at each step.
fn play(
    setting: u32,
    calls: [u32; 2],
    mutant: Option<Mutant>,
    path: &[usize],
) -> (Vec<usize>, BTreeMap<u8, String>) {
    let mut world = World::new(&Schedule { setting, choices: vec![] }, mutant);
    for (instance, drawn) in calls.into_iter().enumerate() {
        world.call(instance, drawn);
    }
    world.poll_until_blocked();

    let (mut widths, mut faults_left) = (vec![], 1);
    while world.is_busy() {
        assert!(widths.len() < MAX_STEPS, "the calls do not end: {path:?}");
        let steps = possible(&world, faults_left);
        let Some(step) = steps.get(path.get(widths.len()).copied().unwrap_or(0)) else {
            world.tick();
            world.poll_until_blocked();
            continue;
        };
        widths.push(steps.len());
        match *step {
            Step::Resolve(at, fate) => {
                faults_left -= usize::from(fate != Fate::Delivered);
                world.resolve(at, fate);
            }
            Step::DeliverLate(at) => world.deliver_late(at),
            Step::Kill(instance) => {
                faults_left -= 1;
                world.kill(instance);
            }
        }
        world.poll_until_blocked();
    }
    (widths, world.finish())
}

fn possible(world: &World, faults_left: usize) -> Vec<Step> {
    let (in_flight, late) = world.requests();
    if in_flight == 0 {
        return vec![];
    }
    let mut steps: Vec<Step> =
        (0..in_flight).map(|at| Step::Resolve(at, Fate::Delivered)).collect();
    steps.extend((0..late).map(Step::DeliverLate));
    if 0 < faults_left {
        for at in 0..in_flight {
            steps.extend(FAULTS.map(|fate| Step::Resolve(at, fate)));
        }
        steps.extend([Step::Kill(0), Step::Kill(1)]);
    }
    steps
}

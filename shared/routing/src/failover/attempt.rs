//! One attempt: what is sent to whom, and by when.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use canonical::{Error, KeyFingerprint};

use super::AppliedRemedies;
use crate::resolve::{RoutePlan, Target};

/// The bounds of a call.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// When the call arrived.
    pub arrived: Instant,
    /// When the call has to be over.
    pub deadline: Instant,
    /// The seed that makes the delays of this call differ from those of others.
    pub seed: u64,
}

/// The handle of an attempt, within its call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttemptId(pub(super) usize);

impl AttemptId {
    /// The place of the attempt among those of its call, in the order in which they began.
    pub fn index(self) -> usize {
        self.0
    }
}

/// One attempt, to be made.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// The handle by which its end is noted.
    pub id: AttemptId,
    /// How long to wait before.
    pub delay: Duration,
    /// Which key of the provider's pool to use.
    pub key: KeyFingerprint,
    /// The parts of the request that are left out, because the target has rejected them.
    pub remedies: AppliedRemedies,
    /// Time for a whole response, or for the first token of a stream.
    pub timeout: Duration,
    pub(super) plan: Arc<RoutePlan>,
    pub(super) target: usize,
}

impl Attempt {
    /// The target to ask.
    pub fn target(&self) -> &Target {
        &self.plan.targets[self.target]
    }
}

/// How an attempt ended after its first event.
#[derive(Clone, Copy, Debug)]
pub enum AttemptEnd<'a> {
    /// The response is whole.
    Complete,
    /// The response broke off.
    Failed(&'a Error),
    /// The client left, or another attempt was faster.
    Canceled,
}

//! Attempts while a call is on its way, for somebody who watches it.

use canonical::AttemptRecord;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::running_call::RunningCall;

/// How one attempt stands.
#[derive(Clone, Debug)]
pub struct AttemptUpdate {
    /// The attempt's place among those of the call, from zero.
    pub place: usize,
    /// The attempt so far; its outcome is canceled as long as it runs.
    pub attempt: AttemptRecord,
}

/// Tells somebody of each attempt as it happens.
#[derive(Clone, Debug)]
pub struct AttemptWatch(UnboundedSender<AttemptUpdate>);

impl AttemptWatch {
    /// A watch, and where its updates arrive.
    pub fn new() -> (Self, UnboundedReceiver<AttemptUpdate>) {
        let (sender, receiver) = unbounded_channel();
        (Self(sender), receiver)
    }
}

impl RunningCall {
    /// Tells who watches the call of its attempts. Several may run at once, so that each is told of.
    pub(crate) fn show_attempt(&self) {
        let Some(watch) = &self.call.watch else { return };
        let attempts = self.failover.as_ref().map_or(&[][..], |failover| failover.attempts());
        for (place, attempt) in attempts.iter().cloned().enumerate() {
            // Nobody has to listen.
            drop(watch.0.send(AttemptUpdate { place, attempt }));
        }
    }
}

//! One client request on its way.

use std::{sync::Arc, time::Instant};

use telemetry::CallRecord;

use crate::Snapshot;
use formats::GatewayRequest;

/// The time, as one call sees it: the wall clock is read once, when the call arrives.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// When the call arrived, in milliseconds since 1970.
    pub arrived: u64,
    /// The same moment on the clock that only goes forward.
    pub started: Instant,
}

impl Clock {
    /// Now, in milliseconds since 1970.
    pub fn now(self) -> u64 {
        self.arrived + u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// One client request on its way.
#[derive(Debug)]
pub struct Call {
    /// What is asked.
    pub request: GatewayRequest,
    /// The only provider that the client accepts.
    pub only_provider: Option<String>,
    /// Whether it is refused rather than sent with less than it says.
    pub strict: bool,
    /// The configuration that it is answered under.
    pub snapshot: Arc<Snapshot>,
    /// The time.
    pub clock: Clock,
    /// When the platform ends it, in milliseconds since 1970.
    pub platform_deadline: Option<u64>,
    /// What it leaves behind.
    pub record: CallRecord,
}

impl Call {
    /// When it has to be over: what the configuration allows, and never later than the platform.
    pub(crate) fn deadline(&self) -> u64 {
        let allowed = self.snapshot.config.route_timeout.as_millis();
        let ours = self.clock.arrived.saturating_add(u64::try_from(allowed).unwrap_or(u64::MAX));
        self.platform_deadline.map_or(ours, |it| it.min(ours))
    }
}

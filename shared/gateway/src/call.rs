//! One client request on its way, and the clocks that it goes by.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use config::Rescue;
use formats::GatewayRequest;
use telemetry::CallRecorder;
use tenants::Tenant;

use crate::{AttemptWatch, CallPlace, Snapshot, cache::CacheDirectives};

/// The time, as one call sees it: the wall clock is read once, when the call arrives.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// When the call arrived, in milliseconds since 1970.
    pub arrived: u64,
    /// When the call arrived, on the clock that only goes forward.
    pub started: Instant,
}

impl Clock {
    /// A clock that starts now, which is `arrived` in milliseconds since 1970.
    pub fn starting(arrived: u64) -> Self {
        Self { arrived, started: Instant::now() }
    }

    /// The time now, in milliseconds since 1970: for what is stored, shown and signed.
    pub fn now(self) -> u64 {
        let elapsed = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.arrived.saturating_add(elapsed)
    }

    /// The time now on the clock that only goes forward: for durations and deadlines.
    pub fn instant(self) -> Instant {
        self.started + self.started.elapsed()
    }
}

/// What a client's headers say about how its call is routed, and what is kept of it.
#[derive(Clone, Debug, Default)]
pub struct CallHints {
    /// What happens to a stream that breaks, where that is not the route's affair.
    pub rescue: Option<Rescue>,
    /// What tells the session of the call from others.
    pub session: Option<String>,
    /// The headers that conditions of steps name, with names in lower case.
    pub headers: Vec<(String, String)>,
    /// Whether neither prompt nor response may be kept or logged, whatever the configuration says.
    pub is_private: bool,
}

/// One client request on its way.
#[derive(Debug)]
pub struct Call {
    /// The request.
    pub request: Arc<GatewayRequest>,
    /// The only provider that the client accepts.
    pub only_provider: Option<String>,
    /// Whether the client forbids to send less than the request says.
    pub strict: bool,
    /// What the client says about the response cache.
    pub cache: CacheDirectives,
    /// The client's `Idempotency-Key`.
    pub idempotency_key: Option<String>,
    /// The tenant that the call is made for.
    pub tenant: Arc<Tenant>,
    /// What the client's headers say about how the call is routed.
    pub hints: CallHints,
    /// The configuration under which the call is made.
    pub snapshot: Arc<Snapshot>,
    /// The time.
    pub clock: Clock,
    /// When the platform ends the call, in milliseconds since 1970.
    pub platform_deadline: Option<u64>,
    /// The record of the call.
    pub record: CallRecorder,
    /// Who is told of each attempt as it happens.
    pub watch: Option<AttemptWatch>,
    /// Where the call counts as in flight.
    pub place: CallPlace,
}

impl Call {
    /// When the call has to be over: what the configuration allows, and never later than the platform.
    pub(crate) fn deadline(&self) -> Instant {
        let limit = self.time_allowed();
        self.clock.started.checked_add(limit).unwrap_or(self.clock.started + MAX_CALL)
    }

    /// How long the call may take from its arrival on.
    pub(crate) fn time_allowed(&self) -> Duration {
        let allowed = self.snapshot.config.route_timeout;
        let platform = self
            .platform_deadline
            .map(|deadline| Duration::from_millis(deadline.saturating_sub(self.clock.arrived)));
        platform.map_or(allowed, |platform| platform.min(allowed)).min(MAX_CALL)
    }
}

/// The longest that any call takes, whatever the configuration says.
const MAX_CALL: Duration = Duration::from_secs(24 * 60 * 60);

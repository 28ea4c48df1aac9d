//! The summary of a call that its client reads.

use crate::{AttemptRecord, MicroDollars};

/// The summary of a call at its end.
#[derive(Clone, Debug, Default)]
pub struct CallSummary {
    /// The provider that responded, by its name in the configuration.
    pub provider: String,
    /// The provider's name for the model.
    pub model: String,
    /// The route, when the client named one.
    pub route: Option<String>,
    /// When the request arrived, in milliseconds since 1970.
    pub arrived: u64,
    /// From the request's arrival to now, in milliseconds.
    pub latency_ms: u64,
    /// The cost; absent when usage or price is unknown.
    pub cost: Option<MicroDollars>,
    /// Whether the response came from the gateway's cache.
    pub cache_hit: bool,
    /// What a response from the cache has saved; absent for others, and where that is not known.
    pub saved: Option<MicroDollars>,
    /// The id of the call.
    pub request_id: String,
    /// The id of the trace that the call belongs to: 32 hexadecimal digits.
    pub trace_id: String,
    /// The attempts, in order.
    pub attempts: Vec<AttemptRecord>,
}

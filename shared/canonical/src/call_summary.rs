//! What a client is told about how its call went.

use crate::{AttemptRecord, MicroDollars};

/// How a call went, told at its end.
#[derive(Clone, Debug, Default)]
pub struct CallSummary {
    /// Who answered, by its name in the configuration.
    pub provider: String,
    /// The provider's name for the model.
    pub model: String,
    /// The route, when one was asked for.
    pub route: Option<String>,
    /// When the request arrived, in milliseconds since 1970.
    pub arrived: u64,
    /// From the request's arrival to now, in milliseconds.
    pub latency_ms: u64,
    /// What it cost; absent when usage or price is unknown.
    pub cost: Option<MicroDollars>,
    /// The call's own name.
    pub request_id: String,
    /// The trace that it belongs to: 32 hexadecimal digits.
    pub trace_id: String,
    /// Whom it tried, in order.
    pub attempts: Vec<AttemptRecord>,
}

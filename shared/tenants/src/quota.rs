//! Quotas: where a tenant stands against each of its limits, as headers and `/v1/usage` show it.

use serde::Serialize;

use crate::limits::LimitSource;

/// Where a tenant stands against one limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Quota {
    /// The limit that this is about.
    pub source: LimitSource,
    /// The limit itself: requests, tokens, calls or micro-dollars.
    pub limit: u64,
    /// How much of it is taken, holds included.
    pub used: u64,
    /// The part of `used` that calls in flight hold.
    pub held: u64,
    /// When the limit starts anew, in seconds since 1970; absent for concurrent calls.
    pub reset: Option<u64>,
}

impl Quota {
    /// How much is left.
    pub fn remaining(&self) -> u64 {
        self.limit.saturating_sub(self.used)
    }
}

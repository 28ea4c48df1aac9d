//! The response cache: exact answers of one tenant, given again to the same request.
//!
//! A response is kept as its provider's bytes, so that it can be given whole or streamed, in any
//! format. What was cut, filtered or shortened is never kept.

use std::{borrow::Cow, time::Duration};

use bytes::Bytes;
use canonical::{CanonicalRequest, Error, ErrorKind, MicroDollars, Result, Task};
use providers::{KeptResponse, UpstreamBody};
use routing::RoutePlan;
use serde::{Deserialize, Serialize};
use storage::{Consistency, Row, StoreError, Table};
use telemetry::CacheOutcome;

use crate::{Call, fingerprint::Fingerprint, response_storage::CompletedCall};

/// How many bytes of a response are kept: with its keys, it fits one row of DynamoDB.
pub(crate) const MAX_KEPT_BYTES: usize = 390 * 1024;
/// The key within a response's partition.
const SORT_KEY: &str = "response";
/// What a client says about the response cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheDirectives {
    /// What may happen.
    pub mode: CacheMode,
    /// The oldest response that the client takes, in seconds.
    pub max_age: Option<u64>,
}

/// What may happen in the response cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CacheMode {
    /// A deterministic request may be answered from the cache, and its response kept.
    #[default]
    Default,
    /// Any request may be answered from the cache, and its response kept, as the client wants it.
    Always,
    /// A new response is made, and kept.
    Refresh,
    /// Nothing is read or kept.
    NoStore,
    /// Nothing is requested of a provider: what is not in the cache is an error.
    OnlyIfCached,
}

/// Where a call's response is kept, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CachePlace {
    pk: String,
    ttl: Duration,
}

/// A response as it is kept in a row.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct CachedResponse {
    provider: String,
    model: String,
    format: String,
    /// When the response was kept, in seconds since 1970.
    kept_at: u64,
    /// What the response cost, in micro-dollars; absent where that is not known.
    cost: Option<u64>,
    /// What the provider was not sent, by the client's names; rows of before have none.
    #[serde(default)]
    dropped: Vec<Cow<'static, str>>,
    body: String,
}

/// A response from the cache, decoded for the call.
#[derive(Debug)]
pub(crate) struct CacheHit {
    pub(crate) provider: String,
    pub(crate) model: String,
    pub(crate) body: UpstreamBody,
    pub(crate) dropped: Vec<Cow<'static, str>>,
    pub(crate) age: u64,
    pub(crate) saved: Option<MicroDollars>,
}

impl CachePlace {
    /// How long a call's response would be kept in the response cache; none where the call passes it by.
    pub(crate) fn ttl_of(call: &Call) -> Option<Duration> {
        let default = &call.snapshot.config.cache;
        let settings = call.tenant.settings.cache;
        let is_enabled = settings.map_or(default.enabled, |it| it.enabled);
        let ttl = settings.and_then(|it| it.ttl).map_or(default.ttl, Duration::from_secs);
        let task = call.request.task;
        if !is_enabled || ttl.is_zero() || task == Task::CountTokens || task.is_opaque() {
            return None;
        }
        // Asked last, since it decodes a request that may otherwise pass through as bytes.
        let may = match call.cache.mode {
            CacheMode::NoStore => false,
            CacheMode::Default => is_deterministic(call),
            CacheMode::Always | CacheMode::Refresh | CacheMode::OnlyIfCached => true,
        };
        may.then_some(ttl)
    }

    /// The place of a call's response in the response cache.
    pub(crate) fn of_call(
        call: &Call,
        plan: &RoutePlan,
        requested: &Fingerprint,
        ttl: Duration,
    ) -> Self {
        // The tenant stands in the key twice, here and in the fingerprint: responses of one are
        // never another's.
        let pk = format!("cache#{}#{}", call.tenant.id, requested.as_made(call, plan));
        Self { pk, ttl }
    }

    /// The place of the response to a request with an idempotency key.
    pub(crate) fn in_partition(pk: String, ttl: Duration) -> Self {
        Self { pk, ttl }
    }

    /// The row that keeps a response.
    pub(crate) fn row(
        &self,
        kept: &KeptResponse,
        whole: CompletedCall<'_>,
        now: u64,
    ) -> Option<Row> {
        let response = CachedResponse {
            provider: kept.provider.clone(),
            model: kept.model.clone(),
            format: kept.format.clone(),
            kept_at: now,
            cost: whole.cost.map(|it| it.0),
            dropped: whole.dropped.to_vec(),
            // Bedrock's binary frames are no text and are not kept.
            body: std::str::from_utf8(&kept.body).ok()?.to_owned(),
        };
        let value = serde_json::to_string(&response).ok()?;
        let fits = value.len() <= MAX_KEPT_BYTES;
        let expires = Some(now + self.ttl.as_secs().max(1));
        fits.then(|| Row { pk: self.pk.clone(), sk: SORT_KEY.to_owned(), value, expires })
    }

    /// The response that is kept, with one read.
    pub(crate) async fn find(
        &self,
        table: &dyn Table,
        consistency: Consistency,
        now: u64,
    ) -> Result<Option<CachedResponse>, StoreError> {
        let row = table.get(&self.pk, SORT_KEY, consistency, now).await?;
        Ok(row.and_then(|row| serde_json::from_str(&row.value).ok()))
    }
}

impl CachedResponse {
    /// How old the response is, in seconds.
    pub(crate) fn age(&self, now: u64) -> u64 {
        now.saturating_sub(self.kept_at)
    }

    /// Whether the response is as good as a new one to a call that may forbid to drop anything.
    pub(crate) fn suits(&self, call: &Call) -> bool {
        !call.strict || self.dropped.is_empty()
    }

    /// The response in the form that a call asks for; none where it cannot be decoded any more.
    pub(crate) async fn replay(self, call: &Call, now: u64) -> Option<CacheHit> {
        let (age, saved) = (self.age(now), self.cost.map(MicroDollars));
        let dropped = self.dropped;
        let kept = KeptResponse {
            provider: self.provider,
            model: self.model,
            format: self.format,
            body: Bytes::from(self.body),
        };
        // The decoder that read the response first reads it again, so that a new version may refuse
        // it.
        match call.snapshot.upstream.replay(&kept, &call.request).await {
            Ok(body) => {
                let KeptResponse { provider, model, .. } = kept;
                Some(CacheHit { provider, model, body, dropped, age, saved })
            }
            Err(error) => {
                tracing::debug!(%error, "a kept response cannot be used any more");
                None
            }
        }
    }
}

/// Looks for a call's response in the cache. A store that fails is a miss.
pub(crate) async fn look_up(
    call: &Call,
    place: Option<&CachePlace>,
    table: &dyn Table,
) -> Result<(CacheOutcome, Option<CacheHit>)> {
    let Some(place) = place else { return missed(call, CacheOutcome::Bypass) };
    if call.cache.mode == CacheMode::Refresh {
        return Ok((CacheOutcome::Miss, None));
    }
    let now = call.clock.now() / 1000;
    // Eventually consistent: a response that is a second old may be missed, at half the price.
    let found = match place.find(table, Consistency::Eventual, now).await {
        Ok(found) => found,
        Err(cause) => {
            tracing::warn!(%cause, "failed to read the response cache");
            None
        }
    };
    let oldest = call.cache.max_age.unwrap_or(u64::MAX);
    let Some(found) = found.filter(|it| it.age(now) <= oldest && it.suits(call)) else {
        return missed(call, CacheOutcome::Miss);
    };
    match found.replay(call, now).await {
        Some(hit) => Ok((CacheOutcome::Hit, Some(hit))),
        None => missed(call, CacheOutcome::Miss),
    }
}

fn missed(call: &Call, outcome: CacheOutcome) -> Result<(CacheOutcome, Option<CacheHit>)> {
    if call.cache.mode != CacheMode::OnlyIfCached {
        return Ok((outcome, None));
    }
    let message = "There is no response in the cache, and the request forbids to make one.";
    // RFC 9111, section 5.2.1.7, wants 504.
    Err(Error::new(ErrorKind::Timeout, message))
}

/// Whether the same request is meant to get the same response.
fn is_deterministic(call: &Call) -> bool {
    match call.request.canonical() {
        Ok(CanonicalRequest::Embedding(_)) => true,
        Ok(CanonicalRequest::Conversation(it)) => it.sampling.temperature == Some(0.0),
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_of_before_names_nothing_that_was_dropped() {
        let row = r#"{"provider":"p","model":"m","format":"f","kept_at":1,"cost":2,"body":"{}"}"#;
        let response: CachedResponse = serde_json::from_str(row).unwrap();
        assert!(response.dropped.is_empty());
    }
}

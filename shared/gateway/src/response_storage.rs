//! Storage of responses: what happens to a response once it is whole, and to its claim when it is not.

use std::borrow::Cow;

use canonical::{MicroDollars, Task};
use providers::KeptResponse;
use storage::{Change, Row, Stores};

use crate::{
    Call, Clock, Configuration,
    background::persist,
    cache::CachePlace,
    idempotency::{Claim, ClaimEnd},
};

/// Where a call's response is kept.
#[derive(Debug, Default)]
pub(crate) struct ResponseStorage {
    /// The place in the response cache.
    pub(crate) cache: Option<CachePlace>,
    /// The claim on the call's idempotency key.
    pub(crate) claim: Option<Claim>,
    /// The response, as far as all of it is there.
    pub(crate) response: Option<KeptResponse>,
}

/// The facts of a completed call that are stored with its response.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CompletedCall<'a> {
    pub(crate) task: Task,
    pub(crate) cost: Option<MicroDollars>,
    pub(crate) dropped: &'a [Cow<'static, str>],
}

impl ResponseStorage {
    /// Whether the response's bytes are needed.
    pub(crate) fn is_wanted(&self) -> bool {
        self.cache.is_some() || self.claim.is_some()
    }

    /// Keeps a response that is whole, behind the call.
    pub(crate) fn store(
        self,
        call: CompletedCall<'_>,
        configuration: &Configuration,
        clock: Clock,
    ) {
        let Self { cache, claim, response } = self;
        let now = clock.now() / 1000;
        let row = |place: &CachePlace| place.row(response.as_ref()?, call, now);
        let may_be_cached = |kept: &KeptResponse| {
            // Vectors have no end that could be cut.
            call.task == Task::Embed || formats::is_complete(&kept.body)
        };
        let is_cacheable = response.as_ref().is_some_and(may_be_cached);
        let cached = if is_cacheable { cache.as_ref().and_then(row) } else { None };
        let claimed = claim.as_ref().and_then(|claim| row(&claim.place()));
        if cached.is_none() && claim.is_none() {
            return;
        }
        let stores = configuration.stores().clone();
        configuration.start_behind(async move {
            let has_claimed = claimed.is_some();
            // The response before the word that it is there: whoever reads `done` must find it.
            let is_written = write(&stores, cached.into_iter().chain(claimed).collect()).await;
            if let Some(claim) = claim {
                let is_kept = has_claimed && is_written;
                let end = if is_kept { ClaimEnd::Kept } else { ClaimEnd::Made };
                end_claim(&claim, end, &stores).await;
            }
        });
    }

    /// Renews the claim of a call that goes on, behind the call: nothing bounds how long a stream may
    /// take.
    pub(crate) fn renew_claim(&mut self, call: &Call, configuration: &Configuration) {
        let Some(claim) = &mut self.claim else { return };
        if !claim.prolong(call.clock.now() / 1000, call.snapshot.config.idle_timeout) {
            return;
        }
        let (claim, stores) = (claim.clone(), configuration.stores().clone());
        configuration.start_behind(async move {
            if let Err(cause) = persist(|| claim.renew(&*stores.state)).await {
                tracing::warn!(%cause, "failed to renew the claim of an idempotency key");
            }
        });
    }

    /// Gives the claim of a call up that has no response of its own, behind the call.
    pub(crate) fn release(self, configuration: &Configuration) {
        if let Some(claim) = self.claim {
            give_up(claim, configuration);
        }
    }
}

/// Gives a claim up, behind the call.
pub(crate) fn give_up(claim: Claim, configuration: &Configuration) {
    let stores = configuration.stores().clone();
    configuration.start_behind(async move { end_claim(&claim, ClaimEnd::Free, &stores).await });
}

/// Writes rows, and says whether they are there.
async fn write(stores: &Stores, rows: Vec<Row>) -> bool {
    let changes: Vec<Change> = rows.into_iter().map(Change::Put).collect();
    if changes.is_empty() {
        return true;
    }
    let written = persist(|| stores.state.write(&changes)).await;
    if let Err(cause) = &written {
        tracing::warn!(%cause, "failed to keep a response");
    }
    written.is_ok()
}

async fn end_claim(claim: &Claim, end: ClaimEnd, stores: &Stores) {
    let table = &*stores.state;
    let ended = persist(|| claim.end(end, table)).await;
    if let Err(cause) = ended {
        tracing::warn!(%cause, "failed to end the claim of an idempotency key");
    }
}

//! Idempotency keys: a request that is repeated under the same key is made and paid once.
//!
//! The first request claims its key with one conditional write. Source: draft-ietf-httpapi-
//! idempotency-key-header-07.

use std::time::Duration;

use canonical::{Error, ErrorKind, Result};
use storage::{Condition, Consistency, StoreError, Table, Tallied, Tallies, Tally};
use tenants::ReservationId;

use crate::{
    Call, Configuration,
    admission::no_randomness,
    background::OwnedWrite,
    cache::{CacheHit, CachePlace},
    fingerprint::{Fingerprint, digest},
    response_storage::give_up,
};

/// The key of a claim within its partition.
const SORT_KEY: &str = "claim";
/// What the row says of a response that is kept.
const KEPT: &str = "1";
/// What the row says of a response that was made and is not kept.
const MADE: &str = "made";
/// How long a client waits before it asks again for the response to its first request.
const RETRY_AFTER: Duration = Duration::from_secs(2);
/// How long after its deadline the owner of a claim counts as dead, in seconds.
const DEATH_MARGIN: u64 = 30;
/// How long before its end the claim of a call that goes on is renewed at least, in seconds.
const RENEWAL_MARGIN: u64 = 30;

/// A claim on an idempotency key, held by the call that makes the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    pk: String,
    owner: String,
    ttl: Duration,
    /// Until when the owner is alive unless it renews the claim, in seconds since 1970.
    until: u64,
    /// When the key is free again, in seconds since 1970.
    over: u64,
}

/// How a claim ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClaimEnd {
    /// The response is kept: later requests under the key get it.
    Kept,
    /// The response was made and cannot be given again: later requests are refused.
    Made,
    /// The request was not made, or failed: the key is free.
    Free,
}

/// Whether a call may go on under its key.
#[derive(Debug)]
pub(crate) enum Claimed {
    /// The call is the first: it makes the request.
    First(Claim),
    /// The request was made: this is its response.
    Made(Box<CacheHit>),
}

impl Claim {
    /// A claim on the key of a call that is not made yet. None where the call has no key, or keys are not
    /// heard.
    pub(crate) fn of_call(call: &Call) -> Result<Option<Self>> {
        let ttl = call.snapshot.config.idempotency.ttl;
        let Some(key) = call.idempotency_key.as_deref().filter(|_| !ttl.is_zero()) else {
            return Ok(None);
        };
        // A key counts for one tenant and one endpoint, as the draft has it.
        let scope = format!("{}\0{}\0{key}", call.tenant.id, call.record.request.path);
        let pk = format!("idempotency#{}#{}", call.tenant.id, digest(&scope));
        // The claim of a dead owner is taken over by exactly one of several callers.
        let owner = ReservationId::random().ok_or_else(no_randomness)?.attribute();
        let now = call.clock.now() / 1000;
        let (until, over) = (now + call.time_allowed().as_secs(), now + ttl.as_secs());
        Ok(Some(Self { pk, owner, ttl, until, over }))
    }

    /// Claims the key, or finds the response that was made under it. A claim whose client left
    /// meanwhile is given up.
    pub(crate) async fn take(
        self,
        call: &Call,
        requested: &Fingerprint,
        configuration: &Configuration,
    ) -> Result<Claimed> {
        let (now, body) = (call.clock.now() / 1000, requested.as_str());
        let first = self.claiming(body, Condition::Absent("owner".to_owned()));
        let row = match self.write(first.clone(), configuration).await.map_err(unavailable)? {
            Tallied::Done(_) => return Ok(Claimed::First(self)),
            // Made already, by a request whose response was lost.
            Tallied::Refused(row) if row.note("owner") == Some(&self.owner) => {
                return Ok(Claimed::First(self));
            }
            Tallied::Refused(row) => row,
        };
        // The row may be there after its end: DynamoDB removes late, and a condition cannot compare
        // times.
        let is_over = row.note("over").and_then(number).is_some_and(|at| at <= now);
        // No key is free while its first request runs, which may take longer than a key counts.
        let is_over = is_over && (row.note("done").is_some() || !is_alive(&row, now));
        if !is_over && row.note("body") != Some(body) {
            return Err(other_body());
        }
        if !is_over && let Some(done) = row.note("done") {
            return self.made(done, call, configuration).await;
        }
        if !is_over && is_alive(&row, now) {
            return Err(still_running());
        }

        let owner = row.note("owner").unwrap_or_default().to_owned();
        // On the condition that the owner is still the dead one: of several callers one wins.
        let again = self.claiming(body, Condition::Is("owner".to_owned(), owner));
        // A store may remove a row that is over between the two writes.
        for change in [again, first] {
            let written = self.write(change, configuration).await.map_err(unavailable)?;
            if let Tallied::Done(_) = written {
                return Ok(Claimed::First(self));
            }
        }
        Err(still_running())
    }

    /// The response that was made under the key, as `done` says.
    async fn made(
        &self,
        done: &str,
        call: &Call,
        configuration: &Configuration,
    ) -> Result<Claimed> {
        if done == MADE {
            return Err(not_kept());
        }
        let (table, now) = (&*configuration.stores().state, call.clock.now() / 1000);
        let found = self.place().find(table, Consistency::Strong, now).await;
        let found = found.map_err(unavailable)?.ok_or_else(not_kept)?;
        // Making the request again would be paid again, and giving the response would ignore that
        // nothing may be dropped.
        if !found.suits(call) {
            return Err(not_strict());
        }
        let hit = found.replay(call, now).await.ok_or_else(not_kept)?;
        Ok(Claimed::Made(Box::new(hit)))
    }

    /// Makes a change that may claim the key, and gives the claim up if nobody waits for it any more.
    fn write(
        &self,
        change: Tally,
        configuration: &Configuration,
    ) -> OwnedWrite<Result<Tallied, StoreError>> {
        let (table, claim) = (configuration.stores().state.clone(), self.clone());
        let this = configuration.clone();
        // Whatever the outcome: a response that was lost may have been that of a claim.
        let undo = move |_| give_up(claim, &this);
        OwnedWrite::new(configuration, async move { table.tally(&change).await }, undo)
    }

    fn claiming(&self, body: &str, condition: Condition) -> Tally {
        let notes = [
            ("owner", self.owner.clone()),
            ("body", body.to_owned()),
            ("until", self.until.to_string()),
            ("over", self.over.to_string()),
        ];
        Tally {
            pk: self.pk.clone(),
            sk: SORT_KEY.to_owned(),
            conditions: vec![condition],
            set: notes.map(|(name, text)| (name.to_owned(), text)).into(),
            remove: vec!["done".to_owned()],
            expires: Some(self.expires()),
            ..Tally::default()
        }
    }

    /// When the row may go.
    fn expires(&self) -> u64 {
        self.over.max(self.until + DEATH_MARGIN)
    }

    /// Whether the claim has to be renewed, which it counts as from then on. `silence` is how long the
    /// call may go on unseen.
    pub(crate) fn prolong(&mut self, now: u64, silence: Duration) -> bool {
        let margin = RENEWAL_MARGIN.max(silence.as_secs());
        let is_due = self.until < now + margin;
        if is_due {
            self.until = now + 2 * margin;
        }
        is_due
    }

    /// Notes how long the owner is alive at least.
    pub(crate) async fn renew(&self, table: &dyn Table) -> Result<(), StoreError> {
        let set = vec![("until".to_owned(), self.until.to_string())];
        let expires = Some(self.expires());
        table.tally(&Tally { set, expires, ..self.ours() }).await.map(drop)
    }

    /// Where the response is kept.
    pub(crate) fn place(&self) -> CachePlace {
        CachePlace::in_partition(self.pk.clone(), self.ttl)
    }

    /// Ends the claim, as long as nobody took it over.
    pub(crate) async fn end(&self, end: ClaimEnd, table: &dyn Table) -> Result<(), StoreError> {
        let done = |text: &str| vec![("done".to_owned(), text.to_owned())];
        let change = match end {
            ClaimEnd::Kept => Tally { set: done(KEPT), ..self.ours() },
            ClaimEnd::Made => Tally { set: done(MADE), ..self.ours() },
            // The row stays without its owner, so that the next claim finds the key free.
            ClaimEnd::Free => {
                let remove = ["owner", "body", "until", "over"].map(str::to_owned).into();
                Tally { remove, ..self.ours() }
            }
        };
        table.tally(&change).await.map(drop)
    }

    /// A change that is made as long as nobody took the claim over.
    fn ours(&self) -> Tally {
        Tally {
            pk: self.pk.clone(),
            sk: SORT_KEY.to_owned(),
            conditions: vec![Condition::Is("owner".to_owned(), self.owner.clone())],
            ..Tally::default()
        }
    }
}

fn is_alive(row: &Tallies, now: u64) -> bool {
    let until = row.note("until").and_then(number).unwrap_or(0);
    now <= until.saturating_add(DEATH_MARGIN)
}

fn number(text: &str) -> Option<u64> {
    text.parse().ok()
}

fn still_running() -> Error {
    let message = "The first request with this `Idempotency-Key` is still running; ask again soon.";
    let mut error = Error::new(ErrorKind::Conflict, message);
    error.retry_after = Some(RETRY_AFTER);
    error
}

/// The error for a request that was made and paid, whose response is gone. Asking again soon is no use,
/// so that no time is named.
fn not_kept() -> Error {
    let message = "The request with this `Idempotency-Key` was made and paid, but its response cannot be given \
                   again: it is too large to be kept, or in a form that is not kept. Use a new key to make the \
                   request again.";
    Error::new(ErrorKind::Conflict, message)
}

fn other_body() -> Error {
    let message = "This `Idempotency-Key` was used for another request; use a new one.";
    let mut error = Error::new(ErrorKind::KeyReused, message);
    error.param = Some("Idempotency-Key".to_owned());
    error
}

fn not_strict() -> Error {
    let message = "The request with this `Idempotency-Key` was made, and something of it was dropped, which \
                   `X-Gateway-Strict` forbids; use a new key.";
    let mut error = Error::new(ErrorKind::KeyReused, message);
    error.param = Some("Idempotency-Key".to_owned());
    error
}

fn unavailable(cause: StoreError) -> Error {
    let message = "Idempotency keys cannot be checked at the moment; try again soon.";
    let mut error = Error::new(ErrorKind::Unavailable, message).caused_by(cause);
    error.retry_after = Some(RETRY_AFTER);
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_is_renewed_before_its_end_and_again_before_the_next() {
        let (pk, owner) = ("p".to_owned(), "o".to_owned());
        let mut claim = Claim { pk, owner, ttl: Duration::from_secs(5), until: 100, over: 15 };
        let renewed: Vec<u64> =
            (10..=200).filter(|now| claim.prolong(*now, Duration::ZERO)).collect();
        assert_eq!(renewed, [71, 102, 133, 164, 195]);
        assert!(claim.prolong(200, Duration::from_secs(90)));
        assert_eq!(claim.until, 200 + 180);
        assert_eq!(claim.expires(), 380 + 30);
    }
}

//! The link between an instance and the store: it fails before, applies and loses the response, and
//! delivers twice, as a seed says; and nothing passes it once its instance is dead.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use storage::{
    Change, Condition, Consistency, Page, Pending, Query, Row, StoreError, Table, Tallied, Tallies,
    Tally,
};

use super::Mutant;

/// One request in so many meets a fault.
const FAULT_EVERY: u32 = 24;

/// The table as one instance reaches it.
#[derive(Debug)]
pub(crate) struct LinkedTable {
    table: Arc<dyn Table>,
    luck: Arc<Mutex<fastrand::Rng>>,
    mutant: Option<Mutant>,
    /// Whether faults happen at all, which exact counts do not survive.
    fails: bool,
    is_dead: AtomicBool,
}

/// What becomes of one request to the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Delivered,
    FailedBefore,
    ResponseLost,
    DeliveredTwice,
    /// The response is lost, and the client of the store repeats the request by itself, as AWS's does.
    Retried,
}

impl LinkedTable {
    pub(crate) fn new(
        table: Arc<dyn Table>,
        luck: Arc<Mutex<fastrand::Rng>>,
        (fails, mutant): (bool, Option<Mutant>),
    ) -> Arc<Self> {
        Arc::new(Self { table, luck, mutant, fails, is_dead: AtomicBool::new(false) })
    }

    /// Cuts the link for ever: its instance is dead.
    pub(crate) fn cut(&self) {
        self.is_dead.store(true, Ordering::Relaxed);
    }

    fn fate(&self) -> Fate {
        if !self.fails {
            return Fate::Delivered;
        }
        match self.luck.lock().unwrap().u32(0..4 * FAULT_EVERY) {
            0 => Fate::FailedBefore,
            1 => Fate::ResponseLost,
            2 => Fate::DeliveredTwice,
            3 => Fate::Retried,
            _ => Fate::Delivered,
        }
    }

    /// Does something to the store, as its fate says.
    async fn reach<'a, T, F: Future<Output = Result<T, StoreError>> + Send + 'a>(
        &'a self,
        verb: impl Fn() -> F + Send + 'a,
    ) -> Result<T, StoreError> {
        // Others run while a request is under way.
        tokio::task::yield_now().await;
        if self.is_dead.load(Ordering::Relaxed) {
            return std::future::pending().await;
        }
        match self.fate() {
            Fate::Delivered => verb().await,
            Fate::FailedBefore => lost(),
            Fate::ResponseLost => verb().await.and_then(|_| lost()),
            Fate::DeliveredTwice => {
                let first = verb().await;
                // Nobody waits for what comes of the second.
                drop(verb().await);
                first
            }
            Fate::Retried => {
                drop(verb().await);
                verb().await
            }
        }
    }

    fn mutated(&self, change: &Tally) -> Tally {
        let mut change = change.clone();
        let is = |name: &str, prefix: char| {
            name.strip_prefix(prefix).is_some_and(|rest| rest.parse::<u64>().is_ok())
        };
        match self.mutant {
            Some(Mutant::KeepsTheHold)
                if change.add.iter().any(|it| it.0 == "live" && it.1 < 0) =>
            {
                change.add.retain(|(name, _)| !is(name, 'b'));
            }
            Some(Mutant::ForgetsClaims) if change.pk.starts_with("idempotency#") => {
                change.conditions.clear();
            }
            Some(Mutant::IgnoresOutboundLimits) if change.pk == "outbound" => {
                change.conditions.retain(|it| !matches!(it, Condition::AtMost(..)));
            }
            _ => {}
        }
        change
    }

    fn rows(&self, changes: &[Change]) -> Vec<Change> {
        let is_of_call = |change: &Change| {
            let (Change::Put(Row { pk, .. }) | Change::Delete { pk, .. }) = change;
            pk.starts_with("calls#")
        };
        match self.mutant {
            Some(Mutant::LosesRecords) => {
                changes.iter().filter(|it| !is_of_call(it)).cloned().collect()
            }
            Some(Mutant::CountsTwice) => {
                let again = changes.iter().filter(|it| is_of_call(it)).filter_map(|it| match it {
                    Change::Put(row) => Some(Change::Put(Row {
                        sk: format!("{}#again", row.sk),
                        value: row.value.clone(),
                        pk: row.pk.clone(),
                        expires: row.expires,
                    })),
                    Change::Delete { .. } => None,
                });
                changes.iter().cloned().chain(again).collect()
            }
            _ => changes.to_vec(),
        }
    }
}

fn lost<T>() -> Result<T, StoreError> {
    Err(StoreError::new("reaching the store", "the link failed"))
}

impl Table for LinkedTable {
    fn get<'a>(
        &'a self,
        pk: &'a str,
        sk: &'a str,
        consistency: Consistency,
        now: u64,
    ) -> Pending<'a, Option<Row>> {
        Box::pin(self.reach(move || self.table.get(pk, sk, consistency, now)))
    }

    fn query<'a>(&'a self, query: &'a Query) -> Pending<'a, Page> {
        Box::pin(self.reach(move || self.table.query(query)))
    }

    fn get_tallies<'a>(
        &'a self,
        pk: &'a str,
        sk: &'a str,
        consistency: Consistency,
        now: u64,
    ) -> Pending<'a, Option<Tallies>> {
        Box::pin(self.reach(move || self.table.get_tallies(pk, sk, consistency, now)))
    }

    fn tally<'a>(&'a self, change: &'a Tally) -> Pending<'a, Tallied> {
        let mutated = Arc::new(self.mutated(change));
        Box::pin(self.reach(move || {
            let mutated = mutated.clone();
            async move { self.table.tally(&mutated).await }
        }))
    }

    fn write<'a>(&'a self, changes: &'a [Change]) -> Pending<'a, ()> {
        let rows = Arc::new(self.rows(changes));
        Box::pin(self.reach(move || {
            let rows = rows.clone();
            async move { self.table.write(&rows).await }
        }))
    }
}

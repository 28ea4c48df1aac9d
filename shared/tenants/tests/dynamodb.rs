//! The ledger's races on AWS's own DynamoDB Local. Where there is no Java they are skipped, with
//! the reason on standard error.
#![expect(clippy::unwrap_used, reason = "a broken setup should stop the test")]

#[path = "../../storage/tests/support/emulated.rs"]
mod emulated;

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use canonical::MicroDollars;
use tenants::{
    AdmissionRequest, Budget, Decision, Demand, Ended, Ledger, LedgerKey, LedgerUsage, Limits,
    Reservation, ReservationId, Settlement, UnreachablePolicy, Usage, WorstPrice,
};
use testkit::aws::Aws;

/// 2100-01-01T00:00:00Z, so that no row ends while a test runs.
const NOW: u64 = 4_102_444_800;
const CALLS: usize = 50;
const HOLD: u64 = 30_000;

/// Two instances of the gateway on one table.
struct Instances {
    ledgers: [Arc<Ledger>; 2],
    limits: Arc<Limits>,
}

impl Instances {
    fn new(limits: Limits) -> Option<Self> {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let emulator = Aws::shared_dynamodb_local()?;
        let serial = NEXT.fetch_add(1, Ordering::Relaxed);
        let tables = emulator.tables(&format!("ledger-{serial}"));
        let ledgers = [(); 2].map(|()| {
            let aws = emulated::account(&emulator.endpoint_url);
            let stores = storage::dynamodb::open(&aws, &tables.config, &tables.state);
            Arc::new(Ledger::new(stores.state, UnreachablePolicy::default()))
        });
        Some(Self { ledgers, limits: Arc::new(limits) })
    }

    /// The reservations of the calls that were admitted, when all come at once.
    async fn call_at_once(&self) -> Vec<Option<Reservation>> {
        let calls = (0..CALLS).map(|call| {
            let (ledger, limits) = (Arc::clone(&self.ledgers[call % 2]), Arc::clone(&self.limits));
            tokio::spawn(async move { admit(&ledger, &limits, call).await })
        });
        let mut admitted = vec![];
        for call in calls.collect::<Vec<_>>() {
            admitted.extend(call.await.unwrap());
        }
        admitted
    }

    async fn usage(&self) -> LedgerUsage {
        let key = LedgerKey::tenant("t");
        self.ledgers[0].usage(&key, &self.limits, NOW).await.unwrap()
    }
}

async fn admit(ledger: &Ledger, limits: &Limits, call: usize) -> Option<Option<Reservation>> {
    let (key, id) = (LedgerKey::tenant("t"), ReservationId::new(call.to_string()));
    let price = Some(WorstPrice { input: 1_000_000, output: 0 });
    let demand = Demand { input: HOLD, output: 256, choices: 1, price };
    let deadline = NOW + 600;
    let request = AdmissionRequest { key: &key, limits, demand, id: &id, deadline };
    match ledger.admit(&request, NOW).await {
        Decision::Admitted(admission) => Some(admission.reservation),
        Decision::Refused { .. } => None,
        Decision::Unavailable(unavailable) => panic!("{unavailable:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_minute_admits_exactly_its_limit() {
    let limits = Limits { requests_per_minute: Some(20), ..Limits::default() };
    let Some(instances) = Instances::new(limits) else { return };
    assert_eq!(instances.call_at_once().await.len(), 20);
    assert_eq!(instances.usage().await.quotas[0].used, 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exactly_as_many_calls_are_in_flight_as_are_allowed() {
    let limits = Limits { max_concurrent: Some(7), ..Limits::default() };
    let Some(instances) = Instances::new(limits) else { return };
    assert_eq!(instances.call_at_once().await.len(), 7);
    assert_eq!(instances.usage().await.in_flight, 7);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dollar_admits_33_holds_of_3_cents_and_settles_each_once() {
    let budget = Some(Budget::monthly(MicroDollars(1_000_000)));
    let Some(instances) = Instances::new(Limits { budget, ..Limits::default() }) else { return };
    let admitted = instances.call_at_once().await;
    assert_eq!(admitted.len(), 33);
    for reservation in admitted.into_iter().flatten() {
        let usage = Usage::Used { cost: HOLD / 3, input: 0, output: 0 };
        let settlement = Settlement { reservation, usage };
        for (ledger, ended) in instances.ledgers.iter().zip([Ended::Now, Ended::Before]) {
            let settled = ledger.settle(&settlement, &instances.limits, NOW).await.unwrap();
            assert_eq!(settled.ended, ended);
        }
    }
    let usage = instances.usage().await;
    let budget = usage.budget.unwrap();
    assert_eq!((budget.used, budget.held, usage.in_flight), (33 * HOLD / 3, 0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_owners_hold_is_charged_once_whoever_finds_it() {
    let limits = Limits {
        budget: Some(Budget::monthly(MicroDollars(1_000_000))),
        max_concurrent: Some(1),
        ..Limits::default()
    };
    let Some(instances) = Instances::new(limits) else { return };
    assert!(admit(&instances.ledgers[0], &instances.limits, 0).await.is_some());
    let later = NOW + 700;
    let racers = (1..10).map(|call| {
        let (ledger, limits) =
            (Arc::clone(&instances.ledgers[call % 2]), Arc::clone(&instances.limits));
        tokio::spawn(async move {
            let (key, id) = (LedgerKey::tenant("t"), ReservationId::new(call.to_string()));
            let price = Some(WorstPrice { input: 1, output: 1 });
            let demand = Demand { input: 0, output: 0, choices: 1, price };
            let deadline = later + 600;
            let request =
                AdmissionRequest { key: &key, limits: &limits, demand, id: &id, deadline };
            matches!(ledger.admit(&request, later).await, Decision::Admitted(_))
        })
    });
    let mut admitted = 0;
    for racer in racers.collect::<Vec<_>>() {
        admitted += usize::from(racer.await.unwrap());
    }
    let key = LedgerKey::tenant("t");
    let usage = instances.ledgers[0].usage(&key, &instances.limits, later);
    let budget = usage.await.unwrap().budget.unwrap();
    assert_eq!((admitted, budget.used, budget.lost), (1, HOLD, HOLD));
}

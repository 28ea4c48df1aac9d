//! Several processes on one SQLite file: whatever they race for, no limit is passed and nothing is
//! lost.
//!
//! Each process is this test binary, started again with the ignored test below and told on its
//! standard input what to do.
#![expect(clippy::unwrap_used, reason = "a broken setup should stop the test")]

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
};

use canonical::MicroDollars;
use tenants::{
    AdmissionRequest, Budget, Decision, Demand, Ledger, LedgerKey, LedgerUsage, Limits,
    ReservationId, Settlement, UnreachablePolicy, Usage, WorstPrice,
};

/// 2026-11-28T10:00:00Z.
const NOW: u64 = 1_795_860_000;
const PROCESSES: u64 = 4;
const CALLS_EACH: u64 = 15;
const HOLD: u64 = 30_000;

fn limits(race: &str) -> Limits {
    let mut limits = Limits::default();
    match race {
        "minute" => limits.requests_per_minute = Some(20),
        "concurrency" => limits.max_concurrent = Some(7),
        "budget" | "settled" => limits.budget = Some(Budget::monthly(MicroDollars(1_000_000))),
        "tokens" => limits.daily_output_tokens = Some(10_000),
        _ => panic!("there is no race called {race}"),
    }
    limits
}

fn ledger(file: &Path) -> Ledger {
    let stores = storage::sqlite::open(file).unwrap();
    Ledger::new(stores.state, UnreachablePolicy::default())
}

/// Calls at once from one process; how many were admitted. In the race `settled` each call is
/// settled at a third of its hold, twice.
async fn call_at_once(file: &Path, race: &str, process: &str) -> usize {
    let ledger = Arc::new(ledger(file));
    let calls = (0..CALLS_EACH).map(|call| {
        let (ledger, limits) = (Arc::clone(&ledger), limits(race));
        let id = ReservationId::new(format!("{process}-{call}"));
        let is_settled = race == "settled";
        tokio::spawn(async move {
            let price = Some(WorstPrice { input: 1_000_000, output: 0 });
            let demand = Demand { input: HOLD, output: 256, choices: 1, price };
            let key = LedgerKey::tenant("t");
            let deadline = NOW + 600;
            let request =
                AdmissionRequest { key: &key, limits: &limits, demand, id: &id, deadline };
            let Decision::Admitted(admission) = ledger.admit(&request, NOW).await else {
                return false;
            };
            if let (Some(reservation), true) = (admission.reservation, is_settled) {
                let usage = Usage::Used { cost: HOLD / 3, input: 0, output: 0 };
                let settlement = Settlement { reservation, usage };
                for _ in 0..2 {
                    ledger.settle(&settlement, &limits, NOW).await.unwrap();
                }
            }
            true
        })
    });
    let calls: Vec<_> = calls.collect();
    let mut admitted = 0;
    for call in calls {
        admitted += usize::from(call.await.unwrap());
    }
    admitted
}

/// Races several processes; how many calls were admitted, and what the ledger says then.
async fn race(name: &str) -> (usize, LedgerUsage) {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let folder = folder.join(format!("ledger-{name}-{}", std::process::id()));
    let file = folder.join("gateway.db");
    // The tables are made before the race.
    drop(ledger(&file));
    let racers: Vec<Child> =
        (0..PROCESSES).map(|process| start(&file, name, &process.to_string())).collect();
    let mut admitted = 0;
    for racer in racers {
        let output = racer.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        let count = text.lines().find_map(|line| line.split_once("admitted:")).unwrap().1;
        admitted += count.trim().parse::<usize>().unwrap();
    }
    let key = LedgerKey::tenant("t");
    let usage = ledger(&file).usage(&key, &limits(name), NOW).await.unwrap();
    fs::remove_dir_all(folder).unwrap();
    (admitted, usage)
}

fn start(file: &Path, race: &str, process: &str) -> Child {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "one_process_of_a_race", "--ignored", "--nocapture"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    writeln!(input, "{}\n{race}\n{process}", file.display()).unwrap();
    child
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "this is one process of the races below"]
async fn one_process_of_a_race() {
    let lines: Vec<String> = io::stdin().lines().map_while(Result::ok).collect();
    let [file, race, process] = lines.as_slice() else { return };
    let admitted = call_at_once(Path::new(file), race, process).await;
    println!("\nadmitted:{admitted}");
}

#[tokio::test]
async fn a_minute_admits_exactly_its_limit() {
    let (admitted, usage) = race("minute").await;
    assert_eq!((admitted, usage.quotas[0].used), (20, 20));
}

#[tokio::test]
async fn exactly_as_many_calls_are_in_flight_as_are_allowed() {
    let (admitted, usage) = race("concurrency").await;
    assert_eq!((admitted, usage.in_flight), (7, 7));
}

#[tokio::test]
async fn holds_never_pass_the_budget() {
    let (admitted, usage) = race("budget").await;
    let budget = usage.budget.unwrap();
    assert_eq!((admitted, budget.held), (33, 33 * HOLD));
    assert_eq!(budget.remaining, 10_000);
}

#[tokio::test]
async fn output_tokens_never_pass_their_limit() {
    let (admitted, usage) = race("tokens").await;
    assert_eq!((admitted, usage.quotas[0].used), (39, 39 * 256));
}

#[tokio::test]
async fn settlements_that_come_twice_count_once() {
    let (admitted, usage) = race("settled").await;
    let budget = usage.budget.unwrap();
    let expected = u64::try_from(admitted).unwrap() * HOLD / 3;
    assert_eq!((budget.used, budget.held, usage.in_flight), (expected, 0, 0));
    assert!(budget.used <= budget.limit);
}

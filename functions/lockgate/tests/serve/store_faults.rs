//! Faults of the embedded database: whom the gateway still serves, and what it counts.
//!
//! Keys without limits and those with rate limits work on; budgets are closed, and nobody is told that
//! a good key is wrong.

use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

use rusqlite::Connection;
use serde_json::{Value, json};
use testkit::lockgate::{Folder, Lockgate, Resource};
use testkit::provider::FakeProvider;
use tokio::task::JoinSet;

use crate::admin::{USERS, ask as ask_admin};
use crate::support::{KEY, hello, program, provider, send, yaml};

/// The size of a page of the database, which SQLite chooses.
const PAGE: u64 = 4096;

/// Tenants of the configuration, one with a limit of each kind.
const TENANTS: &str = "
models: [{ name: small, provider: first }]
prices: [{ provider: first, model: small, input: 1, output: 1000 }]
tenants:
  - { name: limited, api_key: key-of-limited, requests_per_day: 1000 }
  - { name: budgeted, api_key: key-of-budgeted, budget_usd: 5 }
";

/// Holds the lock of a data file, as another process would that writes.
pub(crate) fn lock(data: &Path) -> Connection {
    let lock = Connection::open(data).unwrap();
    lock.busy_timeout(std::time::Duration::from_secs(20)).unwrap();
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    lock
}

/// How many rows a data file has in partitions with this beginning, such as `calls#`.
pub(crate) fn rows_of(data: &Path, partitions: &str) -> usize {
    let file = Connection::open(data).unwrap();
    let count = "SELECT count(*) FROM state WHERE pk LIKE ?1 || '%'";
    let rows: i64 = file.query_row(count, [partitions], |row| row.get(0)).unwrap();
    usize::try_from(rows).unwrap()
}

async fn chat(gateway: &Lockgate, key: &str) -> (u16, String) {
    let headers = [("x-api-key", key)];
    let body = hello("small").to_string();
    let response = send(gateway, "POST", "/v1/chat/completions", &headers, body).await;
    (response.status.as_u16(), response.header("retry-after").to_owned())
}

/// The statuses of calls with each of these keys, and whether a 503 says when to come back.
async fn statuses(gateway: &Lockgate, keys: &[&str]) -> Vec<u16> {
    let mut statuses = vec![];
    for key in keys {
        let (status, retry_after) = chat(gateway, key).await;
        assert!(status != 503 || !retry_after.is_empty(), "{key}");
        statuses.push(status);
    }
    statuses
}

/// Makes a tenant in the store, and gives its key.
async fn create(gateway: &Lockgate, name: &str) -> String {
    let body = json!({ "name": name }).to_string();
    let (status, tenant) = ask_admin(gateway, "POST", "/admin/tenants", &body).await;
    assert_eq!(status, 201, "{tenant}");
    tenant["api_key"].as_str().unwrap().to_owned()
}

/// Waits until nothing is held for calls of a tenant: what is held may leave no room for the next one.
async fn settled(gateway: &Lockgate, tenant: &str) {
    for _ in 0..500 {
        let path = format!("/admin/tenants/{tenant}/usage");
        if ask_admin(gateway, "GET", &path, "").await.1["in_flight"] == 0 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("calls of {tenant} were never settled");
}

fn config(first: &FakeProvider) -> String {
    yaml(&[("first", &first.url())], &format!("{TENANTS}{USERS}"))
}

#[tokio::test]
async fn a_store_that_takes_no_writes_closes_budgets_and_nothing_else() {
    for fault in ["locked", "full"] {
        let first = provider().await;
        let gateway = program().config(&config(&first)).surviving_full_disks().start().await;
        let (known, unseen) = (create(&gateway, "known").await, create(&gateway, "unseen").await);
        let served = [KEY, "key-of-limited", "key-of-budgeted", &known];
        assert_eq!(statuses(&gateway, &served).await, [200; 4], "{fault}");
        settled(&gateway, "budgeted").await;

        let held = (fault == "locked").then(|| lock(&gateway.folder().join("lockgate.db")));
        if held.is_none() {
            gateway.limit(Resource::FileSize, Some(1));
        }
        let keys = [KEY, "key-of-limited", "key-of-budgeted", &known, &unseen, "key-of-nobody"];
        assert_eq!(statuses(&gateway, &keys).await, [200, 200, 503, 200, 200, 401], "{fault}");

        drop(held);
        gateway.limit(Resource::FileSize, None);
        // What was refused is remembered for a moment.
        for _ in 0..500 {
            if chat(&gateway, "key-of-budgeted").await.0 == 200 {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        assert_eq!(statuses(&gateway, &served).await, [200; 4], "{fault}");
    }
}

/// Overwrites every page of a database but the first.
fn damage(data: &Path) {
    // Else the newest pages are in the log beside the file.
    let checkpoint = "PRAGMA wal_checkpoint(TRUNCATE)";
    Connection::open(data).unwrap().query_row(checkpoint, [], |_| Ok(())).unwrap();
    let mut file = fs::OpenOptions::new().write(true).open(data).unwrap();
    let length = file.metadata().unwrap().len();
    assert!(PAGE < length, "there is more than a page to damage");
    file.seek(SeekFrom::Start(PAGE)).unwrap();
    let noise = vec![0x5a; usize::try_from(length - PAGE).unwrap()];
    file.write_all(&noise).unwrap();
}

#[tokio::test]
async fn a_damaged_store_never_says_that_a_good_key_is_wrong() {
    let (first, folder) = (provider().await, Folder::new());
    let data = folder.path().join("lockgate.db");
    let start = || program().config(&config(&first)).arguments(["--data", data.to_str().unwrap()]);
    let gateway = start().start().await;
    let stored = create(&gateway, "stored").await;
    gateway.terminate().unwrap();
    assert!(gateway.ended().await.0.success());
    damage(&data);

    let gateway = start().start().await;
    let keys = [KEY, "key-of-limited", "key-of-budgeted", &stored];
    assert_eq!(statuses(&gateway, &keys).await, [200, 200, 503, 503]);
    gateway.logged("malformed").await;
}

/// A limit of this many requests a day, which several processes share one after the other.
const LIMIT: usize = 60;
/// Clients at once.
const CLIENTS: usize = 4;

/// Starts a gateway on a data file, whose tenant may make [`LIMIT`] requests.
async fn limited(first: &FakeProvider, data: &Path) -> Lockgate {
    let tenant = format!(
        "models: [{{ name: small, provider: first }}]\n\
         prices: [{{ provider: first, model: small, input: 1, output: 1000 }}]\n\
         tenants: [{{ name: one, api_key: key-of-one, requests_per_day: {LIMIT}, budget_usd: 5000 }}]"
    );
    let config = yaml(&[("first", &first.url())], &tenant);
    program().config(&config).arguments(["--data", data.to_str().unwrap()]).start().await
}

/// Calls from several clients until each has met something else than a success.
fn load(gateway: &Lockgate) -> JoinSet<usize> {
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let url = format!("{}/v1/chat/completions", gateway.url());
        clients.spawn(async move {
            let mut answered = 0;
            loop {
                let call = testkit::client::post_json(&url, "key-of-one", &hello("small")).await;
                let Ok(response) = call else { return answered };
                if response.status != 200 || response.bytes().await.is_err() {
                    return answered;
                }
                answered += 1;
            }
        });
    }
    clients
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_is_killed_under_load_loses_no_count() {
    let (first, folder) = (provider().await, Folder::new());
    let data = folder.path().join("lockgate.db");
    let gateway = limited(&first, &data).await;
    let clients = load(&gateway);
    first.wait_for_requests(LIMIT / 3).await;
    gateway.killed().await;
    let answered: usize = clients.join_all().await.into_iter().sum();

    let gateway = limited(&first, &data).await;
    let answered = answered + load(&gateway).join_all().await.into_iter().sum::<usize>();
    let requested = first.requests().len();
    assert!(requested <= LIMIT, "{requested} requests were let through");
    // Each client had at most one call under way that was counted and never made.
    assert!(LIMIT - CLIENTS <= requested, "only {requested} requests were let through");
    assert!(answered <= requested, "{answered} of {requested} were answered");
    assert_eq!(chat(&gateway, "key-of-one").await.0, 429);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_under_load_loses_no_count_and_no_record() {
    let (first, folder) = (provider().await, Folder::new());
    let data = folder.path().join("lockgate.db");
    let mut answered = 0;
    for round in 1..=2 {
        let gateway = limited(&first, &data).await;
        let clients = load(&gateway);
        first.wait_for_requests(round * LIMIT / 3).await;
        gateway.terminate().unwrap();
        answered += clients.join_all().await.into_iter().sum::<usize>();
        let (status, log) = gateway.ended().await;
        assert!(status.success(), "{log}");
        assert_eq!(rows_of(&data, "calls#"), answered, "{log}");
    }

    let gateway = limited(&first, &data).await;
    answered += load(&gateway).join_all().await.into_iter().sum::<usize>();
    assert_eq!((answered, first.requests().len()), (LIMIT, LIMIT));
    let headers = [("x-api-key", "key-of-one")];
    let usage = until_settled(&gateway, &headers).await;
    // Nine tokens in and twelve out, of each call.
    assert_eq!(usage["total_cost_usd"], json!(0.72054), "{usage}");
    assert_eq!((&usage["held_usd"], &usage["lost_usd"]), (&json!(0.0), &json!(0.0)), "{usage}");
    assert_eq!(usage["limits"][0]["used"], LIMIT, "{usage}");
}

/// What the tenant used, once no call is in flight any more.
async fn until_settled(gateway: &Lockgate, headers: &[(&str, &str)]) -> Value {
    for _ in 0..500 {
        let response = send(gateway, "GET", "/v1/usage", headers, "").await;
        let usage: Value = response.json().await.unwrap();
        if usage["in_flight"] == 0 {
            return usage;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("a call was never settled");
}

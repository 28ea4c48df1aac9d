//! Races of a function's processes on one table, in AWS's own DynamoDB Local: whatever they race for,
//! no limit and no budget is passed. Without Java they are skipped, with the reason on standard error.

use std::sync::Arc;

use config::{read, rows::to_rows};
use serde_json::{Value, json};
use testkit::{
    aws::Aws,
    client,
    lambda::{Emulator, Function},
    openai,
    provider::FakeProvider,
};

use crate::PATH;

/// How many callers there are, each before a process of its own.
const CALLERS: usize = 10;
/// How many calls each caller makes.
const CALLS_EACH: usize = 5;
/// The tenant's key, which the configuration has as its hash alone.
const KEY: &str = "abc";
/// What a call costs: 9 input tokens at $1 and 12 output tokens at $1,000 per million.
const COST: usize = 12_009;

/// A function on a table, and its provider.
struct Race {
    fake: FakeProvider,
    emulator: Emulator,
}

impl Race {
    /// Starts a function for a tenant with these limits, in a configuration without any secret.
    async fn start(name: &str, limits: &str) -> Option<Self> {
        let aws = Aws::shared_dynamodb_local()?;
        let tables = aws.tables(name);
        let fake = FakeProvider::start().await;
        fake.respond_with([openai::completion("Hi")]);
        let yaml = format!(
            "providers: [{{ name: first, base_url: '{}' }}]
models: [{{ name: m, provider: first }}]
prices: [{{ provider: first, model: m, input: 1, output: 1000 }}]
store_down: {{ rate_limits: closed }}
tenants:
  - name: racer
    api_key: 'sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'
    {limits}
",
            fake.url()
        );
        let config = read(&yaml, &|_| None, &gateway::kinds()).unwrap();
        let (rows, secrets) = to_rows(&config, "/lockgate/races");
        assert!(secrets.is_empty(), "DynamoDB Local keeps no parameters");
        for row in rows {
            aws.put_row(&tables.config, [&row.pk, &row.sk, &row.value]);
        }

        let function =
            Function::new("chat-completions", env!("CARGO_BIN_EXE_chat-completions")).path("*");
        let function = Function {
            concurrency: CALLERS,
            timeout: std::time::Duration::from_secs(60),
            ..function
        };
        let function = function
            .env("CONFIG_TABLE", &tables.config)
            .env("STATE_TABLE", &tables.state)
            .env("AWS_ENDPOINT_URL", &aws.endpoint_url);
        Some(Self { fake, emulator: Emulator::builder().function(function).start().await })
    }

    /// Every caller makes its calls, all of them at once: the status and the error of each response.
    async fn run(self: &Arc<Self>) -> Vec<(u16, Value)> {
        let callers: Vec<_> = (0..CALLERS).map(|_| tokio::spawn(self.clone().call())).collect();
        let mut outcomes = vec![];
        for caller in callers {
            outcomes.extend(caller.await.unwrap());
        }
        outcomes
    }

    async fn call(self: Arc<Self>) -> Vec<(u16, Value)> {
        let url = format!("{}{PATH}", self.emulator.url());
        let question = json!({ "model": "m", "max_tokens": 12,
            "messages": [{ "role": "user", "content": "Tell me a story of some length." }] });
        let mut outcomes = vec![];
        for _ in 0..CALLS_EACH {
            let response = client::post_json(&url, KEY, &question).await.unwrap();
            let status = response.status.as_u16();
            if status == 429 {
                assert_ne!(response.header("retry-after"), "");
            }
            let body: Value = response.json().await.unwrap();
            outcomes.push((status, body["error"]["code"].clone()));
        }
        outcomes
    }
}

/// How many calls were made, and how many were not let in because the store did not answer in time: of
/// those each may have been counted, more than once where its write was repeated.
fn tally(outcomes: &[(u16, Value)], refusals: &[u16]) -> (usize, usize) {
    let count = |status| outcomes.iter().filter(|it| it.0 == status).count();
    let known = |status: u16| [200, 503].contains(&status) || refusals.contains(&status);
    assert!(outcomes.iter().all(|it| known(it.0)), "{outcomes:?}");
    (count(200), count(503))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_calls_of_ten_processes_get_exactly_what_a_limit_allows() {
    // What holds a place among concurrent calls has a name, so that a repeated write counts once.
    let limits = "requests_per_day: 20\n    max_concurrent: 50";
    let Some(race) = Race::start("race-requests", limits).await else { return };
    let race = Arc::new(race);
    let outcomes = race.run().await;
    let (made, unknown) = tally(&outcomes, &[429]);
    assert!(made <= 20, "{made} and {unknown}: {outcomes:?}");
    if unknown == 0 {
        assert_eq!(made, 20, "{outcomes:?}");
    }
    assert_eq!(race.fake.requests().len(), made, "what was refused reached nobody");
    let processes = race.emulator.report().cold_starts.len();
    assert!(1 < processes, "there was no race");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_number_of_processes_spends_more_than_a_budget() {
    let Some(race) = Race::start("race-budget", "budget_usd: 0.1").await else { return };
    let race = Arc::new(race);
    let mut made = 0;
    let mut unknown = 0;
    // What calls in flight hold is free again when they end: the rest is spent in the second round.
    for _ in 0..2 {
        let outcomes = race.run().await;
        let (more, lost) = tally(&outcomes, &[402, 429]);
        made += more;
        unknown += lost;
    }
    assert!(made * COST <= 100_000, "{made} calls");
    assert_eq!(race.fake.requests().len(), made, "what was refused reached nobody");
    if unknown == 0 {
        assert_eq!(made, 100_000 / COST, "and what it pays for is made");
    }
}

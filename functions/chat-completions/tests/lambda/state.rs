//! State of the function: configuration, keys and cooldowns; and when it calls AWS.

use std::collections::HashSet;

use serde_json::Value;
use testkit::{
    lambda::{Emulator, Function},
    openai,
};

use crate::{Gateway, function, message, two_steps};

const QUERY: &str = "DynamoDB_20120810.Query";
const PUT: &str = "DynamoDB_20120810.PutItem";
const KEYS: &str = "AmazonSSM.GetParameters";

/// Reads the configuration again behind every call.
fn impatient(function: Function) -> Function {
    function.env("CONFIG_REFRESH_SECONDS", "0")
}

/// Reads the keys again as well.
fn very_impatient(function: Function) -> Function {
    impatient(function).env("KEY_REFRESH_SECONDS", "0")
}

impl Gateway {
    /// The status of a call whose provider responds at once.
    async fn status(&self) -> u16 {
        let response = self.ask().await;
        let status = response.status.as_u16();
        response.bytes().await.unwrap();
        status
    }

    /// Asks until the last request of the provider is as wished: a change was picked up.
    async fn until_sent(&self, wished: impl Fn(&str, &str) -> bool) {
        for _ in 0..100 {
            assert_eq!(self.status().await, 200);
            let last = self.fake.requests().pop().unwrap();
            if wished(&last.target, last.header("authorization")) {
                return;
            }
        }
        panic!("the change was never picked up");
    }
}

#[tokio::test]
async fn a_cold_start_reads_the_config_once_and_a_warm_call_reads_nothing() {
    let gateway = Gateway::start().await;
    gateway.fake.respond_with([openai::completion("Hello!")]);
    assert_eq!(gateway.status().await, 200);
    // The configuration, the cooldowns, and three keys in one batch.
    let requests = gateway.cloud.requests_for_calls();
    let count = |target: &str| requests.iter().filter(|it| it.target == target).count();
    assert_eq!((count(QUERY), count(KEYS), requests.len()), (2, 1, 3), "{requests:?}");
    gateway.cloud.forget();
    for _ in 0..5 {
        assert_eq!(gateway.status().await, 200);
    }
    assert_eq!(gateway.emulator.report().starts_of("chat-completions"), 1);
    let requests = gateway.cloud.requests_for_calls();
    assert!(requests.is_empty(), "{requests:?}");
}

#[tokio::test]
async fn a_config_change_is_loaded_between_calls() {
    let gateway = Gateway::start_as(impatient).await;
    gateway.fake.respond_with([openai::completion("Hello!")]);
    assert_eq!(gateway.status().await, 200);
    gateway.apply(&two_steps(&gateway.fake).replace("/first,", "/moved,")).await;
    gateway.until_sent(|target, _| target.starts_with("/moved/")).await;
    assert_eq!(gateway.emulator.report().starts_of("chat-completions"), 1);
    // The keys are younger than their five minutes.
    assert_eq!(gateway.cloud.count(KEYS), 1);
    gateway.is_well();
}

#[tokio::test]
async fn without_a_store_the_response_has_a_retry_after() {
    let gateway = Gateway::start().await;
    gateway.fake.respond_with([openai::completion("Hello!")]);
    gateway.cloud.shut("");
    let response = gateway.ask().await;
    assert_eq!((response.status.as_u16(), response.header("retry-after")), (503, "5"));
    let body = response.json().await.unwrap();
    assert_eq!(body["error"]["code"], "unavailable");
    assert!(!message(&body).contains("127.0.0.1"), "{body}");
    gateway.cloud.open();
    assert_eq!(gateway.status().await, 200);
    assert_eq!(gateway.emulator.report().starts_of("chat-completions"), 1);
    gateway.is_well();
}

#[tokio::test]
async fn a_store_that_never_responds_times_out() {
    let gateway = Gateway::start().await;
    gateway.fake.respond_with([openai::completion("Hello!")]);
    gateway.cloud.hold("");
    let response = gateway.ask().await;
    assert_eq!((response.status.as_u16(), response.header("retry-after")), (503, "5"));
    gateway.cloud.open();
    assert_eq!(gateway.status().await, 200);
    gateway.is_well();
}

#[tokio::test]
async fn a_store_that_hangs_between_calls_delays_no_call() {
    let gateway = Gateway::start_as(very_impatient).await;
    gateway.fake.respond_with([openai::completion("Hello!")]);
    assert_eq!(gateway.status().await, 200);
    gateway.cloud.hold("");
    for _ in 0..2 {
        assert_eq!(gateway.status().await, 200);
    }
    gateway.emulator.printed("The last good configuration stays in force.").await;
    gateway.is_well();
}

#[tokio::test]
async fn before_the_first_apply_the_response_has_a_retry_after() {
    let gateway = Gateway::empty(|it| it).await;
    gateway.fake.respond_with([openai::completion("Hello!")]);
    assert_eq!(gateway.ask().await.status, 503);
    gateway.apply(&two_steps(&gateway.fake)).await;
    assert_eq!(gateway.status().await, 200);
}

#[tokio::test]
async fn the_last_valid_config_serves_while_the_store_is_down() {
    let gateway = Gateway::start_as(very_impatient).await;
    gateway.fake.respond_with([openai::completion("Hello!")]);
    assert_eq!(gateway.status().await, 200);
    gateway.cloud.shut("");
    for _ in 0..3 {
        assert_eq!(gateway.status().await, 200);
    }
    gateway.emulator.printed("The last good configuration stays in force.").await;
    gateway.cloud.open();
    gateway.apply(&two_steps(&gateway.fake).replace("/first,", "/moved,")).await;
    gateway.until_sent(|target, _| target.starts_with("/moved/")).await;
    gateway.is_well();
}

#[tokio::test]
async fn partially_read_rows_do_not_replace_a_valid_config() {
    let gateway = Gateway::start_as(impatient).await;
    gateway.fake.respond_with([openai::completion("Hello!")]);
    assert_eq!(gateway.status().await, 200);
    half_written(&gateway).await;
    for _ in 0..3 {
        assert_eq!(gateway.status().await, 200);
    }
    gateway.emulator.printed("The last good configuration stays in force.").await;
}

#[tokio::test]
async fn partially_read_rows_are_read_again() {
    let gateway = Gateway::start().await;
    half_written(&gateway).await;
    gateway.fake.respond_with([openai::completion("Hello!")]);
    assert_eq!(gateway.ask().await.status, 503);
    // The cooldowns, and the configuration twice: at the start, and when the call tried again.
    assert_eq!(gateway.cloud.count(QUERY), 6);
    gateway.apply(&two_steps(&gateway.fake)).await;
    assert_eq!(gateway.status().await, 200);
}

/// Changes one row and not the digest of all.
async fn half_written(gateway: &Gateway) {
    let row = ["config", "settings", "{\"position\":0,\"entry\":{}}"];
    gateway.cloud.write([row.map(str::to_owned)]).await;
}

#[tokio::test]
async fn a_mock_provider_keeps_its_position_while_its_config_is_unchanged() {
    let gateway = Gateway::empty(impatient).await;
    let script = "{ answer: Hello from the script., fail_first: 1 }";
    gateway
        .apply(&format!(
            "api_key: ${{GATEWAY_KEY}}
providers: [{{ name: parrot, type: mock, script: {script} }}]
routes: [{{ name: r, cooldown: 0s, steps: [{{ provider: parrot, model: a }}] }}]
"
        ))
        .await;
    assert_ne!(gateway.status().await, 200);
    for _ in 0..3 {
        let body = gateway.ask().await.json().await.unwrap();
        assert_eq!(body["choices"][0]["message"]["content"], "Hello from the script.");
    }
    gateway.is_well();
}

#[tokio::test]
async fn keys_are_read_in_batches_of_ten() {
    let gateway = Gateway::empty(|it| it).await;
    let url = gateway.fake.url();
    let providers: String = (0..12)
        .map(|it| format!("- {{ name: p{it}, base_url: {url}/p{it}, api_key: \"${{P{it}}}\" }}\n"))
        .collect();
    let yaml = format!(
        "api_key: ${{GATEWAY_KEY}}\nproviders:\n{providers}models: [{{ name: r, provider: p11 }}]\n"
    );
    gateway.apply(&yaml).await;
    gateway.fake.respond_with([openai::completion("Hello!")]);
    assert_eq!(gateway.status().await, 200);
    assert_eq!(gateway.fake.requests()[0].header("authorization"), "Bearer value-of-P11");
    assert_eq!(batches(&gateway), [10, 3]);
}

/// The number of names in each request, the largest batch first.
fn batches(gateway: &Gateway) -> Vec<usize> {
    let requests = gateway.cloud.requests();
    let reads = requests.iter().filter(|it| it.target == KEYS);
    let mut sizes: Vec<_> = reads.map(|it| names(&it.body).len()).collect();
    sizes.sort_unstable_by(|one, other| other.cmp(one));
    sizes
}

fn names(body: &Value) -> HashSet<&str> {
    body["Names"].as_array().unwrap().iter().filter_map(Value::as_str).collect()
}

#[tokio::test]
async fn a_rotated_provider_key_is_reloaded_within_one_call() {
    let gateway = Gateway::start().await;
    gateway.fake.respond_with([openai::completion("Hello!")]);
    assert_eq!(gateway.status().await, 200);
    gateway.cloud.keep(&first_key(&gateway), "changed").await;
    gateway.fake.require_bearer("changed");
    gateway.fake.forget();
    let response = gateway.ask().await;
    assert_eq!(response.status, 200);
    assert_eq!(response.header("x-gateway-provider"), "first");
    let keys = gateway.fake.requests().into_iter().map(|it| it.header("authorization").to_owned());
    assert_eq!(keys.collect::<Vec<_>>(), ["Bearer value-of-FIRST_KEY", "Bearer changed"]);
    assert_eq!(gateway.cloud.count(KEYS), 2);
    gateway.is_well();
}

#[tokio::test]
async fn a_key_that_stays_wrong_is_reloaded_once() {
    let gateway = Gateway::start().await;
    gateway.fake.require_bearer("value-of-SECOND_KEY");
    gateway.fake.respond_with([openai::completion("Hello!")]);
    for _ in 0..3 {
        let response = gateway.ask().await;
        assert_eq!(response.header("x-gateway-provider"), "second");
        response.bytes().await.unwrap();
    }
    assert_eq!(gateway.cloud.count(KEYS), 2);
    gateway.is_well();
}

#[tokio::test]
async fn cached_keys_stay_in_use_while_the_parameter_store_is_down() {
    let gateway = Gateway::start_as(very_impatient).await;
    gateway.fake.respond_with([openai::completion("Hello!")]);
    assert_eq!(gateway.status().await, 200);
    gateway.cloud.shut(KEYS);
    for _ in 0..2 {
        assert_eq!(gateway.status().await, 200);
    }
    gateway.emulator.printed("The keys at hand stay in use.").await;
    gateway.cloud.keep(&first_key(&gateway), "changed").await;
    gateway.cloud.open();
    gateway.until_sent(|_, key| key == "Bearer changed").await;
}

fn first_key(gateway: &Gateway) -> String {
    format!("{}/providers/first", gateway.cloud.prefix)
}

#[tokio::test]
async fn a_secret_reference_is_resolved_through_the_parameter_store() {
    let gateway = Gateway::empty(|it| it).await;
    let reference = "/aws/reference/secretsmanager/team/groq";
    let yaml = two_steps(&gateway.fake).replace("\"${FIRST_KEY}\"", &format!("ssm:{reference}"));
    gateway.apply(&yaml).await;
    gateway.fake.respond_with([openai::completion("Hello!")]);
    // The emulator has no such reference, so whoever needs it is passed over.
    assert_eq!(gateway.ask().await.header("x-gateway-provider"), "second");
    let requests = gateway.cloud.requests();
    let read = requests.iter().find(|it| it.target == KEYS).unwrap();
    assert!(names(&read.body).contains(reference), "{:?}", read.body);
    assert_eq!(read.body["WithDecryption"], true);
    gateway.emulator.printed("a parameter is missing").await;
}

#[tokio::test]
async fn cooldowns_are_shared_by_every_environment() {
    let gateway = Gateway::start().await;
    let busy = openai::error(429, "rate_limit_error", "slow down").header("retry-after", "60");
    gateway.fake.respond_with([busy, openai::completion("Hello!")]);
    assert_eq!(gateway.status().await, 200);
    gateway.cloud.wait_for_requests(PUT, 1).await;
    wait_for_cooldowns(&gateway, 1).await;

    let other = Emulator::builder().function(function(&gateway.cloud)).start().await;
    let there = Gateway { emulator: other, ..gateway };
    there.fake.forget();
    assert_eq!(there.status().await, 200);
    assert_eq!(there.requests(), ["second"]);
}

/// Waits until this many cooldowns are in the store.
async fn wait_for_cooldowns(gateway: &Gateway, count: usize) {
    for _ in 0..200 {
        if gateway.cloud.state("cooldown").await.len() == count {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("there are {:?}", gateway.cloud.state("cooldown").await);
}

#[tokio::test]
async fn background_work_drains_after_the_response_and_before_the_next_call() {
    let gateway = Gateway::start_as(|mut it| {
        it.freeze = true;
        it
    })
    .await;
    let busy = openai::error(429, "rate_limit_error", "slow down").header("retry-after", "60");
    gateway.fake.respond_with([busy, openai::completion("Hello!")]);
    gateway.cloud.hold(PUT);
    // The whole answer is here while the store has not responded yet.
    assert_eq!(gateway.status().await, 200);
    // A process that requested the next event is frozen, and would not call the store again.
    gateway.cloud.wait_for_requests(PUT, 2).await;
    assert!(gateway.cloud.state("cooldown").await.is_empty());
    gateway.cloud.open();
    wait_for_cooldowns(&gateway, 1).await;
    gateway.is_well();
}

#[tokio::test]
async fn a_store_that_rejects_writes_fails_no_call() {
    let gateway = Gateway::start().await;
    let busy = openai::error(429, "rate_limit_error", "slow down");
    gateway.fake.respond_with([busy, openai::completion("Hello!")]);
    gateway.cloud.shut(PUT);
    assert_eq!(gateway.status().await, 200);
    gateway.emulator.printed("failed to publish a cooldown").await;
    assert_eq!(gateway.status().await, 200);
    assert_eq!(gateway.requests(), ["first", "second", "second"]);
    gateway.is_well();
}

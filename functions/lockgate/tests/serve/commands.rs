//! The operator's commands: their output and exit codes.

use std::process::Output;

use testkit::lockgate::{Folder, Setup};
use testkit::openai;
use testkit::provider::FakeProvider;

use crate::support::{
    BOTH, KEY, ask, attempts_of, chunks_of, error_of, gateway_for_both, hello, hello_streamed,
    only, program, provider, send, text_in, text_of, yaml,
};

const GOOD: &str = "api_key: ${KEY}\nproviders: [{ name: first, type: mock }]\n";
const BAD: &str = "port: x\nproviders:\n  - { name: first, type: mok }\n  - { name: first, type: mock }\n\
                   default_provider: nobody\ndefault_timeout: soon\nunknown: 1\n";

/// The exit code and everything printed.
async fn ran(setup: Setup) -> (i32, String) {
    let Output { status, stdout, stderr } = setup.run().await;
    let all_output = String::from_utf8([stdout, stderr].concat()).unwrap();
    (status.code().unwrap(), all_output)
}

fn assert_contains(all_output: &str, all: &[&str]) {
    for one in all {
        assert!(all_output.contains(one), "{one:?} in {all_output}");
    }
}

#[tokio::test]
async fn check_summarizes_a_valid_config() {
    let setup = program().file("c.yaml", &GOOD.replace("${KEY}", &"k".repeat(32)));
    let (code, all_output) = ran(setup.arguments(["check", "-f", "c.yaml"])).await;
    assert_eq!(
        (code, all_output.as_str()),
        (0, "c.yaml: 1 provider, 0 routes, 0 models, 0 prices, 0 tenants\n")
    );
}

const FAULTS: [&str; 6] = [
    ":1:7: port",
    ":3:26: providers[0].type",
    ":4:",
    "default_provider: names no provider",
    "default_timeout",
    "unknown",
];

#[tokio::test]
async fn check_lists_every_config_error_with_its_position() {
    let setup = program().file("c.yaml", BAD).arguments(["check", "-f", "c.yaml"]);
    let (code, all_output) = ran(setup).await;
    assert_eq!(code, 2);
    assert_contains(&all_output, &FAULTS);
}

#[tokio::test]
async fn serve_lists_the_same_config_errors_and_exits() {
    let (code, all_output) = ran(program().config(BAD)).await;
    assert_eq!(code, 2);
    assert_contains(&all_output, &FAULTS);
    assert!(!all_output.contains("listens"));
}

#[tokio::test]
async fn every_missing_variable_is_listed_at_once() {
    let yaml = "api_key: ${ONE}\nproviders: [{ name: first, type: groq, api_keys: [\"${TWO}\", \"${EMPTY}\"] }]";
    let (code, all_output) = ran(program().config(yaml).variable("EMPTY", "")).await;
    assert_eq!(code, 2);
    assert_contains(&all_output, &["ONE", "TWO", "EMPTY"]);
}

#[tokio::test]
async fn bad_usage_prints_an_error() {
    for arguments in [
        &["--unknown"][..],
        &["nothing"],
        &["--listen", "nowhere"],
        &["--config"],
        &["explain"],
        &["check", "--listen", "127.0.0.1:0"],
    ] {
        let (code, all_output) = ran(program().arguments(arguments.iter().copied())).await;
        assert_eq!(code, 2, "{arguments:?}: {all_output}");
        assert!(!all_output.is_empty());
    }
}

#[tokio::test]
async fn help_is_printed() {
    let (code, all_output) = ran(program().arguments(["--help"])).await;
    assert_eq!(code, 0);
    assert_contains(
        &all_output,
        &[
            "serve",
            "check",
            "apply",
            "export",
            "explain",
            "--config",
            "--env-file",
            "--listen",
            "--data",
            "--verbose",
        ],
    );
    let (code, all_output) = ran(program().arguments(["--version"])).await;
    assert_eq!((code, all_output.starts_with("lockgate ")), (0, true));
}

#[tokio::test]
async fn a_named_config_file_must_exist() {
    for arguments in [
        &["--config", "nothing.yaml"][..],
        &["--env-file", "nothing.env"],
        &["check", "-f", "nothing.yaml"],
    ] {
        let (code, all_output) = ran(program().arguments(arguments.iter().copied())).await;
        assert_eq!(code, 2, "{arguments:?}: {all_output}");
        assert_contains(&all_output, &["nothing."]);
    }
}

#[tokio::test]
async fn an_address_in_use_is_reported() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (code, all_output) = ran(program().arguments(["--listen", address.as_str()])).await;
    assert_eq!(code, 1);
    assert_contains(&all_output, &[&address, "--listen"]);
}

/// Whether a gateway started like this takes this key.
async fn takes(setup: Setup, key: &str) -> bool {
    let gateway = setup.start().await;
    let response = send(&gateway, "GET", "/v1/models", &[("x-api-key", key)], "").await;
    response.status == 200
}

#[tokio::test]
async fn serve_is_the_default_command() {
    assert!(takes(program().config(GOOD).variable("KEY", "k"), "k").await);
    let serve_setup = program().config(GOOD).variable("KEY", "k").arguments(["serve"]);
    assert!(takes(serve_setup, "k").await);
}

#[tokio::test]
async fn the_environment_precedes_dot_env() {
    assert!(takes(program().config(GOOD).file(".env", "KEY=from-file\n"), "from-file").await);
    let both = program().config(GOOD).file(".env", "KEY=from-file\n").variable("KEY", "set");
    assert!(takes(both, "set").await);
}

#[tokio::test]
async fn another_env_file_can_be_named() {
    let setup = program().config(GOOD).file(".env", "KEY=wrong\n").file("other", "KEY=\"a b\"\n");
    assert!(takes(setup.arguments(["--env-file", "other"]), "a b").await);
}

#[tokio::test]
async fn another_config_file_can_be_named() {
    let setup = program().config("nonsense").file("other.yaml", &GOOD.replace("${KEY}", "k"));
    assert!(takes(setup.arguments(["--config", "other.yaml"]), "k").await);
}

#[tokio::test]
async fn the_database_option_sets_its_path() {
    let folder = Folder::new();
    let data = folder.path().join("state.db");
    let setup = program().config(GOOD).variable("KEY", "k");
    let gateway = setup.arguments(["--data", data.to_str().unwrap()]).start().await;
    assert!(data.exists() && !gateway.folder().join("lockgate.db").exists());
}

#[tokio::test]
async fn without_a_config_the_demo_shows_a_failover() {
    let gateway = program().start().await;
    let printed = gateway.printed("-d '").await;
    // The curl line that is printed works as it stands.
    let body = printed.split_once("-d '").unwrap().1.split_once('\'').unwrap().0.to_owned();
    assert_contains(&printed, &["curl -iN", gateway.url(), "Bearer demo"]);
    for _ in 0..2 {
        let headers = [("authorization", "Bearer demo")];
        let response = send(&gateway, "POST", "/v1/chat/completions", &headers, body.clone()).await;
        assert_eq!(response.header("x-gateway-attempts"), "2");
        let stream = response.text().await.unwrap();
        assert!(text_in(&stream).starts_with("Hello from Lockgate!"));
        let last = chunks_of(&stream).pop().unwrap();
        let wanted = ["busy rate_limit 429", "steady success 200"];
        assert_eq!(attempts_of(&last["x_gateway"]), wanted);
    }
}

/// The output of `explain`, after the gateway's first provider responded with this status.
async fn explained(first_status: u16, arguments: &[&str]) -> (i32, String) {
    let (first, second) = (FakeProvider::start().await, provider().await);
    first.respond_with([openai::error(first_status, "x", "no").header("retry-after", "600")]);
    let gateway = gateway_for_both(&first, &second, BOTH).await;
    text_of(ask(&gateway, &hello("both")).await).await;
    gateway.terminate().unwrap();
    let config = yaml(&[("first", &first.url()), ("second", &second.url())], BOTH);
    let data = gateway.folder().join("lockgate.db").to_str().unwrap().to_owned();
    let folder = gateway.left_behind().await;
    let setup = program().config(&config).arguments(["explain", "--data", &data]);
    let all_output = ran(setup.arguments(arguments.iter().copied())).await;
    assert_eq!((first.requests().len(), second.requests().len()), (1, 1), "explain calls nobody");
    drop(folder);
    all_output
}

#[tokio::test]
async fn explain_lists_the_targets_and_the_reason_for_each() {
    let (code, all_output) = explained(408, &["both"]).await;
    assert_eq!(code, 0);
    assert_contains(
        &all_output,
        &[
            "`both` is a route with 2 step(s):",
            "1. first small: tried first (timeout 300 s)",
            "2. second large: tried when those before it fail (timeout 300 s)",
        ],
    );
}

#[tokio::test]
async fn explain_knows_cooldowns() {
    let (_, all_output) = explained(429, &["both"]).await;
    assert_contains(
        &all_output,
        &["1. first small: skipped: it is cooling down for ", "2. second large: tried first"],
    );
    let (_, all_output) = explained(429, &["both", "--provider", "first"]).await;
    assert_contains(
        &all_output,
        &["1. first small: tried: every target is cooling down", "available first (in "],
    );
}

#[tokio::test]
async fn explain_accepts_a_provider_and_a_model() {
    let (_, all_output) = explained(408, &["second/new"]).await;
    assert_contains(&all_output, &["is no route", "1. second new: tried first"]);
}

#[tokio::test]
async fn explain_prints_the_clients_error_for_an_unknown_model() {
    let (code, all_output) = explained(408, &["nothing"]).await;
    assert_eq!(code, 1);
    assert_contains(
        &all_output,
        &["lockgate: No route, model or provider/model is called `nothing`"],
    );
}

#[tokio::test]
async fn verbose_logs_more_and_serves_the_same() {
    let first = provider().await;
    let config = yaml(&[("first", &first.url())], "");
    let gateway = program().config(&config).arguments(["--verbose"]).start().await;
    assert_eq!(text_of(ask(&gateway, &hello("first/m")).await).await, "Hi");
    assert_eq!(only(&first).json(), hello("m"));
    gateway.logged("call ended").await;
}

#[tokio::test]
async fn a_call_writes_one_complete_log_line() {
    let first = FakeProvider::start().await;
    first.respond_with([openai::completion("Hi")]);
    let prices = "prices: [{ provider: first, model: m, input: 100000, output: 100000 }]";
    let gateway = crate::support::gateway_for(&first, prices).await;
    ask(&gateway, &hello("first/m")).await.text().await.unwrap();
    let log = gateway.logged("call ended").await;
    let line = log.lines().find(|it| it.contains("call ended")).unwrap();
    assert_contains(
        line,
        &[
            "request_id=\"req_",
            "requested_model=\"first/m\"",
            "provider=\"first\"",
            "model=\"m\"",
            "stream=false",
            "outcome=\"success\"",
            "status=200",
            "attempts=\"first/m success 200",
            "tokens_input=9",
            "tokens_output=12",
            "cost_usd=\"2.100000\"",
            "total_ms=",
        ],
    );
}

#[tokio::test]
async fn a_rejected_call_writes_a_log_line() {
    let gateway = program().config(&GOOD.replace("${KEY}", KEY)).start().await;
    assert_eq!(error_of(ask(&gateway, &hello_streamed("nothing")).await).await.0, 404);
    gateway.logged("outcome=\"unknown_model\"").await;
}

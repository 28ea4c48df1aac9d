//! What an operator types, and what the shell is told.

use std::process::Output;

use testkit::lockgate::{Folder, Setup};
use testkit::openai;
use testkit::provider::Fake;

use crate::support::{
    BOTH, KEY, ask, before_both, chunks_of, hello, hello_streamed, only, program, provider,
    refused, send, text_in, text_of, trail, yaml,
};

const GOOD: &str = "api_key: ${KEY}\nproviders: [{ name: first, type: mock }]\n";
const BAD: &str = "port: x\nproviders:\n  - { name: first, type: mok }\n  - { name: first, type: mock }\n\
                   default_provider: nobody\ndefault_timeout: soon\nunknown: 1\n";

/// The exit code and everything printed.
async fn ran(setup: Setup) -> (i32, String) {
    let Output { status, stdout, stderr } = setup.run().await;
    let told = String::from_utf8([stdout, stderr].concat()).unwrap();
    (status.code().unwrap(), told)
}

fn tells(told: &str, all: &[&str]) {
    for one in all {
        assert!(told.contains(one), "{one:?} in {told}");
    }
}

#[tokio::test]
async fn check_sums_up_a_good_file() {
    let setup = program().file("c.yaml", &GOOD.replace("${KEY}", "k"));
    let (code, told) = ran(setup.arguments(["check", "-f", "c.yaml"])).await;
    assert_eq!(
        (code, told.as_str()),
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
async fn check_lists_every_fault_with_its_place() {
    let setup = program().file("c.yaml", BAD).arguments(["check", "-f", "c.yaml"]);
    let (code, told) = ran(setup).await;
    assert_eq!(code, 2);
    tells(&told, &FAULTS);
}

#[tokio::test]
async fn serve_lists_the_same_faults_and_starts_nothing() {
    let (code, told) = ran(program().config(BAD)).await;
    assert_eq!(code, 2);
    tells(&told, &FAULTS);
    assert!(!told.contains("listens"));
}

#[tokio::test]
async fn every_missing_variable_is_named_at_once() {
    let yaml = "api_key: ${ONE}\nproviders: [{ name: first, type: groq, api_keys: [\"${TWO}\", \"${EMPTY}\"] }]";
    let (code, told) = ran(program().config(yaml).variable("EMPTY", "")).await;
    assert_eq!(code, 2);
    tells(&told, &["ONE", "TWO", "EMPTY"]);
}

#[tokio::test]
async fn bad_usage_is_told_so() {
    for arguments in [
        &["--unknown"][..],
        &["nothing"],
        &["--listen", "nowhere"],
        &["--config"],
        &["explain"],
        &["check", "--listen", "127.0.0.1:0"],
    ] {
        let (code, told) = ran(program().arguments(arguments.iter().copied())).await;
        assert_eq!(code, 2, "{arguments:?}: {told}");
        assert!(!told.is_empty());
    }
}

#[tokio::test]
async fn who_asks_for_help_gets_it() {
    let (code, told) = ran(program().arguments(["--help"])).await;
    assert_eq!(code, 0);
    tells(
        &told,
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
    let (code, told) = ran(program().arguments(["--version"])).await;
    assert_eq!((code, told.starts_with("lockgate ")), (0, true));
}

#[tokio::test]
async fn a_file_that_is_named_must_be_there() {
    for arguments in [
        &["--config", "nothing.yaml"][..],
        &["--env-file", "nothing.env"],
        &["check", "-f", "nothing.yaml"],
    ] {
        let (code, told) = ran(program().arguments(arguments.iter().copied())).await;
        assert_eq!(code, 2, "{arguments:?}: {told}");
        tells(&told, &["nothing."]);
    }
}

#[tokio::test]
async fn an_address_in_use_is_told() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (code, told) = ran(program().arguments(["--listen", address.as_str()])).await;
    assert_eq!(code, 1);
    tells(&told, &[&address, "--listen"]);
}

/// Whether a gateway started like this takes this key.
async fn takes(setup: Setup, key: &str) -> bool {
    let gateway = setup.start().await;
    let answer = send(&gateway, "GET", "/v1/models", &[("x-api-key", key)], "").await;
    answer.status == 200
}

#[tokio::test]
async fn serve_is_what_happens_when_nothing_else_is_said() {
    assert!(takes(program().config(GOOD).variable("KEY", "k"), "k").await);
    let said = program().config(GOOD).variable("KEY", "k").arguments(["serve"]);
    assert!(takes(said, "k").await);
}

#[tokio::test]
async fn variables_come_from_the_environment_and_then_from_dot_env() {
    assert!(takes(program().config(GOOD).file(".env", "KEY=from-file\n"), "from-file").await);
    let both = program().config(GOOD).file(".env", "KEY=from-file\n").variable("KEY", "set");
    assert!(takes(both, "set").await);
}

#[tokio::test]
async fn another_file_of_variables_can_be_named() {
    let setup = program().config(GOOD).file(".env", "KEY=wrong\n").file("other", "KEY=\"a b\"\n");
    assert!(takes(setup.arguments(["--env-file", "other"]), "a b").await);
}

#[tokio::test]
async fn another_configuration_can_be_named() {
    let setup = program().config("nonsense").file("other.yaml", &GOOD.replace("${KEY}", "k"));
    assert!(takes(setup.arguments(["--config", "other.yaml"]), "k").await);
}

#[tokio::test]
async fn the_database_is_where_the_operator_says() {
    let folder = Folder::new();
    let data = folder.path().join("state.db");
    let setup = program().config(GOOD).variable("KEY", "k");
    let gateway = setup.arguments(["--data", data.to_str().unwrap()]).start().await;
    assert!(data.exists() && !gateway.folder().join("lockgate.db").exists());
}

#[tokio::test]
async fn without_a_configuration_the_demonstration_shows_a_fallback() {
    let gateway = program().start().await;
    let printed = gateway.printed("-d '").await;
    // The curl line that is printed works as it stands.
    let body = printed.split_once("-d '").unwrap().1.split_once('\'').unwrap().0.to_owned();
    tells(&printed, &["curl -iN", gateway.url(), "Bearer demo"]);
    for _ in 0..2 {
        let headers = [("authorization", "Bearer demo")];
        let answer = send(&gateway, "POST", "/v1/chat/completions", &headers, body.clone()).await;
        assert_eq!(answer.header("x-gateway-attempts"), "2");
        let stream = answer.text().await.unwrap();
        assert!(text_in(&stream).starts_with("Hello from Lockgate!"));
        let last = chunks_of(&stream).pop().unwrap();
        let wanted = ["busy rate_limit 429", "steady success 200"];
        assert_eq!(trail(&last["x_gateway"]), wanted);
    }
}

/// What `explain` says, after the gateway's first provider was asked and answered this.
async fn explained(first_status: u16, arguments: &[&str]) -> (i32, String) {
    let (first, second) = (Fake::start().await, provider().await);
    first.answers([openai::error(first_status, "x", "no").header("retry-after", "600")]);
    let gateway = before_both(&first, &second, BOTH).await;
    text_of(ask(&gateway, &hello("both")).await).await;
    gateway.terminate().unwrap();
    let config = yaml(&[("first", &first.url()), ("second", &second.url())], BOTH);
    let data = gateway.folder().join("lockgate.db").to_str().unwrap().to_owned();
    let folder = gateway.left_behind().await;
    let setup = program().config(&config).arguments(["explain", "--data", &data]);
    let told = ran(setup.arguments(arguments.iter().copied())).await;
    assert_eq!((first.seen().len(), second.seen().len()), (1, 1), "explain calls nobody");
    drop(folder);
    told
}

#[tokio::test]
async fn explain_lists_the_steps_and_why_each_is_taken() {
    let (code, told) = explained(408, &["both"]).await;
    assert_eq!(code, 0);
    tells(
        &told,
        &[
            "`both` is a route with 2 step(s):",
            "1. first small: tried first (timeout 300 s)",
            "2. second large: tried when those before it fail (timeout 300 s)",
        ],
    );
}

#[tokio::test]
async fn explain_knows_cooldowns() {
    let (_, told) = explained(429, &["both"]).await;
    tells(
        &told,
        &["1. first small: skipped: it is cooling down for ", "2. second large: tried first"],
    );
    let (_, told) = explained(429, &["both", "--provider", "first"]).await;
    tells(&told, &["1. first small: tried: every target is cooling down", "available first (in "]);
}

#[tokio::test]
async fn explain_takes_a_provider_and_a_model() {
    let (_, told) = explained(408, &["second/new"]).await;
    tells(&told, &["is no route", "1. second new: tried first"]);
}

#[tokio::test]
async fn explain_says_what_a_client_would_hear_of_an_unknown_name() {
    let (code, told) = explained(408, &["nothing"]).await;
    assert_eq!(code, 1);
    tells(&told, &["lockgate: No route, model or provider/model is called `nothing`"]);
}

#[tokio::test]
async fn a_verbose_server_says_more_and_serves_the_same() {
    let first = provider().await;
    let config = yaml(&[("first", &first.url())], "");
    let gateway = program().config(&config).arguments(["--verbose"]).start().await;
    assert_eq!(text_of(ask(&gateway, &hello("first/m")).await).await, "Hi");
    assert_eq!(only(&first).json(), hello("m"));
    gateway.logged("call ended").await;
}

#[tokio::test]
async fn a_call_leaves_one_line_that_tells_everything() {
    let first = Fake::start().await;
    first.answers([openai::completion("Hi")]);
    let prices = "prices: [{ provider: first, model: m, input: 100000, output: 100000 }]";
    let gateway = crate::support::before(&first, prices).await;
    ask(&gateway, &hello("first/m")).await.text().await.unwrap();
    let log = gateway.logged("call ended").await;
    let line = log.lines().find(|it| it.contains("call ended")).unwrap();
    tells(
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
async fn a_refused_call_leaves_a_line_too() {
    let gateway = program().config(&GOOD.replace("${KEY}", KEY)).start().await;
    assert_eq!(refused(ask(&gateway, &hello_streamed("nothing")).await).await.0, 404);
    gateway.logged("outcome=\"unknown_model\"").await;
}

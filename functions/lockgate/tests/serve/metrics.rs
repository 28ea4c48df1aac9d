//! `/metrics`: each metric is moved by what its help says, and all of them count the same calls.

use std::collections::BTreeMap;

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use testkit::lockgate::Lockgate;
use testkit::openai;
use testkit::provider::{FakeProvider, Latch, ScriptedResponse, Step};

use crate::request_log::kept;
use crate::support::{
    BOTH, KEY, ask, ask_with, hello, hello_streamed, program, provider, send, serve, text_of, yaml,
};

/// Every seed's names, and credentials.
pub(crate) const METRICS: &str =
    "metrics: { username: prom, password: scrape-me, seeds: [b, c, d] }\n";

/// What is served, by name and labels.
pub(crate) type Samples = BTreeMap<String, f64>;

pub(crate) async fn text(gateway: &Lockgate) -> String {
    let basic = format!("Basic {}", BASE64_STANDARD.encode("prom:scrape-me"));
    let response = send(gateway, "GET", "/metrics", &[("authorization", &basic)], "").await;
    assert_eq!(response.status, 200);
    assert!(response.header("content-type").starts_with("text/plain; version=0.0.4"));
    String::from_utf8(response.bytes().await.unwrap().to_vec()).unwrap()
}

pub(crate) async fn scrape(gateway: &Lockgate) -> Samples {
    let text = text(gateway).await;
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    let sample = |line: &str| {
        let (name, value) = line.rsplit_once(' ').unwrap();
        (name.to_owned(), value.parse().unwrap())
    };
    samples.map(sample).collect()
}

/// The sum of a metric's samples that have all of these labels.
pub(crate) fn sum(samples: &Samples, name: &str, labels: &[&str]) -> f64 {
    let is_named = |key: &&String| key.split('{').next() == Some(name);
    let found = samples.keys().filter(is_named);
    let found = found.filter(|key| labels.iter().all(|label| key.contains(label)));
    found.map(|key| samples[key]).sum()
}

/// Prices, so that cost is known.
const PRICES: &str = "
prices:
  - { provider: second, model: large, input: 1000000, output: 0 }
";

async fn gateway(first: &FakeProvider, second: &FakeProvider) -> Lockgate {
    let rest = format!("{BOTH}{PRICES}{METRICS}");
    serve(&yaml(&[("first", &first.url()), ("second", &second.url())], &rest)).await
}

/// Calls of every kind: successes, a fallback, a stream, a client that leaves, refusals, a stranger.
async fn mixed_run(gateway: &Lockgate) {
    text_of(ask(gateway, &hello("both")).await).await;
    let mut stream = ask(gateway, &hello_streamed("second/large")).await;
    stream.until("[DONE]").await.unwrap();
    let mut left = ask(gateway, &hello_streamed("second/typed-by-a-client")).await;
    left.until("there").await.unwrap();
    drop(left);
    ask(gateway, &hello("unknown")).await;
    ask(gateway, &json!({"model": "both"})).await;
    ask_with(gateway, &hello("first/small"), &[]).await;
    send(gateway, "POST", "/v1/chat/completions", &[("x-api-key", "wrong")], "{}").await;
}

async fn providers() -> (FakeProvider, FakeProvider) {
    let (first, second) = (FakeProvider::start().await, FakeProvider::start().await);
    first.respond_with([openai::error(500, "server_error", "down")]);
    let hanging = [openai::role(), openai::chunk("there"), Step::Hang];
    second.respond_with([
        openai::completion("Hi"),
        openai::stream(["Hel", "lo"]),
        ScriptedResponse::stream(hanging),
    ]);
    (first, second)
}

#[tokio::test]
async fn every_metric_is_moved_by_a_mixed_run() {
    let (first, second) = providers().await;
    let gateway = gateway(&first, &second).await;
    mixed_run(&gateway).await;
    kept(&gateway, 6, &[]).await;
    let all = scrape(&gateway).await;

    let b =
        |status: &str| sum(&all, "aigateway_requests_total", &[&format!("status=\"{status}\"")]);
    for (status, calls) in [
        ("success", 2.),
        ("canceled", 1.),
        ("no_provider", 1.),
        ("bad_request", 1.),
        ("provider_error", 1.),
        ("unauthorized", 1.),
    ] {
        assert_eq!(b(status), calls, "{status}: {all:#?}");
    }
    let of_default = ["tenant_id=\"default\""];
    assert_eq!(sum(&all, "aigateway_request_duration_seconds_count", &of_default), 6.);
    assert_eq!(sum(&all, "aigateway_provider_errors_total", &["error_type=\"server_error\""]), 2.);
    assert_eq!(sum(&all, "aigateway_circuit_breaker_state", &["provider=\"first\""]), 2.);
    assert_eq!(sum(&all, "aigateway_circuit_breaker_state", &["provider=\"second\""]), 0.);
    assert!(0. < sum(&all, "aigateway_tokens_total", &["type=\"input\""]));
    assert!(0. < sum(&all, "aigateway_cost_usd_total", &["model=\"large\""]));
    assert_eq!(sum(&all, "aigateway_instance_info", &[]), 1.);

    assert_eq!(sum(&all, "ai_gateway_requests_total", &["client_id=\"default\""]), 6.);
    assert_eq!(sum(&all, "ai_gateway_requests_total", &["status=\"error\""]), 3.);
    assert_eq!(sum(&all, "ai_gateway_upstream_errors_total", &["provider=\"first\""]), 2.);
    assert_eq!(sum(&all, "ai_gateway_active_clients", &[]), 1.);
    assert_eq!(sum(&all, "ai_gateway_request_duration_seconds_count", &[]), 6.);
    assert!(0. < sum(&all, "ai_gateway_input_tokens_total", &[]));
    assert!(0. < sum(&all, "ai_gateway_output_tokens_total", &[]));

    assert_eq!(sum(&all, "proxy_requests_total", &["format=\"openai_chat\""]), 6.);
    assert_eq!(sum(&all, "proxy_errors_total", &["error_type=\"unknown_model\""]), 1.);
    assert_eq!(sum(&all, "proxy_request_duration_seconds_count", &[]), 6.);

    assert_eq!(sum(&all, "lockgate_attempts_total", &["outcome=\"success\""]), 2.);
    assert_eq!(sum(&all, "lockgate_attempts_total", &["outcome=\"server_error\""]), 2.);
    let fallback = ["route=\"both\"", "from=\"first\"", "to=\"second\"", "outcome=\"success\""];
    assert_eq!(sum(&all, "lockgate_fallbacks_total", &fallback), 1.);
    let cooldown = ["provider=\"first\"", "model=\"small\""];
    assert!(60. <= sum(&all, "lockgate_cooldown_seconds_total", &cooldown), "{all:#?}");
    assert_eq!(sum(&all, "lockgate_lost_holds_total", &[]), 0.);
    assert_eq!(sum(&all, "lockgate_store_errors_total", &[]), 0.);
    assert_eq!(sum(&all, "lockgate_time_to_first_token_seconds_count", &[]), 3.);
    assert_eq!(sum(&all, "lockgate_overhead_seconds_count", &[]), 3.);
    assert_eq!(sum(&all, "lockgate_unpriced_calls_total", &["model=\"other\""]), 1.);
    assert!(1. <= sum(&all, "lockgate_estimated_calls_total", &[]));
    assert_eq!(sum(&all, "lockgate_lost_records_total", &[]), 0.);

    let chat = ["gen_ai_operation_name=\"chat\"", "gen_ai_provider_name=\"openai\""];
    assert_eq!(sum(&all, "gen_ai_server_request_duration_count", &chat), 4.);
    assert_eq!(sum(&all, "gen_ai_server_time_to_first_token_count", &chat), 3.);
    assert!(1. <= sum(&all, "gen_ai_server_time_per_output_token_count", &chat));
    assert_eq!(sum(&all, "gen_ai_client_token_usage_count", &["gen_ai_token_type=\"input\""]), 3.);
    assert!(0. < sum(&all, "gen_ai_client_cost_usd_total", &[]));
    assert!(!all.keys().any(|key| key.contains("typed-by-a-client")), "{all:#?}");
}

/// Scrapes until gauges have these values.
async fn until(gateway: &Lockgate, wanted: &[(&str, &[&str], f64)]) {
    for _ in 0..200 {
        let all = scrape(gateway).await;
        if wanted.iter().all(|(name, labels, value)| sum(&all, name, labels) == *value) {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("these values do not come: {wanted:?}: {:#?}", scrape(gateway).await);
}

#[tokio::test]
async fn calls_in_flight_are_counted_by_format_and_provider_until_they_end() {
    let (first, second) = (FakeProvider::start().await, FakeProvider::start().await);
    first.respond_with([openai::error(500, "server_error", "down")]);
    let latch = Latch::new();
    let halting = [openai::role(), openai::chunk("Hel"), Step::Latch(latch.clone())];
    let rest = [openai::chunk("lo"), openai::finish("stop"), openai::done()];
    second.respond_with([ScriptedResponse::stream(halting.into_iter().chain(rest))]);
    let gateway = gateway(&first, &second).await;
    let mut stream = ask(&gateway, &hello_streamed("both")).await;
    stream.until("Hel").await.unwrap();

    let of = ["format=\"openai_chat\"", "provider=\"second\""];
    let of_first = ["format=\"openai_chat\"", "provider=\"first\""];
    let in_flight = |count: f64| {
        [
            ("proxy_active_requests", &of[..], count),
            ("proxy_active_requests", &of_first[..], 0.),
            ("proxy_active_requests", &[][..], count),
            ("ai_gateway_requests_in_progress", &[][..], count),
            ("aigateway_active_connections", &[][..], count),
            ("aigateway_active_streams", &[][..], count),
        ]
    };
    let all = scrape(&gateway).await;
    for (name, labels, value) in in_flight(1.) {
        assert_eq!(sum(&all, name, labels), value, "{name} {labels:?}: {all:#?}");
    }
    latch.open();
    stream.until("[DONE]").await.unwrap();
    until(&gateway, &in_flight(0.)).await;
    let served = text(&gateway).await;
    let zero = "proxy_active_requests{format=\"openai_chat\",provider=\"second\"} 0";
    assert!(served.contains(zero), "{served}");
}

#[tokio::test]
async fn metrics_list_and_log_count_the_same_calls_and_tokens() {
    let (first, second) = providers().await;
    let gateway = gateway(&first, &second).await;
    mixed_run(&gateway).await;
    let rows = kept(&gateway, 6, &[]).await;
    let all = scrape(&gateway).await;
    let log = gateway.log();

    let logged = log.matches("call ended").count();
    assert_eq!(logged, rows.len() + 1, "a stranger is logged and has no row:\n{log}");
    let counted = sum(&all, "aigateway_requests_total", &["tenant_id=\"default\""]);
    assert_eq!(counted, rows.len() as f64);
    for (kind, classes) in [
        ("input", &["input", "cached_input", "cache_write", "input_audio"][..]),
        ("output", &["output", "reasoning", "output_audio"]),
    ] {
        let tokens = |row: &Value| -> u64 {
            classes.iter().filter_map(|class| row["usage"][class].as_u64()).sum()
        };
        let listed: u64 = rows.iter().map(tokens).sum();
        let label = format!("type=\"{kind}\"");
        assert_eq!(sum(&all, "aigateway_tokens_total", &[&label]), listed as f64, "{kind}");
        let text = format!("tokens_{kind}=");
        let of_line = |line: &str| -> u64 {
            let value = line.split_once(&text).map(|(_, rest)| rest.split(' ').next().unwrap());
            value.map_or(0, |it| it.parse().unwrap())
        };
        assert_eq!(log.lines().map(of_line).sum::<u64>(), listed, "{kind}:\n{log}");
    }
    let cost: f64 = rows.iter().filter_map(|row| row["cost_usd"].as_f64()).sum();
    assert!((sum(&all, "aigateway_cost_usd_total", &[]) - cost).abs() < 1e-6);
}

#[tokio::test]
async fn metrics_do_not_fall_over_a_restart() {
    let (first, second) = (provider().await, provider().await);
    let rest = format!("{BOTH}{METRICS}");
    let config = yaml(&[("first", &first.url()), ("second", &second.url())], &rest);
    let gateway = serve(&config).await;
    for _ in 0..3 {
        text_of(ask(&gateway, &hello("both")).await).await;
    }
    kept(&gateway, 3, &[]).await;
    let before = sum(&scrape(&gateway).await, "aigateway_requests_total", &[]);
    gateway.terminate().unwrap();
    let folder = gateway.left_behind().await;
    let data = folder.path().join("lockgate.db");
    let again = program().config(&config).arguments(["--data", data.to_str().unwrap()]);
    let again = again.start().await;
    text_of(ask(&again, &hello("both")).await).await;
    for _ in 0..100 {
        let after = sum(&scrape(&again).await, "aigateway_requests_total", &[]);
        assert!(before <= after, "{before} {after}");
        if after == 4. {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("the fourth call is not counted");
}

#[tokio::test]
async fn the_hold_of_an_instance_that_died_is_counted_as_lost() {
    let first = provider().await;
    let rest = format!(
        "models: [{{ name: small, provider: first }}]
prices: [{{ provider: first, model: small, input: 1, output: 1000 }}]
tenants: [{{ name: search, api_key: key-of-search, budget_usd: 5 }}]
{METRICS}"
    );
    let gateway = serve(&yaml(&[("first", &first.url())], &rest)).await;
    let stores = storage::sqlite::open(&gateway.folder().join("lockgate.db")).unwrap();
    reserve_long_ago(&stores, "search").await;

    let body = hello("small").to_string();
    let headers = [("x-api-key", "key-of-search")];
    let answer = send(&gateway, "POST", "/v1/chat/completions", &headers, body).await;
    assert_eq!(answer.status, 200);
    for _ in 0..100 {
        if sum(&scrape(&gateway).await, "lockgate_lost_holds_total", &[]) == 1. {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("the lost hold is not counted:\n{}", gateway.log());
}

/// Holds money for a call as an instance did an hour ago that has died since.
async fn reserve_long_ago(stores: &storage::Stores, tenant: &str) {
    use tenants::{
        AdmissionRequest, Budget, Decision, Demand, Ledger, LedgerKey, Limits, ReservationId,
        UnreachablePolicy, WorstPrice,
    };
    #[expect(clippy::disallowed_methods, reason = "what is held long ago is held before now")]
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let limits = Limits {
        budget: Some(Budget::monthly(canonical::MicroDollars(5_000_000))),
        ..Limits::default()
    };
    let request = AdmissionRequest {
        key: &LedgerKey::tenant(tenant),
        limits: &limits,
        demand: Demand {
            input: 10,
            output: 100,
            choices: 1,
            price: Some(WorstPrice { input: 1_000_000, output: 1_000_000 }),
        },
        id: &ReservationId::new("of-the-dead"),
        deadline: now - 3_000,
    };
    let ledger = Ledger::new(stores.state.clone(), UnreachablePolicy::default());
    let decision = ledger.admit(&request, now - 3_600).await;
    assert!(matches!(decision, Decision::Admitted(_)), "{decision:?}");
}

#[tokio::test]
async fn metrics_are_for_those_with_their_credentials() {
    let first = provider().await;
    let gateway = serve(&yaml(&[("first", &first.url())], METRICS)).await;
    let basic = |credentials: &str| format!("Basic {}", BASE64_STANDARD.encode(credentials));
    for wrong in
        [basic("prom:wrong"), basic("prom:"), basic("other:scrape-me"), format!("Bearer {KEY}")]
    {
        let headers = [("authorization", wrong.as_str())];
        let response = send(&gateway, "GET", "/metrics", &headers, "").await;
        assert_eq!(response.status, 401, "{wrong}");
        assert!(response.header("www-authenticate").starts_with("Basic"), "{wrong}");
    }
    let response = send(&gateway, "GET", "/metrics", &[], "").await;
    assert_eq!(response.status, 401);
}

#[tokio::test]
async fn earlier_gateways_names_are_served_by_a_switch() {
    let first = provider().await;
    let only_c = METRICS.replace("[b, c, d]", "[c]");
    let gateway = serve(&yaml(&[("first", &first.url())], &only_c)).await;
    text_of(ask(&gateway, &hello("first/m")).await).await;
    kept(&gateway, 1, &[]).await;
    let served = text(&gateway).await;
    assert!(served.contains("# TYPE ai_gateway_requests_total counter"), "{served}");
    assert!(!served.contains("aigateway_requests") && !served.contains("proxy_requests"));

    let default = METRICS.replace(", seeds: [b, c, d]", "");
    let gateway = serve(&yaml(&[("first", &first.url())], &default)).await;
    text_of(ask(&gateway, &hello("first/m")).await).await;
    kept(&gateway, 1, &[]).await;
    let served = text(&gateway).await;
    assert!(served.contains("aigateway_requests_total{"), "{served}");
    assert!(served.contains("# TYPE gen_ai_client_token_usage histogram"), "{served}");
    assert!(!served.contains("ai_gateway_requests"), "{served}");
}

/// Every name of a metric in a query.
fn metrics_in(query: &str) -> Vec<&str> {
    let is_name = |it: char| it.is_ascii_alphanumeric() || it == '_';
    let words = query.split(|it| !is_name(it));
    let families = ["lockgate_", "aigateway_", "ai_gateway_", "proxy_", "gen_ai_"];
    let is_metric = |word: &&str| families.iter().any(|it| word.starts_with(it));
    // Labels of the conventions begin like their metrics.
    let is_label = |word: &&str| {
        ["_name", "_type", "_model"].iter().any(|it| word.ends_with(it))
            && word.starts_with("gen_ai_")
    };
    words.filter(is_metric).filter(|word| !is_label(word)).collect()
}

/// Every label by which a query groups.
fn labels_in(query: &str) -> Vec<&str> {
    let groups = query.split("by (").skip(1).filter_map(|rest| rest.split(')').next());
    groups.flat_map(|group| group.split(',')).map(str::trim).collect()
}

#[tokio::test]
async fn every_query_of_the_dashboards_and_the_documentation_names_what_is_served() {
    let (first, second) = providers().await;
    let gateway = gateway(&first, &second).await;
    mixed_run(&gateway).await;
    kept(&gateway, 6, &[]).await;
    let served = text(&gateway).await;

    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs");
    let mut queries = vec![];
    for name in ["lockgate", "earlier-gateways"] {
        let text = std::fs::read_to_string(format!("{root}/grafana/{name}.json")).unwrap();
        let dashboard: Value = serde_json::from_str(&text).unwrap();
        for panel in dashboard["panels"].as_array().unwrap() {
            let targets = panel["targets"].as_array().unwrap().iter();
            queries.extend(targets.map(|it| it["expr"].as_str().unwrap().to_owned()));
        }
    }
    let page = std::fs::read_to_string(format!("{root}/operate.md")).unwrap();
    let blocks = page.split("```").skip(1).step_by(2);
    queries.extend(
        blocks.filter(|it| it.starts_with("promql") || it.contains("alert:")).map(str::to_owned),
    );
    assert!(30 < queries.len(), "{queries:?}");

    for query in &queries {
        for label in labels_in(query) {
            let is_label = |line: &str| line.contains(&format!("{label}=\""));
            assert!(served.lines().any(is_label), "{label} of {query}");
        }
    }

    // Nothing of these happened in the run; other tests move them.
    let unmoved = ["cache_", "rate_limit_hits", "budget_usage", "dropped_fields"];
    for query in &queries {
        for name in metrics_in(query) {
            let is_served = served
                .lines()
                .any(|line| !line.starts_with('#') && line.split(['{', ' ']).next() == Some(name));
            assert!(is_served || unmoved.iter().any(|it| name.contains(it)), "{name} of {query}");
        }
    }
}

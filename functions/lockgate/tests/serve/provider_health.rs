//! The health of providers: what operators see, what earlier gateways showed, and probes.

use serde_json::{Value, json};
use testkit::lockgate::Lockgate;
use testkit::openai;
use testkit::provider::FakeProvider;

use crate::admin::{USERS, basic};
use crate::support::{BOTH, KEY, ask, hello, provider, send, serve, yaml};

/// A gateway whose first provider fails, after one call.
async fn after_an_outage(rest: &str) -> (Lockgate, FakeProvider, FakeProvider) {
    let (first, second) = (FakeProvider::start().await, provider().await);
    first.respond_with([openai::error(503, "x", "no")]);
    let rest = format!("{BOTH}{USERS}{rest}");
    let config = yaml(&[("first", &first.url()), ("second", &second.url())], &rest);
    let gateway = serve(&config).await;
    assert_eq!(ask(&gateway, &hello("both")).await.status, 200);
    (gateway, first, second)
}

async fn health(gateway: &Lockgate, path: &str, headers: &[(&str, &str)]) -> (u16, Value) {
    let response = send(gateway, "GET", path, headers, "").await;
    (response.status.as_u16(), response.json().await.unwrap())
}

#[tokio::test]
async fn operators_see_the_health_of_each_provider() {
    let (gateway, _first, _second) = after_an_outage("").await;
    let basic = basic("vera", "vera-password");
    let headers = [("authorization", basic.as_str())];
    let (status, body) = health(&gateway, "/health/providers", &headers).await;
    assert_eq!(status, 200, "{body}");
    let first = &body["providers"][0];
    assert_eq!((&first["name"], &first["breaker"]), (&json!("first"), &json!("open")));
    assert_eq!(first["cooldowns"][0]["reason"], "outage");
    assert!(0 < first["cooldowns"][0]["seconds_left"].as_u64().unwrap());
    assert_eq!(first["models"][0]["consecutive_failures"], 1);
    assert_eq!(body["providers"][1]["breaker"], "closed");

    let bearer = format!("Bearer {KEY}");
    for headers in [vec![], vec![("authorization", bearer.as_str())]] {
        assert_eq!(health(&gateway, "/health/providers", &headers).await.0, 401);
    }
}

#[tokio::test]
async fn health_shows_what_an_earlier_gateway_showed_where_that_is_wanted() {
    let members =
        "compatibility: { health_members: [providers, circuit_breakers, models, timestamp] }";
    let (gateway, _first, _second) = after_an_outage(members).await;
    let (_, body) = health(&gateway, "/health", &[]).await;
    assert_eq!(body["status"], "healthy");
    assert_eq!(body["providers"], json!({"first": "unhealthy", "second": "ok"}));
    assert_eq!(body["circuit_breakers"], json!({"first": "open", "second": "closed"}));
    assert_eq!(body["models"], 1);
    assert!(body["timestamp"].as_str().unwrap().ends_with('Z'), "{body}");

    let (gateway, _first, _second) = after_an_outage("").await;
    let (_, body) = health(&gateway, "/health", &[]).await;
    assert!(body["providers"].is_null() && body["version"].is_string(), "{body}");
}

#[tokio::test]
async fn probes_are_made_by_schedule_and_within_their_cost() {
    let (first, second) = (provider().await, provider().await);
    let config = format!(
        "api_key: {KEY}\nproviders:\n  \
         - {{ name: first, base_url: \"{}\", probe: {{ every: 1s, model: m }} }}\n  \
         - {{ name: second, base_url: \"{}\", probe: {{ every: 1s, model: m, max_cost: 0.000001 }} }}\n\
         prices: [{{ provider: second, model: m, input: 1000, output: 1000 }}]\n",
        first.url(),
        second.url()
    );
    let _gateway = serve(&config).await;
    let probes = first.wait_for_requests(3).await;
    assert_eq!(probes[0].json()["max_tokens"], 1);
    assert_eq!(second.requests().len(), 1, "the first probe has cost more than the day may");
}

#[tokio::test]
async fn nothing_is_probed_unless_it_is_wanted() {
    let first = provider().await;
    let gateway = serve(&yaml(&[("first", &first.url())], "")).await;
    tokio::time::sleep(std::time::Duration::from_millis(1_500)).await;
    assert!(first.requests().is_empty());
    drop(gateway);
}

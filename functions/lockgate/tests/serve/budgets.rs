//! Budgets over real sockets: what is refused, in which shape, and what several processes let through.

use std::sync::Arc;

use serde_json::{Value, json};
use testkit::{
    client::ClientResponse,
    lockgate::{Folder, Lockgate},
    openai,
    provider::{FakeProvider, Latch, ScriptedResponse, Step},
};

use crate::support::{gateway_for, program, provider, send, yaml};

const KEY: &str = "key-of-search";

/// Prices of 1 micro-dollar for an input token and 1,000 for one of output, and a tenant.
fn rest(tenant: &str) -> String {
    format!(
        "models: [{{ name: small, provider: first }}]\n\
         prices: [{{ provider: first, model: small, input: 1, output: 1000 }}]\n\
         tenants: [{{ name: search, api_key: {KEY}, {tenant} }}]"
    )
}

async fn ask(gateway: &Lockgate, path: &str, body: &Value) -> ClientResponse {
    send(gateway, "POST", path, &[("x-api-key", KEY)], body.to_string()).await
}

fn question(max_tokens: u64) -> Value {
    json!({
        "model": "small", "max_tokens": max_tokens,
        "messages": [{"role": "user", "content": "Hi"}],
    })
}

async fn status(gateway: &Lockgate, body: &Value) -> u16 {
    ask(gateway, "/v1/chat/completions", body).await.status.as_u16()
}

#[tokio::test]
async fn a_spent_budget_is_refused_in_the_shape_of_each_api() {
    let first = provider().await;
    let gateway = gateway_for(&first, &rest("budget_usd: 0")).await;
    let refused = ask(&gateway, "/v1/chat/completions", &question(300)).await;
    assert_eq!(refused.status, 402);
    assert_eq!(refused.headers["x-should-retry"], "false");
    assert!(!refused.headers.contains_key("retry-after"));
    let error: Value = refused.json().await.unwrap();
    let error = &error["error"];
    assert_eq!(
        (&error["code"], &error["type"]),
        (&json!("budget_exceeded"), &json!("insufficient_quota"))
    );
    assert_eq!(
        (&error["reason"], &error["limit_source"]),
        (&json!("budget_exceeded"), &json!("budget_usd"))
    );
    assert!(error["message"].as_str().unwrap().starts_with("Lockgate policy: "), "{error}");

    let refused = ask(&gateway, "/v1/messages", &question(300)).await;
    assert_eq!(refused.status, 402);
    let error: Value = refused.json().await.unwrap();
    assert_eq!(error["error"]["type"], "billing_error", "{error}");
    assert_eq!(error["error"]["limit_source"], "budget_usd");

    let body = json!({"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]});
    let refused = ask(&gateway, "/v1beta/models/small:generateContent", &body).await;
    assert_eq!(refused.status, 402);
    let error: Value = refused.json().await.unwrap();
    assert_eq!(error["error"]["status"], "RESOURCE_EXHAUSTED", "{error}");
    assert_eq!(error["error"]["details"][0]["metadata"]["limit_source"], "budget_usd");
    assert_eq!(first.requests().len(), 0);
}

#[tokio::test]
async fn an_answer_is_shortened_to_the_budget_and_says_so() {
    let first = provider().await;
    let gateway = gateway_for(&first, &rest("budget_usd: 0.3005")).await;
    let answer = ask(&gateway, "/v1/chat/completions", &question(5_000)).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.headers["x-gateway-budget"], "capped");
    let sent = first.requests().remove(0).json();
    let limit = sent["max_tokens"].as_u64().unwrap();
    assert!((256..=300).contains(&limit), "{sent}");

    // What is left does not pay for a whole budget's worth of answer any more, but for a small one.
    let answer = ask(&gateway, "/v1/chat/completions", &question(20)).await;
    assert_eq!(answer.status, 200);
    assert!(!answer.headers.contains_key("x-gateway-budget"));
}

#[tokio::test]
async fn a_call_larger_than_the_whole_budget_is_refused_as_such() {
    let first = provider().await;
    let gateway = gateway_for(&first, &rest("budget_usd: 0.1")).await;
    let refused = ask(&gateway, "/v1/chat/completions", &question(5_000)).await;
    assert_eq!(refused.status, 402);
    let error: Value = refused.json().await.unwrap();
    assert_eq!(error["error"]["reason"], "request_exceeds_budget", "{error}");
}

/// A gateway whose only target, a model that reasons unless it is told not to, has a second.
async fn impatient(first: &FakeProvider) -> Lockgate {
    let rest = rest("budget_usd: 5").replace("small", "gpt-5");
    gateway_for(first, &format!("{rest}\ndefault_timeout: 1s")).await
}

/// What the tenant has spent once a call is settled, in thousandths of a dollar: tokens of output.
async fn spent(gateway: &Lockgate) -> u64 {
    for _ in 0..200 {
        let usage = send(gateway, "GET", "/v1/usage", &[("x-api-key", KEY)], "").await;
        let usage: Value = usage.json().await.unwrap();
        let (used, held) = (&usage["total_cost_usd"], &usage["held_usd"]);
        if used.as_f64() != Some(0.0) && held.as_f64() == Some(0.0) {
            return (used.as_f64().unwrap() * 1_000.0) as u64;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("nothing was spent");
}

#[tokio::test]
async fn a_whole_response_that_comes_too_late_is_charged_for_what_was_written_until_then() {
    let first = FakeProvider::start().await;
    first.respond_with([ScriptedResponse::hang()]);
    let gateway = impatient(&first).await;
    let mut body = question(5_000);
    body["model"] = json!("gpt-5");
    assert_eq!(status(&gateway, &body).await, 504);
    let spent = spent(&gateway).await;
    assert!((100..=300).contains(&spent), "{spent}");
}

#[tokio::test]
async fn a_provider_that_cannot_be_reached_is_charged_to_nobody() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let first = format!("https://{}", silent.local_addr().unwrap());
    let rest = format!("{}\nconnect_timeout: 100ms", rest("budget_usd: 5"));
    let gateway = program().config(&yaml(&[("first", &*first)], &rest)).start().await;
    assert_eq!(status(&gateway, &question(5_000)).await, 504);
    let left = || async {
        let usage = send(&gateway, "GET", "/v1/usage", &[("x-api-key", KEY)], "").await;
        let usage: Value = usage.json().await.unwrap();
        (usage["held_usd"].as_f64(), usage["total_cost_usd"].as_f64())
    };
    // Settled behind the response.
    for _ in 0..200 {
        if left().await.0 == Some(0.0) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(left().await, (Some(0.0), Some(0.0)));
}

#[tokio::test]
async fn who_leaves_behind_the_first_token_pays_for_the_reasoning_before_it() {
    let (first, latch) = (FakeProvider::start().await, Latch::new());
    let steps = [Step::Latch(latch.clone()), openai::chunk("x"), Step::Hang];
    first.respond_with([ScriptedResponse::stream(steps)]);
    let gateway = impatient(&first).await;
    let mut body = question(5_000);
    (body["model"], body["stream"]) = (json!("gpt-5"), json!(true));
    let begins = async {
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        latch.open();
    };
    let (response, ()) = tokio::join!(ask(&gateway, "/v1/chat/completions", &body), begins);
    assert_eq!(response.status, 200);
    drop(response);
    let spent = spent(&gateway).await;
    assert!((20..=150).contains(&spent), "{spent}");
}

#[tokio::test]
async fn a_provider_without_a_price_is_refused_on_a_budget() {
    let first = provider().await;
    let gateway = gateway_for(&first, &rest("budget_usd: 5")).await;
    let mut body = question(20);
    body["model"] = json!("first/unknown");
    let refused = ask(&gateway, "/v1/chat/completions", &body).await;
    let error: Value = refused.json().await.unwrap();
    assert_eq!(error["error"]["reason"], "budget_unpriced", "{error}");
}

/// Two processes on one data file, before one provider.
async fn pair(first: &FakeProvider, tenant: &str) -> (Vec<Arc<Lockgate>>, Folder) {
    let folder = Folder::new();
    let data = folder.path().join("shared.db");
    let data = data.to_str().unwrap();
    let config = yaml(&[("first", &first.url())], &rest(tenant));
    let mut gateways = vec![];
    for _ in 0..2 {
        let gateway = program().config(&config).arguments(["--data", data]).start().await;
        gateways.push(Arc::new(gateway));
    }
    (gateways, folder)
}

/// How often each status came of 50 calls at once, half of them to each process.
async fn race(gateways: &[Arc<Lockgate>], max_tokens: u64) -> (usize, usize) {
    let mut running = tokio::task::JoinSet::new();
    for nth in 0..50 {
        let gateway = gateways[nth % gateways.len()].clone();
        running.spawn(async move { status(&gateway, &question(max_tokens)).await });
    }
    let statuses = running.join_all().await;
    let count = |wanted: u16| statuses.iter().filter(|status| **status == wanted).count();
    assert_eq!(count(200) + count(429) + count(402), 50, "{statuses:?}");
    (count(200), count(429) + count(402))
}

#[tokio::test]
async fn fifty_callers_of_two_processes_get_exactly_what_the_limit_lets_through() {
    let first = provider().await;
    let (gateways, _folder) = pair(&first, "requests_per_day: 20").await;
    assert_eq!(race(&gateways, 20).await, (20, 30));
}

#[tokio::test]
async fn fifty_callers_of_two_processes_never_hold_more_than_the_budget() {
    let first = FakeProvider::start().await;
    let latch = testkit::provider::Latch::new();
    first.respond_with([ScriptedResponse::stream([
        testkit::provider::Step::Latch(latch.clone()),
        openai::role(),
        openai::chunk("Hi"),
        openai::finish("stop"),
        openai::usage(9, 12),
        openai::done(),
    ])]);
    // Each call holds a little more than $0.256, so that nine fit.
    let (gateways, _folder) = pair(&first, "budget_usd: 2.5").await;
    let mut running = tokio::task::JoinSet::new();
    for nth in 0..50 {
        let gateway = gateways[nth % 2].clone();
        let mut body = question(256);
        body["stream"] = json!(true);
        running.spawn(async move { status(&gateway, &body).await });
    }
    first.wait_for_requests(9).await;
    let mut refused = 0;
    while refused < 41 {
        let status = running.join_next().await.unwrap().unwrap();
        assert!(status == 429 || status == 402, "{status}");
        refused += 1;
    }
    latch.open();
    let statuses = running.join_all().await;
    assert_eq!(statuses, [200; 9]);
    assert_eq!(first.requests().len(), 9);
}

#[tokio::test]
async fn what_a_call_did_not_use_is_free_for_the_next_one() {
    let first = provider().await;
    let gateway = gateway_for(&first, &rest("budget_usd: 0.3, max_concurrent: 1")).await;
    // Each holds nearly all of the budget, and uses 12 tokens of it.
    for _ in 0..3 {
        assert_eq!(status(&gateway, &question(256)).await, 200);
    }
    gateway.logged("settled_usd=\"0.012009\"").await;
}

#[tokio::test]
async fn a_locked_system_prompt_replaces_the_clients_in_every_format() {
    let first = provider().await;
    let tenant = "system_prompt: Be kind., system_prompt_mode: locked, max_output_tokens: 99";
    let gateway = gateway_for(&first, &rest(tenant)).await;
    let own = "Answer in French.";
    let chat = json!({"model": "small", "messages": [
        {"role": "system", "content": own}, {"role": "user", "content": "Hi"}]});
    let responses = json!({"model": "small", "instructions": own, "input": "Hi"});
    let messages = json!({"model": "small", "max_tokens": 500, "system": own,
        "messages": [{"role": "user", "content": "Hi"}]});
    let gemini = json!({"systemInstruction": {"parts": [{"text": own}]},
        "contents": [{"role": "user", "parts": [{"text": "Hi"}]}]});
    for (path, body) in [
        ("/v1/chat/completions", chat),
        ("/v1/responses", responses),
        ("/v1/messages", messages),
        ("/v1beta/models/small:generateContent", gemini),
    ] {
        first.forget();
        let answer = ask(&gateway, path, &body).await;
        assert_eq!(answer.status, 200, "{path}");
        let sent = first.requests().remove(0).json();
        assert_eq!(sent["messages"][0]["content"], "Be kind.", "{path} {sent}");
        assert!(!sent.to_string().contains(own), "{path} {sent}");
        assert_eq!(sent["max_tokens"], 99, "{path} {sent}");
    }
}

//! `GET /v1/usage`: what a key's tenant used, to the call, the token and the cent.

use serde_json::{Value, json};
use testkit::lockgate::Lockgate;

use crate::{
    admin::{USERS, ask},
    support::{KEY, gateway_for, provider, send},
};

const OTHER: &str = "a-key-of-somebody-else-0123456789";
const CONFIG: &str = "\
models: [{ name: small, provider: first }]
prices: [{ provider: first, model: small, input: 1000, output: 2000 }]
tenants: [{ name: other, api_key: a-key-of-somebody-else-0123456789, budget_usd: 2, requests_per_day: 9 }]";

async fn get_usage(gateway: &Lockgate, key: &str) -> Value {
    let response = send(gateway, "GET", "/v1/usage", &[("x-api-key", key)], String::new()).await;
    assert_eq!(response.status, 200);
    response.json().await.unwrap()
}

async fn call(gateway: &Lockgate, key: &str) {
    let body = json!({
        "model": "small", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}],
    });
    let headers = [("x-api-key", key)];
    let response = send(gateway, "POST", "/v1/chat/completions", &headers, body.to_string()).await;
    assert_eq!(response.status, 200);
    response.text().await.unwrap();
}

#[tokio::test]
async fn a_key_reads_what_its_own_tenant_used_by_model_and_day() {
    let first = provider().await;
    let gateway = gateway_for(&first, CONFIG).await;
    for key in [KEY, KEY, OTHER] {
        call(&gateway, key).await;
    }

    // None of them is a call for a model.
    for path in ["/v1/models", "/v1/models/none", "/v1/nowhere"] {
        send(&gateway, "GET", path, &[("x-api-key", KEY)], "").await;
    }
    get_usage(&gateway, KEY).await;
    let own = get_usage(&gateway, KEY).await;
    assert_eq!(own["request_count"], 2, "{own}");
    assert_eq!(own["budget_usd"], Value::Null, "{own}");
    assert_eq!(own["by_model"][0]["model"], "small", "{own}");
    assert_eq!(own["by_day"][0]["requests"], 2, "{own}");
    let tokens = |class: &str| own["by_model"][0][class].as_f64().unwrap();
    let expected = (tokens("input_tokens") * 1000.0 + tokens("output_tokens") * 2000.0) / 1e6;
    assert!(0.0 < expected);
    let cost = own["total_cost_usd"].as_f64().unwrap();
    assert!((cost - expected).abs() < 1e-9, "{own}");

    let others = get_usage(&gateway, OTHER).await;
    assert_eq!(others["tenant_id"], "other", "{others}");
    assert_eq!(others["budget_usd"], 2.0, "{others}");
    assert_eq!(others["request_count"], 1, "{others}");
    assert_eq!(others["total_cost_usd"].as_f64().unwrap() * 2.0, cost, "{others}");
    let limits = others["limits"].as_array().unwrap();
    let is_used = |it: &Value| it["limit"] == "requests_per_day" && it["used"] == 1;
    assert!(limits.iter().any(is_used), "{others}");
}

#[tokio::test]
async fn an_operator_sees_what_tenants_used_with_a_budget_and_without() {
    let first = provider().await;
    let gateway = gateway_for(&first, &format!("{CONFIG}{USERS}")).await;
    for key in [KEY, KEY, OTHER] {
        call(&gateway, key).await;
    }

    // None of them is a call for a model.
    send(&gateway, "GET", "/v1/models", &[("x-api-key", KEY)], "").await;
    send(&gateway, "GET", "/v1/models/none", &[("x-api-key", KEY)], "").await;
    get_usage(&gateway, KEY).await;

    let (_, all) = ask(&gateway, "GET", "/admin/usage", "").await;
    let tenants = all["tenants"].as_array().unwrap();
    let of = |name: &str| tenants.iter().find(|it| it["name"] == name).unwrap();
    let (_, one) = ask(&gateway, "GET", "/admin/tenants/default/usage", "").await;
    let own = get_usage(&gateway, KEY).await;
    for member in ["total_cost_usd", "request_count", "period_start", "period_end"] {
        assert_eq!(of("default")[member], own[member], "{member}: {all}");
    }
    assert_eq!(of("default")["input_tokens"], own["by_model"][0]["input_tokens"], "{all}");
    assert_eq!(of("other")["request_count"], 1, "{all}");
    assert_eq!(of("other")["budget_usd"], 2.0, "{all}");

    assert_eq!(own["request_count"], 2, "{own}");
    for member in ["total_cost_usd", "request_count", "unpriced_count", "by_model", "by_day"] {
        assert_eq!(one[member], own[member], "{member}: {one}");
    }
}

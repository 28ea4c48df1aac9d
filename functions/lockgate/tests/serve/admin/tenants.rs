//! Tenants: made, limited, changed, rotated and removed while the gateway runs.

use serde_json::{Value, json};
use testkit::{lockgate::Lockgate, provider::FakeProvider};

use super::{USERS, administrated, ask, ask_with};
use crate::support::{gateway_for, hello, provider, send};

async fn chat(gateway: &Lockgate, key: &str) -> u16 {
    let headers = [("x-api-key", key)];
    let body = hello("small").to_string();
    send(gateway, "POST", "/v1/chat/completions", &headers, body).await.status.as_u16()
}

async fn create(gateway: &Lockgate, body: &str) -> (String, String) {
    let (status, tenant) = ask(gateway, "POST", "/admin/tenants", body).await;
    assert_eq!(status, 201, "{tenant}");
    let text = |field: &str| tenant[field].as_str().unwrap().to_owned();
    (text("id"), text("api_key"))
}

#[tokio::test]
async fn a_tenant_calls_until_it_is_limited_disabled_or_removed() {
    let first = provider().await;
    let gateway = administrated(&first).await;
    let (id, key) = create(&gateway, r#"{"name": "search"}"#).await;
    let path = format!("/admin/tenants/{id}");
    assert_eq!(chat(&gateway, &key).await, 200);

    let limit = r#"{"rate_limit_rpm": 0}"#;
    assert_eq!(ask(&gateway, "PUT", &path, limit).await.0, 200);
    assert_eq!(chat(&gateway, &key).await, 429, "a change takes effect at once");
    assert_eq!(ask(&gateway, "PATCH", &path, r#"{"rate_limit_rpm": null}"#).await.0, 200);
    assert_eq!(chat(&gateway, &key).await, 200);

    assert_eq!(ask(&gateway, "POST", &format!("{path}/disable"), "").await.0, 200);
    assert_eq!(chat(&gateway, &key).await, 401);
    assert_eq!(ask(&gateway, "POST", &format!("{path}/enable"), "").await.0, 200);
    assert_eq!(chat(&gateway, &key).await, 200);

    assert_eq!(ask(&gateway, "DELETE", &path, "").await.0, 204);
    assert_eq!(chat(&gateway, &key).await, 401);
    assert_eq!(ask(&gateway, "GET", &path, "").await.0, 404);
}

#[tokio::test]
async fn a_rotated_key_lives_on_for_its_grace_period() {
    let first = provider().await;
    let gateway = administrated(&first).await;
    let (id, key) = create(&gateway, r#"{"name": "search", "key_prefix": "gw-"}"#).await;
    assert!(key.starts_with("gw-"));
    let path = format!("/admin/tenants/{id}/rotate-key");
    let (status, rotated) = ask(&gateway, "POST", &path, "").await;
    assert_eq!(status, 200);
    let second = rotated["api_key"].as_str().unwrap().to_owned();
    assert_eq!((chat(&gateway, &key).await, chat(&gateway, &second).await), (200, 200));

    let (_, rotated) = ask(&gateway, "POST", &path, r#"{"grace_seconds": 0}"#).await;
    let third = rotated["api_key"].as_str().unwrap();
    assert_eq!((chat(&gateway, &second).await, chat(&gateway, third).await), (401, 200));
    let (_, keys) = ask(&gateway, "GET", &format!("/admin/tenants/{id}/keys"), "").await;
    assert!(!keys.to_string().contains(third), "a key is shown once");
    let is_first = |it: &&Value| key.ends_with(it["last_four"].as_str().unwrap());
    let first = keys["keys"].as_array().unwrap().iter().find(is_first).unwrap();
    let first = first["id"].as_str().unwrap();
    let gone = format!("/admin/tenants/{id}/keys/{first}");
    assert_eq!(ask(&gateway, "DELETE", &gone, "").await.0, 204);
    assert_eq!(chat(&gateway, &key).await, 401);
}

#[tokio::test]
async fn two_operators_do_not_undo_each_other() {
    let first = provider().await;
    let gateway = administrated(&first).await;
    let (id, _) = create(&gateway, r#"{"name": "search"}"#).await;
    let path = format!("/admin/tenants/{id}");
    let read = ask_with(&gateway, "root", ("GET", &path), &[], "").await;
    let tag = read.headers["etag"].to_str().unwrap().to_owned();
    let matching = [("if-match", tag.as_str())];
    let change = r#"{"rate_limit_rpm": 5}"#;
    let first = ask_with(&gateway, "root", ("PATCH", &path), &matching, change).await;
    assert_eq!(first.status, 200);
    let second = ask_with(&gateway, "edda", ("PATCH", &path), &matching, change).await;
    assert_eq!(second.status, 412);
    let gone = ask_with(&gateway, "edda", ("DELETE", &path), &matching, "").await;
    assert_eq!(gone.status, 412);
    let (_, problem) = ask(&gateway, "POST", "/admin/tenants", r#"{"name": "search"}"#).await;
    assert_eq!((&problem["status"], &problem["field"]), (&json!(409), &json!("name")));
}

#[tokio::test]
async fn every_wrong_field_is_named() {
    let first = provider().await;
    let gateway = administrated(&first).await;
    let body = r#"{"rate_limit_rpm": -1, "colour": "red"}"#;
    let (status, problem) = ask(&gateway, "POST", "/admin/tenants", body).await;
    assert_eq!(status, 400);
    let fields: Vec<&Value> =
        problem["errors"].as_array().unwrap().iter().map(|it| &it["field"]).collect();
    for field in ["name", "rate_limit_rpm", "colour"] {
        assert!(fields.contains(&&json!(field)), "{problem}");
    }
    assert_eq!(ask(&gateway, "POST", "/admin/tenants", "[1]").await.0, 400);
    assert_eq!(ask(&gateway, "POST", "/admin/tenants", "{").await.0, 400);
    let xml = [("content-type", "text/xml")];
    let make = ("POST", "/admin/tenants");
    assert_eq!(ask_with(&gateway, "root", make, &xml, "<a/>").await.status, 415);
    assert_eq!(ask(&gateway, "DELETE", "/admin/tenants", "").await.0, 405);
    assert_eq!(ask(&gateway, "GET", "/admin/nothing", "").await.0, 404);
}

#[tokio::test]
async fn a_repeated_request_makes_one_tenant() {
    let first = provider().await;
    let gateway = administrated(&first).await;
    let key = [("idempotency-key", "try-1")];
    let make = ("POST", "/admin/tenants");
    let body = r#"{"name": "once"}"#;
    let first = ask_with(&gateway, "root", make, &key, body).await;
    let first = (first.status, first.json().await.unwrap());
    let again = ask_with(&gateway, "root", make, &key, body).await;
    assert_eq!((again.status, again.json().await.unwrap()), first);
    let other = ask_with(&gateway, "root", make, &key, r#"{"name": "twice"}"#).await;
    assert_eq!(other.status, 422);
    let wrong = ask_with(&gateway, "root", make, &[("idempotency-key", "try-2")], "{}").await;
    assert_eq!(wrong.status, 400);
    let mended =
        ask_with(&gateway, "root", make, &[("idempotency-key", "try-2")], r#"{"name": "x"}"#);
    assert_eq!(mended.await.status, 201);
    let secret = first.1["api_key"].as_str().unwrap();
    let database = std::fs::read(gateway.folder().join("lockgate.db-wal")).unwrap();
    assert!(!database.windows(secret.len()).any(|it| it == secret.as_bytes()));
}

#[tokio::test]
async fn lists_have_pages_and_begin_with_the_configurations_tenants() {
    let first = provider().await;
    let gateway = administrated(&first).await;
    for name in ["a", "b", "c"] {
        create(&gateway, &json!({ "name": name }).to_string()).await;
    }
    let (_, first) = ask(&gateway, "GET", "/admin/tenants?limit=2", "").await;
    assert_eq!(first["tenants"][0]["name"], "default");
    assert_eq!(first["count"], 3);
    let cursor = first["next_cursor"].as_str().unwrap();
    let (_, rest) = ask(&gateway, "GET", &format!("/admin/tenants?cursor={cursor}"), "").await;
    assert_eq!((&rest["count"], &rest["next_cursor"]), (&json!(1), &Value::Null));
    for wrong in ["limit=0", "cursor=zzz"] {
        assert_eq!(ask(&gateway, "GET", &format!("/admin/tenants?{wrong}"), "").await.0, 400);
    }
    let (_, by_name) = ask(&gateway, "GET", "/admin/tenants/a", "").await;
    assert_eq!(by_name["name"], "a");
    assert_eq!(ask(&gateway, "PATCH", "/admin/tenants/default", "{}").await.0, 409);

    let (_, usage) = ask(&gateway, "GET", "/admin/usage", "").await;
    assert_eq!(usage["count"], 4);
    let (_, audit) = ask(&gateway, "GET", "/admin/audit?limit=2", "").await;
    assert_eq!(audit["count"], 2);
    let cursor = audit["next_cursor"].as_str().unwrap();
    let (_, rest) = ask(&gateway, "GET", &format!("/admin/audit?cursor={cursor}"), "").await;
    assert_eq!(rest["count"], 4, "three tenants and their keys leave six entries");
    assert_eq!(rest["entries"][0]["actor"], "root");
}

#[tokio::test]
async fn a_correction_is_made_once_and_leaves_an_entry() {
    let first = provider().await;
    let gateway = administrated(&first).await;
    let (id, _) = create(&gateway, r#"{"name": "search"}"#).await;
    let path = format!("/admin/tenants/{id}/adjust");
    assert_eq!(ask(&gateway, "POST", &path, r#"{"amount_usd": 1.5}"#).await.0, 200);
    let body = r#"{"amount_usd": -1.5, "id": "refund-7", "reason": "a lost call"}"#;
    let (status, done) = ask(&gateway, "POST", &path, body).await;
    assert_eq!((status, &done["applied"]), (200, &json!(true)));
    assert_eq!(ask(&gateway, "POST", &path, body).await.1["applied"], false);
    for wrong in [r#"{"amount_usd": "x"}"#, r#"{"amount_usd": 4.9e-7}"#] {
        assert_eq!(ask(&gateway, "POST", &path, wrong).await.0, 400, "{wrong}");
    }
    let (status, refused) = ask(&gateway, "POST", &path, r#"{"amount_usd": -0.01}"#).await;
    assert_eq!((status, &refused["errors"][0]["field"]), (400, &json!("amount_usd")), "{refused}");
    let (_, audit) = ask(&gateway, "GET", "/admin/audit", "").await;
    assert_eq!(audit["entries"][0]["changes"]["reason"]["after"], "a lost call");
}

#[tokio::test]
async fn a_tenant_that_is_refused_is_not_made() {
    let first = provider().await;
    let gateway = administrated(&first).await;
    for wrong in [
        r#"{"name": "search", "provider": "first", "provider_api_key": 5}"#,
        r#"{"name": "search", "provider": "first", "provider_api_key": ""}"#,
        r#"{"name": "search", "provider_api_key": "sk-1"}"#,
        r#"{"name": "search", "provider": "nobody", "provider_api_key": "sk-1"}"#,
        r#"{"name": "search", "key_prefix": "a b"}"#,
    ] {
        assert_eq!(ask(&gateway, "POST", "/admin/tenants", wrong).await.0, 400, "{wrong}");
    }
    let (_, tenants) = ask(&gateway, "GET", "/admin/tenants", "").await;
    let names: Vec<_> =
        tenants["tenants"].as_array().unwrap().iter().map(|it| &it["name"]).collect();
    assert!(!names.contains(&&json!("search")), "{tenants}");
    create(&gateway, r#"{"name": "search", "budget_usd": 1e-6}"#).await;
}

/// A gateway whose configuration declares a tenant `yam`.
async fn declaring(first: &FakeProvider) -> Lockgate {
    let tenant =
        "{ name: yam, api_keys: [a-long-enough-key, { key: another-key-of-yam, name: second }] }";
    gateway_for(
        first,
        &format!("models: [{{ name: small, provider: first }}]\ntenants: [{tenant}]{USERS}"),
    )
    .await
}

#[tokio::test]
async fn a_name_leads_to_one_tenant() {
    let first = provider().await;
    let gateway = declaring(&first).await;
    let (id, _) = create(&gateway, r#"{"name": "stored"}"#).await;
    for (name, status) in
        [("yam", 409), ("default", 409), (id.as_str(), 400), (" b", 400), ("..", 400), ("ä/x", 400)]
    {
        let body = json!({ "name": name }).to_string();
        assert_eq!(ask(&gateway, "POST", "/admin/tenants", &body).await.0, status, "{name}");
        let path = "/admin/tenants/stored";
        assert_eq!(ask(&gateway, "PATCH", path, &body).await.0, status, "{name}");
    }
    let (status, _) = ask(&gateway, "PATCH", "/admin/tenants/stored", r#"{"name": "other"}"#).await;
    assert_eq!(status, 200);
}

#[tokio::test]
async fn the_keys_of_a_declared_tenant_are_listed_without_their_text() {
    let first = provider().await;
    let gateway = declaring(&first).await;
    let (status, keys) = ask(&gateway, "GET", "/admin/tenants/yam/keys", "").await;
    assert_eq!((status, &keys["count"]), (200, &json!(2)), "{keys}");
    assert_eq!(
        (&keys["keys"][1]["id"], &keys["keys"][1]["active"]),
        (&json!("second"), &json!(true))
    );
    assert_eq!(keys["keys"][0]["created_at"], Value::Null);
    assert!(!keys.to_string().contains("-key"), "{keys}");
    let (_, default) = ask(&gateway, "GET", "/admin/tenants/default/keys", "").await;
    assert_eq!(default["count"], 1, "{default}");
    assert_eq!(ask(&gateway, "POST", "/admin/tenants/yam/keys", "").await.0, 409);
}

#[tokio::test]
async fn a_tenant_is_switched_off_only_in_the_version_that_was_read() {
    let first = provider().await;
    let gateway = administrated(&first).await;
    let (id, _) = create(&gateway, r#"{"name": "search"}"#).await;
    for (action, version, status) in
        [("disable", "7", 412), ("disable", "1", 200), ("enable", "1", 412), ("enable", "2", 200)]
    {
        let version = format!("\"{version}\"");
        let request = ("POST", &*format!("/admin/tenants/{id}/{action}"));
        let response = ask_with(&gateway, "root", request, &[("if-match", &version)], "").await;
        assert_eq!(response.status.as_u16(), status, "{action} {version}");
    }
}

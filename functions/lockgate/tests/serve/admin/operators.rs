//! Who may sign in, and what each role may do.

use serde_json::{Value, json};
use testkit::lockgate::Lockgate;

use super::{administrated, ask, ask_with, basic};
use crate::support::{program, provider, send};

async fn status(gateway: &Lockgate, headers: &[(&str, &str)]) -> u16 {
    send(gateway, "GET", "/admin/me", headers, "").await.status.as_u16()
}

#[tokio::test]
async fn the_first_start_prints_a_password_that_signs_in() {
    let gateway = program().start().await;
    let printed = gateway.printed("with the password ").await;
    let (_, password) = printed.split_once("with the password ").unwrap();
    let password = password.split_whitespace().next().unwrap().to_owned();
    let right = basic("admin", &password);
    let response = send(&gateway, "GET", "/admin/me", &[("authorization", &right)], "").await;
    assert_eq!(response.json().await.unwrap(), json!({"name": "admin", "role": "admin"}));
    let headers = [("authorization", right.as_str())];
    let refused = send(&gateway, "DELETE", "/admin/operators/admin", &headers, "").await;
    assert_eq!(refused.status, 409, "somebody has to stay");
    let database = std::fs::read(gateway.folder().join("lockgate.db")).unwrap();
    let is_stored = database.windows(password.len()).any(|it| it == password.as_bytes());
    assert!(!is_stored, "the password is stored as a hash alone");
}

#[tokio::test]
async fn nobody_enters_without_the_right_credentials() {
    let first = provider().await;
    let gateway = administrated(&first).await;
    let right = basic("root", "root-password");
    assert_eq!(status(&gateway, &[("authorization", &right)]).await, 200);
    for wrong in [
        basic("root", "wrong"),
        basic("nobody", "root-password"),
        basic("root", ""),
        "Bearer lga-0000".to_owned(),
        "Bearer gateway-key".to_owned(),
    ] {
        let response = send(&gateway, "GET", "/admin/me", &[("authorization", &wrong)], "").await;
        assert_eq!(response.status, 401, "{wrong}");
        assert_eq!(response.headers["content-type"], "application/problem+json");
        assert!(response.headers["www-authenticate"].to_str().unwrap().starts_with("Basic "));
        let problem = response.json().await.unwrap();
        assert_eq!(problem["status"], 401);
        assert!(problem["request_id"].is_string() && problem["detail"].is_string());
    }
    assert_eq!(status(&gateway, &[]).await, 401);
    assert_eq!(status(&gateway, &[("cookie", "__Host-lockgate=authenticated")]).await, 401);
}

#[tokio::test]
async fn guessing_a_password_is_slowed_down_and_the_operator_is_not() {
    let first = provider().await;
    let gateway = administrated(&first).await;
    let right = basic("root", "root-password");
    assert_eq!(status(&gateway, &[("authorization", &right)]).await, 200);
    let wrong = basic("root", "guess");
    let mut statuses = vec![];
    for _ in 0..12 {
        statuses.push(status(&gateway, &[("authorization", &wrong)]).await);
    }
    assert_eq!(&statuses[..10], [401; 10]);
    assert_eq!(&statuses[10..], [429; 2]);
    let slowed = send(&gateway, "GET", "/admin/me", &[("authorization", &wrong)], "").await;
    assert!(slowed.headers.contains_key("retry-after"));
    // Whoever signed in a moment ago is remembered, and not locked out by a guesser.
    assert_eq!(status(&gateway, &[("authorization", &right)]).await, 200);
}

/// Sends the form that signs in.
async fn sign_in(gateway: &Lockgate, form: &str) -> u16 {
    let headers = [
        ("content-type", "application/x-www-form-urlencoded"),
        ("sec-fetch-site", "same-origin"),
        ("accept", "text/html"),
    ];
    send(gateway, "POST", "/admin/sign-in", &headers, form.to_owned()).await.status.as_u16()
}

#[tokio::test]
async fn who_signed_in_and_who_guessed_too_often_is_in_the_audit_once() {
    let first = provider().await;
    let gateway = administrated(&first).await;
    assert_eq!(sign_in(&gateway, "name=edda&password=edda-password").await, 303);
    for _ in 0..12 {
        sign_in(&gateway, "name=vera&password=guess").await;
        // Whoever types a password in place of a name must not find it there.
        sign_in(&gateway, "name=vera-password&password=x").await;
    }
    let (_, audit) = ask(&gateway, "GET", "/admin/audit", "").await;
    let entries = audit["entries"].as_array().unwrap();
    let log_ins: Vec<_> = entries.iter().filter(|it| it["action"] == "log_in").collect();
    assert_eq!(log_ins.len(), 2, "HTTP Basic with each request is none: {audit}");
    let is_refused = |it: &&Value| it["changes"]["refused"].is_string();
    assert_eq!((&log_ins[0]["actor"], is_refused(&log_ins[0])), (&json!("vera"), true));
    assert_eq!((&log_ins[1]["actor"], is_refused(&log_ins[1])), (&json!("edda"), false));
    assert_eq!(log_ins[1]["changes"]["address"], "127.0.0.1", "{audit}");
}

#[tokio::test]
async fn an_operator_of_the_configuration_is_not_made_again() {
    let first = provider().await;
    let gateway = administrated(&first).await;
    let body = r#"{"name": "vera", "password": "another-password"}"#;
    assert_eq!(ask(&gateway, "POST", "/admin/operators", body).await.0, 409);
}

#[tokio::test]
async fn a_role_may_what_the_table_of_endpoints_says() {
    let first = provider().await;
    let gateway = administrated(&first).await;
    let tenant = r#"{"name": "made-by-an-editor"}"#;
    for (name, method, path, body, expected) in [
        ("vera", "GET", "/admin/tenants", "", 200),
        ("vera", "POST", "/admin/tenants", tenant, 403),
        ("edda", "POST", "/admin/tenants", tenant, 201),
        ("edda", "GET", "/admin/operators", "", 403),
        ("edda", "PUT", "/admin/config", "", 403),
        ("root", "GET", "/admin/operators", "", 200),
    ] {
        let response = ask_with(&gateway, name, (method, path), &[], body).await;
        assert_eq!(response.status.as_u16(), expected, "{name} {method} {path}");
    }
}

#[tokio::test]
async fn a_page_of_another_origin_changes_nothing() {
    let first = provider().await;
    let gateway = administrated(&first).await;
    let make = ("POST", "/admin/tenants");
    let body = r#"{"name": "forged"}"#;
    let own = gateway.url().to_owned();
    for headers in [
        vec![("origin", "https://evil.example")],
        vec![("sec-fetch-site", "cross-site")],
        vec![("sec-fetch-site", "same-site"), ("origin", "https://evil.example")],
        vec![("origin", "null")],
    ] {
        let response = ask_with(&gateway, "root", make, &headers, body).await;
        assert_eq!(response.status, 403, "{headers:?}");
    }
    let (_, list) = ask(&gateway, "GET", "/admin/tenants", "").await;
    assert!(!list.to_string().contains("forged"));
    let response = ask_with(&gateway, "root", make, &[("origin", &own)], body).await;
    assert_eq!(response.status, 201);
}

#[tokio::test]
async fn a_token_has_its_role_until_it_is_revoked() {
    let first = provider().await;
    let gateway = administrated(&first).await;
    let (created, token) =
        ask(&gateway, "POST", "/admin/tokens", r#"{"name": "ci", "role": "editor"}"#).await;
    assert_eq!(created, 201);
    let bearer = format!("Bearer {}", token["token"].as_str().unwrap());
    let headers = [("authorization", bearer.as_str())];
    assert_eq!(status(&gateway, &headers).await, 200);
    let refused = send(&gateway, "GET", "/admin/tokens", &headers, "").await;
    assert_eq!(refused.status, 403);
    let (_, list) = ask(&gateway, "GET", "/admin/tokens", "").await;
    assert_eq!(list["count"], 1);
    assert!(!list.to_string().contains(token["token"].as_str().unwrap()));
    let path = format!("/admin/tokens/{}", token["id"].as_str().unwrap());
    assert_eq!(ask(&gateway, "DELETE", &path, "").await.0, 204);
    assert_eq!(status(&gateway, &headers).await, 401);
}

#[tokio::test]
async fn operators_are_made_changed_and_removed() {
    let first = provider().await;
    let gateway = administrated(&first).await;
    let otto = r#"{"name": "otto", "password": "otto-password", "role": "viewer"}"#;
    let mia = r#"{"name": "mia", "password": "mia-password", "role": "admin"}"#;
    assert_eq!(ask(&gateway, "POST", "/admin/operators", mia).await.0, 201);
    assert_eq!(ask(&gateway, "POST", "/admin/operators", otto).await.0, 201);
    assert_eq!(ask(&gateway, "POST", "/admin/operators", otto).await.0, 409);
    let short = r#"{"name": "x", "password": "short"}"#;
    let (refused, problem) = ask(&gateway, "POST", "/admin/operators", short).await;
    assert_eq!((refused, &problem["field"]), (400, &json!("password")));

    let read = ask_with(&gateway, "otto", ("GET", "/admin/tenants"), &[], "").await;
    assert_eq!(read.status, 200);
    let change = r#"{"password": "another-password"}"#;
    assert_eq!(ask(&gateway, "PATCH", "/admin/operators/otto", change).await.0, 200);
    let read = ask_with(&gateway, "otto", ("GET", "/admin/tenants"), &[], "").await;
    assert_eq!(read.status, 401, "the old password is gone at once");
    assert_eq!(ask(&gateway, "DELETE", "/admin/operators/otto", "").await.0, 204);
    assert_eq!(ask(&gateway, "DELETE", "/admin/operators/mia", "").await.0, 204);

    let (_, audit) = ask(&gateway, "GET", "/admin/audit", "").await;
    let actions: Vec<&Value> =
        audit["entries"].as_array().unwrap().iter().map(|it| &it["action"]).collect();
    assert!(actions.contains(&&json!("delete_operator")), "{audit}");
    assert!(!audit.to_string().contains("another-password"));
}

#[tokio::test]
async fn a_password_changed_in_the_configuration_ends_its_operators_sessions() {
    let first = provider().await;
    let gateway = administrated(&first).await;
    let form = "name=vera&password=vera-password";
    let headers = [
        ("content-type", "application/x-www-form-urlencoded"),
        ("sec-fetch-site", "same-origin"),
        ("accept", "text/html"),
    ];
    let signed_in = send(&gateway, "POST", "/admin/sign-in", &headers, form).await;
    let cookie = signed_in.header("set-cookie").split(';').next().unwrap().to_owned();
    assert_eq!(status(&gateway, &[("cookie", &cookie)]).await, 200);

    let path = gateway.folder().join("config.yaml");
    let yaml = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, yaml.replace("password: vera-password", "password: another-one"))
        .unwrap();
    while status(&gateway, &[("cookie", &cookie)]).await == 200 {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let changed = basic("vera", "another-one");
    assert_eq!(status(&gateway, &[("authorization", &changed)]).await, 200);
}

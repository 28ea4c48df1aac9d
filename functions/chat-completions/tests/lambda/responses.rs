//! Whole responses, and which requests may get them.

use http::Method;
use serde_json::json;
use testkit::{
    client,
    lambda::{Emulator, Outcome},
    openai,
};

use crate::{Gateway, KEY, message, question};

#[tokio::test]
async fn a_whole_response_is_returned() {
    let gateway = Gateway::start().await;
    gateway.fake.respond_with([openai::completion("Hello!")]);
    let response = gateway.ask().await;
    assert_eq!(response.status, 200);
    assert_eq!(response.header("content-type"), "application/json");
    assert_eq!(response.header("x-gateway-provider"), "first");
    assert_eq!(response.header("x-amzn-remapped-content-length"), "");
    let id = response.header("x-request-id").to_owned();
    let body = response.json().await.unwrap();
    assert_eq!(body["choices"][0]["message"]["content"], "Hello!");
    assert_eq!(body["x_gateway"]["request_id"], id);
    assert_eq!(gateway.fake.requests()[0].header("authorization"), "Bearer value-of-FIRST_KEY");
    gateway.is_well();
}

#[tokio::test]
async fn a_rate_limited_target_is_failed_over() {
    let gateway = Gateway::start().await;
    let busy = openai::error(429, "rate_limit_error", "slow down").header("retry-after", "30");
    gateway.fake.respond_with([busy, openai::completion("Hello!")]);
    let response = gateway.ask().await;
    assert_eq!(response.header("x-gateway-attempts"), "2");
    let body = response.json().await.unwrap();
    let attempts = body["x_gateway"]["attempts"].as_array().unwrap();
    let outcomes: Vec<_> = attempts.iter().map(|it| (&it["provider"], &it["status"])).collect();
    assert_eq!(outcomes, [(&json!("first"), &json!(429)), (&json!("second"), &json!(200))]);
    assert_eq!(gateway.requests(), ["first", "second"]);
    gateway.is_well();
}

#[tokio::test]
async fn the_error_lists_the_attempts_when_every_target_fails() {
    let gateway = Gateway::start().await;
    gateway.fake.respond_with([openai::error(500, "server_error", "we broke")]);
    let response = gateway.ask().await;
    assert_eq!(response.status, 502);
    let body = response.json().await.unwrap();
    assert!(message(&body).contains("first"), "{body}");
    assert_eq!(body["error"]["attempts"].as_array().unwrap().len(), 2);
    gateway.is_well();
}

#[tokio::test]
async fn a_wrong_key_is_unauthorized() {
    let gateway = Gateway::start().await;
    for key in ["", "wrong"] {
        let response = client::post_json(&gateway.url(), key, &question()).await.unwrap();
        assert_eq!(response.status, 401);
        assert_eq!(response.header("www-authenticate"), "Bearer");
        assert_eq!(response.json().await.unwrap()["error"]["code"], "auth");
    }
    assert!(gateway.fake.requests().is_empty());
    gateway.is_well();
}

#[tokio::test]
async fn an_unknown_path_returns_a_json_error() {
    let gateway = Gateway::start().await;
    let response = gateway.request(Method::POST, "/v1/nothing").await;
    assert_eq!(response.status, 404);
    assert!(message(&response.json().await.unwrap()).contains("/v1/nothing"));
    gateway.is_well();
}

/// A stream that ends without a byte leaves the connection open until the function's time is over.
#[tokio::test]
async fn every_wrong_method_gets_a_body() {
    let gateway = Gateway::start().await;
    for method in [Method::GET, Method::PUT, Method::DELETE, Method::OPTIONS, Method::HEAD] {
        let response = gateway.request(method.clone(), crate::PATH).await;
        assert_eq!((response.status.as_u16(), response.header("allow")), (405, "POST"), "{method}");
        let body = response.bytes().await.unwrap();
        assert_eq!(body.is_empty(), method == Method::HEAD, "{method}");
    }
    gateway.is_well();
}

#[tokio::test]
async fn only_requests_through_the_distribution_are_accepted() {
    let secrets = |secret: &str, previous: &str| {
        let (secret, previous) = (secret.to_owned(), previous.to_owned());
        Gateway::start_as(move |it| {
            it.env("ORIGIN_SECRET", &secret).env("ORIGIN_SECRET_PREVIOUS", &previous)
        })
    };
    for (secret, previous, status) in [
        ("front-door", "", 200),
        ("the-next", "front-door", 200),
        ("the-next", "", 403),
        ("the-next", "the-one-before", 403),
    ] {
        let gateway = secrets(secret, previous).await;
        gateway.fake.respond_with([openai::completion("Hello!")]);
        assert_eq!(gateway.ask().await.status, status, "{secret}, {previous}");
        gateway.is_well();
    }
}

#[tokio::test]
async fn the_bare_function_url_is_forbidden() {
    let gateway = Gateway::start_as(|it| it.env("ORIGIN_SECRET", "front-door")).await;
    let raw = format!("{}/_raw/chat-completions{}", gateway.emulator.url(), crate::PATH);
    let response = client::post_json(&raw, KEY, &question()).await.unwrap();
    assert_eq!(response.status, 403);
    assert!(message(&response.json().await.unwrap()).contains("base URL"));
    gateway.is_well();
}

#[tokio::test]
async fn a_process_continues_after_a_freeze() {
    let gateway = Gateway::start_as(|mut it| {
        it.freeze = true;
        it
    })
    .await;
    gateway.fake.respond_with([openai::completion("Hello!")]);
    for _ in 0..3 {
        assert_eq!(gateway.ask().await.status, 200);
    }
    let report = gateway.emulator.report();
    assert_eq!(report.starts_of("chat-completions"), 1);
    assert_eq!(report.outcomes_of("chat-completions"), [&Outcome::Answered; 3]);
}

#[tokio::test]
async fn a_cold_start_logs_no_error() {
    let gateway = Gateway::start().await;
    gateway.fake.respond_with([openai::completion("Hello!")]);
    gateway.ask().await.bytes().await.unwrap();
    let report = gateway.emulator.report();
    assert!(report.cold_starts[0].init_micros.is_some());
    let odd: Vec<_> = report
        .lines
        .iter()
        .filter(|it| it.text.contains("\"ERROR\"") || it.text.contains("\"WARN\""))
        .collect();
    assert!(odd.is_empty(), "{odd:?}");
}

#[tokio::test]
async fn a_call_writes_one_log_line_without_secrets() {
    let gateway = Gateway::start().await;
    let broken = openai::error(500, "server_error", "we broke");
    gateway.fake.respond_with([broken, openai::completion("A very private answer.")]);
    gateway.ask().await.bytes().await.unwrap();
    gateway.emulator.printed("call ended").await;
    let lines = gateway.emulator.report().lines;
    let calls: Vec<_> = lines.iter().filter(|it| it.text.contains("call ended")).collect();
    assert_eq!(calls.len(), 1);
    assert!(calls[0].text.contains("first/a server_error 500"), "{}", calls[0].text);
    for secret in ["value-of-", "Hello?", "very private"] {
        assert!(lines.iter().all(|it| !it.text.contains(secret)), "{lines:?}");
    }
}

#[tokio::test]
async fn a_function_without_table_names_reports_it() {
    let function =
        testkit::lambda::Function::new("chat", env!("CARGO_BIN_EXE_chat-completions")).path("*");
    let emulator = Emulator::builder().function(function).start().await;
    let response = client::get(&emulator.url()).await.unwrap();
    assert_eq!(response.status, 502);
    emulator.printed("the variable CONFIG_TABLE is not set").await;
}

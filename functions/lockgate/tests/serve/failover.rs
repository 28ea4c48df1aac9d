//! Which failures lead to the next step, and which stop.

use serde_json::{Value, json};
use testkit::openai;
use testkit::provider::{FakeProvider, ScriptedResponse};

use crate::support::{
    BOTH, ask, attempts_of, error_of, gateway_for, gateway_for_both, hello, hello_streamed,
    provider, raw_tcp_server, serve, streaming_provider, text_in, text_of, unused_address, yaml,
};

/// The attempts of a call whose first provider responds with this, and whose second succeeds.
async fn advances(first_answer: ScriptedResponse) -> Vec<String> {
    let (first, second) = (FakeProvider::start().await, provider().await);
    first.respond_with([first_answer]);
    let gateway = gateway_for_both(&first, &second, BOTH).await;
    let body = ask(&gateway, &hello("both")).await.json().await.unwrap();
    assert_eq!(body["choices"][0]["message"]["content"], "Hi", "{body}");
    attempts_of(&body["x_gateway"])
}

/// The status and the error of a call whose first provider responds with this; no other is attempted.
async fn stops(first_answer: ScriptedResponse) -> (u16, Value) {
    let (first, second) = (FakeProvider::start().await, provider().await);
    first.respond_with([first_answer]);
    let gateway = gateway_for_both(&first, &second, BOTH).await;
    let refusal = error_of(ask(&gateway, &hello("both")).await).await;
    assert!(second.requests().is_empty());
    refusal
}

/// The trail of a call whose first provider is at this address.
async fn advances_from(url: &str) -> Vec<String> {
    let second = provider().await;
    let gateway = serve(&yaml(&[("first", url), ("second", &second.url())], BOTH)).await;
    let body = ask(&gateway, &hello("both")).await.json().await.unwrap();
    attempts_of(&body["x_gateway"])
}

#[tokio::test]
async fn no_target_is_attempted_after_a_success() {
    let (first, second) = (provider().await, provider().await);
    let gateway = gateway_for_both(&first, &second, BOTH).await;
    let response = ask(&gateway, &hello("both")).await;
    assert_eq!(response.header("x-gateway-attempts"), "1");
    assert_eq!((first.requests().len(), second.requests().len()), (1, 0));
}

#[tokio::test]
async fn targets_are_attempted_in_order() {
    let (first, second) = (FakeProvider::start().await, provider().await);
    let steps = "routes: [{ name: r, cooldown: 0s, steps: [\
        { provider: second, model: a }, { provider: first, model: b }, { provider: second, model: c }] }]";
    second.respond_with([openai::error(500, "x", "one"), openai::completion("Hi")]);
    first.respond_with([openai::error(500, "x", "two")]);
    let gateway = gateway_for_both(&first, &second, steps).await;
    let body = ask(&gateway, &hello("r")).await.json().await.unwrap();
    let models: Vec<_> = body["x_gateway"]["attempts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["model"].clone())
        .collect();
    assert_eq!(models, ["a", "b", "c"]);
}

#[tokio::test]
async fn each_attempt_sends_the_clients_original_request() {
    let (first, second) = (FakeProvider::start().await, provider().await);
    first.respond_with([openai::error(500, "x", "no")]);
    let gateway = gateway_for_both(&first, &second, BOTH).await;
    ask(&gateway, &hello("both")).await;
    assert_eq!(first.requests()[0].json(), hello("small"));
    assert_eq!(second.requests()[0].json(), hello("large"));
}

#[tokio::test]
async fn rate_limits_conflicts_and_server_errors_advance() {
    for (status, outcome) in [
        (408, "timeout"),
        (409, "server_error"),
        (429, "rate_limit"),
        (498, "server_error"),
        (500, "server_error"),
        (502, "server_error"),
        (503, "server_error"),
        (504, "timeout"),
        (529, "server_error"),
    ] {
        let attempts_of = advances(openai::error(status, "x", "no")).await;
        assert_eq!(
            attempts_of,
            [format!("first {outcome} {status}"), "second success 200".to_owned()]
        );
    }
}

#[tokio::test]
async fn proxy_errors_advance() {
    for status in [401, 402, 403, 404] {
        let attempts_of = advances(openai::error(status, "x", "no")).await;
        assert_eq!(
            attempts_of,
            [format!("first server_error {status}"), "second success 200".to_owned()]
        );
    }
}

#[tokio::test]
async fn a_wrong_provider_key_is_not_the_clients_error() {
    let first = FakeProvider::start().await;
    first.respond_with([openai::error(401, "invalid_request_error", "bad key")]);
    let gateway = gateway_for(&first, "").await;
    let (status, error) = error_of(ask(&gateway, &hello("first/m")).await).await;
    assert_eq!((status, &error["type"]), (502, &json!("server_error")));
}

#[tokio::test]
async fn a_bad_request_is_returned_without_failover() {
    for (status, code) in
        [(400, "invalid_request"), (413, "request_too_large"), (422, "invalid_request")]
    {
        let error_body = json!({"error": {"message": "no such field", "type": "x", "param": "messages[0].name", "code": "y"}});
        let (got, error) = stops(ScriptedResponse::json(status, &error_body)).await;
        assert_eq!(got, status);
        assert_eq!(error["message"], "Provider first: no such field");
        assert_eq!((&error["param"], &error["code"]), (&json!("messages[0].name"), &json!(code)));
        assert_eq!(error["type"], "invalid_request_error");
        assert_eq!(attempts_of(&error), [format!("first invalid_request {status}")]);
    }
}

#[tokio::test]
async fn a_bad_request_advances_with_fallback_on_any() {
    for status in [400, 413, 422, 418] {
        let (first, second) = (FakeProvider::start().await, provider().await);
        first.respond_with([openai::error(status, "x", "no")]);
        let any = BOTH.replace("name: both", "name: both\n    fallback_on: any");
        let gateway = gateway_for_both(&first, &second, &any).await;
        assert_eq!(text_of(ask(&gateway, &hello("both")).await).await, "Hi", "{status}");
    }
}

#[tokio::test]
async fn a_bad_request_keeps_its_status_when_every_target_rejects_it() {
    let (first, second) = (FakeProvider::start().await, FakeProvider::start().await);
    first.respond_with([openai::error(422, "x", "no such field")]);
    second.respond_with([openai::error(400, "x", "bad")]);
    let any = BOTH.replace("name: both", "name: both\n    fallback_on: any");
    let gateway = gateway_for_both(&first, &second, &any).await;
    let (status, error) = error_of(ask(&gateway, &hello("both")).await).await;
    assert_eq!((status, attempts_of(&error).len()), (422, 2));
}

const TOO_LONG: &str = "This model's maximum context length is 8192 tokens.";

fn windows(first: &str, second: &str) -> String {
    BOTH.replace("model: small", &format!("model: small{first}"))
        .replace("model: large", &format!("model: large{second}"))
}

#[tokio::test]
async fn a_too_long_prompt_advances_to_a_larger_context_window() {
    let (first, second) = (FakeProvider::start().await, provider().await);
    first.respond_with([openai::error(400, "invalid_request_error", TOO_LONG)]);
    let larger = windows(", context_window: 8192", ", context_window: 100000");
    let gateway = gateway_for_both(&first, &second, &larger).await;
    assert_eq!(text_of(ask(&gateway, &hello("both")).await).await, "Hi");
}

#[tokio::test]
async fn a_prompt_that_is_too_long_goes_to_a_model_that_is_not_known_to_hold_as_little() {
    for (first_window, second_window) in
        [("", ""), (", context_window: 8192", ""), ("", ", context_window: 4096")]
    {
        let (first, second) = (FakeProvider::start().await, provider().await);
        first.respond_with([openai::error(400, "invalid_request_error", TOO_LONG)]);
        let gateway =
            gateway_for_both(&first, &second, &windows(first_window, second_window)).await;
        assert_eq!(text_of(ask(&gateway, &hello("both")).await).await, "Hi");
    }
}

#[tokio::test]
async fn a_prompt_that_is_too_long_goes_to_no_model_that_holds_as_little() {
    for (first_window, second_window) in [
        (", context_window: 8192", ", context_window: 8192"),
        (", context_window: 8192", ", context_window: 4096"),
    ] {
        let (first, second) = (FakeProvider::start().await, provider().await);
        first.respond_with([openai::error(400, "invalid_request_error", TOO_LONG)]);
        let gateway =
            gateway_for_both(&first, &second, &windows(first_window, second_window)).await;
        let (status, error) = error_of(ask(&gateway, &hello("both")).await).await;
        assert_eq!(status, 400, "{first_window} {second_window}");
        assert_eq!(error["message"], format!("Provider first: {TOO_LONG}"));
        assert!(second.requests().is_empty());
    }
}

#[tokio::test]
async fn an_error_object_with_status_200_advances() {
    let error = json!({"error": {"message": "quota", "code": 429}});
    assert_eq!(
        advances(ScriptedResponse::json(200, &error)).await,
        ["first rate_limit null", "second success 200"]
    );
}

#[tokio::test]
async fn an_invalid_response_advances() {
    for body in
        ["", "nonsense", "<html></html>", "{}", "[]", "{\"choices\":null}", "{\"choices\": [{"]
    {
        let attempts_of = advances(ScriptedResponse::raw(200, "application/json", body)).await;
        assert_eq!(attempts_of, ["first server_error null", "second success 200"], "{body}");
    }
}

#[tokio::test]
async fn a_refused_connection_advances() {
    assert_eq!(
        advances_from(&unused_address()).await,
        ["first network null", "second success 200"]
    );
}

#[tokio::test]
async fn a_dns_failure_advances() {
    let attempts_of = advances_from("http://provider.invalid:1").await;
    assert_eq!(attempts_of, ["first network null", "second success 200"]);
}

#[tokio::test]
async fn a_reset_connection_advances() {
    assert_eq!(
        advances_from(&raw_tcp_server(b"")).await,
        ["first network null", "second success 200"]
    );
}

#[tokio::test]
async fn a_closed_connection_advances() {
    assert_eq!(
        advances(ScriptedResponse::close()).await,
        ["first network null", "second success 200"]
    );
}

#[tokio::test]
async fn an_invalid_http_response_advances() {
    let url = raw_tcp_server(b"SSH-2.0-OpenSSH_9.9\r\n");
    assert_eq!(advances_from(&url).await, ["first network null", "second success 200"]);
}

#[tokio::test]
async fn a_truncated_response_advances() {
    let url = raw_tcp_server(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"choices\"");
    assert_eq!(advances_from(&url).await, ["first network null", "second success 200"]);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = provider().await;
    for status in [301, 302, 303, 307, 308] {
        let moved = ScriptedResponse::raw(status, "text/plain", "moved")
            .header("location", &elsewhere.url());
        let attempts_of = advances(moved).await;
        assert_eq!(
            attempts_of,
            [format!("first server_error {status}"), "second success 200".to_owned()]
        );
    }
    assert!(elsewhere.requests().is_empty());
}

#[tokio::test]
async fn a_stream_fails_over() {
    for first_answer in
        [openai::error(429, "x", "no"), openai::error(500, "x", "no"), ScriptedResponse::close()]
    {
        let (first, second) = (FakeProvider::start().await, streaming_provider().await);
        first.respond_with([first_answer]);
        let gateway = gateway_for_both(&first, &second, BOTH).await;
        let response = ask(&gateway, &hello_streamed("both")).await;
        assert_eq!(response.header("x-gateway-attempts"), "2");
        assert_eq!(text_in(&response.text().await.unwrap()), "Hello");
    }
}

#[tokio::test]
async fn a_stream_that_cannot_start_is_a_json_error() {
    let first = FakeProvider::start().await;
    first.respond_with([openai::error(400, "x", "no")]);
    let gateway = gateway_for(&first, "").await;
    let response = ask(&gateway, &hello_streamed("first/m")).await;
    assert_eq!(response.header("content-type"), "application/json");
    assert_eq!(error_of(response).await.0, 400);
}

#[tokio::test]
async fn each_target_is_attempted_once_per_call() {
    let (first, second) = (FakeProvider::start().await, FakeProvider::start().await);
    first.respond_with([openai::error(500, "x", "no")]);
    second.respond_with([openai::error(500, "x", "no")]);
    let gateway = gateway_for_both(&first, &second, BOTH).await;
    ask(&gateway, &hello("both")).await;
    assert_eq!((first.requests().len(), second.requests().len()), (1, 1));
}

//! Which failures lead to the next step, and which stop.

use serde_json::{Value, json};
use testkit::openai;
use testkit::provider::{Answer, Fake};

use crate::support::{
    BOTH, ask, babbler, before, before_both, hello, hello_streamed, nobody, provider, refused,
    serve, streamer, text_in, text_of, trail, yaml,
};

/// The trail of a call whose first provider answers this, and whose second answers well.
async fn advances(first_answer: Answer) -> Vec<String> {
    let (first, second) = (Fake::start().await, provider().await);
    first.answers([first_answer]);
    let gateway = before_both(&first, &second, BOTH).await;
    let body = ask(&gateway, &hello("both")).await.json().await.unwrap();
    assert_eq!(body["choices"][0]["message"]["content"], "Hi", "{body}");
    trail(&body["x_gateway"])
}

/// The status and the error of a call whose first provider answers this; no other is asked.
async fn stops(first_answer: Answer) -> (u16, Value) {
    let (first, second) = (Fake::start().await, provider().await);
    first.answers([first_answer]);
    let gateway = before_both(&first, &second, BOTH).await;
    let refusal = refused(ask(&gateway, &hello("both")).await).await;
    assert!(second.seen().is_empty());
    refusal
}

/// The trail of a call whose first provider is at this address.
async fn advances_from(url: &str) -> Vec<String> {
    let second = provider().await;
    let gateway = serve(&yaml(&[("first", url), ("second", &second.url())], BOTH)).await;
    let body = ask(&gateway, &hello("both")).await.json().await.unwrap();
    trail(&body["x_gateway"])
}

#[tokio::test]
async fn the_first_step_that_answers_is_the_last_one_asked() {
    let (first, second) = (provider().await, provider().await);
    let gateway = before_both(&first, &second, BOTH).await;
    let answer = ask(&gateway, &hello("both")).await;
    assert_eq!(answer.header("x-gateway-attempts"), "1");
    assert_eq!((first.seen().len(), second.seen().len()), (1, 0));
}

#[tokio::test]
async fn steps_are_asked_in_their_order() {
    let (first, second) = (Fake::start().await, provider().await);
    let steps = "routes: [{ name: r, cooldown: 0s, steps: [\
        { provider: second, model: a }, { provider: first, model: b }, { provider: second, model: c }] }]";
    second.answers([openai::error(500, "x", "one"), openai::completion("Hi")]);
    first.answers([openai::error(500, "x", "two")]);
    let gateway = before_both(&first, &second, steps).await;
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
async fn each_step_gets_the_clients_own_question() {
    let (first, second) = (Fake::start().await, provider().await);
    first.answers([openai::error(500, "x", "no")]);
    let gateway = before_both(&first, &second, BOTH).await;
    ask(&gateway, &hello("both")).await;
    assert_eq!(first.seen()[0].json(), hello("small"));
    assert_eq!(second.seen()[0].json(), hello("large"));
}

#[tokio::test]
async fn a_limit_a_conflict_and_a_server_fault_advance() {
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
        let trail = advances(openai::error(status, "x", "no")).await;
        assert_eq!(trail, [format!("first {outcome} {status}"), "second success 200".to_owned()]);
    }
}

#[tokio::test]
async fn a_fault_between_us_and_the_provider_advances() {
    for status in [401, 402, 403, 404] {
        let trail = advances(openai::error(status, "x", "no")).await;
        assert_eq!(
            trail,
            [format!("first server_error {status}"), "second success 200".to_owned()]
        );
    }
}

#[tokio::test]
async fn a_wrong_key_of_ours_is_not_blamed_on_the_client() {
    let first = Fake::start().await;
    first.answers([openai::error(401, "invalid_request_error", "bad key")]);
    let gateway = before(&first, "").await;
    let (status, error) = refused(ask(&gateway, &hello("first/m")).await).await;
    assert_eq!((status, &error["type"]), (502, &json!("server_error")));
}

#[tokio::test]
async fn a_bad_request_stops_and_is_passed_on() {
    for status in [400, 413, 422] {
        let said = json!({"error": {"message": "no such field", "type": "x", "param": "messages[0].name", "code": "y"}});
        let (got, error) = stops(Answer::json(status, &said)).await;
        assert_eq!(got, status);
        assert_eq!(error["message"], "Provider first: no such field");
        assert_eq!(
            (&error["param"], &error["code"]),
            (&json!("messages[0].name"), &json!("invalid_request"))
        );
        assert_eq!(error["type"], "invalid_request_error");
        assert_eq!(trail(&error), [format!("first invalid_request {status}")]);
    }
}

#[tokio::test]
async fn a_bad_request_advances_where_the_route_says_any() {
    for status in [400, 413, 422, 418] {
        let (first, second) = (Fake::start().await, provider().await);
        first.answers([openai::error(status, "x", "no")]);
        let any = BOTH.replace("name: both", "name: both\n    fallback_on: any");
        let gateway = before_both(&first, &second, &any).await;
        assert_eq!(text_of(ask(&gateway, &hello("both")).await).await, "Hi", "{status}");
    }
}

#[tokio::test]
async fn when_all_refuse_a_bad_request_under_any_its_status_is_kept() {
    let (first, second) = (Fake::start().await, Fake::start().await);
    first.answers([openai::error(422, "x", "no such field")]);
    second.answers([openai::error(400, "x", "bad")]);
    let any = BOTH.replace("name: both", "name: both\n    fallback_on: any");
    let gateway = before_both(&first, &second, &any).await;
    let (status, error) = refused(ask(&gateway, &hello("both")).await).await;
    assert_eq!((status, trail(&error).len()), (422, 2));
}

const TOO_LONG: &str = "This model's maximum context length is 8192 tokens.";

fn windows(first: &str, second: &str) -> String {
    BOTH.replace("model: small", &format!("model: small{first}"))
        .replace("model: large", &format!("model: large{second}"))
}

#[tokio::test]
async fn a_prompt_that_is_too_long_goes_to_a_model_that_holds_more() {
    let (first, second) = (Fake::start().await, provider().await);
    first.answers([openai::error(400, "invalid_request_error", TOO_LONG)]);
    let larger = windows(", context_window: 8192", ", context_window: 100000");
    let gateway = before_both(&first, &second, &larger).await;
    assert_eq!(text_of(ask(&gateway, &hello("both")).await).await, "Hi");
}

#[tokio::test]
async fn a_prompt_that_is_too_long_goes_to_a_model_that_is_not_known_to_hold_as_little() {
    for (first_window, second_window) in
        [("", ""), (", context_window: 8192", ""), ("", ", context_window: 4096")]
    {
        let (first, second) = (Fake::start().await, provider().await);
        first.answers([openai::error(400, "invalid_request_error", TOO_LONG)]);
        let gateway = before_both(&first, &second, &windows(first_window, second_window)).await;
        assert_eq!(text_of(ask(&gateway, &hello("both")).await).await, "Hi");
    }
}

#[tokio::test]
async fn a_prompt_that_is_too_long_goes_to_no_model_that_holds_as_little() {
    for (first_window, second_window) in [
        (", context_window: 8192", ", context_window: 8192"),
        (", context_window: 8192", ", context_window: 4096"),
    ] {
        let (first, second) = (Fake::start().await, provider().await);
        first.answers([openai::error(400, "invalid_request_error", TOO_LONG)]);
        let gateway = before_both(&first, &second, &windows(first_window, second_window)).await;
        let (status, error) = refused(ask(&gateway, &hello("both")).await).await;
        assert_eq!(status, 400, "{first_window} {second_window}");
        assert_eq!(error["message"], format!("Provider first: {TOO_LONG}"));
        assert!(second.seen().is_empty());
    }
}

#[tokio::test]
async fn an_error_object_inside_a_success_advances() {
    let error = json!({"error": {"message": "quota", "code": 429}});
    assert_eq!(
        advances(Answer::json(200, &error)).await,
        ["first rate_limit null", "second success 200"]
    );
}

#[tokio::test]
async fn an_answer_that_nobody_can_read_advances() {
    for body in
        ["", "nonsense", "<html></html>", "{}", "[]", "{\"choices\":null}", "{\"choices\": [{"]
    {
        let trail = advances(Answer::raw(200, "application/json", body)).await;
        assert_eq!(trail, ["first server_error null", "second success 200"], "{body}");
    }
}

#[tokio::test]
async fn nobody_at_the_address_advances() {
    assert_eq!(advances_from(&nobody()).await, ["first network null", "second success 200"]);
}

#[tokio::test]
async fn a_name_that_does_not_resolve_advances() {
    let trail = advances_from("http://provider.invalid:1").await;
    assert_eq!(trail, ["first network null", "second success 200"]);
}

#[tokio::test]
async fn a_connection_that_is_reset_advances() {
    assert_eq!(advances_from(&babbler(b"")).await, ["first network null", "second success 200"]);
}

#[tokio::test]
async fn a_connection_that_is_closed_advances() {
    assert_eq!(advances(Answer::close()).await, ["first network null", "second success 200"]);
}

#[tokio::test]
async fn garbage_in_place_of_http_advances() {
    let url = babbler(b"SSH-2.0-OpenSSH_9.9\r\n");
    assert_eq!(advances_from(&url).await, ["first network null", "second success 200"]);
}

#[tokio::test]
async fn an_answer_that_is_cut_advances() {
    let url = babbler(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"choices\"");
    assert_eq!(advances_from(&url).await, ["first network null", "second success 200"]);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = provider().await;
    for status in [301, 302, 303, 307, 308] {
        let moved = Answer::raw(status, "text/plain", "moved").header("location", &elsewhere.url());
        let trail = advances(moved).await;
        assert_eq!(
            trail,
            [format!("first server_error {status}"), "second success 200".to_owned()]
        );
    }
    assert!(elsewhere.seen().is_empty());
}

#[tokio::test]
async fn a_stream_falls_back_too() {
    for first_answer in
        [openai::error(429, "x", "no"), openai::error(500, "x", "no"), Answer::close()]
    {
        let (first, second) = (Fake::start().await, streamer().await);
        first.answers([first_answer]);
        let gateway = before_both(&first, &second, BOTH).await;
        let answer = ask(&gateway, &hello_streamed("both")).await;
        assert_eq!(answer.header("x-gateway-attempts"), "2");
        assert_eq!(text_in(&answer.text().await.unwrap()), "Hello");
    }
}

#[tokio::test]
async fn a_stream_that_cannot_begin_is_a_plain_error() {
    let first = Fake::start().await;
    first.answers([openai::error(400, "x", "no")]);
    let gateway = before(&first, "").await;
    let answer = ask(&gateway, &hello_streamed("first/m")).await;
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(refused(answer).await.0, 400);
}

#[tokio::test]
async fn a_call_asks_each_step_once_and_not_more() {
    let (first, second) = (Fake::start().await, Fake::start().await);
    first.answers([openai::error(500, "x", "no")]);
    second.answers([openai::error(500, "x", "no")]);
    let gateway = before_both(&first, &second, BOTH).await;
    ask(&gateway, &hello("both")).await;
    assert_eq!((first.seen().len(), second.seen().len()), (1, 1));
}

//! Streams that break: before the first token another provider takes over, after it the client is
//! told.

use serde_json::json;
use testkit::openai;
use testkit::provider::{FakeProvider, Outcome, ScriptedResponse, Step};

use crate::support::{
    BOTH, ask, attempts_of, chunks_of, data_of, gateway_for, gateway_for_both, hello_streamed,
    streaming_provider, text_in,
};

/// Limits that are soon over.
const SHORT: &str = "
idle_timeout: 300ms
routes:
  - name: both
    steps:
      - { provider: first, model: small, timeout: 300ms }
      - { provider: second, model: large }
";

/// The attempts of a call whose first provider does this, and whose second responds.
async fn passed_over(first_answer: ScriptedResponse) -> Vec<String> {
    let (first, second) = (FakeProvider::start().await, streaming_provider().await);
    first.respond_with([first_answer]);
    let gateway = gateway_for_both(&first, &second, SHORT).await;
    let response = ask(&gateway, &hello_streamed("both")).await;
    assert_eq!((response.status.as_u16(), response.header("x-gateway-provider")), (200, "second"));
    let stream = response.text().await.unwrap();
    assert_eq!(text_in(&stream), "Hello");
    assert!(stream.ends_with("data: [DONE]\n\n") && !stream.contains("\"error\""));
    let metadata = chunks_of(&stream).pop().unwrap()["x_gateway"].take();
    attempts_of(&metadata)
}

/// What a client reads when a provider breaks like this after its first token.
async fn broken(steps: Vec<Step>) -> String {
    let (first, second) = (FakeProvider::start().await, streaming_provider().await);
    let begun = [openai::role(), openai::chunk("Once")];
    first.respond_with([ScriptedResponse::stream(begun.into_iter().chain(steps))]);
    let gateway = gateway_for_both(&first, &second, SHORT).await;
    let response = ask(&gateway, &hello_streamed("both")).await;
    assert_eq!(response.status, 200);
    let id = response.header("x-request-id").to_owned();
    let stream = response.text().await.unwrap();
    assert!(second.requests().is_empty(), "there is no going back after the first token");
    assert!(text_in(&stream).starts_with("Once"));
    assert!(!stream.contains("data: [DONE]") && !stream.contains("\"finish_reason\":\"stop\""));
    let last = chunks_of(&stream).pop().unwrap();
    assert_eq!(last["error"]["request_id"], id);
    assert!(last["error"]["message"].as_str().unwrap().starts_with("Provider first: "));
    assert_eq!(stream.matches("\"error\"").count(), 1);
    gateway.logged("call ended").await;
    assert!(!gateway.log().contains("outcome=\"success\""));
    stream
}

/// The code of the error that ends a broken stream.
async fn code(steps: Vec<Step>) -> String {
    let last = chunks_of(&broken(steps).await).pop().unwrap();
    last["error"]["code"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_role_then_an_error_is_failed_over() {
    let fault = openai::error_event("server_error", "overloaded");
    let attempts_of = passed_over(ScriptedResponse::stream([openai::role(), fault])).await;
    assert_eq!(attempts_of, ["first server_error null", "second success 200"]);
}

#[tokio::test]
async fn a_role_then_a_broken_connection_is_failed_over() {
    let attempts_of = passed_over(ScriptedResponse::stream([openai::role(), Step::Cut])).await;
    assert_eq!(attempts_of, ["first network null", "second success 200"]);
}

#[tokio::test]
async fn a_role_then_silence_is_failed_over() {
    let attempts_of = passed_over(ScriptedResponse::stream([openai::role(), Step::Hang])).await;
    assert_eq!(attempts_of, ["first timeout null", "second success 200"]);
}

#[tokio::test]
async fn a_role_then_the_end_is_failed_over() {
    let attempts_of = passed_over(ScriptedResponse::stream([openai::role()])).await;
    assert_eq!(attempts_of, ["first server_error null", "second success 200"]);
}

#[tokio::test]
async fn a_terminator_without_content_is_failed_over() {
    let attempts_of = passed_over(ScriptedResponse::stream([openai::role(), openai::done()])).await;
    assert_eq!(attempts_of, ["first server_error null", "second success 200"]);
}

#[tokio::test]
async fn comments_are_no_content() {
    let comments = [Step::text(": one\n\n"), Step::text(": two\n\n"), Step::Hang];
    let attempts_of = passed_over(ScriptedResponse::stream(comments)).await;
    assert_eq!(attempts_of, ["first timeout null", "second success 200"]);
}

#[tokio::test]
async fn an_error_as_the_first_event_is_failed_over() {
    let fault = openai::error_event("rate_limit_error", "slow down");
    let attempts_of = passed_over(ScriptedResponse::stream([fault])).await;
    assert_eq!(attempts_of, ["first rate_limit null", "second success 200"]);
}

#[tokio::test]
async fn an_error_with_status_200_is_failed_over() {
    let error = json!({"error": {"message": "quota", "code": 429}});
    let attempts_of = passed_over(ScriptedResponse::json(200, &error)).await;
    assert_eq!(attempts_of, ["first rate_limit null", "second success 200"]);
}

#[tokio::test]
async fn a_malformed_first_event_is_failed_over() {
    let attempts_of =
        passed_over(ScriptedResponse::stream([Step::text("data: {\"choices\":[{\n\n")])).await;
    assert_eq!(attempts_of, ["first server_error null", "second success 200"]);
}

#[tokio::test]
async fn a_non_chat_body_in_place_of_a_stream_is_failed_over() {
    let list = ScriptedResponse::raw(200, "application/json", r#"{"object":"list","data":[]}"#);
    let attempts_of = passed_over(list).await;
    assert_eq!(attempts_of, ["first server_error null", "second success 200"]);
}

#[tokio::test]
async fn an_html_page_in_place_of_a_stream_is_failed_over() {
    let attempts_of =
        passed_over(ScriptedResponse::raw(200, "text/html", "<html>busy</html>")).await;
    assert_eq!(attempts_of, ["first server_error null", "second success 200"]);
}

#[tokio::test]
async fn an_empty_stream_is_failed_over() {
    let attempts_of = passed_over(ScriptedResponse::stream([])).await;
    assert_eq!(attempts_of, ["first server_error null", "second success 200"]);
}

#[tokio::test]
async fn a_failed_over_providers_call_is_cancelled() {
    let (first, second) = (FakeProvider::start().await, streaming_provider().await);
    first.respond_with([ScriptedResponse::stream([openai::role(), Step::Hang])]);
    let gateway = gateway_for_both(&first, &second, SHORT).await;
    assert_eq!(ask(&gateway, &hello_streamed("both")).await.status, 200);
    assert!(first.cancelled().await);
}

#[tokio::test]
async fn a_broken_connection_ends_the_stream_with_an_error() {
    assert_eq!(code(vec![openai::chunk(" upon"), Step::Cut]).await, "network");
}

#[tokio::test]
async fn an_idle_timeout_ends_the_stream_with_an_error() {
    assert_eq!(code(vec![Step::Hang]).await, "timeout");
}

#[tokio::test]
async fn an_error_event_ends_the_stream_with_an_error() {
    let stream = broken(vec![openai::error_event("server_error", "overloaded")]).await;
    let error = chunks_of(&stream).pop().unwrap()["error"].take();
    assert_eq!(error["message"], "Provider first: overloaded");
    assert_eq!((&error["type"], &error["code"]), (&json!("server_error"), &json!("server_error")));
    assert!(error.get("param").is_some());
}

#[tokio::test]
async fn a_rate_limit_mid_stream_keeps_its_type() {
    let fault = Step::text("data: {\"error\":{\"message\":\"quota\",\"code\":429}}\n\n");
    assert_eq!(code(vec![fault]).await, "rate_limit");
}

#[tokio::test]
async fn a_finish_reason_error_ends_the_stream_with_an_error() {
    assert_eq!(code(vec![openai::finish("error")]).await, "server_error");
}

#[tokio::test]
async fn a_malformed_event_ends_the_stream_with_an_error() {
    for malformed in ["data: {\"choices\":[{\"delta\"\n\n", "data: nonsense\n\n", "data: []\n\n"] {
        let steps = vec![Step::text(malformed), openai::finish("stop"), openai::done()];
        assert_eq!(code(steps).await, "server_error", "{malformed}");
    }
}

#[tokio::test]
async fn an_end_without_finish_or_terminator_is_an_error() {
    assert_eq!(code(vec![]).await, "server_error");
}

#[tokio::test]
async fn an_end_without_a_finish_reason_is_an_error() {
    let stream = broken(vec![openai::chunk("more")]).await;
    assert!(!stream.contains("x_gateway"));
}

#[tokio::test]
async fn a_finish_reason_for_a_truncated_response_is_an_error() {
    for reason in ["abort", "insufficient_system_resource", "error"] {
        let stream = broken(vec![openai::finish(reason), openai::done()]).await;
        assert!(stream.contains(reason), "{stream}");
    }
}

#[tokio::test]
async fn an_unwrapped_error_object_is_an_error() {
    let error = r#"{"object":"error","message":"EngineDeadError","type":"InternalServerError"}"#;
    let steps = vec![Step::text(format!("data: {error}\n\n")), openai::done()];
    assert!(broken(steps).await.contains("EngineDeadError"));
}

#[tokio::test]
async fn a_broken_connection_between_finish_and_terminator_is_an_error() {
    assert_eq!(code(vec![openai::finish("stop"), Step::Cut]).await, "network");
}

#[tokio::test]
async fn an_end_within_an_event_is_an_error() {
    let half = Step::text("data: {\"choices\":[{\"delta\":{\"con");
    let stream = broken(vec![half]).await;
    assert!(!data_of(&stream).iter().any(|it| it.ends_with("con")));
}

#[tokio::test]
async fn an_idle_timeout_within_a_tool_call_is_an_error() {
    let call = openai::tool_call(0, "call_1", "weather");
    let steps = vec![call, openai::tool_arguments(0, "{\"ci"), Step::Hang];
    assert_eq!(code(steps).await, "timeout");
}

#[tokio::test]
async fn everything_before_a_failure_in_the_same_packet_is_delivered() {
    let first = FakeProvider::start().await;
    let frames = [openai::chunk("a"), openai::chunk("b"), openai::error_event("x", "broken")];
    let packet: Vec<u8> = frames
        .iter()
        .flat_map(|it| match it {
            Step::Frame(bytes) => bytes.to_vec(),
            _ => vec![],
        })
        .collect();
    first.respond_with([ScriptedResponse::stream([Step::Frame(packet.into())])]);
    let gateway = gateway_for(&first, "").await;
    let stream = ask(&gateway, &hello_streamed("first/m")).await.text().await.unwrap();
    assert_eq!(text_in(&stream), "ab");
    assert!(stream.contains("Provider first: broken"));
}

#[tokio::test]
async fn the_gateway_keeps_serving_after_a_broken_stream() {
    let (first, second) = (FakeProvider::start().await, streaming_provider().await);
    first.respond_with([
        ScriptedResponse::stream([openai::chunk("Once"), Step::Cut]),
        openai::stream(["well"]),
    ]);
    let gateway = gateway_for_both(&first, &second, BOTH).await;
    ask(&gateway, &hello_streamed("both")).await.text().await.unwrap();
    let stream = ask(&gateway, &hello_streamed("both")).await.text().await.unwrap();
    assert_eq!(text_in(&stream), "well");
    assert_eq!(first.requests()[1].outcome, Outcome::Complete);
}

/// A call of a tool whose arguments are cut, as if it were whole.
fn cut_call() -> Vec<Step> {
    let call = [openai::tool_call(0, "call_1", "f"), openai::tool_arguments(0, "{\"x\":")];
    call.into_iter().chain([openai::finish("tool_calls"), openai::done()]).collect()
}

#[tokio::test]
async fn a_stream_that_ends_within_a_call_is_an_error_in_every_format() {
    let first = FakeProvider::start().await;
    first.respond_with([ScriptedResponse::stream(cut_call())]);
    let gateway = gateway_for(&first, "").await;
    let (user, input) = (json!({"role": "user", "content": "Hi"}), json!("Hi"));
    for (path, field, value, end, error) in [
        ("/v1/chat/completions", "messages", json!([user]), "[DONE]", "\"error\""),
        ("/v1/responses", "input", input, "response.completed", "response.failed"),
        ("/v1/messages", "messages", json!([user]), "message_stop", "event: error"),
    ] {
        let mut request = json!({"model": "first/m", "stream": true, "max_tokens": 9});
        request[field] = value;
        let key = [("x-api-key", crate::support::KEY)];
        let response =
            crate::support::send(&gateway, "POST", path, &key, request.to_string()).await;
        let stream = response.text().await.unwrap();
        assert!(stream.contains(error) && !stream.contains(end), "{path}: {stream}");
        assert!(stream.contains("within the arguments for `f`"), "{path}: {stream}");
        assert!(!stream.contains("\"tool_calls\",\"x_gateway\""), "{path}: {stream}");
    }
}

#[tokio::test]
async fn a_whole_response_that_ends_within_a_call_is_failed_over() {
    let (first, second) = (FakeProvider::start().await, crate::support::provider().await);
    first.respond_with([openai::completion_with_tool("call_1", "f", "{\"x\":")]);
    let gateway = gateway_for_both(&first, &second, BOTH).await;
    let response = ask(&gateway, &crate::support::hello("both")).await.json().await.unwrap();
    assert_eq!(
        attempts_of(&response["x_gateway"]),
        ["first server_error null", "second success 200"]
    );
}

//! Streams that break: before the first token another provider takes over, after it the client is
//! told.

use serde_json::json;
use testkit::openai;
use testkit::provider::{Answer, Fake, Outcome, Step};

use crate::support::{
    BOTH, ask, before, before_both, chunks_of, data_of, hello_streamed, streamer, text_in, trail,
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

/// The trail of a call whose first provider does this, and whose second answers.
async fn passed_over(first_answer: Answer) -> Vec<String> {
    let (first, second) = (Fake::start().await, streamer().await);
    first.answers([first_answer]);
    let gateway = before_both(&first, &second, SHORT).await;
    let answer = ask(&gateway, &hello_streamed("both")).await;
    assert_eq!((answer.status.as_u16(), answer.header("x-gateway-provider")), (200, "second"));
    let stream = answer.text().await.unwrap();
    assert_eq!(text_in(&stream), "Hello");
    assert!(stream.ends_with("data: [DONE]\n\n") && !stream.contains("\"error\""));
    let told = chunks_of(&stream).pop().unwrap()["x_gateway"].take();
    trail(&told)
}

/// What a client reads when a provider breaks like this after its first token.
async fn broken(steps: Vec<Step>) -> String {
    let (first, second) = (Fake::start().await, streamer().await);
    let begun = [openai::role(), openai::chunk("Once")];
    first.answers([Answer::stream(begun.into_iter().chain(steps))]);
    let gateway = before_both(&first, &second, SHORT).await;
    let answer = ask(&gateway, &hello_streamed("both")).await;
    assert_eq!(answer.status, 200);
    let id = answer.header("x-request-id").to_owned();
    let stream = answer.text().await.unwrap();
    assert!(second.seen().is_empty(), "there is no going back after the first token");
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
async fn a_role_and_then_an_error_is_passed_over() {
    let fault = openai::error_event("server_error", "overloaded");
    let trail = passed_over(Answer::stream([openai::role(), fault])).await;
    assert_eq!(trail, ["first server_error null", "second success 200"]);
}

#[tokio::test]
async fn a_role_and_then_a_cut_is_passed_over() {
    let trail = passed_over(Answer::stream([openai::role(), Step::Cut])).await;
    assert_eq!(trail, ["first network null", "second success 200"]);
}

#[tokio::test]
async fn a_role_and_then_silence_is_passed_over() {
    let trail = passed_over(Answer::stream([openai::role(), Step::Hang])).await;
    assert_eq!(trail, ["first timeout null", "second success 200"]);
}

#[tokio::test]
async fn a_role_and_then_the_end_is_passed_over() {
    let trail = passed_over(Answer::stream([openai::role()])).await;
    assert_eq!(trail, ["first server_error null", "second success 200"]);
}

#[tokio::test]
async fn a_terminator_without_an_answer_is_passed_over() {
    let trail = passed_over(Answer::stream([openai::role(), openai::done()])).await;
    assert_eq!(trail, ["first server_error null", "second success 200"]);
}

#[tokio::test]
async fn comments_are_no_answer() {
    let comments = [Step::text(": one\n\n"), Step::text(": two\n\n"), Step::Hang];
    let trail = passed_over(Answer::stream(comments)).await;
    assert_eq!(trail, ["first timeout null", "second success 200"]);
}

#[tokio::test]
async fn an_error_as_the_first_event_is_passed_over() {
    let fault = openai::error_event("rate_limit_error", "slow down");
    let trail = passed_over(Answer::stream([fault])).await;
    assert_eq!(trail, ["first rate_limit null", "second success 200"]);
}

#[tokio::test]
async fn an_error_with_status_200_is_passed_over() {
    let error = json!({"error": {"message": "quota", "code": 429}});
    let trail = passed_over(Answer::json(200, &error)).await;
    assert_eq!(trail, ["first rate_limit null", "second success 200"]);
}

#[tokio::test]
async fn a_malformed_first_event_is_passed_over() {
    let trail = passed_over(Answer::stream([Step::text("data: {\"choices\":[{\n\n")])).await;
    assert_eq!(trail, ["first server_error null", "second success 200"]);
}

#[tokio::test]
async fn a_whole_answer_to_who_wants_a_stream_is_passed_over() {
    let trail = passed_over(openai::completion("Hi")).await;
    assert_eq!(trail, ["first server_error null", "second success 200"]);
}

#[tokio::test]
async fn a_page_in_place_of_a_stream_is_passed_over() {
    let trail = passed_over(Answer::raw(200, "text/html", "<html>busy</html>")).await;
    assert_eq!(trail, ["first server_error null", "second success 200"]);
}

#[tokio::test]
async fn an_empty_stream_is_passed_over() {
    let trail = passed_over(Answer::stream([])).await;
    assert_eq!(trail, ["first server_error null", "second success 200"]);
}

#[tokio::test]
async fn a_provider_that_is_passed_over_is_told_so() {
    let (first, second) = (Fake::start().await, streamer().await);
    first.answers([Answer::stream([openai::role(), Step::Hang])]);
    let gateway = before_both(&first, &second, SHORT).await;
    assert_eq!(ask(&gateway, &hello_streamed("both")).await.status, 200);
    assert!(first.cancelled().await);
}

#[tokio::test]
async fn a_cut_is_told() {
    assert_eq!(code(vec![openai::chunk(" upon"), Step::Cut]).await, "network");
}

#[tokio::test]
async fn a_stall_is_told() {
    assert_eq!(code(vec![Step::Hang]).await, "timeout");
}

#[tokio::test]
async fn an_error_event_is_told() {
    let stream = broken(vec![openai::error_event("server_error", "overloaded")]).await;
    let error = chunks_of(&stream).pop().unwrap()["error"].take();
    assert_eq!(error["message"], "Provider first: overloaded");
    assert_eq!((&error["type"], &error["code"]), (&json!("server_error"), &json!("server_error")));
    assert!(error.get("param").is_some());
}

#[tokio::test]
async fn a_rate_limit_in_the_middle_is_told_as_one() {
    let fault = Step::text("data: {\"error\":{\"message\":\"quota\",\"code\":429}}\n\n");
    assert_eq!(code(vec![fault]).await, "rate_limit");
}

#[tokio::test]
async fn a_finish_reason_that_says_error_is_told() {
    assert_eq!(code(vec![openai::finish("error")]).await, "server_error");
}

#[tokio::test]
async fn a_malformed_event_is_told() {
    for malformed in ["data: {\"choices\":[{\"delta\"\n\n", "data: nonsense\n\n", "data: []\n\n"] {
        let steps = vec![Step::text(malformed), openai::finish("stop"), openai::done()];
        assert_eq!(code(steps).await, "server_error", "{malformed}");
    }
}

#[tokio::test]
async fn an_end_without_finish_or_terminator_is_told() {
    assert_eq!(code(vec![]).await, "server_error");
}

#[tokio::test]
async fn an_end_without_a_finish_reason_is_told() {
    let stream = broken(vec![openai::chunk("more")]).await;
    assert!(!stream.contains("x_gateway"));
}

#[tokio::test]
async fn a_finish_reason_that_means_a_cut_is_told() {
    for reason in ["abort", "insufficient_system_resource", "error"] {
        let stream = broken(vec![openai::finish(reason), openai::done()]).await;
        assert!(stream.contains(reason), "{stream}");
    }
}

#[tokio::test]
async fn an_error_object_without_an_error_around_it_is_told() {
    let error = r#"{"object":"error","message":"EngineDeadError","type":"InternalServerError"}"#;
    let steps = vec![Step::text(format!("data: {error}\n\n")), openai::done()];
    assert!(broken(steps).await.contains("EngineDeadError"));
}

#[tokio::test]
async fn a_cut_between_finish_and_terminator_is_told() {
    assert_eq!(code(vec![openai::finish("stop"), Step::Cut]).await, "network");
}

#[tokio::test]
async fn an_end_within_an_event_is_told() {
    let half = Step::text("data: {\"choices\":[{\"delta\":{\"con");
    let stream = broken(vec![half]).await;
    assert!(!data_of(&stream).iter().any(|it| it.ends_with("con")));
}

#[tokio::test]
async fn a_stall_within_a_tool_call_is_told() {
    let call = openai::tool_call(0, "call_1", "weather");
    let steps = vec![call, openai::tool_arguments(0, "{\"ci"), Step::Hang];
    assert_eq!(code(steps).await, "timeout");
}

#[tokio::test]
async fn everything_before_a_fault_in_the_same_packet_is_delivered() {
    let first = Fake::start().await;
    let frames = [openai::chunk("a"), openai::chunk("b"), openai::error_event("x", "broken")];
    let packet: Vec<u8> = frames
        .iter()
        .flat_map(|it| match it {
            Step::Frame(bytes) => bytes.to_vec(),
            _ => vec![],
        })
        .collect();
    first.answers([Answer::stream([Step::Frame(packet.into())])]);
    let gateway = before(&first, "").await;
    let stream = ask(&gateway, &hello_streamed("first/m")).await.text().await.unwrap();
    assert_eq!(text_in(&stream), "ab");
    assert!(stream.contains("Provider first: broken"));
}

#[tokio::test]
async fn the_gateway_lives_on_after_a_broken_stream() {
    let (first, second) = (Fake::start().await, streamer().await);
    first.answers([Answer::stream([openai::chunk("Once"), Step::Cut]), openai::stream(["well"])]);
    let gateway = before_both(&first, &second, BOTH).await;
    ask(&gateway, &hello_streamed("both")).await.text().await.unwrap();
    let stream = ask(&gateway, &hello_streamed("both")).await.text().await.unwrap();
    assert_eq!(text_in(&stream), "well");
    assert_eq!(first.seen()[1].outcome, Outcome::Complete);
}

//! Rescue: another target goes on with a stream that broke after its first token.

use serde_json::{Value, json};
use testkit::lockgate::Lockgate;
use testkit::openai;
use testkit::provider::{FakeProvider, ReceivedRequest, ScriptedResponse, Step};

use crate::support::{
    BOTH, KEY, ask, ask_with, attempts_of, chunks_of, gateway_for_both, hello_streamed, only, send,
    serve, text_in,
};

/// A route that is rescued, and limits that are soon over.
const RESCUED: &str = "
idle_timeout: 300ms
routes:
  - name: both
    rescue: continue
    steps:
      - { provider: first, model: small }
      - { provider: second, model: large }
";

fn stream(steps: impl IntoIterator<Item = Step>) -> ScriptedResponse {
    ScriptedResponse::stream(steps)
}

/// A stream that says this and then does that.
fn begun(texts: &[&str], rest: impl IntoIterator<Item = Step>) -> ScriptedResponse {
    let texts = texts.iter().map(|it| openai::chunk(it));
    stream([openai::role()].into_iter().chain(texts).chain(rest))
}

/// A whole stream that says this.
fn whole(texts: &[&str]) -> ScriptedResponse {
    begun(texts, [openai::finish("stop"), openai::usage(50, 7), openai::done()])
}

async fn gateway(
    first: ScriptedResponse,
    second: ScriptedResponse,
) -> (Lockgate, FakeProvider, FakeProvider) {
    let providers = (FakeProvider::start().await, FakeProvider::start().await);
    providers.0.respond_with([first]);
    providers.1.respond_with([second]);
    let gateway = gateway_for_both(&providers.0, &providers.1, RESCUED).await;
    (gateway, providers.0, providers.1)
}

/// What a client reads, and the requests that the second provider got.
async fn rescued(
    first: ScriptedResponse,
    second: ScriptedResponse,
) -> (String, Vec<ReceivedRequest>) {
    let (gateway, _first, second) = gateway(first, second).await;
    let response = ask(&gateway, &hello_streamed("both")).await;
    assert_eq!(response.status, 200);
    let stream = response.text().await.unwrap();
    (stream, second.requests())
}

/// The metadata at the end of a stream.
fn metadata(stream: &str) -> Value {
    let with = chunks_of(stream).into_iter().find(|it| it["x_gateway"].is_object());
    with.unwrap_or_else(|| panic!("no metadata in {stream}"))["x_gateway"].take()
}

/// The error that ends a stream.
fn error_in(stream: &str) -> Value {
    assert!(!stream.contains("[DONE]"), "{stream}");
    chunks_of(stream).pop().unwrap()["error"].take()
}

#[tokio::test]
async fn another_target_goes_on_whatever_broke_the_stream() {
    let malformed = || Step::text("data: {\"choices\":[{\n\n");
    let error = || openai::error_event("server_error", "overloaded");
    for (what, broken, code) in [
        ("a cut", vec![Step::Cut], "network"),
        ("a stall", vec![Step::Hang], "timeout"),
        ("a malformed event", vec![malformed()], "server_error"),
        ("an error event", vec![error()], "server_error"),
        ("a missing end", vec![], "server_error"),
    ] {
        let (stream, requests) =
            rescued(begun(&["Once upon"], broken), whole(&[" a", " time"])).await;
        assert_eq!(text_in(&stream), "Once upon a time", "{what}");
        assert!(stream.ends_with("data: [DONE]\n\n"), "{what}: {stream}");
        assert!(!stream.contains("\"error\""), "{what}: {stream}");
        assert_eq!(requests.len(), 1, "{what}");
        let first = format!("first {code} 200");
        let attempts = attempts_of(&metadata(&stream));
        assert_eq!(attempts, [first, "second success 200".to_owned()], "{what}");
    }
}

#[tokio::test]
async fn the_next_target_gets_what_was_written() {
    let (_, requests) = rescued(begun(&["Once upon"], [Step::Cut]), whole(&[" a time"])).await;
    let messages = requests[0].json()["messages"].clone();
    assert_eq!(messages[0], json!({"role": "user", "content": "Hello"}));
    assert_eq!(messages[1], json!({"role": "assistant", "content": "Once upon"}));
    assert_eq!(messages[2]["role"], "user");
    assert!(messages[2]["content"].as_str().unwrap().contains("cut off"));
}

#[tokio::test]
async fn what_the_next_target_repeats_is_taken_out() {
    for continuation in [
        vec!["upon a time"],
        vec!["Once upon a time"],
        vec!["Once", " upon", " a time"],
        vec!["\n\nOnce upon", " a time"],
        vec![" a time"],
    ] {
        let (stream, _) = rescued(begun(&["Once upon"], [Step::Cut]), whole(&continuation)).await;
        assert_eq!(text_in(&stream), "Once upon a time", "{continuation:?}");
    }
}

#[tokio::test]
async fn a_response_that_begins_anew_is_an_error() {
    let before = "Once upon a time there was a king who had three daughters, and ";
    let anew = "Once upon a time there was a queen who lived by the sea.";
    let (stream, _) = rescued(begun(&[before], [Step::Cut]), whole(&[anew])).await;
    assert_eq!(text_in(&stream), before);
    let message = error_in(&stream)["message"].as_str().unwrap().to_owned();
    assert!(message.contains("Provider first") && message.contains("anew"), "{message}");
}

#[tokio::test]
async fn a_comment_and_the_sum_of_usage_tell_of_the_seam() {
    let (gateway, _first, _second) =
        gateway(begun(&["Once upon"], [Step::Cut]), whole(&[" a time"])).await;
    let mut question = hello_streamed("both");
    question["stream_options"] = json!({"include_usage": true});
    let stream = ask(&gateway, &question).await.text().await.unwrap();
    assert!(stream.contains(": rescued: second goes on with this response\n\n"), "{stream}");
    let usage = chunks_of(&stream)
        .into_iter()
        .find_map(|mut it| Some(it["usage"].take()).filter(Value::is_object));
    let usage = usage.unwrap();
    let (input, output) = (&usage["prompt_tokens"], &usage["completion_tokens"]);
    assert!(50 < input.as_u64().unwrap() && 7 < output.as_u64().unwrap(), "{usage}");
}

#[tokio::test]
async fn the_record_shows_both_attempts() {
    let (gateway, _first, _second) =
        gateway(begun(&["Once upon"], [Step::Cut]), whole(&[" a time"])).await;
    ask(&gateway, &hello_streamed("both")).await.text().await.unwrap();
    gateway.logged("call ended").await;
    let log = gateway.log();
    assert!(log.contains("outcome=\"success\""), "{log}");
    assert!(log.contains("first") && log.contains("second"), "{log}");
}

#[tokio::test]
async fn a_stream_that_is_not_rescued_ends_as_an_error() {
    let (first, second) = (FakeProvider::start().await, FakeProvider::start().await);
    first.respond_with([begun(&["Once upon"], [Step::Cut])]);
    second.respond_with([whole(&[" a time"])]);
    let gateway = gateway_for_both(&first, &second, BOTH).await;
    let stream = ask(&gateway, &hello_streamed("both")).await.text().await.unwrap();
    assert_eq!(error_in(&stream)["code"], "network");
    assert!(second.requests().is_empty());
}

#[tokio::test]
async fn a_header_decides_for_one_call() {
    let (first, second) = (FakeProvider::start().await, FakeProvider::start().await);
    first.respond_with([begun(&["Once upon"], [Step::Cut])]);
    second.respond_with([whole(&[" a time"])]);
    for (route, header, text) in
        [(BOTH, "continue", "Once upon a time"), (RESCUED, "off", "Once upon")]
    {
        let gateway = gateway_for_both(&first, &second, route).await;
        let headers = [("x-gateway-rescue", header)];
        let response = ask_with(&gateway, &hello_streamed("both"), &headers).await;
        assert_eq!(text_in(&response.text().await.unwrap()), text, "{header}");
    }
    let gateway = gateway_for_both(&first, &second, BOTH).await;
    let headers = [("x-gateway-rescue", "maybe")];
    assert_eq!(ask_with(&gateway, &hello_streamed("both"), &headers).await.status, 400);
}

#[tokio::test]
async fn the_first_failure_is_reported_when_nobody_goes_on() {
    for refusal in [
        openai::error(500, "x", "down"),
        openai::error(400, "invalid_request_error", "no such field"),
        openai::error(429, "rate_limit_error", "slow down"),
        ScriptedResponse::close(),
    ] {
        let (stream, requests) = rescued(begun(&["Once upon"], [Step::Cut]), refusal).await;
        assert_eq!(text_in(&stream), "Once upon");
        let message = error_in(&stream)["message"].as_str().unwrap().to_owned();
        assert!(message.starts_with("Provider first: ended its response early"), "{message}");
        assert!(message.contains("no other target could go on"), "{message}");
        assert_eq!(requests.len(), 1);
    }
}

#[tokio::test]
async fn a_third_target_goes_on_when_the_second_breaks_too() {
    let mut fakes = vec![];
    for response in
        [begun(&["One"], [Step::Cut]), begun(&[" two"], [Step::Cut]), whole(&[" three"])]
    {
        let fake = FakeProvider::start().await;
        fake.respond_with([response]);
        fakes.push(fake);
    }
    let providers: String = ["a", "b", "c"]
        .iter()
        .zip(&fakes)
        .map(|(name, fake)| format!("  - {{ name: {name}, base_url: \"{}\" }}\n", fake.url()))
        .collect();
    let gateway = serve(&format!(
        "api_key: {KEY}\nproviders:\n{providers}routes:\n  - name: all\n    rescue: continue\n    \
         steps: [{{ provider: a, model: m }}, {{ provider: b, model: m }}, {{ provider: c, model: m }}]\n"
    ))
    .await;
    let stream = ask(&gateway, &hello_streamed("all")).await.text().await.unwrap();
    assert_eq!(text_in(&stream), "One two three");
    assert_eq!(only(&fakes[2]).json()["messages"][1]["content"], "One two");
}

#[tokio::test]
async fn a_stream_that_lacks_only_its_end_is_ended() {
    let done = [openai::finish("stop"), Step::Cut];
    let (stream, requests) = rescued(begun(&["All of it"], done), whole(&["x"])).await;
    assert_eq!(text_in(&stream), "All of it");
    assert!(stream.ends_with("data: [DONE]\n\n"), "{stream}");
    assert!(requests.is_empty());
}

#[tokio::test]
async fn a_whole_tool_call_stays_and_a_broken_one_is_named() {
    let call = [
        openai::role(),
        openai::tool_call(0, "c1", "weather"),
        openai::tool_arguments(0, "{\"city\":"),
    ];
    let rest = [openai::tool_arguments(0, "\"Rome\"}"), Step::Cut];
    let (text, requests) =
        rescued(stream(call.clone().into_iter().chain(rest)), whole(&["never"])).await;
    assert!(text.contains("\"finish_reason\":\"tool_calls\""), "{text}");
    assert!(text.ends_with("data: [DONE]\n\n"), "{text}");
    assert!(requests.is_empty());

    let (text, requests) =
        rescued(stream(call.into_iter().chain([Step::Cut])), whole(&["x"])).await;
    let message = error_in(&text)["message"].as_str().unwrap().to_owned();
    assert!(message.contains("its call of `weather` is incomplete"), "{message}");
    assert!(requests.is_empty());
}

#[tokio::test]
async fn a_broken_stream_of_text_may_go_on_with_a_tool_call() {
    let second = stream([
        openai::role(),
        openai::tool_call(0, "c1", "weather"),
        openai::tool_arguments(0, "{}"),
        openai::finish("tool_calls"),
        openai::done(),
    ]);
    let (text, _) = rescued(begun(&["Let me see."], [Step::Cut]), second).await;
    assert_eq!(text_in(&text), "Let me see.");
    assert!(text.contains("\"weather\"") && text.ends_with("data: [DONE]\n\n"), "{text}");
}

#[tokio::test]
async fn json_goes_on_only_as_json() {
    let mut question = hello_streamed("both");
    question["response_format"] = json!({"type": "json_object"});
    for (before, more, whole_text) in [
        ("{\"a\": [1, ", "2]}", Some("{\"a\": [1, 2]}")),
        ("{\"a\": [1, ", "Sure! ```json", None),
        ("Sure: {\"a\"", ": 1}", None),
    ] {
        let (gateway, _first, second) =
            gateway(begun(&[before], [Step::Cut]), whole(&[more])).await;
        let stream = ask(&gateway, &question).await.text().await.unwrap();
        match whole_text {
            Some(text) => assert_eq!(text_in(&stream), text),
            None => {
                assert_eq!(text_in(&stream), before);
                error_in(&stream);
            }
        }
        assert_eq!(second.requests().len(), usize::from(!before.starts_with("Sure")), "{before}");
    }
}

#[tokio::test]
async fn a_slow_stream_is_rescued() {
    let slow = RESCUED
        .replace("idle_timeout: 300ms", "idle_timeout: 10s")
        .replace("model: small", "model: small, min_tokens_per_second: 50, speed_window: 300ms");
    let drip = (0..100)
        .flat_map(|_| [openai::chunk("a "), Step::Wait(std::time::Duration::from_millis(100))]);
    let (first, second) = (FakeProvider::start().await, FakeProvider::start().await);
    first.respond_with([stream([openai::role()].into_iter().chain(drip))]);
    second.respond_with([whole(&["and the rest"])]);
    let gateway = gateway_for_both(&first, &second, &slow).await;
    let stream = ask(&gateway, &hello_streamed("both")).await.text().await.unwrap();
    assert!(text_in(&stream).ends_with("and the rest"), "{stream}");
    assert_eq!(attempts_of(&metadata(&stream))[0], "first timeout 200");
}

/// A gateway whose second provider is of this type, with this model.
async fn with_second(kind: &str, model: &str, second: &FakeProvider) -> (Lockgate, FakeProvider) {
    let first = FakeProvider::start().await;
    first.respond_with([begun(&["Once upon "], [Step::Cut])]);
    let config = format!(
        "api_key: {KEY}\nproviders:\n  - {{ name: first, base_url: \"{}\" }}\n  \
         - {{ name: second, type: {kind}, base_url: \"{}\", api_key: k }}\nroutes:\n  - name: both\n    \
         rescue: continue\n    steps:\n      - {{ provider: first, model: small }}\n      \
         - {{ provider: second, model: {model} }}\n",
        first.url(),
        second.url()
    );
    (serve(&config).await, first)
}

#[tokio::test]
async fn a_model_that_takes_a_prefill_gets_its_own_message_left_open() {
    for (kind, field) in [("mistral", "prefix"), ("deepseek", "prefix"), ("vllm", "")] {
        let second = FakeProvider::start().await;
        second.respond_with([whole(&["a time"])]);
        let (gateway, _first) = with_second(kind, "large", &second).await;
        let stream = ask(&gateway, &hello_streamed("both")).await.text().await.unwrap();
        assert_eq!(text_in(&stream), "Once upon a time", "{kind}");
        let request = only(&second).json();
        let messages = request["messages"].as_array().unwrap();
        assert_eq!(messages.len(), 2, "{kind}: {request}");
        assert_eq!(messages[1]["content"], "Once upon");
        if field.is_empty() {
            assert_eq!(request["continue_final_message"], true);
            assert_eq!(request["add_generation_prompt"], false);
        } else {
            assert_eq!(messages[1][field], true, "{kind}");
        }
    }
}

#[tokio::test]
async fn a_target_that_refuses_the_prefill_gets_an_instruction() {
    let second = FakeProvider::start().await;
    let refusal = "This model does not support assistant message prefill.";
    second.respond_with([openai::error(400, "invalid_request_error", refusal), whole(&["a time"])]);
    let (gateway, _first) = with_second("vllm", "large", &second).await;
    let stream = ask(&gateway, &hello_streamed("both")).await.text().await.unwrap();
    assert_eq!(text_in(&stream), "Once upon a time");
    let lengths: Vec<_> = second
        .requests()
        .iter()
        .map(|it| it.json()["messages"].as_array().unwrap().len())
        .collect();
    assert_eq!(lengths, [2, 3]);
}

#[tokio::test]
async fn older_claude_models_take_a_prefill_and_newer_ones_an_instruction() {
    for (model, messages) in [("claude-sonnet-4-5", 2), ("claude-opus-4-6", 3)] {
        let second = FakeProvider::start().await;
        let frame =
            |name: &str, data: Value| Step::text(format!("event: {name}\ndata: {data}\n\n"));
        second.respond_with([stream([
            frame(
                "message_start",
                json!({"type": "message_start", "message": {"id": "m", "type": "message",
                    "role": "assistant", "content": [], "model": model, "stop_reason": null,
                    "stop_sequence": null, "usage": {"input_tokens": 3, "output_tokens": 1}}}),
            ),
            frame(
                "content_block_start",
                json!({"type": "content_block_start", "index": 0,
                    "content_block": {"type": "text", "text": ""}}),
            ),
            frame(
                "content_block_delta",
                json!({"type": "content_block_delta", "index": 0,
                    "delta": {"type": "text_delta", "text": "a time"}}),
            ),
            frame("content_block_stop", json!({"type": "content_block_stop", "index": 0})),
            frame(
                "message_delta",
                json!({"type": "message_delta", "delta": {"stop_reason": "end_turn",
                    "stop_sequence": null}, "usage": {"output_tokens": 2}}),
            ),
            frame("message_stop", json!({"type": "message_stop"})),
        ])]);
        let (gateway, _first) = with_second("anthropic", model, &second).await;
        let stream = ask(&gateway, &hello_streamed("both")).await.text().await.unwrap();
        assert_eq!(text_in(&stream), "Once upon a time", "{model}");
        let request = only(&second).json();
        assert_eq!(request["messages"].as_array().unwrap().len(), messages, "{model}: {request}");
    }
}

#[tokio::test]
async fn clients_of_every_format_are_rescued() {
    let responses = json!({"model": "both", "stream": true, "input": "Hello"});
    let messages = json!({"model": "both", "stream": true, "max_tokens": 99,
        "messages": [{"role": "user", "content": "Hello"}]});
    let contents = json!({"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]});
    for (path, body, end) in [
        ("/v1/responses", responses, "response.completed"),
        ("/v1/messages", messages, "message_stop"),
        ("/v1beta/models/both:streamGenerateContent?alt=sse", contents.clone(), "\"STOP\""),
        ("/v1beta/models/both:streamGenerateContent", contents, "\"STOP\""),
    ] {
        let (gateway, _first, _second) =
            gateway(begun(&["Once upon"], [Step::Cut]), whole(&[" a time"])).await;
        let bearer = format!("Bearer {KEY}");
        let headers = [("authorization", bearer.as_str())];
        let response = send(&gateway, "POST", path, &headers, body.to_string()).await;
        let stream = response.text().await.unwrap();
        assert!(stream.contains("Once upon") && stream.contains(" a time"), "{path}: {stream}");
        assert!(stream.contains(end), "{path}: {stream}");
        for failed in ["\"type\":\"error\"", "response.failed", "\"error\":{"] {
            assert!(!stream.contains(failed), "{path}: {stream}");
        }
    }
}

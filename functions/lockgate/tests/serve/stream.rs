//! Streams that go well: chunk by chunk, as the provider wrote them.

use serde_json::{Value, json};
use testkit::openai;
use testkit::provider::{FakeProvider, Latch, ScriptedResponse, Step};

use crate::support::{
    BOTH, ask, chunks_of, data_of, gateway_for, gateway_for_both, hello_streamed, only, post,
    serve, streaming_provider, text_in,
};

/// What a client reads of these steps when it asks like this.
async fn read_by(request: &Value, steps: Vec<Step>) -> String {
    let first = FakeProvider::start().await;
    first.respond_with([ScriptedResponse::stream(steps)]);
    let gateway = gateway_for(&first, "").await;
    ask(&gateway, request).await.text().await.unwrap()
}

async fn read(steps: Vec<Step>) -> String {
    read_by(&hello_streamed("first/m"), steps).await
}

fn text(step: &Step) -> String {
    match step {
        Step::Frame(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
        other => panic!("{other:?} is no frame"),
    }
}

/// The same stream in one text.
fn joined(steps: &[Step]) -> String {
    steps.iter().map(text).collect()
}

/// A stream without what the gateway added to it.
fn without_metadata(stream: &str) -> String {
    let (gateway_for, rest) = stream.split_once(",\"x_gateway\":").unwrap();
    let (_, after) = rest.split_once("\n\n").unwrap();
    format!("{gateway_for}}}\n\n{after}")
}

fn wants_usage(model: &str) -> Value {
    let mut request = hello_streamed(model);
    request["stream_options"] = json!({"include_usage": true});
    request
}

#[tokio::test]
async fn chunks_are_delivered_one_by_one() {
    let (one, two) = (Latch::new(), Latch::new());
    let first = FakeProvider::start().await;
    first.respond_with([ScriptedResponse::stream([
        openai::role(),
        openai::chunk("one"),
        Step::Latch(one.clone()),
        openai::chunk("two"),
        Step::Latch(two.clone()),
        openai::finish("stop"),
        openai::done(),
    ])]);
    let gateway = gateway_for(&first, "").await;
    let mut response = ask(&gateway, &hello_streamed("first/m")).await;
    assert_eq!(response.status, 200);
    assert_eq!(response.header("content-type"), "text/event-stream");
    assert_eq!(response.header("x-gateway-provider"), "first");
    assert!(!response.until("one").await.unwrap().contains("two"));
    one.open();
    assert!(!response.until("two").await.unwrap().contains("stop"));
    two.open();
    assert!(response.text().await.unwrap().ends_with("data: [DONE]\n\n"));
}

#[tokio::test]
async fn chunks_pass_through_unchanged() {
    let odd = "data: { \"z\": 1e400, \"choices\" : [ {\"index\": 0, \"delta\": {\"content\": \"caf\\u00e9\"} } ],\t\"n\": 12345678901234567890 }\n\n";
    let multiline = "data: {\"choices\":\ndata: [{\"index\":0,\"delta\":{\"content\":\"x\"}}]}\n\n";
    let steps = vec![
        Step::text(odd),
        Step::text(multiline),
        openai::tool_call(0, "call_1", "weather"),
        openai::tool_arguments(0, "{}"),
        openai::finish("tool_calls"),
        openai::done(),
    ];
    assert_eq!(without_metadata(&read(steps.clone()).await), joined(&steps));
}

#[tokio::test]
async fn comments_ids_and_retry_fields_of_a_provider_are_removed() {
    let steps = vec![
        Step::text("retry: 5\n\n: before\n\nid: 1\n: OPENROUTER PROCESSING\n"),
        openai::chunk("one"),
        Step::text(": behind\n\nid: 2\n\n"),
        openai::finish("stop"),
        openai::done(),
    ];
    let expected = [openai::chunk("one"), openai::finish("stop"), openai::done()];
    assert_eq!(without_metadata(&read(steps).await), joined(&expected));
}

#[tokio::test]
async fn usage_is_requested_when_the_client_does_not() {
    let first = streaming_provider().await;
    let gateway = gateway_for(&first, "").await;
    let request = r#"{ "model": "first/m", "stream": true, "messages": [{}] }"#;
    post(&gateway, request, &[]).await.text().await.unwrap();
    let sent = request.replace("first/m", "m");
    let sent = sent.replace(" }", r#","stream_options":{"include_usage":true} }"#);
    assert_eq!(only(&first).body, sent);
}

#[tokio::test]
async fn a_whole_request_gets_no_stream_options() {
    let first = FakeProvider::start().await;
    first.respond_with([openai::completion("Hi")]);
    let gateway = gateway_for(&first, "").await;
    ask(&gateway, &crate::support::hello("first/m")).await;
    assert_eq!(only(&first).json().get("stream_options"), None);
}

#[tokio::test]
async fn a_clients_own_stream_options_are_kept() {
    for (theirs, sent) in [
        (r#"{ "vendor": 1.0 }"#, r#"{ "vendor": 1.0,"include_usage":true }"#),
        (r#"{"include_usage": false, "x": []}"#, r#"{"include_usage": true, "x": []}"#),
        (r#"{ "include_usage" : true }"#, r#"{ "include_usage" : true }"#),
        ("null", r#"{"include_usage":true}"#),
    ] {
        let first = streaming_provider().await;
        let gateway = gateway_for(&first, "").await;
        let request = |options: &str| {
            format!(
                r#"{{"model": "first/m", "stream": true, "stream_options": {options}, "messages": [{{}}]}}"#
            )
        };
        post(&gateway, request(theirs), &[]).await.text().await.unwrap();
        assert_eq!(only(&first).body, request(sent).replace("first/m", "m"));
    }
}

#[tokio::test]
async fn unrequested_usage_is_removed_from_the_stream() {
    let steps =
        vec![openai::chunk("Hi"), openai::finish("stop"), openai::usage(9, 12), openai::done()];
    let stream = read(steps.clone()).await;
    assert!(!stream.contains("prompt_tokens"));
    assert!(stream.ends_with("data: [DONE]\n\n"));
    let stream = read_by(&wants_usage("first/m"), steps.clone()).await;
    assert_eq!(without_metadata(&stream), joined(&steps));
}

#[tokio::test]
async fn unrequested_usage_still_gives_the_cost() {
    let first = FakeProvider::start().await;
    first.respond_with([ScriptedResponse::stream([
        openai::chunk("Hi"),
        openai::finish("stop"),
        openai::usage(1_000_000, 1_000_000),
        openai::done(),
    ])]);
    let prices = "prices: [{ provider: first, model: m, input: 2, output: 3.5 }]";
    let gateway = gateway_for(&first, prices).await;
    let stream = ask(&gateway, &hello_streamed("first/m")).await.text().await.unwrap();
    let last = chunks_of(&stream).pop().unwrap();
    assert_eq!(last["x_gateway"]["cost_usd"], 5.5);
    gateway.logged("cost_usd=\"5.500000\"").await;
}

#[tokio::test]
async fn x_gateway_is_on_the_last_chunk_with_choices_and_nowhere_else() {
    let (first, second) = (FakeProvider::start().await, FakeProvider::start().await);
    first.respond_with([openai::error(429, "rate_limit_error", "slow down")]);
    second.respond_with([ScriptedResponse::stream([
        openai::role(),
        openai::chunk("Hi"),
        openai::finish("stop"),
        openai::usage(9, 12),
        openai::done(),
    ])]);
    let gateway = gateway_for_both(&first, &second, BOTH).await;
    let response = ask(&gateway, &wants_usage("both")).await;
    let id = response.header("x-request-id").to_owned();
    assert_eq!(response.header("x-gateway-attempts"), "2");
    let chunks = chunks_of(&response.text().await.unwrap());
    let holders: Vec<_> = chunks.iter().filter(|it| it.get("x_gateway").is_some()).collect();
    assert_eq!(holders.len(), 1);
    let metadata = &holders[0]["x_gateway"];
    assert_eq!(holders[0]["choices"][0]["finish_reason"], "stop");
    assert_eq!((&metadata["provider"], &metadata["route"]), (&json!("second"), &json!("both")));
    assert_eq!(metadata["request_id"], id);
    assert_eq!(
        crate::support::attempts_of(metadata),
        ["first rate_limit 429", "second success 200"]
    );
}

/// A chunk of one of several choices.
fn nth(index: u32, text: Option<&str>) -> Step {
    let choice = match text {
        Some(text) => json!({"index": index, "delta": {"content": text}, "finish_reason": null}),
        None => json!({"index": index, "delta": {}, "finish_reason": "stop"}),
    };
    Step::text(format!("data: {}\n\n", json!({"choices": [choice]})))
}

#[tokio::test]
async fn with_several_choices_only_the_last_finish_carries_x_gateway() {
    let steps = vec![
        nth(0, Some("a")),
        nth(1, Some("b")),
        nth(0, None),
        nth(1, Some("c")),
        nth(1, None),
        openai::done(),
    ];
    let stream = read(steps.clone()).await;
    assert_eq!(stream.matches("x_gateway").count(), 1);
    assert!(data_of(&stream)[4].contains("x_gateway"));
    assert_eq!(chunks_of(&stream).len(), 5);
}

#[tokio::test]
async fn the_terminator_is_the_last_thing_sent() {
    let steps = vec![
        openai::chunk("Hi"),
        openai::finish("stop"),
        openai::done(),
        openai::chunk("more"),
        openai::error_event("server_error", "too late"),
    ];
    let stream = read(steps).await;
    assert!(stream.ends_with("data: [DONE]\n\n"));
    assert!(!stream.contains("more") && !stream.contains("too late"));
}

#[tokio::test]
async fn an_empty_stream_that_ends_properly_is_a_success() {
    let stream = read(vec![openai::role(), openai::finish("stop"), openai::done()]).await;
    assert_eq!(data_of(&stream).len(), 3);
    assert_eq!(text_in(&stream), "");
}

#[tokio::test]
async fn an_empty_finish_reason_does_not_end_the_stream() {
    let chunk = r#"{"choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":""}]}"#;
    let latch = Latch::new();
    let first = FakeProvider::start().await;
    let steps = [Step::text(format!("data: {chunk}\n\n")), Step::Latch(latch.clone())];
    first.respond_with([ScriptedResponse::stream(steps)]);
    let gateway = gateway_for(&first, "").await;
    let mut response = ask(&gateway, &hello_streamed("first/m")).await;
    response.until("Hi").await.unwrap();
    latch.open();
}

/// What a client reads of a stream without `[DONE]` from a provider of this type.
async fn without_terminator(kind: &str) -> String {
    let first = FakeProvider::start().await;
    let last = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}\n\n";
    first.respond_with([ScriptedResponse::stream([openai::chunk("Hi"), Step::text(last)])]);
    let yaml = format!(
        "api_key: gateway-key\nproviders: [{{ name: first, type: {kind}, base_url: \"{}\", api_key: k }}]",
        first.url()
    );
    let gateway = serve(&yaml).await;
    ask(&gateway, &hello_streamed("first/m")).await.text().await.unwrap()
}

#[tokio::test]
async fn a_server_that_omits_the_terminator_ends_properly() {
    for kind in ["perplexity", "groq", "vllm", "openai"] {
        let stream = without_terminator(kind).await;
        assert!(stream.ends_with("data: [DONE]\n\n"), "{kind}: {stream}");
        assert_eq!(stream.matches("x_gateway").count(), 1);
        assert!(!stream.contains("\"error\""));
    }
}

#[tokio::test]
async fn a_huge_event_passes_through() {
    let huge = "x".repeat(1 << 20);
    let steps =
        vec![openai::chunk("a"), openai::chunk(&huge), openai::finish("stop"), openai::done()];
    assert_eq!(text_in(&read(steps).await).len(), 1 + huge.len());
}

#[tokio::test]
async fn a_hundred_thousand_events_pass_through() {
    let mut steps = vec![openai::role()];
    steps.extend(
        (0..100_000)
            .map(|_| Step::text("data: {\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\n")),
    );
    steps.extend([openai::finish("stop"), openai::done()]);
    let stream = read(steps).await;
    assert_eq!(stream.matches("\"content\":\"x\"").count(), 100_000);
    assert!(stream.ends_with("data: [DONE]\n\n"));
}

#[tokio::test]
async fn crlf_line_endings_are_accepted() {
    let steps = [openai::chunk("Hi"), openai::finish("stop"), openai::done()];
    let windows = joined(&steps).replace('\n', "\r\n");
    let stream = read(vec![Step::text(windows)]).await;
    assert_eq!(text_in(&stream.replace("\r\n", "\n")), "Hi");
    assert!(stream.ends_with("data: [DONE]\r\n\r\n"));
}

#[tokio::test]
async fn events_may_be_split_at_any_byte() {
    let steps =
        [openai::role(), openai::chunk("caf\u{e9}"), openai::finish("stop"), openai::done()];
    let whole = joined(&steps);
    for size in [1, 7] {
        let parts = whole.as_bytes().chunks(size);
        let parts = parts.flat_map(|it| {
            [Step::Frame(it.to_vec().into()), Step::Wait(std::time::Duration::from_micros(50))]
        });
        let stream = read(parts.collect()).await;
        assert_eq!(without_metadata(&stream), whole, "{size}");
    }
}

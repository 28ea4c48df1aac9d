//! A client of one format with providers of others: failover, dropped fields, and their report.

use serde_json::{Value, json};
use testkit::{
    client::ClientResponse,
    lockgate::Lockgate,
    openai,
    provider::{FakeProvider, ScriptedResponse, Step},
};

use crate::{
    support::{KEY, send, serve},
    wire_formats::{self, Format, events},
};

/// A gateway whose route `r` has these providers as targets, each named by its format's `type`.
async fn gateway_for(steps: &[(Format, &FakeProvider)]) -> Lockgate {
    let mut yaml = format!("api_key: {KEY}\nproviders:\n");
    for (format, fake) in steps {
        let kind = format.kind();
        let url = fake.url();
        yaml += &format!(
            "  - {{ name: {kind}, type: {kind}, base_url: \"{url}\", api_key: secret }}\n"
        );
    }
    yaml += "routes:\n  - name: r\n    cooldown: 0s\n    steps:\n";
    for (format, _) in steps {
        yaml += &format!("      - {{ provider: {}, model: m }}\n", format.kind());
    }
    serve(&yaml).await
}

async fn post(
    gateway: &Lockgate,
    client: Format,
    body: &Value,
    headers: &[(&str, &str)],
) -> ClientResponse {
    let stream = body["stream"] == true;
    let headers = [&[("x-api-key", KEY)], headers].concat();
    send(gateway, "POST", &client.path("r", stream), &headers, body.to_string()).await
}

#[tokio::test]
async fn a_client_fails_over_to_providers_of_any_format() {
    for client in wire_formats::ALL {
        for (first, second) in [
            (Format::Messages, Format::Gemini),
            (Format::Gemini, Format::Responses),
            (Format::Responses, Format::Chat),
            (Format::Chat, Format::Messages),
        ] {
            let (busy, steady) = (FakeProvider::start().await, FakeProvider::start().await);
            busy.respond_with([openai::error(529, "overloaded_error", "Overloaded")]);
            let gateway = gateway_for(&[(first, &busy), (second, &steady)]).await;
            steady.respond_with([second.whole("Hi")]);
            let response = post(&gateway, client, &client.request("r", false), &[]).await;
            let expected = ["x-gateway-provider", "x-gateway-attempts"]
                .map(|it| response.header(it).to_owned());
            let body = response.json().await.unwrap();
            assert_eq!(expected, [second.kind(), "2"], "{client:?} {first:?} {second:?}: {body}");
            assert_eq!(client.response_text(&body), "Hi");
        }
    }
}

#[tokio::test]
async fn a_stream_fails_over_before_its_first_token() {
    for client in wire_formats::ALL {
        let (silent, steady) = (FakeProvider::start().await, FakeProvider::start().await);
        let mut begun = Format::Messages.begun("never");
        begun.truncate(3);
        silent.respond_with([ScriptedResponse::stream(begun.into_iter().chain([Step::Cut]))]);
        steady.respond_with([Format::Gemini.stream("Hi")]);
        let gateway = gateway_for(&[(Format::Messages, &silent), (Format::Gemini, &steady)]).await;
        let path = client.path("r", true);
        let question = client.request("r", true).to_string();
        let response = send(&gateway, "POST", &path, &[("x-api-key", KEY)], question).await;
        assert_eq!(response.header("x-gateway-provider"), "gemini", "{client:?}");
        let text = response.text().await.unwrap();
        let response_text: String = events(&text).iter().map(|it| client.delta_text(it)).collect();
        assert_eq!(response_text, "Hi again", "{client:?}: {text}");
    }
}

#[tokio::test]
async fn a_broken_stream_ends_with_an_error_in_the_clients_format() {
    for client in wire_formats::ALL {
        for provider in wire_formats::ALL {
            let fake = FakeProvider::start().await;
            fake.respond_with([ScriptedResponse::stream(
                provider.begun("Hel").into_iter().chain([Step::Cut]),
            )]);
            let gateway = gateway_for(&[(provider, &fake)]).await;
            let path = client.path("r", true);
            let question = client.request("r", true).to_string();
            let response = send(&gateway, "POST", &path, &[("x-api-key", KEY)], question).await;
            assert_eq!(response.status, 200);
            let text = response.text().await.unwrap();
            let events = events(&text);
            let response_text: String = events.iter().map(|it| client.delta_text(it)).collect();
            assert_eq!(response_text, "Hel", "{client:?} {provider:?}: {text}");
            assert!(!events.iter().any(|it| client.ends(it)) && !text.contains("[DONE]"), "{text}");
            let last = events.last().unwrap();
            let expected = format!("Provider {}: ", provider.kind());
            assert!(last.to_string().contains(&expected), "{client:?} {provider:?}: {text}");
            let is_failure = match client {
                Format::Responses => last["type"] == "response.failed" || last["type"] == "error",
                _ => client.failure(last).starts_with(&expected),
            };
            assert!(is_failure, "{client:?}: {last}");
        }
    }
}

#[tokio::test]
async fn a_broken_tool_call_names_the_tool() {
    for client in [Format::Messages, Format::Responses, Format::Gemini] {
        let fake = FakeProvider::start().await;
        let half = [openai::tool_call(0, "c1", "weather"), openai::tool_arguments(0, "{\"city\"")];
        fake.respond_with([ScriptedResponse::stream(half.into_iter().chain([Step::Cut]))]);
        let gateway = gateway_for(&[(Format::Chat, &fake)]).await;
        let path = client.path("r", true);
        let question = client.request("r", true).to_string();
        let response = send(&gateway, "POST", &path, &[("x-api-key", KEY)], question).await;
        let text = response.text().await.unwrap();
        let last = events(&text).pop().unwrap().to_string();
        assert!(last.contains("its call of `weather` is incomplete"), "{client:?}: {text}");
    }
}

#[tokio::test]
async fn a_broken_array_is_still_valid_json() {
    let fake = FakeProvider::start().await;
    fake.respond_with([ScriptedResponse::stream(
        Format::Messages.begun("Hel").into_iter().chain([Step::Cut]),
    )]);
    let gateway = gateway_for(&[(Format::Messages, &fake)]).await;
    let question = Format::Gemini.request("r", true).to_string();
    let path = "/v1beta/models/r:streamGenerateContent";
    let body = send(&gateway, "POST", path, &[("x-goog-api-key", KEY)], question).await;
    let body = body.json().await.unwrap();
    let elements = body.as_array().unwrap();
    assert_eq!(Format::Gemini.delta_text(&elements[0]), "Hel");
    assert!(Format::Gemini.failure(elements.last().unwrap()).starts_with("Provider anthropic: "));
}

#[tokio::test]
async fn only_headers_of_the_format_reach_its_provider() {
    let (anthropic, openai) = (FakeProvider::start().await, FakeProvider::start().await);
    anthropic.respond_with([Format::Messages.whole("Hi")]);
    openai.respond_with([Format::Chat.whole("Hi")]);
    let sent = [
        ("anthropic-version", "2023-06-01"),
        ("anthropic-beta", "context-1m-2025-08-07"),
        ("anthropic-beta", "files-api-2025-04-14"),
        ("anthropic-dangerous-direct-browser-access", "true"),
        ("x-stainless-lang", "python"),
        ("openai-organization", "org-1"),
        ("cookie", "a=b"),
        ("x-forwarded-for", "10.0.0.1"),
        ("authorization", "Bearer not-for-them"),
        ("user-agent", "Anthropic/Python 2.12"),
    ];
    let question = Format::Messages.request("r", false);
    let gateway = gateway_for(&[(Format::Messages, &anthropic)]).await;
    assert_eq!(post(&gateway, Format::Messages, &question, &sent).await.status, 200);
    let seen = anthropic.requests().remove(0);
    let betas: Vec<_> = seen.header("anthropic-beta").split(',').map(str::trim).collect();
    assert_eq!(betas, ["context-1m-2025-08-07", "files-api-2025-04-14"]);
    assert_eq!(seen.header("anthropic-version"), "2023-06-01");
    assert_eq!(seen.header("x-api-key"), "secret");
    for name in
        ["x-stainless-lang", "openai-organization", "cookie", "x-forwarded-for", "authorization"]
    {
        assert_eq!(seen.header(name), "", "{name}");
    }
    assert!(seen.header("user-agent").starts_with("lockgate/"));
    assert_eq!(seen.header("anthropic-dangerous-direct-browser-access"), "");

    let gateway = gateway_for(&[(Format::Chat, &openai)]).await;
    assert_eq!(post(&gateway, Format::Messages, &question, &sent).await.status, 200);
    let seen = openai.requests().remove(0);
    for name in ["anthropic-version", "anthropic-beta", "x-api-key"] {
        assert_eq!(seen.header(name), "", "{name}");
    }
}

/// A request with fields that no other format supports.
fn odd() -> Value {
    let mut question = Format::Chat.request("r", false);
    question["logit_bias"] = json!({"50256": -100});
    question["seed"] = 7.into();
    question
}

#[tokio::test]
async fn dropped_fields_are_reported_to_the_client() {
    let fake = FakeProvider::start().await;
    fake.respond_with([Format::Messages.whole("Hi")]);
    let gateway = gateway_for(&[(Format::Messages, &fake)]).await;
    let response = post(&gateway, Format::Chat, &odd(), &[]).await;
    assert_eq!(
        (response.status.as_u16(), response.header("x-gateway-dropped")),
        (200, "seed, logit_bias")
    );
    let sent = fake.requests().remove(0).json();
    assert_eq!((sent.get("logit_bias"), sent.get("seed")), (None, None));
    let mut question = odd();
    question["gr\u{fc}n"] = true.into();
    let response = post(&gateway, Format::Chat, &question, &[]).await;
    assert!(response.header("x-gateway-dropped").contains("gr?n"), "{:?}", response.headers);
}

#[tokio::test]
async fn a_strict_request_is_rejected_before_any_attempt() {
    let (one, other) = (FakeProvider::start().await, FakeProvider::start().await);
    let gateway = gateway_for(&[(Format::Messages, &one), (Format::Gemini, &other)]).await;
    let response = post(&gateway, Format::Chat, &odd(), &[("x-gateway-strict", "true")]).await;
    let (status, body) = (response.status.as_u16(), response.json().await.unwrap());
    assert_eq!((status, &body["error"]["param"]), (400, &json!("seed")), "{body}");
    assert!(one.requests().is_empty() && other.requests().is_empty());
}

#[tokio::test]
async fn a_strict_request_uses_the_target_that_supports_every_field() {
    let (one, other) = (FakeProvider::start().await, FakeProvider::start().await);
    other.respond_with([Format::Chat.whole("Hi")]);
    let gateway = gateway_for(&[(Format::Messages, &one), (Format::Chat, &other)]).await;
    let response = post(&gateway, Format::Chat, &odd(), &[("x-gateway-strict", "true")]).await;
    assert_eq!(response.header("x-gateway-provider"), "openai");
    assert_eq!(response.header("x-gateway-dropped"), "");
    assert_eq!(Format::Chat.response_text(&response.json().await.unwrap()), "Hi");
    assert!(one.requests().is_empty());
    assert_eq!(other.requests().remove(0).json()["logit_bias"], json!({"50256": -100}));
}

/// Gemini's response of text, an image and audio.
fn shown() -> Value {
    let parts = json!([
        {"text": "Hi"},
        {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}},
        {"inlineData": {"mimeType": "audio/wav", "data": "UklGRg=="}},
        {"inlineData": {"mimeType": "audio/wav", "data": "UklGRg=="}},
        {"inlineData": {"mimeType": "application/pdf", "data": "JVBERg=="}},
    ]);
    let content = json!({"role": "model", "parts": parts});
    json!({"candidates": [{"content": content, "finishReason": "STOP"}]})
}

#[tokio::test]
async fn unsupported_response_content_is_reported() {
    for (client, lost) in [
        (Format::Chat, vec!["answer.audio", "answer.file"]),
        (Format::Responses, vec!["answer.audio", "answer.file"]),
        (Format::Messages, vec!["answer.image", "answer.audio", "answer.file"]),
        (Format::Gemini, vec![]),
    ] {
        let fake = FakeProvider::start().await;
        let event = format!("data: {}\n\n", shown());
        fake.respond_with([
            ScriptedResponse::json(200, &shown()),
            ScriptedResponse::stream([Step::text(event)]),
        ]);
        let gateway = gateway_for(&[(Format::Gemini, &fake)]).await;
        let response = post(&gateway, client, &client.request("r", false), &[]).await;
        assert_eq!(response.header("x-gateway-dropped"), lost.join(", "), "{client:?}");
        assert_eq!(client.response_text(&response.json().await.unwrap()), "Hi");
        let path = client.path("r", true);
        let question = client.request("r", true).to_string();
        let response = send(&gateway, "POST", &path, &[("x-api-key", KEY)], question).await;
        let text = response.text().await.unwrap();
        let response_text: Vec<_> =
            text.lines().filter_map(|it| it.strip_prefix(": dropped ")).collect();
        assert_eq!(response_text, lost, "{client:?}: {text}");
        assert_eq!(text.contains("iVBORw0KGgo="), !lost.contains(&"answer.image"), "{text}");
    }
}

/// A name as programs put them together: longer than most providers take.
const LONG: &str = "mcp__plugin_design_tools__performance_analyze_insight.of_every_page_2";

#[tokio::test]
async fn an_unsupported_tool_name_is_mapped() {
    let fake = FakeProvider::start().await;
    let gateway = gateway_for(&[(Format::Chat, &fake)]).await;
    let mut question = Format::Gemini.request("r", false);
    question["tools"] = json!([{"functionDeclarations": [{"name": LONG}, {"name": "plain"}]}]);
    fake.respond_with([openai::completion("Hi")]);
    post(&gateway, Format::Gemini, &question, &[]).await;
    let sent = fake.requests()[0].json();
    let names = [0, 1].map(|at| sent["tools"][at]["function"]["name"].as_str().unwrap());
    let expected = names[0].to_owned();
    assert!(
        expected.len() <= 64 && expected.starts_with("mcp__plugin_design_tools__"),
        "{expected}"
    );
    assert_eq!(names[1], "plain");

    // The provider gets that name, whole and streamed, and the client its own.
    fake.respond_with([
        openai::completion_with_tool("c1", &expected, "{}"),
        ScriptedResponse::stream([
            openai::tool_call(0, "c1", &expected),
            openai::tool_arguments(0, "{}"),
            openai::finish("tool_calls"),
            openai::done(),
        ]),
    ]);
    let response = post(&gateway, Format::Gemini, &question, &[]).await.json().await.unwrap();
    let content = response["candidates"][0]["content"].clone();
    assert_eq!(content["parts"][0]["functionCall"]["name"], LONG, "{response}");
    let path = Format::Gemini.path("r", true);
    let body = question.to_string();
    let stream = send(&gateway, "POST", &path, &[("x-api-key", KEY)], body).await;
    let stream = stream.text().await.unwrap();
    assert!(stream.contains(LONG) && !stream.contains(&expected), "{stream}");

    // The next turn names it as before.
    let result = json!({"functionResponse": {"name": LONG, "response": {"a": 1}}});
    let turns = question["contents"].as_array_mut().unwrap();
    turns.extend([content, json!({"role": "user", "parts": [result]})]);
    fake.respond_with([openai::completion("Done")]);
    post(&gateway, Format::Gemini, &question, &[]).await;
    let sent = fake.requests().pop().unwrap().json();
    assert_eq!(sent["messages"][1]["tool_calls"][0]["function"]["name"], expected, "{sent}");
    assert!(!sent.to_string().contains(LONG), "{sent}");
}

#[tokio::test]
async fn invalid_tool_arguments_of_other_models_are_repaired() {
    // Ids that begin anew with each turn, and arguments that are no JSON.
    let call = |name: &str, arguments: &str| {
        let function = json!({"name": name, "arguments": arguments});
        json!({"role": "assistant", "content": null,
            "tool_calls": [{"id": "call_0", "type": "function", "function": function}]})
    };
    let result = json!({"role": "tool", "tool_call_id": "call_0", "content": "x"});
    let hello = json!({"role": "user", "content": "Hello"});
    let messages = json!([hello, call("f", "{\"a\":"), result, call("g", "{}"), result]);
    let question = json!({"model": "r", "messages": messages});
    for provider in [Format::Messages, Format::Gemini] {
        let fake = FakeProvider::start().await;
        fake.respond_with([provider.whole("Hi")]);
        let gateway = gateway_for(&[(provider, &fake)]).await;
        let response = post(&gateway, Format::Chat, &question, &[]).await;
        assert_eq!(response.status, 200, "{provider:?}");
        let sent = fake.requests()[0].json();
        let at = |path: &str| sent.pointer(path).unwrap().clone();
        if provider == Format::Messages {
            assert_eq!(at("/messages/1/content/0/input"), json!({"INVALID_JSON": "{\"a\":"}));
            let ids = [1, 3].map(|turn| at(&format!("/messages/{turn}/content/0/id")));
            let of = [2, 4].map(|turn| at(&format!("/messages/{turn}/content/0/tool_use_id")));
            assert!(ids[0] != ids[1] && ids == of, "{sent}");
        } else {
            assert_eq!(at("/contents/1/parts/0/functionCall/args/INVALID_JSON"), "{\"a\":");
            let names =
                [2, 4].map(|turn| at(&format!("/contents/{turn}/parts/0/functionResponse/name")));
            assert_eq!(names, ["f", "g"], "{sent}");
        }
    }
}

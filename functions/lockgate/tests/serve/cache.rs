//! The response cache, as clients see it: which header asks for what, which format gets what, and what
//! is never given again.

use serde_json::{Value, json};
use testkit::{
    client::ClientResponse,
    lockgate::Lockgate,
    openai,
    provider::{FakeProvider, ScriptedResponse},
};

use crate::support::{KEY, ask, ask_with, attempts_of, gateway_for, hello, send, text_of};

const CACHED: &str = "
default_provider: first
cache: { enabled: true, ttl: 5m }
prices: [{ provider: first, model: m, input: 1000, output: 1000 }]
tenants: [{ name: other, api_key: key-of-other }]
";

/// A provider that responds whole or streamed, as it is asked.
async fn responding() -> FakeProvider {
    FakeProvider::responding_with(|request| {
        if request.json()["stream"] == true {
            let text = [openai::role(), openai::chunk("Greetings"), openai::finish("stop")];
            let end = [openai::usage(9, 12), openai::done()];
            return ScriptedResponse::stream(text.into_iter().chain(end));
        }
        openai::completion("Greetings")
    })
    .await
}

/// A request that is meant to get the same response each time.
fn deterministic() -> Value {
    let mut question = hello("m");
    question["temperature"] = json!(0);
    question
}

/// What the cache had for a request with these headers, and the status.
async fn outcome(gateway: &Lockgate, question: &Value, headers: &[(&str, &str)]) -> (u16, String) {
    let response = ask_with(gateway, question, headers).await;
    let outcome = (response.status.as_u16(), response.header("x-gateway-cache").to_owned());
    response.text().await.unwrap();
    outcome
}

/// Asks until the response, which is kept behind the call that made it, comes from the cache.
async fn hit(gateway: &Lockgate, path: &str, question: &Value) -> ClientResponse {
    loop {
        let headers = [("x-api-key", KEY), ("cache-control", "only-if-cached")];
        let response = send(gateway, "POST", path, &headers, question.to_string()).await;
        if response.status == 200 {
            return response;
        }
        assert_eq!(response.status, 504);
        response.text().await.unwrap();
    }
}

#[tokio::test]
async fn a_hit_says_so_how_old_it_is_and_what_it_saved() {
    let first = responding().await;
    let gateway = gateway_for(&first, CACHED).await;
    let made = ask(&gateway, &deterministic()).await;
    assert_eq!((made.header("x-gateway-cache"), made.header("age")), ("miss", ""));
    let made: Value = made.json().await.unwrap();
    assert_eq!(made["x_gateway"]["cost_usd"], 0.021);
    assert_eq!(made["x_gateway"]["cache_hit"], false);

    let hit = hit(&gateway, "/v1/chat/completions", &deterministic()).await;
    assert_eq!(hit.header("x-gateway-cache"), "hit");
    assert!(hit.header("age").parse::<u64>().is_ok());
    let hit: Value = hit.json().await.unwrap();
    let metadata = &hit["x_gateway"];
    assert_eq!(
        (&metadata["cache_hit"], &metadata["cost_usd"]),
        (&json!(true), &json!(0.0)),
        "{metadata}"
    );
    assert_eq!(metadata["saved_usd"], 0.021);
    assert_eq!(attempts_of(metadata), [""; 0]);
    assert_eq!(hit["choices"], made["choices"]);
    assert_eq!(first.requests().len(), 1);

    let headers = [("x-api-key", "key-of-other"), ("cache-control", "only-if-cached")];
    let path = "/v1/chat/completions";
    let foreign = send(&gateway, "POST", path, &headers, deterministic().to_string()).await;
    assert_eq!(foreign.status, 504, "nobody gets the response of another tenant");
}

#[tokio::test]
async fn each_header_decides_what_the_cache_may_do() {
    let first = responding().await;
    let gateway = gateway_for(&first, CACHED).await;
    let question = deterministic();
    ask(&gateway, &question).await.text().await.unwrap();
    hit(&gateway, "/v1/chat/completions", &question).await;

    for (name, value, expected) in [
        ("x-gateway-cache", "no-store", "bypass"),
        ("x-skip-cache", "true", "bypass"),
        ("cache-control", "no-store", "bypass"),
        ("cache-control", "no-cache", "miss"),
        ("x-gateway-cache", "refresh", "miss"),
        ("cache-control", "max-age=0", "miss"),
        ("cache-control", "max-age=600", "hit"),
        ("x-gateway-cache", "use", "hit"),
        ("x-skip-cache", "false", "hit"),
    ] {
        let seen = outcome(&gateway, &question, &[(name, value)]).await;
        assert_eq!(seen, (200, expected.to_owned()), "{name}: {value}");
    }

    let mut random = question.clone();
    random["temperature"] = json!(0.7);
    assert_eq!(outcome(&gateway, &random, &[]).await.1, "bypass");
    let wanted = [("x-gateway-cache", "use")];
    assert_eq!(outcome(&gateway, &random, &wanted).await.1, "miss");
    while outcome(&gateway, &random, &wanted).await.1 != "hit" {}
    let other = [("x-gateway-cache", "only-if-cached")];
    assert_eq!(outcome(&gateway, &hello("other"), &other).await.0, 504);
}

/// A call in one format.
struct Surface {
    path: &'static str,
    streamed_path: &'static str,
    body: Value,
    has_stream_field: bool,
}

impl Surface {
    fn of(path: &'static str, body: Value) -> Self {
        Self { path, streamed_path: path, body, has_stream_field: true }
    }

    fn path(&self, stream: bool) -> &'static str {
        if stream { self.streamed_path } else { self.path }
    }

    fn body(&self, stream: bool) -> Value {
        let mut body = self.body.clone();
        if stream && self.has_stream_field {
            body["stream"] = json!(true);
        }
        body
    }
}

fn surfaces() -> [Surface; 5] {
    let messages = json!([{ "role": "user", "content": "Hello" }]);
    let gemini = json!({ "contents": [{ "role": "user", "parts": [{ "text": "Hello" }] }],
                         "generationConfig": { "temperature": 0 } });
    [
        Surface::of(
            "/v1/chat/completions",
            json!({ "model": "m", "temperature": 0, "messages": messages }),
        ),
        Surface::of(
            "/v1/messages",
            json!({ "model": "m", "temperature": 0, "max_tokens": 50, "messages": messages }),
        ),
        Surface::of("/v1/responses", json!({ "model": "m", "temperature": 0, "input": "Hello" })),
        Surface::of(
            "/v1/completions",
            json!({ "model": "m", "temperature": 0, "prompt": "Hello" }),
        ),
        Surface {
            path: "/v1beta/models/m:generateContent",
            streamed_path: "/v1beta/models/m:streamGenerateContent?alt=sse",
            body: gemini,
            has_stream_field: false,
        },
    ]
}

#[tokio::test]
async fn every_format_gets_it_whole_or_streamed_whatever_it_was() {
    for was_streamed in [false, true] {
        for surface in surfaces() {
            let first = responding().await;
            let gateway = gateway_for(&first, CACHED).await;
            let (path, body) = (surface.path(was_streamed), surface.body(was_streamed));
            let headers = [("x-api-key", KEY)];
            let made = send(&gateway, "POST", path, &headers, body.to_string()).await;
            assert_eq!(made.status, 200, "{path}");
            assert!(made.text().await.unwrap().contains("Greetings"), "{path}");

            for stream in [false, true] {
                let path = surface.path(stream);
                let hit = hit(&gateway, path, &surface.body(stream)).await;
                assert_eq!(hit.header("x-gateway-cache"), "hit", "{path}");
                assert!(hit.header("age").parse::<u64>().is_ok(), "{path}");
                let kind = hit.header("content-type").to_owned();
                assert_eq!(kind.starts_with("text/event-stream"), stream, "{path}: {kind}");
                let text = hit.text().await.unwrap();
                assert!(text.contains("Greetings"), "{path}: {text}");
            }
            assert_eq!(first.requests().len(), 1, "{path}");
        }
    }
}

#[tokio::test]
async fn an_error_a_cut_and_a_filtered_answer_are_never_given_again() {
    let cut = || ScriptedResponse::stream([openai::role(), openai::chunk("Gree")]);
    let filtered = || {
        let steps = [openai::role(), openai::chunk("Gree"), openai::finish("content_filter")];
        ScriptedResponse::stream(steps.into_iter().chain([openai::done()]))
    };
    let broken = || {
        let steps = [openai::role(), openai::chunk("Gree")];
        let end = [openai::error_event("server_error", "no"), openai::done()];
        ScriptedResponse::stream(steps.into_iter().chain(end))
    };
    let text = json!({"role": "assistant", "content": "Gree"});
    let refusal = json!({"role": "assistant", "content": null, "refusal": "no"});
    let whole = |choices: &[(&Value, Value)]| {
        let choice = |(index, (message, reason)): (usize, &(&Value, Value))| json!({"index": index, "message": message, "finish_reason": reason});
        let choices: Vec<Value> = choices.iter().enumerate().map(choice).collect();
        let usage = json!({"prompt_tokens": 9, "completion_tokens": 12, "total_tokens": 21});
        let body = json!({
            "id": "1", "object": "chat.completion", "created": 1, "model": "m",
            "choices": choices, "usage": usage,
        });
        ScriptedResponse::json(200, &body)
    };
    for (bad, stream) in [
        (whole(&[(&text, json!("content_filter")), (&text, json!("stop"))]), false),
        (whole(&[(&refusal, json!("stop"))]), false),
        (whole(&[(&text, json!("length"))]), false),
        (whole(&[(&text, json!(null))]), false),
        (openai::error(400, "invalid_request_error", "no"), false),
        (openai::error(500, "server_error", "no"), false),
        (cut(), true),
        (broken(), true),
        (filtered(), true),
    ] {
        let printed = format!("{bad:?}");
        let first = FakeProvider::start().await;
        first.respond_with([bad, openai::completion("Greetings")]);
        let gateway = gateway_for(&first, CACHED).await;
        let mut question = deterministic();
        if stream {
            question["stream"] = json!(true);
        }
        drop(ask(&gateway, &question).await.text().await);
        let text = text_of(ask(&gateway, &deterministic()).await).await;
        assert_eq!(text, "Greetings", "{printed}");
        assert_eq!(first.requests().len(), 2, "{printed}");
    }
}

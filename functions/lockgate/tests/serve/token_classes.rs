//! Token classes: what each kind of call used is counted to the token, as its provider reported it, and
//! charged by class.

use serde_json::{Value, json};
use testkit::{
    lockgate::Lockgate,
    provider::{FakeProvider, ScriptedResponse},
};

use crate::{
    admin::{USERS, ask},
    support::{KEY, send, serve},
};

/// USD per million tokens of each class: input, output, read from the cache, written to it.
const PRICES: [f64; 4] = [1.0, 10.0, 0.1, 2.0];

/// A gateway before one provider of a type.
async fn gateway(kind: &str, provider: &FakeProvider) -> Lockgate {
    let [input, output, cached, written] = PRICES;
    let yaml = format!(
        "api_key: {KEY}\nproviders: [{{ name: first, type: {kind}, base_url: '{}', api_key: k }}]\n\
         models: [{{ name: m, provider: first }}]\n\
         prices: [{{ provider: first, model: m, input: {input}, output: {output}, \
         cached_input: {cached}, cache_write: {written} }}]\n{USERS}",
        provider.url()
    );
    serve(&yaml).await
}

/// The row of the only call, once it is written.
async fn row(gateway: &Lockgate) -> Value {
    loop {
        let (_, found) = ask(gateway, "GET", "/admin/requests", "").await;
        if let Some(row) = found["data"].as_array().and_then(|rows| rows.first()) {
            return row.clone();
        }
    }
}

/// What a provider reported, and which tokens of which class that is.
struct Reported {
    kind: &'static str,
    path: &'static str,
    request: Value,
    response: ScriptedResponse,
    classes: Value,
}

/// Whether the row of the call has these tokens, and the cost that follows from them.
async fn check(reported: Reported) {
    let fake = FakeProvider::start().await;
    fake.respond_with([reported.response]);
    let gateway = gateway(reported.kind, &fake).await;
    let (path, headers) = (reported.path, [("x-api-key", KEY)]);
    let response = send(&gateway, "POST", path, &headers, reported.request.to_string()).await;
    let status = response.status;
    let body = response.text().await.unwrap();
    assert_eq!(status, 200, "{path}: {body}");

    let row = row(&gateway).await;
    let usage = &row["usage"];
    let count = |class: &str| reported.classes[class].as_u64().unwrap_or(0);
    let input = ["input", "cached_input", "cache_write", "input_audio"];
    let output = ["output", "reasoning", "output_audio"];
    for class in input.iter().chain(&output) {
        assert_eq!(usage[class], count(class), "{class} at {path} of {}: {usage}", reported.kind);
    }
    let total: u64 = input.iter().chain(&output).map(|class| count(class)).sum();
    assert_eq!((&usage["total"], &usage["source"]), (&json!(total), &json!("reported")), "{usage}");

    #[expect(clippy::cast_precision_loss, reason = "these are small numbers")]
    let dollars = |class: &str, price: f64| count(class) as f64 * price / 1e6;
    let [full, written_out, cached, written] = PRICES;
    let expected = dollars("input", full)
        + dollars("input_audio", full)
        + dollars("cached_input", cached)
        + dollars("cache_write", written)
        + output.iter().map(|class| dollars(class, written_out)).sum::<f64>();
    let cost = row["cost_usd"].as_f64().unwrap();
    assert!((cost - expected).abs() <= 1e-6, "{cost} and not {expected} at {path}: {usage}");
}

fn chat_request(stream: bool) -> Value {
    json!({ "model": "m", "stream": stream, "messages": [{ "role": "user", "content": [
        { "type": "text", "text": "What is this?" },
        { "type": "image_url", "image_url": { "url": "data:image/png;base64,iVBORw0KGgo=" } },
    ] }] })
}

const CHAT_USAGE: &str = r#"{"prompt_tokens":100,"completion_tokens":50,"total_tokens":150,"prompt_tokens_details":{"cached_tokens":30,"audio_tokens":10},"completion_tokens_details":{"reasoning_tokens":20,"audio_tokens":5}}"#;

fn chat_classes() -> Value {
    json!({ "input": 60, "cached_input": 30, "input_audio": 10,
            "output": 25, "reasoning": 20, "output_audio": 5 })
}

#[tokio::test]
async fn openai_chat_whole_and_streamed() {
    let choice = json!({ "index": 0, "finish_reason": "stop",
                         "message": { "role": "assistant", "content": "A cat." } });
    let usage: Value = serde_json::from_str(CHAT_USAGE).unwrap();
    let whole = json!({ "id": "c", "object": "chat.completion", "created": 1, "model": "m",
                        "choices": [choice], "usage": usage });
    let head = r#""id":"c","object":"chat.completion.chunk","created":1,"model":"m""#;
    let stream = format!(
        "data: {{{head},\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"A cat.\"}},\"finish_reason\":null}}]}}\n\n\
         data: {{{head},\"choices\":[{{\"index\":0,\"delta\":{{}},\"finish_reason\":\"stop\"}}]}}\n\n\
         data: {{{head},\"choices\":[],\"usage\":{CHAT_USAGE}}}\n\ndata: [DONE]\n\n"
    );
    for (stream, response) in [
        (false, ScriptedResponse::json(200, &whole)),
        (true, ScriptedResponse::raw(200, "text/event-stream", stream)),
    ] {
        let (kind, path) = ("openai", "/v1/chat/completions");
        let (request, classes) = (chat_request(stream), chat_classes());
        check(Reported { kind, path, request, response, classes }).await;
    }
}

#[tokio::test]
async fn anthropic_reads_and_writes_its_cache() {
    let whole = json!({
        "id": "msg", "type": "message", "role": "assistant", "model": "m",
        "content": [{ "type": "text", "text": "A cat." }],
        "stop_reason": "end_turn", "stop_sequence": null,
        "usage": { "input_tokens": 10, "cache_creation_input_tokens": 20,
                   "cache_read_input_tokens": 30, "output_tokens": 40 },
    });
    for path in ["/v1/messages", "/v1/chat/completions"] {
        check(Reported {
            kind: "anthropic",
            path,
            request: json!({ "model": "m", "max_tokens": 50,
                             "messages": [{ "role": "user", "content": "Hello" }] }),
            response: ScriptedResponse::json(200, &whole),
            classes: json!({ "input": 10, "cached_input": 30, "cache_write": 20, "output": 40 }),
        })
        .await;
    }
}

#[tokio::test]
async fn gemini_counts_audio_images_and_reasoning() {
    let whole = json!({
        "candidates": [{ "index": 0, "finishReason": "STOP",
                         "content": { "role": "model", "parts": [{ "text": "A cat." }] } }],
        "modelVersion": "m",
        "usageMetadata": {
            "promptTokenCount": 100, "cachedContentTokenCount": 30, "candidatesTokenCount": 40,
            "thoughtsTokenCount": 7, "totalTokenCount": 147,
            "promptTokensDetails": [
                { "modality": "TEXT", "tokenCount": 70 },
                { "modality": "IMAGE", "tokenCount": 20 },
                { "modality": "AUDIO", "tokenCount": 10 },
            ],
        },
    });
    check(Reported {
        kind: "gemini",
        path: "/v1beta/models/m:generateContent",
        request: json!({ "contents": [{ "role": "user", "parts": [{ "text": "Hello" }] }] }),
        response: ScriptedResponse::json(200, &whole),
        classes: json!({ "input": 60, "cached_input": 30, "input_audio": 10,
                         "output": 40, "reasoning": 7 }),
    })
    .await;
}

#[tokio::test]
async fn openai_responses_counts_reasoning() {
    let whole = json!({
        "id": "resp", "object": "response", "created_at": 1, "status": "completed", "model": "m",
        "output": [{ "type": "message", "id": "msg", "role": "assistant", "status": "completed",
                     "content": [{ "type": "output_text", "text": "A cat.", "annotations": [] }] }],
        "usage": { "input_tokens": 100, "input_tokens_details": { "cached_tokens": 30 },
                   "output_tokens": 50, "output_tokens_details": { "reasoning_tokens": 20 },
                   "total_tokens": 150 },
    });
    check(Reported {
        kind: "openai-responses",
        path: "/v1/responses",
        request: json!({ "model": "m", "input": "Hello" }),
        response: ScriptedResponse::json(200, &whole),
        classes: json!({ "input": 70, "cached_input": 30, "output": 30, "reasoning": 20 }),
    })
    .await;
}

#[tokio::test]
async fn images_and_embeddings() {
    let image = json!({
        "created": 1, "data": [{ "b64_json": "aGk=" }],
        "usage": { "input_tokens": 50, "output_tokens": 1000, "total_tokens": 1050,
                   "input_tokens_details": { "text_tokens": 50, "image_tokens": 0 } },
    });
    check(Reported {
        kind: "openai",
        path: "/v1/images/generations",
        request: json!({ "model": "m", "prompt": "A cat" }),
        response: ScriptedResponse::json(200, &image),
        classes: json!({ "input": 50, "output": 1000 }),
    })
    .await;
    let vectors = json!({
        "object": "list", "model": "m",
        "data": [{ "object": "embedding", "index": 0, "embedding": [0.5, 0.25] }],
        "usage": { "prompt_tokens": 8, "total_tokens": 8 },
    });
    check(Reported {
        kind: "openai",
        path: "/v1/embeddings",
        request: json!({ "model": "m", "input": "Hello" }),
        response: ScriptedResponse::json(200, &vectors),
        classes: json!({ "input": 8 }),
    })
    .await;
}

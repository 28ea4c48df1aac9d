//! `POST /v1/completions`: prompts that are continued, and gaps that are filled.

use serde_json::{Value, json};
use testkit::client::ClientResponse;
use testkit::lockgate::Lockgate;
use testkit::openai;
use testkit::provider::{FakeProvider, ScriptedResponse, Step};

use crate::support::{KEY, data_of, error_of, gateway_for, only, send, serve, yaml};
use crate::wire_formats::Format;

const WHOLE: &str = r#"{"id":"cmpl-1","object":"text_completion","created":1,"model":"m","choices":[{"text":" there","index":0,"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":2,"completion_tokens":1,"total_tokens":3}}"#;

async fn complete(gateway: &Lockgate, request: &Value) -> ClientResponse {
    send(gateway, "POST", "/v1/completions", &[("x-api-key", KEY)], request.to_string()).await
}

/// A gateway before one provider of a type.
async fn gateway_of(kind: &str, fake: &FakeProvider) -> Lockgate {
    let url = fake.url();
    serve(&format!(
        "api_key: {KEY}\nproviders:\n  - {{ name: first, type: {kind}, base_url: \"{url}\", api_key: k }}\n"
    ))
    .await
}

fn objects(text: &str) -> Vec<Value> {
    let data = data_of(text);
    let objects = data.iter().filter(|it| *it != "[DONE]");
    objects.map(|it| serde_json::from_str(it).unwrap()).collect()
}

/// Where each type has its older completions: without a gap, and with one.
#[tokio::test]
async fn a_provider_that_has_completions_gets_the_request_unchanged() {
    for (kind, model, plain, gap) in [
        ("openai", "gpt-3.5-turbo-instruct", "/v1/completions", "/v1/completions"),
        ("openai", "gpt-4o", "/v1/chat/completions", "/v1/chat/completions"),
        ("vllm", "m", "/v1/completions", "/v1/chat/completions"),
        ("lmstudio", "m", "/v1/completions", "/v1/chat/completions"),
        ("ollama", "m", "/v1/completions", "/v1/completions"),
        ("together", "m", "/v1/completions", "/v1/chat/completions"),
        ("fireworks", "m", "/inference/v1/completions", "/inference/v1/chat/completions"),
        ("openrouter", "m", "/api/v1/completions", "/api/v1/chat/completions"),
        ("cerebras", "m", "/v1/completions", "/v1/chat/completions"),
        ("deepseek", "m", "/beta/completions", "/beta/completions"),
        ("mistral", "codestral-latest", "/v1/chat/completions", "/v1/fim/completions"),
        ("mistral", "mistral-small", "/v1/chat/completions", "/v1/chat/completions"),
        ("groq", "m", "/openai/v1/chat/completions", "/openai/v1/chat/completions"),
    ] {
        let fake = FakeProvider::responding_with(|seen| {
            let is_native = !seen.target.contains("/chat/") && !seen.target.contains("/fim/");
            if is_native {
                return ScriptedResponse::raw(200, "application/json", WHOLE);
            }
            openai::completion(" there")
        })
        .await;
        let gateway = gateway_of(kind, &fake).await;
        let model = format!("first/{model}");
        for (request, path) in [
            (json!({"model": model, "prompt": "Hello", "max_tokens": 5}), plain),
            (json!({"model": model, "prompt": "Hello", "suffix": "!"}), gap),
        ] {
            let response = complete(&gateway, &request).await;
            let (status, body) = (response.status, response.json().await.unwrap());
            assert_eq!(status, 200, "{kind} {model}: {body}");
            assert_eq!(body["choices"][0]["text"], " there", "{kind} {model}: {body}");
            assert_eq!(body["object"], "text_completion");
            assert_eq!(fake.requests().last().unwrap().target, path, "{kind} {model}");
        }
    }
}

#[tokio::test]
async fn bytes_pass_through_but_for_the_model() {
    let fake = FakeProvider::start().await;
    fake.respond_with([ScriptedResponse::raw(200, "application/json", WHOLE)]);
    let gateway = gateway_of("vllm", &fake).await;
    let request = r#"{ "prompt" : ["a","b"], "model":"first/m" , "logprobs": 2, "echo":true }"#;
    let key = [("x-api-key", KEY)];
    let response = send(&gateway, "POST", "/openai/v1/completions", &key, request.to_owned()).await;
    assert_eq!(response.header("x-gateway-dropped"), "");
    assert_eq!(response.text().await.unwrap(), WHOLE);
    assert_eq!(&only(&fake).body[..], request.replace("first/m", "m").as_bytes());
}

#[tokio::test]
async fn a_stream_passes_through_and_its_usage_only_where_requested() {
    let chunk = |text: &str, reason: &str| {
        Step::text(format!(
            "data: {{\"id\":\"cmpl-1\",\"object\":\"text_completion\",\"created\":1,\"model\":\"m\",\"choices\":[{{\"index\":0,\"text\":\"{text}\",\"logprobs\":null,\"finish_reason\":{reason}}}]}}\n\n"
        ))
    };
    let usage = Step::text(
        "data: {\"id\":\"cmpl-1\",\"object\":\"text_completion\",\"created\":1,\"model\":\"m\",\"choices\":[],\"usage\":{\"prompt_tokens\":2,\"completion_tokens\":2,\"total_tokens\":4}}\n\n",
    );
    for (options, has_usage) in [(json!(null), false), (json!({"include_usage": true}), true)] {
        let fake = FakeProvider::start().await;
        let steps = [chunk("a", "null"), chunk("b", "\"length\""), usage.clone(), openai::done()];
        fake.respond_with([ScriptedResponse::stream(steps)]);
        let gateway = gateway_of("vllm", &fake).await;
        let request = json!({"model": "first/m", "prompt": "x", "stream": true,
            "stream_options": options});
        let text = complete(&gateway, &request).await.text().await.unwrap();
        let objects = objects(&text);
        let written: String =
            objects.iter().filter_map(|it| it["choices"][0]["text"].as_str()).collect();
        assert_eq!(written, "ab", "{text}");
        assert_eq!(objects.iter().any(|it| it["usage"].is_object()), has_usage, "{text}");
        assert!(text.ends_with("data: [DONE]\n\n"), "{text}");
        assert_eq!(only(&fake).json()["stream_options"], json!({"include_usage": true}));
    }
}

#[tokio::test]
async fn every_format_can_fill_a_gap() {
    for format in crate::wire_formats::ALL {
        for stream in [false, true] {
            let fake = FakeProvider::start().await;
            fake.respond_with([if stream { format.stream("Hi") } else { format.whole("Hi") }]);
            let gateway = gateway_of(format.kind(), &fake).await;
            let request = json!({"model": "first/m", "prompt": "def f(", "suffix": "return 1",
                "stream": stream, "max_tokens": 50, "echo": true});
            let response = complete(&gateway, &request).await;
            assert_eq!(response.status, 200, "{format:?}");
            let text = response.text().await.unwrap();
            let objects =
                if stream { objects(&text) } else { vec![serde_json::from_str(&text).unwrap()] };
            let written: String =
                objects.iter().filter_map(|it| it["choices"][0]["text"].as_str()).collect();
            assert!(written.starts_with("def f(Hi"), "{format:?} {text}");
            for object in &objects {
                assert_eq!(object["object"], "text_completion", "{text}");
                assert!(object["id"].as_str().unwrap().starts_with("cmpl-"), "{text}");
            }
            let reasons =
                objects.iter().filter_map(|it| it["choices"][0]["finish_reason"].as_str());
            assert_eq!(reasons.collect::<Vec<_>>(), ["stop"], "{format:?} {text}");
            assert_eq!(text.ends_with("data: [DONE]\n\n"), stream);
            let sent = only(&fake).json().to_string();
            assert!(sent.contains("<prefix>def f(</prefix>\\n<suffix>return 1</suffix>"), "{sent}");
        }
    }
}

#[tokio::test]
async fn what_a_chat_cannot_do_advances_or_is_named() {
    let (first, second) = (FakeProvider::start().await, FakeProvider::start().await);
    first.respond_with([openai::completion("Hi")]);
    second.respond_with([ScriptedResponse::raw(200, "application/json", WHOLE)]);
    let config = yaml(
        &[("first", &first.url()), ("second", &second.url())],
        "routes: [{ name: both, steps: [{ provider: first, model: m }, { provider: second, model: m }] }]",
    )
    .replace("name: second,", "name: second, type: vllm,");
    let gateway = serve(&config).await;
    for prompt in [json!(["a", "b"]), json!([1, 2])] {
        let response = complete(&gateway, &json!({"model": "both", "prompt": prompt})).await;
        assert_eq!(response.header("x-gateway-provider"), "second");
        let request = json!({"model": "first/m", "prompt": prompt});
        let (status, error) = error_of(complete(&gateway, &request).await).await;
        assert_eq!((status, &error["param"]), (400, &json!("prompt")));
    }
    let request = json!({"model": "both", "prompt": "a", "logprobs": 2, "best_of": 3});
    let response = complete(&gateway, &request).await;
    assert_eq!(response.header("x-gateway-dropped"), "logprobs, best_of");
    assert_eq!(response.header("x-gateway-provider"), "first");
}

#[tokio::test]
async fn an_invalid_prompt_is_rejected_before_any_attempt() {
    let fake = FakeProvider::start().await;
    let gateway = gateway_for(&fake, "").await;
    for (fields, param) in [
        (json!({}), "prompt"),
        (json!({"prompt": {}}), "prompt"),
        (json!({"prompt": []}), "prompt"),
        (json!({"prompt": "a", "suffix": 5}), "suffix"),
        (json!({"prompt": "a", "stream": "yes"}), "stream"),
    ] {
        let mut request = fields.clone();
        request["model"] = json!("first/m");
        let (status, error) = error_of(complete(&gateway, &request).await).await;
        assert_eq!((status, &error["param"]), (400, &json!(param)), "{fields}");
    }
    assert!(fake.requests().is_empty());
}

#[tokio::test]
async fn a_failure_within_a_stream_is_an_error_event() {
    let fake = FakeProvider::start().await;
    let steps = Format::Messages.begun("Hi").into_iter().chain([Step::Cut]);
    fake.respond_with([ScriptedResponse::stream(steps)]);
    let gateway = gateway_of("anthropic", &fake).await;
    let request = json!({"model": "first/m", "prompt": "x", "stream": true});
    let text = complete(&gateway, &request).await.text().await.unwrap();
    assert!(!text.contains("[DONE]"), "{text}");
    assert!(data_of(&text).last().unwrap().starts_with("{\"error\":{"), "{text}");
}

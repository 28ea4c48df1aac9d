//! Audio, images, moderation and reranking: requests and responses pass through, on routes like any
//! other.

use bytes::Bytes;
use serde_json::{Value, json};
use testkit::client::ClientResponse;
use testkit::lockgate::Lockgate;
use testkit::openai;
use testkit::provider::{FakeProvider, ScriptedResponse, Step};

use crate::support::{BOTH, KEY, error_of, gateway_for, gateway_for_both, only, send, serve};

/// The endpoints that take JSON, with a request and a response as OpenAI, Cohere and Jina write them.
fn json_endpoints() -> Vec<(&'static str, Value, Value)> {
    vec![
        (
            "/v1/images/generations",
            json!({"prompt": "a cat", "size": "1024x1024"}),
            json!({"created": 1, "data": [{"b64_json": "AAAA"}],
                "usage": {"input_tokens": 5, "output_tokens": 7, "total_tokens": 12}}),
        ),
        (
            "/v1/moderations",
            json!({"input": ["a", "b"]}),
            json!({"id": "modr-1", "model": "omni-moderation-latest", "results": [{"flagged": false}]}),
        ),
        (
            "/v1/rerank",
            json!({"query": "q", "documents": ["a", "b"], "top_n": 1}),
            json!({"model": "m", "results": [{"index": 1, "relevance_score": 0.9}],
                "usage": {"total_tokens": 9}}),
        ),
    ]
}

const FORM: &str = "--xYz\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nMODEL\r\n--xYz\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\nContent-Type: audio/wav\r\n\r\nRIFF\u{0}\u{1}\r\n--xYz--\r\n";
const FORM_TYPE: (&str, &str) = ("content-type", "multipart/form-data; boundary=xYz");

fn form(model: &str) -> String {
    FORM.replace("MODEL", model)
}

async fn post(gateway: &Lockgate, path: &str, body: impl Into<Bytes>) -> ClientResponse {
    send(gateway, "POST", path, &[("x-api-key", KEY)], body).await
}

async fn post_form(gateway: &Lockgate, path: &str, model: &str) -> ClientResponse {
    send(gateway, "POST", path, &[("x-api-key", KEY), FORM_TYPE], form(model)).await
}

#[tokio::test]
async fn json_passes_through_but_for_the_model() {
    for (path, request, response) in json_endpoints() {
        let fake = FakeProvider::start().await;
        fake.respond_with([ScriptedResponse::json(200, &response)]);
        let gateway = gateway_for(&fake, "").await;
        let mut request = request;
        for path in [path.to_owned(), path.replace("/v1", ""), format!("/openai{path}")] {
            request["model"] = "first/m".into();
            let answered = post(&gateway, &path, request.to_string()).await;
            assert_eq!(answered.header("x-gateway-provider"), "first", "{path}");
            assert_eq!(answered.json().await.unwrap(), response, "{path}");
            request["model"] = "m".into();
            let seen = fake.requests().pop().unwrap();
            assert_eq!(seen.json(), request, "{path}");
            assert!(path.ends_with(seen.target.trim_start_matches("/v1")), "{}", seen.target);
        }
    }
}

#[tokio::test]
async fn a_form_keeps_its_files_and_its_media_type() {
    for path in ["/v1/audio/transcriptions", "/v1/audio/translations", "/v1/images/edits"] {
        let fake = FakeProvider::start().await;
        fake.respond_with([ScriptedResponse::json(200, &json!({"text": "Hello"}))]);
        let gateway = gateway_for(&fake, "").await;
        let response = post_form(&gateway, path, "first/whisper").await;
        assert_eq!(response.json().await.unwrap(), json!({"text": "Hello"}), "{path}");
        let seen = only(&fake);
        assert_eq!((seen.target.as_str(), seen.header("content-type")), (path, FORM_TYPE.1));
        assert_eq!(seen.body, form("whisper"));
    }
}

#[tokio::test]
async fn what_is_no_json_keeps_its_bytes_and_its_media_type() {
    let audio: Vec<u8> = (0..50_000_u32).flat_map(u32::to_le_bytes).collect();
    for (content_type, body) in [
        ("audio/mpeg", audio),
        ("text/plain; charset=utf-8", b"Hello\n".to_vec()),
        ("text/event-stream", b"data: {\"type\":\"speech.audio.done\"}\n\n".to_vec()),
    ] {
        let fake = FakeProvider::start().await;
        fake.respond_with([ScriptedResponse::raw(200, content_type, body.clone())]);
        let gateway = gateway_for(&fake, "").await;
        let request = json!({"model": "first/m", "input": "Hello", "voice": "alloy"});
        let response = post(&gateway, "/v1/audio/speech", request.to_string()).await;
        assert_eq!(response.header("content-type"), content_type);
        assert_eq!(response.bytes().await.unwrap(), body, "{content_type}");
        gateway.logged("outcome=\"success\"").await;
    }
}

#[tokio::test]
async fn bytes_arrive_before_the_last_one_is_sent() {
    let (fake, latch) = (FakeProvider::start().await, testkit::provider::Latch::new());
    let steps = [Step::text("first,"), Step::Latch(latch.clone()), Step::text("last")];
    let response = ScriptedResponse::stream(steps).header("content-type", "audio/mpeg");
    fake.respond_with([response]);
    let gateway = gateway_for(&fake, "").await;
    let request = json!({"model": "first/m", "input": "Hello"}).to_string();
    let mut response = post(&gateway, "/v1/audio/speech", request).await;
    assert_eq!(response.until("first,").await.unwrap(), "first,");
    latch.open();
    assert_eq!(response.text().await.unwrap(), "last");
}

#[tokio::test]
async fn a_failure_advances_with_the_same_body() {
    for failure in [
        openai::error(500, "server_error", "no"),
        openai::error(429, "rate_limit_error", "slow down"),
        openai::error(404, "invalid_request_error", "no such path"),
        ScriptedResponse::json(200, &json!({"error": {"message": "no", "code": 500}})),
    ] {
        let (first, second) = (FakeProvider::start().await, FakeProvider::start().await);
        first.respond_with([failure]);
        second.respond_with([ScriptedResponse::json(200, &json!({"text": "Hello"}))]);
        let gateway = gateway_for_both(&first, &second, BOTH).await;
        let response = post_form(&gateway, "/v1/audio/transcriptions", "both").await;
        assert_eq!(response.header("x-gateway-attempts"), "2");
        assert_eq!(response.json().await.unwrap()["text"], "Hello");
        assert_eq!(only(&second).body, form("large"));
    }
}

#[tokio::test]
async fn each_type_of_provider_is_called_where_it_has_the_endpoint() {
    for (kind, path, target) in [
        ("cohere", "/v1/rerank", "/v2/rerank"),
        ("jina", "/v1/rerank", "/v1/rerank"),
        ("vllm", "/v1/rerank", "/v1/rerank"),
        ("fireworks", "/v1/rerank", "/inference/v1/rerank"),
        ("mistral", "/v1/moderations", "/v1/moderations"),
        ("xai", "/v1/images/generations", "/v1/images/generations"),
        (
            "azure-openai",
            "/v1/images/generations",
            "/openai/deployments/m/images/generations?api-version=2024-10-21",
        ),
    ] {
        let fake = FakeProvider::start().await;
        fake.respond_with([ScriptedResponse::json(200, &json!({"results": []}))]);
        let url = fake.url();
        let gateway = serve(&format!(
            "api_key: {KEY}\nproviders: [{{ name: first, type: {kind}, base_url: \"{url}\", api_key: k }}]"
        ))
        .await;
        let request = json!({"model": "first/m", "input": "x"}).to_string();
        assert_eq!(post(&gateway, path, request).await.status, 200, "{kind}");
        assert_eq!(only(&fake).target, target, "{kind}");
    }
}

#[tokio::test]
async fn a_provider_without_the_endpoint_is_passed_over() {
    let fake = FakeProvider::start().await;
    let url = fake.url();
    let gateway = serve(&format!(
        "api_key: {KEY}\nproviders: [{{ name: first, type: anthropic, base_url: \"{url}\", api_key: k }}]"
    ))
    .await;
    for (path, request, _) in json_endpoints() {
        let mut request = request;
        request["model"] = "first/m".into();
        let (status, error) = error_of(post(&gateway, path, request.to_string()).await).await;
        assert_eq!(status, 400);
        assert_eq!(error["message"], "Provider first: has no endpoint for this");
    }
    assert!(fake.requests().is_empty());
}

#[tokio::test]
async fn tokens_are_priced_and_recorded() {
    let fake = FakeProvider::start().await;
    let (path, mut request, response) = json_endpoints().remove(0);
    fake.respond_with([ScriptedResponse::json(200, &response)]);
    let prices = "prices: [{ provider: first, model: m, input: 1000000, output: 1000000 }]";
    let gateway = gateway_for(&fake, prices).await;
    request["model"] = "first/m".into();
    assert_eq!(post(&gateway, path, request.to_string()).await.status, 200);
    let line = gateway.logged("outcome=\"success\"").await;
    assert!(line.contains("tokens_input=5") && line.contains("tokens_output=7"), "{line}");
    assert!(line.contains("cost_usd=\"12.000000\""), "{line}");
}

#[tokio::test]
async fn what_is_no_form_is_rejected_before_any_attempt() {
    let fake = FakeProvider::start().await;
    let gateway = gateway_for(&fake, "").await;
    let (status, error) =
        error_of(post(&gateway, "/v1/audio/transcriptions", "nonsense").await).await;
    assert_eq!((status, &error["code"]), (400, &json!("invalid_request")));
    assert_eq!(send(&gateway, "POST", "/v1/audio/speech", &[], "{}").await.status, 401);
    assert_eq!(send(&gateway, "GET", "/v1/rerank", &[("x-api-key", KEY)], "").await.status, 405);
    assert!(fake.requests().is_empty());
}

#[tokio::test]
async fn gemini_embeds_in_its_own_format() {
    for kind in ["openai", "gemini"] {
        let fake = FakeProvider::responding_with(move |_| {
            let body = match kind {
                "gemini" => json!({"embeddings": [{"values": [1.0, 0.5]}]}),
                _ => json!({"object": "list", "model": "m",
                    "data": [{"object": "embedding", "index": 0, "embedding": [1.0, 0.5]}],
                    "usage": {"prompt_tokens": 2, "total_tokens": 2}}),
            };
            ScriptedResponse::json(200, &body)
        })
        .await;
        let url = fake.url();
        let gateway = serve(&format!(
            "api_key: {KEY}\nproviders: [{{ name: first, type: {kind}, base_url: \"{url}\", api_key: k }}]"
        ))
        .await;
        let content = json!({"content": {"parts": [{"text": "Hello"}]}, "outputDimensionality": 2});
        let path = "/v1beta/models/first/m:embedContent";
        let body = post(&gateway, path, content.to_string()).await.json().await.unwrap();
        assert_eq!(body["embedding"]["values"], json!([1.0, 0.5]), "{kind} {body}");
        let path = "/v1beta/models/first/m:batchEmbedContents";
        let batch = json!({"requests": [content]});
        let body = post(&gateway, path, batch.to_string()).await.json().await.unwrap();
        assert_eq!(body["embeddings"], json!([{"values": [1.0, 0.5]}]), "{kind} {body}");
        assert!(fake.requests()[0].json().to_string().contains("Hello"));
    }
}

#[tokio::test]
async fn the_choice_of_a_model_may_be_left_to_a_provider() {
    let fake = FakeProvider::start().await;
    fake.respond_with([ScriptedResponse::json(200, &json!({"results": []}))]);
    let url = fake.url();
    let providers =
        format!("api_key: {KEY}\nproviders: [{{ name: first, base_url: \"{url}\" }}]\n");
    let tenants = "tenants: [{ name: t, api_key: key-of-a-tenant, allowed_models: [m] }]";
    let gateway = serve(&format!("{providers}default_provider: first\n{tenants}")).await;
    let request = json!({"input": "x"});
    for path in ["/v1/moderations", "/v1/images/generations"] {
        assert_eq!(post(&gateway, path, request.to_string()).await.status, 200, "{path}");
        assert_eq!(fake.requests().pop().unwrap().json(), request, "{path}");
    }
    // Nothing speaks without a model, and a key that may not use every model has to name one.
    assert_eq!(post(&gateway, "/v1/audio/speech", request.to_string()).await.status, 400);
    let key = [("x-api-key", "key-of-a-tenant")];
    let response = send(&gateway, "POST", "/v1/moderations", &key, request.to_string()).await;
    assert_eq!(response.status, 400);

    let gateway = serve(&format!("{providers}default_model: first/m")).await;
    assert_eq!(post(&gateway, "/v1/moderations", request.to_string()).await.status, 200);
    assert_eq!(fake.requests().pop().unwrap().json()["model"], "m");
    let gateway = serve(&providers).await;
    assert_eq!(post(&gateway, "/v1/moderations", request.to_string()).await.status, 400);
}

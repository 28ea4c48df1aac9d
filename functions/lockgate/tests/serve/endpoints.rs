//! Every path of the contract, in the format of its own API: responses, streams and errors.

use serde_json::{Value, json};
use testkit::{
    client::ClientResponse,
    lockgate::Lockgate,
    provider::{FakeProvider, Latch, ScriptedResponse, Step},
};

use crate::{
    support::{KEY, gateway_for, program, send, serve, unused_address, yaml},
    wire_formats::{self, Format, events},
};

/// A gateway before one provider of each format, all called by their format's `type`.
async fn gateway(fakes: &[(Format, &FakeProvider)]) -> Lockgate {
    let provider = |(format, fake): &(Format, &FakeProvider)| {
        let kind = format.kind();
        format!("  - {{ name: {kind}, type: {kind}, base_url: \"{}\", api_key: k }}\n", fake.url())
    };
    let providers: String = fakes.iter().map(provider).collect();
    serve(&format!("api_key: {KEY}\nproviders:\n{providers}")).await
}

async fn post(gateway: &Lockgate, path: &str, body: &Value) -> ClientResponse {
    send(gateway, "POST", path, &[("x-api-key", KEY)], body.to_string()).await
}

#[tokio::test]
async fn every_path_responds_in_its_own_format() {
    for format in wire_formats::ALL {
        let fake = FakeProvider::start().await;
        fake.respond_with([format.whole("Hi")]);
        let gateway = gateway(&[(format, &fake)]).await;
        let model = format!("{}/some/model", format.kind());
        for path in format.paths(&model, false) {
            let response = post(&gateway, &path, &format.request(&model, false)).await;
            let head = (response.status.as_u16(), response.header("content-type").to_owned());
            assert_eq!(response.header("x-gateway-provider"), format.kind(), "{path}");
            assert_eq!(response.header("x-gateway-dropped"), "", "{path}");
            let body = response.json().await.unwrap();
            assert_eq!(head, (200, "application/json".to_owned()), "{path}: {body}");
            assert_eq!(format.response_text(&body), "Hi", "{path}");
        }
    }
}

#[tokio::test]
async fn every_path_streams_in_its_own_format() {
    for format in wire_formats::ALL {
        let fake = FakeProvider::start().await;
        fake.respond_with([format.stream("Hi")]);
        let gateway = gateway(&[(format, &fake)]).await;
        let model = format!("{}/m", format.kind());
        for path in format.paths(&model, true) {
            let response = post(&gateway, &path, &format.request(&model, true)).await;
            assert_eq!(response.header("content-type"), "text/event-stream", "{path}");
            let text = response.text().await.unwrap();
            let events = events(&text);
            let response_text: String = events.iter().map(|it| format.delta_text(it)).collect();
            assert_eq!(response_text, "Hi again", "{path}: {text}");
            assert!(events.iter().any(|it| format.ends(it)), "{path}: {text}");
            assert_eq!(text.contains("[DONE]"), format == Format::Chat, "{path}: {text}");
        }
    }
}

#[tokio::test]
async fn tokens_are_counted_where_the_provider_counts_them() {
    let fake = FakeProvider::start().await;
    let gateway = gateway(&[(Format::Messages, &fake), (Format::Gemini, &fake)]).await;
    fake.respond_with([ScriptedResponse::json(200, &json!({"input_tokens": 14}))]);
    let question = json!({"model": "anthropic/m", "messages": [{"role": "user", "content": "Hi"}]});
    for path in ["/v1/messages/count_tokens", "/anthropic/v1/messages/count_tokens?beta=true"] {
        let response = post(&gateway, path, &question).await;
        assert_eq!(response.json().await.unwrap(), json!({"input_tokens": 14}), "{path}");
    }
    fake.respond_with([ScriptedResponse::json(200, &json!({"totalTokens": 14}))]);
    let question = Format::Gemini.request("", false);
    for base in ["/v1beta", "/v1", "/gemini/v1beta", "/gemini/v1"] {
        let path = format!("{base}/models/gemini/m:countTokens");
        let response = post(&gateway, &path, &question).await;
        assert_eq!(response.json().await.unwrap()["totalTokens"], 14, "{path}");
    }
}

#[tokio::test]
async fn tokens_are_estimated_where_the_provider_does_not_count_them() {
    let fake = FakeProvider::start().await;
    let gateway = gateway_for(&fake, "").await;
    let question =
        json!({"model": "first/m", "messages": [{"role": "user", "content": "Hello there!"}]});
    let response = post(&gateway, "/v1/messages/count_tokens", &question).await;
    assert_eq!(response.header("x-gateway-estimated"), "true");
    let counted = response.json().await.unwrap()["input_tokens"].as_u64().unwrap();
    let path = "/v1beta/models/first/m:countTokens";
    let question = json!({"contents": [{"role": "user", "parts": [{"text": "Hello there!"}]}]});
    let response = post(&gateway, path, &question).await;
    assert_eq!(response.header("x-gateway-estimated"), "true");
    assert_eq!(response.json().await.unwrap()["totalTokens"], counted);
    assert!((5..15).contains(&counted), "{counted}");
    assert!(fake.requests().is_empty());
}

/// What goes wrong on a path, whatever it is, has the shape of the path.
#[tokio::test]
async fn errors_have_the_shape_of_the_path() {
    let gateway = serve(&yaml(&[("first", &unused_address())], "")).await;
    let long = "x".repeat(40_000);
    let (key, wrong) = (("x-api-key", KEY), ("x-api-key", "wrong"));
    let broken = [key, ("x-gateway-strict", "perhaps")];
    for format in wire_formats::ALL {
        for path in format.paths("first/m", false) {
            let body = format.request("first/m", false).to_string();
            for (status, method, headers, body) in [
                (401, "POST", &[wrong][..], body.as_str()),
                (405, "GET", &[key], ""),
                (431, "POST", &[key, ("x-long", &long)], &body),
                (400, "POST", &broken, &body),
                (400, "POST", &[key], "nonsense"),
                (502, "POST", &[key], &body),
            ] {
                // A model may have any name, so there is one behind every path that ends like one.
                let status = if (format, method) == (Format::Gemini, "GET") { 404 } else { status };
                let response = send(&gateway, method, &path, headers, body.to_owned()).await;
                let (got, body) = (response.status.as_u16(), response.json().await.unwrap());
                assert_eq!(got, status, "{method} {path}: {body}");
                assert!(!format.failure(&body).is_empty(), "{path}");
            }
        }
    }
}

#[tokio::test]
async fn anthropic_responses_carry_a_request_id_header() {
    let gateway = serve(&yaml(&[("first", &unused_address())], "")).await;
    for (path, named) in [("/v1/messages", true), ("/anthropic/x", true), ("/v1/responses", false)]
    {
        let response = post(&gateway, path, &json!({})).await;
        let id = if named { response.header("x-request-id") } else { "" };
        assert_eq!(response.header("request-id"), id, "{path}");
    }
}

#[tokio::test]
async fn an_unknown_path_is_404_in_the_format_of_its_prefix() {
    let gateway = serve(&yaml(&[("first", &unused_address())], "")).await;
    for (path, format) in [
        ("/nothing", Format::Chat),
        ("/v1/message", Format::Chat),
        ("/openai/v1/nothing", Format::Chat),
        ("/messages/batches", Format::Messages),
        ("/v1/messages/batches", Format::Messages),
        ("/anthropic", Format::Messages),
        ("/anthropic/v1/complete", Format::Messages),
        ("/v1beta/", Format::Gemini),
        ("/v1beta/tunedModels/x:generateContent", Format::Gemini),
        ("/gemini/v1/files", Format::Gemini),
        ("/v1beta/models/first/m:predict", Format::Gemini),
        ("/v1/models/first/m:predict", Format::Gemini),
    ] {
        let response = post(&gateway, path, &json!({})).await;
        let (status, body) = (response.status.as_u16(), response.json().await.unwrap());
        assert_eq!(status, 404, "{path}: {body}");
        assert!(!format.failure(&body).is_empty(), "{path}");
    }
}

#[tokio::test]
async fn gemini_paths_accept_the_key_in_the_query() {
    let fake = FakeProvider::start().await;
    let key = "a key/with+signs";
    let config = format!(
        "api_key: {key}\nproviders:\n  - {{ name: g, type: gemini, base_url: \"{}\", api_key: k }}\n",
        fake.url()
    );
    let gateway = program().config(&config).arguments(["--verbose"]).start().await;
    fake.respond_with([Format::Gemini.whole("Hi")]);
    let question = Format::Gemini.request("g/m", false).to_string();
    for (query, status) in [
        ("?key=a%20key%2Fwith%2Bsigns", 200),
        ("?alt=json&key=a+key/with%2Bsigns&prettyPrint=false", 200),
        ("?key=wrong-key", 401),
        ("?key=", 401),
        ("", 401),
    ] {
        for path in Format::Gemini.paths("g/m", false) {
            let response =
                send(&gateway, "POST", &format!("{path}{query}"), &[], question.clone()).await;
            let (got, body) = (response.status.as_u16(), response.text().await.unwrap());
            assert_eq!(got, status, "{path}{query}: {body}");
            assert!(!body.contains("wrong-key"), "{body}");
        }
    }
    for seen in fake.requests() {
        assert!(!format!("{seen:?}").contains("with"), "{seen:?}");
        assert_eq!((seen.header("x-goog-api-key"), seen.target.contains("key")), ("k", false));
    }
    let log = gateway.logged("call ended").await;
    assert!(
        !log.contains("a key") && !log.contains("signs") && !log.contains("wrong-key"),
        "{log}"
    );
}

#[tokio::test]
async fn other_paths_reject_the_key_in_the_query() {
    let gateway = serve(&yaml(&[("first", &unused_address())], "")).await;
    for format in [Format::Chat, Format::Responses, Format::Messages] {
        let path = format!("{}?key={KEY}", format.path("", false));
        let question = format.request("first/m", false).to_string();
        assert_eq!(send(&gateway, "POST", &path, &[], question).await.status, 401, "{path}");
    }
}

#[tokio::test]
async fn gemini_streams_an_array_unless_sse_is_requested() {
    for provider in wire_formats::ALL {
        let fake = FakeProvider::start().await;
        fake.respond_with([provider.stream("Hi")]);
        let gateway = gateway(&[(provider, &fake)]).await;
        let path = format!("/v1beta/models/{}/m:streamGenerateContent", provider.kind());
        let question = Format::Gemini.request("", true);
        for query in ["", "?alt=json", "?$alt=json;enum-encoding=int"] {
            let response = post(&gateway, &format!("{path}{query}"), &question).await;
            assert_eq!(response.header("content-type"), "application/json", "{query}");
            let body = response.json().await.unwrap();
            let elements = body.as_array().unwrap();
            let response_text: String =
                elements.iter().map(|it| Format::Gemini.delta_text(it)).collect();
            assert_eq!(response_text, "Hi again", "{query}: {body}");
            assert!(Format::Gemini.ends(elements.last().unwrap()), "{body}");
        }
        for query in ["?alt=sse", "?%24alt=sse"] {
            let response = post(&gateway, &format!("{path}{query}"), &question).await;
            assert_eq!(response.header("content-type"), "text/event-stream");
            let text = response.text().await.unwrap();
            let response_text: String =
                events(&text).iter().map(|it| Format::Gemini.delta_text(it)).collect();
            assert_eq!(response_text, "Hi again", "{text}");
        }
        let response = post(&gateway, &format!("{path}?alt=proto"), &question).await;
        assert_eq!(response.status, 400);
        assert!(Format::Gemini.failure(&response.json().await.unwrap()).contains("`alt`"));
    }
}

#[tokio::test]
async fn an_array_comes_element_by_element() {
    let (fake, latch) = (FakeProvider::start().await, Latch::new());
    let steps = Format::Gemini.begun("Hi").into_iter().chain([Step::Latch(latch.clone())]);
    fake.respond_with([ScriptedResponse::stream(steps.chain(Format::Gemini.ended("Hi")))]);
    let gateway = gateway(&[(Format::Gemini, &fake)]).await;
    let path = "/v1beta/models/gemini/m:streamGenerateContent";
    let mut response = post(&gateway, path, &Format::Gemini.request("", true)).await;
    let begun = response.until("Hi").await.unwrap();
    assert!(begun.starts_with('['), "{begun}");
    latch.open();
    let whole: Value = serde_json::from_str(&(begun + &response.text().await.unwrap())).unwrap();
    assert_eq!(whole.as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn an_empty_gemini_model_name_uses_the_default_route() {
    let fake = FakeProvider::start().await;
    fake.respond_with([Format::Chat.whole("Hi")]);
    let gateway = gateway_for(&fake, "default_model: first/m").await;
    let response =
        post(&gateway, "/v1beta/models/:generateContent", &Format::Gemini.request("", false)).await;
    assert_eq!(Format::Gemini.response_text(&response.json().await.unwrap()), "Hi");
}

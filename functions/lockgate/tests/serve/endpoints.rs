//! Every path of the contract, in the shape of its own API: answers, streams and failures.

use serde_json::{Value, json};
use testkit::{
    client::Answer,
    lockgate::Lockgate,
    provider::{Answer as Scripted, Fake, Gate, Step},
};

use crate::{
    speech::{self, Speech, events},
    support::{KEY, before, nobody, program, send, serve, yaml},
};

/// A gateway before one provider of each format, all called by their format's `type`.
async fn gateway(fakes: &[(Speech, &Fake)]) -> Lockgate {
    let provider = |(speech, fake): &(Speech, &Fake)| {
        let kind = speech.kind();
        format!("  - {{ name: {kind}, type: {kind}, base_url: \"{}\", api_key: k }}\n", fake.url())
    };
    let providers: String = fakes.iter().map(provider).collect();
    serve(&format!("api_key: {KEY}\nproviders:\n{providers}")).await
}

async fn post(gateway: &Lockgate, path: &str, body: &Value) -> Answer {
    send(gateway, "POST", path, &[("x-api-key", KEY)], body.to_string()).await
}

#[tokio::test]
async fn every_path_answers_in_its_own_shape() {
    for speech in speech::ALL {
        let fake = Fake::start().await;
        fake.answers([speech.whole("Hi")]);
        let gateway = gateway(&[(speech, &fake)]).await;
        let model = format!("{}/some/model", speech.kind());
        for path in speech.paths(&model, false) {
            let answer = post(&gateway, &path, &speech.question(&model, false)).await;
            let head = (answer.status.as_u16(), answer.header("content-type").to_owned());
            assert_eq!(answer.header("x-gateway-provider"), speech.kind(), "{path}");
            assert_eq!(answer.header("x-gateway-dropped"), "", "{path}");
            let body = answer.json().await.unwrap();
            assert_eq!(head, (200, "application/json".to_owned()), "{path}: {body}");
            assert_eq!(speech.said(&body), "Hi", "{path}");
        }
    }
}

#[tokio::test]
async fn every_path_streams_in_its_own_shape() {
    for speech in speech::ALL {
        let fake = Fake::start().await;
        fake.answers([speech.stream("Hi")]);
        let gateway = gateway(&[(speech, &fake)]).await;
        let model = format!("{}/m", speech.kind());
        for path in speech.paths(&model, true) {
            let answer = post(&gateway, &path, &speech.question(&model, true)).await;
            assert_eq!(answer.header("content-type"), "text/event-stream", "{path}");
            let text = answer.text().await.unwrap();
            let events = events(&text);
            let said: String = events.iter().map(|it| speech.says(it)).collect();
            assert_eq!(said, "Hi again", "{path}: {text}");
            assert!(events.iter().any(|it| speech.ends(it)), "{path}: {text}");
            assert_eq!(text.contains("[DONE]"), speech == Speech::Chat, "{path}: {text}");
        }
    }
}

#[tokio::test]
async fn tokens_are_counted_where_the_provider_counts_them() {
    let fake = Fake::start().await;
    let gateway = gateway(&[(Speech::Messages, &fake), (Speech::Gemini, &fake)]).await;
    fake.answers([Scripted::json(200, &json!({"input_tokens": 14}))]);
    let question = json!({"model": "anthropic/m", "messages": [{"role": "user", "content": "Hi"}]});
    for path in ["/v1/messages/count_tokens", "/anthropic/v1/messages/count_tokens?beta=true"] {
        let answer = post(&gateway, path, &question).await;
        assert_eq!(answer.json().await.unwrap(), json!({"input_tokens": 14}), "{path}");
    }
    fake.answers([Scripted::json(200, &json!({"totalTokens": 14}))]);
    let question = Speech::Gemini.question("", false);
    for base in ["/v1beta", "/v1", "/gemini/v1beta", "/gemini/v1"] {
        let path = format!("{base}/models/gemini/m:countTokens");
        let answer = post(&gateway, &path, &question).await;
        assert_eq!(answer.json().await.unwrap()["totalTokens"], 14, "{path}");
    }
}

#[tokio::test]
async fn tokens_are_estimated_where_the_provider_does_not_count_them() {
    let fake = Fake::start().await;
    let gateway = before(&fake, "").await;
    let question =
        json!({"model": "first/m", "messages": [{"role": "user", "content": "Hello there!"}]});
    let answer = post(&gateway, "/v1/messages/count_tokens", &question).await;
    assert_eq!(answer.header("x-gateway-estimated"), "true");
    let counted = answer.json().await.unwrap()["input_tokens"].as_u64().unwrap();
    let path = "/v1beta/models/first/m:countTokens";
    let question = json!({"contents": [{"role": "user", "parts": [{"text": "Hello there!"}]}]});
    let answer = post(&gateway, path, &question).await;
    assert_eq!(answer.header("x-gateway-estimated"), "true");
    assert_eq!(answer.json().await.unwrap()["totalTokens"], counted);
    assert!((5..15).contains(&counted), "{counted}");
    assert!(fake.seen().is_empty());
}

/// What goes wrong on a path, whatever it is, has the shape of the path.
#[tokio::test]
async fn errors_have_the_shape_of_the_path() {
    let gateway = serve(&yaml(&[("first", &nobody())], "")).await;
    let long = "x".repeat(40_000);
    let (key, wrong) = (("x-api-key", KEY), ("x-api-key", "wrong"));
    let broken = [key, ("x-gateway-strict", "perhaps")];
    for speech in speech::ALL {
        for path in speech.paths("first/m", false) {
            let body = speech.question("first/m", false).to_string();
            for (status, method, headers, body) in [
                (401, "POST", &[wrong][..], body.as_str()),
                (405, "GET", &[key], ""),
                (431, "POST", &[key, ("x-long", &long)], &body),
                (400, "POST", &broken, &body),
                (400, "POST", &[key], "nonsense"),
                (502, "POST", &[key], &body),
            ] {
                // A model may have any name, so there is one behind every path that ends like one.
                let status = if (speech, method) == (Speech::Gemini, "GET") { 404 } else { status };
                let answer = send(&gateway, method, &path, headers, body.to_owned()).await;
                let (got, body) = (answer.status.as_u16(), answer.json().await.unwrap());
                assert_eq!(got, status, "{method} {path}: {body}");
                assert!(!speech.failure(&body).is_empty(), "{path}");
            }
        }
    }
}

#[tokio::test]
async fn anthropics_clients_find_the_name_of_a_request_where_they_look() {
    let gateway = serve(&yaml(&[("first", &nobody())], "")).await;
    for (path, named) in [("/v1/messages", true), ("/anthropic/x", true), ("/v1/responses", false)]
    {
        let answer = post(&gateway, path, &json!({})).await;
        let id = if named { answer.header("x-request-id") } else { "" };
        assert_eq!(answer.header("request-id"), id, "{path}");
    }
}

#[tokio::test]
async fn a_path_without_an_endpoint_is_refused_in_the_shape_of_its_neighbours() {
    let gateway = serve(&yaml(&[("first", &nobody())], "")).await;
    for (path, speech) in [
        ("/nothing", Speech::Chat),
        ("/v1/message", Speech::Chat),
        ("/openai/v1/nothing", Speech::Chat),
        ("/messages/batches", Speech::Messages),
        ("/v1/messages/batches", Speech::Messages),
        ("/anthropic", Speech::Messages),
        ("/anthropic/v1/complete", Speech::Messages),
        ("/v1beta/", Speech::Gemini),
        ("/v1beta/tunedModels/x:generateContent", Speech::Gemini),
        ("/gemini/v1/files", Speech::Gemini),
        ("/v1beta/models/first/m:predict", Speech::Gemini),
        ("/v1/models/first/m:predict", Speech::Gemini),
        ("/v1beta/models/first/m:embedContent", Speech::Gemini),
        ("/v1/models/first/m:batchEmbedContents", Speech::Gemini),
    ] {
        let answer = post(&gateway, path, &json!({})).await;
        let (status, body) = (answer.status.as_u16(), answer.json().await.unwrap());
        assert_eq!(status, 404, "{path}: {body}");
        let message = speech.failure(&body);
        assert_eq!(message.contains("/v1/embeddings"), path.contains("mbed"), "{message}");
    }
}

#[tokio::test]
async fn gemini_paths_take_their_key_in_the_query() {
    let fake = Fake::start().await;
    let key = "a key/with+signs";
    let config = format!(
        "api_key: {key}\nproviders:\n  - {{ name: g, type: gemini, base_url: \"{}\", api_key: k }}\n",
        fake.url()
    );
    let gateway = program().config(&config).arguments(["--verbose"]).start().await;
    fake.answers([Speech::Gemini.whole("Hi")]);
    let question = Speech::Gemini.question("g/m", false).to_string();
    for (query, status) in [
        ("?key=a%20key%2Fwith%2Bsigns", 200),
        ("?alt=json&key=a+key/with%2Bsigns&prettyPrint=false", 200),
        ("?key=wrong-key", 401),
        ("?key=", 401),
        ("", 401),
    ] {
        for path in Speech::Gemini.paths("g/m", false) {
            let answer =
                send(&gateway, "POST", &format!("{path}{query}"), &[], question.clone()).await;
            let (got, body) = (answer.status.as_u16(), answer.text().await.unwrap());
            assert_eq!(got, status, "{path}{query}: {body}");
            assert!(!body.contains("wrong-key"), "{body}");
        }
    }
    for seen in fake.seen() {
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
async fn other_paths_take_no_key_in_the_query() {
    let gateway = serve(&yaml(&[("first", &nobody())], "")).await;
    for speech in [Speech::Chat, Speech::Responses, Speech::Messages] {
        let path = format!("{}?key={KEY}", speech.path("", false));
        let question = speech.question("first/m", false).to_string();
        assert_eq!(send(&gateway, "POST", &path, &[], question).await.status, 401, "{path}");
    }
}

#[tokio::test]
async fn gemini_streams_an_array_unless_it_is_asked_for_events() {
    for provider in speech::ALL {
        let fake = Fake::start().await;
        fake.answers([provider.stream("Hi")]);
        let gateway = gateway(&[(provider, &fake)]).await;
        let path = format!("/v1beta/models/{}/m:streamGenerateContent", provider.kind());
        let question = Speech::Gemini.question("", true);
        for query in ["", "?alt=json", "?$alt=json;enum-encoding=int"] {
            let answer = post(&gateway, &format!("{path}{query}"), &question).await;
            assert_eq!(answer.header("content-type"), "application/json", "{query}");
            let body = answer.json().await.unwrap();
            let elements = body.as_array().unwrap();
            let said: String = elements.iter().map(|it| Speech::Gemini.says(it)).collect();
            assert_eq!(said, "Hi again", "{query}: {body}");
            assert!(Speech::Gemini.ends(elements.last().unwrap()), "{body}");
        }
        for query in ["?alt=sse", "?%24alt=sse"] {
            let answer = post(&gateway, &format!("{path}{query}"), &question).await;
            assert_eq!(answer.header("content-type"), "text/event-stream");
            let text = answer.text().await.unwrap();
            let said: String = events(&text).iter().map(|it| Speech::Gemini.says(it)).collect();
            assert_eq!(said, "Hi again", "{text}");
        }
        let answer = post(&gateway, &format!("{path}?alt=proto"), &question).await;
        assert_eq!(answer.status, 400);
        assert!(Speech::Gemini.failure(&answer.json().await.unwrap()).contains("`alt`"));
    }
}

#[tokio::test]
async fn an_array_comes_element_by_element() {
    let (fake, gate) = (Fake::start().await, Gate::new());
    let steps = Speech::Gemini.begun("Hi").into_iter().chain([Step::Gate(gate.clone())]);
    fake.answers([Scripted::stream(steps.chain(Speech::Gemini.ended("Hi")))]);
    let gateway = gateway(&[(Speech::Gemini, &fake)]).await;
    let path = "/v1beta/models/gemini/m:streamGenerateContent";
    let mut answer = post(&gateway, path, &Speech::Gemini.question("", true)).await;
    let begun = answer.until("Hi").await.unwrap();
    assert!(begun.starts_with('['), "{begun}");
    gate.open();
    let whole: Value = serde_json::from_str(&(begun + &answer.text().await.unwrap())).unwrap();
    assert_eq!(whole.as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn gemini_leaves_the_choice_of_a_model_to_the_gateway_with_an_empty_name() {
    let fake = Fake::start().await;
    fake.answers([Speech::Chat.whole("Hi")]);
    let gateway = before(&fake, "default_model: first/m").await;
    let answer =
        post(&gateway, "/v1beta/models/:generateContent", &Speech::Gemini.question("", false))
            .await;
    assert_eq!(Speech::Gemini.said(&answer.json().await.unwrap()), "Hi");
}

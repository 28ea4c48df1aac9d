//! The real binary as Lambda runs it, behind a URL that streams, before a provider of another format.
#![expect(clippy::unwrap_used, reason = "a broken setup should stop the test")]

use routing::document::{read, rows::to_rows};
use serde_json::{Value, json};
use testkit::{
    client::{self, Answer},
    cloud::Cloud,
    openai,
    provider::{Answer as Scripted, Fake, Gate, Step},
    runtime::Emulator,
};

const WHOLE: &str = "/v1beta/models/r:generateContent";
const STREAM: &str = "/gemini/v1/models/r:streamGenerateContent?alt=sse";
/// What shows that a stream is whole.
const END: &str = "\"finishReason\":\"STOP\"";

/// A deployed gateway of one test's own, whose operator has applied a configuration.
struct Gateway {
    fake: Fake,
    _cloud: Cloud,
    emulator: Emulator,
}

impl Gateway {
    async fn start() -> Self {
        let (fake, cloud) = (Fake::start().await, Cloud::new().await);
        let yaml = format!(
            "api_key: ${{KEY}}
providers: [{{ name: p, base_url: \"{}\" }}]
routes: [{{ name: r, steps: [{{ provider: p, model: m }}] }}]",
            fake.url()
        );
        let document = read(&yaml, &|_| Some("key".to_owned()), &gateway::kinds()).unwrap();
        let (rows, secrets) = to_rows(&document, &cloud.prefix);
        for (name, secret) in secrets {
            cloud.keep(&name, secret.expose()).await;
        }
        cloud.write(rows.into_iter().map(|it| [it.pk, it.sk, it.value])).await;
        let function = cloud.function("generate-content", env!("CARGO_BIN_EXE_generate-content"));
        let function = function.env("STREAM_HEARTBEAT_SECONDS", "0.1").env("ORIGIN_SECRET", "s");
        let emulator = Emulator::builder().function(function).origin_secret("s");
        Self { fake, _cloud: cloud, emulator: emulator.start().await }
    }

    async fn ask(&self, path: &str, key: &str, body: &Value) -> Answer {
        let url = format!("{}{path}", self.emulator.url());
        client::post_json(&url, key, body).await.unwrap()
    }

    /// Nothing went wrong on the platform's side.
    fn is_well(&self) {
        let warnings = self.emulator.report().warnings;
        assert!(warnings.is_empty(), "{warnings:?}");
    }
}

fn question() -> Value {
    json!({"contents": [{"role": "user", "parts": [{"text": "Hello?"}]}]})
}

#[tokio::test]
async fn a_whole_answer_comes_back() {
    let gateway = Gateway::start().await;
    gateway.fake.answers([openai::completion("Hello!")]);
    let answer = gateway.ask(WHOLE, "key", &question()).await;
    assert_eq!(answer.header("x-gateway-provider"), "p");
    assert_eq!(answer.header("content-type"), "application/json");
    let body = answer.json().await.unwrap();
    assert_eq!(body["candidates"][0]["content"]["parts"][0]["text"], "Hello!", "{body}");
    gateway.is_well();
}

#[tokio::test]
async fn a_stream_comes_piece_by_piece_and_its_silence_is_filled() {
    let gateway = Gateway::start().await;
    let gate = Gate::new();
    gateway.fake.answers([Scripted::stream([
        openai::role(),
        openai::chunk("one"),
        Step::Gate(gate.clone()),
        openai::chunk("two"),
        openai::finish("stop"),
        openai::done(),
    ])]);
    let mut answer = gateway.ask(STREAM, "key", &question()).await;
    assert_eq!(answer.header("content-type"), "text/event-stream");
    answer.until("one").await.unwrap();
    let beat = String::from_utf8(answer.chunk().await.unwrap().unwrap().to_vec()).unwrap();
    assert!(beat.lines().all(|it| it.is_empty()), "{beat:?}");
    gate.open();
    let rest = answer.text().await.unwrap();
    assert!(rest.contains("two") && rest.contains(END), "{rest}");
    gateway.is_well();
}

#[tokio::test]
async fn a_refusal_has_the_shape_of_the_path() {
    let gateway = Gateway::start().await;
    let behind_the_door = format!("/_raw/generate-content{WHOLE}");
    for (path, key, status, word) in [
        (WHOLE, "wrong", 401, "UNAUTHENTICATED"),
        (&behind_the_door, "key", 403, "PERMISSION_DENIED"),
    ] {
        let answer = gateway.ask(path, key, &question()).await;
        assert_eq!(answer.status, status);
        let body = answer.json().await.unwrap();
        assert_eq!(body["error"]["status"], word, "{body}");
    }
    gateway.is_well();
}

#[tokio::test]
async fn silence_in_an_array_is_filled_with_white_space() {
    let gateway = Gateway::start().await;
    let (first, second) = (Gate::new(), Gate::new());
    let late = Scripted::stream([
        Step::Gate(first.clone()),
        openai::chunk("one"),
        Step::Gate(second.clone()),
        Step::Cut,
    ]);
    gateway.fake.answers([late]);
    let path = "/v1beta/models/r:streamGenerateContent";
    let mut answer = gateway.ask(path, "key", &question()).await;
    assert_eq!(answer.header("content-type"), "application/json");
    let mut text = answer.until("\n").await.unwrap();
    assert_eq!(text.trim(), "");
    first.open();
    text += &answer.until("one").await.unwrap();
    text += &answer.until("\n").await.unwrap();
    second.open();
    text += &answer.text().await.unwrap();
    let array: Value = serde_json::from_str(&text).unwrap();
    let last = array.as_array().unwrap().last().unwrap();
    assert_eq!(last["error"]["status"], "UNAVAILABLE", "{text}");
    gateway.is_well();
}

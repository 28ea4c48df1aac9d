//! The real binary as Lambda runs it, with its memory in an emulated AWS and a scripted provider.
#![expect(clippy::unwrap_used, reason = "a broken setup should stop the test")]

#[path = "../../../../shared/testkit/deployed/apply.rs"]
mod apply;
mod lambda_faults;
mod limits;
mod prompt_logging;
mod races;
mod responses;
mod state;
mod streams;
mod timeouts;
mod usage_events;

use http::Method;
use serde_json::{Value, json};
use testkit::{
    aws::stack::AwsStack,
    client::{self, ClientResponse},
    lambda::{Emulator, Function, Outcome},
    provider::FakeProvider,
};

/// Where the endpoint is.
const PATH: &str = "/v1/chat/completions";
/// The gateway's own key.
const KEY: &str = "value-of-GATEWAY_KEY";

/// A deployed gateway of one test's own.
struct Gateway {
    fake: FakeProvider,
    cloud: AwsStack,
    emulator: Emulator,
}

impl Gateway {
    /// Two providers, and a route `r` with both as targets.
    async fn start() -> Self {
        Self::start_as(|it| it).await
    }

    /// The same, with a function that differs from the usual one.
    async fn start_as(change: impl FnOnce(Function) -> Function) -> Self {
        let gateway = Self::empty(change).await;
        gateway.apply(&two_steps(&gateway.fake)).await;
        gateway
    }

    /// A gateway whose operator has not applied anything yet.
    async fn empty(change: impl FnOnce(Function) -> Function) -> Self {
        let (fake, cloud) = (FakeProvider::start().await, AwsStack::new().await);
        let function = change(function(&cloud));
        let emulator = Emulator::builder().function(function).origin_secret("front-door");
        Self { fake, cloud, emulator: emulator.start().await }
    }

    /// Writes a configuration as `lockgate apply` does, each variable holding its own name.
    async fn apply(&self, yaml: &str) {
        let variable = |name: &str| Some(format!("value-of-{name}"));
        apply::apply(&self.cloud, yaml, &variable).await;
    }

    fn url(&self) -> String {
        format!("{}{PATH}", self.emulator.url())
    }

    /// Requests a whole response from the route.
    async fn ask(&self) -> ClientResponse {
        self.send(&question()).await
    }

    /// Asks the route for a stream.
    async fn stream(&self) -> ClientResponse {
        let mut body = question();
        body["stream"] = true.into();
        self.send(&body).await
    }

    async fn send(&self, body: &Value) -> ClientResponse {
        client::post_json(&self.url(), KEY, body).await.unwrap()
    }

    /// Sends anything else, without a key.
    async fn request(&self, method: Method, path: &str) -> ClientResponse {
        let url = format!("{}{path}", self.emulator.url());
        let request = http::Request::builder().method(method).uri(url);
        client::send(request.body(bytes::Bytes::new()).unwrap()).await.unwrap()
    }

    /// The providers that got requests, by their names in the configuration.
    fn requests(&self) -> Vec<String> {
        let name = |target: &str| target.split('/').nth(1).unwrap().to_owned();
        self.fake.requests().iter().map(|it| name(&it.target)).collect()
    }

    /// Nothing went wrong on the platform's side: every call got a response, without warnings.
    fn is_well(&self) {
        let report = self.emulator.report();
        assert!(report.warnings.is_empty(), "{:?}", report.warnings);
        let answered = report.invocations.iter().all(|it| it.outcome == Outcome::Answered);
        assert!(answered, "{:?}", report.invocations);
    }
}

fn function(cloud: &AwsStack) -> Function {
    cloud.function("chat-completions", env!("CARGO_BIN_EXE_chat-completions"))
}

fn two_steps(fake: &FakeProvider) -> String {
    let url = fake.url();
    format!(
        "api_key: ${{GATEWAY_KEY}}
providers:
  - {{ name: first, base_url: {url}/first, api_key: \"${{FIRST_KEY}}\" }}
  - {{ name: second, base_url: {url}/second, api_key: \"${{SECOND_KEY}}\" }}
routes:
  - name: r
    cooldown: 60s
    steps: [{{ provider: first, model: a }}, {{ provider: second, model: b }}]
"
    )
}

fn question() -> Value {
    json!({"model": "r", "messages": [{"role": "user", "content": "Hello?"}]})
}

/// The message of an error in OpenAI's shape, whose other fields are as they should be.
fn message(error: &Value) -> &str {
    let error = &error["error"];
    assert!(error["type"].is_string() && error["request_id"].is_string(), "{error}");
    error["message"].as_str().unwrap()
}

/// The JSON of every event of a stream, comments and the terminator left out.
fn events(text: &str) -> Vec<Value> {
    let data = text.split("\n\n").filter_map(|it| it.strip_prefix("data: "));
    data.filter(|it| *it != "[DONE]").map(|it| serde_json::from_str(it).unwrap()).collect()
}

/// The whole text of a stream.
fn streamed_text(text: &str) -> String {
    let events = events(text);
    events.iter().filter_map(|it| it["choices"][0]["delta"]["content"].as_str()).collect()
}

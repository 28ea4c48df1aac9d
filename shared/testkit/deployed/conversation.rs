//! Tests of every function that serves conversations, with a provider of another format.

use serde_json::Value;
use testkit::{
    aws::stack::AwsStack,
    client::{self, ClientResponse},
    lambda::Emulator,
    openai,
    provider::{FakeProvider, Latch, ScriptedResponse, Step},
};

#[path = "apply.rs"]
mod apply;

/// One function's API.
pub(crate) struct Case {
    pub(crate) function: &'static str,
    pub(crate) binary: &'static str,
    /// The path of a whole request.
    pub(crate) path: &'static str,
    /// Where a stream is, by a name that another program uses.
    pub(crate) stream_path: &'static str,
    /// The bodies of a whole and of a streaming request.
    pub(crate) requests: [Value; 2],
    /// The JSON pointer of a response's text.
    pub(crate) text: &'static str,
    /// What shows that a stream is whole.
    pub(crate) end: &'static str,
    /// How a line begins that fills a silence, where it is not empty.
    pub(crate) comment: Option<char>,
    /// Where a failure's word is.
    pub(crate) word: &'static str,
    /// The errors for a wrong key, and for a call that did not come through the distribution.
    pub(crate) words: [&'static str; 2],
}

/// A deployed gateway of one test's own, whose operator has applied a configuration.
pub(crate) struct Gateway {
    pub(crate) fake: FakeProvider,
    _cloud: AwsStack,
    emulator: Emulator,
}

impl Gateway {
    pub(crate) async fn start(case: &Case) -> Self {
        let (fake, cloud) = (FakeProvider::start().await, AwsStack::new().await);
        let yaml = format!(
            "api_key: ${{KEY}}
providers: [{{ name: p, base_url: \"{}\" }}]
routes: [{{ name: r, steps: [{{ provider: p, model: m }}] }}]",
            fake.url()
        );
        apply::apply(&cloud, &yaml, &|_| Some("key".to_owned())).await;
        let function = cloud.function(case.function, case.binary);
        let function = function.env("STREAM_HEARTBEAT_SECONDS", "0.1").env("ORIGIN_SECRET", "s");
        let emulator = Emulator::builder().function(function).origin_secret("s");
        Self { fake, _cloud: cloud, emulator: emulator.start().await }
    }

    pub(crate) async fn ask(&self, path: &str, key: &str, body: &Value) -> ClientResponse {
        let url = format!("{}{path}", self.emulator.url());
        client::post_json(&url, key, body).await.unwrap()
    }

    /// Nothing went wrong on the platform's side.
    pub(crate) fn is_well(&self) {
        let warnings = self.emulator.report().warnings;
        assert!(warnings.is_empty(), "{warnings:?}");
    }
}

pub(crate) async fn a_whole_response_is_returned(case: &Case) {
    let gateway = Gateway::start(case).await;
    gateway.fake.respond_with([openai::completion("Hello!")]);
    let response = gateway.ask(case.path, "key", &case.requests[0]).await;
    assert_eq!(response.header("x-gateway-provider"), "p");
    assert_eq!(response.header("content-type"), "application/json");
    let body = response.json().await.unwrap();
    assert_eq!(body.pointer(case.text).unwrap(), "Hello!", "{body}");
    gateway.is_well();
}

pub(crate) async fn a_stream_arrives_in_chunks_with_keep_alives(case: &Case) {
    let gateway = Gateway::start(case).await;
    let latch = Latch::new();
    gateway.fake.respond_with([ScriptedResponse::stream([
        openai::role(),
        openai::chunk("one"),
        Step::Latch(latch.clone()),
        openai::chunk("two"),
        openai::finish("stop"),
        openai::done(),
    ])]);
    let mut response = gateway.ask(case.stream_path, "key", &case.requests[1]).await;
    assert_eq!(response.header("content-type"), "text/event-stream");
    response.until("one").await.unwrap();
    let keep_alive = String::from_utf8(response.chunk().await.unwrap().unwrap().to_vec()).unwrap();
    let fills = |line: &str| line.chars().next().is_none_or(|it| Some(it) == case.comment);
    assert!(keep_alive.lines().all(fills), "{keep_alive:?}");
    latch.open();
    let rest = response.text().await.unwrap();
    assert!(rest.contains("two") && rest.contains(case.end), "{rest}");
    gateway.is_well();
}

pub(crate) async fn an_error_has_the_format_of_the_path(case: &Case) {
    let gateway = Gateway::start(case).await;
    let behind_the_door = format!("/_raw/{}{}", case.function, case.path);
    let refusals = [(case.path, "wrong", 401), (&*behind_the_door, "key", 403)];
    for ((path, key, status), word) in refusals.into_iter().zip(case.words) {
        let response = gateway.ask(path, key, &case.requests[0]).await;
        assert_eq!(response.status, status);
        let body = response.json().await.unwrap();
        assert_eq!(body.pointer(case.word).unwrap(), word, "{body}");
    }
    gateway.is_well();
}

/// Makes tests of what every function does.
macro_rules! tests {
    ($case:path) => {
        #[tokio::test]
        async fn a_whole_response_is_returned() {
            conversation::a_whole_response_is_returned(&$case()).await;
        }

        #[tokio::test]
        async fn a_stream_arrives_in_chunks_with_keep_alives() {
            conversation::a_stream_arrives_in_chunks_with_keep_alives(&$case()).await;
        }

        #[tokio::test]
        async fn an_error_has_the_format_of_the_path() {
            conversation::an_error_has_the_format_of_the_path(&$case()).await;
        }
    };
}
pub(crate) use tests;

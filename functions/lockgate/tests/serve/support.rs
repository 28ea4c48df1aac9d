//! Shared by the tests: a gateway with fake providers, and requests to it.

use std::io::{Read, Write};
use std::net::TcpListener;

use bytes::Bytes;
use http::Request;
use serde_json::{Value, json};
use testkit::client::{self, ClientResponse};
use testkit::lockgate::{Lockgate, Setup};
use testkit::openai;
use testkit::provider::{FakeProvider, ReceivedRequest};

/// The key that the gateways of these tests accept.
pub(crate) const KEY: &str = "gateway-key";

/// A route through both providers without other settings.
pub(crate) const BOTH: &str = "
routes:
  - name: both
    steps:
      - { provider: first, model: small }
      - { provider: second, model: large }
";

/// The program with nothing around it.
pub(crate) fn program() -> Setup {
    Setup::new(env!("CARGO_BIN_EXE_lockgate"))
}

/// A configuration with a key, and providers of these names at these addresses.
pub(crate) fn yaml(providers: &[(&str, &str)], rest: &str) -> String {
    let provider =
        |(name, url): &(&str, &str)| format!("  - {{ name: {name}, base_url: \"{url}\" }}\n");
    let providers: String = providers.iter().map(provider).collect();
    format!("api_key: {KEY}\nproviders:\n{providers}{rest}\n")
}

/// A provider that responds properly.
pub(crate) async fn provider() -> FakeProvider {
    let fake = FakeProvider::start().await;
    fake.respond_with([openai::completion("Hi")]);
    fake
}

/// A provider that streams well.
pub(crate) async fn streaming_provider() -> FakeProvider {
    let fake = FakeProvider::start().await;
    fake.respond_with([openai::stream(["Hel", "lo"])]);
    fake
}

/// A gateway before one provider, `first`.
pub(crate) async fn gateway_for(first: &FakeProvider, rest: &str) -> Lockgate {
    serve(&yaml(&[("first", &first.url())], rest)).await
}

/// A gateway before two providers, `first` and `second`.
pub(crate) async fn gateway_for_both(
    first: &FakeProvider,
    second: &FakeProvider,
    rest: &str,
) -> Lockgate {
    serve(&yaml(&[("first", &first.url()), ("second", &second.url())], rest)).await
}

/// A gateway with this configuration.
pub(crate) async fn serve(yaml: &str) -> Lockgate {
    program().config(yaml).start().await
}

/// A request to a model.
pub(crate) fn hello(model: &str) -> Value {
    json!({"model": model, "messages": [{"role": "user", "content": "Hello"}]})
}

/// The same, with a streamed response.
pub(crate) fn hello_streamed(model: &str) -> Value {
    let mut question = hello(model);
    question["stream"] = true.into();
    question
}

/// Sends a chat request with the valid key.
pub(crate) async fn ask(gateway: &Lockgate, question: &Value) -> ClientResponse {
    post(gateway, question.to_string(), &[]).await
}

/// Sends a chat request with the valid key and these headers.
pub(crate) async fn ask_with(
    gateway: &Lockgate,
    question: &Value,
    headers: &[(&str, &str)],
) -> ClientResponse {
    post(gateway, question.to_string(), headers).await
}

/// Sends any bytes with the right key and these headers.
pub(crate) async fn post(
    gateway: &Lockgate,
    body: impl Into<Bytes>,
    headers: &[(&str, &str)],
) -> ClientResponse {
    let bearer = format!("Bearer {KEY}");
    let headers = [&[("authorization", bearer.as_str())], headers].concat();
    send(gateway, "POST", "/v1/chat/completions", &headers, body).await
}

/// Sends any request.
pub(crate) async fn send(
    gateway: &Lockgate,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> ClientResponse {
    let mut request = Request::builder().method(method).uri(format!("{}{target}", gateway.url()));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    client::send(request.body(body.into()).unwrap()).await.unwrap()
}

/// The status and the error of a response, which must be an error.
pub(crate) async fn error_of(response: ClientResponse) -> (u16, Value) {
    let status = response.status.as_u16();
    let body = response.json().await.unwrap();
    assert!(400 <= status, "{status} {body}");
    (status, body["error"].clone())
}

/// The text of a whole response.
pub(crate) async fn text_of(response: ClientResponse) -> String {
    let (status, body) = (response.status, response.json().await.unwrap());
    assert_eq!(status, 200, "{body}");
    body["choices"][0]["message"]["content"].as_str().unwrap().to_owned()
}

/// The data of a stream's frames.
pub(crate) fn data_of(stream: &str) -> Vec<String> {
    let frames = stream.split("\n\n").filter_map(|it| it.strip_prefix("data: "));
    frames.map(str::to_owned).collect()
}

/// The chunks of a stream, its terminator left out.
pub(crate) fn chunks_of(stream: &str) -> Vec<Value> {
    let data = data_of(stream);
    let chunks = data.iter().filter(|it| *it != "[DONE]");
    chunks.map(|it| serde_json::from_str(it).unwrap()).collect()
}

/// The text of a stream's chunks.
pub(crate) fn text_in(stream: &str) -> String {
    let chunks = chunks_of(stream);
    let texts = chunks.iter().filter_map(|it| it["choices"][0]["delta"]["content"].as_str());
    texts.collect()
}

/// The attempts of a call, each as `provider outcome status`.
pub(crate) fn attempts_of(holder: &Value) -> Vec<String> {
    let attempts = holder["attempts"].as_array().cloned().unwrap_or_default();
    let word = |it: &Value| it.as_str().map_or_else(|| it.to_string(), str::to_owned);
    let describe = |it: &Value| {
        format!("{} {} {}", word(&it["provider"]), word(&it["outcome"]), word(&it["status"]))
    };
    attempts.iter().map(describe).collect()
}

/// The line that a gateway logs at the end of the call with this id.
pub(crate) async fn logged_call(gateway: &Lockgate, id: &str) -> String {
    let named = format!("request_id=\"{id}\"");
    let log = gateway.logged(&named).await;
    let line = log.lines().find(|it| it.contains(&named) && it.contains("call ended"));
    line.unwrap_or_else(|| panic!("{id} has no record: {log}")).to_owned()
}

/// The only request that a provider got.
pub(crate) fn only(fake: &FakeProvider) -> ReceivedRequest {
    let mut seen = fake.requests();
    assert_eq!(seen.len(), 1, "{seen:?}");
    seen.remove(0)
}

/// A server that sends these bytes to every connection, and closes it.
pub(crate) fn raw_tcp_server(bytes: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            let mut socket = socket.unwrap();
            if bytes.is_empty() {
                // To close with something unread is to reset.
                drop(socket.peek(&mut [0]));
                continue;
            }
            drop(socket.read(&mut [0; 65536]));
            drop(socket.write_all(bytes));
        }
    });
    url
}

/// An address without a listener.
pub(crate) fn unused_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

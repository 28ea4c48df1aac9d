//! Secrets that no response, header or log may hold, whatever a provider or a client does.

use serde_json::json;
use testkit::lockgate::Lockgate;
use testkit::openai;
use testkit::provider::{FakeProvider, ScriptedResponse, Step};

use crate::support::{
    ask_with, error_of, gateway_for, hello, hello_streamed, program, provider, send, serve,
};

/// Keys of an unknown shape, and of a well-known one.
const PLAIN_KEY: &str = "hunter2-canary";
const KNOWN_KEY: &str = "sk-proj-canary0123456789";
const HEADER: &str = "header-canary";
const GATEWAY_KEY: &str = "gateway-canary";
const PROMPT: &str = "prompt-canary";
const ANSWER: &str = "answer-canary";
/// What only a provider's raw body holds.
const RAW: &str = "raw-canary";

async fn gateway(first: &FakeProvider) -> Lockgate {
    let yaml = format!(
        "api_key: {GATEWAY_KEY}
providers:
  - name: first
    base_url: {url}
    api_keys: [{PLAIN_KEY}, {KNOWN_KEY}]
    headers: {{ X-Account: {HEADER} }}
routes:
  - {{ name: both, cooldown: 0s, steps: [{{ provider: first, model: m }}] }}
",
        url = first.url()
    );
    program().config(&yaml).arguments(["--verbose"]).start().await
}

/// Everything that a client gets of one call, in one text.
async fn response(gateway: &Lockgate, key: &str, body: &str) -> String {
    let headers = [("x-api-key", key)];
    let answer = send(gateway, "POST", "/v1/chat/completions", &headers, body.to_owned()).await;
    let head = format!("{} {:?}", answer.status, answer.headers);
    head + &answer.text().await.unwrap()
}

/// Sends whole and streamed requests while the provider responds with this; the client's response, and the log.
async fn response_and_log(answer: ScriptedResponse) -> (String, String) {
    let first = FakeProvider::start().await;
    first.respond_with([answer]);
    let gateway = gateway(&first).await;
    let mut all = String::new();
    for mut request in [hello("both"), hello_streamed("both")] {
        request["messages"][0]["content"] = PROMPT.into();
        all += &response(&gateway, GATEWAY_KEY, &request.to_string()).await;
    }
    gateway.terminate().unwrap();
    let (_, log) = gateway.ended().await;
    assert_eq!(log.matches("call ended").count(), 2, "{log}");
    (all, log)
}

fn holds_none(text: &str, canaries: &[&str]) {
    for canary in canaries {
        assert!(!text.contains(canary), "{canary} in {text}");
    }
}

async fn keeps_secrets(answer: ScriptedResponse) {
    let (response, log) = response_and_log(answer).await;
    let never =
        [PLAIN_KEY, KNOWN_KEY, HEADER, GATEWAY_KEY, PROMPT, RAW, "123456789012", "org-Canary"];
    holds_none(&response, &never);
    holds_none(&log, &never);
}

/// The message of a careless provider that rejects a key.
fn careless() -> String {
    format!(
        "Incorrect API key provided: {KNOWN_KEY} ({PLAIN_KEY}, \"{HEADER}\") of org-Canary123456, \
         account 123456789012; see https://admin:{RAW}@internal.example/v1 or \
         https://internal.example/v1?key={RAW}."
    )
}

#[tokio::test]
async fn a_providers_message_is_redacted() {
    for status in [400, 401, 403, 404, 429, 500] {
        keeps_secrets(openai::error(status, "x", &careless())).await;
    }
}

#[tokio::test]
async fn a_redacted_message_stays_useful() {
    let (response, _) = response_and_log(openai::error(401, "x", &careless())).await;
    assert!(response.contains("Incorrect API key provided: [removed]"), "{response}");
}

#[tokio::test]
async fn the_parameter_named_by_a_provider_is_redacted() {
    let error_body =
        json!({"error": {"message": "no", "param": careless(), "code": KNOWN_KEY, "type": RAW}});
    keeps_secrets(ScriptedResponse::json(400, &error_body)).await;
    keeps_secrets(ScriptedResponse::json(200, &error_body)).await;
}

#[tokio::test]
async fn an_error_message_with_status_200_is_redacted() {
    keeps_secrets(openai::error(200, "x", &careless())).await;
}

#[tokio::test]
async fn an_error_message_in_a_stream_is_redacted() {
    keeps_secrets(ScriptedResponse::stream([openai::error_event("x", &careless())])).await;
    let begun = [openai::chunk("Hi"), openai::error_event("x", &careless())];
    keeps_secrets(ScriptedResponse::stream(begun)).await;
}

#[tokio::test]
async fn a_providers_body_is_never_returned_verbatim() {
    let fields = json!({"error": {"message": "no", "internal": RAW, "trace": [RAW]}, "debug": RAW});
    let page = format!("<html>{RAW} {KNOWN_KEY}</html>");
    for status in [200, 400, 404, 429, 500] {
        keeps_secrets(ScriptedResponse::json(status, &fields).header("x-debug", RAW)).await;
        keeps_secrets(ScriptedResponse::raw(status, "text/html", page.clone())).await;
        keeps_secrets(ScriptedResponse::raw(status, "application/json", page.clone())).await;
    }
}

#[tokio::test]
async fn an_invalid_response_body_is_not_quoted() {
    for body in [
        format!("\"{RAW}\""),
        format!("{{\"choices\": \"{RAW}\"}}"),
        format!("{{\"choices\": [\"{RAW}\"]}}"),
        format!("{{\"choices\": [{{\"finish_reason\": {{\"{RAW}\": 1}}}}]}}"),
        format!("{{\"choices\": [{{\"delta\": \"{RAW}\"}}]}}"),
        format!("{{\"error\": \"{RAW}"),
    ] {
        keeps_secrets(ScriptedResponse::raw(200, "application/json", body.clone())).await;
        let event = Step::text(format!("data: {body}\n\n"));
        keeps_secrets(ScriptedResponse::stream([event.clone()])).await;
        keeps_secrets(ScriptedResponse::stream([openai::chunk("Hi"), event])).await;
    }
}

#[tokio::test]
async fn neither_requests_nor_responses_are_logged() {
    let (response, log) = response_and_log(openai::completion(ANSWER)).await;
    assert!(response.contains(ANSWER));
    holds_none(&log, &[PROMPT, ANSWER]);
    let (response, log) = response_and_log(openai::stream([ANSWER])).await;
    assert!(response.contains(ANSWER));
    holds_none(&log, &[PROMPT, ANSWER]);
}

#[tokio::test]
async fn an_invalid_request_body_is_not_quoted() {
    let first = provider().await;
    let gateway = gateway(&first).await;
    let mut all = String::new();
    for body in [
        format!("\"{PROMPT}\""),
        PROMPT.to_owned(),
        format!("{{\"{PROMPT}"),
        format!("{{\"messages\": \"{PROMPT}\"}}"),
        format!("{{\"messages\": [{{}}], \"model\": [\"{PROMPT}\"]}}"),
        format!("{{\"messages\": [{{}}], \"stream\": \"{PROMPT}\"}}"),
        format!("{{\"messages\": [{{}}], \"tools\": \"{PROMPT}\"}}"),
        format!(
            "{{\"messages\": [{{}}], \"stream_options\": {{\"include_usage\": \"{PROMPT}\"}}}}"
        ),
        format!("{{\"messages\": [{{}}], \"response_format\": {{\"type\": {{\"{PROMPT}\": 1}}}}}}"),
        format!("{{\"messages\": [{{}}], \"messages\": [\"{PROMPT}\"]}}"),
    ] {
        all += &response(&gateway, GATEWAY_KEY, &body).await;
    }
    gateway.terminate().unwrap();
    let (_, log) = gateway.ended().await;
    assert_eq!(log.matches("call ended").count(), 10);
    holds_none(&all, &[PROMPT]);
    holds_none(&log, &[PROMPT]);
}

#[tokio::test]
async fn a_wrong_key_is_not_echoed() {
    let first = provider().await;
    let gateway = gateway(&first).await;
    let mut all = response(&gateway, "wrong-canary", "{}").await;
    for path in ["/v1/chat/completions?key=wrong-canary", "/nothing?key=wrong-canary"] {
        let answer =
            send(&gateway, "GET", path, &[("authorization", "Bearer wrong-canary")], "").await;
        all += &format!("{:?}", answer.headers);
        all += &answer.text().await.unwrap();
    }
    gateway.terminate().unwrap();
    holds_none(&(all + &gateway.ended().await.1), &["wrong-canary", GATEWAY_KEY]);
}

#[tokio::test]
async fn config_errors_do_not_show_keys() {
    let yaml = format!(
        "api_key: {GATEWAY_KEY}\nproviders: [{{ name: first, base_url: nonsense, api_key: \"{KNOWN_KEY} \" }}]\nport: x"
    );
    let output = program().config(&yaml).run().await;
    let response_and_log = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(response_and_log.contains("api_key"), "{response_and_log}");
    holds_none(&response_and_log, &[KNOWN_KEY, GATEWAY_KEY]);
}

#[tokio::test]
async fn explain_shows_no_key() {
    let yaml = format!(
        "api_key: {GATEWAY_KEY}\nproviders: [{{ name: first, type: openai, api_key: {KNOWN_KEY} }}]"
    );
    let output = program().config(&yaml).arguments(["explain", "first/m"]).run().await;
    let response_and_log = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(response_and_log.contains("tried first"), "{response_and_log}");
    holds_none(&response_and_log, &[KNOWN_KEY, GATEWAY_KEY]);
}

#[tokio::test]
async fn an_error_names_its_source() {
    let first = FakeProvider::start().await;
    first.respond_with([openai::error(400, "x", "no")]);
    let gateway = gateway_for(&first, "").await;
    for (model, origin) in [("first/m", "Provider first: "), ("nothing", "Lockgate: ")] {
        let (_, error) = error_of(crate::support::ask(&gateway, &hello(model)).await).await;
        assert!(error["message"].as_str().unwrap().starts_with(origin), "{error}");
    }
}

#[tokio::test]
async fn what_no_provider_was_sent_is_not_blamed_on_one() {
    let first = FakeProvider::start().await;
    let yaml = format!(
        "api_key: {GATEWAY_KEY}\nproviders: [{{ name: first, type: anthropic, base_url: '{}', \
         api_key: {KNOWN_KEY} }}]",
        first.url()
    );
    let gateway = serve(&yaml).await;
    let (mut unreadable, mut lossy) = (hello("first/m"), hello("first/m"));
    unreadable["tools"] = json!([{"type": "function"}]);
    lossy["seed"] = json!(1);
    let strict = [("x-gateway-strict", "true")];
    let requests = [
        (unreadable, &[][..], "Lockgate: `tools[0].function` is missing"),
        (lossy, &strict[..], "Lockgate: Provider first would not be sent `seed`"),
    ];
    for (body, headers, expected) in requests {
        let headers = [&[("x-api-key", GATEWAY_KEY)], headers].concat();
        let (status, error) = error_of(ask_with(&gateway, &body, &headers).await).await;
        assert_eq!(status, 400);
        assert!(error["message"].as_str().unwrap().starts_with(expected), "{error}");
    }
    assert!(first.requests().is_empty());
}

//! What no answer, header or log may hold, whatever a provider or a client does.

use serde_json::json;
use testkit::lockgate::Lockgate;
use testkit::openai;
use testkit::provider::{Answer, Fake, Step};

use crate::support::{before, hello, hello_streamed, program, provider, refused, send};

/// Keys of a shape that nobody would guess, and of one that everybody knows.
const PLAIN_KEY: &str = "hunter2-canary";
const KNOWN_KEY: &str = "sk-proj-canary0123456789";
const HEADER: &str = "header-canary";
const GATEWAY_KEY: &str = "gateway-canary";
const PROMPT: &str = "prompt-canary";
const ANSWER: &str = "answer-canary";
/// What only a provider's raw body holds.
const RAW: &str = "raw-canary";

async fn gateway(first: &Fake) -> Lockgate {
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
async fn heard(gateway: &Lockgate, key: &str, body: &str) -> String {
    let headers = [("x-api-key", key)];
    let answer = send(gateway, "POST", "/v1/chat/completions", &headers, body.to_owned()).await;
    let head = format!("{} {:?}", answer.status, answer.headers);
    head + &answer.text().await.unwrap()
}

/// Asks whole and streamed while the provider answers this; what the client hears, and the log.
async fn told(answer: Answer) -> (String, String) {
    let first = Fake::start().await;
    first.answers([answer]);
    let gateway = gateway(&first).await;
    let mut all = String::new();
    for mut question in [hello("both"), hello_streamed("both")] {
        question["messages"][0]["content"] = PROMPT.into();
        all += &heard(&gateway, GATEWAY_KEY, &question.to_string()).await;
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

async fn keeps_secrets(answer: Answer) {
    let (heard, log) = told(answer).await;
    let never =
        [PLAIN_KEY, KNOWN_KEY, HEADER, GATEWAY_KEY, PROMPT, RAW, "123456789012", "org-Canary"];
    holds_none(&heard, &never);
    holds_none(&log, &never);
}

/// What a careless provider says when it refuses a key.
fn careless() -> String {
    format!(
        "Incorrect API key provided: {KNOWN_KEY} ({PLAIN_KEY}, \"{HEADER}\") of org-Canary123456, \
         account 123456789012; see https://admin:{RAW}@internal.example/v1 or \
         https://internal.example/v1?key={RAW}."
    )
}

#[tokio::test]
async fn a_providers_message_is_cleaned() {
    for status in [400, 401, 403, 404, 429, 500] {
        keeps_secrets(openai::error(status, "x", &careless())).await;
    }
}

#[tokio::test]
async fn what_is_left_of_it_still_helps() {
    let (heard, _) = told(openai::error(401, "x", &careless())).await;
    assert!(heard.contains("Incorrect API key provided: [removed]"), "{heard}");
}

#[tokio::test]
async fn the_parameter_that_a_provider_names_is_cleaned_too() {
    let said =
        json!({"error": {"message": "no", "param": careless(), "code": KNOWN_KEY, "type": RAW}});
    keeps_secrets(Answer::json(400, &said)).await;
    keeps_secrets(Answer::json(200, &said)).await;
}

#[tokio::test]
async fn a_message_inside_a_success_is_cleaned() {
    keeps_secrets(openai::error(200, "x", &careless())).await;
}

#[tokio::test]
async fn a_message_inside_a_stream_is_cleaned() {
    keeps_secrets(Answer::stream([openai::error_event("x", &careless())])).await;
    let begun = [openai::chunk("Hi"), openai::error_event("x", &careless())];
    keeps_secrets(Answer::stream(begun)).await;
}

#[tokio::test]
async fn a_providers_body_is_never_shown_itself() {
    let fields = json!({"error": {"message": "no", "internal": RAW, "trace": [RAW]}, "debug": RAW});
    let page = format!("<html>{RAW} {KNOWN_KEY}</html>");
    for status in [200, 400, 404, 429, 500] {
        keeps_secrets(Answer::json(status, &fields).header("x-debug", RAW)).await;
        keeps_secrets(Answer::raw(status, "text/html", page.clone())).await;
        keeps_secrets(Answer::raw(status, "application/json", page.clone())).await;
    }
}

#[tokio::test]
async fn a_body_that_cannot_be_read_is_not_quoted() {
    for body in [
        format!("\"{RAW}\""),
        format!("{{\"choices\": \"{RAW}\"}}"),
        format!("{{\"choices\": [\"{RAW}\"]}}"),
        format!("{{\"choices\": [{{\"finish_reason\": {{\"{RAW}\": 1}}}}]}}"),
        format!("{{\"choices\": [{{\"delta\": \"{RAW}\"}}]}}"),
        format!("{{\"error\": \"{RAW}"),
    ] {
        keeps_secrets(Answer::raw(200, "application/json", body.clone())).await;
        let event = Step::text(format!("data: {body}\n\n"));
        keeps_secrets(Answer::stream([event.clone()])).await;
        keeps_secrets(Answer::stream([openai::chunk("Hi"), event])).await;
    }
}

#[tokio::test]
async fn neither_questions_nor_answers_are_logged() {
    let (heard, log) = told(openai::completion(ANSWER)).await;
    assert!(heard.contains(ANSWER));
    holds_none(&log, &[PROMPT, ANSWER]);
    let (heard, log) = told(openai::stream([ANSWER])).await;
    assert!(heard.contains(ANSWER));
    holds_none(&log, &[PROMPT, ANSWER]);
}

#[tokio::test]
async fn a_question_that_cannot_be_read_is_not_quoted() {
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
        all += &heard(&gateway, GATEWAY_KEY, &body).await;
    }
    gateway.terminate().unwrap();
    let (_, log) = gateway.ended().await;
    assert_eq!(log.matches("call ended").count(), 10);
    holds_none(&all, &[PROMPT]);
    holds_none(&log, &[PROMPT]);
}

#[tokio::test]
async fn a_wrong_key_is_not_repeated() {
    let first = provider().await;
    let gateway = gateway(&first).await;
    let mut all = heard(&gateway, "wrong-canary", "{}").await;
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
async fn a_faulty_configuration_does_not_show_its_keys() {
    let yaml = format!(
        "api_key: {GATEWAY_KEY}\nproviders: [{{ name: first, base_url: nonsense, api_key: \"{KNOWN_KEY} \" }}]\nport: x"
    );
    let output = program().config(&yaml).run().await;
    let told = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(told.contains("api_key"), "{told}");
    holds_none(&told, &[KNOWN_KEY, GATEWAY_KEY]);
}

#[tokio::test]
async fn explain_shows_no_key() {
    let yaml = format!(
        "api_key: {GATEWAY_KEY}\nproviders: [{{ name: first, type: openai, api_key: {KNOWN_KEY} }}]"
    );
    let output = program().config(&yaml).arguments(["explain", "first/m"]).run().await;
    let told = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(told.contains("tried first"), "{told}");
    holds_none(&told, &[KNOWN_KEY, GATEWAY_KEY]);
}

#[tokio::test]
async fn an_error_names_its_origin() {
    let first = Fake::start().await;
    first.answers([openai::error(400, "x", "no")]);
    let gateway = before(&first, "").await;
    for (model, origin) in [("first/m", "Provider first: "), ("nothing", "Lockgate: ")] {
        let (_, error) = refused(crate::support::ask(&gateway, &hello(model)).await).await;
        assert!(error["message"].as_str().unwrap().starts_with(origin), "{error}");
    }
}

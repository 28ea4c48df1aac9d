//! Images by URL, with a provider that supports only bytes: what the gateway does not fetch.
//!
//! What it does fetch is tested in `providers`: a server of a test is on loopback, where the real
//! program fetches nothing, and nothing can make it.

use serde_json::{Value, json};
use testkit::openai;
use testkit::provider::FakeProvider;

use crate::support::{ask, error_of, only, program, provider, serve, text_of};

/// A model of a time when Gemini fetched nothing itself, and then OpenAI's format.
fn yaml(first: &FakeProvider, second: &FakeProvider, fetch: &str) -> String {
    let (first, second) = (first.url(), second.url());
    format!(
        "api_key: gateway-key\n{fetch}\nproviders:\n  \
         - {{ name: first, type: gemini, base_url: \"{first}\", api_key: k }}\n  \
         - {{ name: second, base_url: \"{second}\" }}\n\
         routes:\n  - name: bytes\n    steps: [{{ provider: first, model: gemini-2.0-flash }}]\n  \
         - name: both\n    steps:\n      - {{ provider: first, model: gemini-2.0-flash }}\n      \
         - {{ provider: second, model: large }}\n"
    )
}

fn look_at(model: &str, url: &str) -> Value {
    let content = json!([
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": url}},
    ]);
    json!({"model": model, "messages": [{"role": "user", "content": content}]})
}

/// Why each of these is not fetched under a configuration. No host is contacted.
async fn why(fetch: &str, urls: &[&str]) -> Vec<String> {
    let (first, second) = (FakeProvider::start().await, FakeProvider::start().await);
    let gateway = serve(&yaml(&first, &second, fetch)).await;
    let mut messages = vec![];
    for url in urls {
        let (status, error) = error_of(ask(&gateway, &look_at("bytes", url)).await).await;
        assert_eq!((status, &error["code"]), (400, &json!("invalid_request")), "{url}");
        assert_eq!(error["param"], "messages[].content[].image_url", "{url}");
        let message = error["message"].as_str().unwrap();
        assert!(!message.contains("secret"), "{message}");
        let start = "Provider first: takes this only as bytes, and the address is not fetched: ";
        messages.push(message.strip_prefix(start).expect(message).to_owned());
    }
    assert!(first.requests().is_empty() && second.requests().is_empty());
    messages
}

#[tokio::test]
async fn images_are_fetched_only_from_configured_hosts() {
    let messages = why("", &["https://images.example.com/a.png?secret"]).await;
    let wanted = "`images.example.com` is not among `fetch.hosts` in the gateway's configuration";
    assert_eq!(messages, [wanted]);
}

#[tokio::test]
async fn an_unlisted_host_is_not_contacted() {
    let hosts = "fetch: { hosts: [images.example.com, '*.example.org'] }";
    let others = [
        "https://example.org/",
        "https://images.example.com.evil.test/",
        "https://images.example.com./",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0177.0.0.1/",
    ];
    for messages in why(hosts, &others).await {
        assert!(messages.contains("is not among `fetch.hosts`"), "{messages}");
    }
}

#[tokio::test]
async fn a_url_with_credentials_or_a_port_is_not_fetched() {
    let odd = [
        "http://images.example.com/",
        "https://images.example.com:8443/",
        "https://user:secret@images.example.com/",
        "https://images.example.com@169.254.169.254/",
        "https://169.254.169.254/latest/meta-data/",
        "https://[fd00:ec2::254]/",
        "https://images.example.com\\@evil.test/",
    ];
    let messages = why("fetch: { hosts: [images.example.com] }", &odd).await;
    assert_eq!(
        messages,
        [
            "only https:// is fetched",
            "it names a port other than 443",
            "it holds credentials",
            "it holds credentials",
            "its host is given by number, not by name",
            "its host is given by number, not by name",
            "it is not a complete address",
        ]
    );
}

#[tokio::test]
async fn an_allowed_host_with_a_private_address_is_not_fetched() {
    let messages = why("fetch: { hosts: [localhost] }", &["https://LOCALHOST/?secret"]).await;
    assert_eq!(messages, ["`localhost` resolves to an address that is not public"]);
}

#[tokio::test]
async fn a_target_that_supports_urls_gets_the_url() {
    let (first, second) = (FakeProvider::start().await, provider().await);
    let gateway = serve(&yaml(&first, &second, "")).await;
    let url = "https://images.example.com/a.png?secret";
    assert_eq!(text_of(ask(&gateway, &look_at("both", url)).await).await, "Hi");
    let sent = only(&second).json();
    assert_eq!(sent["messages"][0]["content"][1]["image_url"]["url"], url);
    assert!(first.requests().is_empty());
}

#[tokio::test]
async fn a_failed_image_fetch_starts_no_cooldown() {
    let (first, second) = (FakeProvider::start().await, provider().await);
    let response = json!({"candidates": [{
        "content": {"role": "model", "parts": [{"text": "Hi"}]}, "finishReason": "STOP"}]});
    first.respond_with([testkit::provider::ScriptedResponse::json(200, &response)]);
    let gateway = serve(&yaml(&first, &second, "")).await;
    ask(&gateway, &look_at("both", "https://images.example.com/")).await;
    second.respond_with([openai::error(500, "x", "no")]);
    let plain = json!({"model": "both", "messages": [{"role": "user", "content": "Hello"}]});
    assert_eq!(text_of(ask(&gateway, &plain).await).await, "Hi");
    assert_eq!(first.requests().len(), 1);
}

#[tokio::test]
async fn check_reports_invalid_fetch_hosts() {
    let text = "fetch:\n  hosts: [https://a.example, 10.0.0.1, '*']\n\
                providers: [{ name: first, type: mock }]\n";
    let setup = program().file("c.yaml", text).arguments(["check", "-f", "c.yaml"]);
    let output = setup.run().await;
    let messages = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert_eq!(output.status.code(), Some(2), "{messages}");
    for fault in [
        "2:11: fetch.hosts[0]: is an address",
        "fetch.hosts[1]: is an",
        "fetch.hosts[2]: has a `*`",
    ] {
        assert!(messages.contains(fault), "{messages}");
    }
}

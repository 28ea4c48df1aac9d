//! Pictures by address, before a provider that takes only bytes: what the gateway refuses to fetch.
//!
//! What it does fetch is tested in `providers`: a server of a test is on loopback, where the real
//! program fetches nothing, and nothing can make it.

use serde_json::{Value, json};
use testkit::openai;
use testkit::provider::Fake;

use crate::support::{ask, only, program, provider, refused, serve, text_of};

/// A model of a time when Gemini fetched nothing itself, and then OpenAI's format.
fn yaml(first: &Fake, second: &Fake, fetch: &str) -> String {
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

/// Why each of these is not fetched under a configuration. Nobody is asked.
async fn why(fetch: &str, urls: &[&str]) -> Vec<String> {
    let (first, second) = (Fake::start().await, Fake::start().await);
    let gateway = serve(&yaml(&first, &second, fetch)).await;
    let mut told = vec![];
    for url in urls {
        let (status, error) = refused(ask(&gateway, &look_at("bytes", url)).await).await;
        assert_eq!((status, &error["code"]), (400, &json!("invalid_request")), "{url}");
        assert_eq!(error["param"], "messages[].content[].image_url", "{url}");
        let message = error["message"].as_str().unwrap();
        assert!(!message.contains("secret"), "{message}");
        let start = "Provider first: takes this only as bytes, and the address is not fetched: ";
        told.push(message.strip_prefix(start).expect(message).to_owned());
    }
    assert!(first.seen().is_empty() && second.seen().is_empty());
    told
}

#[tokio::test]
async fn nothing_is_fetched_unless_the_operator_says_from_whom() {
    let told = why("", &["https://images.example.com/a.png?secret"]).await;
    let wanted = "`images.example.com` is not among `fetch.hosts` in the gateway's configuration";
    assert_eq!(told, [wanted]);
}

#[tokio::test]
async fn a_host_that_is_not_named_is_not_asked() {
    let hosts = "fetch: { hosts: [images.example.com, '*.example.org'] }";
    let others = [
        "https://example.org/",
        "https://images.example.com.evil.test/",
        "https://images.example.com./",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0177.0.0.1/",
    ];
    for told in why(hosts, &others).await {
        assert!(told.contains("is not among `fetch.hosts`"), "{told}");
    }
}

#[tokio::test]
async fn an_address_that_says_more_than_a_name_is_not_fetched() {
    let odd = [
        "http://images.example.com/",
        "https://images.example.com:8443/",
        "https://user:secret@images.example.com/",
        "https://images.example.com@169.254.169.254/",
        "https://169.254.169.254/latest/meta-data/",
        "https://[fd00:ec2::254]/",
        "https://images.example.com\\@evil.test/",
    ];
    let told = why("fetch: { hosts: [images.example.com] }", &odd).await;
    assert_eq!(
        told,
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
async fn a_name_that_leads_inside_is_not_fetched_though_it_is_allowed() {
    let told = why("fetch: { hosts: [localhost] }", &["https://LOCALHOST/?secret"]).await;
    assert_eq!(told, ["`localhost` resolves to an address that is not public"]);
}

#[tokio::test]
async fn a_step_that_takes_addresses_gets_the_address() {
    let (first, second) = (Fake::start().await, provider().await);
    let gateway = serve(&yaml(&first, &second, "")).await;
    let url = "https://images.example.com/a.png?secret";
    assert_eq!(text_of(ask(&gateway, &look_at("both", url)).await).await, "Hi");
    let sent = only(&second).json();
    assert_eq!(sent["messages"][0]["content"][1]["image_url"]["url"], url);
    assert!(first.seen().is_empty());
}

#[tokio::test]
async fn a_step_that_cannot_be_given_a_picture_does_not_rest() {
    let (first, second) = (Fake::start().await, provider().await);
    let answer = json!({"candidates": [{
        "content": {"role": "model", "parts": [{"text": "Hi"}]}, "finishReason": "STOP"}]});
    first.answers([testkit::provider::Answer::json(200, &answer)]);
    let gateway = serve(&yaml(&first, &second, "")).await;
    ask(&gateway, &look_at("both", "https://images.example.com/")).await;
    second.answers([openai::error(500, "x", "no")]);
    let plain = json!({"model": "both", "messages": [{"role": "user", "content": "Hello"}]});
    assert_eq!(text_of(ask(&gateway, &plain).await).await, "Hi");
    assert_eq!(first.seen().len(), 1);
}

#[tokio::test]
async fn check_tells_what_is_wrong_about_hosts() {
    let text = "fetch:\n  hosts: [https://a.example, 10.0.0.1, '*']\n\
                providers: [{ name: first, type: mock }]\n";
    let setup = program().file("c.yaml", text).arguments(["check", "-f", "c.yaml"]);
    let output = setup.run().await;
    let told = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert_eq!(output.status.code(), Some(2), "{told}");
    for fault in [
        "2:11: fetch.hosts[0]: is an address",
        "fetch.hosts[1]: is an",
        "fetch.hosts[2]: has a `*`",
    ] {
        assert!(told.contains(fault), "{told}");
    }
}

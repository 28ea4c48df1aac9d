//! A tenant's own provider: where its calls go, under which key, and what nobody sees of that key.

use serde_json::{Value, json};
use testkit::{
    client::ClientResponse, lockgate::Lockgate, openai, provider::FakeProvider, proxy::Proxy,
};

use crate::{
    admin::{USERS, ask, ask_with},
    support::{KEY, hello, hello_streamed, program, provider, send, serve},
};

/// Two providers with keys of the gateway's, and a route through both.
fn configured(first: &FakeProvider, second: &FakeProvider, rest: &str) -> String {
    let (first, second) = (first.url(), second.url());
    format!(
        "api_key: {KEY}\nproviders:\n  \
         - {{ name: first, base_url: '{first}', api_key: shared-key, headers: {{ x-team: core }} }}\n  \
         - {{ name: second, base_url: '{second}', api_key: shared-key }}\n\
         routes:\n  - name: both\n    steps:\n      \
         - {{ provider: first, model: small }}\n      - {{ provider: second, model: large }}\n{rest}\n"
    )
}

async fn chat(gateway: &Lockgate, key: &str, body: &Value) -> ClientResponse {
    send(gateway, "POST", "/v1/chat/completions", &[("x-api-key", key)], body.to_string()).await
}

/// The status, and the provider that is named in the response.
async fn served_by(gateway: &Lockgate, key: &str, model: &str) -> (u16, String) {
    let response = chat(gateway, key, &hello(model)).await;
    let status = response.status.as_u16();
    let named = response.headers.get("x-gateway-provider");
    let named = named.and_then(|it| it.to_str().ok()).unwrap_or_default().to_owned();
    response.text().await.unwrap();
    (status, named)
}

#[tokio::test]
async fn a_tenants_calls_go_to_its_own_provider_alone_under_its_own_key() {
    let (first, second) = (provider().await, FakeProvider::start().await);
    let tenants = "tenants: [{ name: mail, api_key: key-of-mail, provider: first, \
                   provider_api_key: own-key }]";
    let gateway = serve(&configured(&first, &second, tenants)).await;

    for model in ["both", "first/tiny", "anything"] {
        assert_eq!(served_by(&gateway, "key-of-mail", model).await, (200, "first".to_owned()));
    }
    let seen = first.requests();
    let models: Vec<Value> = seen.iter().map(|it| it.json()["model"].clone()).collect();
    assert_eq!(models, ["small", "tiny", "anything"]);
    for request in &seen {
        assert_eq!(request.header("authorization"), "Bearer own-key");
        assert_eq!(request.header("x-team"), "core", "the server is the configured one");
    }

    assert_eq!(served_by(&gateway, KEY, "both").await.0, 200);
    assert_eq!(first.requests()[3].header("authorization"), "Bearer shared-key");

    first.respond_with([openai::error(500, "x", "no")]);
    assert_eq!(served_by(&gateway, "key-of-mail", "both").await.0, 502);
    assert!(second.requests().is_empty(), "nobody else pays for the tenant's calls");
}

#[tokio::test]
async fn nothing_of_the_gateways_goes_to_an_address_of_the_tenants() {
    let (first, second) = (provider().await, FakeProvider::start().await);
    let own = FakeProvider::start().await;
    own.respond_with([openai::completion("Hi"), openai::stream(["Hel", "lo"])]);
    let tenants = format!(
        "tenants:\n  - {{ name: mail, api_key: key-of-mail, provider: first, base_url: '{}' }}",
        own.url()
    );
    let gateway = serve(&configured(&first, &second, &tenants)).await;

    let expected = (200, "first.mail".to_owned());
    assert_eq!(served_by(&gateway, "key-of-mail", "both").await, expected);
    let streamed = chat(&gateway, "key-of-mail", &hello_streamed("both")).await;
    assert!(streamed.text().await.unwrap().contains("Hel"));
    for request in own.requests() {
        assert_eq!(request.json()["model"], "small", "the route's step at that provider");
        let headers = format!("{:?}", request.headers);
        assert!(!headers.contains("shared-key") && !headers.contains("core"), "{headers}");
    }
    assert!(first.requests().is_empty() && second.requests().is_empty());

    let named = [("x-api-key", "key-of-mail"), ("x-provider", "first")];
    let path = "/v1/chat/completions";
    let response = send(&gateway, "POST", path, &named, hello("any").to_string()).await;
    assert_eq!(response.status, 200, "the client may name it as the operator did");
    let other = [("x-api-key", "key-of-mail"), ("x-provider", "second")];
    let response = send(&gateway, "POST", path, &other, hello("any").to_string()).await;
    assert_eq!(response.status, 400);
}

#[tokio::test]
async fn a_cooldown_of_an_own_key_is_that_keys_own() {
    let limited = || openai::error(429, "rate_limit_error", "slow").header("retry-after", "60");
    let first =
        FakeProvider::responding_with(move |request| match request.header("authorization") {
            "Bearer limited-key" => limited(),
            _ => openai::completion("Hi"),
        })
        .await;
    let second = provider().await;
    let tenants = "tenants:
  - { name: poor, api_key: key-of-poor, provider: first, provider_api_key: limited-key }
  - { name: rich, api_key: key-of-rich, provider: first, provider_api_key: good-key }";
    let gateway = serve(&configured(&first, &second, tenants)).await;

    assert_eq!(served_by(&gateway, "key-of-poor", "both").await.0, 429);
    assert_eq!(served_by(&gateway, KEY, "both").await, (200, "first".to_owned()));
    assert_eq!(served_by(&gateway, "key-of-rich", "both").await, (200, "first".to_owned()));
    assert!(second.requests().is_empty());
}

#[tokio::test]
async fn a_stored_key_is_sealed_used_and_never_shown() {
    let (first, second) = (provider().await, FakeProvider::start().await);
    let gateway = serve(&configured(&first, &second, USERS)).await;
    let body = r#"{"name": "search", "provider": "first", "provider_api_key": "sk-sealed-1"}"#;
    let (status, made) = ask(&gateway, "POST", "/admin/tenants", body).await;
    assert_eq!((status, &made["provider"]), (201, &json!("first")), "{made}");
    let key = made["api_key"].as_str().unwrap().to_owned();
    let path = format!("/admin/tenants/{}", made["id"].as_str().unwrap());
    assert_eq!(served_by(&gateway, &key, "both").await, (200, "first".to_owned()));

    let change = r#"{"provider_api_key": "sk-sealed-2"}"#;
    let (status, changed) = ask(&gateway, "PATCH", &path, change).await;
    assert_eq!(status, 200, "{changed}");
    assert_eq!(served_by(&gateway, &key, "both").await.0, 200);
    let keys: Vec<_> =
        first.requests().iter().map(|it| it.header("authorization").to_owned()).collect();
    assert_eq!(keys, ["Bearer sk-sealed-1", "Bearer sk-sealed-2"]);

    let (_, read) = ask(&gateway, "GET", &path, "").await;
    let (_, audit) = ask(&gateway, "GET", "/admin/audit", "").await;
    let shown = format!("{made}{changed}{read}{audit}{}", gateway.log());
    assert!(!shown.contains("sk-sealed"), "{shown}");
    for entry in std::fs::read_dir(gateway.folder()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap_or_default();
        assert!(!bytes.windows(9).any(|part| part == b"sk-sealed"));
    }
}

#[tokio::test]
async fn a_stored_key_goes_nowhere_else_and_without_it_nothing_of_ours_does() {
    let (first, second) = (provider().await, FakeProvider::start().await);
    let gateway = serve(&configured(&first, &second, USERS)).await;
    let wrong = r#"{"name": "a", "provider": "nobody"}"#;
    let (status, problem) = ask(&gateway, "POST", "/admin/tenants", wrong).await;
    assert_eq!((status, &problem["field"]), (400, &json!("provider")), "{problem}");
    let lone = r#"{"name": "a", "provider_api_key": "k"}"#;
    let (status, problem) = ask(&gateway, "POST", "/admin/tenants", lone).await;
    assert_eq!((status, &problem["field"]), (400, &json!("provider_api_key")), "{problem}");

    let body = r#"{"name": "search", "provider": "openai", "provider_api_key": "sk-sealed-1"}"#;
    let (_, made) = ask(&gateway, "POST", "/admin/tenants", body).await;
    let path = format!("/admin/tenants/{}", made["id"].as_str().unwrap());
    let moved = json!({ "base_url": second.url() }).to_string();
    let refused = ask_with(&gateway, "edda", ("PATCH", &path), &[], &moved).await;
    assert_eq!(refused.status, 400);
    let problem: Value = refused.json().await.unwrap();
    assert_eq!(problem["field"], "provider_api_key", "{problem}");

    second.respond_with([openai::completion("Hi")]);
    let moved = json!({ "base_url": second.url(), "provider_api_key": null }).to_string();
    let (status, changed) = ask(&gateway, "PATCH", &path, &moved).await;
    assert_eq!(status, 200, "{changed}");
    let key = made["api_key"].as_str().unwrap();
    assert_eq!(served_by(&gateway, key, "gpt").await.0, 200);
    assert_eq!(second.requests()[0].header("authorization"), "");
}

#[tokio::test]
async fn a_key_that_was_sealed_under_another_secret_opens_nothing_and_is_no_way_to_ours() {
    let (first, second) = (provider().await, FakeProvider::start().await);
    let yaml = configured(&first, &second, USERS);
    let gateway = program().config(&yaml).variable("LOCKGATE_SECRET", &"0a".repeat(32));
    let gateway = gateway.start().await;
    let body = r#"{"name": "search", "provider": "first", "provider_api_key": "sk-sealed-1"}"#;
    let (_, made) = ask(&gateway, "POST", "/admin/tenants", body).await;
    let key = made["api_key"].as_str().unwrap().to_owned();
    gateway.terminate().unwrap();
    let folder = gateway.left_behind().await;

    // What the process left behind, and not what it had while it ran: SQLite removes its log.
    let data = std::fs::read_dir(folder.path()).unwrap();
    let names = data.map(|it| it.unwrap().file_name().into_string().unwrap());
    let other = program().config(&yaml).variable("LOCKGATE_SECRET", &"0b".repeat(32));
    for name in names.filter(|name| name != "config.yaml") {
        std::fs::copy(folder.path().join(&name), other.folder().join(&name)).unwrap();
    }
    let gateway = other.start().await;
    let response = chat(&gateway, &key, &hello("both")).await;
    assert_eq!(response.status, 502);
    let text = response.text().await.unwrap();
    assert!(text.contains("cannot be used") && !text.contains("shared-key"), "{text}");
    assert!(first.requests().is_empty());
}

#[tokio::test]
async fn prices_follow_the_host_of_an_address() {
    let known = FakeProvider::start().await;
    known.respond_with([openai::completion("Hi")]);
    let to = known.url().replace("http://", "");
    let proxy = Proxy::start(&[("api.groq.com:80", &to), ("models.example.com:80", &to)]);
    let yaml = format!(
        "api_key: {KEY}\nproxy: http://{}\nproviders:\n  \
         - {{ name: fast, base_url: 'http://api.groq.com/openai/v1', api_key: k }}\n\
         default_provider: fast\ntenants:\n  \
         - {{ name: mail, api_key: key-of-mail, base_url: 'http://api.groq.com/openai/v1' }}\n  \
         - {{ name: else, api_key: key-of-else, base_url: 'http://models.example.com/v1' }}\n",
        proxy.address()
    );
    let gateway = serve(&yaml).await;
    for (key, is_priced) in [(KEY, true), ("key-of-mail", true), ("key-of-else", false)] {
        let response = chat(&gateway, key, &hello("openai/gpt-oss-20b")).await;
        let body: Value = response.json().await.unwrap();
        let cost = &body["x_gateway"]["cost_usd"];
        assert_eq!(cost.as_f64().is_some_and(|it| 0.0 < it), is_priced, "{key}: {body}");
    }
}

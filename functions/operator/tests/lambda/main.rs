//! The real binary as Lambda runs it, behind a URL that streams.
#![expect(clippy::unwrap_used, reason = "a broken setup should stop the test")]

#[path = "../../../../shared/testkit/deployed/apply.rs"]
mod apply;
mod pages;
#[path = "../../../../shared/testkit/deployed/records.rs"]
mod records;

use http::{Request, header};
use serde_json::{Value, json};
use testkit::{
    aws::stack::AwsStack,
    client::{self, ClientResponse},
    lambda::Emulator,
    provider::FakeProvider,
};

/// A stack as its template leaves it: nothing applied, and the secrets of the administration made.
async fn emulate(cloud: &AwsStack) -> Emulator {
    cloud.keep(&format!("{}/admin-secret", cloud.prefix), &"0a".repeat(32)).await;
    cloud.keep(&format!("{}/admin-password", cloud.prefix), "from-the-stack").await;
    let function = cloud.function("operator", env!("CARGO_BIN_EXE_operator"));
    let function = function
        .env("ORIGIN_SECRET", "s")
        .env("ADMIN_PARAMETERS", &cloud.prefix)
        .env("PUBLIC_URL", "https://ai.example.com")
        .env("CONFIG_REFRESH_SECONDS", "0");
    Emulator::builder().function(function).origin_secret("s").start().await
}

async fn ask_with(
    emulator: &Emulator,
    (method, path): (&str, &str),
    headers: &[(&str, &str)],
    body: &str,
) -> ClientResponse {
    // `admin:from-the-stack`
    let request = Request::builder()
        .method(method)
        .uri(format!("{}{path}", emulator.url()))
        .header(header::AUTHORIZATION, "Basic YWRtaW46ZnJvbS10aGUtc3RhY2s=");
    let request = headers.iter().fold(request, |it, (name, value)| it.header(*name, *value));
    client::send(request.body(body.to_owned().into()).unwrap()).await.unwrap()
}

async fn ask(emulator: &Emulator, method: &str, path: &str, body: &str) -> (u16, Value) {
    let response = ask_with(emulator, (method, path), &[], body).await;
    let status = response.status.as_u16();
    (status, response.json().await.unwrap_or_default())
}

#[tokio::test]
async fn the_stacks_password_opens_and_tenants_are_made_before_any_configuration() {
    let cloud = AwsStack::new().await;
    let emulator = emulate(&cloud).await;
    let (status, made) = ask(&emulator, "POST", "/admin/tenants", r#"{"name": "search"}"#).await;
    assert_eq!(status, 201, "{made}");
    let (status, list) = ask(&emulator, "GET", "/admin/tenants", "").await;
    assert_eq!((status, &list["count"]), (200, &json!(1)));
    let forged = [("origin", "https://evil.example")];
    let make = ("POST", "/admin/tenants");
    let refused = ask_with(&emulator, make, &forged, r#"{"name": "x"}"#).await;
    assert_eq!(refused.status, 403);
    let own = [("origin", "https://ai.example.com")];
    assert_eq!(ask_with(&emulator, make, &own, r#"{"name": "x"}"#).await.status, 201);
}

#[tokio::test]
async fn a_configuration_is_written_to_the_tables_and_its_keys_to_parameters() {
    let cloud = AwsStack::new().await;
    let emulator = emulate(&cloud).await;
    let read = ask_with(&emulator, ("GET", "/admin/config"), &[], "").await;
    let tag = read.headers["etag"].to_str().unwrap().to_owned();
    let text = "providers:\n  - { name: p, type: mock, api_key: sk-of-p }\n\
                models: [{ name: small, provider: p }]\n";
    let matching = [("if-match", tag.as_str())];
    let written = ask_with(&emulator, ("PUT", "/admin/config"), &matching, text).await;
    let status = written.status.as_u16();
    assert_eq!(status, 200, "{}", written.text().await.unwrap());

    let read = ask_with(&emulator, ("GET", "/admin/config"), &[], "").await;
    let tag = read.headers["etag"].to_str().unwrap().to_owned();
    let text = read.text().await.unwrap();
    assert!(text.contains("${P_API_KEY}") && !text.contains("sk-of-p"), "{text}");
    let matching = [("if-match", tag.as_str())];
    let wanted = text.replace("small", "large");
    let written = ask_with(&emulator, ("PUT", "/admin/config"), &matching, &wanted).await;
    let status = written.status;
    assert_eq!(status, 200, "{}", written.text().await.unwrap());
    let (_, routes) = ask(&emulator, "GET", "/admin/routes", "").await;
    assert_eq!(routes["models"][0]["name"], "large", "{routes}");
    let (_, providers) = ask(&emulator, "GET", "/admin/providers", "").await;
    assert_eq!(providers["providers"][0]["readable_keys"], 1, "{providers}");
}

#[tokio::test]
async fn failures_of_the_store_are_counted() {
    let (cloud, fake) = (AwsStack::new().await, FakeProvider::start().await);
    let emulator = pages::configured(&cloud, &fake).await;
    assert_eq!(ask(&emulator, "GET", "/admin/tenants", "").await.0, 200);
    cloud.shut("DynamoDB");
    let (status, _) = ask(&emulator, "GET", "/admin/tenants", "").await;
    assert!(500 <= status, "{status}");
    cloud.open();
    let metrics = ask_with(&emulator, ("GET", "/metrics"), &[], "").await.text().await.unwrap();
    let name = "lockgate_store_errors_total ";
    let errors = metrics.lines().find_map(|line| line.strip_prefix(name));
    let errors: u64 = errors.unwrap_or_else(|| panic!("{metrics}")).parse().unwrap();
    assert!(1 <= errors, "{metrics}");
}

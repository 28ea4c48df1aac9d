//! `/v1/files` and `/v1/batches`: requests that go to one provider as they are.

use serde_json::json;
use testkit::lockgate::Lockgate;
use testkit::openai;
use testkit::provider::{FakeProvider, ScriptedResponse, Step};

use crate::support::{KEY, error_of, gateway_for, gateway_for_both, only, send, serve};

const FILE_KEY: [(&str, &str); 1] = [("x-api-key", KEY)];

async fn status_of(gateway: &Lockgate, method: &str, path: &str) -> u16 {
    send(gateway, method, path, &FILE_KEY, "").await.status.as_u16()
}

#[tokio::test]
async fn every_request_for_an_object_passes_through() {
    let fake = FakeProvider::start().await;
    fake.respond_with([ScriptedResponse::json(200, &json!({"id": "file-1", "object": "file"}))]);
    let gateway = gateway_for(&fake, "").await;
    for (method, path) in [
        ("GET", "/v1/files?purpose=batch&limit=2"),
        ("GET", "/v1/files/file-1"),
        ("GET", "/v1/files/file-1/content"),
        ("DELETE", "/v1/files/file-1"),
        ("GET", "/v1/batches?after=batch_1"),
        ("GET", "/v1/batches/batch_1"),
        ("POST", "/v1/batches/batch_1/cancel"),
    ] {
        let response = send(&gateway, method, path, &FILE_KEY, "").await;
        assert_eq!(response.header("x-gateway-provider"), "first", "{path}");
        assert_eq!(response.json().await.unwrap()["id"], "file-1", "{path}");
        let seen = fake.requests().pop().unwrap();
        assert_eq!((seen.method.as_str(), seen.target.as_str()), (method, path));
        assert!(seen.header("authorization") != format!("Bearer {KEY}"), "{seen:?}");
    }
}

#[tokio::test]
async fn an_upload_keeps_its_bytes_and_a_batch_its_members() {
    let fake = FakeProvider::start().await;
    fake.respond_with([ScriptedResponse::json(200, &json!({"id": "x"}))]);
    let gateway = gateway_for(&fake, "").await;
    let form = "--x\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n--x--\r\n";
    let kind = ("content-type", "multipart/form-data; boundary=x");
    let response = send(&gateway, "POST", "/v1/files", &[FILE_KEY[0], kind], form).await;
    assert_eq!(response.status, 200);
    let seen = fake.requests().pop().unwrap();
    assert_eq!((seen.header("content-type"), &seen.body[..]), (kind.1, form.as_bytes()));

    let batch = json!({"input_file_id": "file-1", "endpoint": "/v1/chat/completions",
        "completion_window": "24h"});
    let kind = ("content-type", "application/json");
    let sent = batch.to_string();
    send(&gateway, "POST", "/v1/batches", &[FILE_KEY[0], kind], sent).await;
    assert_eq!(fake.requests().pop().unwrap().json(), batch);
}

/// The most memory that a process has had at once, in bytes; none where the system does not tell.
fn peak_memory(gateway: &Lockgate) -> Option<usize> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", gateway.pid())).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches(" kB").parse::<usize>().ok().map(|kilobytes| kilobytes * 1024)
}

#[tokio::test]
async fn a_large_file_passes_without_being_kept() {
    let fake = FakeProvider::start().await;
    fake.respond_with([ScriptedResponse::json(200, &json!({"id": "file-1"}))]);
    // Neither the limit of bodies nor the budget of memory holds the file.
    let limits = "server: { max_body_bytes: 1048576, max_memory_bytes: 16777216 }";
    let gateway = gateway_for(&fake, limits).await;
    assert_eq!(status_of(&gateway, "GET", "/v1/files/file-1").await, 200);
    let before = peak_memory(&gateway);

    let file = bytes::Bytes::from(vec![b'x'; 96 * 1024 * 1024]);
    let response = send(&gateway, "POST", "/v1/files", &FILE_KEY, file.clone()).await;
    assert_eq!(response.status, 200);
    let seen = fake.requests().pop().unwrap();
    assert!(seen.body == file, "{} bytes came", seen.body.len());
    assert_eq!(seen.header("content-length"), file.len().to_string());
    if let (Some(before), Some(after)) = (before, peak_memory(&gateway)) {
        let kept = after.saturating_sub(before);
        assert!(kept < file.len() / 3, "{kept} bytes more than before");
    }
}

#[tokio::test]
async fn a_form_that_another_step_may_get_is_kept_within_its_limit() {
    let fake = FakeProvider::start().await;
    let gateway = gateway_for(&fake, "server: { max_body_bytes: 1048576 }").await;
    let form = bytes::Bytes::from(vec![b'x'; 2 * 1024 * 1024]);
    let kind = ("content-type", "multipart/form-data; boundary=x");
    let headers = [FILE_KEY[0], kind];
    let response = send(&gateway, "POST", "/v1/audio/transcriptions", &headers, form).await;
    assert_eq!(error_of(response).await.0, 413);
    assert!(fake.requests().is_empty());
}

#[tokio::test]
async fn a_file_arrives_as_it_comes() {
    let (fake, latch) = (FakeProvider::start().await, testkit::provider::Latch::new());
    let steps = [Step::text("{\"a\":1}\n"), Step::Latch(latch.clone()), Step::text("{\"b\":2}\n")];
    let response = ScriptedResponse::stream(steps).header("content-type", "application/jsonl");
    fake.respond_with([response]);
    let gateway = gateway_for(&fake, "").await;
    let mut response = send(&gateway, "GET", "/v1/files/file-1/content", &FILE_KEY, "").await;
    assert_eq!(response.header("content-type"), "application/jsonl");
    assert!(response.until("{\"a\":1}\n").await.is_ok());
    latch.open();
    assert_eq!(response.text().await.unwrap(), "{\"b\":2}\n");
}

#[tokio::test]
async fn the_provider_is_named_or_the_default_one() {
    let (first, second) = (FakeProvider::start().await, FakeProvider::start().await);
    for fake in [&first, &second] {
        fake.respond_with([ScriptedResponse::json(200, &json!({"data": []}))]);
    }
    let gateway = gateway_for_both(&first, &second, "default_provider: second").await;
    assert_eq!(status_of(&gateway, "GET", "/v1/files").await, 200);
    assert_eq!((first.requests().len(), second.requests().len()), (0, 1));
    let named = [FILE_KEY[0], ("x-provider", "first")];
    assert_eq!(send(&gateway, "GET", "/v1/files", &named, "").await.status, 200);
    assert_eq!(only(&first).target, "/v1/files");

    let url = first.url();
    let gateway = serve(&format!(
        "api_key: {KEY}\nproviders: [{{ name: a, type: anthropic, base_url: \"{url}\", api_key: k }}]"
    ))
    .await;
    assert_eq!(status_of(&gateway, "GET", "/v1/files").await, 400);
}

#[tokio::test]
async fn a_key_that_may_not_use_every_model_may_use_neither() {
    let fake = FakeProvider::start().await;
    let tenant =
        "tenants: [{ name: t, api_key: tenant-key-of-some-length, allowed_models: [first/m] }]";
    let gateway = gateway_for(&fake, tenant).await;
    for path in ["/v1/files", "/v1/batches"] {
        let key = [("x-api-key", "tenant-key-of-some-length")];
        let (status, error) = error_of(send(&gateway, "GET", path, &key, "").await).await;
        assert_eq!((status, &error["code"]), (403, &json!("forbidden")), "{path}");
        assert_eq!(send(&gateway, "GET", path, &[], "").await.status, 401);
        assert_eq!(status_of(&gateway, "PUT", path).await, 405);
    }
    assert!(fake.requests().is_empty());
}

#[tokio::test]
async fn a_key_whose_use_is_bounded_may_read_and_cancel_batches_but_make_none() {
    let fake = FakeProvider::start().await;
    fake.respond_with([ScriptedResponse::json(200, &json!({"id": "x"}))]);
    for field in [
        "budget_usd: 0",
        "daily_input_tokens: 1",
        "daily_output_tokens: 1",
        "max_input_tokens: 1",
        "max_output_tokens: 1",
        "system_prompt: Be kind.",
    ] {
        let tenant =
            format!("tenants: [{{ name: t, api_key: tenant-key-of-some-length, {field} }}]");
        let gateway = gateway_for(&fake, &tenant).await;
        let key = [("x-api-key", "tenant-key-of-some-length")];
        for path in ["/v1/batches", "/openai/v1/batches", "/v1/batches/x"] {
            let response = send(&gateway, "POST", path, &key, "{}").await;
            let (status, error) = error_of(response).await;
            assert_eq!((status, &error["code"]), (403, &json!("forbidden")), "{field}");
            let name = field.split(':').next().unwrap();
            assert!(error["message"].as_str().unwrap().contains(name), "{error}");
        }
        assert!(fake.requests().is_empty(), "{field}");
        for (method, path) in [("GET", "/v1/batches"), ("POST", "/v1/batches/x/cancel")] {
            assert_eq!(send(&gateway, method, path, &key, "").await.status, 200, "{field}");
        }
        fake.forget();
    }
}

#[tokio::test]
async fn a_refusal_has_openais_shape() {
    let fake = FakeProvider::start().await;
    let gateway = gateway_for(&fake, "").await;
    for (status, expected) in [(404, 404), (400, 400), (401, 502), (500, 502)] {
        fake.respond_with([openai::error(status, "invalid_request_error", "No such file")]);
        let response = send(&gateway, "GET", "/v1/files/file-9", &FILE_KEY, "").await;
        let (got, error) = error_of(response).await;
        assert_eq!(got, expected, "{error}");
        assert_eq!(error["message"], "Provider first: No such file");
    }
    assert_eq!(status_of(&gateway, "GET", "/v1/files/..%2F..%2Fadmin").await, 404);
}

#[tokio::test]
async fn clients_of_google_read_that_their_files_are_not_here() {
    let fake = FakeProvider::start().await;
    let gateway = gateway_for(&fake, "").await;
    for (headers, path, status, name) in [
        (vec![("x-goog-api-key", KEY)], "/v1/files", 404, "NOT_FOUND"),
        (vec![("x-goog-api-key", KEY)], "/v1/batches", 404, "NOT_FOUND"),
        (vec![("x-goog-api-key", KEY)], "/v1/nowhere", 404, "NOT_FOUND"),
        (vec![("x-goog-api-client", "genai")], "/v1/files", 401, "UNAUTHENTICATED"),
    ] {
        let response = send(&gateway, "GET", path, &headers, "").await;
        assert_eq!(response.status, status, "{path}");
        let error = response.json().await.unwrap()["error"].take();
        assert_eq!((&error["code"], &error["status"]), (&json!(status), &json!(name)), "{error}");
    }
    assert!(fake.requests().is_empty());
}

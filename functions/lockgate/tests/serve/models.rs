//! `GET /v1/models` and its kin: what the caller's key may use, in the shape of the path's own API.

use serde_json::{Value, json};
use testkit::lockgate::Lockgate;

use crate::support::{KEY, error_of, send, serve, unused_address, yaml};

const NAMES: &str = "
routes:
  - { name: dynamic/n8n, description: For workflows, steps: [{ provider: first, model: m }] }
models:
  - { name: gpt-4o, provider: first, description: A model }
  - { name: meta/llama-3:8b, provider: first }
";
/// What an Anthropic client always sends.
const VERSION: (&str, &str) = ("anthropic-version", "2023-06-01");

async fn gateway() -> Lockgate {
    serve(&yaml(&[("first", &unused_address())], NAMES)).await
}

async fn get(gateway: &Lockgate, path: &str, headers: &[(&str, &str)]) -> (u16, Value) {
    let headers = [&[("x-api-key", KEY)], headers].concat();
    let response = send(gateway, "GET", path, &headers, "").await;
    (response.status.as_u16(), response.json().await.unwrap())
}

#[tokio::test]
async fn routes_and_models_are_listed_in_openais_format() {
    let gateway = gateway().await;
    let item = |id: &str, owner: &str| json!({"id": id, "object": "model", "created": 0, "owned_by": owner});
    let mut items = [
        item("dynamic/n8n", "lockgate"),
        item("gpt-4o", "first"),
        item("meta/llama-3:8b", "first"),
    ];
    items[0]["description"] = "For workflows".into();
    items[1]["description"] = "A model".into();
    let list = json!({"object": "list", "data": items});
    for path in ["/v1/models?limit=1", "/openai/v1/models"] {
        assert_eq!(get(&gateway, path, &[]).await, (200, list.clone()), "{path}");
    }
    assert_eq!(get(&gateway, "/openai/v1/models", &[VERSION]).await.1, list);
}

#[tokio::test]
async fn anthropic_clients_get_anthropics_list_format() {
    let gateway = gateway().await;
    for (path, headers) in [("/v1/models", &[VERSION][..]), ("/anthropic/v1/models", &[])] {
        let (status, body) = get(&gateway, path, headers).await;
        assert_eq!(status, 200, "{body}");
        let item = &body["data"][0];
        for (key, value) in [
            ("type", "model"),
            ("id", "dynamic/n8n"),
            ("display_name", "dynamic/n8n"),
            ("created_at", "1970-01-01T00:00:00Z"),
        ] {
            assert_eq!(item[key], value, "{body}");
        }
        assert_eq!(page(&body), (ids(&["dynamic/n8n", "gpt-4o", "meta/llama-3:8b"]), false));
        let (_, one) = get(&gateway, &format!("{path}/dynamic/n8n"), headers).await;
        assert_eq!(&one, item);
    }
}

fn ids(ids: &[&str]) -> Vec<String> {
    ids.iter().map(|it| (*it).to_owned()).collect()
}

/// The names on one of Anthropic's pages, and whether there are more; its ends are named too.
fn page(body: &Value) -> (Vec<String>, bool) {
    let data = body["data"].as_array().unwrap();
    let ids: Vec<_> = data.iter().map(|it| it["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(body["first_id"].as_str(), ids.first().map(String::as_str));
    assert_eq!(body["last_id"].as_str(), ids.last().map(String::as_str));
    (ids, body["has_more"].as_bool().unwrap())
}

#[tokio::test]
async fn anthropics_pages_work_in_both_directions() {
    let gateway = gateway().await;
    for (query, names, more) in [
        ("limit=2", &["dynamic/n8n", "gpt-4o"][..], true),
        ("limit=2&after_id=gpt-4o", &["meta/llama-3:8b"], false),
        ("limit=1&after_id=dynamic%2Fn8n", &["gpt-4o"], true),
        ("after_id=meta%2Fllama-3%3A8b", &[], false),
        ("limit=1&before_id=meta/llama-3:8b", &["gpt-4o"], true),
        ("limit=2&before_id=meta/llama-3:8b&new=1", &["dynamic/n8n", "gpt-4o"], false),
        ("before_id=dynamic/n8n", &[], false),
        ("limit=1000&before_id=&after_id", &["dynamic/n8n", "gpt-4o", "meta/llama-3:8b"], false),
    ] {
        let (_, body) = get(&gateway, &format!("/anthropic/v1/models?{query}"), &[]).await;
        assert_eq!(page(&body), (ids(names), more), "{query}");
    }
    for query in
        ["limit=0", "limit=1001", "limit=x", "after_id=y", "before_id=gpt-4o&after_id=gpt-4o"]
    {
        let (status, body) = get(&gateway, &format!("/anthropic/v1/models?{query}"), &[]).await;
        assert_eq!((status, &body["error"]["type"]), (400, &json!("invalid_request_error")));
    }
}

#[tokio::test]
async fn googles_paths_get_googles_list_format() {
    let gateway = gateway().await;
    for path in ["/v1beta/models", "/gemini/v1beta/models", "/gemini/v1/models"] {
        let (status, body) = get(&gateway, path, &[]).await;
        assert_eq!(status, 200, "{body}");
        let methods = ["generateContent", "streamGenerateContent", "countTokens"];
        let item = json!({
            "name": "models/dynamic/n8n", "version": "1", "displayName": "dynamic/n8n",
            "description": "For workflows", "supportedGenerationMethods": methods,
        });
        assert_eq!(body["models"][0], item);
        assert_eq!(
            (body["models"].as_array().unwrap().len(), body.get("nextPageToken")),
            (3, None)
        );
        assert_eq!(get(&gateway, &format!("{path}/dynamic/n8n"), &[]).await, (200, item));
    }
    // Its newer clients ask under a path that others have too.
    let client = [("x-goog-api-client", "google-genai-sdk/3.4.0 gl-python/3.13")];
    let (_, body) = get(&gateway, "/v1/models?pageSize=1", &client).await;
    assert_eq!(
        (body["models"].as_array().unwrap().len(), &body["nextPageToken"]),
        (1, &json!("dynamic/n8n"))
    );
}

#[tokio::test]
async fn googles_pages_work() {
    let gateway = gateway().await;
    let (mut names, mut token) = (vec![], String::new());
    for _ in 0..2 {
        let path = format!("/v1beta/models?pageSize=2&pageToken={token}&queryBase=true");
        let (_, body) = get(&gateway, &path, &[]).await;
        let models = body["models"].as_array().unwrap();
        names.extend(models.iter().map(|it| it["name"].as_str().unwrap().to_owned()));
        token = body["nextPageToken"].as_str().unwrap_or("").to_owned();
    }
    assert_eq!(names, ["models/dynamic/n8n", "models/gpt-4o", "models/meta/llama-3:8b"]);
    assert_eq!(token, "");
    for (query, status) in
        [("pageSize=0", 200), ("pageSize=5000", 200), ("pageSize=-1", 400), ("pageToken=x", 400)]
    {
        let (got, body) = get(&gateway, &format!("/v1beta/models?{query}"), &[]).await;
        assert_eq!(got, status, "{query} {body}");
    }
}

#[tokio::test]
async fn a_model_is_found_by_a_name_with_slashes() {
    let gateway = gateway().await;
    for (path, id) in [
        ("gpt-4o", "gpt-4o"),
        ("dynamic/n8n", "dynamic/n8n"),
        ("dynamic%2Fn8n", "dynamic/n8n"),
        ("meta/llama-3:8b", "meta/llama-3:8b"),
    ] {
        let (status, body) = get(&gateway, &format!("/v1/models/{path}"), &[]).await;
        assert_eq!((status, &body["id"]), (200, &json!(id)), "{path}");
    }
}

#[tokio::test]
async fn an_unknown_model_is_404_in_the_format_of_its_path() {
    let gateway = gateway().await;
    for path in ["nothing", "GPT-4O", "dynamic", "gpt-4o/x", "%FF"] {
        let (status, body) = get(&gateway, &format!("/v1/models/{path}"), &[]).await;
        assert_eq!((status, &body["error"]["code"]), (404, &json!("unknown_model")), "{path}");
    }
    let (status, body) = get(&gateway, "/v1/models/nothing", &[VERSION]).await;
    assert_eq!((status, &body["error"]["type"]), (404, &json!("not_found_error")), "{body}");
    let (status, body) = get(&gateway, "/v1beta/models/nothing", &[]).await;
    assert_eq!((status, &body["error"]["status"]), (404, &json!("NOT_FOUND")), "{body}");
}

#[tokio::test]
async fn the_model_list_needs_a_key() {
    let gateway = gateway().await;
    for path in [
        "/v1/models",
        "/v1/models/gpt-4o",
        "/v1/models/nothing",
        "/anthropic/v1/models",
        "/v1beta/models",
        "/gemini/v1/models/gpt-4o",
        "/v1beta/models?key=wrong",
    ] {
        assert_eq!(error_of(send(&gateway, "GET", path, &[], "").await).await.0, 401, "{path}");
    }
    let by_query = |path: &str| format!("{path}?key={KEY}");
    for (path, status) in
        [("/v1beta/models", 200), ("/v1/models", 401), ("/anthropic/v1/models", 401)]
    {
        assert_eq!(send(&gateway, "GET", &by_query(path), &[], "").await.status, status, "{path}");
    }
}

#[tokio::test]
async fn an_anthropic_client_reads_what_a_route_holds() {
    let route = "routes: [{ name: r, steps: [{ provider: first, model: m, context_window: 9000 }, \
                 { provider: first, model: n, context_window: 8000 }] }]";
    let gateway = serve(&yaml(&[("first", &unused_address())], route)).await;
    let (_, body) = get(&gateway, "/v1/models/r", &[VERSION]).await;
    assert_eq!(body["max_input_tokens"], 8000, "{body}");
    for required in
        ["capabilities", "lifecycle", "line", "max_tokens", "deprecated_at", "retires_at"]
    {
        assert!(body.as_object().unwrap().contains_key(required), "{required}: {body}");
    }
}

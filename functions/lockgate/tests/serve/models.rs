//! `GET /v1/models`: what the caller's key may use.

use serde_json::{Value, json};
use testkit::lockgate::Lockgate;

use crate::support::{KEY, nobody, refused, send, serve, yaml};

const NAMES: &str = "
routes:
  - { name: dynamic/n8n, description: For workflows, steps: [{ provider: first, model: m }] }
models:
  - { name: gpt-4o, provider: first, description: A model }
  - { name: meta/llama-3, provider: first }
";

async fn gateway() -> Lockgate {
    serve(&yaml(&[("first", &nobody())], NAMES)).await
}

async fn get(gateway: &Lockgate, path: &str) -> (u16, Value) {
    let answer = send(gateway, "GET", path, &[("x-api-key", KEY)], "").await;
    (answer.status.as_u16(), answer.json().await.unwrap())
}

#[tokio::test]
async fn routes_and_models_are_listed_as_openai_does() {
    let (status, body) = get(&gateway().await, "/v1/models?limit=1").await;
    let item = |id: &str, owner: &str| json!({"id": id, "object": "model", "created": 0, "owned_by": owner});
    let mut items =
        [item("dynamic/n8n", "lockgate"), item("gpt-4o", "first"), item("meta/llama-3", "first")];
    items[0]["description"] = "For workflows".into();
    items[1]["description"] = "A model".into();
    assert_eq!((status, body), (200, json!({"object": "list", "data": items})));
}

#[tokio::test]
async fn one_is_found_by_its_name_even_with_slashes() {
    let gateway = gateway().await;
    for (path, id) in [
        ("gpt-4o", "gpt-4o"),
        ("dynamic/n8n", "dynamic/n8n"),
        ("dynamic%2Fn8n", "dynamic/n8n"),
        ("meta/llama-3", "meta/llama-3"),
    ] {
        let (status, body) = get(&gateway, &format!("/v1/models/{path}")).await;
        assert_eq!((status, &body["id"]), (200, &json!(id)), "{path}");
    }
}

#[tokio::test]
async fn an_unknown_one_is_404() {
    let gateway = gateway().await;
    for path in ["nothing", "GPT-4O", "dynamic", "gpt-4o/x"] {
        let (status, body) = get(&gateway, &format!("/v1/models/{path}")).await;
        assert_eq!((status, &body["error"]["code"]), (404, &json!("unknown_model")), "{path}");
    }
}

#[tokio::test]
async fn the_list_is_closed_without_a_key() {
    let gateway = gateway().await;
    for path in ["/v1/models", "/v1/models/gpt-4o", "/v1/models/nothing"] {
        assert_eq!(refused(send(&gateway, "GET", path, &[], "").await).await.0, 401);
    }
}

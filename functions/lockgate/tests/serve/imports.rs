//! `lockgate import`: what comes of another gateway's files answers a request.

use serde_json::json;
use testkit::openai;

use crate::support::{ask, error_of, hello, program, provider, send, text_of};

const LITELLM: &str = "
model_list:
  - model_name: fast
    litellm_params: { model: openai/small, api_base: ADDRESS, api_key: sk-literal }
  - model_name: far
    litellm_params: { model: sagemaker/far }
general_settings: { master_key: gateway-key }
";

#[tokio::test]
async fn an_imported_file_serves_and_says_what_is_missing() {
    let first = provider().await;
    let setup = program()
        .file("litellm.yaml", &LITELLM.replace("ADDRESS", &first.url()))
        .arguments(["import", "litellm.yaml", "--output", "config.yaml"]);
    let output = setup.run().await;
    let notes = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{notes}");
    assert!(notes.contains("litellm.yaml:5: `sagemaker/far` is left out"), "{notes}");
    assert!(!notes.contains("sk-literal") && !notes.contains("gateway-key"), "{notes}");

    let gateway = setup.without_arguments().start().await;
    assert_eq!(text_of(ask(&gateway, &hello("fast")).await).await, "Hi");
    let received = first.requests();
    assert_eq!(received[0].headers["authorization"], "Bearer sk-literal");
}

#[tokio::test]
async fn an_import_without_an_output_prints_the_configuration() {
    let keys = r#"{"model": "a/b", "models": ["a/b", "c/d"]}"#;
    let output = program().file("preset.json", keys).arguments(["import", "preset.json"]);
    let output = output.run().await;
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(printed.contains("  - name: preset\n"), "{printed}");
    let unknown = program().file("x.yaml", "a: 1").arguments(["import", "x.yaml"]).run().await;
    assert_eq!(unknown.status.code(), Some(2));
}

/// A small file of each gateway, with `ADDRESS` in place of an address, and a model to ask for.
const FILES: [(&str, &str, &str); 9] = [
    (
        "litellm.yaml",
        "model_list:
  - model_name: fast
    litellm_params: { model: openai/one, api_base: ADDRESS/v1, api_key: sk-1, rpm: 600 }
  - model_name: fast
    litellm_params: { model: openai/two, api_base: ADDRESS/v1, api_key: sk-2 }
router_settings: { model_group_alias: { quick: fast }, routing_strategy: simple-shuffle }
litellm_settings: { num_retries: 2, drop_params: true }",
        "quick",
    ),
    (
        "ccr.json",
        r#"{ // Where to.
  "Providers": [ { "name": "house", "api_base_url": "ADDRESS/v1/chat/completions", "api_key": "sk-1",
                   "models": ["small"], "transformer": { "use": ["openrouter"] } } ],
  "Router": { "default": "house,small", "background": "house,small" }, }"#,
        "background",
    ),
    (
        "portkey.json",
        r#"{ "strategy": { "mode": "fallback" }, "retry": { "attempts": 1 }, "targets": [
  { "provider": "openai", "custom_host": "ADDRESS/v1", "api_key": "sk-1",
    "override_params": { "model": "small" } } ] }"#,
        "portkey",
    ),
    (
        "helicone.yaml",
        "providers: { house: { base-url: 'ADDRESS/v1', models: [small] } }
routers: { mine: { load-balance: { chat: { strategy: model-latency, models: [house/small] } } } }",
        "small",
    ),
    (
        "preset.json",
        r#"{ "model": "maker/small", "models": ["maker/small", "maker/large"] }"#,
        "preset",
    ),
    (
        "a.yaml",
        "api_key: gateway-key
providers: [{ name: house, api_key: sk-1, base_url: ADDRESS/v1 }]
routes: [{ name: dynamic/n8n, steps: [{ provider: house, model: small, timeout: 30s }] }]",
        "dynamic/n8n",
    ),
    (
        "b.env",
        "OPENAI_API_KEY=sk-1\nOPENAI_BASE_URL=ADDRESS/v1\nDEFAULT_PROVIDER=openai\nADDR=:8080\n",
        "small",
    ),
    (
        "c.yaml",
        "providers:
  house: { type: openai, base_url: ADDRESS/v1, api_key: sk-1, allowed_models: [small] }",
        "small",
    ),
    (
        "d.yaml",
        "version: '1.0'
models: [{ name: small, provider: openai }]
default_model: small",
        "small",
    ),
];

#[tokio::test]
async fn what_comes_of_each_gateways_file_answers() {
    for (name, text, model) in FILES {
        let first = provider().await;
        first.respond_with((0..4).map(|_| openai::completion("Hi")));
        let setup = program().file(name, &text.replace("ADDRESS", &first.url())).arguments([
            "import",
            name,
            "--output",
            "config.yaml",
        ]);
        let output = setup.run().await;
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));

        // A file without an address means the company itself, which is not for tests to call.
        let path = setup.folder().join("config.yaml");
        let mut config = std::fs::read_to_string(&path).unwrap();
        if !config.contains("base_url") {
            for kind in ["openai", "openrouter"] {
                let (plain, here) = (format!("type: {kind}\n"), first.url());
                config = config.replace(&plain, &format!("{plain}    base_url: {here}/v1\n"));
            }
            std::fs::write(&path, &config).unwrap();
        }
        let gateway = setup
            .without_arguments()
            .variable("GATEWAY_API_KEY", "gateway-key")
            .variable("IMPORTED_GATEWAY_API_KEY", "gateway-key")
            .variable("OPENAI_API_KEY", "sk-1")
            .variable("OPENROUTER_API_KEY", "sk-1")
            .start()
            .await;
        let headers = [("authorization", "Bearer gateway-key")];
        let body = hello(model).to_string();
        let response = send(&gateway, "POST", "/v1/chat/completions", &headers, body).await;
        assert_eq!(text_of(response).await, "Hi", "{name}:\n{config}");
        let sent = first.requests();
        let sent = sent.iter().find(|it| it.target.ends_with("/chat/completions")).unwrap();
        assert_ne!(sent.json()["messages"], json!([]), "{name}");
    }
}

/// The key whose hash the database has.
const CLIENT_KEY: &str = "gm_0b9d6f1e-4c7e-4d5c-8f5a-6b7c8d9e0f10";
/// The table of clients as `DatanoiseTV/aigateway` makes it.
const CLIENTS: &str = "
CREATE TABLE `clients` (`id` varchar(36),`name` varchar(255) NOT NULL,`description` text,
  `api_key_hash` blob,`is_active` numeric DEFAULT true,`key_prefix` varchar(20),
  `backend` varchar(50) DEFAULT \"gemini\",`backend_api_key` varchar(500),
  `backend_base_url` varchar(500),`backend_default_model` varchar(200),`backend_models` text,
  `fallback_models` varchar(500),`system_prompt` text,
  `tool_mode` varchar(20) DEFAULT \"pass-through\",`server_tools` numeric DEFAULT false,
  `rate_limit_minute` integer DEFAULT 60,`rate_limit_hour` integer DEFAULT 1000,
  `rate_limit_day` integer DEFAULT 10000,`quota_input_tokens_day` integer DEFAULT 1000000,
  `quota_output_tokens_day` integer DEFAULT 500000,`quota_requests_day` integer DEFAULT 1000,
  `max_input_tokens` integer DEFAULT 1000000,`max_output_tokens` integer DEFAULT 8192,
  `last_seen` datetime,`created_at` datetime,`updated_at` datetime,PRIMARY KEY (`id`));
CREATE UNIQUE INDEX `idx_clients_api_key_hash` ON `clients`(`api_key_hash`);
INSERT INTO clients (id, name, api_key_hash, is_active, backend, rate_limit_minute) VALUES
  ('1', 'Web shop', x'72a17340e838d6ff16daf0fbb9dfd3d0c7911e098142b9d5782c1cd8ca92b882', 1, 'openai', 2),
  ('2', 'Old shop', x'0000000000000000000000000000000000000000000000000000000000000000', 0, 'openai', 60);
";

#[tokio::test]
async fn clients_of_an_imported_database_keep_their_keys_and_limits() {
    let first = provider().await;
    first.respond_with([openai::completion("Hi"), openai::completion("Hi")]);
    let theirs = format!(
        "providers:\n  openai: {{ type: openai, api_key: sk-literal, base_url: \"{}/v1\" }}\n",
        first.url()
    );
    let setup = program().file("aigateway.yaml", &theirs).arguments([
        "import",
        "aigateway.yaml",
        "gateway.db",
        "--output",
        "config.yaml",
    ]);
    testkit::sqlite::make_database(&setup.folder().join("gateway.db"), CLIENTS);
    let output = setup.run().await;
    let notes = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{notes}");

    let gateway = setup.without_arguments().start().await;
    let body = hello("gpt-4o").to_string();
    let bearer = format!("Bearer {CLIENT_KEY}");
    let headers = [("authorization", bearer.as_str())];
    for _ in 0..2 {
        let response = send(&gateway, "POST", "/v1/chat/completions", &headers, body.clone()).await;
        assert_eq!(text_of(response).await, "Hi");
    }
    let response = send(&gateway, "POST", "/v1/chat/completions", &headers, body).await;
    assert_eq!(error_of(response).await.0, 429, "two a minute");
    assert_eq!(first.requests()[0].headers["authorization"], "Bearer sk-literal");
}

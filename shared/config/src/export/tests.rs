use super::*;
use crate::{
    read::tests::{EXAMPLE, config},
    rows::to_rows,
};

/// Documents that say the same have the same rows, whatever is in them.
fn rows(config: &Config) -> Vec<(String, String)> {
    to_rows(config, "/p").0.into_iter().map(|row| (row.sk, row.value)).collect()
}

fn exported(text: &str) -> String {
    to_yaml(&config(text))
}

const ODD: &str = r#"
default_model: "true"
providers:
- name: openai
  api_key: "plain key"
- name: "7"
  type: mock
  headers: {"-": "${A_KEY}", "1": 'x: y'}
  script: {answer: "", fail_first: 0}
- name: other
  type: openai
  api_keys: [a, "${A_KEY}", 'b ${A_KEY}']
routes:
- name: "true"
  description: "two\nlines \\ \"quoted\" \t\u0007 # no comment: {x} $${HOME} ✨\ufeff"
  steps: [{provider: "7", model: "1e3"}, {provider: "7", model: "- a"}, {provider: other, model: "null"}]
- name: "a: b"
  steps: [{provider: openai, model: "a #b", timeout: 1500ms}]
- name: "模型 x"
  steps: [{provider: openai, model: "a, [b]"}]
  cooldown: 90m
prices:
- {provider: openai, model: "a, [b]: {c}", input: 0.000001, output: 12.5}
"#;

#[test]
fn an_exported_document_reads_as_the_same_document() {
    for text in [EXAMPLE, ODD, "providers: [{name: p, type: ollama}]"] {
        let first = config(text);
        let again = config(&to_yaml(&first));
        assert_eq!(rows(&again), rows(&first));
        assert_eq!(to_yaml(&again), to_yaml(&first));
    }
}

/// How the export of the example begins.
const EXPORTED: &str = "api_key: ${GATEWAY_API_KEY}
port: 9090
default_timeout: 2m
route_timeout: 5m
idle_timeout: 45s
default_provider: cerebras
default_providers:
  - provider: cerebras
    names:
      - \"gpt-oss-*\"
      - zai
default_model: dynamic/n8n
proxy: ssm:/team/proxy
ca_file: company.pem
connect_timeout: 2s
pool:
  idle_timeout: 10s
  max_idle_per_host: 50
fetch:
  hosts:
    - images.example.com
    - \"*.example.org\"
  max_bytes: 4000000
  timeout: 5s
cors:
  origins:
    - https://app.example.com
server:
  workers: 3
  max_connections: 2000
  max_connections_per_address: 100
  max_memory_bytes: 536870912
  max_body_bytes: 20971520
  head_timeout: 5s
  body_timeout: 30s
  write_timeout: 45s
  keep_alive_timeout: 2m
  drain_timeout: 20s
  shutdown_timeout: 5s
tls:
  cert: cert.pem
  key: key.pem
admin:
  users:
    - name: admin
      password: ${ADMIN_KEY}
      role: admin
    - name: night
      password: ${NIGHT_PASSWORD}
  public_url: https://gateway.example.com
metrics:
  username: prometheus
  password: ${METRICS_KEY}
  seeds:
    - b
    - c
    - d
log:
  format: json
  level: debug
  contents: summary
requests:
  retention: 7d
  prompts:
    enabled: true
    retention: 24h
    max_bytes: 10000
cache:
  enabled: true
  ttl: 10m
idempotency:
  ttl: 1h
unpriced: allow
store_down:
  rate_limits: closed
  budgets: open
alerts:
  webhook:
    url: ${WEBHOOK_URL}
    secret: ${WEBHOOK_KEY}
  sns_topic: arn:aws:sns:eu-central-1:123456789012:alerts
usage_events:
  sqs_queue: https://sqs.eu-central-1.amazonaws.com/123456789012/usage
compatibility:
  base_paths:
    - \"/api\"
  error_words: d
  health_members:
    - providers
    - timestamp

providers:
  - name: cerebras
    base_url: https://api.cerebras.ai/v1
    api_key: ${CEREBRAS_API_KEY}
  - name: pooled
    type: groq
    api_keys:
      - ${GROQ_KEY_ONE}
      - ssm:/team/groq
    headers:
      X-Title: ${POOLED_X_TITLE}
      X-Trace: ${POOLED_X_TRACE}
    timeout: 90s
    limits:
      requests_per_minute: 30
      requests_per_day: 1000
      tokens_per_minute: 6000
      concurrent: 4
    probe:
      every: 5m
      model: llama
      max_cost: 0.05
    proxy: none
    ca_file: own.pem
    connect_timeout: 1s
";

#[test]
fn an_export_reads_like_what_people_write() {
    let yaml = exported(EXAMPLE);
    assert!(yaml.starts_with(EXPORTED), "{yaml}");
    assert!(
        yaml.contains(
            "  - { provider: cerebras, model: gpt-oss-120b, input: 0.35, output: 0.75 }\n"
        )
    );
}

#[test]
fn defaults_are_left_out() {
    let text = "port: 8080\ndefault_timeout: 300s\nproviders:\n- {name: p, type: ollama}\nroutes:\n\
                - {name: r, fallback_on: default, cooldown: 1m, steps: [{provider: p, model: m, retries: 0}]}";
    assert_eq!(
        exported(text),
        "providers:\n  - name: p\n    type: ollama\n\nroutes:\n  - name: r\n    steps:\n      - provider: p\n        model: m\n"
    );
}

#[test]
fn an_export_holds_no_secret() {
    for text in [EXAMPLE, ODD] {
        let yaml = exported(text);
        assert!(!yaml.contains("secret of") && !yaml.contains("plain key"), "{yaml}");
    }
}

#[test]
fn derived_variables_differ() {
    let text = "providers:
- {name: a-b, api_key: one}
- {name: a.b, api_key: two}
- {name: c, api_key: '${A_B_API_KEY_2}'}
";
    let yaml = exported(text);
    let keys: Vec<&str> =
        yaml.lines().filter(|line| line.contains("api_key")).map(str::trim).collect();
    assert_eq!(
        keys,
        ["api_key: ${A_B_API_KEY}", "api_key: ${A_B_API_KEY_3}", "api_key: ${A_B_API_KEY_2}"]
    );
}

//! What the server logs, and how: by `log` in the configuration.

use serde_json::Value;

use crate::support::{ask, gateway_for, hello, provider, text_of};

#[tokio::test]
async fn a_line_of_the_log_is_json_where_that_is_wanted() {
    let first = provider().await;
    let gateway = gateway_for(&first, "log: { format: json }\n").await;
    text_of(ask(&gateway, &hello("first/m")).await).await;
    let log = gateway.logged("call ended").await;
    let lines: Vec<Value> =
        log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let line = lines.iter().find(|line| line["message"] == "call ended").unwrap();
    assert_eq!((&line["level"], &line["outcome"]), (&"INFO".into(), &"success".into()), "{line}");
    assert_eq!((&line["status"], &line["provider"]), (&200.into(), &"first".into()), "{line}");
    assert!(line["timestamp"].is_string(), "{line}");
}

#[tokio::test]
async fn a_level_leaves_out_what_is_less_severe() {
    let first = provider().await;
    let quiet = gateway_for(&first, "log: { level: error }\n").await;
    text_of(ask(&quiet, &hello("first/m")).await).await;
    quiet.terminate().unwrap();
    let (_, log) = quiet.ended().await;
    assert!(!log.contains("call ended"), "{log}");
}

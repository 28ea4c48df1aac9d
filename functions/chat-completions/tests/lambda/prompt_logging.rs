//! Prompts and answers of the function: kept only where that is switched on.

use serde_json::Value;
use testkit::{aws::stack::AwsStack, openai};

use crate::{Gateway, two_steps};

/// The rows of the state table whose partitions begin so, as DynamoDB gives them.
async fn rows(cloud: &AwsStack, prefix: &str) -> Vec<Value> {
    let rows = cloud.rows_of_state().await;
    let is_wanted = |row: &Value| row["pk"]["S"].as_str().is_some_and(|pk| pk.starts_with(prefix));
    rows.into_iter().filter(is_wanted).collect()
}

/// The same, once there are so many.
async fn until(cloud: &AwsStack, prefix: &str, count: usize) -> Vec<Value> {
    for _ in 0..200 {
        let found = rows(cloud, prefix).await;
        if count <= found.len() {
            return found;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("there are not {count} rows of {prefix}");
}

#[tokio::test]
async fn contents_are_kept_with_an_end_of_their_own_where_that_is_switched_on() {
    let gateway = Gateway::empty(|it| it).await;
    let settings = "requests: { prompts: { enabled: true, retention: 1h } }\n";
    gateway.apply(&format!("{}{settings}", two_steps(&gateway.fake))).await;
    gateway.fake.respond_with([openai::completion("Hi there"), openai::stream(["Hel", "lo"])]);
    gateway.ask().await.bytes().await.unwrap();
    gateway.stream().await.bytes().await.unwrap();
    let contents = until(&gateway.cloud, "content#", 2).await;
    let texts: Vec<&str> = contents.iter().map(|it| it["value"]["S"].as_str().unwrap()).collect();
    for response in ["\"response\":\"Hi there\"", "\"response\":\"Hello\""] {
        assert!(texts.iter().any(|it| it.contains(response) && it.contains("Hello?")), "{texts:?}");
    }
    let calls = until(&gateway.cloud, "calls#", 2).await;
    let end = |row: &Value| -> u64 { row["expires"]["N"].as_str().unwrap().parse().unwrap() };
    assert_eq!((contents.len(), calls.len()), (2, 2));
    // Thirty days against an hour.
    assert!(end(&contents[0]) + 29 * 24 * 3_600 < end(&calls[0]), "{contents:?} {calls:?}");
    assert!(calls.iter().all(|it| !it["value"]["S"].as_str().unwrap().contains("Hello")));
    gateway.is_well();
}

#[tokio::test]
async fn nothing_is_kept_of_prompts_by_itself() {
    let gateway = Gateway::start().await;
    gateway.fake.respond_with([openai::completion("Hi there")]);
    gateway.ask().await.bytes().await.unwrap();
    until(&gateway.cloud, "calls#", 1).await;
    assert!(rows(&gateway.cloud, "content#").await.is_empty());
    let everything = gateway.cloud.rows_of_state().await;
    let holds = |text: &str| everything.iter().any(|row| row.to_string().contains(text));
    assert!(!holds("Hello?") && !holds("Hi there"), "{everything:?}");
}

//! Usage events of a function: they reach the queue before the process freezes.

use serde_json::Value;
use testkit::openai;

use crate::{Gateway, two_steps};

#[tokio::test]
async fn the_queue_gets_the_usage_of_a_functions_call() {
    let gateway = Gateway::empty(|it| it).await;
    let queue = gateway.cloud.queue("usage-of-chat").await;
    let yaml = format!("{}usage_events: {{ sqs_queue: '{queue}' }}\n", two_steps(&gateway.fake));
    gateway.apply(&yaml).await;
    gateway.fake.respond_with([openai::completion("Hi")]);

    assert_eq!(gateway.ask().await.status, 200);
    gateway.cloud.wait_for_requests("SendMessageBatch", 1).await;
    let mut messages = vec![];
    while messages.is_empty() {
        messages = gateway.cloud.messages(&queue).await;
    }
    let event: Value = serde_json::from_str(&messages[0]).unwrap();
    assert_eq!((&event["tenant"], &event["status"]), (&"default".into(), &200.into()), "{event}");
    assert_eq!(event["usage"]["source"], "reported", "{event}");
}

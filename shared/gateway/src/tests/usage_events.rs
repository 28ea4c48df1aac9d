//! Usage events: what a queue gets of each call, and what becomes of what it does not accept.

use serde_json::{Value, json};
use storage::{Credentials, Secret, Signer, memory};
use testkit::{
    openai,
    provider::{FakeProvider, Latch, ReceivedRequest, ScriptedResponse, Step},
};

use super::support::{TestGateway, config, provider};
use crate::{Configuration, UsageEventSink};

const QUEUE: &str = "https://sqs.eu-central-1.amazonaws.com/123456789012/usage";

fn accepted() -> ScriptedResponse {
    ScriptedResponse::raw(200, "application/x-amz-json-1.0", r#"{"Successful": [], "Failed": []}"#)
}

fn client(queue: &FakeProvider) -> crate::Client {
    let signer = Signer::new(
        Some("eu-west-1".to_owned()),
        Some(Credentials {
            access_key_id: "AKID".to_owned(),
            secret_access_key: Secret::new("secret"),
            session_token: None,
        }),
    );
    crate::Client::new(signer, crate::ProxyVariables::default())
        .with_aws_endpoint(Some(queue.url()))
}

/// A gateway whose calls are told to a queue, and the sink that tells them.
async fn telling(queue: &FakeProvider, first: &FakeProvider) -> (TestGateway, UsageEventSink) {
    let yaml = format!("{}usage_events: {{ sqs_queue: '{QUEUE}' }}\n", config(&[("first", first)]));
    TestGateway::telling(&yaml, memory::open(), client(queue), |it: &Configuration| {
        UsageEventSink::new(it.clone())
    })
    .await
}

fn events(request: &ReceivedRequest) -> Vec<Value> {
    let body = request.json();
    let entries = body["Entries"].as_array().unwrap().iter();
    entries.map(|it| serde_json::from_str(it["MessageBody"].as_str().unwrap()).unwrap()).collect()
}

#[tokio::test]
async fn a_queue_gets_a_signed_batch_with_what_each_call_used() {
    let (first, queue) = (provider([openai::completion("Hi")]).await, provider([accepted()]).await);
    let (gateway, sink) = telling(&queue, &first).await;
    gateway.respond("both").await.unwrap();
    gateway.gateway.drain().await;
    let sent = queue.wait_for_requests(1).await;
    assert_eq!(sent[0].header("x-amz-target"), "AmazonSQS.SendMessageBatch");
    let signed = sent[0].header("authorization");
    assert!(signed.contains("/eu-central-1/sqs/aws4_request"), "{signed}");
    assert!(signed.contains("x-amz-target"), "{signed}");
    assert_eq!(sent[0].json()["QueueUrl"], QUEUE);
    let events = events(&sent[0]);
    assert_eq!(events.len(), 1);
    assert_eq!(events[0]["id"], "call-0");
    assert_eq!(events[0]["usage"]["source"], "reported", "{}", events[0]);
    assert_eq!(sink.lost(), 0);
}

#[tokio::test]
async fn what_a_queue_rejects_is_sent_again_and_at_last_counted() {
    let rejected =
        json!({ "Failed": [{ "Id": "0", "SenderFault": false, "Code": "InternalError" }] });
    let rejected =
        || ScriptedResponse::raw(200, "application/x-amz-json-1.0", rejected.to_string());
    let first = provider([openai::completion("Hi")]).await;
    for (answers, requests, lost) in [
        (vec![rejected(), accepted()], 2, 0),
        (vec![ScriptedResponse::raw(500, "text/plain", ""), accepted()], 2, 0),
        (vec![rejected()], 3, 1),
    ] {
        let queue = provider(answers).await;
        let (gateway, sink) = telling(&queue, &first).await;
        gateway.respond("both").await.unwrap();
        let sent = queue.wait_for_requests(requests).await;
        assert_eq!(events(&sent[0]), events(&sent[requests - 1]));
        while sink.lost() != lost {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn a_queue_that_is_silent_delays_no_answer() {
    let latch = Latch::new();
    let silent = ScriptedResponse::stream([Step::Latch(latch.clone()), Step::Cut]);
    let (first, queue) = (provider([openai::completion("Hi")]).await, provider([silent]).await);
    let (gateway, _sink) = telling(&queue, &first).await;
    gateway.respond("both").await.unwrap();
    queue.wait_for_requests(1).await;
    gateway.respond("both").await.unwrap();
    queue.wait_for_requests(2).await;
    latch.open();
}

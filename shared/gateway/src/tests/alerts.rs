//! Budget alerts: who is told, how often, and how a receiver knows that it is us.

use std::sync::Arc;

use canonical::MicroDollars;
use serde_json::Value;
use storage::{Credentials, Secret, Signer, memory};
use tenants::{Tenant, webhook};
use testkit::{
    openai,
    provider::{FakeProvider, ReceivedRequest, ScriptedResponse},
};

use super::{
    limits::tenant,
    support::{TestGateway, config, provider},
};

/// Each call costs 12,009 micro-dollars, so that the third reaches 80 % and the fourth 95 %.
const BUDGET: u64 = 40_000;

fn budgeted() -> Arc<Tenant> {
    tenant(|it| {
        it.budget.amount = Some(MicroDollars(BUDGET));
        it.requests.max_output_tokens = Some(12);
    })
}

async fn receiver(answers: impl IntoIterator<Item = ScriptedResponse>) -> FakeProvider {
    provider(answers).await
}

fn accepted() -> ScriptedResponse {
    ScriptedResponse::raw(200, "text/plain", "")
}

/// What a receiver got after so many calls.
async fn after_calls(calls: usize, alerts: &str, receiver: &FakeProvider) -> Vec<ReceivedRequest> {
    let first = provider([openai::completion("Hi")]).await;
    let yaml = format!("{}alerts: {alerts}\n", config(&[("first", &first)]));
    let signer = Signer::new(
        Some("eu-central-1".to_owned()),
        Some(Credentials {
            access_key_id: "AKID".to_owned(),
            secret_access_key: Secret::new("secret"),
            session_token: None,
        }),
    );
    let client = crate::Client::new(signer, crate::ProxyVariables::default())
        .with_aws_endpoint(Some(receiver.url()));
    let gateway = TestGateway::calling(&yaml, memory::open(), client).await;
    for _ in 0..calls {
        gateway.answer(gateway.call_of(&budgeted(), "both", false).await).await.unwrap();
        gateway.gateway.drain().await;
    }
    receiver.requests()
}

#[tokio::test]
async fn each_level_is_sent_once_to_a_webhook_that_can_check_whose_it_is() {
    let receiver = receiver([accepted()]).await;
    let url = receiver.url();
    let alerts = format!("{{ webhook: {{ url: '{url}/hook?token=t', secret: webhook-secret }} }}");
    let sent = after_calls(3, &alerts, &receiver).await;
    assert_eq!(sent.len(), 1, "{sent:?}");
    let alert = &sent[0];
    assert_eq!(alert.target, "/hook?token=t");
    let body: Value = alert.json();
    assert_eq!((&body["tenant_id"], &body["level"]), (&"search".into(), &80.into()), "{body}");
    assert_eq!(body["budget_usd"].to_string(), "0.04");
    let text = std::str::from_utf8(&alert.body).unwrap();
    let signature = alert.header("x-gateway-signature");
    let time: u64 =
        signature.strip_prefix("t=").unwrap().split(',').next().unwrap().parse().unwrap();
    assert_eq!(signature, webhook::signature(&Secret::new("webhook-secret"), text, time));
    assert!(alert.header("x-gateway-alert-id").starts_with("search/"));
}

#[tokio::test]
async fn a_receiver_that_fails_is_notified_again() {
    let receiver = receiver([ScriptedResponse::raw(500, "text/plain", ""), accepted()]).await;
    let alerts = format!("{{ webhook: {{ url: '{}' }} }}", receiver.url());
    let sent = after_calls(3, &alerts, &receiver).await;
    assert_eq!(sent.len(), 2);
    assert_eq!(sent[0].body, sent[1].body);
    assert_eq!(sent[0].header("x-gateway-signature"), "", "there is no secret to sign with");
}

#[tokio::test]
async fn a_topic_gets_a_signed_message() {
    let receiver = receiver([accepted()]).await;
    let topic = "arn:aws:sns:eu-central-1:123456789012:alerts";
    let sent = after_calls(3, &format!("{{ sns_topic: '{topic}' }}"), &receiver).await;
    assert_eq!(sent.len(), 1, "{sent:?}");
    let body = String::from_utf8(sent[0].body.to_vec()).unwrap();
    assert!(body.starts_with("Action=Publish&Message=Tenant%20search"), "{body}");
    assert!(body.contains("TopicArn=arn%3Aaws%3Asns%3Aeu-central-1"), "{body}");
    let signed = sent[0].header("authorization");
    assert!(signed.contains("/eu-central-1/sns/aws4_request"), "{signed}");
}

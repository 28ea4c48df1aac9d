//! What a record holds, whatever became of the call.

use std::time::Duration;

use canonical::{ErrorKind, MicroDollars, Outcome};
use telemetry::{CallRecord, UsageSource};
use tenants::KeyHash;
use testkit::{openai, provider::ScriptedResponse};

use super::support::{KEY, TestGateway, UNREACHABLE, WALL, config, provider};

#[tokio::test]
async fn a_record_holds_who_called_and_what_that_cost() {
    let first = provider([openai::completion("Hi").header("x-request-id", "upstream-1")]).await;
    let gateway = TestGateway::start(&config(&[("first", &first)])).await;
    gateway.respond("both").await.unwrap();
    let record = gateway.record().await;
    assert_eq!((record.id.as_str(), record.arrived), ("call-0", WALL));
    let principal = record.principal.as_ref().unwrap();
    assert_eq!(&*principal.tenant, "default");
    assert_eq!(*principal.key_id, *KeyHash::of(KEY).as_str().get(..12).unwrap());
    assert_eq!(record.end.outcome, Outcome::Success);
    assert_eq!(record.provider_request_id.as_deref(), Some("upstream-1"));
    assert_eq!(record.finish_reason.as_deref(), Some("stop"));
    let usage = record.usage.unwrap();
    assert_eq!(usage.source, UsageSource::Reported);
    let price = usage.tokens.all_input() + 1000 * usage.tokens.all_output();
    assert_eq!(record.cost, Some(MicroDollars(price)));
    assert!(record.timings.first_token.is_some() && record.timings.overhead.is_some());
}

#[tokio::test]
async fn a_response_without_usage_is_estimated() {
    let bare = r#"{"choices":[{"message":{"content":"Hello, world"},"finish_reason":"stop"}]}"#;
    let first = provider([ScriptedResponse::raw(200, "application/json", bare)]).await;
    let gateway = TestGateway::start(&config(&[("first", &first)])).await;
    gateway.respond("both").await.unwrap();
    let record = gateway.record().await;
    let usage = record.usage.unwrap();
    assert_eq!((usage.source, usage.tokens.all_output()), (UsageSource::Estimated, 3));
    assert!(0 < usage.tokens.all_input());
    assert_eq!(record.cost, Some(MicroDollars(usage.tokens.all_input() + 3_000)));
    assert_eq!(record.summary().cost, None, "no client is told an estimated cost");
}

#[tokio::test]
async fn a_client_that_leaves_before_a_response_is_recorded_with_its_attempt() {
    let first = provider([ScriptedResponse::hang()]).await;
    let gateway = TestGateway::start(&config(&[("first", &first)])).await;
    let call = gateway.call("both", false).await;
    let left = tokio::time::timeout(Duration::from_millis(100), gateway.answer(call));
    assert!(left.await.is_err());
    let record = gateway.record().await;
    assert_eq!((record.end.outcome, record.end.status), (Outcome::Canceled, None));
    assert_eq!(record.attempts.len(), 1);
    assert_eq!(record.attempts[0].outcome, Outcome::Canceled);
}

#[tokio::test]
async fn a_refusal_is_recorded_too() {
    let gateway = TestGateway::start(UNREACHABLE).await;
    let clock = gateway.clock();
    let mut record = gateway.gateway.begin_record(CallRecord::default(), clock);
    let error = gateway.gateway.admit(&["wrong"], clock).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unauthenticated);
    record.failed(&error);
    let record = gateway.record().await;
    assert_eq!((record.end.status, record.principal.is_none()), (Some(401), true));
}

#[tokio::test]
async fn the_valid_one_of_several_keys_names_the_caller() {
    let gateway = TestGateway::start(UNREACHABLE).await;
    let admitted = gateway.gateway.admit(&["wrong", KEY], gateway.clock()).await.unwrap();
    assert_eq!(*admitted.principal.key_id, *KeyHash::of(KEY).as_str().get(..12).unwrap());
}

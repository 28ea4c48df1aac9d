//! Which targets a call attempts, over real sockets.

use canonical::{ErrorKind, NextStep, Outcome};
use testkit::{openai, provider::ScriptedResponse};

use super::support::{TestGateway, UNREACHABLE, config, provider};

#[tokio::test]
async fn a_failure_goes_on_to_the_next_target_and_is_recorded() {
    let first = provider([openai::error(503, "x", "no")]).await;
    let second = provider([openai::completion("Hi")]).await;
    let gateway = TestGateway::start(&config(&[("first", &first), ("second", &second)])).await;
    assert_eq!(gateway.provider("both").await.unwrap(), "second");

    let record = gateway.record().await;
    assert_eq!(record.route.as_deref(), Some("both"));
    assert_eq!(record.provider.as_deref(), Some("second"));
    let [failed, succeeded] = &record.attempts[..] else { panic!("{:?}", record.attempts) };
    assert_eq!((failed.status, failed.next), (Some(503), Some(NextStep::NextTarget)));
    assert_eq!((succeeded.outcome, succeeded.status), (Outcome::Success, Some(200)));
    assert_eq!(failed.key, routing::fingerprint("key-of-first"));
}

#[tokio::test]
async fn a_pool_is_tried_key_by_key() {
    let first = provider([openai::error(429, "x", "slow down"), openai::completion("Hi")]).await;
    let url = first.url();
    let pool = format!("providers: [{{ name: first, base_url: \"{url}\", api_keys: [one, two] }}]");
    let gateway = TestGateway::start(&pool).await;
    assert_eq!(gateway.provider("first/m").await.unwrap(), "first");
    let keys: Vec<_> = gateway.record().await.attempts.iter().map(|it| it.key).collect();
    assert_eq!(keys, [routing::fingerprint("one"), routing::fingerprint("two")]);
    assert_eq!(first.requests()[1].header("authorization"), "Bearer two");
}

#[tokio::test]
async fn a_time_out_is_not_retried_while_another_target_is_left() {
    let first = provider([ScriptedResponse::hang()]).await;
    let second = provider([openai::completion("Hi")]).await;
    let (one, two) = (first.url(), second.url());
    let gateway = TestGateway::start(&format!(
        "providers:\n  - {{ name: first, base_url: \"{one}\", api_key: k }}\n  \
         - {{ name: second, base_url: \"{two}\", api_key: k }}\nroutes:\n  - name: both\n    \
         steps:\n      - {{ provider: first, model: m, timeout: 100ms, retries: 3 }}\n      \
         - {{ provider: second, model: m }}\n"
    ))
    .await;
    assert_eq!(gateway.provider("both").await.unwrap(), "second");
    assert_eq!(first.requests().len(), 1);
}

#[tokio::test]
async fn an_unknown_model_is_refused_and_recorded() {
    let gateway = TestGateway::start(UNREACHABLE).await;
    assert_eq!(gateway.provider("nothing").await.unwrap_err(), ErrorKind::UnknownModel);
    let record = gateway.record().await;
    assert_eq!(record.end.status, Some(404));
    assert_eq!(record.end.outcome, Outcome::Failed("unknown_model"));
    assert_eq!(record.request.model.as_deref(), Some("nothing"));
    assert!(record.attempts.is_empty() && record.usage.is_none());
}

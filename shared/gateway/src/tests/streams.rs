//! Metered streams: what is recorded of them, however they end.

use canonical::{Error, ErrorKind, MicroDollars, Outcome};
use telemetry::UsageSource;
use testkit::{
    openai,
    provider::{ScriptedResponse, Step},
};

use super::support::{TestGateway, config, provider, read_events};
use crate::MeteredStream;

const TEXT: &str = "Once upon a time there was a gateway";

#[tokio::test]
async fn a_whole_stream_is_recorded_as_reported() {
    let steps = [openai::chunk(TEXT), openai::finish("stop"), openai::usage(7, 11), openai::done()];
    let first = provider([ScriptedResponse::stream(steps)]).await;
    let gateway = TestGateway::start(&config(&[("first", &first)])).await;
    let mut stream = gateway.stream("both").await;
    assert_eq!(read_events(&mut stream, 4).await, None);
    let summary = stream.finish();
    assert_eq!(summary.cost, Some(MicroDollars(7 + 11_000)));
    drop(stream);

    let record = gateway.record().await;
    let usage = record.usage.unwrap();
    assert_eq!((usage.tokens.all_input(), usage.tokens.all_output()), (7, 11));
    assert_eq!(usage.source, UsageSource::Reported);
    assert_eq!(record.end.outcome, Outcome::Success);
    assert_eq!(record.finish_reason.as_deref(), Some("stop"));
    assert!(record.attempts[0].first_token_ms.is_some());
}

#[tokio::test]
async fn a_stream_that_its_client_leaves_is_recorded_with_usage_and_cost() {
    let first = provider([ScriptedResponse::stream([openai::chunk(TEXT), Step::Hang])]).await;
    let gateway = TestGateway::start(&config(&[("first", &first)])).await;
    let mut stream = gateway.stream("both").await;
    read_events(&mut stream, 1).await;
    drop(stream);

    let record = gateway.record().await;
    assert_eq!((record.end.outcome, record.end.status), (Outcome::Canceled, None));
    let usage = record.usage.unwrap();
    assert_eq!(usage.source, UsageSource::Estimated);
    assert_eq!(usage.tokens.all_output(), TEXT.len() as u64 / 4);
    assert!(0 < usage.tokens.all_input());
    let cost = usage.tokens.all_input() + 1000 * usage.tokens.all_output();
    assert_eq!(record.cost, Some(MicroDollars(cost)));
    assert_eq!(record.attempts[0].outcome, Outcome::Canceled);
    assert!(first.cancelled().await);
}

#[tokio::test]
async fn a_stream_that_breaks_is_a_failure_of_its_attempt() {
    let first = provider([ScriptedResponse::stream([openai::chunk(TEXT), Step::Cut])]).await;
    let gateway = TestGateway::start(&config(&[("first", &first)])).await;
    let mut stream = gateway.stream("both").await;
    assert_eq!(read_events(&mut stream, 9).await, Some(ErrorKind::Network));
    drop(stream);

    let record = gateway.record().await;
    assert_eq!(record.end.outcome, Outcome::Failed("network"));
    assert_eq!(record.attempts[0].outcome, Outcome::Failed("network"));
    assert_eq!(record.usage.unwrap().source, UsageSource::Estimated);
}

#[tokio::test]
async fn an_overload_within_a_stream_begins_a_cooldown() {
    let broken = [openai::chunk(TEXT), openai::error_event("rate_limit_error", "slow down")];
    let first = provider([ScriptedResponse::stream(broken), openai::completion("first")]).await;
    let second = provider([openai::completion("second")]).await;
    let gateway = TestGateway::start(&config(&[("first", &first), ("second", &second)])).await;
    let mut stream = gateway.stream("both").await;
    assert_eq!(read_events(&mut stream, 9).await, Some(ErrorKind::RateLimited));
    drop(stream);
    assert_eq!(gateway.provider("both").await.unwrap(), "second");
}

#[tokio::test]
async fn a_stream_is_finished_once() {
    let steps = [openai::chunk(TEXT), openai::finish("stop"), openai::done()];
    let first = provider([ScriptedResponse::stream(steps)]).await;
    let gateway = TestGateway::start(&config(&[("first", &first)])).await;
    let mut stream = gateway.stream("both").await;
    read_events(&mut stream, 3).await;
    stream.finish();
    stream.finish();
    drop(stream);
    assert_eq!(gateway.record().await.end.outcome, Outcome::Success);
}

/// A stream that goes on.
async fn under_way() -> (TestGateway, Box<MeteredStream>) {
    let steps = [openai::role(), openai::chunk(TEXT), Step::Hang];
    let first = provider([ScriptedResponse::stream(steps)]).await;
    let gateway = TestGateway::start(&config(&[("first", &first)])).await;
    let mut stream = gateway.stream("both").await;
    read_events(&mut stream, 2).await;
    (gateway, stream)
}

#[tokio::test]
async fn a_stream_that_the_gateway_ends_is_no_fault_of_its_provider() {
    for kind in [ErrorKind::Timeout, ErrorKind::Unavailable] {
        let (gateway, mut stream) = under_way().await;
        stream.stopped(&Error::new(kind, "over"));
        drop(stream);
        let record = gateway.record().await;
        assert_eq!(record.end.outcome, Outcome::Failed(kind.code()));
        assert_eq!(record.attempts[0].outcome, Outcome::Canceled);
        assert!(record.usage.unwrap().tokens.all_output() > 0);
        let health = gateway.gateway.configuration.health().target("first", "gpt-4o-mini");
        assert_eq!((health.consecutive_failures, health.in_flight), (0, 0), "{kind:?}");
    }
}

#[tokio::test]
async fn a_continuation_that_cannot_be_joined_is_no_fault_of_its_provider() {
    let before = "Once upon a time there was a king who had three daughters, and ";
    let anew = "Once upon a time there was a queen who lived by the sea.";
    let begun =
        |text, rest: Step| ScriptedResponse::stream([openai::role(), openai::chunk(text), rest]);
    let (first, second) =
        (provider([begun(before, Step::Cut)]).await, provider([begun(anew, Step::Hang)]).await);
    let yaml = config(&[("first", &first), ("second", &second)]);
    let yaml = yaml.replace("name: both\n", "name: both\n    rescue: continue\n");
    let gateway = TestGateway::start(&yaml).await;
    let mut stream = gateway.stream("both").await;
    assert_eq!(read_events(&mut stream, 99).await, Some(ErrorKind::Network));
    drop(stream);
    let failures = |provider| {
        let health = gateway.gateway.configuration.health();
        health.target(provider, "gpt-4o-mini").consecutive_failures
    };
    assert_eq!((failures("first"), failures("second")), (1, 0));
    let record = gateway.record().await;
    let outcomes: Vec<Outcome> = record.attempts.iter().map(|it| it.outcome).collect();
    assert_eq!(outcomes, [Outcome::Failed("network"), Outcome::Canceled]);
}

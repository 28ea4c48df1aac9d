//! Cooldowns over time, and shared by instances.

use canonical::ErrorKind;
use storage::sqlite;
use testkit::{
    openai,
    provider::{FakeProvider, ScriptedResponse},
};

use super::support::{TestGateway, config, provider};

fn limited(seconds: u64) -> ScriptedResponse {
    openai::error(429, "x", "slow down").header("retry-after", &seconds.to_string())
}

/// Two gateways that share a memory, before a provider that is limited for 60 s and then works, and
/// another one that works.
async fn two_gateways() -> (TestGateway, TestGateway, FakeProvider, FakeProvider) {
    let first = provider([limited(60), openai::completion("Hi")]).await;
    let second = provider([openai::completion("Hi")]).await;
    let yaml = config(&[("first", &first), ("second", &second)]);
    let stores = sqlite::in_memory().unwrap();
    let one = TestGateway::sharing(&yaml, stores.clone()).await;
    let other = TestGateway::sharing(&yaml, stores).await;
    (one, other, first, second)
}

#[tokio::test]
async fn a_cooldown_ends_with_its_time() {
    let first = provider([limited(60), openai::completion("Hi")]).await;
    let second = provider([openai::completion("Hi")]).await;
    let gateway = TestGateway::start(&config(&[("first", &first), ("second", &second)])).await;
    assert_eq!(gateway.provider("both").await.unwrap(), "second");
    gateway.advance(59);
    assert_eq!(gateway.provider("both").await.unwrap(), "second");
    gateway.advance(1);
    assert_eq!(gateway.provider("both").await.unwrap(), "first");
}

#[tokio::test]
async fn a_wall_clock_that_is_set_back_prolongs_no_cooldown() {
    let first = provider([limited(20), openai::completion("Hi")]).await;
    let second = provider([openai::completion("Hi")]).await;
    let gateway = TestGateway::start(&config(&[("first", &first), ("second", &second)])).await;
    assert_eq!(gateway.provider("both").await.unwrap(), "second");
    gateway.gateway.drain().await;
    gateway.set_back(24 * 60 * 60);
    gateway.advance(10);
    assert_eq!(gateway.provider("both").await.unwrap(), "second");
    gateway.advance(10);
    assert_eq!(gateway.provider("both").await.unwrap(), "first");
}

#[tokio::test]
async fn another_instance_knows_a_cooldown_within_five_seconds() {
    let (one, other, first, _second) = two_gateways().await;
    assert_eq!(one.provider("both").await.unwrap(), "second");
    one.gateway.drain().await;
    one.advance(5);
    other.advance(5);
    assert_eq!(other.provider("both").await.unwrap(), "second");
    assert_eq!(first.requests().len(), 1);
}

#[tokio::test]
async fn what_is_known_is_not_read_again_while_it_is_fresh() {
    let (one, other, first, _second) = two_gateways().await;
    assert_eq!(one.provider("both").await.unwrap(), "second");
    one.gateway.drain().await;
    other.advance(4);
    assert_eq!(other.provider("both").await.unwrap(), "first");
    assert_eq!(first.requests().len(), 2);
}

#[tokio::test]
async fn a_success_that_ends_a_cooldown_is_published() {
    let (one, other, first, second) = two_gateways().await;
    assert_eq!(one.provider("both").await.unwrap(), "second");
    one.gateway.drain().await;
    other.advance(5);
    assert_eq!(other.provider("both").await.unwrap(), "second");

    // Everything cools down, so the first is asked although it does, and responds.
    second.respond_with([limited(600)]);
    one.advance(5);
    assert_eq!(one.provider("second/gpt-4o-mini").await.unwrap_err(), ErrorKind::RateLimited);
    assert_eq!(one.provider("both").await.unwrap(), "first");
    one.gateway.drain().await;
    other.advance(5);
    assert_eq!(other.provider("both").await.unwrap(), "first");
    assert_eq!(first.requests().len(), 3);
}

//! What a provider allows, as attempts meet it: what is remembered of refusals, and for whom.

use std::time::Duration;

use canonical::{ErrorKind, KeyFingerprint};
use config::{Provider, ProviderLimits};
use storage::{Stores, memory};

use super::{
    counting::CountingTable,
    support::{TestGateway, UNREACHABLE, read},
};
use crate::outbound_limits::Permit;

/// How long the calls of these tests may take.
const ALLOWED: Duration = Duration::from_secs(1_000);

/// A provider with these limits.
fn provider(limits: ProviderLimits) -> Provider {
    Provider { limits, ..read(UNREACHABLE).providers.remove(0) }
}

async fn acquire(
    gateway: &TestGateway,
    provider: &Provider,
    tokens: u64,
) -> Result<Option<Permit>, ErrorKind> {
    let outbound = &gateway.gateway.outbound;
    let of = (provider, KeyFingerprint::NONE);
    outbound.acquire(of, tokens, ALLOWED, gateway.clock()).await.map_err(|error| error.kind)
}

#[tokio::test]
async fn a_raised_limit_of_a_provider_counts_at_once() {
    let gateway = TestGateway::start(UNREACHABLE).await;
    let limited = |limit| {
        provider(ProviderLimits { requests_per_day: Some(limit), ..ProviderLimits::default() })
    };
    for refused in [false, false, true, true] {
        assert_eq!(acquire(&gateway, &limited(2), 0).await.is_err(), refused);
    }
    assert!(acquire(&gateway, &limited(4), 0).await.is_ok());
    assert!(acquire(&gateway, &limited(2), 0).await.is_err());
}

#[tokio::test]
async fn a_large_prompt_that_is_refused_stops_no_smaller_one() {
    let stores = memory::open();
    let table = CountingTable::new(stores.state);
    let stores = Stores { state: table.clone(), ..stores };
    let gateway = TestGateway::sharing(UNREACHABLE, stores).await;
    let limits = ProviderLimits { tokens_per_minute: Some(100), ..ProviderLimits::default() };
    let provider = provider(limits);
    assert!(acquire(&gateway, &provider, 40).await.is_ok());
    assert!(acquire(&gateway, &provider, 90).await.is_err());
    table.take();
    assert!(acquire(&gateway, &provider, 95).await.is_err());
    assert!(table.take().is_empty(), "a larger one costs no write");
    assert!(acquire(&gateway, &provider, 60).await.is_ok());
}

#[tokio::test]
async fn a_stream_keeps_its_place_at_a_provider_for_as_long_as_it_goes_on() {
    let gateway = TestGateway::start(UNREACHABLE).await;
    let limits = ProviderLimits { concurrent: Some(1), ..ProviderLimits::default() };
    let provider = provider(limits);
    let mut stream = acquire(&gateway, &provider, 0).await.unwrap().unwrap();
    for _ in 0..4 {
        gateway.advance(900);
        assert!(acquire(&gateway, &provider, 0).await.is_err(), "a place was held twice");
        stream.renew(gateway.clock());
        gateway.gateway.drain().await;
    }
    // One whose instance died.
    std::mem::forget(stream);
    gateway.advance(1_001);
    assert!(acquire(&gateway, &provider, 0).await.is_ok());
}

#[tokio::test]
async fn a_clock_that_is_set_back_prolongs_no_refusal_by_a_provider() {
    let gateway = TestGateway::start(UNREACHABLE).await;
    let limits = ProviderLimits { requests_per_minute: Some(1), ..ProviderLimits::default() };
    let provider = provider(limits);
    assert!(acquire(&gateway, &provider, 0).await.is_ok());
    assert!(acquire(&gateway, &provider, 0).await.is_err());
    gateway.set_back(3_600);
    assert!(acquire(&gateway, &provider, 0).await.is_ok());
}

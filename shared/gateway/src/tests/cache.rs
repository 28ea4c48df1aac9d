//! The response cache: what is given again, to whom, in which form, and what never is.

use std::sync::Arc;

use bytes::Bytes;
use canonical::{ErrorKind, MicroDollars, ResponseBody};
use formats::{Inbound, anthropic::messages::Anthropic, openai::chat::OpenAiChat};
use storage::{Stores, memory};
use telemetry::CacheOutcome;
use tenants::Tenant;
use testkit::{
    openai,
    provider::{FakeProvider, ScriptedResponse, Step},
};

use super::{
    counting::CountingTable,
    limits::tenant,
    support::{TestGateway, config, provider},
};
use crate::{CacheDirectives, CacheMode, Call, CallHints, ClientResponse, ClientResponseBody};

const CACHED: &str = "cache: { enabled: true, ttl: 5m }\n";

async fn gateway(first: &FakeProvider) -> TestGateway {
    TestGateway::start(&format!("{}{CACHED}", config(&[("first", first)]))).await
}

/// A deterministic request.
fn body(stream: bool) -> String {
    format!(
        r#"{{"model":"both","temperature":0,"max_tokens":50,"stream":{stream},"messages":[{{"role":"user","content":"Hello"}}]}}"#
    )
}

async fn call(gateway: &TestGateway, tenant: &Arc<Tenant>, stream: bool) -> Call {
    let request = OpenAiChat.decode(Bytes::from(body(stream))).unwrap();
    Call { request: Arc::new(request), ..gateway.call_of(tenant, "both", stream).await }
}

/// Makes a call to its end, and waits for the work behind it.
async fn finished(gateway: &TestGateway, call: Call) -> (CacheOutcome, String) {
    let ClientResponse { cache, body, .. } = gateway.answer(call).await.unwrap();
    let text = match body {
        ClientResponseBody::Whole(response, _) => format!("{:?}", response.body),
        ClientResponseBody::Stream(mut stream) => {
            let mut text = String::new();
            while let Some(events) = std::future::poll_fn(|cx| stream.poll_next(cx)).await {
                text.push_str(&format!("{:?}", events.unwrap()));
            }
            stream.finish();
            text
        }
    };
    gateway.gateway.drain().await;
    (cache, text)
}

#[tokio::test]
async fn a_response_made_under_other_settings_is_not_given() {
    let first = provider([openai::completion("Hi"), openai::completion("Hi")]).await;
    let gateway = gateway(&first).await;
    let unchanged = tenant(|_| {});
    let kind = tenant(|it| it.requests.system_prompt = Some("Be kind.".to_owned()));
    for (tenant, outcome) in [
        (&unchanged, CacheOutcome::Miss),
        (&kind, CacheOutcome::Miss),
        (&unchanged, CacheOutcome::Hit),
        (&kind, CacheOutcome::Hit),
    ] {
        assert_eq!(finished(&gateway, call(&gateway, tenant, false).await).await.0, outcome);
    }
    assert_eq!(first.requests().len(), 2);
}

#[tokio::test]
async fn the_same_request_gets_the_same_response_for_nothing() {
    let first = provider([openai::completion("Hi")]).await;
    let gateway = gateway(&first).await;
    let tenant = tenant(|it| it.budget.amount = Some(MicroDollars(900_000_000)));
    let (outcome, text) = finished(&gateway, call(&gateway, &tenant, false).await).await;
    assert_eq!(outcome, CacheOutcome::Miss);
    gateway.advance(7);
    let response = gateway.answer(call(&gateway, &tenant, false).await).await.unwrap();
    assert_eq!((response.cache, response.age, response.attempts), (CacheOutcome::Hit, Some(7), 0));
    let ClientResponseBody::Whole(response, summary) = response.body else { panic!("a stream") };
    assert_eq!(format!("{:?}", response.body), text);
    assert!(summary.cache_hit);
    assert_eq!((summary.cost, summary.saved), (Some(MicroDollars(0)), Some(MicroDollars(12_009))));
    assert_eq!(first.requests().len(), 1);
    let records = gateway.records().await;
    assert_eq!(records[1].cache, Some(CacheOutcome::Hit));
    assert_eq!((records[1].cost, records[1].usage), (Some(MicroDollars(0)), None));
}

#[tokio::test]
async fn a_response_is_given_whole_or_streamed_whatever_it_was() {
    for streamed_first in [true, false] {
        let first = FakeProvider::start().await;
        first.respond_with([if streamed_first {
            openai::stream(["Hel", "lo"])
        } else {
            openai::completion("Hello")
        }]);
        let gateway = gateway(&first).await;
        let tenant = tenant(|_| {});
        finished(&gateway, call(&gateway, &tenant, streamed_first).await).await;
        let (outcome, text) =
            finished(&gateway, call(&gateway, &tenant, !streamed_first).await).await;
        assert_eq!(outcome, CacheOutcome::Hit);
        assert!(text.contains("Hello"), "{text}");
        let (outcome, text) =
            finished(&gateway, call(&gateway, &tenant, streamed_first).await).await;
        assert_eq!(outcome, CacheOutcome::Hit);
        assert!(text.contains("Hel"), "{text}");
        assert_eq!(first.requests().len(), 1);
    }
}

#[tokio::test]
async fn a_client_of_another_format_gets_it_too() {
    let first = provider([openai::completion("Hello")]).await;
    let gateway = gateway(&first).await;
    let tenant = tenant(|_| {});
    finished(&gateway, call(&gateway, &tenant, false).await).await;
    let request = Anthropic.decode(Bytes::from(body(false))).unwrap();
    let call = Call { request: Arc::new(request), ..gateway.call_of(&tenant, "both", false).await };
    let response = gateway.answer(call).await.unwrap();
    assert_eq!(response.cache, CacheOutcome::Hit);
    let ClientResponseBody::Whole(response, _) = response.body else { panic!("a stream") };
    assert!(matches!(response.body, ResponseBody::Chat(_)));
}

#[tokio::test]
async fn nobody_gets_the_response_of_another_tenant() {
    let first = provider([openai::completion("Hi")]).await;
    let gateway = gateway(&first).await;
    let (one, mut other) = (tenant(|_| {}), Tenant::unlimited());
    other.id = "other".to_owned();
    finished(&gateway, call(&gateway, &one, false).await).await;
    let (outcome, _) = finished(&gateway, call(&gateway, &Arc::new(other), false).await).await;
    assert_eq!((outcome, first.requests().len()), (CacheOutcome::Miss, 2));
}

#[tokio::test]
async fn a_response_is_given_to_calls_that_conditions_send_the_same_way() {
    let first = provider([openai::completion("Hi")]).await;
    let second = provider([openai::completion("Hi"), openai::stream(["Hi"])]).await;
    let step = |name: &str, when: &str| {
        format!("      - {{ provider: {name}, model: gpt-4o-mini, when: {{ {when} }} }}\n")
    };
    let providers = config(&[("first", &first), ("second", &second)]);
    let route = |name: &str, when: [&str; 2]| {
        let steps = step("first", when[0]) + &step("second", when[1]);
        format!("  - name: {name}\n    steps:\n{steps}")
    };
    let routes = route("tiers", ["header: { x-tier: low }", "header: { x-tier: high }"])
        + &route("forms", ["stream: false", "stream: true"]);
    let yaml = providers.replace("routes:\n", &format!("routes:\n{routes}")) + CACHED;
    let gateway = TestGateway::start(&yaml).await;
    let tenant = tenant(|_| {});
    let call = async |route: &str, tier: &str, stream: bool| {
        let body = body(stream).replace("both", route);
        let request = OpenAiChat.decode(Bytes::from(body)).unwrap();
        let call = call(&gateway, &tenant, stream).await;
        let headers = vec![("x-tier".to_owned(), tier.to_owned())];
        Call { request: Arc::new(request), hints: CallHints { headers, ..call.hints }, ..call }
    };
    for (tier, outcome) in [
        ("low", CacheOutcome::Miss),
        ("high", CacheOutcome::Miss),
        ("low", CacheOutcome::Hit),
        ("high", CacheOutcome::Hit),
    ] {
        let response = gateway.answer(call("tiers", tier, false).await).await.unwrap();
        let provider = if tier == "low" { "first" } else { "second" };
        assert_eq!((response.cache, response.provider.as_str()), (outcome, provider));
        gateway.gateway.drain().await;
    }
    for (stream, outcome) in
        [(false, CacheOutcome::Miss), (true, CacheOutcome::Miss), (true, CacheOutcome::Hit)]
    {
        let call = call("forms", "", stream).await;
        assert_eq!(finished(&gateway, call).await.0, outcome, "{stream}");
    }
    // Where no condition asks for it, a header makes no difference.
    for (tier, outcome) in [("low", CacheOutcome::Miss), ("high", CacheOutcome::Hit)] {
        let call = call("both", tier, false).await;
        assert_eq!(finished(&gateway, call).await.0, outcome);
    }
}

#[tokio::test]
async fn what_was_dropped_is_named_again_and_no_response_for_a_strict_call() {
    let first = provider([openai::completion("Hi")]).await;
    let gateway = gateway(&first).await;
    let tenant = tenant(|_| {});
    let call = async |strict: bool, key: Option<&str>| {
        let body = body(false).replace("\"stream\"", "\"top_k\":7,\"stream\"");
        let request = Arc::new(Anthropic.decode(Bytes::from(body)).unwrap());
        let idempotency_key = key.map(str::to_owned);
        let call = gateway.call_of(&tenant, "both", false).await;
        Call { request, strict, idempotency_key, ..call }
    };
    for key in [None, Some("key-1")] {
        for outcome in [CacheOutcome::Miss, CacheOutcome::Hit] {
            let response = gateway.answer(call(false, key).await).await.unwrap();
            // The request under a key was made before, without one.
            let outcome = if key.is_some() { CacheOutcome::Hit } else { outcome };
            assert_eq!((response.cache, response.dropped.join(" ")), (outcome, "top_k".to_owned()));
            let records = gateway.records().await;
            assert_eq!(records.last().unwrap().dropped, ["top_k"]);
        }
    }
    let strict = gateway.answer(call(true, None).await).await.unwrap_err();
    assert_eq!(strict.status(), 400);
    assert_eq!(first.requests().len(), 1);
}

#[tokio::test]
async fn a_response_is_no_longer_given_after_its_time() {
    let first = provider([openai::completion("Hi")]).await;
    let gateway = gateway(&first).await;
    let tenant = tenant(|_| {});
    finished(&gateway, call(&gateway, &tenant, false).await).await;
    gateway.advance(301);
    let (outcome, _) = finished(&gateway, call(&gateway, &tenant, false).await).await;
    assert_eq!((outcome, first.requests().len()), (CacheOutcome::Miss, 2));
}

#[tokio::test]
async fn the_client_decides_within_what_is_allowed() {
    let first = provider([openai::completion("Hi")]).await;
    let gateway = gateway(&first).await;
    let tenant = tenant(|_| {});
    let with = |call: Call, mode| Call { cache: CacheDirectives { mode, max_age: None }, ..call };

    let missing = with(call(&gateway, &tenant, false).await, CacheMode::OnlyIfCached);
    let error = gateway.answer(missing).await.unwrap_err();
    assert_eq!((error.kind, error.status()), (ErrorKind::Timeout, 504));
    let skipped = with(call(&gateway, &tenant, false).await, CacheMode::NoStore);
    assert_eq!(finished(&gateway, skipped).await.0, CacheOutcome::Bypass);
    let plain_call = call(&gateway, &tenant, false).await;
    assert_eq!(finished(&gateway, plain_call).await.0, CacheOutcome::Miss);
    let renewed = with(call(&gateway, &tenant, false).await, CacheMode::Refresh);
    assert_eq!(finished(&gateway, renewed).await.0, CacheOutcome::Miss);
    let found = with(call(&gateway, &tenant, false).await, CacheMode::OnlyIfCached);
    assert_eq!(finished(&gateway, found).await.0, CacheOutcome::Hit);
    assert_eq!(first.requests().len(), 3);

    // A request that is not deterministic is kept only where its client wants that.
    let random = gateway.call_of(&tenant, "both", false).await;
    assert_eq!(finished(&gateway, random).await.0, CacheOutcome::Bypass);
    for wanted in [CacheOutcome::Miss, CacheOutcome::Hit] {
        let always = with(gateway.call_of(&tenant, "both", false).await, CacheMode::Always);
        assert_eq!(finished(&gateway, always).await.0, wanted);
    }
}

#[tokio::test]
async fn what_was_cut_or_filtered_is_never_kept() {
    let filtered = ScriptedResponse::stream([
        openai::role(),
        openai::chunk("Hi"),
        openai::finish("content_filter"),
        openai::done(),
    ]);
    let cut = ScriptedResponse::stream([openai::role(), openai::chunk("Hi"), Step::Cut]);
    for answer in [filtered, cut] {
        let first = provider([answer]).await;
        let gateway = gateway(&first).await;
        let tenant = tenant(|_| {});
        for _ in 0..2 {
            let mut stream = gateway.stream_of(call(&gateway, &tenant, true).await).await;
            while let Some(Ok(_)) = std::future::poll_fn(|cx| stream.poll_next(cx)).await {}
            stream.finish();
            drop(stream);
            gateway.gateway.drain().await;
        }
        assert_eq!(first.requests().len(), 2);
    }
}

#[tokio::test]
async fn a_tenants_own_setting_comes_before_the_gateways() {
    let first = provider([openai::completion("Hi")]).await;
    let gateway = gateway(&first).await;
    let off = tenant(|it| it.cache = Some(tenants::CacheSettings { enabled: false, ttl: None }));
    let (outcome, _) = finished(&gateway, call(&gateway, &off, false).await).await;
    assert_eq!(outcome, CacheOutcome::Bypass);
    let short =
        tenant(|it| it.cache = Some(tenants::CacheSettings { enabled: true, ttl: Some(5) }));
    finished(&gateway, call(&gateway, &short, false).await).await;
    gateway.advance(6);
    let (outcome, _) = finished(&gateway, call(&gateway, &short, false).await).await;
    assert_eq!(outcome, CacheOutcome::Miss);
}

#[tokio::test]
async fn a_hit_reads_once_and_counts_as_a_request() {
    let first = provider([openai::completion("Hi")]).await;
    let stores = memory::open();
    let state = CountingTable::new(stores.state);
    let stores = Stores { state: state.clone(), ..stores };
    let yaml = format!("{}{CACHED}", config(&[("first", &first)]));
    let gateway = TestGateway::sharing(&yaml, stores).await;
    let free = tenant(|_| {});
    finished(&gateway, call(&gateway, &free, false).await).await;
    let seen = state.take();
    assert!(
        seen.len() == 2 && seen[0].starts_with("get cache#") && seen[1].starts_with("put cache#")
    );
    finished(&gateway, call(&gateway, &free, false).await).await;
    let seen = state.take();
    assert!(seen.len() == 1 && seen[0].starts_with("get cache#search#"), "{seen:?}");

    let limited = tenant(|it| {
        it.limits.requests_per_minute = Some(1);
        it.budget.amount = Some(MicroDollars(900_000_000));
    });
    finished(&gateway, call(&gateway, &limited, false).await).await;
    assert_eq!(state.take()[1..], ["tally tenant#search"]);
    let refused = gateway.answer(call(&gateway, &limited, false).await).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::RateLimited);
}

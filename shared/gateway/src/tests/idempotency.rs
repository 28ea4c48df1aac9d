//! Idempotency keys: one request, however often it is sent.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use canonical::{ErrorKind, MicroDollars, Outcome};
use formats::{Inbound, anthropic::messages::Anthropic};
use telemetry::CacheOutcome;
use testkit::{
    openai,
    provider::{FakeProvider, Latch, ScriptedResponse, Step},
};

use super::{
    limits::tenant,
    support::{TestGateway, config, provider, read_events},
};
use crate::{Call, ClientResponseBody, cache::MAX_KEPT_BYTES};

/// A whole response.
const WHOLE: &str = r#"{"id":"1","object":"chat.completion","created":1,"model":"gpt-4o-mini",
    "choices":[{"index":0,"message":{"role":"assistant","content":"Hello"},"finish_reason":"stop"}],
    "usage":{"prompt_tokens":9,"completion_tokens":12,"total_tokens":21}}"#;

async fn gateway(first: &FakeProvider) -> TestGateway {
    TestGateway::start(&config(&[("first", first)])).await
}

/// A call under an idempotency key.
async fn keyed(gateway: &TestGateway, model: &str, stream: bool) -> Call {
    let tenant = tenant(|_| {});
    let call = gateway.call_of(&tenant, model, stream).await;
    Call { idempotency_key: Some("key-1".to_owned()), ..call }
}

#[tokio::test]
async fn a_repeated_request_gets_the_first_response() {
    let first = provider([openai::completion("Hi")]).await;
    let gateway = gateway(&first).await;
    let response = gateway.answer(keyed(&gateway, "both", false).await).await.unwrap();
    assert_eq!(response.cache, CacheOutcome::Bypass);
    gateway.gateway.drain().await;
    let response = gateway.answer(keyed(&gateway, "both", false).await).await.unwrap();
    assert_eq!((response.cache, first.requests().len()), (CacheOutcome::Hit, 1));
    // Another form of the same request is the same request.
    let mut stream = gateway.stream_of(keyed(&gateway, "both", true).await).await;
    assert_eq!(read_events(&mut stream, usize::MAX).await, None);
    assert_eq!(first.requests().len(), 1);
}

#[tokio::test]
async fn a_request_is_the_same_after_an_operator_has_changed_its_tenant() {
    for (stream, cached) in [(false, ""), (true, ""), (false, "cache: { enabled: true }\n")] {
        let first = provider([openai::completion("Hi"), openai::completion("Hi")]).await;
        let yaml = format!("{}{cached}", config(&[("first", &first)]));
        let gateway = TestGateway::start(&yaml).await;
        gateway.answer(keyed(&gateway, "both", false).await).await.unwrap();
        gateway.gateway.drain().await;
        let changed = tenant(|it| {
            it.requests.system_prompt = Some("Be kind.".to_owned());
            it.requests.max_output_tokens = Some(77);
        });
        let call = Call { tenant: changed.clone(), ..keyed(&gateway, "both", stream).await };
        let response = gateway.answer(call).await.unwrap();
        assert_eq!((response.cache, first.requests().len()), (CacheOutcome::Hit, 1));
        // Without the key it is another request, which is made under the settings of now.
        gateway.answer(gateway.call_of(&changed, "both", false).await).await.unwrap();
        assert_eq!(first.requests()[1].json()["messages"][0]["content"], "Be kind.");
    }
}

#[tokio::test]
async fn while_the_first_runs_others_have_to_wait() {
    let latch = Latch::new();
    let steps = [openai::role(), openai::chunk("Hi"), Step::Latch(latch.clone())];
    let end = [openai::finish("stop"), openai::done()];
    let first = provider([ScriptedResponse::stream(steps.into_iter().chain(end))]).await;
    let gateway = gateway(&first).await;
    let mut running = gateway.stream_of(keyed(&gateway, "both", true).await).await;
    let refused = gateway.answer(keyed(&gateway, "both", true).await).await.unwrap_err();
    assert_eq!((refused.kind, refused.status()), (ErrorKind::Conflict, 409));
    assert_eq!(refused.retry_after.unwrap().as_secs(), 2);
    let other = gateway.answer(keyed(&gateway, "first/other", true).await).await.unwrap_err();
    assert_eq!((other.kind, other.status()), (ErrorKind::KeyReused, 422));
    latch.open();
    assert_eq!(read_events(&mut running, usize::MAX).await, None);
}

#[tokio::test]
async fn no_key_is_taken_over_while_its_stream_goes_on() {
    for setting in ["route_timeout: 3s\n", "route_timeout: 3s\nidempotency: { ttl: 5s }\n"] {
        let latch = Latch::new();
        let steps = [openai::role(), openai::chunk("Hi"), Step::Latch(latch.clone())];
        let end = [openai::finish("stop"), openai::done()];
        let first = provider([ScriptedResponse::stream(steps.into_iter().chain(end))]).await;
        let yaml = format!("{}{setting}", config(&[("first", &first)]));
        let gateway = TestGateway::start(&yaml).await;
        let mut running = gateway.stream_of(keyed(&gateway, "both", true).await).await;
        read_events(&mut running, 2).await;
        gateway.gateway.drain().await;
        gateway.advance(36);
        let refused = gateway.answer(keyed(&gateway, "both", true).await).await.unwrap_err();
        assert_eq!((refused.kind, first.requests().len()), (ErrorKind::Conflict, 1));
        latch.open();
        assert_eq!(read_events(&mut running, usize::MAX).await, None);
    }
}

#[tokio::test]
async fn a_stream_whose_client_left_is_there_when_it_comes_back() {
    let latch = Latch::new();
    let steps = [openai::role(), openai::chunk("Hel"), Step::Latch(latch.clone())];
    let end = [openai::chunk("lo"), openai::finish("stop"), openai::usage(9, 12), openai::done()];
    let first = provider([ScriptedResponse::stream(steps.into_iter().chain(end))]).await;
    let gateway = gateway(&first).await;
    let mut stream = gateway.stream_of(keyed(&gateway, "both", true).await).await;
    read_events(&mut stream, 2).await;
    drop(stream);
    latch.open();
    gateway.gateway.drain().await;
    gateway.gateway.drain().await;
    let mut again = gateway.stream_of(keyed(&gateway, "both", true).await).await;
    let mut text = String::new();
    while let Some(events) = std::future::poll_fn(|cx| again.poll_next(cx)).await {
        text.push_str(&format!("{:?}", events.unwrap()));
    }
    assert!(text.contains("Hel") && text.contains("lo"), "{text}");
    assert_eq!(first.requests().len(), 1);
}

#[tokio::test]
async fn a_call_whose_client_leaves_before_the_response_is_made_and_paid_once() {
    for stream in [false, true] {
        let latch = Latch::new();
        let held = Step::Latch(latch.clone());
        let answer = match stream {
            true => ScriptedResponse::stream([
                held,
                openai::chunk("Hello"),
                openai::finish("stop"),
                openai::usage(9, 12),
                openai::done(),
            ]),
            false => ScriptedResponse::stream([held, Step::text(WHOLE)])
                .header("content-type", "application/json"),
        };
        let first = provider([answer]).await;
        let gateway = gateway(&first).await;
        let leaves = gateway.answer(keyed(&gateway, "both", stream).await);
        let is_called = async {
            while first.requests().is_empty() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::select! {
            _ = leaves => panic!("nothing was waited for"),
            () = is_called => {}
        }
        let refused = gateway.answer(keyed(&gateway, "both", stream).await).await.unwrap_err();
        assert_eq!((refused.kind, refused.retry_after.is_some()), (ErrorKind::Conflict, true));

        latch.open();
        let records = gateway.records().await;
        let made = records.iter().find(|it| it.end.outcome == Outcome::Success);
        assert_eq!(made.map(|it| it.cost), Some(Some(MicroDollars(12_009))));
        let again = gateway.answer(keyed(&gateway, "both", stream).await).await.unwrap();
        assert_eq!((again.cache, first.requests().len()), (CacheOutcome::Hit, 1));
    }
}

#[tokio::test]
async fn a_strict_call_gets_no_response_that_something_was_dropped_for() {
    let first = provider([openai::completion("Hi")]).await;
    let gateway = gateway(&first).await;
    let call = async |strict: bool, key: &str, more: &str| {
        let body = format!(
            r#"{{"model":"both","max_tokens":9,{more}"messages":[{{"role":"user","content":"Hi"}}]}}"#
        );
        let request = Arc::new(Anthropic.decode(Bytes::from(body)).unwrap());
        let idempotency_key = Some(key.to_owned());
        Call { request, strict, idempotency_key, ..keyed(&gateway, "both", false).await }
    };
    for (key, more, dropped) in [("one", "", 0), ("two", "\"top_k\":7,", 1)] {
        for _ in 0..2 {
            let response = gateway.answer(call(false, key, more).await).await.unwrap();
            assert_eq!(response.dropped.len(), dropped);
            gateway.gateway.drain().await;
        }
    }
    assert_eq!(first.requests().len(), 2);
    assert!(gateway.answer(call(true, "one", "").await).await.is_ok());
    let refused = gateway.answer(call(true, "two", "\"top_k\":7,").await).await.unwrap_err();
    assert_eq!((refused.kind, refused.status()), (ErrorKind::KeyReused, 422));
    assert_eq!(first.requests().len(), 2);
}

#[tokio::test]
async fn a_request_that_failed_may_be_sent_again() {
    let first =
        provider([openai::error(400, "invalid_request_error", "no"), openai::completion("Hi")])
            .await;
    let gateway = gateway(&first).await;
    gateway.answer(keyed(&gateway, "both", false).await).await.unwrap_err();
    gateway.gateway.drain().await;
    gateway.answer(keyed(&gateway, "both", false).await).await.unwrap();
    assert_eq!(first.requests().len(), 2);
}

#[tokio::test]
async fn what_is_too_large_to_be_given_again_is_not_made_again() {
    let large = "x".repeat(MAX_KEPT_BYTES);
    for stream in [false, true] {
        let answer = match stream {
            true => openai::stream([large.as_str()]),
            false => openai::completion(&large),
        };
        let first = provider([answer]).await;
        let gateway = gateway(&first).await;
        let response = gateway.answer(keyed(&gateway, "both", stream).await).await.unwrap();
        if let ClientResponseBody::Stream(mut stream) = response.body {
            assert_eq!(read_events(&mut stream, usize::MAX).await, None);
            stream.finish();
        }
        gateway.gateway.drain().await;
        for _ in 0..2 {
            let refused = gateway.answer(keyed(&gateway, "both", stream).await).await.unwrap_err();
            assert_eq!((refused.status(), refused.retry_after), (409, None));
            assert!(refused.to_string().contains("made and paid"), "{refused}");
        }
        gateway.advance(24 * 60 * 60 + 1);
        gateway.answer(keyed(&gateway, "both", stream).await).await.unwrap();
        assert_eq!(first.requests().len(), 2);
    }
}

#[tokio::test]
async fn a_key_is_free_again_after_its_time() {
    let first = provider([openai::completion("Hi")]).await;
    let gateway = gateway(&first).await;
    gateway.answer(keyed(&gateway, "both", false).await).await.unwrap();
    gateway.gateway.drain().await;
    gateway.advance(24 * 60 * 60 + 1);
    gateway.answer(keyed(&gateway, "both", false).await).await.unwrap();
    assert_eq!(first.requests().len(), 2);
}

#[tokio::test]
async fn keys_are_not_heard_where_they_are_switched_off() {
    let first = provider([openai::completion("Hi")]).await;
    let yaml = format!("{}idempotency: {{ ttl: 0s }}\n", config(&[("first", &first)]));
    let gateway = TestGateway::start(&yaml).await;
    for _ in 0..2 {
        gateway.answer(keyed(&gateway, "both", false).await).await.unwrap();
        gateway.gateway.drain().await;
    }
    assert_eq!(first.requests().len(), 2);
}

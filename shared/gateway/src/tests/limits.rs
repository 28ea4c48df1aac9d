//! How many writes a limited call makes, and what is refused without any.

use std::sync::Arc;

use canonical::ErrorKind;
use storage::{Stores, memory};
use tenants::{Tenant, TenantSettings};
use testkit::{openai, provider::ScriptedResponse};

use super::{
    counting::CountingTable,
    support::{TestGateway, config, provider},
};

/// A tenant with these settings.
pub(crate) fn tenant(change: impl FnOnce(&mut TenantSettings)) -> Arc<Tenant> {
    let mut settings = TenantSettings::named("search");
    change(&mut settings);
    Arc::new(Tenant::declared(settings))
}

async fn counted(answer: ScriptedResponse) -> (TestGateway, Arc<CountingTable>) {
    let first = Box::leak(Box::new(provider([answer]).await));
    let stores = memory::open();
    let state = CountingTable::new(stores.state);
    let stores = Stores { state: state.clone(), ..stores };
    (TestGateway::sharing(&config(&[("first", first)]), stores).await, state)
}

/// What a whole call of a tenant asks of the store: before its answer, and behind it.
async fn store_calls(tenant: &Arc<Tenant>) -> (Vec<String>, Vec<String>) {
    let (gateway, table) = counted(openai::completion("Hi")).await;
    table.take();
    gateway.answer(gateway.call_of(tenant, "both", false).await).await.unwrap();
    let before = table.take();
    gateway.records().await;
    (before, table.take())
}

#[tokio::test]
async fn a_call_without_limits_writes_nothing() {
    assert_eq!(store_calls(&tenant(|_| {})).await, (vec![], vec![]));
}

#[tokio::test]
async fn a_call_with_limits_of_requests_writes_once() {
    let tenant = tenant(|it| {
        it.limits.requests_per_minute = Some(5);
        it.limits.requests_per_day = Some(50);
    });
    let (before, behind) = store_calls(&tenant).await;
    assert_eq!((before.as_slice(), behind.len()), (&["tally tenant#search".to_owned()][..], 0));
}

#[tokio::test]
async fn a_call_that_holds_something_writes_once_before_its_answer_and_once_behind_it() {
    for tenant in [
        tenant(|it| it.limits.max_concurrent = Some(5)),
        tenant(|it| it.limits.daily_output_tokens = Some(5_000_000)),
        tenant(|it| it.budget.amount = Some(canonical::MicroDollars(900_000_000))),
    ] {
        let (before, behind) = store_calls(&tenant).await;
        assert_eq!(before, ["tally tenant#search"]);
        assert_eq!(behind, ["tally tenant#search"]);
    }
}

#[tokio::test]
async fn a_client_that_waits_for_each_answer_has_one_call_at_a_time() {
    let (gateway, _) = counted(openai::completion("Hi")).await;
    let tenant = tenant(|it| it.limits.max_concurrent = Some(1));
    for _ in 0..20 {
        gateway.answer(gateway.call_of(&tenant, "both", false).await).await.unwrap();
    }
}

#[tokio::test]
async fn a_call_too_many_at_a_time_has_to_wait() {
    let (gateway, _) = counted(ScriptedResponse::stream([
        openai::role(),
        openai::chunk("Hi"),
        testkit::provider::Step::Hang,
    ]))
    .await;
    let tenant = tenant(|it| it.limits.max_concurrent = Some(1));
    let running = gateway.stream_of(gateway.call_of(&tenant, "both", true).await).await;
    let refused = gateway.answer(gateway.call_of(&tenant, "both", false).await).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::RateLimited);
    assert!((1..=10).contains(&refused.retry_after.unwrap().as_secs()));
    let limit = refused.limit.clone().unwrap();
    assert_eq!((limit.source, limit.should_retry), ("max_concurrent", true));
    drop(running);
    gateway.records().await;
    let call = gateway.call_of(&tenant, "both", false).await;
    gateway.gateway.admit_call(call, &mut crate::CallLimits::default()).await.unwrap();
}

/// A store that cannot be reached.
#[derive(Debug)]
struct Unreachable;

impl storage::Table for Unreachable {
    fn get<'a>(
        &'a self,
        _: &'a str,
        _: &'a str,
        _: storage::Consistency,
        _: u64,
    ) -> storage::Pending<'a, Option<storage::Row>> {
        failing()
    }

    fn query<'a>(&'a self, _: &'a storage::Query) -> storage::Pending<'a, storage::Page> {
        failing()
    }

    fn get_tallies<'a>(
        &'a self,
        _: &'a str,
        _: &'a str,
        _: storage::Consistency,
        _: u64,
    ) -> storage::Pending<'a, Option<storage::Tallies>> {
        failing()
    }

    fn tally<'a>(&'a self, _: &'a storage::Tally) -> storage::Pending<'a, storage::Tallied> {
        failing()
    }

    fn write<'a>(&'a self, _: &'a [storage::Change]) -> storage::Pending<'a, ()> {
        failing()
    }
}

fn failing<'a, T>() -> storage::Pending<'a, T> {
    Box::pin(async { Err(storage::StoreError::new("asking", "nobody is there")) })
}

/// Whether calls of a tenant pass while the store is down, under this configuration.
async fn passes(rest: &str, tenant: &Arc<Tenant>) -> Result<(), (u16, bool)> {
    let first = provider([openai::completion("Hi")]).await;
    let yaml = format!("{}{rest}", config(&[("first", &first)]));
    let stores = Stores { state: Arc::new(Unreachable), ..memory::open() };
    let gateway = TestGateway::sharing(&yaml, stores).await;
    let answer = gateway.answer(gateway.call_of(tenant, "both", false).await).await;
    answer.map(drop).map_err(|error| (error.status(), error.retry_after.is_some()))
}

#[tokio::test]
async fn while_the_store_is_down_limits_are_open_and_budgets_closed_unless_configured_otherwise() {
    let limited = tenant(|it| it.limits.requests_per_minute = Some(1));
    let budgeted = tenant(|it| it.budget.amount = Some(canonical::MicroDollars(900_000_000)));
    assert_eq!(passes("", &limited).await, Ok(()));
    assert_eq!(passes("", &budgeted).await, Err((503, true)));
    let reversed = "store_down: { rate_limits: closed, budgets: open }\n";
    assert_eq!(passes(reversed, &limited).await, Err((503, true)));
    assert_eq!(passes(reversed, &budgeted).await, Ok(()));
}

#[tokio::test]
async fn a_request_that_costs_nothing_follows_the_configuration_from_the_first_on() {
    let limited = tenant(|it| it.limits.requests_per_minute = Some(1));
    for (rest, status) in [("", None), ("store_down: { rate_limits: closed }\n", Some(503))] {
        let first = provider([]).await;
        let yaml = format!("{}{rest}", config(&[("first", &first)]));
        let stores = Stores { state: Arc::new(Unreachable), ..memory::open() };
        let gateway = TestGateway::sharing(&yaml, stores).await;
        let call = gateway.call_of(&limited, "both", false).await;
        let mut standing = crate::CallLimits::default();
        let counted =
            gateway.gateway.count_request(&limited, &call.snapshot, call.clock, &mut standing);
        assert_eq!(counted.await.err().map(|error| error.status()), status, "{rest}");
    }
}

#[tokio::test]
async fn a_call_without_a_price_passes_where_the_configuration_allows_it() {
    let first = provider([openai::completion("Hi")]).await;
    let yaml = format!("{}unpriced: allow\n", config(&[("first", &first)]));
    let gateway = TestGateway::start(&yaml).await;
    let budgeted = tenant(|it| it.budget.amount = Some(canonical::MicroDollars(1)));
    gateway.answer(gateway.call_of(&budgeted, "first/unknown", false).await).await.unwrap();
}

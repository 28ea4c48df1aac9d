//! Money: what a call holds, what it is charged on each way out, and what it is refused for.

use std::sync::Arc;

use bytes::Bytes;
use canonical::{ErrorKind, MicroDollars, Outcome};
use formats::{
    Inbound,
    openai::{chat::OpenAiChat, completions::OpenAiCompletions, responses::OpenAiCompact},
};
use storage::{Stores, memory};
use tenants::{BudgetUsage, Tenant, Unpriced};
use testkit::{
    openai,
    provider::{FakeProvider, ScriptedResponse, Step},
};

use super::{
    counting::CountingTable,
    limits::tenant,
    support::{TestGateway, config, provider, read_events},
};
use crate::{Call, CallLimits, ClientResponseBody, call_plan::resolve, demand::demand};

/// A tenant that may spend this many micro-dollars in a month.
fn budgeted(amount: u64) -> Arc<Tenant> {
    tenant(|it| it.budget.amount = Some(MicroDollars(amount)))
}

/// Enough for any call: 1 micro-dollar for an input token, 1,000 for one of output.
const AMPLE: u64 = 900_000_000;

async fn usage(gateway: &TestGateway, tenant: &Tenant) -> BudgetUsage {
    gateway.gateway.drain().await;
    let limits = tenant.settings.limits();
    let now = gateway.clock().now() / 1000;
    let ledger = &gateway.gateway.settlements.ledger;
    let usage = ledger.usage(&tenant.ledger_key(), &limits, now).await.unwrap();
    assert_eq!(usage.in_flight, 0);
    let budget = usage.budget.unwrap();
    assert_eq!((budget.held, budget.lost), (0, 0));
    budget
}

async fn gateway(first: &FakeProvider) -> TestGateway {
    TestGateway::start(&config(&[("first", first)])).await
}

/// A stream of a text, with usage of 9 tokens in and 12 out, and its end.
fn whole_stream() -> ScriptedResponse {
    ScriptedResponse::stream([
        openai::role(),
        openai::chunk("Hello"),
        openai::finish("stop"),
        openai::usage(9, 12),
        openai::done(),
    ])
}

#[tokio::test]
async fn a_whole_answer_is_charged_to_the_token() {
    let first = provider([openai::completion("Hi")]).await;
    let (gateway, tenant) = (gateway(&first).await, budgeted(AMPLE));
    gateway.answer(gateway.call_of(&tenant, "both", false).await).await.unwrap();
    assert_eq!(usage(&gateway, &tenant).await.used, 9 + 12_000);
    let record = gateway.record().await;
    assert_eq!((record.settled, record.cost), (Some(MicroDollars(12_009)), record.settled));
    assert!(record.settled < record.hold, "{record:?}");
}

#[tokio::test]
async fn a_stream_is_charged_to_the_token() {
    let first = provider([whole_stream()]).await;
    let (gateway, tenant) = (gateway(&first).await, budgeted(AMPLE));
    let mut stream = gateway.stream_of(gateway.call_of(&tenant, "both", true).await).await;
    assert_eq!(read_events(&mut stream, usize::MAX).await, None);
    stream.finish();
    assert_eq!(usage(&gateway, &tenant).await.used, 9 + 12_000);
}

#[tokio::test]
async fn a_client_that_leaves_pays_for_what_it_took() {
    let text = "x".repeat(400);
    let steps = [openai::role(), openai::chunk(&text), Step::Hang];
    let first = provider([ScriptedResponse::stream(steps)]).await;
    let (gateway, tenant) = (gateway(&first).await, budgeted(AMPLE));
    let mut stream = gateway.stream_of(gateway.call_of(&tenant, "both", true).await).await;
    read_events(&mut stream, 2).await;
    drop(stream);
    let used = usage(&gateway, &tenant).await.used;
    assert!((100_000..101_000).contains(&used), "{used}");
    let record = gateway.record().await;
    assert_eq!(record.end.outcome, Outcome::Canceled);
    assert_eq!(record.settled, Some(MicroDollars(used)));
}

#[tokio::test]
async fn a_stream_that_is_cut_is_charged_for_what_came() {
    let text = "x".repeat(400);
    let steps = [openai::role(), openai::chunk(&text), Step::Cut];
    let first = provider([ScriptedResponse::stream(steps)]).await;
    let (gateway, tenant) = (gateway(&first).await, budgeted(AMPLE));
    let mut stream = gateway.stream_of(gateway.call_of(&tenant, "both", true).await).await;
    assert!(read_events(&mut stream, usize::MAX).await.is_some());
    let used = usage(&gateway, &tenant).await.used;
    assert!((100_000..101_000).contains(&used), "{used}");
}

#[tokio::test]
async fn a_call_that_no_provider_took_costs_nothing() {
    let first = provider([openai::error(500, "server_error", "no")]).await;
    let (gateway, tenant) = (gateway(&first).await, budgeted(AMPLE));
    gateway.answer(gateway.call_of(&tenant, "both", false).await).await.unwrap_err();
    let left = usage(&gateway, &tenant).await;
    assert_eq!((left.used, left.remaining), (0, AMPLE));
    assert_eq!(gateway.record().await.settled, Some(MicroDollars(0)));
}

#[tokio::test]
async fn only_the_provider_that_answered_is_charged() {
    let first = provider([openai::error(500, "server_error", "no")]).await;
    let second = provider([openai::completion("Hi")]).await;
    let yaml = config(&[("first", &first), ("second", &second)]);
    let yaml =
        format!("{yaml}  - {{ provider: second, model: gpt-4o-mini, input: 2, output: 3 }}\n");
    let (gateway, tenant) = (TestGateway::start(&yaml).await, budgeted(AMPLE));
    gateway.answer(gateway.call_of(&tenant, "both", false).await).await.unwrap();
    assert_eq!(usage(&gateway, &tenant).await.used, 9 * 2 + 12 * 3);
}

#[tokio::test]
async fn a_client_that_leaves_before_a_whole_answer_pays_what_was_held() {
    let first = provider([ScriptedResponse::hang()]).await;
    let (gateway, tenant) = (gateway(&first).await, budgeted(AMPLE));
    let call = gateway.call_of(&tenant, "both", false).await;
    let left = tokio::time::timeout(std::time::Duration::from_millis(100), gateway.answer(call));
    assert!(left.await.is_err());
    let used = usage(&gateway, &tenant).await.used;
    let record = gateway.record().await;
    let used_up = Some(MicroDollars(used));
    assert_eq!((record.settled, record.hold), (used_up, used_up));
    assert!(16_384_000 < used, "{used}");
}

#[tokio::test]
async fn what_is_spent_is_refused_until_the_budget_starts_anew() {
    let first = provider([openai::completion("Hi")]).await;
    let (gateway, tenant) = (gateway(&first).await, budgeted(0));
    let refused = gateway.answer(gateway.call_of(&tenant, "both", false).await).await.unwrap_err();
    assert_eq!((refused.kind, refused.status()), (ErrorKind::BudgetExceeded, 402));
    assert_eq!(refused.limit.clone().unwrap().reason, "budget_exceeded");
    assert_eq!(first.requests().len(), 0);
    let record = gateway.record().await;
    assert_eq!((record.end.status, record.hold), (Some(402), None));
}

#[tokio::test]
async fn an_answer_is_shortened_to_what_is_left() {
    let first = provider([openai::completion("Hi")]).await;
    let (gateway, tenant) = (gateway(&first).await, budgeted(300_500));
    let mut limits = CallLimits::default();
    let call = gateway.call_of(&tenant, "both", false).await;
    let admitted = gateway.gateway.admit_call(call, &mut limits).await.unwrap();
    assert!(limits.is_capped);
    gateway.gateway.respond(admitted).await.unwrap();
    let sent = first.requests().remove(0).json();
    assert_eq!(sent["max_tokens"], 300, "{sent}");
    assert_eq!(usage(&gateway, &tenant).await.used, 12_009);
}

/// A call of a tenant with this body.
async fn call_with(
    gateway: &TestGateway,
    tenant: &Arc<Tenant>,
    format: &dyn Inbound,
    body: &str,
) -> Call {
    let request = format.decode(Bytes::copy_from_slice(body.as_bytes())).unwrap();
    Call { request: Arc::new(request), ..gateway.call_of(tenant, "both", false).await }
}

/// What only a provider understands: the gateway knows no such choice.
const UNKNOWN: &str =
    r#""tool_choice":{"type":"custom"},"messages":[{"role":"user","content":"Hi"}]"#;

#[tokio::test]
async fn what_is_held_does_not_depend_on_whether_a_request_can_be_decoded() {
    let first = provider([]).await;
    let (gateway, tenant) = (gateway(&first).await, budgeted(AMPLE));
    let chat = format!(r#"{{"model":"both","n":4,"max_completion_tokens":500,{UNKNOWN}}}"#);
    let formats: [(&dyn Inbound, &str, (u64, u64)); 3] = [
        (&OpenAiChat, &chat, (500, 4)),
        (
            &OpenAiCompletions,
            r#"{"model":"both","prompt":["a","b","c"],"max_tokens":4000,"best_of":2}"#,
            (4_000, 6),
        ),
        (&OpenAiCompletions, r#"{"model":"both","prompt":[1,2],"max_tokens":9,"n":3}"#, (9, 3)),
    ];
    for (format, body, expected) in formats {
        let call = call_with(&gateway, &tenant, format, body).await;
        assert!(call.request.canonical().is_err(), "{body}");
        let demand = demand(&call, &resolve(&call).unwrap(), &tenant.settings.limits()).demand;
        assert_eq!((demand.output, demand.choices), expected, "{body}");
    }
}

#[tokio::test]
async fn a_request_that_cannot_be_decoded_is_shortened_too() {
    let first = provider([openai::completion("Hi")]).await;
    let (gateway, tenant) = (gateway(&first).await, budgeted(300_500));
    let body = format!(r#"{{"model":"both",{UNKNOWN}}}"#);
    gateway.answer(call_with(&gateway, &tenant, &OpenAiChat, &body).await).await.unwrap();
    assert_eq!(first.requests().remove(0).json()["max_tokens"], 300);
}

#[tokio::test]
async fn a_request_without_a_limit_of_output_is_refused_where_it_would_be_shortened() {
    let first = provider([openai::completion("Hi")]).await;
    let (gateway, tenant) = (gateway(&first).await, budgeted(300_500));
    let body = r#"{"model":"both","input":[{"role":"user","content":"Hi"}]}"#;
    let call = call_with(&gateway, &tenant, &OpenAiCompact, body).await;
    let refused = gateway.answer(call).await.unwrap_err();
    assert_eq!((refused.kind, refused.status()), (ErrorKind::BudgetExceeded, 402));
    assert!(first.requests().is_empty());
    assert_eq!(usage(&gateway, &tenant).await.used, 0);
}

#[tokio::test]
async fn a_call_that_cannot_be_shortened_enough_is_refused_for_good() {
    let first = provider([openai::completion("Hi")]).await;
    let (gateway, tenant) = (gateway(&first).await, budgeted(200_000));
    let refused = gateway.answer(gateway.call_of(&tenant, "both", false).await).await.unwrap_err();
    let limit = refused.limit.clone().unwrap();
    assert_eq!((refused.status(), limit.reason), (402, "request_exceeds_budget"));
    assert!(!limit.should_retry);
}

#[tokio::test]
async fn what_is_held_by_calls_in_flight_is_worth_a_wait() {
    let steps = [openai::role(), openai::chunk("x"), Step::Hang];
    let first = provider([ScriptedResponse::stream(steps)]).await;
    let (gateway, tenant) = (gateway(&first).await, budgeted(300_500));
    let running = gateway.stream_of(gateway.call_of(&tenant, "both", true).await).await;
    let refused = gateway.answer(gateway.call_of(&tenant, "both", false).await).await.unwrap_err();
    assert_eq!((refused.status(), refused.limit.clone().unwrap().should_retry), (429, true));
    assert!((1..=10).contains(&refused.retry_after.unwrap().as_secs()));
    drop(running);
}

#[tokio::test]
async fn a_model_without_a_price_is_refused_unless_that_is_allowed() {
    let first = provider([openai::completion("Hi")]).await;
    let gateway = gateway(&first).await;
    let call = gateway.call_of(&budgeted(AMPLE), "first/unknown", false).await;
    let refused = gateway.answer(call).await.unwrap_err();
    assert_eq!(refused.limit.clone().unwrap().reason, "budget_unpriced");
    let allowed = tenant(|it| {
        it.budget.amount = Some(MicroDollars(5));
        it.budget.unpriced = Unpriced::Allow;
    });
    let response = gateway.answer(gateway.call_of(&allowed, "first/unknown", false).await).await;
    assert!(matches!(response.unwrap().body, ClientResponseBody::Whole(..)));
    assert_eq!(usage(&gateway, &allowed).await.used, 0);
}

#[tokio::test]
async fn a_call_that_costs_more_than_the_price_of_its_model_is_refused_unless_that_is_allowed() {
    let first = provider([openai::completion("Hi")]).await;
    let gateway = gateway(&first).await;
    let refusing = budgeted(AMPLE);
    let allowed = tenant(|it| {
        it.budget.amount = Some(MicroDollars(AMPLE));
        it.budget.unpriced = Unpriced::Allow;
    });
    let body = format!(r#"{{"model":"both","service_tier":"priority",{UNKNOWN}}}"#);
    let call = async |tenant| call_with(&gateway, tenant, &OpenAiChat, &body).await;
    let refused = gateway.answer(call(&refusing).await).await.unwrap_err();
    assert_eq!(refused.limit.clone().unwrap().reason, "budget_unpriced");
    gateway.answer(call(&allowed).await).await.unwrap();
    assert_eq!(usage(&gateway, &allowed).await.used, 12_009);
}

/// A stream of so many chunks of 100 tokens each, without usage.
fn long_stream(chunks: usize) -> ScriptedResponse {
    let text = "x".repeat(400);
    let chunks = (0..chunks).map(|_| openai::chunk(&text));
    let steps = [openai::role()].into_iter().chain(chunks);
    ScriptedResponse::stream(steps.chain([openai::finish("stop"), openai::done()]))
}

#[tokio::test]
async fn a_stream_that_outgrows_its_hold_holds_more() {
    let first = provider([long_stream(200)]).await;
    let (gateway, tenant) = (gateway(&first).await, budgeted(AMPLE));
    let mut stream = gateway.stream_of(gateway.call_of(&tenant, "both", true).await).await;
    assert_eq!(read_events(&mut stream, usize::MAX).await, None);
    stream.finish();
    let used = usage(&gateway, &tenant).await.used;
    assert!((20_000_000..20_100_000).contains(&used), "{used}");
    let record = gateway.record().await;
    // The last batch of events may be larger than what was held for it.
    assert!(Some(MicroDollars(19_000_000)) < record.hold, "{record:?}");
}

#[tokio::test]
async fn a_stream_that_can_hold_no_more_ends_with_the_error_of_the_budget() {
    let first = provider([long_stream(400)]).await;
    // The hold of one call, and a little.
    let (gateway, tenant) = (gateway(&first).await, budgeted(16_384_000 + 500_000));
    let mut stream = gateway.stream_of(gateway.call_of(&tenant, "both", true).await).await;
    assert_eq!(read_events(&mut stream, usize::MAX).await, Some(ErrorKind::BudgetExceeded));
    drop(stream);
    let record = gateway.record().await;
    assert_eq!(record.end.status, Some(402));
    assert_eq!(record.attempts[0].outcome, Outcome::Canceled, "no fault of the provider");
    assert!(usage(&gateway, &tenant).await.used < 25_000_000);
}

/// How a stream that outgrows its hold ends while the store is down, under this configuration.
async fn end_without_a_store(rest: &str) -> Option<ErrorKind> {
    let first = provider([long_stream(200)]).await;
    let stores = memory::open();
    let table = CountingTable::new(stores.state);
    let stores = Stores { state: table.clone(), ..stores };
    let yaml = format!("{}{rest}", config(&[("first", &first)]));
    let gateway = TestGateway::sharing(&yaml, stores).await;
    let call = gateway.call_of(&budgeted(AMPLE), "both", true).await;
    let mut stream = gateway.stream_of(call).await;
    table.fail_tallies();
    read_events(&mut stream, usize::MAX).await
}

#[tokio::test]
async fn a_stream_that_cannot_ask_for_more_ends_unless_budgets_are_open() {
    let (closed, open) = tokio::join!(
        end_without_a_store(""),
        end_without_a_store("store_down: { budgets: open }\n")
    );
    assert_eq!((closed, open), (Some(ErrorKind::Unavailable), None));
}

#[tokio::test]
async fn daily_tokens_are_counted_as_the_provider_counts_them() {
    let first = provider([openai::completion("Hi")]).await;
    let gateway = gateway(&first).await;
    let tenant = tenant(|it| {
        it.limits.daily_input_tokens = Some(1_000);
        it.limits.daily_output_tokens = Some(1_000);
    });
    let mut limits = CallLimits::default();
    for _ in 0..3 {
        let call = gateway.call_of(&tenant, "both", false).await;
        let admitted = gateway.gateway.admit_call(call, &mut limits).await.unwrap();
        gateway.gateway.respond(admitted).await.unwrap();
        gateway.gateway.drain().await;
    }
    let now = gateway.clock().now() / 1000;
    let ledger = &gateway.gateway.settlements.ledger;
    let usage = ledger.usage(&tenant.ledger_key(), &tenant.settings.limits(), now).await.unwrap();
    let used: Vec<(u64, u64)> = usage.quotas.iter().map(|it| (it.used, it.held)).collect();
    assert_eq!(used, [(27, 0), (36, 0)]);
}

/// A text of a thousand tokens, for which twice as many are held.
fn long_prompt() -> String {
    "word".repeat(1_000)
}

/// A gateway whose streams are rescued, with these providers of the same price.
async fn rescuing(providers: &[(&str, &FakeProvider)]) -> TestGateway {
    let mut yaml = config(providers).replace("name: both\n", "name: both\n    rescue: continue\n");
    for (name, _) in providers.iter().skip(1) {
        let price = "model: gpt-4o-mini, input: 1, output: 1000";
        yaml.push_str(&format!("  - {{ provider: {name}, {price} }}\n"));
    }
    TestGateway::start(&yaml.replace("input: 1,", "input: 1000,")).await
}

/// A call for at most ten tokens about a long prompt.
async fn short_answer(gateway: &TestGateway, tenant: &Arc<Tenant>) -> Call {
    let prompt = long_prompt();
    let body = format!(
        r#"{{"model":"both","stream":true,"max_tokens":10,"messages":[{{"role":"user","content":"{prompt}"}}]}}"#
    );
    let call = call_with(gateway, tenant, &OpenAiChat, &body).await;
    assert_eq!(call.request.requested_output().max_tokens, Some(10));
    call
}

fn broken() -> ScriptedResponse {
    ScriptedResponse::stream([openai::role(), openai::chunk("Once upon"), Step::Cut])
}

#[tokio::test]
async fn a_rescued_stream_holds_what_each_of_its_prompts_costs() {
    let (first, second) = (provider([broken()]).await, provider([broken()]).await);
    let third = provider([whole_stream()]).await;
    let gateway = rescuing(&[("first", &first), ("second", &second), ("third", &third)]).await;
    let tenant = budgeted(AMPLE);
    let mut stream = gateway.stream_of(short_answer(&gateway, &tenant).await).await;
    assert_eq!(read_events(&mut stream, usize::MAX).await, None);
    stream.finish();
    let used = usage(&gateway, &tenant).await.used;
    let record = gateway.record().await;
    assert_eq!(record.settled, Some(MicroDollars(used)));
    assert!(2_000_000 < used && record.settled <= record.hold, "{record:?}");
}

#[tokio::test]
async fn no_target_goes_on_whose_prompt_cannot_be_paid() {
    let (first, second) = (provider([broken()]).await, provider([broken()]).await);
    let third = provider([whole_stream()]).await;
    let gateway = rescuing(&[("first", &first), ("second", &second), ("third", &third)]).await;
    // Enough for two prompts, and a little.
    let tenant = budgeted(2_100_000);
    let mut stream = gateway.stream_of(short_answer(&gateway, &tenant).await).await;
    assert_eq!(read_events(&mut stream, usize::MAX).await, Some(ErrorKind::BudgetExceeded));
    drop(stream);
    assert!(third.requests().is_empty());
    assert!(usage(&gateway, &tenant).await.used <= 2_100_000);
    let outcome = gateway.record().await.attempts.last().unwrap().outcome;
    assert_eq!(outcome, Outcome::Canceled);
}

#[tokio::test]
async fn a_client_that_leaves_while_another_target_goes_on_pays_for_its_prompt() {
    let (first, second) = (provider([broken()]).await, provider([ScriptedResponse::hang()]).await);
    let gateway = rescuing(&[("first", &first), ("second", &second)]).await;
    let tenant = budgeted(AMPLE);
    let mut stream = gateway.stream_of(short_answer(&gateway, &tenant).await).await;
    tokio::select! {
        _ = read_events(&mut stream, usize::MAX) => panic!("nobody goes on"),
        _ = second.wait_for_requests(1) => {}
    }
    drop(stream);
    let used = usage(&gateway, &tenant).await.used;
    assert!((2_000_000..2_200_000).contains(&used), "{used}");
}

#[tokio::test]
async fn a_stream_that_may_be_hedged_holds_two_prompts() {
    let (first, second) = (provider([]).await, provider([]).await);
    let yaml = config(&[("first", &first), ("second", &second)]);
    let yaml = yaml.replace("name: both\n", "name: both\n    hedge: 1s\n");
    let (gateway, tenant) = (TestGateway::start(&yaml).await, budgeted(AMPLE));
    let held = async |stream: bool| {
        let call = gateway.call_of(&tenant, "both", stream).await;
        demand(&call, &resolve(&call).unwrap(), &tenant.settings.limits()).demand.input
    };
    assert_eq!(held(true).await, 2 * held(false).await);
}

/// A call for images with these members.
async fn images(gateway: &TestGateway, tenant: &Arc<Tenant>, members: &str) -> Call {
    let body = format!(r#"{{"model":"both","prompt":"A cat"{members}}}"#);
    call_with(gateway, tenant, &formats::opaque::IMAGES, &body).await
}

#[tokio::test]
async fn images_in_flight_hold_what_each_of_them_costs() {
    let body = r#"{"data":[],"usage":{"input_tokens":9,"output_tokens":12}}"#;
    let image = || ScriptedResponse::raw(200, "application/json", body);
    let first = provider([image(), image()]).await;
    let gateway = gateway(&first).await;
    let tenant = budgeted(2 * 6_240_000 + 1_000);
    let mut limits = CallLimits::default();
    let two = images(&gateway, &tenant, r#","n":2"#).await;
    let two = gateway.gateway.admit_call(two, &mut limits).await.unwrap();
    assert!(!limits.is_capped);
    let low = async || images(&gateway, &tenant, r#","quality":"low""#).await;
    let refused = gateway.answer(low().await).await.unwrap_err();
    assert_eq!((refused.status(), refused.limit.clone().unwrap().should_retry), (429, true));
    gateway.gateway.respond(two).await.unwrap();
    assert_eq!(usage(&gateway, &tenant).await.used, 9 + 12_000);
    gateway.answer(low().await).await.unwrap();
    assert_eq!(usage(&gateway, &tenant).await.used, 2 * (9 + 12_000));
    let three = images(&gateway, &tenant, r#","n":3"#).await;
    let refused = gateway.answer(three).await.unwrap_err();
    assert_eq!(refused.limit.clone().unwrap().reason, "request_exceeds_budget");
}

#[tokio::test]
async fn an_image_without_usage_is_charged_as_held() {
    let image = ScriptedResponse::raw(200, "application/json", r#"{"data":[]}"#);
    let first = provider([image]).await;
    let (gateway, tenant) = (gateway(&first).await, budgeted(AMPLE));
    gateway.answer(images(&gateway, &tenant, r#","quality":"medium""#).await).await.unwrap();
    let used = usage(&gateway, &tenant).await.used;
    assert!((1_584_000..1_585_000).contains(&used), "{used}");
}

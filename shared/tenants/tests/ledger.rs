//! The ledger, one call at a time: what is admitted, held, settled, refused and written.
#![expect(clippy::unwrap_used, reason = "a broken setup should stop the test")]

#[path = "support/unplugged.rs"]
mod unplugged;

use std::sync::Arc;

use canonical::MicroDollars;
use tenants::{
    Adjusted, Adjustment, Admission, AdmissionRequest, Budget, Decision, Demand, Ended, Extra,
    Ledger, LedgerKey, LimitSource, Limits, Period, Refusal, RefusalKind, Reservation,
    ReservationId, Settlement, TopUp, Unpriced, UnreachablePolicy, Usage, WhenUnreachable,
    WorstPrice,
};
use unplugged::Unpluggable;

/// 2026-11-28T10:00:00Z.
const NOW: u64 = 1_795_860_000;
/// The end of that minute, day and month.
const MINUTE_END: u64 = NOW + 60;
const DAY_END: u64 = 1_795_910_400;
const MONTH_END: u64 = 1_796_083_200;
const DEADLINE: u64 = NOW + 600;
/// One micro-dollar for an input token, two for an output token.
const PRICE: WorstPrice = WorstPrice { input: 1_000_000, output: 2_000_000 };

struct Desk {
    table: Arc<Unpluggable>,
    ledger: Ledger,
    key: LedgerKey,
    limits: Limits,
    calls: u32,
}

impl Desk {
    fn new(limits: Limits) -> Self {
        let table = Unpluggable::new();
        let ledger = Ledger::new(Arc::clone(&table) as _, UnreachablePolicy::default());
        Self { table, ledger, key: LedgerKey::tenant("t"), limits, calls: 0 }
    }

    fn budgeted(micros: u64) -> Self {
        Self::new(Limits {
            budget: Some(Budget::monthly(MicroDollars(micros))),
            ..Limits::default()
        })
    }

    /// The same row, seen by a process that remembers nothing.
    fn restart(&mut self) {
        self.ledger = Ledger::new(Arc::clone(&self.table) as _, UnreachablePolicy::default());
    }

    async fn decide(&mut self, demand: Demand, now: u64) -> Decision {
        self.calls += 1;
        let id = ReservationId::new(self.calls.to_string());
        let (key, limits) = (&self.key, &self.limits);
        let request = AdmissionRequest { key, limits, demand, id: &id, deadline: now + 600 };
        self.ledger.admit(&request, now).await
    }

    async fn admit(&mut self, demand: Demand, now: u64) -> Admission {
        match self.decide(demand, now).await {
            Decision::Admitted(admission) => admission,
            other => panic!("{other:?}"),
        }
    }

    async fn refuse(&mut self, demand: Demand, now: u64) -> Refusal {
        match self.decide(demand, now).await {
            Decision::Refused { refusal, .. } => *refusal,
            other => panic!("{other:?}"),
        }
    }

    async fn settle(&self, reservation: Reservation, cost: u64, now: u64) -> tenants::Settled {
        let usage = Usage::Used { cost, input: 0, output: 0 };
        let settlement = Settlement { reservation, usage };
        self.ledger.settle(&settlement, &self.limits, now).await.unwrap()
    }

    async fn budget(&self, now: u64) -> tenants::BudgetUsage {
        self.ledger.usage(&self.key, &self.limits, now).await.unwrap().budget.unwrap()
    }
}

/// A call that costs at most this much, all of it input.
fn costing(micros: u64) -> Demand {
    Demand { input: micros, output: 0, choices: 1, price: Some(PRICE) }
}

/// A call without input and with up to this many output tokens, at two micro-dollars each.
fn writing(tokens: u64) -> Demand {
    Demand { input: 0, output: tokens, choices: 1, price: Some(PRICE) }
}

#[tokio::test]
async fn without_limits_nothing_is_written() {
    let mut desk = Desk::new(Limits::default());
    let admission = desk.admit(costing(5), NOW).await;
    assert!(admission.reservation.is_none() && admission.quotas.is_empty());
    assert_eq!(desk.table.take_calls(), 0);
}

#[tokio::test]
async fn a_call_with_request_limits_alone_is_one_write_and_holds_nothing() {
    let mut desk = Desk::new(Limits { requests_per_minute: Some(2), ..Limits::default() });
    let admission = desk.admit(costing(5), NOW).await;
    assert!(admission.reservation.is_none());
    assert_eq!(admission.quotas[0].remaining(), 1);
    assert_eq!(desk.table.take_calls(), 1);
}

#[tokio::test]
async fn a_held_call_is_one_write_to_admit_and_one_to_settle() {
    let mut desk = Desk::budgeted(1_000);
    let admission = desk.admit(costing(100), NOW).await;
    assert_eq!(desk.table.take_calls(), 1);
    desk.settle(admission.reservation.unwrap(), 40, NOW).await;
    assert_eq!(desk.table.take_calls(), 1);
}

#[tokio::test]
async fn a_minute_that_is_full_refuses_until_its_end_and_writes_once() {
    let mut desk = Desk::new(Limits { requests_per_minute: Some(1), ..Limits::default() });
    desk.admit(costing(0), NOW).await;
    let refusal = desk.refuse(costing(0), NOW + 1).await;
    assert_eq!(refusal.kind, RefusalKind::RateLimit);
    assert_eq!((refusal.status(), refusal.limit_source()), (429, "rate_limit_rpm"));
    assert_eq!(refusal.retry_after(NOW + 1), Some(59));
    assert!(refusal.should_retry(NOW + 1));
    desk.table.take_calls();
    desk.refuse(costing(0), NOW + 59).await;
    assert_eq!(desk.table.take_calls(), 0);
    desk.admit(costing(0), MINUTE_END).await;
}

#[tokio::test]
async fn a_raised_limit_counts_at_once() {
    let mut desk = Desk::new(Limits { requests_per_minute: Some(1), ..Limits::default() });
    desk.admit(costing(0), NOW).await;
    desk.refuse(costing(0), NOW).await;
    desk.limits.requests_per_minute = Some(2);
    desk.admit(costing(0), NOW).await;
}

#[tokio::test]
async fn a_limit_of_nothing_refuses_without_a_write() {
    let none = Some(0);
    for limits in [
        Limits { requests_per_day: none, ..Limits::default() },
        Limits { max_concurrent: none, ..Limits::default() },
        Limits { daily_input_tokens: none, ..Limits::default() },
        Limits { budget: Some(Budget::monthly(MicroDollars(0))), ..Limits::default() },
    ] {
        let mut desk = Desk::new(limits);
        let refusal = desk.refuse(costing(5), NOW).await;
        assert_eq!(refusal.retry_after(NOW), None, "{refusal:?}");
        assert_eq!(desk.table.take_calls(), 0);
    }
}

#[tokio::test]
async fn calls_in_flight_are_bounded_and_a_settlement_makes_room() {
    let mut desk = Desk::new(Limits { max_concurrent: Some(1), ..Limits::default() });
    let first = desk.admit(costing(0), NOW).await;
    let refusal = desk.refuse(costing(0), NOW).await;
    assert_eq!(
        (refusal.quota.source, refusal.retry_after(NOW)),
        (LimitSource::Concurrency, Some(10))
    );
    desk.settle(first.reservation.unwrap(), 0, NOW).await;
    desk.admit(costing(0), NOW).await;
}

#[tokio::test]
async fn a_spent_budget_is_not_retried_and_says_when_it_starts_anew() {
    let mut desk = Desk::budgeted(1_000);
    let admission = desk.admit(costing(900), NOW).await;
    desk.settle(admission.reservation.unwrap(), 900, NOW).await;
    let refusal = desk.refuse(costing(200), NOW).await;
    assert_eq!((refusal.kind, refusal.status()), (RefusalKind::BudgetExceeded, 402));
    assert_eq!((refusal.retry_after(NOW), refusal.should_retry(NOW)), (None, false));
    assert_eq!(refusal.reset(), Some(MONTH_END));
    desk.admit(costing(100), NOW).await;
    desk.admit(costing(1_000), MONTH_END).await;
}

#[tokio::test]
async fn a_budget_that_is_only_held_is_worth_a_retry() {
    let mut desk = Desk::budgeted(1_000);
    let first = desk.admit(costing(900), NOW).await;
    let refusal = desk.refuse(costing(200), NOW).await;
    assert_eq!((refusal.kind, refusal.status()), (RefusalKind::RateLimit, 429));
    assert_eq!((refusal.retry_after(NOW), refusal.in_flight), (Some(10), 1));
    assert!(refusal.message().contains("held by 1 calls in flight"), "{}", refusal.message());
    desk.settle(first.reservation.unwrap(), 100, NOW).await;
    desk.admit(costing(200), NOW).await;
}

#[tokio::test]
async fn a_call_that_may_cost_more_than_the_whole_budget_is_refused_without_a_write() {
    let mut desk = Desk::budgeted(1_000);
    let refusal = desk.refuse(costing(1_001), NOW).await;
    assert_eq!(refusal.kind, RefusalKind::RequestExceedsBudget);
    assert_eq!(desk.table.take_calls(), 0);
}

#[tokio::test]
async fn an_unknown_price_is_refused_unless_the_operator_allows_it() {
    let mut desk = Desk::budgeted(1_000);
    let unpriced = Demand { price: None, ..costing(5) };
    assert_eq!(desk.refuse(unpriced, NOW).await.kind, RefusalKind::BudgetUnpriced);
    desk.limits.budget.as_mut().unwrap().unpriced = Unpriced::Allow;
    desk.admit(unpriced, NOW).await;
}

#[tokio::test]
async fn a_hold_shrinks_to_the_room_and_the_answer_with_it() {
    let mut desk = Desk::budgeted(10_000);
    desk.admit(costing(8_000), NOW).await;
    let admission = desk.admit(writing(4_000), NOW).await;
    assert_eq!(admission.capped_output, Some(1_000));
    assert_eq!(admission.reservation.unwrap().hold.cost, 2_000);
    assert_eq!(desk.budget(NOW).await.remaining, 0);
}

#[tokio::test]
async fn an_answer_that_fits_is_not_capped() {
    let mut desk = Desk::budgeted(10_000);
    assert_eq!(desk.admit(writing(4_000), NOW).await.capped_output, None);
}

#[tokio::test]
async fn a_repeated_settlement_changes_nothing() {
    let mut desk = Desk::budgeted(1_000);
    let reservation = desk.admit(costing(100), NOW).await.reservation.unwrap();
    assert_eq!(desk.settle(reservation.clone(), 40, NOW).await.ended, Ended::Now);
    assert_eq!(desk.settle(reservation, 40, NOW + 90_000).await.ended, Ended::Before);
    let budget = desk.budget(NOW).await;
    assert_eq!((budget.used, budget.held, budget.remaining), (40, 0, 960));
}

#[tokio::test]
async fn a_call_settles_into_the_month_it_was_admitted_in() {
    let mut desk = Desk::budgeted(1_000);
    let late = MONTH_END - 5;
    let reservation = desk.admit(costing(100), late).await.reservation.unwrap();
    desk.settle(reservation, 40, MONTH_END + 5).await;
    assert_eq!(desk.budget(late).await.used, 40);
    assert_eq!(desk.budget(MONTH_END + 5).await.used, 0);
}

#[tokio::test]
async fn a_dead_owners_hold_is_charged_as_lost_by_the_next_call() {
    let mut desk = Desk::budgeted(1_000);
    desk.admit(costing(100), NOW).await;
    let after = DEADLINE + 61;
    assert_eq!(desk.budget(after).await.lost, 100);
    let second = desk.admit(costing(50), after).await.reservation.unwrap();
    let settled = desk.settle(second, 50, after).await;
    assert_eq!(settled.expired.len(), 1);
    let budget = desk.budget(after).await;
    assert_eq!((budget.used, budget.lost, budget.held), (150, 100, 0));
}

#[tokio::test]
async fn a_dead_owner_does_not_count_as_in_flight() {
    let mut desk = Desk::new(Limits { max_concurrent: Some(1), ..Limits::default() });
    desk.admit(costing(0), NOW).await;
    desk.restart();
    desk.refuse(costing(0), DEADLINE + 60).await;
    desk.restart();
    desk.admit(costing(0), DEADLINE + 61).await;
}

#[tokio::test]
async fn an_operator_corrects_what_was_lost_once() {
    let mut desk = Desk::budgeted(1_000);
    let reservation = desk.admit(costing(100), NOW).await.reservation.unwrap();
    desk.settle(reservation, 100, NOW).await;
    let period = Period::parse("202611").unwrap();
    let adjustment = Adjustment { id: "a".to_owned(), period, amount: -60, of_lost: 0 };
    let adjust = async |adjustment| desk.ledger.adjust(&desk.key, adjustment, NOW).await.unwrap();
    assert_eq!(adjust(&adjustment).await, Adjusted::Made);
    assert_eq!(adjust(&adjustment).await, Adjusted::MadeBefore);
    let budget = desk.budget(NOW).await;
    assert_eq!((budget.used, budget.remaining), (40, 960));
}

#[tokio::test]
async fn a_correction_takes_back_no_more_than_there_is() {
    let mut desk = Desk::budgeted(1_000);
    let reservation = desk.admit(costing(100), NOW).await.reservation.unwrap();
    desk.settle(reservation, 100, NOW).await;
    let period = Period::parse("202611").unwrap();
    let adjust = async |id: &str, amount, of_lost| {
        let adjustment = Adjustment { id: id.to_owned(), period, amount, of_lost };
        desk.ledger.adjust(&desk.key, &adjustment, NOW).await.unwrap()
    };
    let exceeds = |settled| Adjusted::Exceeds { settled, lost: 0 };
    assert_eq!(adjust("a", -101, 0).await, exceeds(100));
    assert_eq!(adjust("b", -60, 0).await, Adjusted::Made);
    assert_eq!(adjust("c", -60, 0).await, exceeds(40));
    assert_eq!(adjust("d", 0, 1).await, exceeds(40));
    assert_eq!(adjust("e", -40, 0).await, Adjusted::Made);
    assert_eq!(desk.budget(NOW).await.used, 0);
}

#[tokio::test]
async fn corrections_at_the_same_time_take_back_no_more_than_there_is() {
    let mut desk = Desk::budgeted(1_000);
    let reservation = desk.admit(costing(100), NOW).await.reservation.unwrap();
    desk.settle(reservation, 100, NOW).await;
    let period = Period::parse("202611").unwrap();
    let adjust = async |id: &str| {
        let adjustment = Adjustment { id: id.to_owned(), period, amount: -60, of_lost: 0 };
        desk.ledger.adjust(&desk.key, &adjustment, NOW).await.unwrap()
    };
    let (one, other) = tokio::join!(adjust("a"), adjust("b"));
    assert!((one == Adjusted::Made) != (other == Adjusted::Made), "{one:?} {other:?}");
    assert_eq!(desk.budget(NOW).await.used, 40);
}

#[tokio::test]
async fn a_stream_grows_its_hold_while_there_is_room() {
    let mut desk = Desk::budgeted(1_000);
    let reservation = desk.admit(costing(100), NOW).await.reservation.unwrap();
    let extra = |cost| Extra { cost: MicroDollars(cost), ..Extra::default() };
    let top_up = desk.ledger.top_up(&reservation, extra(900), &desk.limits, NOW).await.unwrap();
    let TopUp::Granted(grown) = top_up else { panic!("there was room") };
    // The same top-up again, as after a lost response.
    let again = desk.ledger.top_up(&reservation, extra(900), &desk.limits, NOW).await.unwrap();
    assert!(matches!(again, TopUp::Granted(_)));
    let more = desk.ledger.top_up(&grown, extra(1), &desk.limits, NOW).await.unwrap();
    assert!(matches!(more, TopUp::Refused));
    // The owner that never learnt of its top-up settles all the same.
    desk.settle(reservation, 950, NOW).await;
    assert_eq!((desk.budget(NOW).await.used, desk.budget(NOW).await.held), (950, 0));
}

#[tokio::test]
async fn a_top_up_whose_answer_was_lost_does_not_refuse_the_next() {
    let mut desk = Desk::budgeted(1_000);
    let reservation = desk.admit(costing(100), NOW).await.reservation.unwrap();
    let extra = |cost| Extra { cost: MicroDollars(cost), ..Extra::default() };
    let lost = desk.ledger.top_up(&reservation, extra(300), &desk.limits, NOW).await.unwrap();
    assert!(matches!(lost, TopUp::Granted(_)));
    // The owner goes on from the hold that it knows.
    let next = desk.ledger.top_up(&reservation, extra(400), &desk.limits, NOW).await.unwrap();
    let TopUp::Granted(grown) = next else { panic!("there was room") };
    assert_eq!((grown.hold.cost, desk.budget(NOW).await.held), (800, 800));
    let more = desk.ledger.top_up(&reservation, extra(201), &desk.limits, NOW).await.unwrap();
    assert!(matches!(more, TopUp::Refused));
    desk.settle(grown.clone(), 10, NOW).await;
    let ended = desk.ledger.top_up(&grown, extra(1), &desk.limits, NOW).await.unwrap();
    assert!(matches!(ended, TopUp::Refused));
}

#[tokio::test]
async fn tokens_of_a_day_are_held_and_settled() {
    let limits = Limits {
        daily_input_tokens: Some(1_000),
        daily_output_tokens: Some(1_000),
        ..Limits::default()
    };
    let mut desk = Desk::new(limits);
    let demand = Demand { input: 600, output: 600, choices: 1, price: None };
    let reservation = desk.admit(demand, NOW).await.reservation.unwrap();
    let refusal = desk.refuse(demand, NOW).await;
    assert_eq!(refusal.quota.source, LimitSource::DailyInputTokens);
    assert_eq!(refusal.retry_after(NOW), Some(10));
    let usage = Usage::Used { cost: 0, input: 500, output: 200 };
    let settlement = Settlement { reservation, usage };
    desk.ledger.settle(&settlement, &desk.limits, NOW).await.unwrap();
    let refusal = desk.refuse(demand, NOW).await;
    assert_eq!(refusal.retry_after(NOW), Some(DAY_END - NOW));
    let smaller = Demand { input: 500, output: 900, ..demand };
    assert_eq!(desk.admit(smaller, NOW).await.capped_output, Some(800));
}

#[tokio::test]
async fn a_cached_response_counts_as_a_request_and_pays_nothing() {
    let limits = Limits {
        requests_per_minute: Some(1),
        budget: Some(Budget::monthly(MicroDollars(0))),
        ..Limits::default()
    };
    let desk = Desk::new(limits);
    let id = ReservationId::new("1");
    let (key, limits) = (&desk.key, &desk.limits);
    let request = AdmissionRequest { key, limits, demand: costing(5), id: &id, deadline: DEADLINE };
    let first = desk.ledger.count_request(&request, NOW).await;
    assert!(matches!(first, Decision::Admitted(Admission { reservation: None, .. })));
    let second = desk.ledger.count_request(&request, NOW).await;
    assert!(matches!(second, Decision::Refused { .. }));
}

#[tokio::test]
async fn an_alert_is_claimed_once_and_the_next_one_after_it_was_sent() {
    let mut desk = Desk::budgeted(1_000);
    let spend = |desk: &mut Desk, micros| {
        let demand = costing(micros);
        let mut desk = std::mem::replace(desk, Desk::budgeted(0));
        async move {
            let reservation = desk.admit(demand, NOW).await.reservation.unwrap();
            let settled = desk.settle(reservation, micros, NOW).await;
            (desk, settled.alert)
        }
    };
    let (mut desk_after, none) = spend(&mut desk, 790).await;
    assert_eq!(none, None);
    let (mut desk_after, first) = spend(&mut desk_after, 20).await;
    let first = first.unwrap();
    assert_eq!((first.levels.as_slice(), first.spent.0), ([80].as_slice(), 810));
    let (desk, second) = spend(&mut desk_after, 150).await;
    assert_eq!(second, None, "the first one is still being sent");
    let next = desk.ledger.mark_sent(&first, &desk.limits, NOW).await.unwrap().unwrap();
    assert_eq!(next.levels, [95]);
    assert_eq!(desk.ledger.mark_sent(&next, &desk.limits, NOW).await.unwrap(), None);
}

#[tokio::test]
async fn without_a_store_rate_limits_are_open_and_budgets_closed() {
    let mut open = Desk::new(Limits { requests_per_minute: Some(1), ..Limits::default() });
    open.table.unplug();
    assert!(open.admit(costing(0), NOW).await.unreachable.is_some());

    let mut closed = Desk::budgeted(1_000);
    closed.table.unplug();
    let Decision::Unavailable(unavailable) = closed.decide(costing(100), NOW).await else {
        panic!("a budget is closed");
    };
    assert_eq!(unavailable.retry_after, 5);
    closed.table.plug_in();
    let release = unavailable.release.unwrap();
    let settled = closed.ledger.settle(&release, &closed.limits, NOW).await.unwrap();
    assert_eq!(settled.ended, Ended::Before);
}

#[tokio::test]
async fn an_operator_may_decide_otherwise_about_an_unreachable_store() {
    let mut desk = Desk::budgeted(1_000);
    let policy =
        UnreachablePolicy { rate_limits: WhenUnreachable::Closed, budgets: WhenUnreachable::Open };
    desk.ledger.follow(policy);
    desk.table.unplug();
    let admission = desk.admit(costing(100), NOW).await;
    assert!(admission.reservation.is_some() && admission.unreachable.is_some());
    desk.limits = Limits { requests_per_minute: Some(1), ..Limits::default() };
    assert!(matches!(desk.decide(costing(100), NOW).await, Decision::Unavailable(_)));
}

#[tokio::test]
async fn counters_of_minutes_long_past_are_removed_on_the_way() {
    let mut desk = Desk::new(Limits { requests_per_minute: Some(9), ..Limits::default() });
    for minute in 0..100 {
        desk.admit(costing(0), NOW + minute * 60).await;
    }
    let row = desk.table_row().await;
    assert!(row.numbers.len() <= 13, "{:?}", row.numbers.keys());
}

impl Desk {
    async fn table_row(&self) -> storage::Tallies {
        use storage::Table as _;
        let read = self.table.get_tallies("tenant#t", "ledger", storage::Consistency::Strong, NOW);
        read.await.unwrap().unwrap()
    }
}

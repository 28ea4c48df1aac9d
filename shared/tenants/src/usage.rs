//! Usage of a tenant as its ledger row tells it, for `GET /v1/usage`.

use serde::Serialize;
use storage::Tallies;

use crate::{
    limits::{LimitSource, Limits},
    quota::Quota,
    row::LedgerRow,
    window::Period,
};

/// Where a tenant stands: money, tokens, requests and calls in flight.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LedgerUsage {
    /// The budget and what became of it; absent without a budget.
    pub budget: Option<BudgetUsage>,
    /// Every limit, with what is used and held of it. The budget's is in micro-dollars.
    pub quotas: Vec<Quota>,
    /// How many calls are in flight, as far as they are counted.
    pub in_flight: u64,
}

/// Money of one budget period, in micro-dollars.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct BudgetUsage {
    /// The budget.
    pub limit: u64,
    /// What is settled, the lost part included.
    pub used: u64,
    /// What calls in flight hold.
    pub held: u64,
    /// What was charged for calls that never settled, and what is held for such calls.
    pub lost: u64,
    /// What new calls may hold.
    pub remaining: u64,
    /// When the period began, in seconds since 1970.
    pub start: u64,
    /// When the next period begins, in seconds since 1970.
    pub reset: u64,
}

impl LedgerUsage {
    /// The usage that a row tells.
    pub(crate) fn read(tallies: &Tallies, limits: &Limits, now: u64) -> Self {
        let row = LedgerRow(tallies);
        let quotas = row.quotas(limits, now);
        let money = quotas.iter().find(|quota| quota.source == LimitSource::Budget);
        let budget = limits.budget.as_ref().zip(money).map(|(budget, money)| {
            let period = Period::containing(now, budget.period);
            let name = period.to_string();
            // Shown as lost already, though the row is only mended with the next call of the
            // tenant.
            let dead = row.lost(now).filter(|(.., hold)| hold.period.as_ref() == Some(&name));
            let dead = dead.map(|(.., hold)| hold.cost).fold(0, u64::saturating_add);
            BudgetUsage {
                limit: money.limit,
                used: row.taken(&period.settled_attribute()),
                held: money.held.saturating_sub(dead),
                lost: row.taken(&period.lost_attribute()).saturating_add(dead),
                remaining: money.remaining(),
                start: period.start(),
                reset: period.end(),
            }
        });
        Self { budget, quotas, in_flight: row.in_flight() }
    }
}

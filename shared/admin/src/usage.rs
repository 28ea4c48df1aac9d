//! Usage of tenants as the ledger tells it, and corrections of it.

use ::tenants::{
    Action, Adjusted, Adjustment, AuditEntry, Author, LedgerUsage, LimitSource, Listed, Period,
    Tenant, rfc3339,
};
use canonical::MicroDollars;
use gateway::Clock;
use serde_json::{Map, Value, json};
use storage::{Change, Consistency, Row, StoreError, Stores};

use crate::{
    admin::Admin,
    list_page::PageRequest,
    operators::random_text,
    problem::{AdminResult, Problem},
    tenant_operations::TenantView,
};

/// How long a correction without an entry may be repeated to get one, in seconds.
const UNAUDITED_SECONDS: u64 = 7 * 24 * 60 * 60;

/// What a tenant used.
#[derive(Clone, Debug)]
pub struct TenantUsage {
    /// The tenant.
    pub tenant: TenantView,
    /// What the ledger says.
    pub ledger: LedgerUsage,
}

/// A correction that is to be made.
#[derive(Clone, Debug, Default)]
pub struct NewAdjustment {
    /// The name of the correction: under the same name it is made once. Absent: a new one.
    pub id: Option<String>,
    /// The budget period to correct. Absent: the present one.
    pub period: Option<Period>,
    /// What to add to what is spent, in micro-dollars; less than 0 gives money back.
    pub amount: i64,
    /// How much of what was charged for lost calls this corrects, in micro-dollars.
    pub of_lost: u64,
    /// Why, for the audit.
    pub reason: Option<String>,
}

impl TenantUsage {
    /// The usage as JSON, with the names of the second seed.
    pub fn to_json(&self) -> Value {
        usage_json(&self.tenant.tenant, &self.ledger)
    }
}

/// What the ledger says of a tenant as JSON, with the names of the second seed. Without a budget there
/// is nothing about money.
pub fn usage_json(tenant: &Tenant, ledger: &LedgerUsage) -> Value {
    let mut body = json!({
        "tenant_id": tenant.id,
        "name": tenant.settings.name,
        "in_flight": ledger.in_flight,
        "limits": limits_json(ledger),
    });
    let Some(budget) = &ledger.budget else { return body };

    body["period_start"] = json!(rfc3339(budget.start));
    body["period_end"] = json!(rfc3339(budget.reset));
    body["total_cost_usd"] = json!(MicroDollars(budget.used).dollars());
    body["held_usd"] = json!(MicroDollars(budget.held).dollars());
    body["lost_usd"] = json!(MicroDollars(budget.lost).dollars());
    body["budget_usd"] = json!(MicroDollars(budget.limit).dollars());
    body["remaining_usd"] = json!(MicroDollars(budget.remaining).dollars());
    body["budget_used_pct"] = json!(percentage(budget.used, budget.limit));
    body
}

/// How much of a budget is used, in percent; a budget of nothing is used up.
fn percentage(used: u64, limit: u64) -> f64 {
    if limit == 0 {
        return 100.0;
    }
    let part = MicroDollars(used).dollars() / MicroDollars(limit).dollars();
    // Without the digits that only floating point has: 0.0045, not 0.0045000000000000005.
    (part * 100.0 * 1e6).round() / 1e6
}

/// Every limit but the budget, with what is used of it.
fn limits_json(ledger: &LedgerUsage) -> Vec<Value> {
    // The budget stands beside, in dollars.
    let counted = ledger.quotas.iter().filter(|it| it.source != LimitSource::Budget);
    let limits = counted.map(|quota| {
        json!({
            "limit": quota.source,
            "allowed": quota.limit,
            "used": quota.used,
            "remaining": quota.remaining(),
            "resets_at": quota.reset.map(rfc3339),
        })
    });
    limits.collect()
}

impl Admin {
    /// What the tenants of a page used.
    pub async fn usage(
        &self,
        page: &PageRequest,
        clock: Clock,
    ) -> AdminResult<Listed<TenantUsage>> {
        let list = self.list_tenants(page, clock).await?;
        let mut items = vec![];

        for tenant in list.tenants {
            let ledger = self.gateway.ledger_usage(&tenant.tenant, clock).await?;
            items.push(TenantUsage { tenant, ledger });
        }
        Ok(Listed { items, cursor: list.cursor })
    }

    /// What a tenant used.
    pub async fn tenant_usage(&self, id: &str, clock: Clock) -> AdminResult<TenantUsage> {
        let tenant = self.tenant(id, clock).await?;
        let ledger = self.gateway.ledger_usage(&tenant.tenant, clock).await?;
        Ok(TenantUsage { tenant, ledger })
    }

    /// Corrects what a tenant has spent; `false` if this correction was made before.
    pub async fn adjust(
        &self,
        id: &str,
        new: NewAdjustment,
        author: Author<'_>,
        clock: Clock,
    ) -> AdminResult<bool> {
        let tenant = self.tenant(id, clock).await?.tenant;
        let present = Period::containing(author.at, tenant.settings.budget.period);

        let is_named = new.id.is_some();
        let name = match new.id {
            // The name becomes part of an attribute of the ledger's row, which has to stay short
            // whatever clients send.
            Some(name) => ::tenants::KeyHash::of(&name).as_str().chars().take(32).collect(),
            None => random_text(16)?,
        };
        let NewAdjustment { amount, of_lost, .. } = new;
        let period = new.period.unwrap_or(present);
        let adjustment = Adjustment { id: name, period, amount, of_lost };
        // Only a client that named the correction can repeat it.
        let marker = is_named.then(|| Unaudited::new(&tenant.id, &adjustment.id, author.at));
        let was_unaudited = match &marker {
            Some(marker) => marker.begin(&self.stores).await?,
            None => false,
        };
        // The ledger first: an entry about a correction that was never made would be worse than
        // none.
        let adjusted = self.gateway.adjust_ledger(&tenant, &adjustment, clock).await?;
        if let Adjusted::Exceeds { settled, lost } = adjusted {
            if let Some(marker) = &marker {
                marker.end(&self.stores).await?;
            }
            return Err(too_much(&adjustment, settled, lost));
        }
        let is_applied = adjusted == Adjusted::Made;
        // A repeat of one that was applied and whose entry could not be written writes it.
        if !is_applied && !was_unaudited {
            if let Some(marker) = &marker {
                marker.end(&self.stores).await?;
            }
            return Ok(false);
        }

        let after = |value: Value| json!({ "before": null, "after": value });
        let mut changes = Map::new();
        changes.insert("amount_usd".to_owned(), after(json!(signed_dollars(amount))));
        changes.insert("of_lost_usd".to_owned(), after(json!(MicroDollars(of_lost).dollars())));
        changes.insert("period".to_owned(), after(json!(period.to_string())));
        changes.insert("reason".to_owned(), after(json!(new.reason)));
        let entry = AuditEntry {
            at: author.at,
            actor: author.name.to_owned(),
            action: Action::Adjust,
            tenant: tenant.id,
            subject: None,
            changes,
        };
        self.tenants.record(&entry).await?;
        if let Some(marker) = &marker {
            marker.end(&self.stores).await?;
        }
        Ok(is_applied)
    }
}

/// A correction takes back more than there is.
fn too_much(adjustment: &Adjustment, settled: u64, lost: u64) -> Problem {
    let period = adjustment.period;
    let (field, there) = if lost < adjustment.of_lost {
        ("of_lost_usd", format!("{} USD were charged for lost calls", MicroDollars(lost)))
    } else {
        ("amount_usd", format!("{} USD are settled", MicroDollars(settled)))
    };
    let message = format!("This is more than there is to give back: {there} in {period}.");
    Problem::field(field, message)
}

/// The note that a correction may be applied without its entry in the audit.
struct Unaudited(Row);

impl Unaudited {
    fn new(tenant: &str, correction: &str, now: u64) -> Self {
        Self(Row {
            pk: "unaudited".to_owned(),
            sk: format!("{tenant}#{correction}"),
            value: String::new(),
            expires: Some(now + UNAUDITED_SECONDS),
        })
    }

    /// Puts the note there. Whether it was there already.
    async fn begin(&self, stores: &Stores) -> Result<bool, StoreError> {
        let Row { pk, sk, expires, .. } = &self.0;
        let now = expires.unwrap_or_default().saturating_sub(UNAUDITED_SECONDS);
        let found = stores.config.get(pk, sk, Consistency::Strong, now).await?;
        if found.is_none() {
            stores.config.put(self.0.clone()).await?;
        }
        Ok(found.is_some())
    }

    async fn end(&self, stores: &Stores) -> Result<(), StoreError> {
        let Row { pk, sk, .. } = self.0.clone();
        stores.config.write(&[Change::Delete { pk, sk }]).await
    }
}

/// The period that a text such as `2026-11` or `2026-11-28` names.
pub fn parse_period(text: &str) -> Option<Period> {
    let digits: String = text.chars().filter(|it| *it != '-').collect();
    let is_plain = text.chars().all(|it| it.is_ascii_digit() || it == '-');
    Period::parse(&digits).filter(|_| is_plain)
}

#[expect(clippy::cast_precision_loss, reason = "exact up to nine thousand million dollars")]
fn signed_dollars(micros: i64) -> f64 {
    micros as f64 / 1_000_000.0
}

#[cfg(test)]
mod tests {
    use storage::memory;

    use super::*;

    #[tokio::test]
    async fn a_correction_stays_unaudited_until_its_entry_is_written() {
        let stores = memory::open();
        let marker = Unaudited::new("t_1", "c_1", 1_795_860_000);
        assert!(!marker.begin(&stores).await.unwrap());
        assert!(marker.begin(&stores).await.unwrap(), "the entry was never written");
        let other = Unaudited::new("t_2", "c_1", 1_795_860_000);
        assert!(!other.begin(&stores).await.unwrap());
        marker.end(&stores).await.unwrap();
        assert!(!marker.begin(&stores).await.unwrap());
    }

    #[test]
    fn a_percentage_has_no_digits_that_mean_nothing() {
        for (used, limit, percent) in
            [(45, 1_000_000, "0.0045"), (1, 3, "33.333333"), (5, 5, "100.0"), (0, 0, "100.0")]
        {
            assert_eq!(json!(percentage(used, limit)).to_string(), percent);
        }
    }

    #[test]
    fn a_period_is_a_month_or_a_day() {
        assert_eq!(parse_period("2026-11"), Period::parse("202611"));
        assert_eq!(parse_period("2026-11-28"), Period::parse("20261128"));
        for wrong in ["2026", "2026-13", "2026/11", "x"] {
            assert_eq!(parse_period(wrong), None, "{wrong}");
        }
    }
}

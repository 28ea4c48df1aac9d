//! The audit: who changed what, newest first, over the months that are kept.

use gateway::Clock;
use serde_json::{Map, Value, json};
use tenants::{
    Action, AuditEntry, Author, BudgetPeriod, Listed, Period, Tenants, audit_month, rfc3339,
};

use crate::{
    admin::Admin,
    list_page::{PageRequest, decode_cursor, encode_cursor},
    problem::{AdminResult, Problem},
};

/// How many months back entries are looked for: they are kept for 400 days.
const MONTHS: usize = 14;

/// An entry as JSON.
pub fn audit_json(entry: &AuditEntry) -> Value {
    json!({
        "at": rfc3339(entry.at),
        "actor": entry.actor,
        "action": entry.action,
        "tenant_id": entry.tenant,
        "subject": entry.subject,
        "changes": entry.changes,
    })
}

impl Admin {
    /// Reads audit entries, newest first.
    pub async fn audit(&self, page: &PageRequest, clock: Clock) -> AdminResult<Listed<AuditEntry>> {
        let now = clock.now() / 1000;

        let (mut month, mut cursor) = match &page.cursor {
            Some(text) => {
                let place = decode_cursor(text)?;
                parse_cursor(&place)
                    .ok_or_else(|| Problem::field("cursor", "This is no cursor."))?
            }
            None => (audit_month(now), None),
        };
        let mut items = vec![];
        // Bounded: a gateway without any entry would search back for ever.
        for _ in 0..MONTHS {
            let left = page.limit - items.len();
            let found = self.tenants.audit(month, cursor.as_deref(), left, now).await?;
            items.extend(found.items);
            if let Some(last) = found.cursor {
                return Ok(Listed {
                    items,
                    cursor: Some(encode_cursor(&format!("{month}:{last}"))),
                });
            }
            // The partition of the month before is continued from its newest entry.
            (month, cursor) = (audit_month(month.start().saturating_sub(1)), None);
            // A page that is full exactly at the end of a month still has months before it.
            if items.len() == page.limit {
                return Ok(Listed { items, cursor: Some(encode_cursor(&format!("{month}:"))) });
            }
        }
        Ok(Listed { items, cursor: None })
    }
}

/// Keeps an entry about something that is no tenant.
pub(crate) async fn record(
    tenants: &Tenants,
    author: Author<'_>,
    (action, subject): (Action, &str),
    changes: Map<String, Value>,
) -> AdminResult<()> {
    tenants.record(&audit_entry(author, (action, subject), changes)).await?;
    Ok(())
}

/// An entry about something that is no tenant: an operator, a token, the configuration.
pub(crate) fn audit_entry(
    author: Author<'_>,
    (action, subject): (Action, &str),
    changes: Map<String, Value>,
) -> AuditEntry {
    AuditEntry {
        at: author.at,
        actor: author.name.to_owned(),
        action,
        tenant: String::new(),
        subject: Some(subject.to_owned()),
        changes,
    }
}

fn parse_cursor(text: &str) -> Option<(Period, Option<String>)> {
    let (month, place) = text.split_once(':')?;
    // Days are periods too, but no partitions of the audit.
    let month = Period::parse(month).filter(|it| it.length() == BudgetPeriod::Month)?;
    Some((month, Some(place.to_owned()).filter(|place| !place.is_empty())))
}

//! Audit: who changed what, from which value to which, without secrets.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use storage::{Row, StoreError};

use crate::{
    tenant_json::SECRET_FIELDS,
    window::{BudgetPeriod, DAY, Period},
};

/// How long an entry is kept, in seconds.
const KEPT_SECONDS: u64 = 400 * DAY;

/// What stands for a secret.
const REDACTED: &str = "[secret]";

/// Who makes a change, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Author<'a> {
    /// The operator's name.
    pub name: &'a str,
    /// The time, in seconds since 1970.
    pub at: u64,
}

/// What an operator did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Made a tenant.
    CreateTenant,
    /// Changed a tenant's settings.
    UpdateTenant,
    /// Removed a tenant with its keys.
    DeleteTenant,
    /// Made a key.
    CreateKey,
    /// Made a second key and gave the first one an end.
    RotateKey,
    /// Removed a key.
    RevokeKey,
    /// Corrected what a tenant has spent.
    Adjust,
    /// Made an operator.
    CreateOperator,
    /// Changed an operator's role or password.
    UpdateOperator,
    /// Removed an operator.
    DeleteOperator,
    /// Made a token of the admin API.
    CreateToken,
    /// Removed a token of the admin API.
    RevokeToken,
    /// Changed the configuration.
    UpdateConfiguration,
    /// Signed in, or was refused once too often.
    LogIn,
    /// Ended every session.
    LogOutEverywhere,
}

/// One change by an operator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// When, in seconds since 1970.
    pub at: u64,
    /// The operator's name.
    pub actor: String,
    /// What was done.
    pub action: Action,
    /// The id of the tenant that it was done to; empty where it was done to something else.
    pub tenant: String,
    /// What else it was done to: an operator, a token, the configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// What changed, by field.
    pub changes: Map<String, Value>,
}

impl AuditEntry {
    /// An entry about fields before and after a change. Only what differs is kept.
    pub(crate) fn comparing(
        author: Author<'_>,
        action: Action,
        tenant: &str,
        before: &Map<String, Value>,
        after: &Map<String, Value>,
    ) -> Self {
        let names = before.keys().chain(after.keys().filter(|name| !before.contains_key(*name)));
        let changes = names.filter(|name| before.get(*name) != after.get(*name)).map(|name| {
            let shown = |value: Option<&Value>| match value {
                Some(_) if SECRET_FIELDS.contains(&name.as_str()) => Value::from(REDACTED),
                Some(value) => value.clone(),
                None => Value::Null,
            };
            let change = serde_json::json!({
                "before": shown(before.get(name)), "after": shown(after.get(name))
            });
            (name.clone(), change)
        });
        let (actor, tenant) = (author.name.to_owned(), tenant.to_owned());
        Self { at: author.at, actor, action, tenant, subject: None, changes: changes.collect() }
    }

    /// The row of the entry; `unique` tells it from others of the same second.
    pub(crate) fn row(&self, unique: &str) -> Result<Row, StoreError> {
        let value = serde_json::to_string(self)
            .map_err(|cause| StoreError::new("writing an audit entry", cause))?;
        let month = Period::containing(self.at, BudgetPeriod::Month);
        Ok(Row {
            pk: audit_partition(month),
            // Eleven digits, so that the order of texts is the order of times.
            sk: format!("{:011}#{unique}", self.at),
            value,
            expires: Some(self.at + KEPT_SECONDS),
        })
    }
}

/// The partition of a month's entries.
pub(crate) fn audit_partition(month: Period) -> String {
    format!("audit#{month}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(value: &Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn an_entry_holds_what_differs_and_no_secret() {
        let before = object(&serde_json::json!({ "name": "a", "rate_limit_rpm": 5 }));
        let after = object(&serde_json::json!({ "name": "a", "provider_api_key": "sealed" }));
        let author = Author { name: "ann", at: 7 };
        let entry = AuditEntry::comparing(author, Action::UpdateTenant, "t", &before, &after);
        let changes = Value::Object(entry.changes);
        assert_eq!(
            changes,
            serde_json::json!({
                "rate_limit_rpm": { "before": 5, "after": null },
                "provider_api_key": { "before": null, "after": "[secret]" }
            })
        );
    }
}

//! Rows of tenants and keys: where each lies in the table and how it is read.
//!
//! | partition | key | holds |
//! | --- | --- | --- |
//! | `tenant#<id>` | `tenant` | a tenant: the note `json`, the number `version` |
//! | `tenant#<id>` | `key#<key id>` | a key, to list the tenant's keys |
//! | `tenant#<id>` | `revoked#<key id>` | nothing: the key was revoked a moment ago |
//! | `key#<hash>` | `key` | the same key, to find whose it is |
//! | `tenants` | `<id>` | the tenant's name, to list all tenants |
//! | `tenant-name#<name>` | `name` | whose name it is: the note `tenant`, the number `claimed_at` |
//! | `audit#<month>` | `<time>#<random>` | one change by an operator |
//! | `tenant#<id>` | `key-use#<key id>` | in the state table: when a key was last used |

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use storage::{Consistency, Row, StoreError, Table, Tallies};

use crate::{
    fields::FieldError,
    key::{ApiKey, KeyHash},
    tenant::{Tenant, TenantSettings},
};

pub(crate) const TENANT: &str = "tenant";
pub(crate) const TENANTS: &str = "tenants";
pub(crate) const KEY: &str = "key";
pub(crate) const NAME: &str = "name";
/// The note that holds a tenant.
pub(crate) const JSON: &str = "json";
/// The number that counts a tenant's changes.
pub(crate) const VERSION: &str = "version";
/// What the keys of a tenant's keys begin with.
pub(crate) const KEY_PREFIX: &str = "key#";

const REVOKED_PREFIX: &str = "revoked#";

/// How long it is remembered that a key was revoked, in seconds: longer than any change takes.
const REVOCATION_SECONDS: u64 = 24 * 60 * 60;

const KEY_USE_PREFIX: &str = "key-use#";

/// A tenant as its note holds it.
#[derive(Serialize, Deserialize)]
struct StoredTenant {
    created: u64,
    updated: u64,
    settings: Map<String, Value>,
}

pub(crate) fn tenant_partition(id: &str) -> String {
    format!("tenant#{id}")
}

pub(crate) fn name_partition(name: &str) -> String {
    format!("tenant-name#{name}")
}

pub(crate) fn key_by_hash(hash: &KeyHash) -> (String, &'static str) {
    (format!("key#{}", hash.as_str()), KEY)
}

/// Both rows of a key.
pub(crate) fn key_rows(key: &ApiKey) -> Result<[Row; 2], StoreError> {
    let value = serde_json::to_string(key).map_err(|cause| unwritable(cause.into()))?;
    let (by_hash, place) = key_by_hash(&key.hash);
    let row = |pk, sk, value| Row { pk, sk, value, expires: None };
    Ok([
        // Two rows: one is found by the key that a client sends, the other by the tenant that lists
        // it.
        row(by_hash, place.to_owned(), value.clone()),
        row(tenant_partition(&key.tenant), format!("{KEY_PREFIX}{}", key.id), value),
    ])
}

pub(crate) fn read_key(row: &Row) -> Result<ApiKey, StoreError> {
    serde_json::from_str(&row.value).map_err(|cause| StoreError::new("reading a key", cause))
}

/// The row that says that a key was revoked, for whoever changes the key at the same time.
pub(crate) fn revocation(key: &ApiKey, now: u64) -> Row {
    Row {
        pk: tenant_partition(&key.tenant),
        sk: format!("{REVOKED_PREFIX}{}", key.id),
        value: String::new(),
        expires: Some(now.saturating_add(REVOCATION_SECONDS)),
    }
}

/// The row that says when a key was last used.
pub(crate) fn last_use(key: &ApiKey, now: u64) -> Row {
    Row {
        pk: tenant_partition(&key.tenant),
        sk: format!("{KEY_USE_PREFIX}{}", key.id),
        value: now.to_string(),
        expires: None,
    }
}

/// The last use of each key of a tenant, by the key's id, in seconds since 1970.
pub(crate) async fn last_uses(
    state: &dyn Table,
    tenant: &str,
    now: u64,
) -> Result<Vec<(String, u64)>, StoreError> {
    let query = storage::Query::prefix(tenant_partition(tenant), KEY_USE_PREFIX, now);
    let rows = state.query(&query).await?.rows;
    let uses = rows.into_iter().filter_map(|row| {
        Some((row.sk.strip_prefix(KEY_USE_PREFIX)?.to_owned(), row.value.parse().ok()?))
    });
    Ok(uses.collect())
}

pub(crate) async fn read_tenant(
    table: &dyn Table,
    id: &str,
    consistency: Consistency,
    now: u64,
) -> Result<Option<Tenant>, StoreError> {
    let tallies = table.get_tallies(&tenant_partition(id), TENANT, consistency, now).await?;
    tallies.map_or(Ok(None), |tallies| tenant_of(id, &tallies))
}

/// The tenant that a row holds; none where the row is only a trace of a deleted one.
pub(crate) fn tenant_of(id: &str, tallies: &Tallies) -> Result<Option<Tenant>, StoreError> {
    let Some(text) = tallies.note(JSON) else { return Ok(None) };
    let stored: StoredTenant =
        serde_json::from_str(text).map_err(|cause| StoreError::new("reading a tenant", cause))?;
    let settings = TenantSettings::from_json(stored.settings)
        .map_err(|errors| StoreError::new("reading a tenant", listed(&errors)))?;
    Ok(Some(Tenant {
        id: id.to_owned(),
        settings,
        created: stored.created,
        updated: stored.updated,
        version: u64::try_from(tallies.number(VERSION)).unwrap_or(0),
    }))
}

/// The note that holds a tenant.
pub(crate) fn tenant_note(tenant: &Tenant) -> Result<String, StoreError> {
    let Tenant { created, updated, settings, .. } = tenant;
    let settings = settings.to_stored_json();
    let stored = StoredTenant { created: *created, updated: *updated, settings };
    serde_json::to_string(&stored).map_err(|cause| unwritable(cause.into()))
}

/// Problems in one line.
pub(crate) fn listed(errors: &[FieldError]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

fn unwritable(cause: Box<dyn std::error::Error + Send + Sync>) -> StoreError {
    StoreError::new("writing a tenant", cause)
}

//! The keys of a tenant: made, listed, rotated and revoked.

use serde_json::{Map, Value, json};
use storage::{Change, Consistency, Query, Row};

use crate::{
    audit::{Action, AuditEntry, Author},
    fields::FieldError,
    key::{ApiKey, IssuedKey, NewKey, issue},
    repository::{RepositoryError, RepositoryResult, Tenants, entry_row, no_randomness},
    rows,
    tenant::Tenant,
    tenant_json::is_key_prefix,
};

/// How many keys a tenant may have: a tenant and all its keys are removed in one transaction.
const MAX_KEYS: usize = 40;

impl Tenants {
    /// The keys of a tenant, oldest first, expired ones included.
    pub async fn keys(&self, tenant: &str, now: u64) -> RepositoryResult<Vec<ApiKey>> {
        let query = Query::prefix(rows::tenant_partition(tenant), rows::KEY_PREFIX, now);
        let found = self.table.query(&query).await?.rows;
        let mut keys = found.iter().map(rows::read_key).collect::<Result<Vec<_>, _>>()?;
        keys.sort_by(|one, other| (one.created, &one.id).cmp(&(other.created, &other.id)));
        Ok(keys)
    }

    /// Makes a key. Its text is in the returned value and nowhere else.
    pub async fn create_key(
        &self,
        tenant: &str,
        new: &NewKey,
        author: Author<'_>,
    ) -> RepositoryResult<IssuedKey> {
        let now = author.at;
        let tenant = self.get(tenant, now).await?;
        if MAX_KEYS <= self.keys(&tenant.id, now).await?.len() {
            return Err(invalid("keys", "A tenant has at most 40 keys; revoke one first."));
        }

        let issued = self.issue(&tenant, new, now)?;
        let after = shown(&issued.key);
        let entry =
            AuditEntry::comparing(author, Action::CreateKey, &tenant.id, &Map::new(), &after);
        let rows = rows::key_rows(&issued.key)?.map(Change::Put);
        let changes = [rows.as_slice(), &[entry_row(&entry)?]].concat();
        self.write(&changes).await?;
        Ok(issued)
    }

    /// Makes a key in the place of another one, the newest that works if none is named, which
    /// lives on for a grace period. A client that never saw the response rotates again.
    pub async fn rotate_key(
        &self,
        tenant: &str,
        key_id: Option<&str>,
        grace_seconds: u64,
        author: Author<'_>,
    ) -> RepositoryResult<IssuedKey> {
        let now = author.at;
        let tenant = self.get(tenant, now).await?;
        let keys = self.keys(&tenant.id, now).await?;
        let old = match key_id {
            Some(id) => keys.iter().find(|key| key.id == id),
            // A key in its grace period has an end already: the one without is meant.
            None => keys
                .iter()
                .filter(|key| key.works(now))
                .max_by_key(|key| (key.expires.is_none(), key.created)),
        };
        let Some(old) = old else {
            return Err(RepositoryError::NotFound);
        };
        let end = now.saturating_add(grace_seconds);
        let ending =
            // A rotation never prolongs a key that would have ended sooner.
            ApiKey { expires: Some(old.expires.map_or(end, |at| at.min(end))), ..old.clone() };
        let new =
            NewKey { name: old.name.clone(), prefix: Some(old.prefix.clone()), expires: None };
        let issued = self.issue(&tenant, &new, now)?;
        let entry = AuditEntry::comparing(
            author,
            Action::RotateKey,
            &tenant.id,
            &shown(old),
            &shown(&issued.key),
        );
        let mut changes = vec![entry_row(&entry)?];
        changes.extend(rows::key_rows(&ending)?.map(Change::Put));
        changes.extend(rows::key_rows(&issued.key)?.map(Change::Put));
        // Keys that ended are swept here, so that rotations never fill the tenant up.
        for ended in keys.iter().filter(|key| !key.works(now) && key.id != old.id) {
            changes.extend(deletions(ended)?);
        }
        self.write(&changes).await?;
        // The write puts back a key that was revoked since it was read.
        if self.is_revoked(old, now).await? {
            self.write(&deletions(old)?).await?;
        }
        Ok(issued)
    }

    /// Whether a key was revoked in the last minutes.
    async fn is_revoked(&self, key: &ApiKey, now: u64) -> RepositoryResult<bool> {
        let Row { pk, sk, .. } = rows::revocation(key, now);
        Ok(self.table.get(&pk, &sk, Consistency::Strong, now).await?.is_some())
    }

    /// Removes a key. Instances that know it may accept it for half a minute more.
    pub async fn revoke_key(
        &self,
        tenant: &str,
        key_id: &str,
        author: Author<'_>,
    ) -> RepositoryResult<()> {
        let keys = self.keys(tenant, author.at).await?;
        let Some(key) = keys.iter().find(|key| key.id == key_id) else {
            return Err(RepositoryError::NotFound);
        };
        let entry =
            AuditEntry::comparing(author, Action::RevokeKey, tenant, &shown(key), &Map::new());
        let mut changes = vec![entry_row(&entry)?];
        changes.extend(deletions(key)?);
        changes.push(Change::Put(rows::revocation(key, author.at)));
        self.write(&changes).await
    }

    /// When each key of a tenant was last used, by the key's id, in seconds since 1970, to within
    /// five minutes. `state` is the table that [`crate::KeyDirectory::note_use`] rows go to.
    pub async fn last_uses(
        &self,
        state: &dyn storage::Table,
        tenant: &str,
        now: u64,
    ) -> RepositoryResult<Vec<(String, u64)>> {
        Ok(rows::last_uses(state, tenant, now).await?)
    }

    fn issue(&self, tenant: &Tenant, new: &NewKey, now: u64) -> RepositoryResult<IssuedKey> {
        let prefix = new.prefix.as_deref().unwrap_or(&tenant.settings.key_prefix);
        if !is_key_prefix(prefix) {
            return Err(invalid("prefix", "A prefix has at most 16 letters, digits, `-` and `_`."));
        }
        issue(&tenant.id, prefix, new, now).ok_or_else(no_randomness)
    }
}

fn deletions(key: &ApiKey) -> RepositoryResult<Vec<Change>> {
    let rows = rows::key_rows(key)?.into_iter();
    Ok(rows.map(|row| Change::Delete { pk: row.pk, sk: row.sk }).collect())
}

/// A key as the audit shows it.
fn shown(key: &ApiKey) -> Map<String, Value> {
    let fields = [
        ("key_id", json!(key.id)),
        ("key_name", json!(key.name)),
        ("key_prefix", json!(key.prefix)),
        ("key_last_four", json!(key.last_four)),
    ];
    fields.into_iter().map(|(field, value)| (field.to_owned(), value)).collect()
}

fn invalid(field: &str, message: &str) -> RepositoryError {
    let (field, message) = (field.to_owned(), message.to_owned());
    RepositoryError::Invalid(vec![FieldError { field, message }])
}

//! The repository of tenants: what the admin API and the terminal do to them.
//!
//! A tenant is one row whose changes are conditional on its version, so that two operators never
//! undo each other unseen. Each change leaves an audit entry.

use std::{
    fmt,
    ops::Bound,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use serde_json::{Map, Value};
use storage::{Change, Condition, Consistency, Query, Row, StoreError, Table, Tallied, Tally};

use crate::{
    audit::{Action, AuditEntry, Author, audit_partition},
    fields::FieldError,
    key::random_id,
    patch::merge_patch,
    rows,
    tenant::{Tenant, TenantSettings},
    window::{BudgetPeriod, Period},
};

/// How often a change without an expected version is tried when others change the tenant.
const MAX_UPDATE_WRITES: usize = 5;

/// How long a name that no tenant bears stays taken, in seconds: its tenant may be about to be made.
const NAME_CLAIM_SECONDS: i64 = 60;

/// How many bytes an id or a name may have that a tenant is looked for by.
const MAX_ID_BYTES: usize = 256;

/// How many tenants or entries a page has at most.
const MAX_PAGE: usize = 100;

/// Why an operator's change was not made.
#[derive(Debug)]
pub enum RepositoryError {
    /// There is no such tenant or key: 404.
    NotFound,
    /// Another tenant has this name: 409.
    NameTaken,
    /// The tenant was changed since it was read: 412 where a version was expected, else 409.
    VersionConflict,
    /// Fields are wrong: 400.
    Invalid(Vec<FieldError>),
    /// The store failed: 503.
    Store(StoreError),
}

impl fmt::Display for RepositoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound => f.write_str("There is no such tenant or key."),
            Self::NameTaken => f.write_str("Another tenant has this name."),
            Self::VersionConflict => f.write_str("The tenant was changed since it was read."),
            Self::Invalid(errors) => f.write_str(&rows::listed(errors)),
            Self::Store(_) => f.write_str("The store cannot be reached."),
        }
    }
}

impl std::error::Error for RepositoryError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Store(cause) => Some(cause),
            Self::NotFound | Self::NameTaken | Self::VersionConflict | Self::Invalid(_) => None,
        }
    }
}

impl From<StoreError> for RepositoryError {
    fn from(cause: StoreError) -> Self {
        Self::Store(cause)
    }
}

/// What a change of the repository gives.
pub type RepositoryResult<T> = std::result::Result<T, RepositoryError>;

/// One page of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed<T> {
    /// The items.
    pub items: Vec<T>,
    /// Where the next page begins; absent at the end.
    pub cursor: Option<String>,
}

/// Where an audit entry is kept, for whoever has to take it back.
#[derive(Debug)]
pub struct KeptEntry {
    pk: String,
    sk: String,
}

/// Every tenant, over one table.
#[derive(Clone, Debug)]
pub struct Tenants {
    pub(crate) table: Arc<dyn Table>,
}

impl Tenants {
    /// The tenants in this table.
    pub fn new(table: Arc<dyn Table>) -> Self {
        Self { table }
    }

    /// Makes a tenant. Its first key is made by [`Tenants::create_key`].
    pub async fn create(
        &self,
        fields: Map<String, Value>,
        author: Author<'_>,
    ) -> RepositoryResult<Tenant> {
        let now = author.at;
        let settings = TenantSettings::from_json(fields).map_err(RepositoryError::Invalid)?;
        let id = random_id("t_").ok_or_else(no_randomness)?;
        let tenant = Tenant { id, settings, created: now, updated: now, version: 1 };
        // Before anything else: a name that is taken must leave no trace of a tenant.
        self.claim_name(&tenant.settings.name, &tenant.id, now).await?;

        let index = Row {
            pk: rows::TENANTS.to_owned(),
            sk: tenant.id.clone(),
            value: tenant.settings.name.clone(),
            expires: None,
        };
        let entry = AuditEntry::comparing(
            author,
            Action::CreateTenant,
            &tenant.id,
            &Map::new(),
            &tenant.settings.to_stored_json(),
        );
        let made = Tally {
            conditions: vec![Condition::Absent(rows::JSON.to_owned())],
            add: vec![(rows::VERSION.to_owned(), 1)],
            set: vec![(rows::JSON.to_owned(), rows::tenant_note(&tenant)?)],
            ..tenant_row(&tenant.id)
        };

        // The list first: a tenant that is listed and not there is skipped, one that is there and
        // not listed could never be found again.
        self.write(&[Change::Put(index), entry_row(&entry)?]).await?;
        self.table.tally(&made).await?;
        Ok(tenant)
    }

    /// Reads a tenant.
    pub async fn get(&self, id: &str, now: u64) -> RepositoryResult<Tenant> {
        let tenant = rows::read_tenant(&*self.table, id, Consistency::Strong, now).await?;
        tenant.ok_or(RepositoryError::NotFound)
    }

    /// Finds a tenant by its id, or by its name.
    pub async fn find(&self, id_or_name: &str, now: u64) -> RepositoryResult<Option<Tenant>> {
        let strong = Consistency::Strong;
        // A key of the store has to have bytes, and not too many.
        if id_or_name.is_empty() || MAX_ID_BYTES < id_or_name.len() {
            return Ok(None);
        }
        if let Some(found) = rows::read_tenant(&*self.table, id_or_name, strong, now).await? {
            return Ok(Some(found));
        }
        let claim = rows::name_partition(id_or_name);
        let claim = self.table.get_tallies(&claim, rows::NAME, strong, now).await?;
        let Some(id) = claim.as_ref().and_then(|claim| claim.note(rows::TENANT)) else {
            return Ok(None);
        };
        let found = rows::read_tenant(&*self.table, id, strong, now).await?;
        // The claim may be older than a rename, and names somebody else by now.
        Ok(found.filter(|tenant| tenant.settings.name == id_or_name))
    }

    /// Reads tenants in order of their ids, after a cursor.
    pub async fn list(
        &self,
        cursor: Option<&str>,
        limit: usize,
        now: u64,
    ) -> RepositoryResult<Listed<Tenant>> {
        let after = cursor.map_or(Bound::Unbounded, |cursor| Bound::Excluded(cursor.to_owned()));
        let limit = Some(limit.clamp(1, MAX_PAGE));
        let query = Query { start: after, limit, ..Query::partition(rows::TENANTS, now) };
        let page = self.table.query(&query).await?;
        let last = page.rows.last().map(|row| row.sk.clone());
        let mut items = vec![];
        for row in page.rows {
            // Read one by one: the list holds ids and names only, so that a change writes one row.
            items.extend(rows::read_tenant(&*self.table, &row.sk, Consistency::Strong, now).await?);
        }
        Ok(Listed { items, cursor: last.filter(|_| page.more) })
    }

    /// Changes a tenant by a JSON merge patch (RFC 7396). With an expected version, the change is
    /// made only if the tenant still has it.
    pub async fn update(
        &self,
        id: &str,
        patch: &Map<String, Value>,
        expected: Option<u64>,
        author: Author<'_>,
    ) -> RepositoryResult<Tenant> {
        for _ in 0..MAX_UPDATE_WRITES {
            let before = self.get(id, author.at).await?;
            if expected.is_some_and(|expected| expected != before.version) {
                return Err(RepositoryError::VersionConflict);
            }
            let mut fields = before.settings.to_stored_json();
            merge_patch(&mut fields, patch);
            let settings = TenantSettings::from_json(fields).map_err(RepositoryError::Invalid)?;
            // No new version and no entry in the audit for a change that changes nothing.
            if settings == before.settings {
                return Ok(before);
            }
            let version = before.version + 1;
            let after = Tenant { settings, updated: author.at, version, ..before.clone() };
            if self.replace(&before, &after, author).await? {
                return Ok(after);
            }
        }
        Err(RepositoryError::VersionConflict)
    }

    /// Lets a tenant's keys work, or not. With an expected version, only if the tenant still has it.
    pub async fn enable(
        &self,
        id: &str,
        enabled: Enabled,
        expected: Option<u64>,
        author: Author<'_>,
    ) -> RepositoryResult<Tenant> {
        let mut patch = Map::new();
        patch.insert("enabled".to_owned(), Value::Bool(enabled == Enabled::Yes));
        self.update(id, &patch, expected, author).await
    }

    /// Removes a tenant and its keys. The ledger's rows end by themselves.
    pub async fn delete(
        &self,
        id: &str,
        expected: Option<u64>,
        author: Author<'_>,
    ) -> RepositoryResult<()> {
        let tenant = self.get(id, author.at).await?;
        if expected.is_some_and(|expected| expected != tenant.version) {
            return Err(RepositoryError::VersionConflict);
        }
        let entry = AuditEntry::comparing(
            author,
            Action::DeleteTenant,
            id,
            &tenant.settings.to_stored_json(),
            &Map::new(),
        );
        let delete = |pk: String, sk: &str| Change::Delete { pk, sk: sk.to_owned() };
        // All in one write: a tenant without its keys could never be removed through its pages
        // again.
        let mut changes = vec![entry_row(&entry)?];
        for key in self.keys(id, author.at).await? {
            let rows = rows::key_rows(&key)?;
            changes.extend(rows.into_iter().map(|row| Change::Delete { pk: row.pk, sk: row.sk }));
        }
        changes.push(delete(rows::tenant_partition(id), rows::TENANT));
        changes.push(delete(rows::name_partition(&tenant.settings.name), rows::NAME));
        changes.push(delete(rows::TENANTS.to_owned(), id));
        self.write(&changes).await
    }

    /// Keeps an entry about a change that is made elsewhere, such as an adjustment.
    pub async fn record(&self, entry: &AuditEntry) -> RepositoryResult<KeptEntry> {
        let row = audit_row(entry)?;
        let kept = KeptEntry { pk: row.pk.clone(), sk: row.sk.clone() };
        self.write(&[Change::Put(row)]).await?;
        Ok(kept)
    }

    /// Takes back the entry about a change that was refused.
    pub async fn withdraw(&self, kept: KeptEntry) -> RepositoryResult<()> {
        let KeptEntry { pk, sk } = kept;
        self.write(&[Change::Delete { pk, sk }]).await
    }

    /// Reads a month's audit entries, newest first, before a cursor.
    pub async fn audit(
        &self,
        month: Period,
        cursor: Option<&str>,
        limit: usize,
        now: u64,
    ) -> RepositoryResult<Listed<AuditEntry>> {
        let before = cursor.map_or(Bound::Unbounded, |cursor| Bound::Excluded(cursor.to_owned()));
        let query = Query {
            end: before,
            order: storage::Order::Descending,
            limit: Some(limit.clamp(1, MAX_PAGE)),
            ..Query::partition(audit_partition(month), now)
        };
        let page = self.table.query(&query).await?;
        let last = page.rows.last().map(|row| row.sk.clone());
        let items = page.rows.iter().map(|row| {
            serde_json::from_str(&row.value)
                .map_err(|cause| StoreError::new("reading an audit entry", cause))
        });
        let items = items.collect::<Result<_, _>>()?;
        Ok(Listed { items, cursor: last.filter(|_| page.more) })
    }

    /// Puts a changed tenant in the place of what was read; `false` if it was changed meanwhile.
    async fn replace(
        &self,
        before: &Tenant,
        after: &Tenant,
        author: Author<'_>,
    ) -> RepositoryResult<bool> {
        let (old_name, name) = (&before.settings.name, &after.settings.name);
        // The new name is claimed before the change and the old one given up after it: no moment
        // without a name.
        if old_name != name {
            self.claim_name(name, &after.id, author.at).await?;
        }
        // Versions only grow, so "at most the version that was read" means "unchanged since".
        let unchanged =
            Condition::AtMost(rows::VERSION.to_owned(), crate::admission::signed(before.version));
        let change = Tally {
            conditions: vec![Condition::Present(rows::JSON.to_owned()), unchanged],
            add: vec![(rows::VERSION.to_owned(), 1)],
            set: vec![(rows::JSON.to_owned(), rows::tenant_note(after)?)],
            ..tenant_row(&after.id)
        };
        let entry = AuditEntry::comparing(
            author,
            Action::UpdateTenant,
            &after.id,
            &before.settings.to_stored_json(),
            &after.settings.to_stored_json(),
        );
        // The entry first: no change without one, whatever fails on the way.
        let kept = self.record(&entry).await?;
        if matches!(self.table.tally(&change).await?, Tallied::Refused(_)) {
            self.withdraw(kept).await?;
            return Ok(false);
        }

        if old_name != name {
            let (pk, sk) = (rows::name_partition(old_name), rows::NAME.to_owned());
            let old = Change::Delete { pk, sk };
            let (pk, sk, value) = (rows::TENANTS.to_owned(), after.id.clone(), name.clone());
            let new = Change::Put(Row { pk, sk, value, expires: None });
            // The change is made whatever becomes of this: a name that stays behind is borne by nobody,
            // and may be taken over.
            self.write(&[old, new]).await.ok();
        }
        Ok(true)
    }

    /// Takes a name for a tenant. A name whose tenant does not bear it is taken over.
    async fn claim_name(&self, name: &str, id: &str, now: u64) -> RepositoryResult<()> {
        let claimed_at = "claimed_at".to_owned();
        let now_signed = crate::admission::signed(now);
        let claim = |condition, add| Tally {
            pk: rows::name_partition(name),
            sk: rows::NAME.to_owned(),
            conditions: vec![condition],
            add: vec![(claimed_at.clone(), add)],
            set: vec![(rows::TENANT.to_owned(), id.to_owned())],
            ..Tally::default()
        };

        let first = claim(Condition::Absent(rows::TENANT.to_owned()), now_signed);
        let Tallied::Refused(taken) = self.table.tally(&first).await? else { return Ok(()) };
        let owner = taken.note(rows::TENANT).unwrap_or_default().to_owned();
        if owner == id {
            return Ok(());
        }
        let since = taken.number(&claimed_at);
        let bearer = rows::read_tenant(&*self.table, &owner, Consistency::Strong, now).await?;
        let is_borne = bearer.is_some_and(|tenant| tenant.settings.name == name);
        // A claim without its tenant is a creation under way, or one that died.
        if is_borne || now_signed <= since.saturating_add(NAME_CLAIM_SECONDS) {
            return Err(RepositoryError::NameTaken);
        }
        let takeover =
            claim(Condition::Is(rows::TENANT.to_owned(), owner), now_signed.saturating_sub(since));
        match self.table.tally(&takeover).await? {
            Tallied::Done(_) => Ok(()),
            Tallied::Refused(_) => Err(RepositoryError::NameTaken),
        }
    }

    pub(crate) async fn write(&self, changes: &[Change]) -> RepositoryResult<()> {
        Ok(self.table.write(changes).await?)
    }
}

/// Whether a tenant's keys are to work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enabled {
    /// The tenant's keys work.
    Yes,
    /// The tenant's keys do not work.
    No,
}

/// The write of an audit entry.
pub(crate) fn entry_row(entry: &AuditEntry) -> RepositoryResult<Change> {
    audit_row(entry).map(Change::Put)
}

/// The row of an audit entry. Entries that a process makes in one second keep their order.
fn audit_row(entry: &AuditEntry) -> RepositoryResult<Row> {
    static ENTRIES: AtomicU32 = AtomicU32::new(0);
    let number = ENTRIES.fetch_add(1, Ordering::Relaxed);
    let unique = random_id(&format!("{number:010}-")).ok_or_else(no_randomness)?;
    Ok(entry.row(&unique)?)
}

pub(crate) fn no_randomness() -> RepositoryError {
    RepositoryError::Store(StoreError::new("making an id", "the system has no randomness"))
}

/// The month whose audit holds a moment.
pub fn audit_month(now: u64) -> Period {
    Period::containing(now, BudgetPeriod::Month)
}

fn tenant_row(id: &str) -> Tally {
    let (pk, sk) = (rows::tenant_partition(id), rows::TENANT.to_owned());
    Tally { pk, sk, ..Tally::default() }
}

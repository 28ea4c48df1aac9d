//! Tenants and their keys, as operators see and change them.

use std::collections::BTreeMap;

use gateway::Clock;
use serde::Serialize;
use serde_json::{Map, Value, json};
use storage::Secret;
use tenants::{
    ApiKey, Author, DEFAULT_TENANT, Enabled, IssuedKey, NewKey, RepositoryError, Tenant,
    TenantSettings, check_tenant_name, is_tenant_id, rfc3339,
};

use crate::{
    admin::Admin,
    list_page::{MAX_PAGE_ITEMS, PageRequest},
    problem::{AdminResult, Problem, ProblemField, ProblemKind},
};

/// The field of a tenant that is sealed before it is stored.
const PROVIDER_KEY: &str = "provider_api_key";
/// The fields of a tenant that say where its provider's key goes.
const PROVIDER_PLACE: [&str; 2] = ["provider", "base_url"];
/// How long a rotated key lives on when nobody says otherwise, in seconds.
pub const DEFAULT_GRACE_SECONDS: u64 = 24 * 60 * 60;
/// How long a rotated key may live on, in seconds.
const MAX_GRACE_SECONDS: u64 = 90 * 24 * 60 * 60;

/// How many pages a list of names is made of at most: 2,000 tenants.
pub const MAX_TENANT_PAGES: usize = 20;

/// Where a tenant is declared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TenantSource {
    /// In the store, where operators change it.
    Store,
    /// In the configuration, which alone can change it.
    Configuration,
}

/// A tenant and where it is declared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantView {
    /// The tenant.
    pub tenant: Tenant,
    /// Where it is declared.
    pub source: TenantSource,
}

impl TenantView {
    /// The tenant as JSON, without secrets.
    pub fn to_json(&self) -> Value {
        let mut object = self.tenant.to_json();
        object.insert("source".to_owned(), json!(self.source));
        object.insert("version".to_owned(), json!(self.tenant.version));
        Value::Object(object)
    }
}

/// One page of tenants.
#[derive(Clone, Debug)]
pub struct TenantList {
    /// The tenants; those of the configuration stand on the first page.
    pub tenants: Vec<TenantView>,
    /// Where the next page begins; absent at the end.
    pub cursor: Option<String>,
}

impl TenantList {
    /// The names of the tenants by their ids.
    pub fn names(&self) -> BTreeMap<String, String> {
        let tenants = self.tenants.iter().map(|view| &view.tenant);
        tenants.map(|it| (it.id.clone(), it.settings.name.clone())).collect()
    }
}

/// A key without its text, and when it was last used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyView {
    /// The id.
    pub id: String,
    /// A name for the operator.
    pub name: String,
    /// What the key begins with; empty for a key of the configuration.
    pub prefix: String,
    /// The last characters of the key; empty for a key of the configuration, which may be so short that
    /// they give it away.
    pub last_four: String,
    /// When the key was made, in seconds since 1970; absent for a key of the configuration.
    pub created: Option<u64>,
    /// From when on the key does not work any more, in seconds since 1970. Absent: never.
    pub expires: Option<u64>,
    /// When the key was last used, to within five minutes, in seconds since 1970; never kept for a key of
    /// the configuration.
    pub last_used: Option<u64>,
    /// Whether the key has not expired and, in the configuration, can be read.
    pub works: bool,
}

impl KeyView {
    /// A key that was issued.
    pub(crate) fn issued(key: ApiKey, last_used: Option<u64>, now: u64) -> Self {
        Self {
            works: key.works(now),
            id: key.id,
            name: key.name,
            prefix: key.prefix,
            last_four: key.last_four,
            created: Some(key.created),
            expires: key.expires,
            last_used,
        }
    }

    /// The key as JSON, without its text and its hash.
    pub fn to_json(&self) -> Value {
        json!({
            "id": self.id,
            "name": self.name,
            "prefix": self.prefix,
            "last_four": self.last_four,
            "created_at": self.created.map(rfc3339),
            "expires_at": self.expires.map(rfc3339),
            "last_used_at": self.last_used.map(rfc3339),
            "active": self.works,
        })
    }
}

impl Admin {
    /// Reads tenants in order of their ids. Those of the configuration come first.
    pub async fn list_tenants(&self, page: &PageRequest, clock: Clock) -> AdminResult<TenantList> {
        let now = clock.now() / 1000;
        let mut tenants = vec![];
        // Any text has a place among the ids; a list that begins there would look like an empty one.
        if page.cursor.as_deref().is_some_and(|cursor| !is_tenant_id(cursor)) {
            return Err(Problem::field("cursor", "This is no cursor."));
        }
        // They are few and have no order among the ids, so that they need no place in cursors.
        if page.cursor.is_none() {
            tenants = self.declared_tenants(clock).await?;
        }
        let stored = self.tenants.list(page.cursor.as_deref(), page.limit, now).await?;
        let view = |tenant| TenantView { tenant, source: TenantSource::Store };
        tenants.extend(stored.items.into_iter().map(view));
        Ok(TenantList { tenants, cursor: stored.cursor })
    }

    /// Lists the first tenants, as many as a list of names may have; the cursor says whether there are
    /// others.
    pub async fn first_tenants(&self, clock: Clock) -> AdminResult<TenantList> {
        let mut page = PageRequest { limit: MAX_PAGE_ITEMS, ..PageRequest::default() };
        let mut tenants = vec![];
        for _ in 0..MAX_TENANT_PAGES {
            let list = self.list_tenants(&page, clock).await?;
            tenants.extend(list.tenants);
            page.cursor = list.cursor;
            if page.cursor.is_none() {
                break;
            }
        }
        Ok(TenantList { tenants, cursor: page.cursor })
    }

    /// Reads a tenant by its id, or by its name.
    pub async fn tenant(&self, id: &str, clock: Clock) -> AdminResult<TenantView> {
        let declared = self.declared_tenants(clock).await?;

        if let Some(found) = declared.into_iter().find(|view| view.tenant.id == id) {
            return Ok(found);
        }
        let tenant = self.stored_tenant(id, clock).await?;
        Ok(TenantView { tenant, source: TenantSource::Store })
    }

    /// Makes a tenant and its first key.
    pub async fn create_tenant(
        &self,
        mut fields: Map<String, Value>,
        author: Author<'_>,
        clock: Clock,
    ) -> AdminResult<(Tenant, IssuedKey)> {
        self.check_name(&fields, None, clock).await?;
        self.check_provider(&fields, clock).await?;
        let provider_key = fields.remove(PROVIDER_KEY);
        if provider_key.as_ref().is_some_and(|it| !it.is_null())
            && PROVIDER_PLACE.iter().all(|field| !is_given(&fields, field))
        {
            let message = "A key needs a `provider` or a `base_url` that it is for.";
            return Err(Problem::field(PROVIDER_KEY, message));
        }
        if let Some(provider_key) = &provider_key {
            // Before the first write: a tenant must not stay behind that was refused.
            provider_key_text(provider_key)?;
        }
        let mut tenant = self.tenants.create(fields, author).await?;
        if let Some(provider_key) = provider_key {
            // A seal opens for one tenant alone, so that the tenant has to be there first.
            let patch = Map::from_iter([(PROVIDER_KEY.to_owned(), provider_key)]);
            let patch = self.sealed(&tenant.id, patch)?;
            tenant = self.tenants.update(&tenant.id, &patch, None, author).await?;
        }

        let key = self.tenants.create_key(&tenant.id, &NewKey::default(), author).await?;
        Ok((tenant, key))
    }

    /// Changes what a patch names (RFC 7396). With an expected version, only if the tenant still
    /// has it.
    #[expect(
        clippy::too_many_arguments,
        reason = "who changes what, to what, on which condition, and when"
    )]
    pub async fn update_tenant(
        &self,
        id: &str,
        patch: Map<String, Value>,
        expected: Option<u64>,
        author: Author<'_>,
        clock: Clock,
    ) -> AdminResult<Tenant> {
        let tenant = self.stored_tenant(id, clock).await?;
        self.check_name(&patch, Some(&tenant.settings.name), clock).await?;
        self.check_provider(&patch, clock).await?;
        check_moved_key(&tenant, &patch)?;
        let id = tenant.id;

        let patch = self.sealed(&id, patch)?;
        let tenant = self.tenants.update(&id, &patch, expected, author).await;
        // Also after a failure, since the change may be made all the same. Only in this process: others
        // see the change when their own copy has aged.
        self.gateway.forget_tenant(&id);
        Ok(tenant?)
    }

    /// Lets a tenant's keys work, or not. With an expected version, only if the tenant still has it.
    #[expect(
        clippy::too_many_arguments,
        reason = "who changes what, to what, on which condition, and when"
    )]
    pub async fn enable_tenant(
        &self,
        id: &str,
        enabled: Enabled,
        expected: Option<u64>,
        author: Author<'_>,
        clock: Clock,
    ) -> AdminResult<Tenant> {
        let id = self.stored_tenant(id, clock).await?.id;
        let tenant = self.tenants.enable(&id, enabled, expected, author).await;
        self.gateway.forget_tenant(&id);
        Ok(tenant?)
    }

    /// Removes a tenant and its keys.
    pub async fn delete_tenant(
        &self,
        id: &str,
        expected: Option<u64>,
        author: Author<'_>,
        clock: Clock,
    ) -> AdminResult<()> {
        let id = self.stored_tenant(id, clock).await?.id;
        let deleted = self.tenants.delete(&id, expected, author).await;
        // In other processes its keys work until their own copy has aged.
        self.gateway.forget_tenant(&id);
        Ok(deleted?)
    }

    /// The keys of a tenant, oldest first, expired ones included.
    pub async fn keys(&self, id: &str, clock: Clock) -> AdminResult<Vec<KeyView>> {
        let TenantView { tenant: Tenant { id, .. }, source } = self.tenant(id, clock).await?;
        if source == TenantSource::Configuration {
            return Ok(self.declared_keys(&id, clock).await);
        }
        let now = clock.now() / 1000;
        let keys = self.tenants.keys(&id, now).await?;
        // In the other table, which every call may write without touching the key's row.
        let uses = self.tenants.last_uses(&*self.stores.state, &id, now).await?;
        let view = |key: ApiKey| {
            let used = uses.iter().find(|(used, _)| *used == key.id).map(|(_, at)| *at);
            KeyView::issued(key, used, now)
        };
        Ok(keys.into_iter().map(view).collect())
    }

    /// Makes a key. Its text is in the returned value and nowhere else.
    pub async fn create_key(
        &self,
        id: &str,
        new: &NewKey,
        author: Author<'_>,
        clock: Clock,
    ) -> AdminResult<IssuedKey> {
        let id = self.stored_tenant(id, clock).await?.id;
        Ok(self.tenants.create_key(&id, new, author).await?)
    }

    /// Makes a key in the place of another one, the newest that works if none is named, which lives
    /// on for a grace period in seconds.
    #[expect(
        clippy::too_many_arguments,
        reason = "who changes what, to what, on which condition, and when"
    )]
    pub async fn rotate_key(
        &self,
        id: &str,
        key: Option<&str>,
        grace_seconds: u64,
        author: Author<'_>,
        clock: Clock,
    ) -> AdminResult<IssuedKey> {
        if MAX_GRACE_SECONDS < grace_seconds {
            return Err(Problem::field("grace_seconds", "A key lives on for 90 days at most."));
        }
        let id = self.stored_tenant(id, clock).await?.id;
        let issued = self.tenants.rotate_key(&id, key, grace_seconds, author).await;

        self.gateway.forget_tenant(&id);
        Ok(issued?)
    }

    /// Removes a key.
    pub async fn revoke_key(
        &self,
        id: &str,
        key: &str,
        author: Author<'_>,
        clock: Clock,
    ) -> AdminResult<()> {
        let id = self.stored_tenant(id, clock).await?.id;
        let revoked = self.tenants.revoke_key(&id, key, author).await;
        self.gateway.forget_tenant(&id);
        Ok(revoked?)
    }

    /// The tenants of the configuration, `default` first where there is such a key.
    async fn declared_tenants(&self, clock: Clock) -> AdminResult<Vec<TenantView>> {
        // Without a configuration there are those of the store alone.
        let Ok(snapshot) = self.gateway.snapshot(clock).await else { return Ok(vec![]) };
        let config = &snapshot.config;
        let default = config.api_key.iter().map(|_| Tenant::unlimited());
        let declared = config.tenants.iter().map(|it| Tenant::declared(it.settings.clone()));
        let view = |tenant| TenantView { tenant, source: TenantSource::Configuration };
        Ok(default.chain(declared).map(view).collect())
    }

    /// A tenant that operators may change, by its id or its name.
    async fn stored_tenant(&self, id: &str, clock: Clock) -> AdminResult<Tenant> {
        // First, as a reading finds it: a stored tenant of the same name has its id.
        if self.declared_tenants(clock).await?.iter().any(|it| it.tenant.id == id) {
            let detail = "This tenant is declared in the configuration, which alone changes it.";
            return Err(Problem::new(ProblemKind::Conflict, detail));
        }
        let found = self.tenants.find(id, clock.now() / 1000).await?;
        found.ok_or_else(|| Problem::not_found("tenant"))
    }

    /// Whether a tenant may have the name that its fields give it, and that it has not already.
    async fn check_name(
        &self,
        fields: &Map<String, Value>,
        present: Option<&str>,
        clock: Clock,
    ) -> AdminResult<()> {
        let name = fields.get("name").and_then(Value::as_str);
        let Some(name) = name.filter(|name| Some(*name) != present) else { return Ok(()) };
        let declared = self.declared_tenants(clock).await?;
        // Records name tenants by these, so that two of one name would share their usage.
        if name == DEFAULT_TENANT || declared.iter().any(|view| view.tenant.id == name) {
            return Err(RepositoryError::NameTaken.into());
        }
        let Err(rule) = check_tenant_name(name) else { return Ok(()) };
        let mut problems = match present {
            // With everything else that is wrong with a new tenant.
            None => TenantSettings::from_json(fields.clone()).err().unwrap_or_default(),
            Some(_) => vec![],
        };
        problems.retain(|problem| problem.field != "name");
        let problems = problems.into_iter().map(Into::into);
        let name = ProblemField::new("name", format!("This {rule}."));
        Err(Problem::fields(std::iter::once(name).chain(problems).collect()))
    }

    /// Whether a tenant's own provider is one of the configuration, or a type.
    async fn check_provider(&self, fields: &Map<String, Value>, clock: Clock) -> AdminResult<()> {
        let Some(name) = fields.get("provider").and_then(Value::as_str) else { return Ok(()) };
        let is_type = gateway::kinds().iter().any(|kind| kind.name == name);
        let snapshot = self.gateway.snapshot(clock).await.ok();
        let is_configured =
            snapshot.is_some_and(|it| it.config.providers.iter().any(|it| it.name == name));
        if is_type || is_configured {
            return Ok(());
        }
        let message = "This is neither a provider of the configuration nor a type of provider.";
        Err(Problem::field("provider", message))
    }

    /// The patch with the provider's key sealed for its tenant.
    fn sealed(
        &self,
        tenant: &str,
        mut patch: Map<String, Value>,
    ) -> AdminResult<Map<String, Value>> {
        if let Some(value) = patch.get_mut(PROVIDER_KEY)
            && let Some(text) = provider_key_text(value)?
        {
            // Sealed under the tenant's id: a row that is copied to another tenant does not open.
            *value = Value::String(self.seal(tenant, &Secret::new(text))?);
        }
        Ok(patch)
    }
}

/// The text of a provider's key; none for null, which removes the key, as RFC 7396 has it.
fn provider_key_text(value: &Value) -> AdminResult<Option<&str>> {
    if value.is_null() {
        return Ok(None);
    }
    let text = value.as_str().filter(|text| !text.is_empty());
    let message = "This must be a text that is not empty.";
    text.map(Some).ok_or_else(|| Problem::field(PROVIDER_KEY, message))
}

fn is_given(fields: &Map<String, Value>, field: &str) -> bool {
    fields.get(field).is_some_and(|value| !value.is_null())
}

/// Refuses to send a stored key elsewhere: whoever names another place for it has to know it.
fn check_moved_key(tenant: &Tenant, patch: &Map<String, Value>) -> AdminResult<()> {
    let provider = &tenant.settings.provider;
    if provider.sealed_api_key.is_none() || patch.contains_key(PROVIDER_KEY) {
        return Ok(());
    }
    let stored = [provider.name.as_deref(), provider.base_url.as_deref()];
    let mut places = PROVIDER_PLACE.iter().zip(stored);
    let is_moved = places
        .any(|(field, stored)| patch.get(*field).is_some_and(|value| value.as_str() != stored));
    if is_moved {
        let message = "The key has to be given again where `provider` or `base_url` changes.";
        return Err(Problem::field(PROVIDER_KEY, message));
    }
    Ok(())
}

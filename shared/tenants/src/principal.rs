//! Principals: the tenant and key that a call was authenticated as.

use std::sync::Arc;

use crate::{
    key::{ApiKey, KeyHash},
    tenant::{Tenant, TenantSettings},
};

/// How many characters of its hash tell a configured key from others in records.
const KEY_ID_CHARS: usize = 12;

/// The tenant and key that a call was authenticated as.
#[derive(Clone, Debug)]
pub struct Principal {
    /// The tenant.
    pub tenant: Arc<Tenant>,
    /// How the caller proved to be the tenant.
    pub credential: Credential,
}

/// How a caller proved to be a tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// By a key that was issued.
    Issued(Arc<ApiKey>),
    /// By a key in the configuration.
    Configured(ConfiguredKey),
    /// By nothing: the gateway is open.
    Open,
}

impl Principal {
    /// Everybody, where the gateway is open.
    pub fn open() -> Self {
        Self { tenant: Arc::new(Tenant::unlimited()), credential: Credential::Open }
    }

    /// The id of the key, for records: of a key in the configuration its name, or else the beginning
    /// of its hash; empty where none was needed.
    pub fn key_id(&self) -> &str {
        match &self.credential {
            Credential::Issued(key) => &key.id,
            Credential::Configured(key) => key.id(),
            Credential::Open => "",
        }
    }
}

/// A key in the configuration, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfiguredKey {
    pub(crate) hash: KeyHash,
    pub(crate) tenant: Arc<Tenant>,
    name: Option<String>,
    expires: Option<u64>,
}

impl ConfiguredKey {
    /// The configuration's own `api_key`: the tenant `default`, without limits.
    pub fn default_tenant(key: &str) -> Self {
        Self::new(KeyHash::of(key), Tenant::unlimited())
    }

    /// A key of a tenant under `tenants:`, by its hash.
    pub fn declared(hash: KeyHash, settings: TenantSettings) -> Self {
        Self::new(hash, Tenant::declared(settings))
    }

    fn new(hash: KeyHash, tenant: Tenant) -> Self {
        Self { hash, tenant: Arc::new(tenant), name: None, expires: None }
    }

    /// The same key with a name for records, and with the second since 1970 from which on it does not
    /// work.
    #[must_use]
    pub fn known_as(self, name: Option<String>, expires: Option<u64>) -> Self {
        Self { name, expires, ..self }
    }

    /// Whether the key has not expired.
    pub fn works(&self, now: u64) -> bool {
        self.expires.is_none_or(|expires| now < expires)
    }

    /// The id of the key in records: its name, or else the beginning of its hash.
    pub fn id(&self) -> &str {
        let digits = || self.hash.as_str().get(..KEY_ID_CHARS).unwrap_or_default();
        self.name.as_deref().unwrap_or_else(digits)
    }
}

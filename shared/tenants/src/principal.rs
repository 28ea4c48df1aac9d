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
    /// By the key in the configuration that has this hash.
    Configured(KeyHash),
    /// By nothing: the gateway is open.
    Open,
}

impl Principal {
    /// Everybody, where the gateway is open.
    pub fn open() -> Self {
        Self { tenant: Arc::new(Tenant::unlimited()), credential: Credential::Open }
    }

    /// The id of the key, for records: the beginning of its hash where none was issued, and empty
    /// where none was needed.
    pub fn key_id(&self) -> &str {
        match &self.credential {
            Credential::Issued(key) => &key.id,
            Credential::Configured(hash) => hash.as_str().get(..KEY_ID_CHARS).unwrap_or_default(),
            Credential::Open => "",
        }
    }
}

/// A key in the configuration, and whose it is.
#[derive(Clone, Debug)]
pub struct ConfiguredKey {
    pub(crate) hash: KeyHash,
    pub(crate) tenant: Arc<Tenant>,
}

impl ConfiguredKey {
    /// The configuration's own `api_key`: the tenant `default`, without limits.
    pub fn default_tenant(key: &str) -> Self {
        Self { hash: KeyHash::of(key), tenant: Arc::new(Tenant::unlimited()) }
    }

    /// A key of a tenant under `tenants:`, by its hash.
    pub fn declared(hash: KeyHash, settings: TenantSettings) -> Self {
        Self { hash, tenant: Arc::new(Tenant::declared(settings)) }
    }
}

//! Principals: the tenant and key that a call was authenticated as.

use std::sync::Arc;

use crate::{
    key::{ApiKey, KeyHash},
    tenant::{Tenant, TenantSettings},
};

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
    Configured,
    /// By nothing: the gateway is open.
    Open,
}

impl Principal {
    /// Everybody, where the gateway is open.
    pub fn open() -> Self {
        Self { tenant: Arc::new(Tenant::unlimited()), credential: Credential::Open }
    }

    /// The id of the key, for records; absent where none was issued.
    pub fn key_id(&self) -> Option<&str> {
        match &self.credential {
            Credential::Issued(key) => Some(&key.id),
            Credential::Configured | Credential::Open => None,
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

    /// Whether a client sends this key.
    pub fn is_key(&self, sent: &str) -> bool {
        self.hash.matches(&KeyHash::of(sent))
    }

    /// A key of a tenant under `tenants:`, by its hash.
    pub fn declared(hash: KeyHash, settings: TenantSettings) -> Self {
        Self { hash, tenant: Arc::new(Tenant::declared(settings)) }
    }
}

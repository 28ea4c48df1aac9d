//! The keys of the tenants that the configuration declares, as operators see them.

use config::{DeclaredKey, KeySource, SecretSource};
use gateway::{Clock, Snapshot};
use tenants::{ConfiguredKey, DEFAULT_TENANT, KeyHash, TenantSettings};

use crate::{admin::Admin, tenant_operations::KeyView};

impl Admin {
    /// The keys of a declared tenant, in the order of the configuration.
    pub(crate) async fn declared_keys(&self, tenant: &str, clock: Clock) -> Vec<KeyView> {
        let Ok(snapshot) = self.gateway.snapshot(clock).await else { return vec![] };
        let (config, now) = (&snapshot.config, clock.now() / 1000);
        if tenant == DEFAULT_TENANT {
            let key = |source: &SecretSource| DeclaredKey {
                source: KeySource::Secret(source.clone()),
                name: None,
                expires: None,
            };
            return config.api_key.iter().map(|it| view(&key(it), &snapshot, now)).collect();
        }
        let declared = config.tenants.iter().find(|it| it.settings.name == tenant);
        let keys = declared.into_iter().flat_map(|it| &it.keys);
        keys.map(|key| view(key, &snapshot, now)).collect()
    }
}

fn view(key: &DeclaredKey, snapshot: &Snapshot, now: u64) -> KeyView {
    let hash = match &key.source {
        KeySource::Secret(source) => snapshot.secret(source).map(|it| KeyHash::of(it.expose())),
        KeySource::Hash(hash) => Some(hash.clone()),
    };
    let known = hash.map(|hash| {
        let key_of_nobody = ConfiguredKey::declared(hash, TenantSettings::named(""));
        key_of_nobody.known_as(key.name.clone(), key.expires)
    });
    KeyView {
        id: known.as_ref().map_or_else(String::new, |it| it.id().to_owned()),
        name: key.name.clone().unwrap_or_default(),
        prefix: String::new(),
        last_four: String::new(),
        created: None,
        expires: key.expires,
        last_used: None,
        works: known.is_some_and(|it| it.works(now)),
    }
}

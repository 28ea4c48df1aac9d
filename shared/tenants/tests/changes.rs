//! Changes by operators that meet one another, or that fail in the middle.
#![expect(clippy::unwrap_used, reason = "a broken setup should stop the test")]

#[path = "support/pausing.rs"]
mod pausing;

use std::sync::Arc;

use canonical::ErrorKind;
use pausing::PausingTable;
use serde_json::{Map, Value, json};
use tenants::{Author, IssuedKey, KeyDirectory, NewKey, Tenant, Tenants};

const NOW: u64 = 1_795_860_000;
const ANN: Author<'static> = Author { name: "ann", at: NOW };

struct Office {
    table: Arc<PausingTable>,
    tenants: Tenants,
    directory: KeyDirectory,
}

impl Office {
    fn new() -> Self {
        let table = PausingTable::new();
        let directory = KeyDirectory::new(Arc::clone(&table) as _);
        Self { tenants: Tenants::new(Arc::clone(&table) as _), table, directory }
    }

    async fn tenant_with_key(&self) -> (Tenant, IssuedKey) {
        let tenant = self.tenants.create(object(&json!({ "name": "one" })), ANN).await.unwrap();
        let key = self.tenants.create_key(&tenant.id, &NewKey::default(), ANN).await.unwrap();
        (tenant, key)
    }

    async fn revoke(&self, key: &IssuedKey) {
        self.tenants.revoke_key(&key.key.tenant, &key.key.id, ANN).await.unwrap();
        self.directory.forget(&key.key.tenant);
    }

    /// Whether a key works, or the kind of the error.
    async fn opens(&self, key: &IssuedKey) -> Result<(), ErrorKind> {
        let principal = self.directory.authenticate(&[key.secret.expose()], &[], NOW).await;
        principal.map(drop).map_err(|error| error.kind)
    }
}

fn object(value: &Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

#[tokio::test]
async fn a_key_that_is_revoked_while_it_is_rotated_stays_revoked() {
    let office = Office::new();
    let (tenant, key) = office.tenant_with_key().await;
    let pause = office.table.pause_next();
    let rotate = office.tenants.rotate_key(&tenant.id, Some(&key.key.id), 3_600, ANN);
    let revoke = async {
        office.revoke(&key).await;
        pause.notify_one();
    };
    let (issued, ()) = tokio::join!(rotate, revoke);
    assert_eq!(office.opens(&key).await, Err(ErrorKind::Unauthenticated));
    assert_eq!(office.opens(&issued.unwrap()).await, Ok(()));
    assert_eq!(office.tenants.keys(&tenant.id, NOW).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_key_that_is_revoked_while_it_is_looked_up_works_no_longer_than_that() {
    let office = Office::new();
    let (_, key) = office.tenant_with_key().await;
    let pause = office.table.pause_next();
    let revoke = async {
        office.revoke(&key).await;
        pause.notify_one();
    };
    let (under_way, ()) = tokio::join!(office.opens(&key), revoke);
    assert_eq!(under_way, Ok(()));
    assert_eq!(office.opens(&key).await, Err(ErrorKind::Unauthenticated));
}

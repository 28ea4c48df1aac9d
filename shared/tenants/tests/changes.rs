//! Changes by operators that meet one another, or that fail in the middle.
#![expect(clippy::unwrap_used, reason = "a broken setup should stop the test")]

#[path = "support/pausing.rs"]
mod pausing;

use std::sync::Arc;

use canonical::ErrorKind;
use pausing::PausingTable;
use serde_json::{Map, Value, json};
use tenants::{
    Action, Author, IssuedKey, KeyDirectory, NewKey, RepositoryError, Tenant, Tenants, audit_month,
};

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

/// The actions in the audit, newest first.
async fn entries(office: &Office) -> Vec<Action> {
    let page = office.tenants.audit(audit_month(NOW), None, 100, NOW).await.unwrap();
    page.items.iter().map(|entry| entry.action).collect()
}

#[tokio::test]
async fn a_change_that_fails_in_the_middle_leaves_its_entry() {
    let patch = object(&json!({ "budget_usd": 5 }));
    // An entry and then the change; both; neither.
    for (writes, is_changed, has_entry) in [(1, false, true), (2, true, true), (0, false, false)] {
        let office = Office::new();
        let (tenant, _) = office.tenant_with_key().await;
        office.table.fail_after(writes);
        let updated = office.tenants.update(&tenant.id, &patch, None, ANN).await;
        assert_eq!(updated.is_ok(), is_changed, "after {writes}");
        let after = office.tenants.get(&tenant.id, NOW).await.unwrap();
        assert_eq!(after.settings.budget.amount.is_some(), is_changed, "after {writes}");
        let has = entries(&office).await.contains(&Action::UpdateTenant);
        assert_eq!(has, has_entry, "after {writes}");
    }
}

#[tokio::test]
async fn a_change_that_is_refused_leaves_no_entry() {
    let office = Office::new();
    let (tenant, _) = office.tenant_with_key().await;
    let (slow, fast) = (object(&json!({ "budget_usd": 5 })), object(&json!({ "enabled": false })));
    let pause = office.table.pause_next();
    let second = async {
        office.tenants.update(&tenant.id, &fast, None, ANN).await.unwrap();
        pause.notify_one();
    };
    let (first, ()) = tokio::join!(office.tenants.update(&tenant.id, &slow, Some(1), ANN), second);
    assert!(matches!(first, Err(RepositoryError::VersionConflict)), "{first:?}");
    let updates = entries(&office).await;
    assert_eq!(updates.iter().filter(|it| **it == Action::UpdateTenant).count(), 1);
}

#[tokio::test]
async fn a_rename_is_made_even_if_the_old_name_cannot_be_given_up() {
    let office = Office::new();
    let (tenant, _) = office.tenant_with_key().await;
    // The claim, the entry, and the change.
    office.table.fail_after(3);
    let patch = object(&json!({ "name": "two" }));
    office.tenants.update(&tenant.id, &patch, None, ANN).await.unwrap();
    office.table.fail_after(usize::MAX);
    assert!(office.tenants.find("one", NOW).await.unwrap().is_none());
    let later = Author { name: "ann", at: NOW + 3_600 };
    let again = office.tenants.create(object(&json!({ "name": "one" })), later).await.unwrap();
    assert_ne!(again.id, tenant.id);
}

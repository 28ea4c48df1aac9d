//! Keys and tenants: made, found, changed, rotated and revoked, with the store up and down.
#![expect(clippy::unwrap_used, reason = "a broken setup should stop the test")]

#[path = "support/unplugged.rs"]
mod unplugged;

use std::sync::Arc;

use canonical::ErrorKind;
use serde_json::{Map, Value, json};
use tenants::{
    Action, Author, ConfiguredKey, Credential, Enabled, IssuedKey, KeyDirectory, KeyHash, NewKey,
    RepositoryError, Tenant, TenantSettings, Tenants, audit_month,
};
use unplugged::Unpluggable;

const NOW: u64 = 1_795_860_000;

struct Office {
    table: Arc<Unpluggable>,
    tenants: Tenants,
    directory: KeyDirectory,
    configured: Vec<ConfiguredKey>,
}

impl Office {
    fn new() -> Self {
        let table = Unpluggable::new();
        let configured = vec![
            ConfiguredKey::default_tenant("configured"),
            ConfiguredKey::declared(KeyHash::of("declared"), TenantSettings::named("yaml")),
        ];
        let directory = KeyDirectory::new(Arc::clone(&table) as _);
        let tenants = Tenants::new(Arc::clone(&table) as _);
        Self { table, tenants, directory, configured }
    }

    async fn create(&self, fields: Value) -> Result<Tenant, RepositoryError> {
        self.tenants.create(object(&fields), ann(NOW)).await
    }

    async fn tenant_with_key(&self) -> (Tenant, IssuedKey) {
        let tenant = self.create(json!({ "name": "one" })).await.unwrap();
        let key = self.key(&tenant, NewKey::default()).await;
        (tenant, key)
    }

    async fn key(&self, tenant: &Tenant, new: NewKey) -> IssuedKey {
        self.tenants.create_key(&tenant.id, &new, ann(NOW)).await.unwrap()
    }

    /// The tenant that a key opens, or the kind of the error.
    async fn opens(&self, key: &str, now: u64) -> Result<String, ErrorKind> {
        let principal = self.directory.authenticate(&[key], &self.configured, now).await;
        principal.map(|it| it.tenant.id.clone()).map_err(|error| error.kind)
    }
}

fn ann(at: u64) -> Author<'static> {
    Author { name: "ann", at }
}

fn bob(at: u64) -> Author<'static> {
    Author { name: "bob", at }
}

fn object(value: &Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

#[tokio::test]
async fn an_issued_key_opens_its_tenant_and_no_other_text_does() {
    let office = Office::new();
    let (tenant, issued) = office.tenant_with_key().await;
    let text = issued.secret.expose();
    assert_eq!(office.opens(text, NOW).await, Ok(tenant.id));
    let almost = text.get(1..).unwrap();
    for wrong in [almost, "lg-", issued.key.hash.as_str(), &issued.key.id] {
        assert_eq!(office.opens(wrong, NOW).await, Err(ErrorKind::Unauthenticated), "{wrong}");
    }
    assert_eq!(office.opens("", NOW).await, Err(ErrorKind::Unauthenticated));
}

#[tokio::test]
async fn configured_keys_need_no_store() {
    let office = Office::new();
    office.table.unplug();
    assert_eq!(office.opens("configured", NOW).await, Ok("default".to_owned()));
    assert_eq!(office.opens("declared", NOW).await, Ok("yaml".to_owned()));
    let principal =
        office.directory.authenticate(&["configured"], &office.configured, NOW).await.unwrap();
    let hash = KeyHash::of("configured");
    assert!(matches!(principal.credential, Credential::Configured(_)));
    assert_eq!(principal.key_id(), hash.as_str().get(..12).unwrap());
}

#[tokio::test]
async fn a_declared_key_goes_by_its_name_and_ends_when_it_expires() {
    let mut office = Office::new();
    let key = ConfiguredKey::declared(KeyHash::of("short"), TenantSettings::named("yaml"));
    office.configured.push(key.known_as(Some("laptop".to_owned()), Some(NOW + 10)));
    let principal =
        office.directory.authenticate(&["short"], &office.configured, NOW + 9).await.unwrap();
    assert_eq!(principal.key_id(), "laptop");
    assert_eq!(office.opens("short", NOW + 10).await, Err(ErrorKind::Unauthenticated));
}

#[tokio::test]
async fn a_known_key_is_looked_up_twice_a_minute() {
    let office = Office::new();
    let (_, issued) = office.tenant_with_key().await;
    let key = issued.secret.expose();
    office.table.take_calls();
    for (second, reads) in [(0, 2), (1, 0), (29, 0), (30, 2)] {
        office.opens(key, NOW + second).await.unwrap();
        assert_eq!(office.table.take_calls(), reads, "after {second} s");
    }
}

#[tokio::test]
async fn a_clock_that_is_set_back_prolongs_nothing_that_is_remembered() {
    let office = Office::new();
    let (tenant, issued) = office.tenant_with_key().await;
    let key = issued.secret.expose();
    let later = NOW + 3_600;
    office.opens(key, later).await.unwrap();
    office.opens("wrong", later).await.unwrap_err();
    office.table.take_calls();
    // A little is the difference between two calls.
    office.opens(key, later - 1).await.unwrap();
    assert_eq!(office.table.take_calls(), 0);
    office.tenants.revoke_key(&tenant.id, &issued.key.id, ann(NOW)).await.unwrap();
    assert_eq!(office.opens(key, NOW).await, Err(ErrorKind::Unauthenticated));
    office.table.take_calls();
    office.opens("wrong", NOW).await.unwrap_err();
    assert_eq!(office.table.take_calls(), 1);
    office.table.unplug();
    office.opens("other", later).await.unwrap_err();
    office.table.plug_in();
    assert_eq!(office.opens("other", NOW).await, Err(ErrorKind::Unauthenticated));
}

#[tokio::test]
async fn an_unknown_key_is_not_looked_up_again_for_ten_seconds() {
    let office = Office::new();
    for (second, reads) in [(0, 1), (9, 0), (10, 1)] {
        office.opens("wrong", NOW + second).await.unwrap_err();
        assert_eq!(office.table.take_calls(), reads, "after {second} s");
    }
}

#[tokio::test]
async fn without_a_store_known_keys_work_and_unknown_ones_are_not_called_wrong() {
    let office = Office::new();
    let (tenant, issued) = office.tenant_with_key().await;
    let key = issued.secret.expose();
    office.opens(key, NOW).await.unwrap();
    office.table.unplug();
    assert_eq!(office.opens(key, NOW + 599).await, Ok(tenant.id));
    let error =
        office.directory.authenticate(&["other"], &office.configured, NOW + 599).await.unwrap_err();
    assert_eq!((error.kind, error.retry_after.unwrap().as_secs()), (ErrorKind::Unavailable, 5));
    assert_eq!(office.opens(key, NOW + 600).await, Err(ErrorKind::Unavailable));
    office.table.plug_in();
    assert!(office.opens(key, NOW + 602).await.is_ok());
}

#[tokio::test]
async fn an_unreachable_store_is_left_alone_for_a_moment() {
    let office = Office::new();
    office.table.unplug();
    office.opens("one", NOW).await.unwrap_err();
    office.table.take_calls();
    assert_eq!(office.opens("two", NOW + 1).await, Err(ErrorKind::Unavailable));
    assert_eq!(office.table.take_calls(), 0);
    office.opens("two", NOW + 2).await.unwrap_err();
    assert_eq!(office.table.take_calls(), 1);
}

#[tokio::test]
async fn a_disabled_tenants_keys_do_not_work_and_the_error_does_not_say_why() {
    let office = Office::new();
    let (tenant, issued) = office.tenant_with_key().await;
    let key = issued.secret.expose();
    office.opens(key, NOW).await.unwrap();
    office.tenants.enable(&tenant.id, Enabled::No, None, ann(NOW)).await.unwrap();
    let disabled =
        office.directory.authenticate(&[key], &office.configured, NOW + 30).await.unwrap_err();
    let wrong =
        office.directory.authenticate(&["wrong"], &office.configured, NOW + 30).await.unwrap_err();
    assert_eq!(disabled.to_string(), wrong.to_string());
    office.tenants.enable(&tenant.id, Enabled::Yes, None, ann(NOW)).await.unwrap();
    office.directory.forget(&tenant.id);
    assert!(office.opens(key, NOW + 31).await.is_ok());
}

#[tokio::test]
async fn a_rotated_key_lives_for_its_grace_period_beside_the_new_one() {
    let office = Office::new();
    let (tenant, old) = office.tenant_with_key().await;
    let new = office.tenants.rotate_key(&tenant.id, None, 3_600, ann(NOW)).await.unwrap();
    for (key, seconds, works) in
        [(&old, 3_599, true), (&new, 3_599, true), (&old, 3_600, false), (&new, 3_600, true)]
    {
        let opened = office.opens(key.secret.expose(), NOW + seconds).await;
        assert_eq!(opened.is_ok(), works, "after {seconds} s");
    }
    // A lost response is no loss: rotating again ends the key that nobody saw.
    let newer = office.tenants.rotate_key(&tenant.id, None, 0, ann(NOW + 1)).await.unwrap();
    assert!(office.opens(newer.secret.expose(), NOW + 4_000).await.is_ok());
    assert!(office.opens(new.secret.expose(), NOW + 4_000).await.is_err());
}

#[tokio::test]
async fn a_key_has_its_own_prefix_name_and_end() {
    let office = Office::new();
    let tenant = office.create(json!({ "name": "one", "key_prefix": "gw-" })).await.unwrap();
    let plain = office.key(&tenant, NewKey::default()).await;
    assert!(plain.secret.expose().starts_with("gw-"));
    let new = NewKey {
        name: "ci".to_owned(),
        prefix: Some("sk-ant-".to_owned()),
        expires: Some(NOW + 5),
    };
    let issued = office.key(&tenant, new).await;
    assert!(issued.secret.expose().starts_with("sk-ant-"));
    assert!(office.opens(issued.secret.expose(), NOW + 4).await.is_ok());
    assert!(office.opens(issued.secret.expose(), NOW + 5).await.is_err());
    let names: Vec<String> = office
        .tenants
        .keys(&tenant.id, NOW)
        .await
        .unwrap()
        .into_iter()
        .map(|key| key.name)
        .collect();
    assert_eq!(names.iter().filter(|name| *name == "ci").count(), 1);
}

#[tokio::test]
async fn a_revoked_key_is_gone() {
    let office = Office::new();
    let (tenant, issued) = office.tenant_with_key().await;
    office.tenants.revoke_key(&tenant.id, &issued.key.id, ann(NOW)).await.unwrap();
    assert!(office.opens(issued.secret.expose(), NOW).await.is_err());
    assert!(office.tenants.keys(&tenant.id, NOW).await.unwrap().is_empty());
}

#[tokio::test]
async fn the_last_use_of_a_key_is_noted_every_five_minutes() {
    use storage::Table as _;
    let office = Office::new();
    let (tenant, issued) = office.tenant_with_key().await;
    let principal = office
        .directory
        .authenticate(&[issued.secret.expose()], &office.configured, NOW)
        .await
        .unwrap();
    let row = office.directory.note_use(&principal, NOW).unwrap();
    assert_eq!(office.directory.note_use(&principal, NOW + 299), None);
    assert!(office.directory.note_use(&principal, NOW + 300).is_some());
    office.table.put(row).await.unwrap();
    let uses = office.tenants.last_uses(&*office.table, &tenant.id, NOW).await.unwrap();
    assert_eq!(uses, [(issued.key.id, NOW)]);
}

#[tokio::test]
async fn two_tenants_never_share_a_name() {
    let office = Office::new();
    let one = office.create(json!({ "name": "one" })).await.unwrap();
    assert!(matches!(
        office.create(json!({ "name": "one" })).await,
        Err(RepositoryError::NameTaken)
    ));
    let renamed = object(&json!({ "name": "two" }));
    office.tenants.update(&one.id, &renamed, None, ann(NOW)).await.unwrap();
    let again = office.create(json!({ "name": "one" })).await.unwrap();
    let taken = office.tenants.update(&again.id, &renamed, None, ann(NOW)).await;
    assert!(matches!(taken, Err(RepositoryError::NameTaken)));
}

#[tokio::test]
async fn a_patch_changes_what_it_names_and_only_the_version_it_expects() {
    let office = Office::new();
    let fields = json!({ "name": "one", "rate_limit_rpm": 5, "tags": { "a": "1", "b": "2" } });
    let tenant = office.create(fields).await.unwrap();
    assert_eq!(tenant.version, 1);
    let patch = object(&json!({ "rate_limit_rpm": null, "tags": { "a": null }, "budget_usd": 2 }));
    let patched = office.tenants.update(&tenant.id, &patch, Some(1), ann(NOW + 9)).await.unwrap();
    assert_eq!((patched.version, patched.updated), (2, NOW + 9));
    assert_eq!(patched.settings.limits.requests_per_minute, None);
    assert_eq!(patched.settings.tags.len(), 1);
    let late = office.tenants.update(&tenant.id, &patch, Some(1), bob(NOW)).await;
    assert!(matches!(late, Err(RepositoryError::VersionConflict)));
    let wrong = object(&json!({ "rate_limit_rpm": "many" }));
    let invalid = office.tenants.update(&tenant.id, &wrong, None, ann(NOW)).await;
    assert!(
        matches!(invalid, Err(RepositoryError::Invalid(errors)) if errors[0].field == "rate_limit_rpm")
    );
    assert_eq!(office.tenants.get(&tenant.id, NOW).await.unwrap(), patched);
}

#[tokio::test]
async fn tenants_are_listed_page_by_page() {
    let office = Office::new();
    for number in 0..5 {
        office.create(json!({ "name": format!("tenant {number}") })).await.unwrap();
    }
    let mut names = vec![];
    let mut cursor = None;
    loop {
        let page = office.tenants.list(cursor.as_deref(), 2, NOW).await.unwrap();
        names.extend(page.items.into_iter().map(|tenant| tenant.settings.name));
        cursor = page.cursor;
        if cursor.is_none() {
            break;
        }
    }
    names.sort();
    assert_eq!(names.len(), 5);
    assert_eq!((names[0].as_str(), names[4].as_str()), ("tenant 0", "tenant 4"));
}

#[tokio::test]
async fn a_deleted_tenant_takes_its_keys_and_gives_its_name_back() {
    let office = Office::new();
    let (tenant, issued) = office.tenant_with_key().await;
    office.tenants.delete(&tenant.id, Some(1), ann(NOW)).await.unwrap();
    assert!(matches!(office.tenants.get(&tenant.id, NOW).await, Err(RepositoryError::NotFound)));
    assert!(office.opens(issued.secret.expose(), NOW).await.is_err());
    assert!(office.tenants.list(None, 10, NOW).await.unwrap().items.is_empty());
    office.create(json!({ "name": "one" })).await.unwrap();
}

#[tokio::test]
async fn every_change_leaves_an_entry_without_secrets() {
    let office = Office::new();
    let (tenant, issued) = office.tenant_with_key().await;
    let own =
        json!({ "provider": "openai", "provider_api_key": "sealed-text", "rate_limit_rpm": 7 });
    let patch = object(&own);
    office.tenants.update(&tenant.id, &patch, None, bob(NOW + 1)).await.unwrap();
    office.tenants.rotate_key(&tenant.id, None, 60, bob(NOW + 2)).await.unwrap();
    office.tenants.delete(&tenant.id, None, bob(NOW + 3)).await.unwrap();
    let page = office.tenants.audit(audit_month(NOW), None, 10, NOW).await.unwrap();
    let mut actions: Vec<Action> = page.items.iter().map(|entry| entry.action).collect();
    actions.truncate(3);
    assert_eq!(actions, [Action::DeleteTenant, Action::RotateKey, Action::UpdateTenant]);
    assert_eq!(page.items.len(), 5);
    assert_eq!(page.items[2].actor, "bob");
    assert_eq!(page.items[2].changes["rate_limit_rpm"], json!({ "before": null, "after": 7 }));
    let text = format!("{:?}", page.items);
    assert!(!text.contains("sealed-text") && !text.contains(issued.secret.expose()));
    assert!(!text.contains(issued.key.hash.as_str()));
}

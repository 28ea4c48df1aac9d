use config::{read, rows::from_rows};
use storage::{Aws, Credentials, Query, Timeouts, sqlite};
use tenants::Author;

use super::*;

const KINDS: [ProviderKind; 1] =
    [ProviderKind { name: "ollama", needs_base_url: false, needs_key: false, takes_region: false }];

/// A store of rows and secrets of a test's own.
struct Account {
    stores: Stores,
    parameters: Parameters,
    prefix: &'static str,
}

impl Account {
    fn new(prefix: &'static str) -> Self {
        let emulator = testkit::aws::Aws::shared();
        let credentials = Credentials {
            access_key_id: emulator.access_key_id.to_owned(),
            secret_access_key: Secret::new(emulator.secret_access_key),
            session_token: None,
        };
        let mut aws = Aws::new(emulator.region, credentials);
        aws.endpoint_url = Some(emulator.endpoint_url.clone());
        aws.timeouts = Timeouts::OPERATOR;
        Self { stores: sqlite::in_memory().unwrap(), parameters: Parameters::new(&aws), prefix }
    }

    /// Applies a file, in which each variable holds `value`. Gives what was printed.
    async fn apply(&self, file: &str, value: &str, options: ApplyOptions) -> String {
        let config = read(file, &|_| Some(value.to_owned()), &KINDS).unwrap();
        let (stores, parameters) = (&self.stores, &self.parameters);
        let (prefix, kinds) = (self.prefix, &KINDS);
        let to = Destination { stores, parameters, prefix, kinds, observer: None };
        let mut out = vec![];
        apply(&config, to, options, &mut out).await.unwrap();
        String::from_utf8(out).unwrap()
    }

    async fn config(&self) -> Option<Config> {
        from_rows(
            &self.stores.config.query(&Query::partition(PARTITION, 0)).await.unwrap().rows,
            &KINDS,
        )
        .ok()
    }

    async fn secrets(&self) -> Vec<String> {
        let mut names = self.parameters.list(self.prefix).await.unwrap();
        names.sort_unstable();
        names
    }
}

const FILE: &str = "api_key: ${A}\nproviders:\n- {name: p, type: ollama, api_key: \"${B}\"}\n";
const ONCE: ApplyOptions = ApplyOptions { dry_run: false, prune: false };
const DRY: ApplyOptions = ApplyOptions { dry_run: true, prune: false };
const PRUNE: ApplyOptions = ApplyOptions { dry_run: false, prune: true };

#[tokio::test]
async fn applying_twice_changes_nothing() {
    let account = Account::new("/twice");
    let first = account.apply(FILE, "hidden", ONCE).await;
    assert_eq!(
        first,
        "+ provider/p\n+ settings\n+ parameter /twice/api_key\n+ parameter /twice/providers/p\napplied\n"
    );
    assert!(account.config().await.is_some());
    assert_eq!(account.secrets().await, ["/twice/api_key", "/twice/providers/p"]);
    assert_eq!(account.apply(FILE, "hidden", ONCE).await, "nothing to change\n");
    let changed = account.apply(FILE, "another", ONCE).await;
    assert_eq!(changed, "~ parameter /twice/api_key\n~ parameter /twice/providers/p\napplied\n");
}

#[tokio::test]
async fn a_file_that_is_applied_leaves_a_version_and_an_entry() {
    const NOW: u64 = 1_795_860_000;
    let account = Account::new("/kept");
    let config = read(FILE, &|_| Some("hidden".to_owned()), &KINDS).unwrap();
    let (stores, parameters) = (&account.stores, &account.parameters);
    let to =
        Destination { stores, parameters, prefix: account.prefix, kinds: &KINDS, observer: None };
    for _ in 0..2 {
        let author = Author { name: "terminal", at: NOW };
        crate::apply_file(&config, to, ONCE, author, &mut io::sink()).await.unwrap();
    }
    let month = tenants::audit_month(NOW);
    let audit =
        tenants::Tenants::new(stores.config.clone()).audit(month, None, 9, NOW).await.unwrap();
    let actors: Vec<_> = audit.items.iter().map(|it| (it.actor.as_str(), it.action)).collect();
    assert_eq!(actors, [("terminal", tenants::Action::UpdateConfiguration)]);
    let kept = stores.config.query(&Query::partition("config-versions", NOW)).await.unwrap().rows;
    assert_eq!(kept.len(), 2, "the one before and the new one: {kept:?}");
    assert!(kept.iter().all(|row| !row.value.contains("hidden")));
}

#[tokio::test]
async fn a_dry_run_writes_nothing() {
    let account = Account::new("/dry");
    let shown = account.apply(FILE, "hidden", DRY).await;
    assert!(shown.ends_with("+ parameter /dry/providers/p\ndry run: nothing was written\n"));
    assert!(account.config().await.is_none());
    assert!(account.secrets().await.is_empty());
}

#[tokio::test]
async fn pruning_leaves_what_the_file_names() {
    let account = Account::new("/pruned");
    account.apply(FILE, "hidden", ONCE).await;
    let smaller = "providers:\n- {name: q, type: ollama, api_key: \"${B}\"}\n";
    account.apply(smaller, "hidden", PRUNE).await;
    assert_eq!(account.secrets().await, ["/pruned/providers/q"]);
    assert_eq!(account.config().await.unwrap().providers.len(), 1);
    assert_eq!(account.apply(smaller, "hidden", PRUNE).await, "nothing to change\n");
}

#[tokio::test]
async fn pruning_finds_every_kind_of_secret_and_leaves_those_of_the_stack() {
    let account = Account::new("/kinds");
    let of_stack = ["admin-password", "admin-secret", "origin-secret"];
    let of_stack = of_stack.map(|name| format!("/kinds/{name}"));
    for name in &of_stack {
        account.parameters.put(name, &Secret::new("of the stack")).await.unwrap();
    }
    let everything = format!(
        "{FILE}admin: {{users: [{{name: ann, password: \"${{C}}\", role: admin}}]}}\n\
         metrics: {{username: m, password: \"${{D}}\"}}\n\
         alerts: {{webhook: {{url: \"${{E}}\", secret: \"${{F}}\"}}}}\n\
         tenants: [{{name: t, api_key: \"${{G}}\", provider: p, provider_api_key: \"${{H}}\"}}]\n"
    );
    let variable = |name: &str| Some(format!("https://example.com/{name}-is-hidden"));
    let config = read(&everything, &variable, &KINDS).unwrap();
    let (stores, parameters) = (&account.stores, &account.parameters);
    let (prefix, kinds) = (account.prefix, &KINDS);
    let to = Destination { stores, parameters, prefix, kinds, observer: None };
    apply(&config, to, ONCE, &mut vec![]).await.unwrap();
    assert_eq!(account.secrets().await.len(), of_stack.len() + 8);

    let smaller = "providers:\n- {name: p, type: ollama}\n";
    let shown = account.apply(smaller, "hidden", ONCE).await;
    assert!(shown.contains("/kinds/metrics is named no more and stays; --prune removes it"));
    account.apply(smaller, "hidden", PRUNE).await;
    assert_eq!(account.secrets().await, of_stack);
}

#[tokio::test]
async fn a_reference_to_nothing_is_named_and_no_reason_to_stop() {
    let account = Account::new("/dangling");
    let file = "providers:\n- {name: q, type: ollama, api_key: 'ssm:/nobody/knows'}\n";
    let shown = account.apply(file, "hidden", ONCE).await;
    assert!(shown.contains("! parameter /nobody/knows is missing or may not be read"), "{shown}");
    assert!(shown.ends_with("applied\n"), "{shown}");
}

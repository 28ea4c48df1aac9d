//! The configuration as operators read and change it: always whole, validated before it is kept,
//! with every version that it had.

use std::ops::Bound;

use config::Config;
use gateway::Clock;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use similar::TextDiff;
use storage::{Order, Query, Row, StoreError, Stores};
use tenants::{Author, KeyHash, Listed, rfc3339};

use crate::{
    admin::Admin,
    configuration_change::ConfigEditor,
    configuration_source::ReadConfig,
    list_page::{PageRequest, decode_cursor, encode_cursor},
    price_text::{NewPrice, by_hand, micro_dollars, with_prices},
    problem::{AdminResult, Problem, ProblemKind},
};

const VERSIONS: &str = "config-versions";
/// How long a version is kept, in seconds.
const KEPT_SECONDS: u64 = 400 * 24 * 60 * 60;
/// How large a configuration may be, in bytes: a row of the store holds no more.
const MAX_CONFIG_BYTES: usize = 300 * 1024;
/// How many characters of a hash tell versions apart.
const VERSION_CHARACTERS: usize = 16;
/// What an operator is told who restores a version whose secrets are not there any more.
const SECRETS_OF_VERSIONS: &str = "Versions keep no secrets: the variable stands for one that was written in the file. Set it in the \
     environment of the gateway, or read the version, write the secret into it, and send that as the \
     configuration.";
/// How many unchanged lines stand around each change of a diff.
const DIFF_CONTEXT: usize = 3;

/// A configuration as an operator sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigText {
    /// The YAML, with a variable in place of each secret.
    pub text: String,
    /// What changes when the text does: the `ETag`.
    pub version: String,
}

/// What a change of the configuration did, or would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigChange {
    /// The version after the change.
    pub version: String,
    /// The change as a unified diff; empty where nothing changes.
    pub diff: String,
    /// What is allowed and risky.
    pub warnings: Vec<String>,
    /// Keys that take effect with the next start of the server alone.
    pub restart: Vec<&'static str>,
}

impl ConfigChange {
    /// The change as JSON.
    pub fn to_json(&self) -> Value {
        json!({
            "version": self.version,
            "diff": self.diff,
            "warnings": self.warnings,
            "restart_required": self.restart,
        })
    }
}

/// Whether a change is made, or only shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigMode {
    /// The change is validated and made.
    Write,
    /// The change is validated and shown.
    DryRun,
}

/// A version of the configuration that was in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigVersion {
    /// The version.
    pub version: String,
    /// When it came into force, in seconds since 1970.
    pub at: u64,
    /// Who brought it.
    pub actor: String,
    /// The YAML, with a variable in place of each secret.
    pub text: String,
}

impl ConfigVersion {
    /// The version as JSON, without its text.
    pub fn to_json(&self) -> Value {
        json!({ "version": self.version, "at": rfc3339(self.at), "actor": self.actor })
    }
}

impl Admin {
    /// The configuration.
    pub async fn config_text(&self, clock: Clock) -> AdminResult<ConfigText> {
        let text = self.read_config(clock).await?.hidden.text;
        Ok(ConfigText { version: version_of(&text), text })
    }

    /// Puts another configuration in the place of the present one, if that still has the expected
    /// version.
    #[expect(
        clippy::too_many_arguments,
        reason = "who changes what, to what, on which condition, and when"
    )]
    pub async fn replace_config(
        &self,
        text: &str,
        expected: Option<&str>,
        mode: ConfigMode,
        author: Author<'_>,
        clock: Clock,
    ) -> AdminResult<ConfigChange> {
        if MAX_CONFIG_BYTES < text.len() {
            let detail = "A configuration has at most 300 KB.";
            return Err(Problem::new(ProblemKind::Invalid, detail));
        }
        let editor = self.config_editor();
        if mode == ConfigMode::DryRun {
            return Ok(editor.plan(text, expected, clock).await?.change);
        }
        let (text, expected) = (text.to_owned(), expected.map(str::to_owned));
        let (name, at) = (author.name.to_owned(), author.at);
        let lock = self.config_lock.clone();
        // A task of its own: a client that leaves must not leave a change without its version, its
        // entry in the audit, or its effect.
        let changing = tokio::spawn(async move {
            // Two changes at once would each miss the other.
            let _changing = lock.lock().await;
            let author = Author { name: &name, at };
            editor.replace(&text, expected.as_deref(), author, clock).await
        });
        changing.await.map_err(|cause| {
            let detail = "The configuration cannot be changed.";
            Problem::new(ProblemKind::Internal, detail).caused_by(cause)
        })?
    }

    /// Names prices in the configuration, each in the place of the one that it had.
    pub async fn set_prices(
        &self,
        prices: &[NewPrice],
        author: Author<'_>,
        clock: Clock,
    ) -> AdminResult<ConfigChange> {
        let present = self.read_config(clock).await?;
        let text = &present.hidden.text;
        // The version stands for the lock, which `replace_config` takes only later.
        let expected = version_of(text);
        // Lines are put into the text, for the rest of it is the operator's own.
        let changed = with_prices(text, &present.config.prices, prices)?;
        let checked = self.source.check(&changed, &present).await;
        let knows = |new: &NewPrice| {
            present.config.providers.iter().any(|known| known.name == new.provider)
        };
        let config = match checked {
            // The operator's own words are right, so that those that were put in are not.
            Err(_) if prices.iter().all(knows) => return Err(by_hand(text)),
            checked => checked?,
        };
        let is_set = |new: &NewPrice| {
            let found = config.prices.iter().find(|old| new.is_of(old));
            found.is_some_and(|price| price.input == micro_dollars(new.input))
        };
        if !prices.iter().all(is_set) {
            return Err(by_hand(text));
        }
        let mode = ConfigMode::Write;
        self.replace_config(&changed, Some(&expected), mode, author, clock).await
    }

    /// The versions of the configuration, newest first.
    pub async fn config_versions(
        &self,
        page: &PageRequest,
        clock: Clock,
    ) -> AdminResult<Listed<ConfigVersion>> {
        let end = page.cursor.as_deref().map(decode_cursor).transpose()?;
        let end = end.map_or(Bound::Unbounded, Bound::Excluded);
        let query = Query {
            end,
            order: Order::Descending,
            limit: Some(page.limit),
            ..Query::partition(VERSIONS, clock.now() / 1000)
        };
        let found = self.stores.config.query(&query).await?;
        let last = found.rows.last().map(|row| encode_cursor(&row.sk));
        let items = found.rows.iter().map(|row| {
            serde_json::from_str(&row.value)
                .map_err(|cause| StoreError::new("reading a version of the configuration", cause))
        });
        let items = items.collect::<Result<_, _>>()?;
        Ok(Listed { items, cursor: last.filter(|_| found.more) })
    }

    /// One version of the configuration; the newest of that name.
    pub async fn config_version(&self, version: &str, clock: Clock) -> AdminResult<ConfigVersion> {
        let mut page = PageRequest { limit: crate::MAX_PAGE_ITEMS, ..PageRequest::default() };
        loop {
            let found = self.config_versions(&page, clock).await?;
            // The newest, since a text that was restored has the version that it had before.
            if let Some(found) = found.items.into_iter().find(|it| it.version == version) {
                return Ok(found);
            }
            page.cursor = Some(found.cursor.ok_or_else(|| Problem::not_found("version"))?);
        }
    }

    /// Brings a version back, if the present configuration still has the expected one: by writing it
    /// anew, so that it is validated against what the process knows today.
    pub async fn restore_config(
        &self,
        version: &str,
        expected: Option<&str>,
        author: Author<'_>,
        clock: Clock,
    ) -> AdminResult<ConfigChange> {
        let text = self.config_version(version, clock).await?.text;
        let restored = self.replace_config(&text, expected, ConfigMode::Write, author, clock).await;
        restored.map_err(|mut problem| {
            if problem.fields.iter().any(|it| it.message.contains("the variable")) {
                problem.detail = format!("{}. {SECRETS_OF_VERSIONS}", problem.detail);
            }
            problem
        })
    }

    /// Reads a text as a configuration that could be put in the place of the present one.
    pub async fn check_config(&self, text: &str, clock: Clock) -> AdminResult<Config> {
        let present = self.read_config(clock).await?;
        self.source.check(text, &present).await
    }

    pub(crate) async fn read_config(&self, clock: Clock) -> AdminResult<ReadConfig> {
        self.config_editor().read(clock).await
    }

    fn config_editor(&self) -> ConfigEditor {
        ConfigEditor {
            gateway: self.gateway.clone(),
            source: self.source.clone(),
            stores: self.stores.clone(),
            tenants: self.tenants.clone(),
        }
    }
}

/// Keeps the new version, and the one before where that came by another way.
pub(crate) async fn keep_versions(
    stores: &Stores,
    (before, text_before): (&str, &str),
    text: &str,
    author: Author<'_>,
) -> AdminResult<()> {
    let now = author.at;

    let newest =
        Query { limit: Some(1), order: Order::Descending, ..Query::partition(VERSIONS, now) };
    let newest = stores.config.query(&newest).await?.rows.pop();
    let mut order = newest.as_ref().map_or(0, |row| order_after(&row.sk, now));
    // What was written by hand since the last change is in no version yet.
    let is_kept = newest.is_some_and(|row| row.sk.ends_with(&format!("#{before}")));
    if !is_kept {
        let first = ConfigVersion {
            version: before.to_owned(),
            at: now,
            actor: "file".to_owned(),
            text: text_before.to_owned(),
        };
        stores.config.put(version_row(&first, order)?).await?;
        order += 1;
    }
    let kept = ConfigVersion {
        version: version_of(text),
        at: now,
        actor: author.name.to_owned(),
        text: text.to_owned(),
    };
    stores.config.put(version_row(&kept, order)?).await?;
    Ok(())
}

/// What sorts a new version behind the newest one, where both are of the same second.
fn order_after(newest: &str, now: u64) -> u32 {
    let mut parts = newest.split('#');
    let is_same_second = parts.next() == Some(&*format!("{now:011}"));
    let order = parts.next().and_then(|order| order.parse().ok()).filter(|_| is_same_second);
    order.map_or(0, |order: u32| order.saturating_add(1))
}

/// The row of a version; `order` sorts those of the same second.
fn version_row(version: &ConfigVersion, order: u32) -> Result<Row, StoreError> {
    let value = serde_json::to_string(version)
        .map_err(|cause| StoreError::new("writing a version of the configuration", cause))?;
    Ok(Row {
        pk: VERSIONS.to_owned(),
        // Padded, so that the order of texts is that of numbers.
        sk: format!("{:011}#{order:04}#{}", version.at, version.version),
        value,
        expires: Some(version.at + KEPT_SECONDS),
    })
}

pub(crate) fn version_of(text: &str) -> String {
    KeyHash::of(text).as_str().chars().take(VERSION_CHARACTERS).collect()
}

/// The difference between two texts, line by line, as `diff -u` shows it.
pub(crate) fn diff(before: &str, after: &str) -> String {
    let diff = TextDiff::from_lines(before, after);
    let mut unified = diff.unified_diff();
    unified.context_radius(DIFF_CONTEXT).header("before", "after").to_string()
}

/// The keys that differ and that a running server does not take up.
pub(crate) fn restart_keys(before: &Config, after: &Config) -> Vec<&'static str> {
    // Sockets and limits of the server are made once, when it starts.
    let keys = [("port", before.port != after.port), ("server", before.server != after.server)];
    keys.into_iter().filter(|(_, differs)| *differs).map(|(key, _)| key).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diff_shows_what_changes() {
        let shown = diff("a: 1\nb: 2\n", "a: 1\nb: 3\n");
        assert!(shown.contains("-b: 2\n+b: 3\n"), "{shown}");
        assert_eq!(diff("a\n", "a\n"), "");
    }
}

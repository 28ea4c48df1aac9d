//! A change of the configuration: one at a time over all instances, from the look at the present one
//! until its version and its entry in the audit are kept.

use std::{error::Error, io, sync::Arc, time::Duration};

use config::{
    Config,
    rows::{PARTITION, from_rows},
    to_yaml,
};
use gateway::{Clock, Gateway};
use serde_json::{Map, json};
use storage::{Condition, Query, StoreError, Stores, Table, Tallied, Tally};
use tenants::{Action, Author, Tenants};

use crate::{
    apply::{ApplyOptions, Destination, apply},
    audit::record,
    configuration::{ConfigChange, diff, keep_versions, restart_keys, version_of},
    configuration_source::{ConfigSource, FIRST_CONFIG, ReadConfig},
    operators::random_text,
    problem::{AdminResult, Problem, ProblemKind},
};

/// The row that says who changes the configuration, and its notes.
const LEASE: (&str, &str) = ("config-change", "lease");
const OWNER: &str = "owner";
const UNTIL: &str = "until";
/// How long a change may take before its process counts as dead, in seconds.
const LEASE_SECONDS: u64 = 60;
/// The waits for a change by another instance.
const WAITS: [Duration; 4] = [
    Duration::from_millis(100),
    Duration::from_millis(400),
    Duration::from_secs(1),
    Duration::from_secs(2),
];

/// What a change of the configuration needs of an administration.
#[derive(Debug)]
pub(crate) struct ConfigEditor {
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) source: ConfigSource,
    pub(crate) stores: Stores,
    pub(crate) tenants: Tenants,
}

/// A change that was validated and not made yet.
pub(crate) struct PlannedChange {
    present: ReadConfig,
    config: Config,
    /// The text that was validated.
    text: String,
    pub(crate) change: ConfigChange,
}

impl ConfigEditor {
    pub(crate) async fn read(&self, clock: Clock) -> AdminResult<ReadConfig> {
        match self.gateway.snapshot(clock).await {
            Ok(snapshot) => self.source.read(&snapshot.config).await,
            // A stack that was just made has pages and operators, but no configuration to read.
            Err(error) => self.source.read_first(error),
        }
    }

    /// Validates a text that is to replace the present one, if that still has the expected version.
    pub(crate) async fn plan(
        &self,
        text: &str,
        expected: Option<&str>,
        clock: Clock,
    ) -> AdminResult<PlannedChange> {
        let present = self.read(clock).await?;
        let before = version_of(&present.hidden.text);
        if expected.is_some_and(|expected| expected != before) {
            let detail = "The configuration was changed since it was read.";
            return Err(Problem::new(ProblemKind::PreconditionFailed, detail));
        }
        let text = present.hidden.with_line_ends(text);
        let config = self.source.check(&text, &present).await?;
        let change = ConfigChange {
            version: version_of(&text),
            diff: diff(&present.hidden.text, &text),
            warnings: config.warnings(),
            restart: restart_keys(&present.config, &config),
        };
        Ok(PlannedChange { present, config, text, change })
    }

    /// Replaces the configuration, once no other instance changes it.
    pub(crate) async fn replace(
        &self,
        text: &str,
        expected: Option<&str>,
        author: Author<'_>,
        clock: Clock,
    ) -> AdminResult<ConfigChange> {
        let lease = Lease::take(&self.stores, author.at, &WAITS).await?;
        let changed = self.replace_alone(text, expected, author, clock).await;
        lease.release().await;
        changed
    }

    async fn replace_alone(
        &self,
        text: &str,
        expected: Option<&str>,
        author: Author<'_>,
        clock: Clock,
    ) -> AdminResult<ConfigChange> {
        self.catch_up(clock).await?;
        // Read under the lease, so that the version that is compared is the one that is replaced.
        let PlannedChange { present, config, text, change } =
            self.plan(text, expected, clock).await?;
        // A text that changes nothing would only fill the list of versions.
        if change.diff.is_empty() {
            return Ok(change);
        }
        let before = version_of(&present.hidden.text);
        // Kept first: if the process dies before it takes effect, the next start reads it.
        self.source.write(&text, &config, &present, &self.stores).await?;
        // At once in this process; others see it when they next look.
        self.gateway.replace_config(config, clock).await?;

        // Read back: the source may write another text than it was given, such as rows without
        // comments.
        let after = self.read(clock).await?.hidden.text;
        let change = ConfigChange { version: version_of(&after), ..change };
        keep_versions(&self.stores, (&before, &present.hidden.text), &after, author).await?;
        record_change(&self.tenants, author, (&before, &change.version)).await?;
        Ok(change)
    }

    /// Reads a stored configuration anew: another instance may have changed it.
    async fn catch_up(&self, clock: Clock) -> AdminResult<()> {
        if let ConfigSource::File(_) = &self.source {
            return Ok(());
        }
        match self.gateway.reload_config(clock).await {
            // Nothing was ever written, so that nothing can be older than something else.
            Err(_) if self.gateway.known_snapshot().is_none() => Ok(()),
            outcome => Ok(outcome?),
        }
    }
}

/// Applies a file of an operator's own machine, as the admin API changes the configuration: alone, and
/// with a version and an entry in the audit.
pub async fn apply_file(
    config: &Config,
    to: Destination<'_>,
    options: ApplyOptions,
    author: Author<'_>,
    out: &mut (dyn io::Write + Send),
) -> Result<(), Box<dyn Error + Send + Sync>> {
    if options.dry_run {
        return apply(config, to, options, out).await.map(drop);
    }
    let lease = Lease::take(to.stores, author.at, &WAITS).await.map_err(with_cause)?;
    let applied = apply_alone(config, to, options, author, out).await;
    lease.release().await;
    applied
}

async fn apply_alone(
    config: &Config,
    to: Destination<'_>,
    options: ApplyOptions,
    author: Author<'_>,
    out: &mut (dyn io::Write + Send),
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let before = text_of_rows(to).await?;
    if !apply(config, to, options, out).await? {
        return Ok(());
    }
    let after = text_of_rows(to).await?;
    let versions = (version_of(&before), version_of(&after));
    // A secret that changed alone leaves no other text.
    if versions.0 != versions.1 {
        let kept = keep_versions(to.stores, (&versions.0, &before), &after, author).await;
        kept.map_err(with_cause)?;
    }
    let tenants = Tenants::new(to.stores.config.clone());
    let recorded = record_change(&tenants, author, (&versions.0, &versions.1)).await;
    recorded.map_err(with_cause)
}

/// Keeps an entry in the audit about a change from one version to another.
async fn record_change(
    tenants: &Tenants,
    author: Author<'_>,
    (before, after): (&str, &str),
) -> AdminResult<()> {
    let versions = json!({ "before": before, "after": after });
    let changes = Map::from_iter([("version".to_owned(), versions)]);
    record(tenants, author, (Action::UpdateConfiguration, "configuration"), changes).await
}

/// The cause of a problem, where it has one: on the operator's own machine it is no secret.
fn with_cause(problem: Problem) -> Box<dyn Error + Send + Sync> {
    match problem.cause() {
        Some(cause) => cause.to_string().into(),
        None => problem.into(),
    }
}

/// The text of the rows that are there, as operators read it.
async fn text_of_rows(to: Destination<'_>) -> Result<String, StoreError> {
    // Rows of the configuration do not expire, so any time will do.
    let rows = to.stores.config.query(&Query::partition(PARTITION, 0)).await?.rows;
    let config = from_rows(&rows, to.kinds);
    // Where none can be read, whatever was there is replaced.
    Ok(config.map_or_else(|_unreadable| FIRST_CONFIG.to_owned(), |config| to_yaml(&config)))
}

/// The right to change the configuration, which one instance at a time has.
#[derive(Debug)]
struct Lease {
    table: Arc<dyn Table>,
    owner: String,
}

impl Lease {
    /// Waits for the right; an error where another change takes long.
    async fn take(stores: &Stores, now: u64, waits: &[Duration]) -> AdminResult<Self> {
        let lease = Self { table: stores.config.clone(), owner: random_text(16)? };
        for wait in waits {
            let first = lease.claim(Condition::Absent(OWNER.to_owned()), now);
            let Tallied::Refused(row) = lease.table.tally(&first).await? else {
                return Ok(lease);
            };
            let until = row.note(UNTIL).and_then(|text| text.parse().ok()).unwrap_or(0);
            let owner = row.note(OWNER).unwrap_or_default().to_owned();
            // Of several instances that see a dead one, one takes its place.
            if until <= now {
                let next = lease.claim(Condition::Is(OWNER.to_owned(), owner), now);
                if let Tallied::Done(_) = lease.table.tally(&next).await? {
                    return Ok(lease);
                }
            }
            tokio::time::sleep(*wait).await;
        }
        let detail = "The configuration is being changed by somebody else; try again soon.";
        Err(Problem::new(ProblemKind::Conflict, detail))
    }

    /// Lets others change the configuration. The change is made, or is not: a row that stays is over in
    /// a minute.
    async fn release(self) {
        if let Err(cause) = self.end().await {
            tracing::warn!(%cause, "failed to end a change of the configuration");
        }
    }

    async fn end(self) -> Result<(), StoreError> {
        let remove = [OWNER, UNTIL].map(str::to_owned).into();
        let condition = Condition::Is(OWNER.to_owned(), self.owner.clone());
        let change = Tally { remove, ..change(condition) };
        self.table.tally(&change).await.map(drop)
    }

    fn claim(&self, condition: Condition, now: u64) -> Tally {
        let notes = [(OWNER, self.owner.clone()), (UNTIL, (now + LEASE_SECONDS).to_string())];
        let set = notes.map(|(name, text)| (name.to_owned(), text)).into();
        Tally { set, ..change(condition) }
    }
}

fn change(condition: Condition) -> Tally {
    let (pk, sk) = (LEASE.0.to_owned(), LEASE.1.to_owned());
    Tally { pk, sk, conditions: vec![condition], ..Tally::default() }
}

#[cfg(test)]
mod tests {
    use storage::memory;

    use super::*;

    const NOW: u64 = 1_795_860_000;

    async fn take(stores: &Stores, now: u64) -> AdminResult<Lease> {
        Lease::take(stores, now, &[Duration::ZERO]).await
    }

    #[tokio::test]
    async fn one_instance_at_a_time_changes_the_configuration() {
        let stores = memory::open();
        let first = take(&stores, NOW).await.unwrap();
        let second = take(&stores, NOW).await.unwrap_err();
        assert_eq!(second.kind, ProblemKind::Conflict);
        first.end().await.unwrap();
        let third = take(&stores, NOW).await.unwrap();
        // The process of the third is dead.
        let fourth = take(&stores, NOW + LEASE_SECONDS).await.unwrap();
        third.end().await.unwrap();
        assert!(take(&stores, NOW + LEASE_SECONDS).await.is_err(), "the fourth has it");
        fourth.end().await.unwrap();
    }
}

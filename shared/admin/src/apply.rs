//! Applying a configuration: it becomes the live one in AWS, from a terminal or the admin API.
//!
//! What is to change is decided in [`plan`]; here it is looked up, shown and done.

mod plan;

use std::{collections::HashMap, error::Error, fmt, io};

use config::{
    Config, ProviderKind, SecretSource,
    rows::{PARTITION, to_rows},
};
use plan::{Now, Plan, Wanted};
use storage::{Parameters, Query, Secret, Stores};

/// The parameters that an `apply` writes right under the prefix. What else is there is the stack's
/// own: `admin-secret`, `admin-password` and `origin-secret`.
const AT_THE_TOP: [&str; 3] = ["api_key", "metrics", "proxy"];
/// The folders under the prefix whose parameters are all written by an `apply`.
const FOLDERS: [&str; 4] = ["admin", "alerts", "providers", "tenants"];

/// Where a configuration goes.
#[derive(Clone, Copy, Debug)]
pub struct Destination<'d> {
    /// The tables.
    pub stores: &'d Stores,
    /// The store of secrets.
    pub parameters: &'d Parameters,
    /// How the names of parameters begin, such as `/lockgate/prod`.
    pub prefix: &'d str,
    /// The types of provider that there are.
    pub kinds: &'d [ProviderKind],
    /// Who is told how far the writing is, if anyone.
    pub observer: Option<&'d dyn ApplyObserver>,
}

/// Is told how far a configuration is written.
pub trait ApplyObserver: fmt::Debug + Sync {
    /// So many of the writes are made.
    fn wrote(&self, done: usize, of: usize);
}

/// How it goes there.
#[derive(Clone, Copy, Debug, Default)]
pub struct ApplyOptions {
    /// Shows what would change, and changes nothing.
    pub dry_run: bool,
    /// Removes what the file no longer names.
    pub prune: bool,
}

/// Shows what is to change, then changes it: first secrets, so that no row names one that is not
/// there, then rows, then secrets that no row names any more. Whether anything was changed.
pub(crate) async fn apply(
    config: &Config,
    to: Destination<'_>,
    options: ApplyOptions,
    out: &mut (dyn io::Write + Send),
) -> Result<bool, Box<dyn Error + Send + Sync>> {
    let (rows, secrets) = to_rows(config, to.prefix);
    let now = look(&secrets, to).await?;

    let wanted = Wanted { rows, secrets, prune: options.prune };
    // Everything is decided before the first write, so that a wrong file changes nothing.
    let plan = Plan::new(wanted, &now, to.kinds)?;
    plan.show(out)?;
    show_unreadable(config, to, out).await?;
    if plan.is_empty() {
        writeln!(out, "nothing to change")?;
        return Ok(false);
    }
    if options.dry_run {
        writeln!(out, "dry run: nothing was written")?;
        return Ok(false);
    }
    // The rows are one write, which is the last but for what is removed.
    let writes = plan.secrets.len() + 1;
    for (done, (name, secret)) in plan.secrets.iter().enumerate() {
        to.parameters.put(name, secret).await?;
        if let Some(observer) = to.observer {
            observer.wrote(done + 1, writes);
        }
    }
    if !plan.changes.is_empty() {
        to.stores.config.write(&plan.changes).await?;
    }
    if !plan.stale.is_empty() {
        to.parameters.delete(&plan.stale).await?;
    }

    writeln!(out, "applied")?;
    Ok(true)
}

/// Names the parameters that the file refers to and that cannot be read here.
async fn show_unreadable(
    config: &Config,
    to: Destination<'_>,
    out: &mut (dyn io::Write + Send),
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let names: Vec<String> = config.secrets().filter_map(parameter_name).collect();
    let values = to.parameters.get(&names).await?;
    for name in names.iter().filter(|name| !values.contains_key(*name)) {
        let rule = "is missing or may not be read: what needs it cannot be used";
        writeln!(out, "! parameter {name} {rule}")?;
    }
    Ok(())
}

fn parameter_name(source: &SecretSource) -> Option<String> {
    match source {
        SecretSource::Parameter { name, .. } => Some(name.clone()),
        SecretSource::Value { .. } => None,
    }
}

/// What is there now.
async fn look(
    wanted: &[(String, Secret)],
    to: Destination<'_>,
) -> Result<Now, Box<dyn Error + Send + Sync>> {
    // Rows of the configuration do not expire, so any time will do.
    let rows = to.stores.config.query(&Query::partition(PARTITION, 0)).await?.rows;
    let prefix = to.prefix.trim_end_matches('/');
    // These lie beside the folders that are listed, and are looked up by name.
    let at_the_top = AT_THE_TOP.map(|name| format!("{prefix}/{name}"));
    let mut names: Vec<String> = wanted.iter().map(|(name, _)| name.clone()).collect();
    names.extend(at_the_top.iter().cloned());
    let values: HashMap<String, Secret> = to.parameters.get(&names).await?;

    let mut parameters = vec![];
    for folder in FOLDERS {
        parameters.extend(to.parameters.list(&format!("{prefix}/{folder}")).await?);
    }
    parameters.extend(at_the_top.into_iter().filter(|name| values.contains_key(name)));
    Ok(Now { rows, values, parameters })
}

#[cfg(test)]
mod tests;

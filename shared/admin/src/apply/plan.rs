//! What an `apply` has to change: plain values in, plain values out.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    error::Error,
    io,
};

use config::{
    ProviderKind, SecretSource,
    rows::{from_rows, is_version, version_row},
};
use storage::{Change, Row, Secret};

/// What is there before anything changes.
#[derive(Debug)]
pub(super) struct Now {
    /// Every row of the configuration.
    pub(super) rows: Vec<Row>,
    /// The values of those wanted parameters that exist.
    pub(super) values: HashMap<String, Secret>,
    /// The names of all parameters that an `apply` may have written.
    pub(super) parameters: Vec<String>,
}

/// What a configuration file asks for.
#[derive(Debug)]
pub(super) struct Wanted {
    /// The rows of the file.
    pub(super) rows: Vec<Row>,
    /// The secrets of the file, by the names of their parameters.
    pub(super) secrets: Vec<(String, Secret)>,
    /// Whether what it does not name has to go.
    pub(super) prune: bool,
}

/// What is to change, and the lines that say so.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// Secrets to keep, before any row names them.
    pub(super) secrets: Vec<(String, Secret)>,
    /// Changes of rows, the digest last.
    pub(super) changes: Vec<Change>,
    /// Parameters to remove, once no row names them.
    pub(super) stale: Vec<String>,
    lines: Vec<String>,
}

impl Plan {
    /// Compares what is wanted with what is there.
    pub(super) fn new(
        wanted: Wanted,
        now: &Now,
        kinds: &[ProviderKind],
    ) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let mut plan = Self::default();
        let after = plan.rows(&wanted, now);
        // The rows that will be there must be a valid configuration together, or every function
        // would refuse them.
        let config = from_rows(&after, kinds).map_err(|error| {
            format!(
                "{error}\nentries that the file does not name stay without --prune, and must fit it"
            )
        })?;
        let named = config.secrets().filter_map(|source| match source {
            SecretSource::Parameter { name, .. } => Some(name.clone()),
            SecretSource::Value { .. } => None,
        });
        plan.parameters(wanted, now, &named.collect());
        Ok(plan)
    }

    /// Whether all is as it should be.
    pub(super) fn is_empty(&self) -> bool {
        self.secrets.is_empty() && self.changes.is_empty() && self.stale.is_empty()
    }

    /// Prints what is to change. It never holds the value of a secret.
    pub(super) fn show(&self, out: &mut (dyn io::Write + Send)) -> io::Result<()> {
        self.lines.iter().try_for_each(|line| writeln!(out, "{line}"))
    }

    /// Notes the changes of rows. Gives the rows as they will be.
    fn rows(&mut self, wanted: &Wanted, now: &Now) -> Vec<Row> {
        let mut old: BTreeMap<&str, &Row> = now.rows.iter().map(|row| (&*row.sk, row)).collect();
        let mut after = vec![];
        // The digest is of all other rows, and is computed from what will be there.
        for row in wanted.rows.iter().filter(|row| !is_version(row)) {
            match old.remove(&*row.sk) {
                Some(old) if old.value == row.value => {}
                Some(_) => self.put(row, '~'),
                None => self.put(row, '+'),
            }
            after.push(row.clone());
        }

        for row in old.into_values().filter(|row| !is_version(row)) {
            if wanted.prune {
                self.lines.push(format!("- {}", row.sk));
                self.changes.push(Change::Delete { pk: row.pk.clone(), sk: row.sk.clone() });
            } else {
                self.lines
                    .push(format!("  {} is not in the file and stays; --prune removes it", row.sk));
                after.push(row.clone());
            }
        }

        let version = version_row(&after);
        // Last in the list: rows without a matching digest are read as half a write, never as a
        // configuration.
        if !now.rows.contains(&version) {
            if self.changes.is_empty() {
                self.lines.push("~ version (the rows were right, their digest was not)".to_owned());
            }
            self.changes.push(Change::Put(version.clone()));
        }
        after.push(version);
        after
    }

    fn put(&mut self, row: &Row, sign: char) {
        self.lines.push(format!("{sign} {}", row.sk));
        self.changes.push(Change::Put(row.clone()));
    }

    /// Notes the changes of parameters; `named` are those that the rows will name.
    fn parameters(&mut self, wanted: Wanted, now: &Now, named: &BTreeSet<String>) {
        for (name, secret) in wanted.secrets {
            let sign = match now.values.get(&name) {
                Some(old) if old.expose() == secret.expose() => continue,
                Some(_) => '~',
                None => '+',
            };
            self.lines.push(format!("{sign} parameter {name}"));
            self.secrets.push((name, secret));
        }

        for name in now.parameters.iter().filter(|name| !named.contains(*name)) {
            if wanted.prune {
                self.lines.push(format!("- parameter {name}"));
                self.stale.push(name.clone());
            } else {
                let line =
                    format!("  parameter {name} is named no more and stays; --prune removes it");
                self.lines.push(line);
            }
        }
    }
}

#[cfg(test)]
mod tests;

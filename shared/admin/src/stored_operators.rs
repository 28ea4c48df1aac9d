//! Stored operators: operators and tokens as they are stored, in one row of the table `config`.
//!
//! One row, so that every check reads one row and every change is conditional on its version.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};
use storage::{Condition, Consistency, StoreError, Table, Tallied, Tally};
use tenants::{AuditEntry, Tenants};

use crate::{
    operator::Role,
    problem::{AdminResult, Problem, ProblemKind},
};

const PARTITION: &str = "operators";
const KEY: &str = "book";
const JSON: &str = "json";
const VERSION: &str = "version";
/// How often a change is tried when others change the row.
const MAX_WRITES: usize = 5;

/// Everything that is stored about operators.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredOperators {
    /// Operators with a password, by name.
    #[serde(default)]
    pub(crate) operators: BTreeMap<String, StoredOperator>,
    /// Tokens, by id.
    #[serde(default)]
    pub(crate) tokens: BTreeMap<String, StoredToken>,
    /// How often each operator, those of the configuration included, ended all sessions.
    #[serde(default)]
    pub(crate) epochs: BTreeMap<String, u64>,
}

/// An operator with a password.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredOperator {
    pub(crate) role: Role,
    /// The hash of the password.
    pub(crate) password: String,
    /// When the operator was made, in seconds since 1970.
    pub(crate) created: u64,
    /// When the operator was last changed, in seconds since 1970.
    pub(crate) updated: u64,
}

/// A token for programs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredToken {
    pub(crate) name: String,
    pub(crate) role: Role,
    /// The SHA-256 of the token: 256 random bits need no slow hash.
    pub(crate) hash: tenants::KeyHash,
    pub(crate) last_four: String,
    /// Who made the token.
    pub(crate) created_by: String,
    pub(crate) created: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) expires: Option<u64>,
}

impl StoredOperators {
    /// How often an operator ended all sessions.
    pub(crate) fn epoch(&self, name: &str) -> u64 {
        self.epochs.get(name).copied().unwrap_or(0)
    }
}

/// The row of the stored operators.
#[derive(Clone, Debug)]
pub(crate) struct OperatorTable {
    table: Arc<dyn Table>,
}

impl OperatorTable {
    pub(crate) fn new(table: Arc<dyn Table>) -> Self {
        Self { table }
    }

    /// Reads the stored operators.
    pub(crate) async fn read(&self, now: u64) -> Result<StoredOperators, StoreError> {
        Ok(self.read_versioned(now).await?.0)
    }

    /// Changes the stored operators. What `change` refuses, or leaves as it is, is not written.
    pub(crate) async fn change<T>(
        &self,
        now: u64,
        change: impl Fn(&mut StoredOperators) -> AdminResult<T>,
    ) -> AdminResult<T> {
        self.change_with(now, change, |_| None).await
    }

    /// Changes the stored operators as [`Self::change`] does, with an entry in the audit about what `change`
    /// gives.
    pub(crate) async fn change_with<T>(
        &self,
        now: u64,
        change: impl Fn(&mut StoredOperators) -> AdminResult<T>,
        entry: impl Fn(&T) -> Option<AuditEntry>,
    ) -> AdminResult<T> {
        let audit = Tenants::new(self.table.clone());
        for _ in 0..MAX_WRITES {
            let (before, version) = self.read_versioned(now).await?;

            let mut after = before.clone();
            let outcome = change(&mut after)?;
            // A change that changes nothing needs no version, and wakes no other writer.
            if after == before {
                return Ok(outcome);
            }
            // The entry first: no change without one, whatever fails on the way.
            let kept = match entry(&outcome) {
                Some(entry) => Some(audit.record(&entry).await?),
                None => None,
            };
            if self.write(&after, version).await? {
                return Ok(outcome);
            }
            if let Some(kept) = kept {
                audit.withdraw(kept).await?;
            }
        }
        Err(Problem::new(ProblemKind::Conflict, "Operators are being changed by somebody else."))
    }

    async fn read_versioned(&self, now: u64) -> Result<(StoredOperators, i64), StoreError> {
        // Operators as they once were would let a revoked token in, and would fail the conditional write below.
        let found = self.table.get_tallies(PARTITION, KEY, Consistency::Strong, now).await?;
        let Some(row) = found else { return Ok((StoredOperators::default(), 0)) };

        let text = row.note(JSON).unwrap_or("{}");
        let stored = serde_json::from_str(text)
            .map_err(|cause| StoreError::new("reading the operators", cause))?;
        Ok((stored, row.number(VERSION)))
    }

    /// Writes the operators if it still has this version.
    async fn write(&self, stored: &StoredOperators, version: i64) -> Result<bool, StoreError> {
        let text = serde_json::to_string(stored)
            .map_err(|cause| StoreError::new("writing the operators", cause))?;
        // Versions only grow, so "at most the version that was read" means "unchanged since".
        let change = Tally {
            pk: PARTITION.to_owned(),
            sk: KEY.to_owned(),
            conditions: vec![Condition::AtMost(VERSION.to_owned(), version)],
            add: vec![(VERSION.to_owned(), 1)],
            set: vec![(JSON.to_owned(), text)],
            ..Tally::default()
        };
        Ok(matches!(self.table.tally(&change).await?, Tallied::Done(_)))
    }
}

#[cfg(test)]
mod tests {
    use storage::{Change, Page, Pending, Query, Row, memory};
    use tenants::{Action, audit_month};

    use super::*;

    const NOW: u64 = 1_795_860_000;

    /// A table that fails once the entry is written.
    #[derive(Debug)]
    struct WithoutTallies(Arc<dyn Table>);

    impl Table for WithoutTallies {
        fn get<'a>(
            &'a self,
            pk: &'a str,
            sk: &'a str,
            consistency: Consistency,
            now: u64,
        ) -> Pending<'a, Option<Row>> {
            self.0.get(pk, sk, consistency, now)
        }

        fn query<'a>(&'a self, query: &'a Query) -> Pending<'a, Page> {
            self.0.query(query)
        }

        fn get_tallies<'a>(
            &'a self,
            pk: &'a str,
            sk: &'a str,
            consistency: Consistency,
            now: u64,
        ) -> Pending<'a, Option<storage::Tallies>> {
            self.0.get_tallies(pk, sk, consistency, now)
        }

        fn tally<'a>(&'a self, _: &'a Tally) -> Pending<'a, Tallied> {
            Box::pin(async { Err(StoreError::new("writing", "the disk is full")) })
        }

        fn write<'a>(&'a self, changes: &'a [Change]) -> Pending<'a, ()> {
            self.0.write(changes)
        }
    }

    #[tokio::test]
    async fn a_change_of_operators_that_fails_in_the_middle_leaves_its_entry() {
        let memory = memory::open().config;
        let operator_table = OperatorTable::new(Arc::new(WithoutTallies(memory.clone())));
        let entry = AuditEntry {
            at: NOW,
            actor: "ann".to_owned(),
            action: Action::LogOutEverywhere,
            tenant: String::new(),
            subject: Some("bob".to_owned()),
            changes: serde_json::Map::new(),
        };
        let changed = operator_table.change_with(
            NOW,
            |stored| {
                stored.epochs.insert("bob".to_owned(), 1);
                Ok(())
            },
            |()| Some(entry.clone()),
        );
        assert!(changed.await.is_err());
        assert_eq!(operator_table.read(NOW).await.unwrap(), StoredOperators::default());
        let audit = Tenants::new(memory).audit(audit_month(NOW), None, 9, NOW).await.unwrap();
        assert_eq!(audit.items, [entry]);
    }
}

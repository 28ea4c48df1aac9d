//! The audit log: who changed what, and who signed in.

use askama::Template;

use crate::{
    moment::Moment,
    requests::query_value,
    shell::{Pill, Shell},
};

/// The page of the audit log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Template)]
#[template(path = "audit.html")]
pub struct Audit {
    /// What surrounds the page.
    pub shell: Shell,
    /// The rows, newest first.
    pub rows: Vec<Row>,
    /// The cursor of the next page back in time.
    pub older: Option<String>,
    /// How many days rows are kept.
    pub kept_days: u64,
}

/// One row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// When.
    pub at: Moment,
    /// Who: an operator's name.
    pub who: String,
    /// From which address, or by which way.
    pub from: String,
    /// What was done, such as `tenant.update`.
    pub action: String,
    /// To what.
    pub subject: String,
    /// Whether it was done or refused.
    pub outcome: Pill,
    /// What changed, in words.
    pub detail: String,
}

impl Audit {
    fn older_href(&self) -> Option<String> {
        self.older.as_ref().map(|cursor| format!("/admin/audit?cursor={}", query_value(cursor)))
    }
}

//! The sixteen fault scenarios of Failover Bench (methodology 0.1), for clients of each format before
//! providers of each format. One configuration serves all of them, and the outcome is a table that
//! must equal the one in `docs/reliability.md`.
//!
//! A scenario is passed when the client gets the whole response, or in S13 the refusal, and the
//! providers were asked as a careful client would ask them.

mod broken_providers;
mod case_runner;
mod catalog;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;
use std::sync::Arc;

use testkit::strict::Format;
use tokio::task::JoinSet;

use crate::gateway::INBOUND;
use case_runner::{Case, CaseRunner};
use catalog::{SCENARIOS, Scenario};

/// How many cases run at once, so that their time-outs pass side by side.
const AT_ONCE: usize = 48;

const BEGIN: &str = "<!-- The test `matrix` writes from here with UPDATE_GOLDEN=1 … -->\n";
const END: &str = "<!-- … to here. -->\n";

/// Plays every scenario in every pair of formats, and compares the outcome with the docs.
pub(crate) async fn check() {
    let runner = Arc::new(CaseRunner::open().await);
    let mut passed: BTreeMap<(&str, Format), usize> = BTreeMap::new();
    let mut wrong = vec![];
    let cases: Vec<Case> = cases().collect();
    for some in cases.chunks(AT_ONCE) {
        let mut played = JoinSet::new();
        for case in some.iter().copied() {
            let runner = Arc::clone(&runner);
            played.spawn(async move { (case, runner.play(case).await) });
        }
        for (case, outcome) in played.join_all().await {
            let counted = passed.entry((case.scenario.id, case.client)).or_default();
            match outcome {
                Ok(()) => *counted += 1,
                Err(why) => wrong.push(format!("{case:?}: {why}")),
            }
        }
    }
    wrong.sort();
    assert!(wrong.is_empty(), "{} cases fail:\n{}", wrong.len(), wrong.join("\n"));
    compare(&written(&passed));
}

/// Every scenario in every pair of a client's and a provider's format.
fn cases() -> impl Iterator<Item = Case> {
    SCENARIOS.iter().flat_map(|scenario| {
        INBOUND.into_iter().flat_map(move |client| {
            INBOUND.into_iter().map(move |provider| Case { scenario, client, provider })
        })
    })
}

fn written(passed: &BTreeMap<(&str, Format), usize>) -> String {
    let mut out = String::from("\n| | fault | what is done |");
    for client in INBOUND {
        write!(out, " {} |", crate::table::title(client)).unwrap();
    }
    writeln!(out, "\n| --- | --- | --- |{}", " --- |".repeat(INBOUND.len())).unwrap();
    for Scenario { id, fault, answer, .. } in SCENARIOS {
        write!(out, "| {id} | {fault} | {answer} |").unwrap();
        for client in INBOUND {
            write!(out, " {} of {} |", passed[&(*id, client)], INBOUND.len()).unwrap();
        }
        out.push('\n');
    }
    out.push('\n');
    out
}

fn compare(table: &str) {
    println!("{table}");
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/reliability.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(BEGIN).unwrap();
    let (found, after) = rest.split_once(END).unwrap();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, format!("{before}{BEGIN}{table}{END}{after}")).unwrap();
    } else {
        assert!(found == table, "docs/reliability.md differs: UPDATE_GOLDEN=1 accepts this");
    }
}

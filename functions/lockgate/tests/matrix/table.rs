//! The outcome of each feature in each pair, as a table, compared with the docs.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;

use testkit::strict::Format;

use crate::gateway::{INBOUND, OUTBOUND};

/// The outcome of a feature.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cell {
    /// The feature was preserved.
    Carried,
    /// The feature was preserved, and the client was told which parts were dropped.
    Partly(String),
    /// The feature was dropped, and the client was told.
    Dropped(String),
    /// The gateway rejected the request, with the reason.
    Rejected(String),
    /// The client's format does not support it.
    Unsupported,
    /// The feature was lost without notice, or the call failed.
    Broken(String),
}

type Cells = BTreeMap<(Format, Format, &'static str), Cell>;

const BEGIN: &str = "<!-- The test `matrix` writes from here with UPDATE_GOLDEN=1 … -->\n";
const END: &str = "<!-- … to here. -->\n";

/// Compares the outcome with the docs.
pub(crate) fn check(features: &[&'static str], cells: &Cells) {
    let table = written(features, cells);
    println!("{table}");
    let broken: Vec<String> = cells.iter().filter_map(broken).collect();
    println!("{} of {} cells are broken", broken.len(), cells.len());
    println!("{}", broken.join("\n"));
    let path = docs();
    let page = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(BEGIN).unwrap();
    let (found, after) = rest.split_once(END).unwrap();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, format!("{before}{BEGIN}{table}{END}{after}")).unwrap();
    } else {
        assert!(
            found == table,
            "docs/formats.md says something else: UPDATE_GOLDEN=1 accepts this"
        );
    }
    let silent: Vec<&str> = features
        .iter()
        .copied()
        .filter(|it| needs_a_reason(it, cells) && !after.contains(&format!("**{it}**")))
        .collect();
    assert!(silent.is_empty(), "docs/formats.md gives no reason for {silent:?}");
    let unlisted = broken.iter().filter(|it| !is_listed(it, after)).count();
    assert_eq!(unlisted, 0, "broken, and the docs give no reason:\n{}", broken.join("\n"));
}

fn docs() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/formats.md")
}

fn broken(cell: (&(Format, Format, &'static str), &Cell)) -> Option<String> {
    let ((client, provider, feature), Cell::Broken(why)) = cell else { return None };
    Some(format!("{} to {}: {feature}: {why}", client.name(), provider.name()))
}

/// Whether the docs name it as known: `- **feature**, client to provider: why`.
fn is_listed(broken: &str, reasons: &str) -> bool {
    let mut words = broken.splitn(3, ": ");
    let (Some(pair), Some(feature)) = (words.next(), words.next()) else { return false };
    let known = |line: &&str| line.contains(&format!("**{feature}**")) && line.contains(pair);
    reasons.lines().any(|it| known(&it))
}

fn needs_a_reason(feature: &str, cells: &Cells) -> bool {
    let needs_text = |it: &Cell| !matches!(it, Cell::Carried | Cell::Unsupported);
    cells.iter().any(|((_, _, name), cell)| *name == feature && needs_text(cell))
}

fn written(features: &[&'static str], cells: &Cells) -> String {
    let mut out = String::new();
    for client in INBOUND {
        write!(out, "\n### From {}\n\n| |", title(client)).unwrap();
        for (provider, _) in OUTBOUND {
            write!(out, " {} |", title(provider)).unwrap();
        }
        writeln!(out, "\n| --- |{}", " --- |".repeat(OUTBOUND.len())).unwrap();
        for feature in features {
            write!(out, "| {feature} |").unwrap();
            for (provider, _) in OUTBOUND {
                write!(out, " {} |", cells[&(client, provider, *feature)].shown()).unwrap();
            }
            out.push('\n');
        }
    }
    out.push('\n');
    out
}

pub(crate) fn title(format: Format) -> &'static str {
    match format {
        Format::OpenAiChat => "OpenAI chat",
        Format::OpenAiResponses => "OpenAI Responses",
        Format::Anthropic => "Anthropic",
        Format::Gemini => "Gemini",
        Format::Bedrock => "Bedrock",
    }
}

fn quoted(names: &str) -> String {
    names.split(',').map(|it| format!("`{}`", it.trim())).collect::<Vec<_>>().join(", ")
}

impl Cell {
    fn shown(&self) -> String {
        match self {
            Self::Carried => "yes".to_owned(),
            Self::Partly(names) => format!("yes, but drops {}", quoted(names)),
            Self::Dropped(names) => format!("drops {}", quoted(names)),
            Self::Rejected(_) => "rejected".to_owned(),
            Self::Unsupported => "–".to_owned(),
            Self::Broken(_) => "**no**".to_owned(),
        }
    }
}

use config::{read, rows::to_rows};

use super::*;

const KINDS: [ProviderKind; 1] =
    [ProviderKind { name: "ollama", needs_base_url: false, needs_key: false, takes_region: false }];
const FILE: &str = "api_key: ${A}
providers:
- {name: p, type: ollama, api_key: \"${B}\"}
models:
- {name: m, provider: p}
";

/// What a file asks for; the value of each variable is its name.
fn wanted(text: &str) -> Wanted {
    let variables = |name: &str| Some(format!("value of {name}"));
    let (rows, secrets) = to_rows(&read(text, &variables, &KINDS).unwrap(), "/t");
    Wanted { rows, secrets, prune: false }
}

/// A store after a file was applied to an empty one.
fn applied(text: &str) -> Now {
    let wanted = wanted(text);
    let parameters = wanted.secrets.iter().map(|(name, _)| name.clone()).collect();
    Now { rows: wanted.rows, values: wanted.secrets.into_iter().collect(), parameters }
}

fn nothing() -> Now {
    Now { rows: vec![], values: HashMap::new(), parameters: vec![] }
}

fn plan(text: &str, now: &Now) -> Plan {
    Plan::new(wanted(text), now, &KINDS).unwrap()
}

fn pruning_plan(text: &str, now: &Now) -> Plan {
    Plan::new(Wanted { prune: true, ..wanted(text) }, now, &KINDS).unwrap()
}

/// The rows after a plan was carried out.
fn rows_after(plan: &Plan, now: &Now) -> Vec<Row> {
    let mut rows: BTreeMap<String, Row> =
        now.rows.iter().map(|row| (row.sk.clone(), row.clone())).collect();
    for change in &plan.changes {
        match change {
            Change::Put(row) => drop(rows.insert(row.sk.clone(), row.clone())),
            Change::Delete { sk, .. } => drop(rows.remove(sk)),
        }
    }
    rows.into_values().collect()
}

#[test]
fn an_empty_store_gets_everything() {
    let plan = plan(FILE, &nothing());
    assert_eq!(
        plan.lines,
        [
            "+ model/m",
            "+ provider/p",
            "+ settings",
            "+ parameter /t/api_key",
            "+ parameter /t/providers/p"
        ]
    );
    assert!(from_rows(&rows_after(&plan, &nothing()), &KINDS).is_ok());
}

#[test]
fn what_was_applied_needs_no_change() {
    let plan = plan(FILE, &applied(FILE));
    assert!(plan.is_empty(), "{plan:?}");
    assert!(plan.lines.is_empty());
}

#[test]
fn the_digest_is_written_last() {
    let plan = plan(FILE, &nothing());
    let Some(Change::Put(last)) = plan.changes.last() else { panic!("a row") };
    assert!(is_version(last));
}

#[test]
fn only_what_differs_changes() {
    let file = FILE.replace("name: m,", "name: m, description: new,").replace("${B}", "${C}");
    let plan = plan(&file, &applied(FILE));
    assert_eq!(plan.lines, ["~ model/m", "~ provider/p", "~ parameter /t/providers/p"]);
    assert_eq!(plan.secrets.len(), 1);
}

#[test]
fn a_plan_shows_no_secret() {
    let mut shown = vec![];
    let file = FILE.replace("${B}", "${C}");
    plan(&file, &applied(FILE)).show(&mut shown).unwrap();
    let shown = String::from_utf8(shown).unwrap();
    assert!(!shown.is_empty() && !shown.contains("value of"), "{shown}");
}

const SMALLER: &str = "providers:\n- {name: q, type: ollama}\n";

#[test]
fn what_the_file_no_longer_names_stays_and_is_listed() {
    let now = applied(FILE);
    let plan = plan(SMALLER, &now);
    assert_eq!(
        plan.lines,
        [
            "+ provider/q",
            "~ settings",
            "  model/m is not in the file and stays; --prune removes it",
            "  provider/p is not in the file and stays; --prune removes it",
            "  parameter /t/api_key is named no more and stays; --prune removes it",
        ]
    );
    let rows = rows_after(&plan, &now);
    assert_eq!(from_rows(&rows, &KINDS).unwrap().providers.len(), 2);
    let again = Now { rows, ..now };
    assert!(Plan::new(wanted(SMALLER), &again, &KINDS).unwrap().is_empty());
}

#[test]
fn pruning_removes_what_the_file_no_longer_names() {
    let now = applied(FILE);
    let plan = pruning_plan(SMALLER, &now);
    assert_eq!(
        plan.lines,
        [
            "+ provider/q",
            "~ settings",
            "- model/m",
            "- provider/p",
            "- parameter /t/api_key",
            "- parameter /t/providers/p",
        ]
    );
    assert_eq!(rows_after(&plan, &now), wanted(SMALLER).rows);
}

#[test]
fn what_stays_must_fit_the_file() {
    let file = "providers:\n- {name: p, type: ollama}\nroutes:\n- {name: m, steps: [{provider: p, model: x}]}\n";
    let error = Plan::new(wanted(file), &applied(FILE), &KINDS).unwrap_err().to_string();
    assert!(error.contains("models[0].name: is taken by routes[0]"), "{error}");
    assert!(error.contains("--prune"), "{error}");
    assert!(!pruning_plan(file, &applied(FILE)).is_empty());
}

#[test]
fn a_digest_that_does_not_fit_is_mended() {
    let mut now = applied(FILE);
    now.rows.retain(|row| !is_version(row));
    let plan = plan(FILE, &now);
    assert_eq!(plan.lines, ["~ version (the rows were right, their digest was not)"]);
    assert_eq!(plan.changes.len(), 1);
}

#[test]
fn references_that_the_operator_wrote_are_left_alone() {
    let plan = plan("providers:\n- {name: p, type: ollama, api_key: 'ssm:/team/key'}", &nothing());
    assert!(plan.secrets.is_empty());
    assert_eq!(plan.lines, ["+ provider/p", "+ settings"]);
}

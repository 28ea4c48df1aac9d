//! Which of our crates may use which.

use super::{
    complains, nothing,
    tree::{self, Package},
};

/// Every shared crate, lowest floor first. A crate may use only crates on floors below its own.
const FLOORS: &[&[&str]] = &[
    &["canonical", "storage"],
    &["formats", "model-catalog", "tenants", "telemetry", "pages"],
    &["config"],
    &["routing", "import"],
    &["providers"],
    &["gateway"],
    &["admin"],
    &["edge"],
];
/// Outside the floors: it stands beside the product, and only tests may use it.
const TESTKIT: &str = "testkit";
/// The one function that serves all others.
const EVERYTHING: &str = "lockgate";
/// What formats may use: they turn text, or AWS's binary frames, into values and back, and need
/// nothing else.
const FOR_FORMATS: &[&str] =
    &["aws-smithy-eventstream", "base64", "bytes", "canonical", "memchr", "serde", "serde_json"];

fn floor_of(name: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.contains(&name))
}

fn pointing_upwards(packages: &[Package]) -> Vec<String> {
    let mut wrong = vec![];
    for package in packages {
        let Some(floor) = floor_of(&package.name) else { continue };
        let upwards =
            package.dependencies.iter().filter(|it| floor_of(it).is_some_and(|it| floor <= it));
        wrong.extend(upwards.map(|it| format!("{} -> {it} points up or sideways", package.name)));
    }
    wrong
}

fn without_a_floor(packages: &[Package]) -> Vec<String> {
    let shared = packages.iter().filter(|it| it.folder == "shared" && it.name != TESTKIT);
    let lost = shared.filter(|it| floor_of(&it.name).is_none());
    let gone = FLOORS.iter().copied().flatten();
    let gone = gone.filter(|it| !packages.iter().any(|package| package.name == **it));
    lost.map(|it| format!("{} has no floor", it.name))
        .chain(gone.map(|it| format!("{it} has a floor and is no crate")))
        .collect()
}

fn borrowing_functions(packages: &[Package]) -> Vec<String> {
    let is_function =
        |name: &str| packages.iter().any(|it| it.folder == "functions" && it.name == name);
    let mut wrong = vec![];
    for package in packages.iter().filter(|it| it.name != EVERYTHING) {
        let functions = package.dependencies.iter().filter(|it| is_function(it));
        wrong.extend(functions.map(|it| format!("{} uses the function {it}", package.name)));
    }
    wrong
}

fn shipping_the_testkit(packages: &[Package]) -> Vec<String> {
    let shipped = packages.iter().filter(|it| it.dependencies.iter().any(|it| it == TESTKIT));
    let product = shipped.filter(|it| it.folder == "shared" || it.folder == "functions");
    product.map(|it| format!("{} needs {TESTKIT} outside of its tests", it.name)).collect()
}

fn impure_formats(packages: &[Package]) -> Vec<String> {
    let formats = packages.iter().find(|it| it.name == "formats").unwrap();
    let others = formats.dependencies.iter().filter(|it| !FOR_FORMATS.contains(&it.as_str()));
    others.map(|it| format!("formats uses {it}")).collect()
}

#[test]
fn crates_depend_downwards_only() {
    nothing(&pointing_upwards(&tree::packages()));
}

#[test]
fn every_shared_crate_has_a_floor() {
    nothing(&without_a_floor(&tree::packages()));
}

#[test]
fn only_lockgate_uses_functions() {
    nothing(&borrowing_functions(&tree::packages()));
}

#[test]
fn the_testkit_is_a_dev_dependency() {
    nothing(&shipping_the_testkit(&tree::packages()));
}

#[test]
fn formats_depend_on_a_short_list() {
    nothing(&impure_formats(&tree::packages()));
}

/// A package and what it uses.
pub(crate) fn package(folder: &str, name: &str, dependencies: &[&str]) -> Package {
    Package {
        name: name.to_owned(),
        folder: folder.to_owned(),
        dependencies: dependencies.iter().map(|it| (*it).to_owned()).collect(),
        for_tests: vec![],
    }
}

#[test]
fn an_edge_upwards_or_sideways_is_found() {
    complains(&pointing_upwards(&[package("shared", "storage", &["edge"])]), "storage -> edge");
    complains(
        &pointing_upwards(&[package("shared", "tenants", &["storage", "formats"])]),
        "tenants -> formats",
    );
}

#[test]
fn a_crate_without_a_floor_is_found() {
    let mut all: Vec<Package> =
        FLOORS.iter().copied().flatten().map(|it| package("shared", it, &[])).collect();
    assert!(without_a_floor(&all).is_empty());
    all.push(package("shared", "billing", &[]));
    complains(&without_a_floor(&all), "billing has no floor");
    all.retain(|it| it.name != "billing" && it.name != "edge");
    complains(&without_a_floor(&all), "edge has a floor and is no crate");
}

#[test]
fn a_borrowed_function_is_found() {
    let all = |name| [package("functions", "models", &[]), package("functions", name, &["models"])];
    assert!(borrowing_functions(&all("lockgate")).is_empty());
    complains(&borrowing_functions(&all("health")), "health uses the function models");
    let below = [package("functions", "models", &[]), package("shared", "edge", &["models"])];
    complains(&borrowing_functions(&below), "edge uses the function models");
}

#[test]
fn a_shipped_testkit_is_found() {
    complains(&shipping_the_testkit(&[package("shared", "edge", &["testkit"])]), "edge");
}

#[test]
fn a_format_with_an_extra_dependency_is_found() {
    complains(&impure_formats(&[package("shared", "formats", &["bytes", "tokio"])]), "tokio");
}

//! What is locked: one HTTP stack, one TLS stack, and nothing that we use ourselves twice.

use std::collections::BTreeSet;

use super::{
    complains, nothing,
    tree::{self, Package},
};

/// Crates that would bring a second stack, or C code of somebody else's choice.
const BANNED: &[(&str, &str)] = &[
    ("aws-lc-rs", "ring is the one provider of cryptography"),
    ("aws-lc-sys", "ring is the one provider of cryptography"),
    ("curl", "hyper is the one HTTP stack"),
    ("hyper-tls", "rustls is the one TLS stack"),
    ("native-tls", "rustls is the one TLS stack"),
    ("openssl", "rustls is the one TLS stack"),
    ("openssl-sys", "rustls is the one TLS stack"),
    ("ureq", "hyper is the one HTTP stack"),
];

/// The two stacks: each part once, in this version.
const STACKS: &[(&str, &str)] = &[
    ("h2", "0.4."),
    ("http", "1."),
    ("http-body", "1."),
    ("hyper", "1."),
    ("hyper-rustls", "0.27."),
    ("hyper-util", "0.1."),
    ("reqwest", "0.13."),
    ("ring", "0.17."),
    ("rustls", "0.23."),
    ("tokio-rustls", "0.26."),
    ("webpki-roots", "1."),
];

/// What we use and others use in another version, and why that has to be.
const DOUBLED: &[(&str, &str)] = &[("base64", "the crates for Lambda have not moved to 0.23")];

/// Names and versions of everything in a `Cargo.lock`.
fn locked(text: &str) -> Vec<(String, String)> {
    let value = |line: &str, key: &str| {
        Some(line.strip_prefix(key)?.strip_prefix(" = \"")?.strip_suffix('"')?.to_owned())
    };
    let mut locked = vec![];
    let mut name = None;
    for line in text.lines() {
        if let Some(found) = value(line, "name") {
            name = Some(found);
        } else if let Some(version) = value(line, "version") {
            locked.extend(name.take().map(|name| (name, version)));
        }
    }
    locked
}

fn versions<'a>(locked: &'a [(String, String)], wanted: &str) -> Vec<&'a str> {
    locked.iter().filter(|(name, _)| name == wanted).map(|(_, version)| &**version).collect()
}

fn banned(locked: &[(String, String)]) -> Vec<String> {
    let found = BANNED.iter().filter(|(name, _)| !versions(locked, name).is_empty());
    found.map(|(name, why)| format!("{name} is in Cargo.lock: {why}")).collect()
}

fn second_stacks(locked: &[(String, String)]) -> Vec<String> {
    let mut wrong = vec![];
    for (name, wanted) in STACKS {
        let found = versions(locked, name);
        if !matches!(*found, [version] if version.starts_with(wanted)) {
            wrong.push(format!("{name} is wanted once, as {wanted}x; Cargo.lock has {found:?}"));
        }
    }
    wrong
}

fn direct_and_doubled(packages: &[Package], locked: &[(String, String)]) -> Vec<String> {
    let direct: BTreeSet<&String> =
        packages.iter().flat_map(|it| it.dependencies.iter().chain(&it.for_tests)).collect();
    let excused = |name: &str| DOUBLED.iter().any(|(doubled, _)| *doubled == name);
    let doubled =
        direct.into_iter().filter(|it| 1 < versions(locked, it).len() && !excused(it.as_str()));
    doubled.map(|it| format!("{it} is locked as {}", versions(locked, it).join(" and "))).collect()
}

fn replaced(manifest: &str) -> Vec<String> {
    let tables = manifest.lines().map(str::trim).filter(|it| it.starts_with('['));
    let wrong = tables.filter(|it| it.starts_with("[patch") || it.starts_with("[replace"));
    wrong.map(|it| format!("Cargo.toml replaces somebody's crate: {it}")).collect()
}

#[test]
fn no_crate_brings_a_second_stack() {
    nothing(&banned(&locked(&tree::text("Cargo.lock"))));
}

#[test]
fn there_is_one_http_and_one_tls_stack() {
    nothing(&second_stacks(&locked(&tree::text("Cargo.lock"))));
}

#[test]
fn what_we_use_is_locked_once() {
    nothing(&direct_and_doubled(&tree::packages(), &locked(&tree::text("Cargo.lock"))));
}

#[test]
fn nothing_is_patched() {
    nothing(&replaced(&tree::text("Cargo.toml")));
}

fn with(name: &str, version: &str) -> Vec<(String, String)> {
    let text = tree::text("Cargo.lock");
    locked(&format!("{text}\n[[package]]\nname = \"{name}\"\nversion = \"{version}\"\n"))
}

#[test]
fn a_banned_crate_is_found() {
    complains(&banned(&with("openssl-sys", "0.9.1")), "openssl-sys");
}

#[test]
fn a_second_stack_is_found() {
    complains(&second_stacks(&with("hyper", "0.14.30")), "\"0.14.30\"");
    complains(&second_stacks(&with("rustls", "0.21.12")), "\"0.21.12\"");
    let gone: Vec<_> = with("x", "1.0.0").into_iter().filter(|it| it.0 != "ring").collect();
    complains(&second_stacks(&gone), "ring is wanted once");
}

#[test]
fn a_direct_dependency_that_is_locked_twice_is_found() {
    let doubled = direct_and_doubled(&tree::packages(), &with("clap", "3.0.0"));
    complains(&doubled, "clap is locked as");
}

#[test]
fn a_patch_is_found() {
    complains(&replaced("[workspace]\n[patch.crates-io]\nhyper = { path = \"x\" }\n"), "[patch");
}

//! Where other people's crates may be used.
//!
//! Most have one home. Where more than one of our crates needs one, its reason stands beside it.
//! What the testkit and the benchmark use is their own affair: neither is part of the product.

use super::{
    complains,
    crates::package,
    nothing,
    tree::{self, Package},
};

/// Outside crates that one crate of ours alone may use.
const HOMES: &[(&str, &str)] = &[
    ("argon2", "admin"),
    ("askama", "pages"),
    ("aws-config", "lockgate"),
    ("aws-credential-types", "storage"),
    ("aws-sdk-dynamodb", "storage"),
    ("aws-sdk-ssm", "storage"),
    ("aws-sigv4", "storage"),
    ("aws-smithy-eventstream", "formats"),
    ("aws-smithy-runtime-api", "storage"),
    ("aws-smithy-types", "storage"),
    ("aws-types", "storage"),
    ("brotli-decompressor", "edge"),
    ("clap", "lockgate"),
    ("clap_complete", "lockgate"),
    ("clap_mangen", "lockgate"),
    ("dotenvy", "edge"),
    ("flate2", "edge"),
    ("httpdate", "providers"),
    ("hyper-rustls", "storage"),
    ("indicatif", "lockgate"),
    ("lambda_http", "edge"),
    ("matchit", "edge"),
    ("mimalloc", "edge"),
    ("opentelemetry-proto", "telemetry"),
    ("percent-encoding", "edge"),
    ("prometheus-client", "edge"),
    ("prost", "telemetry"),
    ("reqwest", "providers"),
    ("rusqlite", "storage"),
    ("rustix", "edge"),
    ("saphyr-parser", "config"),
    ("similar", "admin"),
    ("socket2", "edge"),
    ("thread_local", "providers"),
    ("time", "config"),
    ("tokio-rustls", "edge"),
    ("tracing-subscriber", "edge"),
    ("zstd", "edge"),
    ("webpki-roots", "providers"),
];

/// Outside crates that several crates of ours may use, and why.
const SHARED: &[(&str, &[&str], &str)] = &[
    (
        "arc-swap",
        &["gateway", "edge"],
        "what is read by every call and replaced now and then: the configuration, the server's certificate",
    ),
    (
        "base64",
        &["formats", "providers", "admin", "edge", "lockgate"],
        "bytes inside JSON: those that formats have, and those that were fetched; hashes of passwords, sessions; HTTP Basic",
    ),
    (
        "rustls",
        &["providers", "edge"],
        "TLS on the way to providers and, where the server serves HTTPS, from clients",
    ),
    (
        "bytes",
        &["canonical", "formats", "providers", "gateway", "edge", "lockgate"],
        "an answer travels from the provider's socket to the client's in the buffers it came in",
    ),
    (
        "fastrand",
        &["routing", "edge"],
        "pauses differ from call to call, and so do the names of requests",
    ),
    (
        "futures-util",
        &["storage", "providers", "gateway", "edge"],
        "what the standard library does not have yet for futures",
    ),
    (
        "http",
        &["providers", "edge", "lockgate"],
        "the words of HTTP, on the way in and on the way out, and from a terminal",
    ),
    ("http-body", &["providers", "edge"], "bodies, on the way in and on the way out"),
    ("http-body-util", &["providers", "edge"], "bodies, on the way in and on the way out"),
    (
        "hyper",
        &["providers", "edge"],
        "the one HTTP stack: edge and the scripted provider serve with it; providers read its errors",
    ),
    (
        "hyper-util",
        &["storage", "providers", "edge"],
        "the connection pool for AWS; the server's loop, for edge and the scripted provider",
    ),
    (
        "memchr",
        &["formats", "providers"],
        "every byte of a body is looked at: for the places of members, and for what was written",
    ),
    (
        "tower",
        &["providers", "edge"],
        "edge's router is a service of it; reqwest takes a layer of it around its connector",
    ),
    (
        "ring",
        &["tenants", "routing", "admin"],
        "hashes of keys, where keys are looked up or named; seals of secrets and sessions",
    ),
    (
        "serde",
        &[
            "canonical",
            "storage",
            "tenants",
            "config",
            "formats",
            "model-catalog",
            "providers",
            "routing",
            "telemetry",
            "gateway",
            "admin",
            "edge",
        ],
        "derives only: what is written where is each crate's own",
    ),
    (
        "serde_json",
        &[
            "storage",
            "tenants",
            "config",
            "formats",
            "model-catalog",
            "telemetry",
            "providers",
            "gateway",
            "admin",
            "edge",
            "lockgate",
        ],
        "rows, wire formats, the scripted provider and the list of models are all JSON",
    ),
    (
        "subtle",
        &["tenants", "admin", "edge"],
        "keys, passwords and the front door's secret are compared in constant time",
    ),
    (
        "tokio",
        &[
            "storage",
            "providers",
            "gateway",
            "admin",
            "edge",
            "chat-completions",
            "embeddings",
            "tasks",
            "generate-content",
            "health",
            "messages",
            "models",
            "operator",
            "responses",
            "lockgate",
        ],
        "what waits; a crate that decides does without",
    ),
    (
        "tracing",
        &["storage", "telemetry", "providers", "gateway", "admin", "edge"],
        "log lines; a crate that decides gives an error instead",
    ),
];

fn homes(outside: &str) -> Option<Vec<&'static str>> {
    let one = HOMES.iter().find(|(name, _)| *name == outside).map(|(_, home)| vec![*home]);
    let several = SHARED.iter().find(|(name, ..)| *name == outside);
    one.or_else(|| several.map(|(_, homes, _)| homes.to_vec()))
}

/// The product's packages, each with those of its dependencies that are not ours.
fn outside(packages: &[Package]) -> impl Iterator<Item = (&str, &str)> {
    let is_ours = |name: &str| packages.iter().any(|it| it.name == name);
    let product = packages
        .iter()
        .filter(|it| matches!(&*it.folder, "shared" | "functions") && it.name != "testkit");
    product.flat_map(move |package| {
        let outside = package.dependencies.iter().filter(move |it| !is_ours(it));
        outside.map(|it| (package.name.as_str(), it.as_str()))
    })
}

fn away_from_home(packages: &[Package]) -> Vec<String> {
    let complain = |(ours, outside): (&str, &str)| match homes(outside) {
        None => Some(format!("{ours} uses {outside}, which has no home")),
        Some(homes) if homes.contains(&ours) => None,
        Some(homes) => Some(format!("{ours} uses {outside}, whose home is {}", homes.join(", "))),
    };
    outside(packages).filter_map(complain).collect()
}

fn empty_homes(packages: &[Package]) -> Vec<String> {
    let used: Vec<_> = outside(packages).collect();
    let names = HOMES.iter().map(|it| it.0).chain(SHARED.iter().map(|it| it.0));
    let all = names.flat_map(|name| homes(name).unwrap().into_iter().map(move |it| (it, name)));
    let empty = all.filter(|it| !used.contains(it));
    empty
        .map(|(home, name)| format!("{name} is at home in {home}, which does not use it"))
        .collect()
}

#[test]
fn outside_crates_stay_at_home() {
    nothing(&away_from_home(&tree::packages()));
}

#[test]
fn every_home_is_used() {
    nothing(&empty_homes(&tree::packages()));
}

#[test]
fn an_outside_crate_away_from_home_is_found() {
    let with = |name, uses| away_from_home(&[package("shared", name, &[uses])]);
    complains(&with("gateway", "lambda_http"), "gateway uses lambda_http, whose home is edge");
    complains(&with("routing", "tokio"), "routing uses tokio");
    complains(&with("edge", "left-pad"), "left-pad, which has no home");
    assert!(with("testkit", "left-pad").is_empty());
}

#[test]
fn an_unused_home_is_found() {
    let mut all = tree::packages();
    let gateway = all.iter_mut().find(|it| it.name == "gateway").unwrap();
    gateway.dependencies.retain(|it| it != "arc-swap");
    complains(&empty_homes(&all), "arc-swap is at home in gateway");
}

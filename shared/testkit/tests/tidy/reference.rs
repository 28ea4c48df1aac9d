//! What a client sees stands in the reference: our headers, and each status and code of an error.

use super::{complains, nothing, tree};

const REFERENCE: &str = "docs/configuration.md";
/// The headers of our own begin so; others are the field's.
const OURS: &str = "x-gateway-";

/// The names of our headers in a source text.
fn headers(source: &str) -> impl Iterator<Item = &str> {
    let parts = source.split("HeaderName::from_static(\"").skip(1);
    let names = parts.filter_map(|it| it.split('"').next());
    names.filter(|name| name.starts_with(OURS))
}

/// The texts between a function's arrows and what follows them, such as `404` and `"auth"`.
fn outcomes<'a>(source: &'a str, function: &str) -> Vec<&'a str> {
    let body = source.split(function).nth(1).and_then(|it| it.split("\n    }\n").next());
    let arrows = body.unwrap_or_default().split("=> ").skip(1);
    arrows.filter_map(|it| it.split([',', '\n']).next()).collect()
}

/// What a reference lacks of some names, each as it has to stand there.
fn missing(reference: &str, names: impl Iterator<Item = String>) -> Vec<String> {
    let reference = reference.to_ascii_lowercase();
    let unknown = names.filter(|name| !reference.contains(name));
    unknown.map(|name| format!("{REFERENCE} lacks {name}")).collect()
}

#[test]
fn every_header_of_ours_is_in_the_reference() {
    let files = tree::files("shared/edge/src/", ".rs");
    let names = files.iter().flat_map(|file| headers(&file.text));
    let names: Vec<_> = names.map(|name| format!("`{name}")).collect();
    assert!(8 < names.len(), "{names:?}");
    nothing(&missing(&tree::text(REFERENCE), names.into_iter()));
}

#[test]
fn every_status_and_code_of_an_error_is_in_the_reference() {
    let source = tree::text("shared/canonical/src/error.rs");
    let statuses =
        outcomes(&source, "pub fn status(self)").into_iter().map(|it| format!("| {it} |"));
    let codes = outcomes(&source, "pub fn code(self)").into_iter();
    let codes = codes.map(|it| format!("`{}`", it.trim_matches('"')));
    let names: Vec<_> = statuses.chain(codes).collect();
    assert!(20 < names.len(), "{names:?}");
    nothing(&missing(&tree::text(REFERENCE), names.into_iter()));
}

#[test]
fn a_header_that_nobody_wrote_down_is_noticed() {
    let source = r#"const NEW: HeaderName = HeaderName::from_static("x-gateway-new");"#;
    let names = headers(source).map(|name| format!("`{name}"));
    complains(&missing("| `X-Gateway-Old` |", names), "x-gateway-new");
}

#[test]
fn a_status_that_nobody_wrote_down_is_noticed() {
    let source = "pub fn status(self) -> u16 {\n  match self {\n  Self::New => 418,\n  }\n    }\n";
    let names = outcomes(source, "pub fn status(self)").into_iter().map(|it| format!("| {it} |"));
    complains(&missing("| 400 |", names), "418");
}

//! What stands in a folder stands in its list too: providers, functions, formats.

use super::{complains, nothing, tree};

/// The function that serves all others, and is not deployed.
const EVERYTHING: &str = "lockgate";
/// Formats that only providers speak: nobody sends us their requests.
const OUTBOUND_ONLY: &[&str] = &["aws/converse"];
/// The vendors whose formats are known.
const VENDORS: &[&str] = &["anthropic", "aws", "google", "openai"];
/// What a format's golden cases are about.
const KINDS: &[&str] = &["request", "response", "stream", "error"];
/// The same, of those that only providers speak and that have no streams.
const KINDS_OF_EMBEDDINGS: &[&str] = &["response", "error"];

/// `files` are the names and texts of the crate's sources, `catalog` its `lib.rs`.
fn missing_providers(files: &[(String, String)], catalog: &str) -> Vec<String> {
    let is_provider = |text: &str| text.contains("const PROVIDER: Provider");
    let described = files.iter().filter(|(_, text)| is_provider(text));
    let missing = described.filter(|(name, _)| !catalog.contains(&format!("&{name}::PROVIDER,")));
    missing.map(|(name, _)| format!("{name}.rs is not in CATALOG")).collect()
}

fn missing_functions(folders: &[String], served: &str, template: &str) -> Vec<String> {
    let mut wrong = vec![];
    for folder in folders.iter().filter(|it| *it != EVERYTHING) {
        if !served.contains(&format!("{}::routes()", folder.replace('-', "_"))) {
            wrong.push(format!("{folder} is not merged in {EVERYTHING}"));
        }
        if !template.contains(&format!("CodeUri: functions/{folder}\n")) {
            wrong.push(format!("{folder} has no block in template.yaml"));
        }
    }
    wrong
}

/// `cases` gives the names in a folder of golden cases; none when there is no such folder.
fn formats_without_cases(
    vendor: &str,
    library: &str,
    cases: impl Fn(&str) -> Vec<String>,
) -> Vec<String> {
    let modules = library.lines().filter_map(|it| it.strip_prefix("pub mod ")?.strip_suffix(';'));
    let formats = modules.map(|module| format!("{vendor}/{module}"));
    let is_wanted = |format: &str, kind| kind != "request" || !OUTBOUND_ONLY.contains(&format);
    let kinds = |it: &str| if it.ends_with("/embeddings") { KINDS_OF_EMBEDDINGS } else { KINDS };
    let all = formats.flat_map(|format| {
        let wanted = kinds(&format).iter().filter(|kind| is_wanted(&format, **kind));
        wanted.map(|kind| format!("{format}/{kind}")).collect::<Vec<_>>()
    });
    let empty = all.filter(|it| cases(it).is_empty());
    empty.map(|it| format!("tests/golden/{it} has no case")).collect()
}

#[test]
fn every_provider_is_in_the_catalog() {
    let folder = "shared/providers/src/";
    let named = |it: tree::File| {
        let name = it.path.strip_prefix(folder).and_then(|it| it.strip_suffix(".rs"));
        (name.unwrap().to_owned(), it.text)
    };
    let files: Vec<_> = tree::files(folder, ".rs").into_iter().map(named).collect();
    nothing(&missing_providers(&files, &tree::text("shared/providers/src/lib.rs")));
}

#[test]
fn every_function_is_served_and_deployed() {
    let served = tree::text("functions/lockgate/src/serve.rs");
    let template = tree::text("template.yaml");
    nothing(&missing_functions(&tree::names("functions"), &served, &template));
}

#[test]
fn every_format_has_golden_cases_of_each_kind() {
    let cases = |folder: &str| {
        let folder = format!("shared/formats/tests/golden/{folder}");
        if tree::root().join(&folder).is_dir() { tree::names(&folder) } else { vec![] }
    };
    for vendor in VENDORS {
        let library = tree::text(&format!("shared/formats/src/{vendor}.rs"));
        nothing(&formats_without_cases(vendor, &library, cases));
    }
}

#[test]
fn a_provider_outside_the_catalog_is_found() {
    let files = [("groq".to_owned(), "pub(crate) const PROVIDER: Provider = x;".to_owned())];
    assert!(missing_providers(&files, "    &groq::PROVIDER,\n").is_empty());
    complains(&missing_providers(&files, "    &openai::PROVIDER,\n"), "groq.rs");
}

#[test]
fn a_forgotten_function_is_found() {
    let folders = ["chat-x".to_owned(), EVERYTHING.to_owned()];
    let (served, template) = ("chat_x::routes()", "      CodeUri: functions/chat-x\n");
    assert!(missing_functions(&folders, served, template).is_empty());
    complains(&missing_functions(&folders, "", template), "chat-x is not merged");
    complains(&missing_functions(&folders, served, ""), "chat-x has no block");
}

#[test]
fn a_format_without_cases_is_found() {
    let found =
        |folder: &str| if folder == "v/a/stream" { vec![] } else { vec!["case".to_owned()] };
    complains(&formats_without_cases("v", "mod json;\npub mod a;\n", found), "golden/v/a/stream");
    let found =
        |folder: &str| if folder.ends_with("request") { vec![] } else { vec!["case".to_owned()] };
    assert!(formats_without_cases("aws", "pub mod converse;\n", found).is_empty());
    complains(&formats_without_cases("v", "pub mod a;\n", found), "golden/v/a/request");
}

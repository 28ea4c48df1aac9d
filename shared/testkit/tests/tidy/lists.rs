//! What stands in a folder stands in its list too: providers, functions, formats.

use std::collections::BTreeSet;

use edge::ENDPOINTS;

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

/// `functions` are those that the table of endpoints names.
fn missing_functions(folders: &[String], functions: &[&str], template: &str) -> Vec<String> {
    let mut wrong = vec![];
    for folder in folders.iter().filter(|it| *it != EVERYTHING) {
        if !functions.contains(&folder.as_str()) {
            wrong.push(format!("{folder} serves no endpoint of edge's table"));
        }
        if !template.contains(&format!("CodeUri: functions/{folder}\n")) {
            wrong.push(format!("{folder} has no block in template.yaml"));
        }
    }
    let known = |function: &&&str| folders.iter().any(|folder| folder == **function);
    let unknown = functions.iter().filter(|function| !known(function));
    wrong.extend(unknown.map(|it| format!("{it} is in edge's table and has no folder")));
    wrong
}

/// The paths of endpoints that the front door sends elsewhere. `patterns` are those of its
/// behaviours, in order, each with the function that it leads to.
fn misled_paths(endpoints: &[(&str, String)], patterns: &[(String, String)]) -> Vec<String> {
    let target = |path: &str| {
        let first = patterns.iter().find(|(pattern, _)| matches_pattern(pattern, path));
        first.map_or("health", |(_, function)| function.as_str())
    };
    let misled = endpoints.iter().filter(|(function, path)| target(path) != *function);
    misled
        .map(|(function, path)| format!("{path} leads to {}, not to {function}", target(path)))
        .collect()
}

/// Whether a path fits a pattern of CloudFront's, in which `*` stands for any text.
fn matches_pattern(pattern: &str, path: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == path,
        Some((start, rest)) => path.strip_prefix(start).is_some_and(|path| {
            (0..=path.len())
                .any(|at| path.is_char_boundary(at) && matches_pattern(rest, &path[at..]))
        }),
    }
}

/// The patterns of the front door's behaviours, wherever the template keeps them.
fn front_door_patterns() -> Vec<(String, String)> {
    let in_infra = tree::root().join("infra/front-door.yaml").is_file();
    let text = tree::text(if in_infra { "infra/front-door.yaml" } else { "template.yaml" });
    let rows = text.lines().filter_map(|line| line.split_once("PathPattern: "));
    rows.map(|(_, row)| {
        let (pattern, target) = row.split_once(", TargetOriginId: ").unwrap();
        let target = target.trim_end_matches(" }");
        (pattern.trim_matches('"').to_owned(), kebab(target))
    })
    .collect()
}

/// `ChatCompletions` as a folder is called: `chat-completions`.
fn kebab(name: &str) -> String {
    let mut kebab = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !kebab.is_empty() {
            kebab.push('-');
        }
        kebab.push(letter.to_ascii_lowercase());
    }
    kebab
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
    let functions: BTreeSet<_> = ENDPOINTS.iter().map(|endpoint| endpoint.function).collect();
    let functions: Vec<_> = functions.into_iter().collect();
    let template = tree::text("template.yaml");
    nothing(&missing_functions(&tree::names("functions"), &functions, &template));
}

#[test]
fn the_distribution_routes_every_path_to_its_function() {
    let method = |endpoint: &edge::Endpoint| {
        if endpoint.function == "generate-content" { ":generateContent" } else { "" }
    };
    let paths = ENDPOINTS.iter().flat_map(|endpoint| {
        let id = format!("some/model{}", method(endpoint));
        endpoint.paths.iter().map(move |path| (endpoint.function, path.replace("{*id}", &id)))
    });
    nothing(&misled_paths(&paths.collect::<Vec<_>>(), &front_door_patterns()));
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
    let (functions, template) = (["chat-x"], "      CodeUri: functions/chat-x\n");
    assert!(missing_functions(&folders, &functions, template).is_empty());
    complains(&missing_functions(&folders, &[], template), "chat-x serves no endpoint");
    complains(&missing_functions(&folders, &functions, ""), "chat-x has no block");
    complains(&missing_functions(&folders, &["chat-x", "y"], template), "y is in edge's table");
}

#[test]
fn a_misrouted_path_is_found() {
    let patterns = [("*/chat/*".to_owned(), "chat".to_owned())];
    let endpoints = |path: &str| [("chat", path.to_owned())];
    assert!(misled_paths(&endpoints("/v1/chat/x"), &patterns).is_empty());
    complains(&misled_paths(&endpoints("/v1/chats"), &patterns), "leads to health, not to chat");
    assert_eq!(kebab("ChatCompletions"), "chat-completions");
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

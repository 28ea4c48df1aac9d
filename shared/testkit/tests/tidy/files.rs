//! What one file may be: its length, its first line, and what it may not say.

use super::{
    complains, nothing,
    tree::{self, File},
};

/// How many lines a file may have, its tests aside.
const MAX_LINES: usize = 500;
/// The only file that may read the environment and the clock.
const SETTINGS: &str = "shared/edge/src/settings.rs";
/// The lint that guards both; whoever expects it reads one of them.
const LINT: &str = "clippy::disallowed_methods";

/// The folder of what differs between operating systems, and the uses that stay in it.
const PLATFORM: &str = "shared/edge/src/platform/";
const OF_ONE_SYSTEM: [&str; 3] = ["rustix::", "signal::unix", "std::os::"];
/// The files that write secrets, which set who may read them, behind `cfg(unix)`.
const SETS_FILE_MODES: [&str; 4] = [
    "functions/lockgate/src/private_file.rs",
    "functions/lockgate/src/root_secret.rs",
    "shared/admin/src/configuration_source.rs",
    "shared/storage/src/sqlite.rs",
];

/// Every source file that is not built.
fn sources() -> Vec<File> {
    tree::files("", ".rs")
}

/// What is shipped, so neither the testkit nor the benchmark nor tests in files of their own.
fn is_product(file: &File) -> bool {
    let inside = file.path.starts_with("shared/") || file.path.starts_with("functions/");
    inside && file.path.contains("/src/") && !file.path.starts_with("shared/testkit/")
}

/// Files whose only content is tests: folders called `tests`, and `tests.rs` beside what it tests.
fn is_test(file: &File) -> bool {
    file.path.contains("/tests/") || file.path.ends_with("/tests.rs")
}

/// How many lines stand before the tests at a file's end.
fn lines_before_tests(text: &str) -> usize {
    let lines: Vec<&str> = text.lines().collect();
    let starts_tests =
        |pair: &[&str]| pair[0].trim() == "#[cfg(test)]" && pair[1].contains("mod tests");
    lines.windows(2).position(starts_tests).unwrap_or(lines.len())
}

fn too_long(files: &[File]) -> Vec<String> {
    let counted = files
        .iter()
        .filter(|it| !is_test(it))
        .map(|it| (it, lines_before_tests(&it.text)))
        .filter(|(_, lines)| MAX_LINES < *lines);
    counted.map(|(it, lines)| format!("{} has {lines} lines", it.path)).collect()
}

/// `tests.rs` belongs to the file beside it, which says what both are for.
fn without_a_purpose(files: &[File]) -> Vec<String> {
    let opening = files.iter().filter(|it| !it.path.ends_with("/tests.rs"));
    let silent = opening.filter(|it| !it.text.starts_with("//! "));
    silent.map(|it| format!("{} does not begin with what it is for (`//! `)", it.path)).collect()
}

fn reading_the_world(files: &[File]) -> Vec<String> {
    let mut wrong = vec![];
    for file in files.iter().filter(|it| is_product(it)) {
        let allowed = usize::from(file.path == SETTINGS);
        for (what, times) in
            [("env::var", allowed), ("SystemTime::now", allowed), (LINT, allowed * 2)]
        {
            let found = file.text.matches(what).count();
            if found != times {
                wrong.push(format!("{} has {what} {found} times, not {times}", file.path));
            }
        }
    }
    wrong
}

fn bound_to_one_system(files: &[File]) -> Vec<String> {
    let mut wrong = vec![];
    for file in files.iter().filter(|it| is_product(it) && !it.path.starts_with(PLATFORM)) {
        let is_allowed = |used: &str| used == "std::os::" && SETS_FILE_MODES.contains(&&*file.path);
        let used = OF_ONE_SYSTEM.iter().filter(|used| file.text.contains(**used));
        for used in used.filter(|used| !is_allowed(used)) {
            wrong.push(format!("{} uses {used}, which belongs in {PLATFORM}", file.path));
        }
    }
    wrong
}

fn without_an_issue(files: &[File]) -> Vec<String> {
    let mut wrong = vec![];
    // Spelled in two parts, or this file would break its own rule.
    for word in [concat!("TO", "DO"), concat!("FIX", "ME")] {
        for file in files {
            let notes = file.text.split(word).skip(1);
            let open = notes.filter(|it| {
                let number = it.strip_prefix("(#").unwrap_or_default();
                !number.starts_with(|first: char| first.is_ascii_digit())
            });
            wrong.extend(open.map(|_| format!("{} has a {word} without its issue", file.path)));
        }
    }
    wrong
}

fn unlinted(manifests: &[File]) -> Vec<String> {
    let members = manifests.iter().filter(|it| it.path != "Cargo.toml");
    let unlinted = members.filter(|it| !it.text.contains("[lints]\nworkspace = true"));
    unlinted.map(|it| format!("{} does without the workspace's lints", it.path)).collect()
}

#[test]
fn files_are_short() {
    nothing(&too_long(&sources()));
}

#[test]
fn files_begin_with_a_doc_comment() {
    nothing(&without_a_purpose(&sources()));
}

#[test]
fn only_edge_reads_the_environment_and_the_clock() {
    assert!(sources().iter().any(|it| it.path == SETTINGS));
    nothing(&reading_the_world(&sources()));
}

#[test]
fn what_one_system_has_stays_in_its_folder() {
    nothing(&bound_to_one_system(&sources()));
}

#[test]
fn todos_name_an_issue() {
    for ending in [".rs", ".py", ".toml", ".yaml", "Makefile"] {
        nothing(&without_an_issue(&tree::files("", ending)));
    }
}

#[test]
fn every_package_is_linted() {
    nothing(&unlinted(&tree::files("", "Cargo.toml")));
}

fn file(path: &str, text: impl Into<String>) -> Vec<File> {
    vec![File { path: path.to_owned(), text: text.into() }]
}

#[test]
fn a_long_file_is_found_and_its_tests_do_not_count() {
    let code = "x\n".repeat(MAX_LINES);
    let tests = format!("{code}#[cfg(test)]\nmod tests {{\n{code}}}\n");
    assert!(too_long(&file("shared/edge/src/a.rs", tests)).is_empty());
    complains(&too_long(&file("shared/edge/src/a.rs", format!("{code}x\n"))), "501 lines");
    assert!(too_long(&file("shared/edge/src/a/tests.rs", format!("{code}x\n"))).is_empty());
}

#[test]
fn a_file_without_a_doc_comment_is_found() {
    complains(&without_a_purpose(&file("shared/edge/src/a.rs", "use std::fmt;\n")), "a.rs");
}

#[test]
fn a_second_reader_of_the_environment_is_found() {
    let reads = |path, text: &str| reading_the_world(&file(path, text));
    complains(&reads("shared/routing/src/a.rs", "std::env::vars()"), "env::var");
    complains(&reads("functions/lockgate/src/a.rs", "SystemTime::now()"), "SystemTime::now");
    let expecting = format!("#[expect({LINT}, reason = \"I am special\")]");
    complains(&reads("shared/gateway/src/a.rs", &expecting), LINT);
    let settings = format!("{expecting} {expecting} env::var SystemTime::now");
    assert!(reads(SETTINGS, &settings).is_empty());
    complains(&reads(SETTINGS, &format!("{settings} env::var_os")), "env::var 2 times, not 1");
}

#[test]
fn a_use_of_one_system_elsewhere_is_found() {
    let uses = |path, text| bound_to_one_system(&file(path, text));
    complains(
        &uses("shared/edge/src/server.rs", "use tokio::signal::unix::signal;"),
        "signal::unix",
    );
    complains(&uses("functions/lockgate/src/a.rs", "rustix::process::getpid()"), "rustix::");
    assert!(uses("shared/edge/src/platform/unix.rs", "use rustix::process;").is_empty());
}

#[test]
fn a_todo_without_an_issue_is_found() {
    let note = concat!("// TO", "DO");
    complains(&without_an_issue(&file("a.rs", format!("{note}: later"))), "a.rs");
    assert!(without_an_issue(&file("a.rs", format!("{note}(#12): later"))).is_empty());
}

#[test]
fn a_package_without_lints_is_found() {
    complains(&unlinted(&file("shared/a/Cargo.toml", "[package]\nname = \"a\"\n")), "shared/a");
}

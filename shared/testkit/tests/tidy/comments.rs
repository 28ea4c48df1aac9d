//! Doc comments can be read alone: none begins with a word that points to the item before it.

use super::{
    complains, nothing,
    tree::{self, File},
};

/// First words that stand for the item before.
const PRONOUNS: &[&str] = &["It ", "They ", "Their ", "Its ", "This one"];
/// What follows `The same` where it does not say the same what.
const SAME_OF_WHAT: &[&str] = &[
    ".",
    ",",
    " as ",
    " at ",
    " for ",
    " in ",
    " of ",
    " under ",
    " where ",
    " with ",
    " within ",
    " without ",
];

/// Whether a doc comment that begins with this line needs its neighbor. `The same as` an item in
/// backticks is understood.
fn points_back(line: &str) -> bool {
    let is_bare = |rest: &str| SAME_OF_WHAT.iter().any(|it| rest.starts_with(it));
    let is_same = line.strip_prefix("The same").is_some_and(is_bare) && !line.contains('`');
    is_same || PRONOUNS.iter().any(|it| line.starts_with(it))
}

/// The first line of each doc comment of an item.
fn first_lines(text: &str) -> impl Iterator<Item = &str> {
    let doc = |line: &'_ str| line.trim_start().starts_with("///");
    let mut is_inside = false;
    text.lines().filter_map(move |line| {
        let is_first = doc(line) && !is_inside;
        is_inside = doc(line);
        line.trim_start().strip_prefix("/// ").filter(|_| is_first)
    })
}

fn pointing_back(files: &[File]) -> Vec<String> {
    let mut wrong = vec![];
    for file in files {
        let found = first_lines(&file.text).filter(|line| points_back(line));
        wrong.extend(found.map(|it| format!("{}: name what is meant by \"{it}\"", file.path)));
    }
    wrong
}

#[test]
fn doc_comments_can_be_read_alone() {
    let sources = tree::files("", ".rs");
    let sources: Vec<_> = sources.into_iter().filter(|it| it.path.contains("/src/")).collect();
    nothing(&pointing_back(&sources));
}

#[test]
fn a_doc_comment_that_needs_its_neighbor_is_found() {
    let found = |text: &str| {
        pointing_back(&[File { path: "shared/edge/src/a.rs".to_owned(), text: text.to_owned() }])
    };
    complains(&found("/// They do not.\nNo,"), "They do not.");
    complains(&found("    /// Its name.\n    name: String,"), "Its name.");
    complains(&found("/// The same, with another limit.\nfn with() {}"), "The same, with");
    complains(&found("/// The same for streams.\nfn streams() {}"), "The same for");
    assert!(found("/// The same as [`Self::open`], with options.\n").is_empty());
    assert!(found("/// The same text without keys.\n/// It may be empty.\n").is_empty());
    assert!(found("// It comes first.\n//! It is a server.\n").is_empty());
}

//! The architecture as a test: reads the tree, and fails when it is no longer what the design says.
//!
//! Every rule is a function over plain values that gives its complaints, so that each is seen to
//! fire below it, on a tree that breaks it.

#![expect(clippy::unwrap_used, reason = "a broken setup should stop the test")]
#![expect(clippy::string_slice, reason = "texts are cut where something was found in them")]

#[path = "tidy/comments.rs"]
mod comments;
#[path = "tidy/crates.rs"]
mod crates;
#[path = "tidy/files.rs"]
mod files;
#[path = "tidy/homes.rs"]
mod homes;
#[path = "tidy/lists.rs"]
mod lists;
#[path = "tidy/lock.rs"]
mod lock;
#[path = "tidy/model_names.rs"]
mod model_names;
#[path = "tidy/pages.rs"]
mod pages;
#[path = "tidy/reference.rs"]
mod reference;
#[path = "tidy/tree.rs"]
mod tree;
#[path = "tidy/words.rs"]
mod words;

/// Fails with every complaint at once.
fn nothing(complaints: &[String]) {
    assert!(complaints.is_empty(), "\n  {}\n", complaints.join("\n  "));
}

/// Whether a rule fires: it has one complaint, and that names what is wrong.
fn complains(complaints: &[String], about: &str) {
    let [complaint] = complaints else { panic!("one complaint was expected: {complaints:?}") };
    assert!(complaint.contains(about), "{complaint:?} does not say {about:?}");
}

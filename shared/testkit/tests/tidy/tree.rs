//! The tree as the rules see it: its packages, its files, and what is locked.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

/// What is never looked into: what is built, fetched or kept by tools.
const SKIPPED: &[&str] = &["target", "node_modules", "__pycache__"];

/// One package of the workspace.
#[derive(Clone, Debug, Default)]
pub(crate) struct Package {
    pub(crate) name: String,
    /// Where it lives: `shared`, `functions`, or its own folder at the top.
    pub(crate) folder: String,
    /// What the product needs; what only tests need is not here.
    pub(crate) dependencies: Vec<String>,
    /// What only tests need.
    pub(crate) for_tests: Vec<String>,
}

/// One text file.
#[derive(Clone, Debug)]
pub(crate) struct File {
    /// From the top of the tree, with slashes.
    pub(crate) path: String,
    pub(crate) text: String,
}

/// The top of the tree.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// The text of a file that must be there.
pub(crate) fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every package of the workspace, as cargo sees it.
pub(crate) fn packages() -> Vec<Package> {
    let metadata = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(root())
        .output()
        .unwrap();
    let metadata: Value = serde_json::from_slice(&metadata.stdout).unwrap();
    metadata["packages"].as_array().unwrap().iter().map(package).collect()
}

fn package(json: &Value) -> Package {
    let dependencies = |wanted: fn(&Value) -> bool| {
        let all = json["dependencies"].as_array().unwrap().iter();
        all.filter(|it| wanted(&it["kind"])).map(|it| word(&it["name"])).collect()
    };
    let manifest = PathBuf::from(word(&json["manifest_path"])).canonicalize().unwrap();
    let from_top = manifest.strip_prefix(root()).unwrap();
    Package {
        name: word(&json["name"]),
        folder: from_top.iter().next().unwrap().to_string_lossy().into_owned(),
        dependencies: dependencies(|kind| kind != "dev"),
        for_tests: dependencies(|kind| kind == "dev"),
    }
}

fn word(json: &Value) -> String {
    json.as_str().unwrap().to_owned()
}

/// Every file under a folder whose name ends so, in order. There has to be one, or a rule about
/// such files would hold of nothing.
pub(crate) fn files(folder: &str, ending: &str) -> Vec<File> {
    let mut files = vec![];
    walk(&root().join(folder), ending, &mut files);
    assert!(!files.is_empty(), "no file under {folder:?} ends with {ending:?}");
    files.sort_by(|one, other| one.path.cmp(&other.path));
    files
}

fn walk(folder: &Path, ending: &str, files: &mut Vec<File>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            if !name.starts_with('.') && !SKIPPED.contains(&&*name) {
                walk(&path, ending, files);
            }
        } else if name.ends_with(ending) {
            let text = fs::read_to_string(&path).unwrap();
            let path = path.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
            files.push(File { path, text });
        }
    }
}

/// The names of what lies in a folder, in order.
pub(crate) fn names(folder: &str) -> Vec<String> {
    let entries = fs::read_dir(root().join(folder)).unwrap();
    let mut names: Vec<_> =
        entries.map(|it| it.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

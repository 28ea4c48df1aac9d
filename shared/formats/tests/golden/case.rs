//! Cases on disk: where they lie, and how what was expected is compared or rewritten.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
};

/// The file with what is expected.
const EXPECTED: &str = "expected.txt";
/// How the name of a file ends that stands for binary frames.
const FRAMES: &str = "frames";
/// Accepts what the formats write now, if it is set.
const ACCEPT: &str = "UPDATE_GOLDEN";

/// One case.
pub(crate) struct Case {
    folder: PathBuf,
}

impl Case {
    /// What comes in: the one file that is not what is expected. Binary frames are written down
    /// as text.
    pub(crate) fn input(&self) -> Vec<u8> {
        let mut files = fs::read_dir(&self.folder).unwrap().map(|it| it.unwrap().path());
        let path = files.find(|it| !it.ends_with(EXPECTED)).unwrap();
        let input = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        if path.extension().is_some_and(|it| it == FRAMES) {
            return testkit::bedrock::written(std::str::from_utf8(&input).unwrap());
        }
        input
    }

    /// What is wrong with the case, if anything is. Accepting makes nothing wrong.
    fn difference(&self, found: &str) -> Option<String> {
        let path = self.folder.join(EXPECTED);
        if std::env::var_os(ACCEPT).is_some() {
            fs::write(&path, found).unwrap();
            return None;
        }
        let expected = fs::read_to_string(&path).unwrap_or_default();
        (expected != found).then(|| format!("{self}: {}", first_difference(&expected, found)))
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let from_golden: PathBuf = self.folder.iter().rev().take(4).collect();
        let parts: Vec<_> = from_golden.iter().rev().map(|it| it.to_string_lossy()).collect();
        f.write_str(&parts.join("/"))
    }
}

fn first_difference(expected: &str, found: &str) -> String {
    let (mut expected, mut found) = (expected.lines(), found.lines());
    let mut number = 1;
    loop {
        match (expected.next(), found.next()) {
            (None, None) => return "its last line ends differently".to_owned(),
            (one, other) if one == other => number += 1,
            (one, other) => {
                let shown = |line: Option<&str>| line.unwrap_or("(the end)").to_owned();
                return format!(
                    "line {number}\n    expected: {}\n    found:    {}",
                    shown(one),
                    shown(other)
                );
            }
        }
    }
}

/// Every case of one kind, in order; none where the folder is missing.
pub(crate) fn all(format: &str, kind: &str) -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(format).join(kind);
    let Ok(entries) = fs::read_dir(&folder) else { return vec![] };
    let mut folders: Vec<_> = entries.map(|it| it.unwrap().path()).collect();
    folders.sort();
    folders.into_iter().map(|folder| Case { folder }).collect()
}

/// Compares every case of one kind with what `show` makes of its input.
pub(crate) fn check(format: &str, kind: &str, show: impl Fn(&[u8]) -> String) {
    let cases = all(format, kind);
    let different: Vec<String> =
        cases.iter().filter_map(|case| case.difference(&show(&case.input()))).collect();
    assert!(
        different.is_empty(),
        "\n  {}\n\n`make golden` accepts what the formats write now.\n",
        different.join("\n  ")
    );
}

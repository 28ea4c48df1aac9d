//! Files that may hold keys, which their owner alone may read.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    path::Path,
};

use crate::commands::Failure;

/// Writes a file that must not be there yet, unless it may be replaced.
pub(crate) fn write_new(path: &Path, text: &str, may_replace: bool) -> Result<(), Failure> {
    if path.exists() && !may_replace {
        let message = format!("{} is there already; --force replaces it", path.display());
        return Err(Failure::Usage(message));
    }

    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    write(options, path, text)
}

/// Adds variables to a file of them. One that the file has already stays as it is; gives the names
/// of those.
pub(crate) fn append_variables(
    path: &Path,
    variables: &[(String, String)],
) -> Result<Vec<String>, Failure> {
    let present = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(failed(path, &error)),
    };
    let has = |name: &str| {
        let mut names = present.lines().filter_map(|line| line.split('=').next());
        names.any(|known| known.trim().trim_start_matches("export ") == name)
    };
    let (kept, new): (Vec<_>, Vec<_>) = variables.iter().partition(|(name, _)| has(name));
    let mut added = String::new();

    for (name, value) in new {
        // Single quotes keep every other character of a value as it is.
        let quote = if value.contains('\'') { '"' } else { '\'' };
        added.push_str(&format!("{name}={quote}{value}{quote}\n"));
    }
    // Or the first new variable would become part of the last line.
    if !present.is_empty() && !present.ends_with('\n') {
        added.insert(0, '\n');
    }

    let mut options = OpenOptions::new();
    options.append(true).create(true);
    write(options, path, &added)?;
    Ok(kept.into_iter().map(|(name, _)| name.clone()).collect())
}

fn write(mut options: OpenOptions, path: &Path, text: &str) -> Result<(), Failure> {
    #[cfg(unix)]
    // Set when the file is made: between making and changing it somebody could open it.
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let opened = options.open(path);
    opened
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|error| failed(path, &error))
}

fn failed(path: &Path, error: &io::Error) -> Failure {
    Failure::Other(format!("{}: {error}", path.display()))
}

//! The root secret: what the keys of sessions and of sealed secrets are derived from.
//!
//! It comes from the environment, or from a file beside the data file that its owner alone may read,
//! made at the first start.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use admin::RootSecret;
use edge::settings::Environment;

use crate::commands::Failure;

/// The variable that holds the root secret, as 64 hexadecimal digits.
const VARIABLE: &str = "LOCKGATE_SECRET";

/// Finds the root secret of a data file, or makes it.
pub(crate) fn find(data: &Path, environment: &Environment) -> Result<RootSecret, Failure> {
    if let Some(text) = environment.get(VARIABLE) {
        let message = format!("the variable {VARIABLE} must have 64 hexadecimal digits");
        return admin::parse_root_secret(&text).ok_or(Failure::Usage(message));
    }
    let path = path_beside(data);
    let failed = |error: &dyn std::fmt::Display| {
        Failure::Other(format!("{}: {error}. Set {VARIABLE} instead.", path.display()))
    };

    match fs::read_to_string(&path) {
        Ok(text) => admin::parse_root_secret(text.trim())
            .ok_or_else(|| failed(&"it does not hold a secret")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            make(&path).map_err(|error| failed(&error))
        }
        Err(error) => Err(failed(&error)),
    }
}

/// `lockgate.db.secret` beside `lockgate.db`.
fn path_beside(data: &Path) -> PathBuf {
    let mut name = data.file_name().unwrap_or_default().to_owned();
    name.push(".secret");
    data.with_file_name(name)
}

/// Makes the file. Of several processes that start at once, one makes it and the others read it.
fn make(path: &Path) -> io::Result<RootSecret> {
    let secret = admin::generate_root_secret()
        .ok_or_else(|| io::Error::other("the system has no randomness"))?;
    let text: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let new = path.with_file_name(name);
    // What a process of the same number left behind is nobody's, and is replaced.
    admin::write_private(&new, &text)?;

    // A whole file or none, whatever ends the process; and it fails if another process was first,
    // whose secret must not be replaced: it may have sealed keys already.
    match fs::hard_link(&new, path) {
        Ok(()) => fs::remove_file(&new).map(|()| secret),
        Err(_) if path.exists() => {
            fs::remove_file(&new)?;
            let text = fs::read_to_string(path)?;
            admin::parse_root_secret(text.trim())
                .ok_or_else(|| io::Error::other("it does not hold a secret"))
        }
        // Some file systems know no links.
        Err(_) => fs::rename(&new, path).map(|()| secret),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_secret_is_made_once_and_kept_from_others() {
        let folder = std::env::temp_dir().join(format!("lockgate-root-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let data = folder.join("lockgate.db");
        let environment = Environment::of_process();
        let secret = find(&data, &environment).unwrap();
        assert_eq!(find(&data, &environment).unwrap(), secret);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(path_beside(&data)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn of_processes_that_start_at_once_all_have_one_secret() {
        let folder = std::env::temp_dir().join(format!("lockgate-roots-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("lockgate.db.secret");
        let first = make(&path).unwrap();
        assert_eq!(make(&path).unwrap(), first);
        let files: Vec<_> = fs::read_dir(&folder).unwrap().collect();
        assert_eq!(files.len(), 1, "{files:?}");
        fs::remove_dir_all(&folder).unwrap();
    }
}

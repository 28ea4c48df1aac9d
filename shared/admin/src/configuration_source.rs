//! Where the configuration is kept, and how it is read and replaced there.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use config::{Auth, Config, ConfigError, ConfigErrors, to_yaml};
use storage::{Parameters, Stores};

use crate::{
    apply::{ApplyOptions, Destination, apply},
    problem::{AdminResult, Problem, ProblemField, ProblemKind},
    redacted_text::{HiddenText, hide},
};

/// What operators of a stack without a configuration begin with.
pub(crate) const FIRST_CONFIG: &str = "# Put your providers here.\nproviders:\n  - name: example\n    \
                            type: mock\n    script: { answer: Hello }\n";

/// Where the configuration is kept.
#[derive(Clone, Debug)]
pub enum ConfigSource {
    /// In a file, from which a server runs.
    File(ConfigFile),
    /// In the table `config` and in parameters, for functions in AWS.
    Rows(ConfigRows),
}

/// A configuration file.
#[derive(Clone, Debug)]
pub struct ConfigFile {
    /// The file. A server that serves its demonstration has none yet: the first change makes it.
    pub path: PathBuf,
    /// What is served while there is no file.
    pub demonstration: &'static str,
    /// The variables of the process, by which `${VAR}` is expanded.
    pub variables: Variables,
    /// Who can reach the server.
    pub reach: Reach,
    /// What is wrong with the files that a configuration names.
    pub file_errors: fn(&Config) -> Vec<ConfigError>,
}

/// A configuration in AWS.
#[derive(Clone, Debug)]
pub struct ConfigRows {
    /// The store of secrets.
    pub parameters: Parameters,
    /// How the names of parameters begin, such as `/lockgate/prod`.
    pub prefix: String,
}

/// Who can reach a server, which decides whether it may be open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Programs on the same machine.
    Loopback,
    /// Other machines too.
    Network,
}

/// Finds the value of a variable.
type FindVariable = dyn Fn(&str) -> Option<String> + Send + Sync;

/// The variables of a process.
#[derive(Clone)]
pub struct Variables(Arc<FindVariable>);

impl Variables {
    /// Variables that this function finds.
    pub fn new(find: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(find))
    }

    pub(crate) fn get(&self, name: &str) -> Option<String> {
        (self.0)(name)
    }
}

impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Variables")
    }
}

/// A configuration that was read: what operators see of it, and what stands behind.
pub(crate) struct ReadConfig {
    pub(crate) config: Config,
    /// The text, with a variable in place of each secret.
    pub(crate) hidden: HiddenText,
}

impl ConfigSource {
    /// Reads the configuration. `live` is the one in force.
    pub(crate) async fn read(&self, live: &Config) -> AdminResult<ReadConfig> {
        match self {
            Self::File(file) => {
                let text = file.text().await?;

                let variables = |name: &str| file.variables.get(name);
                let config = config::read(&text, &variables, &gateway::kinds());
                let detail = "The configuration file was changed and is wrong; mend it there.";
                // Not replaced by the live one: the operator would overwrite a change that somebody
                // else is making by hand.
                let config = config.map_err(|errors| wrong_file(detail, &errors))?;
                let hidden = hide(&text, &config, &variables)?;
                Ok(ReadConfig { config, hidden })
            }
            Self::Rows(_) => {
                // Rows hold no text, and secrets are in parameters already.
                let hidden = HiddenText::without_secrets(to_yaml(live));
                Ok(ReadConfig { config: live.clone(), hidden })
            }
        }
    }

    /// Where nothing was ever written, something to begin with; else the error.
    pub(crate) fn read_first(&self, error: canonical::Error) -> AdminResult<ReadConfig> {
        let first = config::read(FIRST_CONFIG, &|_| None, &gateway::kinds());
        match (self, first) {
            // A server has read a file, or it would not run.
            (Self::Rows(_), Ok(config)) => {
                let hidden = HiddenText::without_secrets(FIRST_CONFIG.to_owned());
                Ok(ReadConfig { config, hidden })
            }
            (Self::Rows(_) | Self::File(_), _) => Err(error.into()),
        }
    }

    /// Validates a text that an operator wrote, as a whole. A variable that neither the process nor
    /// the present configuration knows is an error.
    pub(crate) async fn check(&self, text: &str, present: &ReadConfig) -> AdminResult<Config> {
        let checked = match self {
            Self::File(file) => {
                // The process's own come first: they are what the next start will have.
                let variables =
                    |name: &str| file.variables.get(name).or_else(|| present.hidden.value(name));
                config::read(text, &variables, &gateway::kinds())
            }
            Self::Rows(rows) => {
                let values = rows.values(&present.config).await?;
                let variables = |name: &str| {
                    let found = values.iter().find(|(known, _)| known == name);
                    found.map(|(_, value)| value.clone())
                };
                config::read(text, &variables, &gateway::kinds())
            }
        };
        let config = checked.map_err(|errors| Problem::fields(fields(&errors)))?;

        self.check_reach(&config)?;
        if let Self::File(file) = self {
            // The server would neither take it up nor start with it.
            let wrong = config::placed(text, (file.file_errors)(&config));
            if !wrong.is_empty() {
                return Err(Problem::fields(wrong.iter().map(ProblemField::from).collect()));
            }
        }
        Ok(config)
    }

    /// Refuses to open a gateway that other machines can reach.
    fn check_reach(&self, config: &Config) -> AdminResult<()> {
        // A function in AWS is always reachable from the internet.
        let may_be_open = matches!(self, Self::File(file) if file.reach == Reach::Loopback);
        if config.auth == Auth::None && !may_be_open {
            let message = "`none` is for servers on loopback addresses only.";
            return Err(Problem::field("auth", message));
        }
        Ok(())
    }

    /// Keeps a text that was checked, in the place of the present one.
    pub(crate) async fn write(
        &self,
        text: &str,
        config: &Config,
        present: &ReadConfig,
        stores: &Stores,
    ) -> AdminResult<()> {
        match self {
            Self::File(file) => {
                let variables = |name: &str| file.variables.get(name);

                let restored = present.hidden.restore(text);

                // What is written has to read back without the secrets that were kept aside.
                config::read(&restored, &variables, &gateway::kinds())
                    .map_err(|errors| Problem::fields(fields(&errors)))?;
                file.write(restored).await
            }
            Self::Rows(rows) => rows.write(config, stores).await,
        }
    }
}

impl ConfigFile {
    async fn text(&self) -> AdminResult<String> {
        let (path, demonstration) = (self.path.clone(), self.demonstration);
        blocking(move || match fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(demonstration.to_owned()),
            read => read,
        })
        .await
        .map_err(unreadable)
    }

    /// Replaces the file in one step. A file that cannot be replaced, such as one that is mounted
    /// into a container by itself, is overwritten.
    async fn write(&self, text: String) -> AdminResult<()> {
        let path = self.path.clone();
        blocking(move || {
            // A link stays one: what it names is the operator's file.
            let path = fs::canonicalize(&path).unwrap_or(path);
            // In the same folder, so that the rename does not cross file systems, which cannot be
            // done in one step.
            let mut name = path.file_name().unwrap_or_default().to_owned();
            name.push(".new");
            let new = path.with_file_name(name);
            match write_private(&new, &text) {
                // A file of its own may be writable in a folder that is not.
                Err(error) if is_read_only(&error) => return fs::write(&path, &text),
                made => made?,
            }
            // The operator may have made the file readable to a group.
            let is_alike = match fs::metadata(&path) {
                Ok(before) => {
                    fs::set_permissions(&new, before.permissions())?;
                    give_owner(&new, &before).is_ok()
                }
                Err(_) => true,
            };

            if !is_alike || fs::rename(&new, &path).is_err() {
                fs::remove_file(&new)?;
                fs::write(&path, &text)?;
            }
            Ok(())
        })
        .await
        .map_err(unwritten)
    }
}

/// Writes a file that its owner alone may read, since it may hold keys. What the file held before is
/// replaced.
pub fn write_private(path: &std::path::Path, text: &str) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    // Set when the file is made: between making and changing it somebody could open it.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    io::Write::write_all(&mut file, text.as_bytes())?;
    // Without this a rename can survive a power failure that the content does not.
    file.sync_all()
}

/// Gives a file the owner of another.
#[cfg(unix)]
fn give_owner(file: &Path, other: &fs::Metadata) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt, chown};

    let own = fs::metadata(file)?;
    if (own.uid(), own.gid()) == (other.uid(), other.gid()) {
        return Ok(());
    }
    chown(file, Some(other.uid()), Some(other.gid()))
}

/// Gives a file the owner of another: it has the same, where the system knows no owners.
#[cfg(not(unix))]
fn give_owner(_file: &Path, _other: &fs::Metadata) -> io::Result<()> {
    Ok(())
}

/// Does what may take seconds, such as to a file on a network drive.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(io::Error::other(error)))
}

fn is_read_only(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied)
}

fn unreadable(error: io::Error) -> Problem {
    let detail = "The configuration file cannot be read.";
    Problem::new(ProblemKind::Unavailable, detail).caused_by(error)
}

fn unwritten(error: io::Error) -> Problem {
    // Mounted so into a container, where the host's file is the one to edit.
    if is_read_only(&error) {
        let detail = "The configuration file is read-only here: edit it where it comes from.";
        return Problem::new(ProblemKind::Conflict, detail).caused_by(error);
    }
    let detail = "The configuration file cannot be written.";
    Problem::new(ProblemKind::Unavailable, detail).caused_by(error)
}

impl ConfigRows {
    /// The values of the variables that stand for the parameters of a configuration.
    async fn values(&self, config: &Config) -> AdminResult<Vec<(String, String)>> {
        let named = config.secrets().filter_map(|source| match source {
            config::SecretSource::Parameter { name, variable: Some(variable) } => {
                Some((variable.clone(), name.clone()))
            }
            config::SecretSource::Parameter { .. } | config::SecretSource::Value { .. } => None,
        });
        let named: Vec<(String, String)> = named.collect();
        let names: Vec<String> = named.iter().map(|(_, name)| name.clone()).collect();

        let values = self.parameters.get(&names).await?;
        let value = |(variable, name): (String, String)| {
            Some((variable, values.get(&name)?.expose().to_owned()))
        };
        Ok(named.into_iter().filter_map(value).collect())
    }

    async fn write(&self, config: &Config, stores: &Stores) -> AdminResult<()> {
        let kinds = gateway::kinds();
        let to = Destination {
            stores,
            parameters: &self.parameters,
            prefix: &self.prefix,
            kinds: &kinds,
            observer: None,
        };
        // The operator sent the whole document, so that what is not in it is to go.
        let options = ApplyOptions { dry_run: false, prune: true };

        let done = apply(config, to, options, &mut io::sink()).await;
        done.map(drop).map_err(|cause| {
            let detail = "The configuration cannot be written.";
            Problem::new(ProblemKind::Unavailable, detail).caused_by(cause)
        })
    }
}

fn fields(errors: &ConfigErrors) -> Vec<ProblemField> {
    errors.iter().map(ProblemField::from).collect()
}

fn wrong_file(detail: &str, errors: &ConfigErrors) -> Problem {
    Problem::new(ProblemKind::Conflict, detail).with_fields(fields(errors))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_read_only_is_no_failure_of_the_store() {
        for (kind, expected) in [
            (io::ErrorKind::ReadOnlyFilesystem, ProblemKind::Conflict),
            (io::ErrorKind::PermissionDenied, ProblemKind::Conflict),
            (io::ErrorKind::StorageFull, ProblemKind::Unavailable),
        ] {
            assert_eq!(unwritten(kind.into()).kind, expected, "{kind}");
        }
        assert_eq!(
            unreadable(io::ErrorKind::PermissionDenied.into()).kind,
            ProblemKind::Unavailable
        );
    }
}

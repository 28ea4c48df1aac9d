//! Where a command finds its configuration and its variables.

use std::{
    io,
    path::{Path, PathBuf},
};

use clap::Args;
use config::{Config, ConfigErrors};
use edge::settings::Environment;

use crate::{
    check,
    commands::Failure,
    config_from_environment::{self, FoundConfig, KEY_VARIABLE},
};

/// Where a configuration is looked for when nobody says where it is.
const PLACES: [&str; 2] = ["config.yaml", "/etc/lockgate/config.yaml"];
/// What is served when it is nowhere.
pub(crate) const DEMO: &str = include_str!("../demo.yaml");

/// Where variables come from besides the process.
#[derive(Clone, Debug, Args)]
pub(crate) struct Sources {
    /// A file of variables for what the environment does not set [default: .env, if it is there]
    #[arg(long, value_name = "FILE", env = "LOCKGATE_ENV_FILE")]
    env_file: Option<PathBuf>,
}

impl Sources {
    /// The file of variables, which need not be there.
    pub(crate) fn env_file(&self) -> &Path {
        self.env_file.as_deref().unwrap_or(Path::new(".env"))
    }

    pub(crate) fn environment(&self) -> Result<Environment, Failure> {
        let named = self.env_file.is_some();
        Environment::with_file(self.env_file(), named).map_err(Failure::Usage)
    }
}

/// The configuration of a file; its problems are printed.
pub(crate) fn config(path: &Path, environment: &Environment) -> Result<Config, Failure> {
    let variables = |name: &str| environment.get(name);
    let config = check::load(path, &variables, &gateway::kinds(), &mut io::stderr())?;
    config.ok_or(Failure::Reported)
}

/// Refuses a configuration that names files which cannot be used; its problems are printed.
pub(crate) fn check_files(path: &Path, config: &Config) -> Result<(), Failure> {
    let good = check::report_files(path, config, &mut io::stderr())?;
    if good { Ok(()) } else { Err(Failure::Reported) }
}

/// The configuration that `serve` takes, and where it comes from.
#[derive(Debug)]
pub(crate) struct Found {
    /// The configuration.
    pub(crate) config: Config,
    /// Where it comes from.
    pub(crate) origin: Origin,
}

/// Where a configuration comes from.
#[derive(Debug)]
pub(crate) enum Origin {
    /// This file.
    File(PathBuf),
    /// Keys in the environment.
    Environment(FoundConfig),
    /// The demonstration, since there is nothing else.
    Demonstration,
}

impl Found {
    /// The variables that the configuration may name: those of the environment, and the key that
    /// was made for clients.
    pub(crate) fn variable(&self, name: &str, environment: &Environment) -> Option<String> {
        match &self.origin {
            Origin::Environment(found) if name == KEY_VARIABLE => {
                Some(found.client_key.expose().to_owned())
            }
            Origin::Environment(_) | Origin::File(_) | Origin::Demonstration => {
                environment.get(name)
            }
        }
    }
}

/// Finds the configuration that `serve` takes: a file, else what the keys in the environment make,
/// else the demonstration.
pub(crate) fn found(named: Option<PathBuf>, environment: &Environment) -> Result<Found, Failure> {
    let path = named.or_else(|| PLACES.iter().map(PathBuf::from).find(|it| it.exists()));
    if let Some(path) = path {
        let config = config(&path, environment)?;
        return Ok(Found { config, origin: Origin::File(path) });
    }
    let failed = |errors: ConfigErrors| Failure::Other(errors.to_string());

    let Some(found) = config_from_environment::find(environment) else {
        let config = config::read(DEMO, &|_| None, &gateway::kinds()).map_err(failed)?;
        return Ok(Found { config, origin: Origin::Demonstration });
    };
    let key = found.client_key.expose();
    let variables = |name: &str| {
        if name == KEY_VARIABLE { Some(key.to_owned()) } else { environment.get(name) }
    };
    let config = config::read(&found.yaml, &variables, &gateway::kinds()).map_err(failed)?;
    Ok(Found { config, origin: Origin::Environment(found) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_demonstration_is_a_configuration() {
        let demo = config::read(DEMO, &|_| None, &gateway::kinds()).unwrap();
        assert_eq!(demo.routes[0].steps.len(), 2);
    }
}

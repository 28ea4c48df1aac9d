//! Where a command finds its configuration and its variables.

use std::{
    io,
    path::{Path, PathBuf},
};

use clap::Args;
use config::Config;
use edge::settings::Environment;

use crate::{check, commands::Failure};

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
    pub(crate) fn environment(&self) -> Result<Environment, Failure> {
        let named = self.env_file.is_some();
        let path = self.env_file.as_deref().unwrap_or(Path::new(".env"));
        Environment::with_file(path, named).map_err(Failure::Usage)
    }
}

/// The configuration of a file; its problems are printed.
pub(crate) fn config(path: &Path, environment: &Environment) -> Result<Config, Failure> {
    let variables = |name: &str| environment.get(name);
    let config = check::load(path, &variables, &gateway::kinds(), &mut io::stderr())?;
    config.ok_or(Failure::Reported)
}

/// The configuration that `serve` takes, and where it was found: none is the demonstration.
pub(crate) fn found(
    named: Option<PathBuf>,
    environment: &Environment,
) -> Result<(Config, Option<PathBuf>), Failure> {
    let path = named.or_else(|| PLACES.iter().map(PathBuf::from).find(|it| it.exists()));
    if let Some(path) = path {
        return Ok((config(&path, environment)?, Some(path)));
    }
    let demo = config::read(DEMO, &|_| None, &gateway::kinds());
    Ok((demo.map_err(|faults| Failure::Other(faults.to_string()))?, None))
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

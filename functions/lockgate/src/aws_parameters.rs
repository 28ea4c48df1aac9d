//! The parameters in AWS that a configuration names, as far as `check` can read them.

use std::{
    io::{self, Write},
    path::Path,
};

use config::{Config, SecretSource};
use edge::settings::Environment;
use storage::Parameters;

use crate::{
    aws_account,
    commands::{Failure, note},
};

/// Names each parameter of a configuration that is missing or may not be read: what it belongs to
/// cannot be used. An account that cannot be reached is noted, and no failure.
pub(crate) async fn report_unreadable(
    file: &Path,
    config: &Config,
    environment: &Environment,
) -> Result<(), Failure> {
    let names = config.secrets().filter_map(|secret| match secret {
        SecretSource::Parameter { name, .. } => Some(name.clone()),
        SecretSource::Value { .. } => None,
    });
    let names: Vec<String> = names.collect();
    if names.is_empty() {
        return Ok(());
    }

    let aws = match aws_account::find_for(config, environment).await {
        Ok(Some(aws)) => aws,
        Ok(None) => return Ok(()),
        // `check` also runs in CI, where nobody has credentials.
        Err(failure) => {
            failure.print();
            return Ok(());
        }
    };
    let found = match Parameters::new(&aws).get(&names).await {
        Ok(found) => found,
        Err(error) => {
            note(&format!("The parameters cannot be read: {error}."));
            return Ok(());
        }
    };

    let mut out = io::stdout();
    for name in names.iter().filter(|name| !found.contains_key(*name)) {
        let file = file.display();
        writeln!(out, "{file}: warning: the parameter {name} is missing or may not be read")?;
    }
    Ok(())
}

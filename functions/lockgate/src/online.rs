//! Whether providers can be called: each one's key, its models, and how long it takes to list them.

use std::{io::Write, process::ExitCode};

use config::Config;
use edge::settings::{Environment, now_ms};
use gateway::{Client, Clock, Configuration, Freshness, Gateway, Source};
use storage::{Parameters, sqlite};

use crate::{account, commands::Failure, tables::printable};

/// What asking every provider for its models gave.
#[derive(Debug, Default)]
pub(crate) struct Reached {
    /// One model, as `provider/model`, for a first call.
    pub(crate) model: Option<String>,
    /// How many providers could not be asked.
    pub(crate) failures: usize,
}

/// Asks every provider of a configuration for its models, all at once, and prints a line for each.
pub(crate) async fn reach(
    config: Config,
    environment: &Environment,
    out: &mut impl Write,
) -> Result<Reached, Failure> {
    let failed = |error: canonical::Error| Failure::Other(error.message().to_owned());
    let stores = sqlite::in_memory().map_err(|error| Failure::Other(error.to_string()))?;
    let aws = account::find_for(&config, environment).await?;
    let client = Client::new(account::signer(aws.as_ref(), environment), environment.proxies());
    let parameters = aws.as_ref().map(Parameters::new);
    let source = Source::Config(Box::new(config), parameters);
    let configuration = Configuration::new(source, stores, client, Freshness::default());
    let clock = Clock::starting(now_ms());

    configuration.load(clock).await.map_err(failed)?;

    let gateway = Gateway::new(configuration, vec![]);
    let mut reached = Reached::default();
    for listing in gateway.list_upstream_models(clock).await.map_err(failed)? {
        let (provider, time) = (&listing.provider, listing.duration.as_millis());
        match listing.models {
            Ok(models) => {
                writeln!(out, "{provider}: responds, {} models ({time} ms)", models.len())?;
                let first = || Some(format!("{provider}/{}", models.first()?));
                reached.model = reached.model.or_else(first);
            }
            Err(error) => {
                reached.failures += 1;
                let message = printable(error.message());
                writeln!(out, "{provider}: {message} ({time} ms)")?;
            }
        }
    }
    Ok(reached)
}

/// Checks every provider of a configuration. The exit code says whether all could be asked.
pub(crate) async fn check(
    config: Config,
    environment: &Environment,
    out: &mut impl Write,
) -> Result<ExitCode, Failure> {
    let reached = reach(config, environment, out).await?;
    Ok(if reached.failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

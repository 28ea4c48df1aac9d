//! Whether providers can be called: each one's key, its models, and how long it takes to list them. What
//! a route would cost, and which models its providers do not list.

use std::{
    io::{self, IsTerminal, Write},
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use canonical::MicroDollars;
use config::{Config, Route};
use edge::settings::{Environment, now_ms};
use gateway::{Client, Clock, Configuration, Freshness, Gateway, Snapshot, Source};
use storage::{Parameters, sqlite};

use crate::{admin_client::innermost, aws_account, commands::Failure, output::printable};

/// How many characters a progress bar has.
const BAR_CHARS: usize = 20;

/// What asking every provider for its models gave.
#[derive(Debug)]
pub(crate) struct Reached {
    /// One model, as `provider/model`, for a first call.
    pub(crate) model: Option<String>,
    /// How many providers could not be asked.
    pub(crate) failures: usize,
    /// The models of each provider that responded.
    listed: Vec<(String, Vec<String>)>,
    snapshot: Arc<Snapshot>,
}

/// A bar on the terminal that grows with every provider; nothing where there is no terminal.
struct Progress {
    total: usize,
    done: AtomicUsize,
}

impl Progress {
    fn start(total: usize) -> Self {
        let progress = Self { total, done: AtomicUsize::new(0) };
        progress.show(0);
        progress
    }

    fn advance(&self) {
        self.show(self.done.fetch_add(1, Ordering::Relaxed) + 1);
    }

    /// Draws the bar over the one before. A terminal that is gone is no reason to stop.
    fn show(&self, done: usize) {
        // On standard error, since the report on standard output may be piped.
        let mut terminal = io::stderr();
        if self.total == 0 || !terminal.is_terminal() {
            return;
        }
        let full = "#".repeat(done * BAR_CHARS / self.total);
        drop(write!(terminal, "\r[{full:<BAR_CHARS$}] {done}/{} providers", self.total));
        drop(terminal.flush());
    }

    /// Takes the bar away.
    fn end(self) {
        let mut terminal = io::stderr();
        if self.total != 0 && terminal.is_terminal() {
            drop(write!(terminal, "\r\u{1b}[K"));
            drop(terminal.flush());
        }
    }
}

/// Asks every provider of a configuration for its models, all at once, and prints a line for each.
pub(crate) async fn reach(
    config: Config,
    environment: &Environment,
    out: &mut impl Write,
) -> Result<Reached, Failure> {
    let failed = |error: canonical::Error| Failure::Other(error.message().to_owned());
    let progress = Progress::start(config.providers.len());
    // In memory: the state of a check is none of the gateway's.
    let stores = sqlite::in_memory().map_err(|error| Failure::Other(error.to_string()))?;
    let aws = aws_account::find_for(&config, environment).await?;
    let client = Client::new(aws_account::signer(aws.as_ref(), environment), environment.proxies());
    let parameters = aws.as_ref().map(Parameters::new);
    let source = Source::Config(Box::new(config), parameters);
    let configuration = Configuration::new(source, stores, client, Freshness::default());
    let clock = Clock::starting(now_ms());

    configuration.load(clock).await.map_err(failed)?;

    let gateway = Gateway::new(configuration, vec![]);
    let snapshot = gateway.snapshot(clock).await.map_err(failed)?;
    let done = |_: &str| progress.advance();
    let listings = gateway.list_upstream_models_watched(clock, &done).await.map_err(failed)?;
    // Before the lines, which would be written behind the bar.
    progress.end();
    let mut reached = Reached { model: None, failures: 0, listed: vec![], snapshot };
    for listing in listings {
        let (provider, time) = (&listing.provider, listing.duration.as_millis());
        match listing.models {
            Ok(models) => {
                writeln!(out, "{provider}: responds, {} models ({time} ms)", models.len())?;
                let first = || Some(format!("{provider}/{}", models.first()?));
                reached.model = reached.model.or_else(first);
                reached.listed.push((listing.provider, models));
            }
            Err(error) => {
                reached.failures += 1;
                let cause = error.cause().map(|cause| format!(": {}", innermost(cause)));
                // A provider's message is anybody's text, and a terminal would obey it.
                let message = [error.message(), cause.as_deref().unwrap_or_default()].concat();
                writeln!(out, "{provider}: {} ({time} ms)", printable(&message))?;
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
    for route in &reached.snapshot.config.routes {
        print_route(route, &reached, out)?;
    }
    for model in &reached.snapshot.config.models {
        print_missing(&model.provider, &model.name, &reached, out)?;
    }
    Ok(if reached.failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Prints what each step of a route costs, and what its provider does not list.
fn print_route(route: &Route, reached: &Reached, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "{}:", route.name)?;
    for step in &route.steps {
        let (provider, model) = (&step.provider, &step.model);
        let price = reached.snapshot.price(provider, model);
        let price = price.map_or_else(
            || "no price is known".to_owned(),
            |price| {
                let [input, output] = [price.rates.input, price.rates.output].map(MicroDollars);
                format!("${input} in, ${output} out for a million tokens")
            },
        );
        writeln!(out, "  {provider}/{model}: {price}")?;
        print_missing(provider, model, reached, out)?;
    }
    Ok(())
}

/// Prints that a provider does not list a model. One that was not reached says nothing, and neither
/// does one that lists none at all.
fn print_missing(
    provider: &str,
    model: &str,
    reached: &Reached,
    out: &mut impl Write,
) -> io::Result<()> {
    // A provider that did not respond lists nothing, which says nothing of the model.
    let listed = reached.listed.iter().find(|(name, _)| name == provider);
    let lacks = |models: &[String]| !models.is_empty() && !models.iter().any(|it| it == model);
    if listed.is_some_and(|(_, models)| lacks(models)) {
        writeln!(out, "  {provider} does not list {model}")?;
    }
    Ok(())
}

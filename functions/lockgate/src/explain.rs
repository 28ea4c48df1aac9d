//! `lockgate explain`: which steps a request would take now, and why.

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use clap::Args;
use gateway::{Client, Configuration, Freshness, Gateway, Source};
use routing::{ModelQuery, Outlook, RoutePlan, Target, Verdict};
use storage::{Parameters, sqlite};

use crate::{
    account,
    commands::{Failure, Stack, StackOptions},
    settings::{self, Sources},
};

/// What to explain.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// What a client would put in `model`
    model: String,
    /// What a client would put in `X-Provider`
    #[arg(long)]
    provider: Option<String>,
    /// The configuration, as `serve` would find it
    #[arg(long, short = 'f', value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    sources: Sources,
    /// The embedded database's file, which knows who rests
    #[arg(long, value_name = "FILE", default_value = "lockgate.db")]
    data: PathBuf,
    /// Ask the stack in AWS instead (see --stack)
    #[arg(long)]
    aws: bool,
    #[command(flatten)]
    stack: StackOptions,
}

/// Explains one name.
pub(crate) async fn explain(options: Options) -> Result<ExitCode, Failure> {
    let environment = options.sources.environment()?;
    let (source, stores, signer) = if options.aws {
        let stack = Stack::open(&options.stack, &environment).await?;
        (Source::Store(stack.parameters), stack.stores, stack.signer)
    } else {
        let (config, _) = settings::found(options.config, &environment)?;
        let aws = account::find_for(&config, &environment).await?;
        let signer = account::signer(aws.as_ref(), &environment);
        let parameters = aws.as_ref().map(Parameters::new);
        // A gateway that never ran here left nothing behind.
        let stores =
            if options.data.exists() { sqlite::open(&options.data) } else { sqlite::in_memory() };
        let stores = stores.map_err(|error| Failure::data_file(&error))?;
        (Source::Config(Box::new(config), parameters), stores, signer)
    };
    let client = Client::new(signer, environment.proxies());
    let configuration = Configuration::new(source, stores, client, Freshness::default());
    let now = edge::settings::now_ms();
    let failed = |error: canonical::Error| Failure::Other(error.message().to_owned());
    configuration.load(now).await.map_err(failed)?;
    let asked = ModelQuery { model: Some(&options.model), provider: options.provider.as_deref() };
    let (plan, outlook) = Gateway::new(configuration).outlook(asked, now).await.map_err(failed)?;
    print(&options.model, &plan, &outlook, &mut io::stdout())?;
    Ok(ExitCode::SUCCESS)
}

fn print(
    model: &str,
    plan: &RoutePlan,
    outlook: &[(Outlook, Option<String>)],
    out: &mut impl Write,
) -> io::Result<()> {
    match &plan.route {
        Some(_) => writeln!(out, "`{model}` is a route with {} step(s):", plan.steps.len())?,
        None => writeln!(out, "`{model}` is no route; one provider is asked directly:")?,
    }
    let mut first = true;
    for (outlook, fault) in outlook {
        let step = &plan.steps[outlook.step];
        let why = match (outlook.verdict, fault) {
            (_, Some(fault)) => format!("skipped: {fault}"),
            (Verdict::Tried, None) if std::mem::take(&mut first) => "tried first".to_owned(),
            (Verdict::Tried, None) => "tried when those before it fail".to_owned(),
            (Verdict::Resting(left), None) => format!("skipped: it rests for {} more", time(left)),
            (Verdict::SoonestFree(left), None) => {
                format!(
                    "tried although it rests for {} more: all rest, and it is free soonest",
                    time(left)
                )
            }
        };
        writeln!(
            out,
            "{}. {} {}: {why} ({})",
            outlook.step + 1,
            step.provider,
            step.model,
            facts(step)
        )?;
    }
    Ok(())
}

fn facts(step: &Target) -> String {
    let mut facts = vec![format!("timeout {}", time(millis(step.timeout)))];
    facts.extend(step.first_token_timeout.map(|it| format!("first token {}", time(millis(it)))));
    facts.extend((0 < step.retries).then(|| format!("{} retries", step.retries)));
    facts.extend((1 < step.keys).then(|| format!("{} keys", step.keys)));
    facts.extend(step.context_window.map(|it| format!("holds {it} tokens")));
    facts.join(", ")
}

fn time(millis: u64) -> String {
    let time = Duration::from_millis(millis);
    if millis.is_multiple_of(1000) {
        format!("{} s", time.as_secs())
    } else {
        format!("{:.1} s", time.as_secs_f64())
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

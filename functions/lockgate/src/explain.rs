//! `lockgate explain`: which steps a request would take now, and why.

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use clap::Args;
use config::{Breaker, Rescue, Strategy};
use gateway::{Client, Clock, Configuration, Freshness, Gateway, Source};
use routing::{CooldownReason, Hedge, ModelQuery, Outlook, RoutePlan, Target, Verdict};
use storage::{Parameters, sqlite};

use crate::{
    aws_account,
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
    /// The embedded database's file, which knows the cooldowns
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
        let config = settings::found(options.config, &environment)?.config;
        let aws = aws_account::find_for(&config, &environment).await?;
        let signer = aws_account::signer(aws.as_ref(), &environment);
        let parameters = aws.as_ref().map(Parameters::new);
        // A gateway that never ran here left nothing behind.
        let stores =
            if options.data.exists() { sqlite::open(&options.data) } else { sqlite::in_memory() };
        let stores = stores.map_err(|error| Failure::data_file(&error))?;
        (Source::Config(Box::new(config), parameters), stores, signer)
    };

    let client = Client::new(signer, environment.proxies());
    let configuration = Configuration::new(source, stores, client, Freshness::default());
    let clock = Clock::starting(edge::settings::now_ms());
    let failed = |error: canonical::Error| Failure::Other(error.message().to_owned());
    configuration.load(clock).await.map_err(failed)?;
    let query = ModelQuery { model: Some(&options.model), provider: options.provider.as_deref() };
    let gateway = Gateway::new(configuration, vec![]);
    let (plan, outlook) = gateway.outlook(query, clock).await.map_err(failed)?;

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
        Some(_) => writeln!(out, "`{model}` is a route with {} step(s):", plan.targets.len())?,
        None => writeln!(out, "`{model}` is no route; one provider is asked directly:")?,
    }
    for line in rules(plan) {
        writeln!(out, "   {line}")?;
    }

    let mut first = true;
    for (outlook, reason) in outlook {
        let target = &plan.targets[outlook.target];
        let why = match (outlook.verdict, reason) {
            (_, Some(reason)) => format!("skipped: {reason}"),
            (Verdict::Attempted, None) if std::mem::take(&mut first) => "tried first".to_owned(),
            (Verdict::Attempted, None) => "tried when those before it fail".to_owned(),
            (Verdict::CoolingDown(left), None) => {
                let reason = outlook.reason.map_or("it failed", CooldownReason::as_str);
                format!("skipped: it is cooling down for {} more, since {reason}", time(left))
            }
            (Verdict::AvailableFirst(left), None) => format!(
                "tried: every target is cooling down, and this one is available first (in {})",
                time(left)
            ),
        };
        writeln!(
            out,
            "{}. {} {}: {why} ({})",
            outlook.target + 1,
            target.provider,
            target.model,
            facts(target)
        )?;
    }
    Ok(())
}

/// The rules of a route that are not each step's own.
fn rules(plan: &RoutePlan) -> Vec<String> {
    let mut rules = vec![];
    if plan.strategy != Strategy::Order {
        rules.push(format!("strategy: {}; steps are numbered as written", plan.strategy.name()));
    }
    if plan.is_sticky {
        rules.push("sticky: a session prefers the step that served it last".to_owned());
    }
    if let Some(Hedge { after, budget_percent }) = plan.hedge {
        let after = time(after);
        rules.push(format!(
            "hedge: the next step starts after {after} without a first token, in {budget_percent} % of calls"
        ));
    }
    if plan.rescue == Rescue::Continue {
        rules.push("rescue: another step goes on with a stream that breaks".to_owned());
    }
    if let Some(breaker) = plan.breaker {
        let Breaker { failures, of } = breaker;
        rules.push(format!("breaker: {failures} failures of {of} attempts lead to a cooldown"));
    }
    rules
}

fn facts(target: &Target) -> String {
    let mut facts = vec![format!("timeout {}", time(target.timeout))];
    facts.extend(target.conditions.iter().map(|condition| format!("only {condition}")));
    facts.extend((target.weight != 1).then(|| format!("weight {}", target.weight)));
    facts.extend(target.min_speed.map(|it| format!("at least {} tokens/s", it.tokens_per_second)));
    facts.extend(target.first_token_timeout.map(|it| format!("first token {}", time(it))));
    facts.extend((0 < target.retries).then(|| format!("{} retries", target.retries)));
    facts.extend((1 < target.keys.len()).then(|| format!("{} keys", target.keys.len())));
    facts.extend(target.context_window.map(|it| format!("holds {it} tokens")));
    facts.join(", ")
}

fn time(time: Duration) -> String {
    if time.subsec_millis() == 0 {
        format!("{} s", time.as_secs())
    } else {
        format!("{:.1} s", time.as_secs_f64())
    }
}

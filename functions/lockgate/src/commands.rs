//! The operator's commands: from what was typed to what is done.

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use ::tenants::Author;
use admin::{ApplyOptions, Destination};
use clap::{Args, Subcommand};
use edge::settings::{Environment, now_ms};
use storage::{Parameters, Signer, Stores, Timeouts, dynamodb};

use crate::{
    admin_command,
    aws_account::{self, Choice},
    aws_parameters, check,
    completions::{self, CompletionOptions, ManOptions},
    explain, export,
    health::{self, HealthOptions},
    import, init, keys, models,
    output::printable_lines,
    prices,
    progress::Progress,
    provider_check, requests, serve,
    settings::{self, Sources},
    tenants, top, usage,
};

/// What can be done.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve every endpoint on one port (the default)
    Serve(serve::Options),
    /// Validate a configuration and print every problem at once
    Check(CheckOptions),
    /// Write a configuration to AWS: keys to SSM, everything else to DynamoDB
    Apply(ApplyArguments),
    /// Print the configuration that is live in AWS as YAML, secrets as ${VAR}
    Export(StackOptions),
    /// Say which steps a request for a model would take now, and why
    Explain(explain::Options),
    /// Write a first configuration and test its keys
    Init(init::Options),
    /// Make a configuration of another gateway's files, and say what cannot be carried over
    Import(import::Options),
    /// Say by the exit code whether the gateway on this machine is ready
    Health(HealthOptions),
    /// Print what a shell needs to complete commands and options
    Completions(CompletionOptions),
    /// Write manual pages
    Man(ManOptions),
    /// Print the JSON Schema of a configuration, for editors
    Schema,
    /// List calls from the request log, or follow it
    Requests(requests::Options),
    /// Show rates, spend and cooldowns as they are right now
    Top(top::Options),
    /// Whom the gateway serves, and what each may use and spend
    Tenants(tenants::Options),
    /// The keys of a tenant
    Keys(keys::Options),
    /// What tenants used and spent
    Usage(usage::Options),
    /// What the models in use cost, and which have no price
    Prices(prices::Options),
    /// What each provider lists as its models
    Models(models::Options),
    /// Operators, for whoever can reach the store
    Admin(admin_command::Options),
}

/// The file to read.
#[derive(Debug, Args)]
pub(crate) struct FileOptions {
    /// The configuration
    #[arg(short = 'f', long = "file", visible_alias = "config", default_value = "config.yaml")]
    file: PathBuf,
    #[command(flatten)]
    sources: Sources,
}

/// What to check.
#[derive(Debug, Args)]
pub(crate) struct CheckOptions {
    #[command(flatten)]
    from: FileOptions,
    /// Ask every provider for its models too, which shows whether its key works
    #[arg(long)]
    online: bool,
}

/// The stack in AWS.
#[derive(Clone, Debug, Args)]
pub(crate) struct StackOptions {
    /// The stack's name; its tables and parameters are called after it
    #[arg(long, global = true, default_value = "lockgate")]
    stack: String,
    /// The AWS region [default: that of the environment or the profile]
    #[arg(long, global = true)]
    region: Option<String>,
    /// The AWS profile, in place of keys in the environment
    #[arg(long, global = true)]
    profile: Option<String>,
}

/// How to apply.
#[derive(Debug, Args)]
pub(crate) struct ApplyArguments {
    #[command(flatten)]
    from: FileOptions,
    #[command(flatten)]
    stack: StackOptions,
    /// Show the plan and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Remove what the file no longer names
    #[arg(long)]
    prune: bool,
}

/// Why a command ended early, and which exit code it has.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The operator can mend it: bad usage, a bad configuration.
    Usage(String),
    /// The problems are printed already.
    Reported,
    /// Whoever read what was printed, such as `head`, has read enough.
    Unread,
    /// Something else failed.
    Other(String),
}

impl Failure {
    pub(crate) fn code(&self) -> ExitCode {
        match self {
            // Shells and CI tell a mistake of the caller (2) from everything else (1), as `clap`
            // does.
            Self::Usage(_) | Self::Reported => ExitCode::from(2),
            Self::Unread => ExitCode::SUCCESS,
            Self::Other(_) => ExitCode::from(1),
        }
    }

    /// The embedded database's file cannot be opened.
    pub(crate) fn data_file(error: &storage::StoreError) -> Self {
        Self::Other(format!("{error}. Name another file with --data."))
    }

    pub(crate) fn print(&self) {
        let text = match self {
            Self::Usage(text) | Self::Other(text) => text,
            Self::Reported | Self::Unread => return,
        };
        note(text);
    }
}

/// Prints a line for the operator.
pub(crate) fn note(text: &str) {
    // When standard error is closed, nobody is left to tell.
    drop(writeln!(io::stderr(), "lockgate: {}", printable_lines(text)));
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::Unread;
        }
        Self::Other(error.to_string())
    }
}

/// Does what was asked.
pub(crate) fn run(command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Serve(options) => serve::serve(options),

        Command::Check(options) => {
            let FileOptions { file, sources } = options.from;
            let environment = sources.environment()?;
            let variables = |name: &str| environment.get(name);
            let mut out = io::stdout();
            let config = check::check(&file, &variables, &gateway::kinds(), &mut out)?;
            let config = config.ok_or(Failure::Reported)?;
            alone(async {
                aws_parameters::report_unreadable(&file, &config, &environment).await?;
                if options.online {
                    return provider_check::check(config, &environment, &mut out).await;
                }
                Ok(ExitCode::SUCCESS)
            })
        }
        Command::Apply(arguments) => alone(apply(arguments)),
        Command::Export(options) => alone(async {
            let stack = Stack::open(&options, &Environment::of_process()).await?;
            let progress = Progress::start("reading the configuration");
            export::export(&*stack.stores.config, &gateway::kinds(), &mut progress.stdout())
                .await
                .map_err(|error| Failure::Other(error.to_string()))?;
            Ok(ExitCode::SUCCESS)
        }),
        Command::Explain(options) => alone(explain::explain(options)),
        Command::Init(options) => alone(init::init(options)),
        Command::Import(options) => {
            import::run(&options)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Health(options) => health::health(options),
        Command::Completions(options) => Ok(completions::completions(&options)),
        Command::Man(options) => completions::man(options),
        Command::Schema => {
            writeln!(io::stdout(), "{:#}", config::schema(&gateway::kinds()))?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Requests(options) => alone(requests::requests(options)),
        Command::Top(options) => alone(top::top(options)),
        Command::Tenants(options) => alone(tenants::run(options)),
        Command::Keys(options) => alone(keys::run(options)),
        Command::Usage(options) => alone(usage::run(options)),
        Command::Prices(options) => alone(prices::run(options)),
        Command::Models(options) => alone(models::run(options)),
        Command::Admin(options) => alone(admin_command::run(options)),
    }
}

async fn apply(arguments: ApplyArguments) -> Result<ExitCode, Failure> {
    let environment = arguments.from.sources.environment()?;
    let config = settings::config(&arguments.from.file, &environment)?;

    if config.auth == config::Auth::None {
        let message = "`auth: none` is for loopback addresses, which a stack in AWS has not.";
        return Err(Failure::Usage(message.to_owned()));
    }
    let stack = Stack::open(&arguments.stack, &environment).await?;
    let kinds = gateway::kinds();
    let progress = Progress::start("writing the configuration");
    let destination = Destination {
        stores: &stack.stores,
        parameters: &stack.parameters,
        prefix: &stack.prefix,
        kinds: &kinds,
        observer: Some(&progress),
    };
    let options = ApplyOptions { dry_run: arguments.dry_run, prune: arguments.prune };
    let author = Author { name: "terminal", at: now_ms() / 1000 };
    admin::apply_file(&config, destination, options, author, &mut progress.stdout())
        .await
        .map_err(|error| Failure::Other(error.to_string()))?;
    Ok(ExitCode::SUCCESS)
}

/// Runs a command that needs no more than one thread.
fn alone(task: impl Future<Output = Result<ExitCode, Failure>>) -> Result<ExitCode, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(task)
}

/// A stack in AWS, as an operator reaches it.
pub(crate) struct Stack {
    pub(crate) stores: Stores,
    pub(crate) parameters: Parameters,
    pub(crate) signer: Signer,
    pub(crate) prefix: String,
}

impl Stack {
    pub(crate) async fn open(
        options: &StackOptions,
        environment: &Environment,
    ) -> Result<Self, Failure> {
        let choice = Choice { region: options.region.clone(), profile: options.profile.clone() };
        let mut aws = aws_account::find(&choice, environment).await?;
        aws.timeouts = Timeouts::OPERATOR;
        let stack = &options.stack;
        Ok(Self {
            stores: dynamodb::open(&aws, &format!("{stack}-config"), &format!("{stack}-state")),
            parameters: Parameters::new(&aws),
            signer: aws.signer(),
            prefix: format!("/lockgate/{stack}"),
        })
    }
}

//! `lockgate serve`: the local server.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    process::ExitCode,
};

use admin::{ConfigFile, ConfigSource, Reach, Variables};
use clap::{Args, ValueEnum};
use config::{Auth, Config};
use edge::{
    Server,
    settings::{Environment, now_ms},
};
use storage::{
    Parameters, Secret, Stores,
    sqlite::{self, SqliteOptions, Synchronous},
};

use tokio::sync::mpsc;

use crate::{
    aws_account,
    commands::{Failure, note},
    config_from_environment::address_variable,
    config_watch::Watch,
    listen::ListenAddress,
    root_secret,
    settings::{self, DEMO, Found, Origin, Sources},
    startup_message::Greeting,
};

/// How to serve.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The configuration [default: ./config.yaml, else /etc/lockgate/config.yaml, else a demonstration]
    #[arg(long, value_name = "FILE", env = "LOCKGATE_CONFIG")]
    config: Option<PathBuf>,
    #[command(flatten)]
    sources: Sources,
    /// Where to listen; :8080 is every address [default: 127.0.0.1 and the port]
    #[arg(long, value_name = "ADDRESS:PORT", env = "LOCKGATE_LISTEN")]
    listen: Option<ListenAddress>,
    /// The port, where --listen does not say [default: the configuration's, else 8080]
    #[arg(long, value_name = "PORT", env = "LOCKGATE_PORT")]
    port: Option<u16>,
    /// The embedded database's file
    #[arg(long, value_name = "FILE", env = "LOCKGATE_DATA", default_value = "lockgate.db")]
    data: PathBuf,
    /// What a loss of power may take from it: the last writes, or nothing, for slower writes
    #[arg(long, value_enum, value_name = "MODE", env = "LOCKGATE_DATA_SYNC", default_value_t = DataSync::Normal)]
    data_sync: DataSync,
    /// Log more
    #[arg(long, short, env = "LOCKGATE_VERBOSE", value_parser = clap::builder::FalseyValueParser::new())]
    verbose: bool,
}

/// How safely the database is kept; SQLite's own words.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum DataSync {
    Normal,
    Full,
}

impl From<DataSync> for SqliteOptions {
    fn from(sync: DataSync) -> Self {
        let synchronous = match sync {
            DataSync::Normal => Synchronous::Normal,
            DataSync::Full => Synchronous::Full,
        };
        Self { synchronous, ..Self::default() }
    }
}

/// Serves until the process is asked to stop.
pub(crate) fn serve(options: Options) -> Result<ExitCode, Failure> {
    let environment = options.sources.environment()?;
    let found = settings::found(options.config, &environment)?;
    let config = found.config.clone();
    // Before anything that may warn.
    edge::log(&config.log, options.verbose, &environment);
    let shutdown_timeout = config.server.shutdown_timeout;
    let port = options.port.unwrap_or(config.port);
    let address = options.listen.map_or((Ipv4Addr::LOCALHOST, port).into(), ListenAddress::address);
    // Before the data file is made and before anything listens.
    if let Origin::File(path) = &found.origin {
        settings::check_files(path, &config)?;
    }
    check_access(&config, address)?;
    check_addresses(&found, address)?;
    let stores = sqlite::open_with(&options.data, options.data_sync.into())
        .map_err(|error| Failure::data_file(&error))?;
    // One thread: connections are served by threads of their own (decision 0043).
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;

    let aws = runtime.block_on(aws_account::find_for(&config, &environment))?;
    let parameters = aws.as_ref().map(Parameters::new);
    let signer = aws_account::signer(aws.as_ref(), &environment);
    let proxies = environment.proxies();
    let aws_endpoint = environment.get("AWS_ENDPOINT_URL");
    let root_secret = root_secret::find(&options.data, &environment)?;

    let password = runtime.block_on(make_first_operator(&config, &stores))?;
    let otlp = environment.otlp().map_err(Failure::Usage)?;
    let is_https = config.tls.is_some();
    let updates = watched(&found, &options.sources, address);
    let greeting = Greeting::of(&found.origin, password);
    let config_source = config_source(found, environment, address);

    let server = Server {
        address,
        config,
        parameters,
        signer,
        proxies,
        aws_endpoint,
        stores,
        otlp,
        config_source,
        root_secret,
        updates,
    };

    let scheme = if is_https { "https" } else { "http" };
    let greet = move |address: SocketAddr| {
        // A closed standard output is no reason not to serve.
        drop(greeting.print(&format!("{scheme}://{address}"), &mut io::stdout()));
    };
    let served = runtime.block_on(edge::listen(server, greet));
    // A write that hangs in the store does not hold the exit.
    runtime.shutdown_timeout(shutdown_timeout);
    served?;
    Ok(ExitCode::SUCCESS)
}

/// Watches the file that the configuration comes from, if it comes from one.
fn watched(
    found: &Found,
    sources: &Sources,
    address: SocketAddr,
) -> Option<mpsc::Receiver<Config>> {
    let Origin::File(path) = &found.origin else { return None };
    let (path, sources, config) = (path.clone(), sources.clone(), found.config.clone());
    Some(Watch { path, sources, address, config }.start())
}

/// Where operators change the configuration. Without a file, the first change makes one.
pub(crate) fn config_source(
    found: Found,
    environment: Environment,
    address: SocketAddr,
) -> ConfigSource {
    let (path, demonstration) = match &found.origin {
        Origin::File(path) => (path.clone(), DEMO),
        // Kept for as long as the process runs, as the demonstration is.
        Origin::Environment(made) => (PathBuf::from("config.yaml"), &*made.yaml.clone().leak()),
        Origin::Demonstration => (PathBuf::from("config.yaml"), DEMO),
    };
    ConfigSource::File(ConfigFile {
        path,
        demonstration,
        variables: Variables::new(move |name| found.variable(name, &environment)),
        file_errors: edge::file_errors,
        reach: if address.ip().is_loopback() { Reach::Loopback } else { Reach::Network },
    })
}

/// Refuses to open the gateway to other machines, and says what clients need.
pub(crate) fn check_access(config: &Config, address: SocketAddr) -> Result<(), Failure> {
    if config.auth == Auth::None && !address.ip().is_loopback() {
        return Err(Failure::Usage(format!(
            "`auth: none` lets everybody in, so it is for loopback addresses only: not for {address}"
        )));
    }
    if config.auth == Auth::None {
        note("`auth: none`: every program on this machine may call, without a key.");
    } else if config.api_key.is_none() && config.tenants.is_empty() {
        note("The configuration has no `api_key`: only keys of tenants in the data file work.");
    }
    Ok(())
}

/// Refuses a provider of the environment that is this gateway itself: clients find the gateway by the
/// same variables (`OPENAI_BASE_URL`, …), and a call to itself would not end.
fn check_addresses(found: &Found, address: SocketAddr) -> Result<(), Failure> {
    let Origin::Environment(made) = &found.origin else { return Ok(()) };
    for provider in &made.providers {
        let name = provider.kind.name;
        let config = found.config.providers.iter().find(|it| it.name == name);
        let base_url = config.and_then(|it| it.base_url.as_deref()).unwrap_or_default();
        let (_, rest) = base_url.split_once("://").unwrap_or_default();
        let authority = rest.split('/').next().unwrap_or_default();
        let Some((host, port)) = authority.rsplit_once(':') else { continue };
        let is_here = ["localhost", "127.0.0.1", "[::1]"].contains(&host);
        if is_here && port == address.port().to_string() {
            let variable = address_variable(provider.kind);
            let message = format!(
                "{variable} is the address of this gateway ({base_url}): unset it here, and keep it \
                 for clients"
            );
            return Err(Failure::Usage(message));
        }
    }
    Ok(())
}

/// Makes the first operator where nobody could sign in, and gives its password.
async fn make_first_operator(config: &Config, stores: &Stores) -> Result<Option<Secret>, Failure> {
    // Whoever declares users has a way in; this one would be another that nobody expects.
    if !config.admin.users.is_empty() {
        return Ok(None);
    }
    let made = admin::make_first_operator(stores.config.clone(), now_ms() / 1000).await;
    made.map_err(|problem| {
        let cause = problem.cause().map(ToString::to_string).unwrap_or_default();
        Failure::Other(format!("The first operator cannot be made. {problem} {cause}"))
    })
}

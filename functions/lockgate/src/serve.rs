//! `lockgate serve`: the local server.

use std::{
    io::{self, Write},
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use clap::{Args, ValueEnum};
use config::{Auth, Config};
use edge::Server;
use storage::{
    Parameters,
    sqlite::{self, SqliteOptions, Synchronous},
};

use crate::{
    account,
    commands::{Failure, note},
    settings::{self, Sources},
};

/// How long blocking work may go on once everything else has ended.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(2);

/// How to serve.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The configuration [default: ./config.yaml, else /etc/lockgate/config.yaml, else a demonstration]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    sources: Sources,
    /// Where to listen [default: 127.0.0.1 and the configuration's port]
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// The embedded database's file
    #[arg(long, value_name = "FILE", default_value = "lockgate.db")]
    data: PathBuf,
    /// What a loss of power may take from it: the last writes, or nothing, for slower writes
    #[arg(long, value_enum, value_name = "MODE", default_value_t = DataSync::Normal)]
    data_sync: DataSync,
    /// Log more
    #[arg(long, short)]
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
    edge::log(options.verbose, &environment);
    let (config, path) = settings::found(options.config, &environment)?;
    let address = options.listen.unwrap_or((Ipv4Addr::LOCALHOST, config.port).into());
    check_access(&config, address)?;
    let stores = sqlite::open_with(&options.data, options.data_sync.into())
        .map_err(|error| Failure::data_file(&error))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let aws = runtime.block_on(account::find_for(&config, &environment))?;
    let parameters = aws.as_ref().map(Parameters::new);
    let signer = account::signer(aws.as_ref(), &environment);
    let proxies = environment.proxies();
    let aws_endpoint = environment.get("AWS_ENDPOINT_URL");
    let server = Server { address, config, parameters, signer, proxies, aws_endpoint, stores };
    let demo = path.is_none();
    let greet = move |address: SocketAddr| {
        // A closed standard output is no reason not to serve.
        drop(greeting(address, demo, &mut io::stdout()));
    };
    let served = runtime.block_on(edge::listen(server, greet));
    // A write that hangs in the store does not hold the exit.
    runtime.shutdown_timeout(SHUTDOWN_TIMEOUT);
    served.map_err(|error| {
        Failure::Other(format!("cannot listen on {address}: {error} (see --listen)"))
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Refuses to open the gateway to other machines, and says what clients need.
fn check_access(config: &Config, address: SocketAddr) -> Result<(), Failure> {
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

fn greeting(address: SocketAddr, demo: bool, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "Lockgate listens on http://{address}")?;
    if demo {
        writeln!(
            out,
            "There is no config.yaml, so this is the demonstration. Try:\n\n  \
             curl -iN http://{address}/v1/chat/completions \\\n    \
             -H 'Authorization: Bearer demo' -H 'Content-Type: application/json' \\\n    \
             -d '{{\"model\": \"demo\", \"stream\": true, \"messages\": \
             [{{\"role\": \"user\", \"content\": \"Hello\"}}]}}'\n"
        )?;
    }
    out.flush()
}

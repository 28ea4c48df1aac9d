//! `lockgate health`: whether the gateway on this machine responds, for containers and installers.

use std::{
    io::{self, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use clap::Args;

use crate::{
    commands::Failure,
    listen::ListenAddress,
    settings::{self, Sources},
};

/// Time for one request and its response.
const TIMEOUT: Duration = Duration::from_secs(2);
/// The most bytes of a response that are read.
const MAX_RESPONSE_BYTES: u64 = 64 * 1024;
/// The first byte of an alert (RFC 8446, section 5.1).
const TLS_ALERT: u8 = 21;
/// The pause between two requests.
const INTERVAL: Duration = Duration::from_millis(200);

/// Which gateway is asked.
#[derive(Debug, Args)]
pub(crate) struct HealthOptions {
    /// The configuration that the gateway was started with, for its port
    #[arg(long, value_name = "FILE", env = "LOCKGATE_CONFIG")]
    config: Option<PathBuf>,
    #[command(flatten)]
    sources: Sources,
    /// Where the gateway listens [default: the configuration's port]
    #[arg(long, value_name = "ADDRESS:PORT", env = "LOCKGATE_LISTEN")]
    listen: Option<ListenAddress>,
    /// The port, where --listen does not say [default: the configuration's port]
    #[arg(long, value_name = "PORT", env = "LOCKGATE_PORT")]
    port: Option<u16>,
    /// How long to wait until it is ready
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    wait: u64,
}

/// Exits with 0 when the gateway is ready, else with 1.
pub(crate) fn health(options: HealthOptions) -> Result<ExitCode, Failure> {
    let wait = Duration::from_secs(options.wait);
    let address = match options.listen {
        Some(listen) => listen.local(),
        // A health check of a container runs inside of it.
        None => (Ipv4Addr::LOCALHOST, port(options)?).into(),
    };
    let began = Instant::now();
    loop {
        let Err(reason) = ask(address) else {
            return Ok(ExitCode::SUCCESS);
        };
        if wait <= began.elapsed() {
            return Err(Failure::Other(format!("{address} is not ready: {reason}")));
        }
        std::thread::sleep(INTERVAL);
    }
}

/// The port that `serve` has in the same container.
fn port(options: HealthOptions) -> Result<u16, Failure> {
    if let Some(port) = options.port {
        return Ok(port);
    }
    let environment = options.sources.environment()?;
    Ok(settings::found(options.config, &environment)?.config.port)
}

/// Asks once. A gateway that serves HTTPS refuses plain HTTP with an alert of TLS, or with a reset
/// that overtakes the alert, which shows that it runs; whether it is ready is not asked then, since
/// no name is known under which its certificate holds.
fn ask(address: SocketAddr) -> Result<(), String> {
    let response = match exchange(address) {
        Err(error) if is_closed_by_peer(&error) => return Ok(()),
        outcome => outcome.map_err(|error| error.to_string())?,
    };
    if response.first() == Some(&TLS_ALERT) {
        return Ok(());
    }

    let line =
        String::from_utf8_lossy(response.split(|byte| *byte == b'\r').next().unwrap_or_default());
    if line.split(' ').nth(1) == Some("200") {
        Ok(())
    } else {
        Err(format!("it returned {line:?}"))
    }
}

/// Whether the peer took the connection, and closed it. Which of the errors it is depends on whether
/// the close is noticed by a read or by a write.
fn is_closed_by_peer(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
    )
}

/// Sends the request, and gives the response as it came.
fn exchange(address: SocketAddr) -> io::Result<Vec<u8>> {
    let mut socket = TcpStream::connect_timeout(&address, TIMEOUT)?;
    socket.set_read_timeout(Some(TIMEOUT))?;
    socket.set_write_timeout(Some(TIMEOUT))?;
    // Without this the read below would wait for the server's keep-alive to end.
    write!(socket, "GET /health/ready HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut response = vec![];
    // A server that resets the connection behind its response has responded.
    let read = socket.take(MAX_RESPONSE_BYTES).read_to_end(&mut response);
    if response.is_empty() { read.map(|_| response) } else { Ok(response) }
}

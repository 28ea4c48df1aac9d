//! Endpoints as a server: every function behind one port.
//!
//! Strangers can reach the port, so that everything has a bound: connections, times, streams,
//! bytes.

mod connection;
mod connections;
mod socket;
mod tls;
mod workers;

use std::{
    convert::Infallible,
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    path::Path,
    pin::pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use admin::{Admin, ConfigSource, RootSecret};
use config::{Config, ConfigError, ServerLimits};
use gateway::{
    Client, Clock, Configuration, Freshness, Gateway, InFlight, MemoryBudget, ProxyVariables,
    Sealing, Source,
};
use hyper::{
    Request, Response,
    body::Incoming,
    server::conn::{http1, http2},
    service::{Service, service_fn},
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use storage::{Parameters, Signer, Stores};
use tenants::SealingKey;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};
use tokio_rustls::TlsAcceptor;

pub(crate) use self::connection::Connection;
use self::{
    connection::TakenBody,
    connections::{Connections, Listed},
    socket::{ClientSocket, Version, has_left},
    workers::Workers,
};
use crate::{
    body::boxed,
    endpoints::ENDPOINTS,
    front::{App, Front},
    log_limiter::LogLimiter,
    otlp::OtlpSettings,
    platform::{StopSignals, raise_descriptor_limit},
    record_sinks::Records,
    request::{MAX_HEADERS, Origin},
    request_body::BodyLimits,
    settings::{KeepAliveSettings, now_ms},
    shutdown::{Phase, Stopper, Stopping},
};

/// How often connections are looked at.
const TICK: Duration = Duration::from_secs(1);
/// How long calls that are ended have to deliver their errors.
const END_TIMEOUT: Duration = Duration::from_secs(1);
/// How long accepting waits after a failure.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How many bytes hyper buffers of what is read or written in HTTP/1.
const HTTP1_BUFFER_BYTES: usize = 64 * 1024;
/// How many calls an HTTP/2 connection may have at once.
const HTTP2_MAX_STREAMS: u32 = 32;
/// How large the table is from which a client may repeat headers in a byte (HPACK).
const HTTP2_HEADER_TABLE_BYTES: u32 = 1024;
/// How large the headers of a request may be in HTTP/2. More than is allowed, so that the refusal
/// is the gateway's and says why.
const HTTP2_MAX_HEADER_BYTES: u32 = 64 * 1024;
/// How many bytes of a body a client may send ahead, in one call and in all of a connection.
const HTTP2_WINDOWS: (u32, u32) = (128 * 1024, 1024 * 1024);
/// How many bytes of a response are buffered in one call.
const HTTP2_SEND_BUFFER_BYTES: usize = 64 * 1024;
/// How many streams a client may reset before they were served.
const HTTP2_MAX_RESETS: usize = 32;
/// The time between two HTTP/2 pings, and the time for a response.
const HTTP2_PING: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(20));

/// The parts of a server.
#[derive(Debug)]
pub struct Server {
    /// The address to listen on.
    pub address: SocketAddr,
    /// The configuration.
    pub config: Config,
    /// The store of the parameters that the configuration names.
    pub parameters: Option<Parameters>,
    /// The signer of calls to providers in AWS.
    pub signer: Signer,
    /// The proxies that the environment names for calls to providers.
    pub proxies: ProxyVariables,
    /// Who plays the services of AWS that alerts are sent to; none where AWS itself does.
    pub aws_endpoint: Option<String>,
    /// Memory between calls.
    pub stores: Stores,
    /// Where telemetry is exported to.
    pub otlp: Option<OtlpSettings>,
    /// Where operators change the configuration.
    pub config_source: ConfigSource,
    /// The secret that the keys of sessions and of sealed secrets are derived from.
    pub root_secret: RootSecret,
    /// Configurations that take the place of the one before, as its file changes.
    pub updates: Option<mpsc::Receiver<Config>>,
}

/// What is wrong with the files that a configuration names: those of `tls`, and every `ca_file`.
pub fn file_errors(config: &Config) -> Vec<ConfigError> {
    let error = |path: String, message| ConfigError { position: None, path, message };
    let bad = |ca_file: &Option<String>| gateway::check_ca_file(ca_file.as_ref()?).err();
    let tls = config.tls.iter().flat_map(tls::errors);
    let mut errors: Vec<_> =
        tls.map(|(key, message)| error(format!("tls.{key}"), message)).collect();
    errors.extend(bad(&config.connection.ca_file).map(|it| error("ca_file".to_owned(), it)));
    for (index, provider) in config.providers.iter().enumerate() {
        let path = format!("providers[{index}].ca_file");
        errors.extend(bad(&provider.connection.ca_file).map(|it| error(path, it)));
    }
    errors
}

/// Binds an address; every address of both versions of IP is that of IPv4 where there is no other.
async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    match TcpListener::bind(address).await {
        Err(error) if address.ip() == Ipv6Addr::UNSPECIFIED && is_without_ipv6(&error) => {
            TcpListener::bind((Ipv4Addr::UNSPECIFIED, address.port())).await
        }
        bound => bound,
    }
}

/// Whether a system has no IPv6, rather than the port in use or a right that is missing.
fn is_without_ipv6(error: &io::Error) -> bool {
    !matches!(error.kind(), io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied)
}

/// Serves endpoints until the process is asked to stop. `ready` is called with the address in use.
pub async fn listen(server: Server, ready: impl FnOnce(SocketAddr)) -> io::Result<()> {
    let limits = fit_descriptors(&server.config.server);
    // A certificate that cannot be read is an error at the start, not at the first connection.
    let tls = server
        .config
        .tls
        .as_ref()
        .map(|tls| tls::acceptor(Path::new(&tls.cert), Path::new(&tls.key)));
    let tls = tls.transpose().map_err(io::Error::other)?;

    let listener = bind(server.address).await.map_err(|error| {
        let message = format!("cannot listen on {}: {error} (see --listen)", server.address);
        io::Error::new(error.kind(), message)
    })?;
    let source = Source::Config(Box::new(server.config), server.parameters);
    let bytes = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
    let memory = MemoryBudget::new(bytes(limits.max_memory_bytes));
    let client = Client::new(server.signer, server.proxies)
        .with_memory(memory.clone())
        .with_aws_endpoint(server.aws_endpoint);
    let (stores, errors) = server.stores.counted();
    let records = Records::of_server((&stores, errors), server.otlp, &client);
    let configuration = Configuration::new(source, stores, client, Freshness::default());
    let records = records.with_usage_events(&configuration);
    // Loaded before the port is announced: whoever waits for the port may call at once.
    configuration.load(Clock::starting(now_ms())).await.map_err(io::Error::other)?;

    let (stopper, stopping) = Stopper::new();
    let gateway = Gateway::new(configuration, records.sinks());
    let gateway = Arc::new(gateway.with_sealing(sealing(&server.root_secret)));
    let admin = Admin::new(gateway.clone(), server.config_source, &server.root_secret);
    let app = Arc::new(App {
        gateway,
        admin: Some(admin.ok_or_else(|| io::Error::other("the system has no randomness"))?),
        public_origins: vec![],
        records,
        in_flight: InFlight::default(),
        body_limits: BodyLimits {
            max_bytes: bytes(limits.max_body_bytes),
            silence: limits.body_timeout,
        },
        memory,
        origin_secrets: vec![],
        keep_alive: KeepAliveSettings::SERVER,
        wrong_keys: Mutex::default(),
        wrong_key_log: LogLimiter::default(),
        stopping,
    });

    tokio::spawn(app.gateway.clone().probe_providers(now_ms));
    if let Some(updates) = server.updates {
        tokio::spawn(follow(updates, app.gateway.clone()));
    }
    // Listened for before anybody knows that there is something to stop.
    let mut signals = StopSignals::listen()?;
    ready(listener.local_addr()?);
    let front = Front::new(app.clone(), ENDPOINTS);
    let acceptor = Acceptor::new(limits.clone(), front, tls)?;
    // A second signal means that somebody waits; records may then be lost.
    let end = acceptor.serve(listener, stopper, &mut signals, limits.drain_timeout).await;
    if end == End::Drained {
        finish(&app, signals, limits.shutdown_timeout).await;
    }
    // Not before: what calls left behind is done by the threads that served them.
    acceptor.workers.stop(END_TIMEOUT);
    Ok(())
}

/// Waits until what ended calls left behind is written, for a time or until another signal.
async fn finish(app: &App, mut signals: StopSignals, within: Duration) {
    let written = async {
        app.gateway.drain_within(within).await;
        app.records.flush().await;
    };
    tokio::select! {
        () = written => {}
        () = signals.next() => tracing::warn!("stopping before all records are written, on a second signal"),
    }
}

/// What opens the keys of tenants' own providers.
fn sealing(root_secret: &RootSecret) -> Sealing {
    let key = SealingKey::new(root_secret).map(Box::new);
    key.map_or(Sealing::None, Sealing::Key)
}

/// Puts each configuration in force as it comes.
async fn follow(mut updates: mpsc::Receiver<Config>, gateway: Arc<Gateway>) {
    while let Some(config) = updates.recv().await {
        match gateway.replace_config(config, Clock::starting(now_ms())).await {
            Ok(()) => tracing::info!("the configuration file changed and is in force"),
            Err(error) => {
                let cause = error.cause().map(tracing::field::display);
                tracing::error!(cause, "{error} The last good configuration stays in force.");
            }
        }
    }
}

/// Raises the limit of descriptors, and keeps half of them for calls to providers.
fn fit_descriptors(limits: &ServerLimits) -> ServerLimits {
    // Every call may need a socket to a provider beside its client's.
    let descriptors = raise_descriptor_limit().unwrap_or(u64::MAX);
    let half = u32::try_from(descriptors / 2).unwrap_or(u32::MAX).max(1);
    ServerLimits { max_connections: limits.max_connections.min(half), ..limits.clone() }
}

/// How serving ended.
#[derive(PartialEq, Eq)]
enum End {
    /// Calls ended by themselves, or were ended after the time for draining.
    Drained,
    /// A second signal asked for an end at once.
    Aborted,
}

/// The state of the loop that accepts connections.
struct Acceptor {
    connections: Arc<Connections>,
    front: Front,
    /// Set where the server serves HTTPS.
    tls: Option<TlsAcceptor>,
    workers: Workers,
    refused: LogLimiter,
}

impl Acceptor {
    fn new(limits: ServerLimits, front: Front, tls: Option<TlsAcceptor>) -> io::Result<Self> {
        let workers = Workers::start(limits.workers)?;
        let connections = Arc::new(Connections::new(limits));
        Ok(Self { connections, front, tls, workers, refused: LogLimiter::default() })
    }

    async fn serve(
        &self,
        listener: TcpListener,
        stopper: Stopper,
        signals: &mut StopSignals,
        drain_timeout: Duration,
    ) -> End {
        tokio::select! {
            () = self.accept(&listener) => {}
            () = signals.next() => {}
        }

        // New clients shall go elsewhere rather than wait.
        drop(listener);
        tokio::select! {
            () = self.drain(stopper, drain_timeout) => End::Drained,
            () = signals.next() => {
                tracing::warn!(calls = self.connections.busy(), "stopping at once, on a second signal");
                End::Aborted
            }
        }
    }

    /// Accepts connections, and closes those that are overdue.
    async fn accept(&self, listener: &TcpListener) {
        // A quarter, so that no limit is exceeded by more than that.
        let mut tick = tokio::time::interval(TICK.min(self.connections.shortest_timeout() / 4));
        // A machine that slept would otherwise look at all connections once for each missed second.
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((socket, peer)) => self.attend(socket, peer),
                    Err(error) => {
                        if let Some(times) = self.refused.count(now_ms()) {
                            tracing::warn!(%error, times, "failed to accept a connection");
                        }
                        // The usual failure is that descriptors ran out, of which an idle
                        // connection holds one.
                        self.connections.close_idlest();
                        // Accepting fails again at once in that case, and would turn in a loop.
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
                _ = tick.tick() => self.connections.close_overdue(),
            }
        }
    }

    /// Lets calls in progress end; after a while, ends them.
    async fn drain(&self, stopper: Stopper, drain_timeout: Duration) {
        // Connections take no further requests from here on, and say so in responses under way.
        stopper.enter(Phase::Draining);
        let drained = async {
            let mut tick = tokio::time::interval(Duration::from_millis(50));
            loop {
                tokio::select! {
                    () = self.connections.emptied() => return,
                    _ = tick.tick() => self.connections.close_drained(),
                }
            }
        };
        let mut drained = pin!(drained);
        // By reference, for the same wait goes on after calls were ended.
        if tokio::time::timeout(drain_timeout, &mut drained).await.is_ok() {
            return;
        }
        let calls = self.connections.busy();
        tracing::warn!(calls, "ending calls that took longer than {drain_timeout:?} to drain");
        stopper.enter(Phase::Ending);
        if tokio::time::timeout(END_TIMEOUT, drained).await.is_err() {
            tracing::warn!(calls = self.connections.busy(), "calls were cut off");
        }
    }

    fn attend(&self, socket: TcpStream, peer: SocketAddr) {
        let Some(place) = self.workers.place() else { return };
        let socket = match socket.into_std().and_then(|socket| place.adopt(socket)) {
            Ok(socket) => Arc::new(socket),
            Err(error) => {
                tracing::debug!(%error, "a connection broke");
                return;
            }
        };
        let watched = socket.clone();
        // A client of IPv4 has another name on a socket for both versions.
        let address = peer.ip().to_canonical();
        let Some(listed) = self.connections.admit(address, move || has_left(&watched)) else {
            if let Some(times) = self.refused.count(now_ms()) {
                tracing::warn!(%address, times, "refused a connection: too many are open");
            }
            return;
        };
        place.spawn(attend(socket, listed, self.tls.clone(), self.front.clone()));
    }
}

/// Serves one connection to its end.
async fn attend(socket: Arc<TcpStream>, listed: Listed, tls: Option<TlsAcceptor>, front: Front) {
    let connection = listed.connection.clone();
    let served = async {
        let socket = ClientSocket::new(socket, connection.clone())?;
        match tls {
            None => {
                let socket = socket.read_version().await?;
                let version = socket.version();
                serve(socket, version, connection, front).await
            }
            // The time for a head bounds the handshake too: no request has come until then.
            Some(tls) => {
                let mut socket = tls.accept(socket).await?;
                let (plain, session) = socket.get_mut();
                let is_http2 = session.alpn_protocol() == Some(tls::HTTP2_PROTOCOL);
                let version = if is_http2 { Version::Http2 } else { Version::Http1 };
                plain.set_version(version);
                serve(socket, version, connection, front).await
            }
        }
    };
    // The other branch drops the connection with all of its calls, which cancels them at their
    // providers.
    tokio::select! {
        outcome = served => if let Err(error) = outcome {
            tracing::debug!(%error, "a connection broke");
        },
        () = listed.connection.closed() => {}
    }
}

/// Serves the requests of a connection in its version of HTTP.
async fn serve(
    socket: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    version: Version,
    connection: Arc<Connection>,
    front: Front,
) -> Outcome {
    let stopping = front.app.stopping.clone();
    match version {
        Version::Http1 => serve_http1(socket, connection, front, stopping).await,
        Version::Http2 => serve_http2(socket, connection, front, stopping).await,
    }
}

type Outcome = Result<(), Box<dyn std::error::Error + Send + Sync>>;

async fn serve_http1(
    socket: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    connection: Arc<Connection>,
    front: Front,
    stopping: Stopping,
) -> Outcome {
    let mut builder = http1::Builder::new();

    // The time for a head is kept with those of all connections.
    builder.timer(TokioTimer::new()).header_read_timeout(None);
    builder.max_buf_size(HTTP1_BUFFER_BYTES).max_headers(MAX_HEADERS * 2);
    let serving = builder.serve_connection(TokioIo::new(socket), service(connection, front));
    let mut serving = pin!(serving);
    // A graceful end lets the current response finish and refuses the next request.
    tokio::select! {
        outcome = serving.as_mut() => return Ok(outcome?),
        () = stopping.reached(Phase::Draining) => serving.as_mut().graceful_shutdown(),
    }
    Ok(serving.await?)
}

async fn serve_http2(
    socket: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    connection: Arc<Connection>,
    front: Front,
    stopping: Stopping,
) -> Outcome {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(HTTP2_MAX_STREAMS)
        .header_table_size(HTTP2_HEADER_TABLE_BYTES)
        .max_header_list_size(HTTP2_MAX_HEADER_BYTES)
        .initial_stream_window_size(HTTP2_WINDOWS.0)
        .initial_connection_window_size(HTTP2_WINDOWS.1)
        .max_send_buf_size(HTTP2_SEND_BUFFER_BYTES)
        .max_pending_accept_reset_streams(HTTP2_MAX_RESETS)
        .keep_alive_interval(HTTP2_PING.0)
        .keep_alive_timeout(HTTP2_PING.1);
    let serving = builder.serve_connection(TokioIo::new(socket), service(connection, front));
    let mut serving = pin!(serving);
    tokio::select! {
        outcome = serving.as_mut() => return Ok(outcome?),
        () = stopping.reached(Phase::Draining) => serving.as_mut().graceful_shutdown(),
    }
    Ok(serving.await?)
}

/// The service of one connection.
fn service(
    connection: Arc<Connection>,
    front: Front,
) -> impl Service<
    Request<Incoming>,
    Response = Response<TakenBody>,
    Error = Infallible,
    Future: Send + 'static,
> {
    service_fn(move |request: Request<Incoming>| {
        // Counted before the first await: the connection must not look idle while its call begins.
        let call = connection.begin_call();
        let (connection, front) = (connection.clone(), front.clone());
        async move {
            let origin = Origin { platform_deadline: None, connection: Some(connection) };
            let response = front.respond(request.map(boxed), origin).await;
            // The call ends with its body, not with its head: a stream is still a call.
            Ok::<_, Infallible>(response.map(|body| TakenBody::new(body, call)))
        }
    })
}

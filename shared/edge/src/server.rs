//! Endpoints as a server: every function behind one port.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use config::Config;
use gateway::{Client, Clock, Configuration, Freshness, Gateway, ProxyVariables, Source};
use hyper::{Request, body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
};
use storage::{Parameters, Signer, Stores};
use telemetry::LogSink;
use tokio::{
    net::{TcpListener, TcpStream},
    signal::unix::{Signal, SignalKind, signal},
};

use crate::{
    body::boxed,
    endpoints::ENDPOINTS,
    front::{App, Front},
    request::{MAX_HEADERS, Origin},
    request_body,
    settings::{KeepAliveSettings, now_ms},
};

/// How long the headers of a request may take.
const HEADER_TIME: Duration = Duration::from_secs(30);
/// How long calls may go on after the server was asked to stop.
const DRAIN_TIME: Duration = Duration::from_secs(30);

/// What a server is made of.
#[derive(Debug)]
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    /// What it does.
    pub config: Config,
    /// Where the keys are that the document only names.
    pub parameters: Option<Parameters>,
    /// What signs calls to providers in AWS.
    pub signer: Signer,
    /// The proxies that the environment names for calls to providers.
    pub proxies: ProxyVariables,
    /// What it remembers.
    pub stores: Stores,
}

/// Serves endpoints until the process is asked to stop. `ready` is called with the address in use.
pub async fn listen(server: Server, ready: impl FnOnce(SocketAddr)) -> io::Result<()> {
    let listener = TcpListener::bind(server.address).await?;
    let source = Source::Config(Box::new(server.config), server.parameters);
    let client = Client::new(server.signer, server.proxies);
    let configuration = Configuration::new(source, server.stores, client, Freshness::default());
    configuration.load(Clock::starting(now_ms())).await.map_err(io::Error::other)?;
    let app = Arc::new(App {
        gateway: Gateway::new(configuration, vec![Arc::new(LogSink)]),
        max_body_bytes: request_body::MAX_SERVER_BODY_BYTES,
        origin_secrets: vec![],
        keep_alive: KeepAliveSettings::SERVER,
        operators: vec![],
    });
    // Listened for before anybody knows that there is something to stop.
    let stop = Stop::listen()?;
    ready(listener.local_addr()?);
    serve(listener, Front::new(app.clone(), ENDPOINTS), stop).await;
    app.gateway.drain().await;
    Ok(())
}

async fn serve(listener: TcpListener, front: Front, mut stop: Stop) {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    // One more than is allowed, so that the refusal is ours and says why.
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADER_TIME);
    builder.http1().max_headers(MAX_HEADERS * 2);
    builder.http2().timer(TokioTimer::new()).max_header_list_size(256 * 1024);
    let graceful = GracefulShutdown::new();
    loop {
        let socket = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.asked() => break,
        };
        match socket {
            Ok((socket, _)) => attend(&builder, &graceful, &front, socket),
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    // Who comes now shall go elsewhere rather than wait for nobody.
    drop(listener);
    if tokio::time::timeout(DRAIN_TIME, graceful.shutdown()).await.is_err() {
        tracing::warn!("calls that took longer than {} s were ended", DRAIN_TIME.as_secs());
    }
}

fn attend(
    builder: &auto::Builder<TokioExecutor>,
    graceful: &GracefulShutdown,
    front: &Front,
    socket: TcpStream,
) {
    if let Err(error) = socket.set_nodelay(true) {
        tracing::debug!(%error, "a connection keeps its delay");
    }
    let front = front.clone();
    let service = service_fn(move |request: Request<Incoming>| {
        let front = front.clone();
        async move {
            let response = front.respond(request.map(boxed), Origin::default()).await;
            Ok::<_, std::convert::Infallible>(response)
        }
    });
    let connection = builder.serve_connection(TokioIo::new(socket), service).into_owned();
    let watched = graceful.watch(connection);
    tokio::spawn(async move {
        if let Err(error) = watched.await {
            tracing::debug!(%error, "a connection broke");
        }
    });
}

/// What asks the process to stop.
struct Stop {
    interrupt: Signal,
    terminate: Signal,
}

impl Stop {
    fn listen() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn asked(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

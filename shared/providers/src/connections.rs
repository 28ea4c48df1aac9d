//! One reqwest client for each thread, and the rule by which a request is sent a second time.
//!
//! Nothing is followed, stored or retried behind our back: no redirects, no cookies, no
//! environment.

use std::{
    borrow::Cow,
    cell::Cell,
    error::Error as _,
    fmt, io,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use canonical::{Error, ErrorKind, Result};
use config::PoolOptions;
use http::{HeaderMap, Method};
use reqwest::{Url, redirect};
use storage::Secret;
use thread_local::ThreadLocal;
use tokio::time::Instant;
use tower::{Layer, Service};

use crate::{USER_AGENT, tls};

/// How often an HTTP/2 connection is asked whether it is alive while a call is open on it.
const HTTP2_PING_INTERVAL: Duration = Duration::from_secs(10);
/// How long a live HTTP/2 connection may take to say so.
const HTTP2_PING_TIMEOUT: Duration = Duration::from_secs(5);
/// After how much silence TCP asks whether the other side is still there.
const TCP_KEEPALIVE: Duration = Duration::from_secs(60);
/// How soon after a request a kept connection must end for its end to have crossed the request: a
/// round trip to the other side of the world, and some.
const CROSSING_TIME: Duration = Duration::from_millis(500);

tokio::task_local! {
    /// Whether a connection was opened for the request that the task is sending.
    static OPENED: Cell<bool>;
}

/// A pool of connections that are made alike. A clone shares them.
#[derive(Clone)]
pub(crate) struct Connections(Arc<Inner>);

struct Inner {
    transport: Transport,
    /// TLS as all clients have it.
    tls: rustls::ClientConfig,
    /// A client for each thread, built when it is first needed: the runtime of a thread moves the
    /// bytes of the connections that were opened on it.
    clients: ThreadLocal<reqwest::Client>,
    /// A client that keeps no connections, built when it is first needed.
    fresh: OnceLock<reqwest::Client>,
}

/// How connections are made and kept.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Transport {
    /// Proxies, of which the first that fits is used.
    pub(crate) proxies: Vec<ProxyRule>,
    /// Hosts that no proxy is used for, as `NO_PROXY` lists them.
    pub(crate) no_proxy: String,
    /// A PEM file of roots that are trusted beside the public ones.
    pub(crate) ca_file: Option<String>,
    /// Time for the lookup, TCP, the proxy and TLS together.
    pub(crate) connect_timeout: Duration,
    /// Which unused connections are kept.
    pub(crate) pool: PoolOptions,
}

/// A proxy and what passes through it. The URL may hold a password.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct ProxyRule {
    scheme: ProxiedScheme,
    url: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum ProxiedScheme {
    All,
    Https,
    Http,
}

impl ProxyRule {
    /// Everything passes through this proxy.
    pub(crate) fn all(url: &Secret) -> Self {
        Self { scheme: ProxiedScheme::All, url: url.expose().to_owned() }
    }

    /// The proxy of `https://` URLs.
    pub(crate) fn https(url: &Secret) -> Self {
        Self { scheme: ProxiedScheme::Https, url: url.expose().to_owned() }
    }

    /// The proxy of `http://` URLs.
    pub(crate) fn http(url: &Secret) -> Self {
        Self { scheme: ProxiedScheme::Http, url: url.expose().to_owned() }
    }

    fn proxy(&self) -> reqwest::Result<reqwest::Proxy> {
        match self.scheme {
            ProxiedScheme::All => reqwest::Proxy::all(&self.url),
            ProxiedScheme::Https => reqwest::Proxy::https(&self.url),
            ProxiedScheme::Http => reqwest::Proxy::http(&self.url),
        }
    }
}

/// A request that may have to be sent twice.
pub(crate) struct HttpRequest<'e> {
    pub(crate) method: Method,
    pub(crate) url: Url,
    /// The headers of the endpoint as they are, unless the request adds some.
    pub(crate) headers: Cow<'e, HeaderMap>,
    pub(crate) body: Bytes,
}

impl HttpRequest<'_> {
    fn build(&self) -> reqwest::Request {
        let mut request = reqwest::Request::new(self.method.clone(), self.url.clone());
        request.headers_mut().clone_from(&self.headers);
        // Shares the bytes: a request that is sent twice is not copied.
        *request.body_mut() = Some(self.body.clone().into());
        request
    }
}

impl Connections {
    /// Prepares a pool without any connection yet.
    pub(crate) fn new(transport: Transport) -> Result<Self> {
        let tls = transport.tls()?;
        let (clients, fresh) = (ThreadLocal::new(), OnceLock::new());
        let connections = Self(Arc::new(Inner { transport, tls, clients, fresh }));
        // A proxy that cannot be used is told now, and not by the first call.
        connections.client()?;
        Ok(connections)
    }

    /// How the connections are made.
    pub(crate) fn transport(&self) -> &Transport {
        &self.0.transport
    }

    /// Sends a request and waits for the head of its response.
    ///
    /// A request that met the end of a kept connection was not read, and is made and sent once more
    /// on a new one.
    pub(crate) async fn send(
        &self,
        request: HttpRequest<'_>,
    ) -> Result<http::Response<reqwest::Body>> {
        let sent_at = Instant::now();
        let (opened, outcome) = send_once(self.client()?, request.build()).await;
        let outcome = match outcome {
            // On a connection that was opened for it, the request may have been read before the
            // connection broke.
            Err(error) if !opened && has_crossed_the_end(&error, sent_at.elapsed()) => {
                tracing::debug!(%error, "a kept connection had ended; sending once more");
                // Another kept connection may have ended in the same moment, so the second goes
                // over a new one.
                send_once(self.fresh()?, request.build()).await.1
            }
            outcome => outcome,
        };
        outcome.map(Into::into).map_err(|error| self.unreachable(error))
    }

    /// Sends a request whose body is still coming, and waits for the head of the response. The
    /// connection is new: a body that met the end of a kept one could not be sent again.
    pub(crate) async fn send_streamed(
        &self,
        request: HttpRequest<'_>,
        body: reqwest::Body,
    ) -> Result<http::Response<reqwest::Body>> {
        let mut built = request.build();
        *built.body_mut() = Some(body);
        let (_, outcome) = send_once(self.fresh()?, built).await;
        outcome.map(Into::into).map_err(|error| self.unreachable(error))
    }

    /// Sends any request once, and waits for the head of the response.
    pub(crate) async fn send_as_it_is(
        &self,
        request: http::Request<Bytes>,
    ) -> Result<http::Response<reqwest::Body>> {
        let request = reqwest::Request::try_from(request).map_err(|error| {
            Error::new(ErrorKind::Internal, "has an address that is not a URL")
                .caused_by(error.without_url())
        })?;
        // Never twice: nothing says that the request may be repeated.
        let (_, outcome) = send_once(self.client()?, request).await;
        outcome.map(Into::into).map_err(|error| self.unreachable(error))
    }

    /// Fetches what is at an address, and waits for the head of the response.
    pub(crate) async fn get(
        &self,
        url: Url,
        headers: &HeaderMap,
    ) -> Result<http::Response<reqwest::Body>> {
        let mut request = reqwest::Request::new(Method::GET, url);
        request.headers_mut().clone_from(headers);
        let (_, outcome) = send_once(self.client()?, request).await;
        outcome.map(Into::into).map_err(|error| self.unreachable(error))
    }

    /// The client of this thread.
    fn client(&self) -> Result<&reqwest::Client> {
        let Inner { transport, tls, clients, .. } = &*self.0;
        let most = transport.pool.max_idle_per_host.unwrap_or(usize::MAX);
        clients.get_or_try(|| transport.client(tls.clone(), most))
    }

    fn fresh(&self) -> Result<&reqwest::Client> {
        if let Some(client) = self.0.fresh.get() {
            return Ok(client);
        }
        // Built twice at worst, where two calls need it at once; the second one is dropped.
        let client = self.0.transport.client(self.0.tls.clone(), 0)?;
        Ok(self.0.fresh.get_or_init(|| client))
    }

    fn unreachable(&self, error: reqwest::Error) -> Error {
        let limit = self.0.transport.connect_timeout.as_secs_f32();
        let (kind, message) = match (error.is_connect(), error.is_timeout()) {
            (true, true) => (ErrorKind::Timeout, format!("could not be reached within {limit} s")),
            (true, false) => (ErrorKind::Network, "could not be reached".to_owned()),
            (false, _) => {
                let message =
                    bad_head(&error).unwrap_or("closed the connection before it responded");
                (ErrorKind::Network, message.to_owned())
            }
        };
        // URLs may hold keys of services that take them as parameters.
        let is_unsent = error.is_connect();
        let mut unreachable = Error::new(kind, message).caused_by(error.without_url());
        unreachable.is_unsent = is_unsent;
        unreachable
    }
}

async fn send_once(
    client: &reqwest::Client,
    request: reqwest::Request,
) -> (bool, reqwest::Result<reqwest::Response>) {
    let sending = async {
        let outcome = client.execute(request).await;
        (OPENED.with(Cell::get), outcome)
    };
    // reqwest does not say whether it used a kept connection; its connector runs within the task
    // that sends.
    OPENED.scope(Cell::new(false), sending).await
}

/// Whether a kept connection was already being closed when a request was written to it.
///
/// A reset says that bytes of ours were never read. A plain end may also be the response of
/// somebody who read everything, but not before the request could arrive.
fn has_crossed_the_end(error: &reqwest::Error, after: Duration) -> bool {
    if CROSSING_TIME < after {
        return false;
    }
    // The reason lies at the end of reqwest's chain of errors, under one of several types.
    causes(error).any(|cause| {
        let ended =
            cause.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_incomplete_message);
        let broken = cause.downcast_ref::<io::Error>().is_some_and(|it| {
            matches!(
                it.kind(),
                io::ErrorKind::ConnectionReset
                    | io::ErrorKind::ConnectionAborted
                    | io::ErrorKind::BrokenPipe
                    | io::ErrorKind::NotConnected
                    | io::ErrorKind::UnexpectedEof
            )
        });
        ended || broken
    })
}

/// What is wrong with the head of a response; nothing where none came.
fn bad_head(error: &reqwest::Error) -> Option<&'static str> {
    let mut of_http = causes(error).filter_map(|it| it.downcast_ref::<hyper::Error>());
    of_http.find_map(|error| {
        if error.is_parse_too_large() {
            return Some("sent a response with too many or too large headers");
        }
        error.is_parse().then_some("sent a response that is not valid HTTP")
    })
}

/// What led to an error, from the nearest cause to the first.
pub(crate) fn causes(
    error: &reqwest::Error,
) -> impl Iterator<Item = &(dyn std::error::Error + 'static)> {
    std::iter::successors(error.source(), |cause| (**cause).source())
}

impl Transport {
    fn tls(&self) -> Result<rustls::ClientConfig> {
        tls::client_config(self.ca_file.as_deref(), &["h2", "http/1.1"]).map_err(|cause| {
            let message = "has a `ca_file` that cannot be used";
            Error::new(ErrorKind::ProviderAccess, message).caused_by(cause)
        })
    }

    fn client(
        &self,
        tls: rustls::ClientConfig,
        max_idle_per_host: usize,
    ) -> Result<reqwest::Client> {
        let mut builder = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .user_agent(USER_AGENT)
            // The environment is read in one place; reqwest would read it once more by itself.
            .no_proxy()
            // A redirect would carry the key to wherever a provider or an attacker in its place
            // points.
            .redirect(redirect::Policy::none())
            .referer(false)
            .connect_timeout(self.connect_timeout)
            .connector_layer(NoteOpened)
            .tcp_keepalive(TCP_KEEPALIVE)
            .http2_keep_alive_interval(HTTP2_PING_INTERVAL)
            .http2_keep_alive_timeout(HTTP2_PING_TIMEOUT)
            .pool_idle_timeout(self.pool.idle_timeout)
            .pool_max_idle_per_host(max_idle_per_host);
        for rule in &self.proxies {
            let proxy = rule.proxy().map_err(bad_proxy)?;
            builder = builder.proxy(proxy.no_proxy(reqwest::NoProxy::from_string(&self.no_proxy)));
        }
        builder.build().map_err(bad_proxy)
    }
}

fn bad_proxy(_quotes_the_url: reqwest::Error) -> Error {
    Error::new(ErrorKind::ProviderAccess, "its proxy is not a URL that can be used")
}

/// Notes which requests had to wait for a connection of their own.
#[derive(Clone, Copy)]
struct NoteOpened;

/// A connector that counts the connections that it opens.
#[derive(Clone)]
struct NotingConnector<S>(S);

impl<S> Layer<S> for NoteOpened {
    type Service = NotingConnector<S>;

    fn layer(&self, inner: S) -> NotingConnector<S> {
        NotingConnector(inner)
    }
}

impl<S: Service<R>, R> Service<R> for NotingConnector<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: R) -> S::Future {
        // A connection that is opened outside of a request is noted nowhere.
        OPENED.try_with(|opened| opened.set(true)).unwrap_or_default();
        self.0.call(request)
    }
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connections")
    }
}

//! An HTTP/1.1 server on loopback that ends, with its connections, when it is dropped.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};

use crate::body::Body;

/// A running server.
#[derive(Debug)]
pub(crate) struct Server {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    accepting: AbortHandle,
}

/// Binds a free port of loopback.
pub(crate) fn listen() -> io::Result<TcpListener> {
    listen_on((Ipv4Addr::LOCALHOST, 0).into())
}

/// Binds this address.
pub(crate) fn listen_on(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = std::net::TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

impl Server {
    /// Responds to every request with `response`. An error drops the connection without a status.
    pub(crate) fn start<A, F>(listener: TcpListener, response: A) -> io::Result<Self>
    where
        A: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
        F: Future<Output = io::Result<Response<Body>>> + Send + 'static,
    {
        let address = listener.local_addr()?;
        let accepting = tokio::spawn(accept(listener, response)).abort_handle();
        Ok(Self { address, accepting })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept<A, F>(listener: TcpListener, response: A)
where
    A: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
    F: Future<Output = io::Result<Response<Body>>> + Send + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Ok((stream, _)) = listener.accept() => {
                connections.spawn(serve(stream, response.clone()));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve<A, F>(stream: TcpStream, response: A)
where
    A: Fn(Request<Incoming>) -> F,
    F: Future<Output = io::Result<Response<Body>>>,
{
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let service = service_fn(response);
    // A broken connection is the caller's business: the test servers do not report it.
    drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
}

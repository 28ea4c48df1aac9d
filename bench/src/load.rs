//! A load: workers that call one after another over a connection each.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// What is called, how often, and how many at once.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    pub(crate) address: SocketAddr,
    pub(crate) path: &'static str,
    /// The key that is shown.
    pub(crate) key: &'static str,
    pub(crate) body: Bytes,
    pub(crate) at_once: usize,
    pub(crate) calls: u64,
}

/// What came of it: one entry per call.
#[derive(Debug, Default)]
pub(crate) struct Times {
    /// From sending to the first byte of the body.
    pub(crate) first: Vec<Duration>,
    /// From sending to the end of the body.
    pub(crate) whole: Vec<Duration>,
}

impl Load {
    /// Runs the load. A call without a 200 and a body is an error.
    pub(crate) async fn run(&self) -> io::Result<Times> {
        let left = Arc::new(AtomicU64::new(self.calls));
        let workers: Vec<_> =
            (0..self.at_once).map(|_| tokio::spawn(self.clone().work(left.clone()))).collect();
        let mut times = Times::default();
        for worker in workers {
            let one = worker.await.map_err(io::Error::other)??;
            times.first.extend(one.first);
            times.whole.extend(one.whole);
        }
        Ok(times)
    }

    async fn work(self, left: Arc<AtomicU64>) -> io::Result<Times> {
        let socket = TcpStream::connect(self.address).await?;
        socket.set_nodelay(true)?;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(socket)).await.map_err(io::Error::other)?;
        tokio::spawn(connection);
        let mut times = Times::default();
        while left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |it| it.checked_sub(1))
            .is_ok()
        {
            let request = Request::post(self.path)
                .header(header::HOST, "bench")
                .header(header::AUTHORIZATION, format!("Bearer {}", self.key))
                .header(header::CONTENT_TYPE, "application/json")
                .body(Full::new(self.body.clone()))
                .map_err(io::Error::other)?;
            let start = Instant::now();
            sender.ready().await.map_err(io::Error::other)?;
            let response = sender.send_request(request).await.map_err(io::Error::other)?;
            if response.status() != 200 {
                return Err(io::Error::other(format!("a call answered {}", response.status())));
            }
            let mut body = response.into_body();
            let mut first = None;
            while let Some(frame) = body.frame().await {
                frame.map_err(io::Error::other)?;
                first.get_or_insert_with(|| start.elapsed());
            }
            times.first.push(first.ok_or_else(|| io::Error::other("a call answered nothing"))?);
            times.whole.push(start.elapsed());
        }
        Ok(times)
    }
}

/// The key of the configurations here.
pub(crate) const KEY: &str = "bench";

/// The middle of some values.
pub(crate) fn median<T: Copy + Ord>(values: &[T]) -> Option<T> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied()
}

//! The socket of a client, as hyper reads and writes it.

use std::{
    io::{self, IoSlice},
    net::Shutdown,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use futures_util::FutureExt;
use socket2::{SockRef, TcpKeepalive};
use tokio::{
    io::{AsyncRead, AsyncWrite, Interest, ReadBuf},
    net::TcpStream,
    time::{Duration, Instant, Sleep},
};

use super::connection::Connection;

/// How an HTTP/2 connection begins (RFC 9113, section 3.4).
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// The silence after which TCP asks whether the other side is still there.
const TCP_KEEP_ALIVE: Duration = Duration::from_secs(60);
/// The time between two such probes.
const TCP_KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(15);
/// How many bytes of a refused body are read before the connection is closed.
const MAX_LINGER_BYTES: usize = 80 * 1024 * 1024;

/// The version of HTTP that a client uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    Http1,
    Http2,
}

/// The socket of a client.
pub(super) struct ClientSocket {
    socket: Arc<TcpStream>,
    connection: Arc<Connection>,
    /// Bytes that were read to tell the version, and are still to be given out.
    prefix: Vec<u8>,
    version: Version,
    shutdown: ShutdownState,
}

enum ShutdownState {
    Open,
    /// Reads the rest of what the client sends, until a time.
    Lingering {
        until: Pin<Box<Sleep>>,
        bytes: usize,
    },
    Closed,
}

impl ClientSocket {
    /// Prepares a socket. What is read is counted as HTTP/1 until another version is known.
    pub(super) fn new(socket: Arc<TcpStream>, connection: Arc<Connection>) -> io::Result<Self> {
        // A token is a small write, which must not wait for the acknowledgement of the one before.
        socket.set_nodelay(true)?;
        let keep_alive = TcpKeepalive::new().with_time(TCP_KEEP_ALIVE);
        let keep_alive = keep_alive.with_interval(TCP_KEEP_ALIVE_INTERVAL);
        // A client behind a router that forgot it is found out, although it sends nothing.
        SockRef::from(&*socket).set_tcp_keepalive(&keep_alive)?;

        let (prefix, version, shutdown) = (vec![], Version::Http1, ShutdownState::Open);
        Ok(Self { socket, connection, prefix, version, shutdown })
    }

    /// Reads as much as shows the version of HTTP where no TLS has negotiated it.
    pub(super) async fn read_version(mut self) -> io::Result<Self> {
        let socket = &self.socket;
        let mut prefix = Vec::with_capacity(HTTP2_PREFACE.len());
        // One port serves both versions without TLS, and HTTP/1 differs within the first bytes.
        while HTTP2_PREFACE.starts_with(&prefix) && prefix.len() < HTTP2_PREFACE.len() {
            socket.readable().await?;
            let mut rest = [0; HTTP2_PREFACE.len()];
            let rest = rest.get_mut(prefix.len()..).unwrap_or_default();
            match socket.try_read(rest) {
                Ok(0) => break,
                Ok(length) => prefix.extend_from_slice(rest.get(..length).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        if prefix == HTTP2_PREFACE {
            self.version = Version::Http2;
        }
        self.prefix = prefix;
        Ok(self)
    }

    /// Notes the version of HTTP that TLS has negotiated.
    pub(super) fn set_version(&mut self, version: Version) {
        self.version = version;
    }

    pub(super) fn version(&self) -> Version {
        self.version
    }

    fn poll_receive(&self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.socket.poll_read_ready(cx))?;
            // Readiness may be out of date, in which case the next look registers for a new one.
            match self.socket.try_read_buf(buf) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                outcome => return Poll::Ready(outcome.map(|_| ())),
            }
        }
    }

    fn poll_send(
        &self,
        cx: &mut Context<'_>,
        send: impl Fn(&TcpStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.socket.poll_write_ready(cx))?;
            match send(&self.socket) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                outcome => return Poll::Ready(outcome),
            }
        }
    }

    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut space = [0; 8 * 1024];
        loop {
            let ShutdownState::Lingering { until, .. } = &mut self.shutdown else {
                return Poll::Ready(());
            };
            if until.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
            let mut buf = ReadBuf::new(&mut space);
            let outcome = ready!(self.poll_receive(cx, &mut buf));
            let length = buf.filled().len();
            let ShutdownState::Lingering { bytes, .. } = &mut self.shutdown else {
                return Poll::Ready(());
            };
            // Bounded by bytes too: a fast stranger could send gigabytes within the time.
            *bytes += length;
            if outcome.is_err() || length == 0 || MAX_LINGER_BYTES < *bytes {
                return Poll::Ready(());
            }
        }
    }
}

/// Whether the client has closed its side, also where bytes of it are still unread.
pub(super) fn has_left(socket: &TcpStream) -> bool {
    // Asked without waiting: this runs under the lock of all connections.
    let ready = socket.ready(Interest::READABLE).now_or_never();
    ready.is_some_and(|outcome| outcome.is_ok_and(|ready| ready.is_read_closed()))
}

impl AsyncRead for ClientSocket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        if self.prefix.is_empty() {
            ready!(self.poll_receive(cx, buf))?;
        } else {
            let length = self.prefix.len().min(buf.remaining());
            let given: Vec<u8> = self.prefix.drain(..length).collect();
            buf.put_slice(&given);
        }
        // In HTTP/2 any frame would look like the head of a request.
        if before < buf.filled().len() && self.version == Version::Http1 {
            self.connection.note_head_bytes();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for ClientSocket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_send(cx, |socket| socket.try_write(buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_send(cx, |socket| socket.try_write_vectored(bufs))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if matches!(self.shutdown, ShutdownState::Open) {
            // A client that has left already is sent nothing.
            // The write side closes first, so that the client reads the response to its end while
            // it still sends.
            drop(SockRef::from(&*self.socket).shutdown(Shutdown::Write));
            self.shutdown = match self.connection.linger_time() {
                None => ShutdownState::Closed,
                Some(time) => {
                    let until = Box::pin(tokio::time::sleep_until(Instant::now() + time));
                    ShutdownState::Lingering { until, bytes: 0 }
                }
            };
        }
        ready!(self.poll_linger(cx));
        self.shutdown = ShutdownState::Closed;
        Poll::Ready(Ok(()))
    }
}

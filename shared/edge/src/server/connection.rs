//! One connection of a client: what it does, and when it has to be closed.
//!
//! Everything here is a count or a time in milliseconds since the server started. Sockets are read
//! and written elsewhere.

use std::{
    net::IpAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use bytes::Bytes;
use config::ServerLimits;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::sync::Notify;

use crate::body::{Body, BodyError};

/// How long a connection that is closed may still deliver its last bytes, in milliseconds.
const FLUSH_MS: u64 = 250;

/// The clock of a server: milliseconds since it started.
#[derive(Clone, Copy, Debug)]
pub(super) struct ServerClock(Instant);

impl ServerClock {
    pub(super) fn start() -> Self {
        Self(Instant::now())
    }

    pub(super) fn now_ms(self) -> u64 {
        millis(self.0.elapsed())
    }
}

/// A connection of a client.
#[derive(Debug)]
pub(crate) struct Connection {
    address: IpAddr,
    clock: ServerClock,
    /// Requests whose response is not over.
    calls: AtomicU32,
    /// Responses of which the client has not taken the last bytes yet.
    untaken: AtomicU32,
    /// When a client last took bytes of a response.
    taken_at: AtomicU64,
    /// When the last call ended; before the first one, when the connection was accepted.
    idle_since: AtomicU64,
    has_had_request: AtomicBool,
    /// When the first byte of an unfinished HTTP/1 head came; 0 between requests.
    head_since: AtomicU64,
    /// How long the rest of an unread body is read before the connection is closed.
    linger_ms: AtomicU64,
    close: Notify,
}

/// Why a connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CloseReason {
    /// No request came after the connection was accepted.
    NoRequest,
    /// The head of a request took too long.
    SlowHead,
    /// No call came for a long time.
    Idle,
    /// The client takes nothing of its responses.
    Stalled,
    /// The client has closed its side while it waited for a response.
    Left,
}

impl Connection {
    pub(super) fn new(address: IpAddr, clock: ServerClock) -> Self {
        let now = clock.now_ms();
        Self {
            address,
            clock,
            calls: AtomicU32::new(0),
            untaken: AtomicU32::new(0),
            taken_at: AtomicU64::new(now),
            idle_since: AtomicU64::new(now),
            has_had_request: AtomicBool::new(false),
            head_since: AtomicU64::new(0),
            linger_ms: AtomicU64::new(0),
            close: Notify::new(),
        }
    }

    /// The address of the client.
    pub(crate) fn address(&self) -> IpAddr {
        self.address
    }

    /// Why the connection has to be closed now, if it has to.
    pub(super) fn overdue(&self, limits: &ServerLimits, now_ms: u64) -> Option<CloseReason> {
        let passed = |since: u64, limit: Duration| since.saturating_add(millis(limit)) <= now_ms;

        let calls = self.calls.load(Relaxed);
        if 0 < calls {
            // Several calls share a connection in HTTP/2: as long as one makes progress, none is
            // stalled.
            let is_stalled = calls <= self.untaken.load(Relaxed)
                && passed(self.taken_at.load(Relaxed), limits.write_timeout);
            return is_stalled.then_some(CloseReason::Stalled);
        }
        let idle_since = self.idle_since.load(Relaxed);
        let head_since = self.head_since.load(Relaxed);
        if !self.has_had_request.load(Relaxed) {
            return passed(idle_since, limits.head_timeout).then_some(CloseReason::NoRequest);
        }
        if head_since != 0 && passed(head_since, limits.head_timeout) {
            return Some(CloseReason::SlowHead);
        }
        passed(idle_since, limits.keep_alive_timeout).then_some(CloseReason::Idle)
    }

    /// Whether a server that stops may close the connection: no call is left, nor its last bytes.
    pub(super) fn is_drained(&self, now_ms: u64) -> bool {
        // hyper has written a response when its body ends; the kernel may still be sending it.
        let delivered = self.idle_since.load(Relaxed).saturating_add(FLUSH_MS) <= now_ms;
        self.calls.load(Relaxed) == 0 && (delivered || !self.has_had_request.load(Relaxed))
    }

    /// Since when no call is in progress; none while one is.
    pub(super) fn idle_since(&self) -> Option<u64> {
        (self.calls.load(Relaxed) == 0).then(|| self.idle_since.load(Relaxed))
    }

    /// Whether a call is in progress.
    pub(super) fn is_busy(&self) -> bool {
        0 < self.calls.load(Relaxed)
    }

    /// Closes the connection.
    pub(super) fn close(&self) {
        self.close.notify_one();
    }

    /// Waits until the connection is to be closed.
    pub(super) async fn closed(&self) {
        self.close.notified().await;
    }

    /// Notes bytes of the head of an HTTP/1 request.
    pub(super) fn note_head_bytes(&self) {
        // Bytes during a call belong to its body, or to a request that is pipelined behind it.
        if self.calls.load(Relaxed) == 0 {
            // Zero stands for no head, and is the time of the server's first millisecond.
            let now = self.clock.now_ms().max(1);
            let _began = self.head_since.compare_exchange(0, now, Relaxed, Relaxed);
        }
    }

    /// Keeps reading the rest of a refused body before the connection is closed, so that a client
    /// which is still sending comes to read why.
    pub(crate) fn linger(&self, time: Duration) {
        self.linger_ms.store(millis(time), Relaxed);
    }

    pub(super) fn linger_time(&self) -> Option<Duration> {
        Some(Duration::from_millis(self.linger_ms.load(Relaxed))).filter(|time| !time.is_zero())
    }

    /// Begins a call.
    pub(super) fn begin_call(self: &Arc<Self>) -> CallGuard {
        self.calls.fetch_add(1, Relaxed);
        self.has_had_request.store(true, Relaxed);
        self.head_since.store(0, Relaxed);
        self.linger_ms.store(0, Relaxed);
        CallGuard(self.clone())
    }
}

/// A call in progress. Its end is noted when the guard is dropped.
#[derive(Debug)]
pub(super) struct CallGuard(Arc<Connection>);

impl Drop for CallGuard {
    fn drop(&mut self) {
        // Stored before the count falls, so that a connection never looks idle since its call
        // before.
        self.0.idle_since.store(self.0.clock.now_ms(), Relaxed);
        self.0.calls.fetch_sub(1, Relaxed);
    }
}

/// The body of a response, which notes when the client takes its bytes.
pub(super) struct TakenBody {
    inner: Body,
    call: CallGuard,
    is_untaken: bool,
}

impl TakenBody {
    pub(super) fn new(inner: Body, call: CallGuard) -> Self {
        let mut body = Self { inner, call, is_untaken: false };
        // The head is the first thing that a client may refuse to take.
        body.note_untaken();
        body
    }

    /// Notes bytes that the client has to take now.
    fn note_untaken(&mut self) {
        let connection = &self.call.0;
        connection.taken_at.store(connection.clock.now_ms(), Relaxed);
        connection.untaken.fetch_add(1, Relaxed);
        self.is_untaken = true;
    }

    /// Notes that the client took what there was: more is asked for only then.
    fn note_taken(&mut self) {
        if std::mem::take(&mut self.is_untaken) {
            self.call.0.untaken.fetch_sub(1, Relaxed);
        }
    }
}

impl Drop for TakenBody {
    fn drop(&mut self) {
        self.note_taken();
    }
}

impl HttpBody for TakenBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        // hyper asks for more only when its buffer has room, that is when the client has taken what
        // was there.
        self.note_taken();
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        if frame.is_some() {
            self.note_untaken();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::full;

    fn connection() -> Arc<Connection> {
        Arc::new(Connection::new(IpAddr::from([127, 0, 0, 1]), ServerClock::start()))
    }

    fn overdue(connection: &Connection, after: Duration) -> Option<CloseReason> {
        connection.overdue(&ServerLimits::default(), millis(after))
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_connection_without_a_request_is_closed_after_the_time_for_a_head() {
        assert_eq!(overdue(&connection(), 9 * SECOND), None);
        assert_eq!(overdue(&connection(), 11 * SECOND), Some(CloseReason::NoRequest));
    }

    #[test]
    fn a_connection_between_calls_is_kept_for_longer() {
        let connection = connection();
        drop(connection.begin_call());
        assert_eq!(overdue(&connection, 60 * SECOND), None);
        assert_eq!(overdue(&connection, 80 * SECOND), Some(CloseReason::Idle));
        connection.note_head_bytes();
        assert_eq!(overdue(&connection, 9 * SECOND), None);
        assert_eq!(overdue(&connection, 60 * SECOND), Some(CloseReason::SlowHead));
    }

    #[test]
    fn a_call_may_take_as_long_as_it_likes() {
        let connection = connection();
        let _call = connection.begin_call();
        assert_eq!(overdue(&connection, 3_600 * SECOND), None);
        assert!(!connection.is_drained(millis(3_600 * SECOND)));
    }

    #[tokio::test]
    async fn a_client_that_takes_nothing_is_closed() {
        use http_body_util::BodyExt;

        let connection = connection();
        let mut body = TakenBody::new(full("a"), connection.begin_call());
        assert_eq!(overdue(&connection, 61 * SECOND), Some(CloseReason::Stalled));
        body.frame().await.unwrap().unwrap();
        assert_eq!(overdue(&connection, 61 * SECOND), Some(CloseReason::Stalled));
        // One call that goes on keeps the connection for all.
        let other = connection.begin_call();
        assert_eq!(overdue(&connection, 61 * SECOND), None);
        drop(other);
        assert!(body.frame().await.is_none());
        assert_eq!(overdue(&connection, 61 * SECOND), None);
        drop(body);
        assert_eq!(overdue(&connection, 80 * SECOND), Some(CloseReason::Idle));
        assert!(connection.is_drained(millis(SECOND)));
    }
}

//! Bounds of the server: connections, times and memory. Lambda has bounds of its own.

use std::time::Duration;

use super::{
    keys::{Key, Keys, Takes},
    node::Node,
    reader::Reader,
};

pub(super) const SERVER: Keys = Keys {
    of: "server",
    keys: &[
        Key::new(
            "workers",
            Takes::Whole(1, 1024),
            "one for each core",
            "threads that serve connections. A connection stays on its thread, with the connections to providers that its calls use",
        ),
        Key::new(
            "max_connections",
            Takes::Whole(1, 1000000),
            "4096, and never more than half of the process's descriptors",
            "connections in all. Beyond it the one that is idle the longest is closed; while none is idle, new ones are",
        ),
        Key::new(
            "max_connections_per_address",
            Takes::Whole(1, 1000000),
            "1024",
            "the same for one address",
        ),
        Key::new(
            "max_memory_bytes",
            Takes::Whole(1, MAX_BYTES),
            "268435456",
            "memory for all bodies and buffers in flight, with what is made of a large body of many values; beyond it requests get 503 with `Retry-After` before their body is read. In Lambda half of the function's memory",
        ),
        Key::new(
            "max_body_bytes",
            Takes::Whole(1, MAX_BYTES),
            "10485760",
            "how large a request's body may be, before and after it is decompressed",
        ),
        Key::new(
            "head_timeout",
            Takes::Duration,
            "10s",
            "time for a first byte, and for the head of a request",
        ),
        Key::new("body_timeout", Takes::Duration, "60s", "silence within the body of a request"),
        Key::new(
            "write_timeout",
            Takes::Duration,
            "60s",
            "how long a client may take nothing of its response",
        ),
        Key::new(
            "keep_alive_timeout",
            Takes::Duration,
            "75s",
            "how long a connection without a call is kept",
        ),
        Key::new(
            "drain_timeout",
            Takes::Duration,
            "30s",
            "how long calls may go on once the server is stopping",
        ),
        Key::new(
            "shutdown_timeout",
            Takes::Duration,
            "10s",
            "how long records may take to be written after that",
        ),
    ],
};
/// How many bytes a body or all bodies together may be allowed to have.
const MAX_BYTES: u64 = 1 << 40;

/// The bounds within which the server serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerLimits {
    /// How many threads serve connections; none stands for one for each core.
    pub workers: Option<u32>,
    /// How many connections may be open in all.
    pub max_connections: u32,
    /// How many connections one address may have open.
    pub max_connections_per_address: u32,
    /// How many bytes all bodies and buffers in flight may take together.
    pub max_memory_bytes: u64,
    /// How large the body of one request may be, in bytes, compressed or not.
    pub max_body_bytes: u64,
    /// Time for a first byte, and for the head of a request.
    pub head_timeout: Duration,
    /// Silence allowed within the body of a request.
    pub body_timeout: Duration,
    /// Time for which a client may take nothing of its response.
    pub write_timeout: Duration,
    /// Time for which a connection without a call is kept.
    pub keep_alive_timeout: Duration,
    /// Time that calls have to end once the server is stopping.
    pub drain_timeout: Duration,
    /// Time that records have to be written, once calls have ended.
    pub shutdown_timeout: Duration,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            workers: None,
            max_connections: 4096,
            max_connections_per_address: 1024,
            max_memory_bytes: 256 * 1024 * 1024,
            max_body_bytes: 10 * 1024 * 1024,
            head_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(60),
            write_timeout: Duration::from_secs(60),
            keep_alive_timeout: Duration::from_secs(75),
            drain_timeout: Duration::from_secs(30),
            shutdown_timeout: Duration::from_secs(10),
        }
    }
}

/// Reads the bounds of the server.
pub(super) fn server(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<ServerLimits> {
    let fields = reader.fields(node, &SERVER)?;
    let defaults = ServerLimits::default();
    let count = |reader: &mut Reader<'_>, key: &str, default| {
        reader.small_count(fields, key).unwrap_or(default)
    };
    let workers = reader.small_count(fields, "workers");
    let max_connections = count(reader, "max_connections", defaults.max_connections);
    let max_connections_per_address =
        count(reader, "max_connections_per_address", defaults.max_connections_per_address);
    let bytes =
        |reader: &mut Reader<'_>, key: &str, default| reader.count(fields, key).unwrap_or(default);
    let max_memory_bytes = bytes(reader, "max_memory_bytes", defaults.max_memory_bytes);
    let max_body_bytes = bytes(reader, "max_body_bytes", defaults.max_body_bytes);
    let time = |reader: &mut Reader<'_>, key: &str, default| {
        reader.optional(fields, key, Reader::time_limit).unwrap_or(default)
    };
    Some(ServerLimits {
        workers,
        max_connections,
        max_connections_per_address,
        max_memory_bytes,
        max_body_bytes,
        head_timeout: time(reader, "head_timeout", defaults.head_timeout),
        body_timeout: time(reader, "body_timeout", defaults.body_timeout),
        write_timeout: time(reader, "write_timeout", defaults.write_timeout),
        keep_alive_timeout: time(reader, "keep_alive_timeout", defaults.keep_alive_timeout),
        drain_timeout: time(reader, "drain_timeout", defaults.drain_timeout),
        shutdown_timeout: time(reader, "shutdown_timeout", defaults.shutdown_timeout),
    })
}

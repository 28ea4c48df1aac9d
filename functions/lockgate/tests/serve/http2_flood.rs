//! A stranger who opens as many HTTP/2 streams as fit, and sends no body on any: nothing waits for
//! them, and what they cost is bounded.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use testkit::lockgate::Lockgate;

use crate::support::{ask, gateway_for, hello, provider};

/// Streams that are opened on each connection, as the flood that was measured did.
const STREAMS: u32 = 100;
/// Connections; the flood had 500.
const CONNECTIONS: usize = 40;
/// What a connection may cost, in KiB; the flood that was measured cost 1,060.
const MAX_KIB_PER_CONNECTION: u64 = 256;

// Frame types of RFC 9113.
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const GOAWAY: u8 = 7;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A preface, and the heads of requests whose bodies never come.
fn flood() -> Vec<u8> {
    let path = b"/v1/chat/completions";
    // `:method POST` and `:scheme http` by their index, `:authority` and `:path` as literals.
    let mut head = vec![0x83, 0x86, 0x01, 1, b'h', 0x04, u8::try_from(path.len()).unwrap()];
    head.extend_from_slice(path);
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend(frame(4, 0, 0, &[]));
    for number in 0..STREAMS {
        // END_HEADERS without END_STREAM: a body is to follow.
        bytes.extend(frame(HEADERS, 4, 2 * number + 1, &head));
    }
    bytes
}

/// Reads until every stream is over: answered or refused, or the connection closed.
fn read_ends(socket: &mut TcpStream) -> BTreeSet<u32> {
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut over = BTreeSet::new();
    let mut head = [0; 9];
    while over.len() < STREAMS as usize && socket.read_exact(&mut head).is_ok() {
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        socket.read_exact(&mut payload).unwrap();
        let stream = u32::from_be_bytes([head[5] & 0x7f, head[6], head[7], head[8]]);
        match head[3] {
            HEADERS | RST_STREAM if stream != 0 => drop(over.insert(stream)),
            GOAWAY => return (0..STREAMS).map(|number| 2 * number + 1).collect(),
            _ => {}
        }
    }
    over
}

/// The resident memory of the gateway, in KiB.
fn resident_kib(gateway: &Lockgate) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", gateway.pid())).unwrap();
    let line = status.lines().find(|it| it.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn streams_of_a_stranger_without_bodies_are_over_at_once_and_cost_little() {
    let first = provider().await;
    let gateway = gateway_for(&first, "server: { body_timeout: 1h, head_timeout: 1h }").await;
    assert_eq!(ask(&gateway, &hello("first/m")).await.status, 200);
    let before = resident_kib(&gateway);

    let address = gateway.url().trim_start_matches("http://").to_owned();
    let sockets = tokio::task::spawn_blocking(move || {
        let mut sockets = Vec::new();
        for _ in 0..CONNECTIONS {
            let mut socket = TcpStream::connect(&address).unwrap();
            socket.write_all(&flood()).unwrap();
            let over = read_ends(&mut socket);
            assert_eq!(over.len(), STREAMS as usize, "{over:?}");
            sockets.push(socket);
        }
        sockets
    });
    let sockets = sockets.await.unwrap();

    let cost = resident_kib(&gateway).saturating_sub(before) / sockets.len() as u64;
    assert!(cost < MAX_KIB_PER_CONNECTION, "{cost} KiB a connection");
    // With the connections still open, a client with a key is served.
    assert_eq!(ask(&gateway, &hello("first/m")).await.status, 200);
    assert_eq!(first.requests().len(), 2);
}

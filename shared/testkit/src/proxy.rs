//! A proxy on loopback for HTTP (`CONNECT` and whole URLs) and SOCKS 5, which records its requests.
//!
//! Sources: RFC 9110 section 9.3.6 and RFC 9112 section 3.2.2 for HTTP, RFC 1928 and 1929 for SOCKS.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};

use crate::server;

/// A running proxy. It stops when it is dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    state: Arc<State>,
    accepting: AbortHandle,
}

/// One request to the proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxied {
    /// The kind of the request: `CONNECT`, the method of a whole URL, or `SOCKS5`.
    pub how: String,
    /// `host:port` for tunnels, else the URL.
    pub target: String,
    /// `Proxy-Authorization`, or `name:password` with SOCKS.
    pub authorization: Option<String>,
}

#[derive(Debug)]
struct State {
    /// Addresses of names that only the proxy resolves: `host:port` each.
    names: HashMap<String, String>,
    seen: Mutex<Vec<Proxied>>,
}

impl Proxy {
    /// Starts a proxy for which these `host:port` lead to those others; all else is what it is.
    ///
    /// # Panics
    ///
    /// When no port can be had.
    pub fn start(names: &[(&str, &str)]) -> Self {
        let listener = server::listen().expect("loopback has a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let names = names.iter().map(|(name, to)| ((*name).to_owned(), (*to).to_owned()));
        let state = Arc::new(State { names: names.collect(), seen: Mutex::default() });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&state))).abort_handle();
        Self { address, state, accepting }
    }

    /// Where it listens: `host:port`.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// The requests so far, in order.
    pub fn requests(&self) -> Vec<Proxied> {
        self.state.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl State {
    /// Records a request, and connects to its target.
    async fn open(&self, proxied: Proxied, target: &str) -> io::Result<TcpStream> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).push(proxied);
        let target = self.names.get(target).map_or(target, String::as_str);
        TcpStream::connect(target).await
    }
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    let mut connections = JoinSet::new();
    while let Ok((socket, _)) = listener.accept().await {
        let state = Arc::clone(&state);
        connections.spawn(async move { drop(serve(socket, &state).await) });
    }
}

async fn serve(mut client: TcpStream, state: &State) -> io::Result<()> {
    let mut first = [0];
    client.peek(&mut first).await?;
    if first == [5] {
        serve_socks(client, state).await
    } else {
        serve_http(&mut client, state).await
    }
}

async fn serve_http(client: &mut TcpStream, state: &State) -> io::Result<()> {
    let mut head = vec![];
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await?);
    }
    let text = String::from_utf8_lossy(&head).into_owned();
    let mut words = text.split(' ');
    let (how, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let authorization = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("proxy-authorization").then(|| value.trim().to_owned())
    });
    let proxied = Proxied { how: how.to_owned(), target: target.to_owned(), authorization };

    if how == "CONNECT" {
        let mut server = state.open(proxied, target).await?;
        client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
        copy_bidirectional(client, &mut server).await?;
        return Ok(());
    }
    let authority = target.split('/').nth(2).unwrap_or_default().to_owned();
    let authority = if authority.contains(':') { authority } else { format!("{authority}:80") };
    let mut server = state.open(proxied, &authority).await?;
    server.write_all(&head).await?;
    copy_bidirectional(client, &mut server).await?;
    Ok(())
}

async fn serve_socks(mut client: TcpStream, state: &State) -> io::Result<()> {
    let mut greeting = [0; 2];
    client.read_exact(&mut greeting).await?;
    let mut methods = vec![0; usize::from(greeting[1])];
    client.read_exact(&mut methods).await?;
    let with_password = methods.contains(&2);
    client.write_all(&[5, if with_password { 2 } else { 0 }]).await?;
    let authorization = if with_password {
        client.read_u8().await?;
        let (name, password) = (short_text(&mut client).await?, short_text(&mut client).await?);
        client.write_all(&[1, 0]).await?;
        Some(format!("{name}:{password}"))
    } else {
        None
    };

    let mut request = [0; 4];
    client.read_exact(&mut request).await?;
    let host = match request[3] {
        1 => std::net::Ipv4Addr::from(client.read_u32().await?).to_string(),
        3 => short_text(&mut client).await?,
        _ => return Err(io::ErrorKind::Unsupported.into()),
    };
    let target = format!("{host}:{}", client.read_u16().await?);
    let how = "SOCKS5".to_owned();
    let proxied = Proxied { how, target: target.clone(), authorization };
    let mut server = state.open(proxied, &target).await?;
    client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await?;
    copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}

async fn short_text(client: &mut TcpStream) -> io::Result<String> {
    let mut text = vec![0; usize::from(client.read_u8().await?)];
    client.read_exact(&mut text).await?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

//! `TCP_NODELAY` on the connection to Lambda's Runtime API, on Linux.
//!
//! The runtime's HTTP client leaves Nagle's algorithm on, and offers no way to change it. The
//! second small write of a streamed response then waits about 40 ms for the other side's
//! acknowledgement, which every first token would pay. The socket is found among the process's own
//! descriptors; a copy of it is taken through the kernel (`pidfd_getfd`), because an option set on
//! the copy holds for both.

use std::{
    net::{SocketAddr, TcpStream, ToSocketAddrs},
    sync::Mutex,
};

use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};

/// Keeps the connections to one address free of delay.
#[derive(Debug, Default)]
pub(crate) struct Nodelay {
    address: Option<SocketAddr>,
    /// The descriptor that was found the last time.
    known: Mutex<Option<i32>>,
}

impl Nodelay {
    /// A switch for the connections to the Runtime API at `host:port`.
    pub(crate) fn new(runtime_api: Option<&str>) -> Self {
        let address = runtime_api.and_then(|it| it.to_socket_addrs().ok()?.next());
        Self { address, known: Mutex::default() }
    }

    /// Switches the delay off. Once that is done, it costs one look at the known descriptor.
    pub(crate) fn apply(&self) {
        let Some(address) = self.address else { return };
        let Ok(mut known) = self.known.lock() else { return };
        if known.is_some_and(|it| switch_off(it, address)) {
            return;
        }
        // The client connected anew, so that every descriptor is looked at once more.
        *known = descriptors().into_iter().find(|it| switch_off(*it, address));
        if known.is_none() {
            tracing::debug!("no connection to the Runtime API was found; first bytes may be late");
        }
    }
}

/// The numbers of this process's descriptors.
fn descriptors() -> Vec<i32> {
    let entries = std::fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    entries.filter_map(|it| it.file_name().to_str()?.parse().ok()).collect()
}

/// Switches the delay off if this is a connection to `address`.
fn switch_off(descriptor: i32, address: SocketAddr) -> bool {
    let Some(socket) = copy(getpid(), descriptor) else {
        return false;
    };
    // The number may belong to another socket by now.
    socket.peer_addr().is_ok_and(|it| it == address)
        && (socket.nodelay().unwrap_or(false) || socket.set_nodelay(true).is_ok())
}

fn copy(process: Pid, descriptor: i32) -> Option<TcpStream> {
    let process = pidfd_open(process, PidfdFlags::empty()).ok()?;
    let copied = pidfd_getfd(process, descriptor, PidfdGetfdFlags::empty()).ok()?;
    Some(TcpStream::from(copied))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn only_the_connection_to_the_runtime_is_changed() {
        let (runtime, other) = (listener(), listener());
        let to_runtime = TcpStream::connect(runtime.local_addr().unwrap()).unwrap();
        let to_other = TcpStream::connect(other.local_addr().unwrap()).unwrap();
        let nodelay = Nodelay::new(Some(&runtime.local_addr().unwrap().to_string()));

        nodelay.apply();
        assert!(to_runtime.nodelay().unwrap());
        assert!(!to_other.nodelay().unwrap());

        // A connection that took the place of the first is found too.
        drop(to_runtime);
        let again = TcpStream::connect(runtime.local_addr().unwrap()).unwrap();
        nodelay.apply();
        assert!(again.nodelay().unwrap());
    }

    fn listener() -> TcpListener {
        TcpListener::bind("127.0.0.1:0").unwrap()
    }
}

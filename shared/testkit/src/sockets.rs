//! What the kernel knows of a process's connections.

use std::{
    fs,
    net::{SocketAddr, TcpStream},
};

use rustix::process::{
    Pid, PidfdFlags, PidfdGetfdFlags, Resource, Rlimit, getrlimit, pidfd_getfd, pidfd_open,
    setrlimit,
};

/// How many descriptors a process is taken to have where nothing limits it.
const MANY_DESCRIPTORS: u64 = 1_000_000;

/// A connection of another process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connection {
    /// The address of the other end.
    pub peer: SocketAddr,
    /// Whether small writes are sent at once (`TCP_NODELAY`).
    pub nodelay: bool,
}

/// The connections that a process has now, which we have to be the parent of.
///
/// # Panics
///
/// When there is no such process, or we may not look.
pub fn connections(process: u32) -> Vec<Connection> {
    let entries = fs::read_dir(format!("/proc/{process}/fd")).expect("the process is there");
    let numbers: Vec<i32> =
        entries.flatten().filter_map(|it| it.file_name().to_str()?.parse().ok()).collect();
    let process = i32::try_from(process).ok().and_then(Pid::from_raw).expect("it has a number");
    let process = pidfd_open(process, PidfdFlags::empty()).expect("the process is there");
    let copies = numbers
        .into_iter()
        .filter_map(|it| pidfd_getfd(&process, it, PidfdGetfdFlags::empty()).ok());
    copies.filter_map(|it| connection(&TcpStream::from(it))).collect()
}

/// Lets this process have as many descriptors as it may, and says how many.
pub fn raise_descriptor_limit() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let is_raised = setrlimit(Resource::Nofile, raised).is_ok();
    let most = if is_raised { limit.maximum } else { limit.current };
    most.unwrap_or(MANY_DESCRIPTORS)
}

/// None for whatever is no connection.
fn connection(socket: &TcpStream) -> Option<Connection> {
    Some(Connection { peer: socket.peer_addr().ok()?, nodelay: socket.nodelay().ok()? })
}

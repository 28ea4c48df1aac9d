//! A program under measurement: its processor time, its memory, its start.

use std::{
    fs, io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// A running program, ended when dropped.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    pub(crate) address: SocketAddr,
    pub(crate) started: Instant,
}

impl Process {
    /// Starts a program that listens on `address`; its output is thrown away.
    pub(crate) fn start(command: &mut Command, address: SocketAddr) -> io::Result<Self> {
        let started = Instant::now();
        let child =
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        Ok(Self { child, address, started })
    }

    /// Waits until it accepts connections.
    pub(crate) async fn listening(&self) -> io::Result<()> {
        for _ in 0..5_000 {
            if tokio::net::TcpStream::connect(self.address).await.is_ok() {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Err(io::Error::other("a program does not listen"))
    }

    /// The number that the system gave it.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Processor time so far, over all threads.
    pub(crate) fn cpu(&self) -> io::Result<Duration> {
        cpu_of(self.child.id())
    }

    /// Resident memory, in KiB.
    pub(crate) fn memory(&self) -> io::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|it| it.strip_prefix("VmRSS:"));
        let number = line.and_then(|it| it.split_whitespace().next()?.parse().ok());
        number.ok_or_else(|| io::Error::other("VmRSS is not known"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The processor time of a process so far, over all threads.
pub(crate) fn cpu_of(process: u32) -> io::Result<Duration> {
    let mut sum = 0;
    for thread in fs::read_dir(format!("/proc/{process}/task"))? {
        let text = fs::read_to_string(thread?.path().join("schedstat"))?;
        let nanos = text.split_whitespace().next().and_then(|it| it.parse::<u64>().ok());
        sum += nanos.ok_or_else(|| io::Error::other("schedstat cannot be read"))?;
    }
    Ok(Duration::from_nanos(sum))
}

/// An address without a listener.
pub(crate) fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

/// A program built beside this one.
pub(crate) fn built(name: &str) -> io::Result<std::path::PathBuf> {
    let path = std::env::current_exe()?.with_file_name(name);
    if Path::new(&path).exists() {
        return Ok(path);
    }
    Err(io::Error::other(format!("{} is not built; run `make bench`", path.display())))
}

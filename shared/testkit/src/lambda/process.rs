//! Processes of functions: started with Lambda's variables, and never left behind.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitOptions, kill_process, kill_process_group, waitpgid};

use super::Function;

/// The region everything pretends to be in.
pub(super) const REGION: &str = "eu-west-1";

/// A group of processes that dies as one.
///
/// Its leader is a shell that waits for the end of its input and then kills the whole group. We
/// hold the other end, so the group dies when we do, however we do.
#[derive(Debug)]
pub(super) struct Processes {
    leader: Mutex<Option<Child>>,
    group: Pid,
}

impl Processes {
    pub(super) fn new() -> io::Result<Self> {
        let leader = Command::new("/bin/sh")
            .args(["-c", "read -r _; kill -KILL 0"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        let group = pid(leader.id())?;
        Ok(Self { leader: Mutex::new(Some(leader)), group })
    }

    /// Starts one environment of a function, which finds the Runtime API at `api`.
    pub(super) fn start(
        &self,
        function: &Function,
        api: SocketAddr,
        number: usize,
    ) -> io::Result<tokio::process::Child> {
        let home = function.binary.parent().unwrap_or(Path::new("/"));
        let mut command = Command::new(&function.binary);
        command
            .env_clear()
            .envs(variables(function, number))
            .env("AWS_LAMBDA_RUNTIME_API", api.to_string())
            .env("LAMBDA_TASK_ROOT", home)
            .envs(&function.env)
            .current_dir(home)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(self.group.as_raw_nonzero().get());
        tokio::process::Command::from(command).kill_on_drop(true).spawn()
    }

    /// Kills every process of the group and waits until they are gone.
    pub(super) fn kill(&self) {
        let mut leader = self.leader.lock().unwrap_or_else(PoisonError::into_inner);
        if leader.take().is_some() {
            kill_process_group(self.group, Signal::KILL).ok();
            while waitpgid(self.group, WaitOptions::empty()).is_ok() {}
        }
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A process by its number.
pub(super) fn pid(number: u32) -> io::Result<Pid> {
    let number = i32::try_from(number).map_err(io::Error::other)?;
    Pid::from_raw(number).ok_or_else(|| io::Error::other("no process has the number 0"))
}

/// Sends a signal to a process, which may be gone.
pub(super) fn signal(process: Pid, signal: Signal) {
    kill_process(process, signal).ok();
}

/// The processor time a process has used in all its threads, where the system reports it.
pub(super) fn processor_time(process: Pid) -> Option<Duration> {
    let tasks = fs::read_dir(format!("/proc/{}/task", process.as_raw_nonzero())).ok()?;
    let nanoseconds = tasks
        .filter_map(|task| fs::read_to_string(task.ok()?.path().join("schedstat")).ok())
        .filter_map(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    Some(Duration::from_nanos(nanoseconds.sum()))
}

/// What every function finds in its environment on AWS.
fn variables(function: &Function, number: usize) -> [(&'static str, String); 18] {
    let name = &function.name;
    [
        ("_HANDLER", "bootstrap".to_owned()),
        ("AWS_ACCESS_KEY_ID", "test".to_owned()),
        ("AWS_DEFAULT_REGION", REGION.to_owned()),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", function.memory.to_string()),
        ("AWS_LAMBDA_FUNCTION_NAME", name.clone()),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST".to_owned()),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand".to_owned()),
        ("AWS_LAMBDA_LOG_FORMAT", "JSON".to_owned()),
        ("AWS_LAMBDA_LOG_LEVEL", "INFO".to_owned()),
        ("AWS_LAMBDA_LOG_GROUP_NAME", format!("/aws/lambda/{name}")),
        ("AWS_LAMBDA_LOG_STREAM_NAME", format!("2026/01/01/[$LATEST]{number:032x}")),
        ("AWS_REGION", REGION.to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
        ("AWS_SESSION_TOKEN", "test".to_owned()),
        ("LAMBDA_RUNTIME_DIR", "/var/runtime".to_owned()),
        ("LANG", "en_US.UTF-8".to_owned()),
        ("PATH", "/usr/local/bin:/usr/bin/:/bin:/opt/bin".to_owned()),
        ("TZ", ":UTC".to_owned()),
    ]
}

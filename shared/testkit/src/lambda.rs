//! Lambda on loopback: runs the real binaries of functions and serves their function URLs.
//!
//! ```no_run
//! # async fn example() {
//! use testkit::lambda::{Emulator, Function};
//!
//! let chat = Function::new("chat-completions", "target/debug/chat-completions")
//!     .path("/v1/chat/completions")
//!     .env("CONFIG_TABLE", "config");
//! let emulator = Emulator::builder().origin_secret("secret").function(chat).start().await;
//! // Call `emulator.url()`, then:
//! assert_eq!(emulator.report().warnings, []);
//! # }
//! ```
//!
//! Clients come in as through CloudFront: the first path pattern that fits chooses the function,
//! and the origin's secret is added. `/_raw/<function>/…` is the bare function URL, without it.
//!
//! As on AWS, an environment takes one call at a time, more are started up to the function's
//! concurrency, a disconnect stops nothing, a timeout kills the process, and the next call
//! finds a cold start. What AWS is known to do badly, an emulator had better show: a streamed body
//! without a byte, a stream for a URL that buffers, and an error inside a stream become
//! warnings, the first two also a 502.
//!
//! In one thing we are kinder than AWS: a call that finds every environment busy, one of them only
//! finishing up after its response, waits for that one. So a test that calls twice in a row meets
//! one environment. Left out: extensions, `SnapStart`, CloudFront's own timeouts, billing.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Deserializer};

mod api;
mod environment;
mod event;
mod front;
mod pool;
mod process;
mod report;
mod response;

use crate::server::{self, Server};
use front::Front;
use process::Processes;
use report::Ledger;

pub use report::{ColdStart, Invocation, Line, Outcome, Report, Warning};

/// How long a wait in a test may take before it gives up.
const WAIT_TIMEOUT: Duration = Duration::from_secs(30);

/// A function to run: its binary, and its settings in a template.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Function {
    /// The function's name.
    pub name: String,
    /// The program that is started for each environment.
    pub binary: PathBuf,
    /// The invoke mode of its URL.
    #[serde(default)]
    pub mode: Mode,
    /// How long a call may take, in seconds where it is read from JSON.
    #[serde(default = "ten_seconds", deserialize_with = "seconds")]
    pub timeout: Duration,
    /// How many environments there may be at once.
    #[serde(default = "ten")]
    pub concurrency: usize,
    /// The memory size in its environment, in MB. Nothing is limited.
    #[serde(default = "smallish")]
    pub memory: u32,
    /// The function's variables besides those of Lambda. Nothing else is inherited.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// The path patterns that lead to it, where `*` is any run of characters.
    #[serde(default)]
    pub paths: Vec<String>,
    /// Whether the process is stopped between calls, as on AWS.
    #[serde(default)]
    pub freeze: bool,
}

/// The `InvokeMode` of a function URL.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Mode {
    /// Streamed.
    #[default]
    ResponseStream,
    /// All at once.
    Buffered,
}

/// What to start. It can be read from JSON as well.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Builder {
    functions: Vec<Function>,
    origin_secret: Option<String>,
    listen: Option<SocketAddr>,
}

/// Running functions and the front before them. All processes end when it is dropped, and also
/// when the process that holds it is killed.
pub struct Emulator {
    server: Server,
    ledger: Arc<Ledger>,
    processes: Arc<Processes>,
}

impl Function {
    /// A function that streams, with ten seconds, ten environments and no path.
    pub fn new(name: &str, binary: impl Into<PathBuf>) -> Self {
        Self {
            name: name.to_owned(),
            binary: binary.into(),
            mode: Mode::default(),
            timeout: ten_seconds(),
            concurrency: ten(),
            memory: smallish(),
            env: BTreeMap::new(),
            paths: Vec::new(),
            freeze: false,
        }
    }

    /// Adds a path pattern.
    #[must_use]
    pub fn path(mut self, pattern: &str) -> Self {
        self.paths.push(pattern.to_owned());
        self
    }

    /// Adds a variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.insert(name.to_owned(), value.to_owned());
        self
    }
}

impl Builder {
    /// Adds a function. Its patterns come after those of earlier ones.
    #[must_use]
    pub fn function(mut self, function: Function) -> Self {
        self.functions.push(function);
        self
    }

    /// Sends this as `x-origin-secret` to every function that is reached by a path.
    #[must_use]
    pub fn origin_secret(self, secret: &str) -> Self {
        Self { origin_secret: Some(secret.to_owned()), ..self }
    }

    /// Starts listening. Environments are started by calls.
    ///
    /// # Panics
    ///
    /// When the port cannot be had, or no process be started.
    pub async fn start(self) -> Emulator {
        self.try_start().expect("the emulator listens and can start processes")
    }

    fn try_start(self) -> io::Result<Emulator> {
        let address = self.listen.unwrap_or_else(|| (Ipv4Addr::LOCALHOST, 0).into());
        let ledger = Arc::new(Ledger::default());
        let processes = Arc::new(Processes::new()?);
        let front = Arc::new(Front::new(
            self.functions,
            self.origin_secret,
            Arc::clone(&ledger),
            &processes,
        ));
        let server = Server::start(server::listen_on(address)?, move |request| {
            Arc::clone(&front).answer(request)
        })?;
        Ok(Emulator { server, ledger, processes })
    }
}

impl Emulator {
    /// Says what to start.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Where clients call, without a slash at the end.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// What has happened so far.
    pub fn report(&self) -> Report {
        self.ledger.report()
    }

    /// Waits until the report is as wished, and gives it.
    ///
    /// # Panics
    ///
    /// When that does not happen in half a minute.
    pub async fn until(&self, condition: impl FnMut(&Report) -> bool) -> Report {
        let in_time = self.ledger.wait(condition, WAIT_TIMEOUT).await;
        assert!(in_time, "it did not come to that: {:#?}", self.report());
        self.report()
    }

    /// Asks every process that runs now to stop, as the platform does before it takes an environment
    /// away, and waits until they have.
    ///
    /// # Panics
    ///
    /// When one does not in half a minute.
    pub async fn shut_down(&self) {
        let pids: Vec<u32> = self.report().cold_starts.iter().map(|start| start.pid).collect();
        for pid in pids.iter().filter_map(|pid| Pid::from_raw(pid.cast_signed())) {
            // One that has ended already needs no signal.
            kill_process(pid, Signal::TERM).unwrap_or_default();
        }
        let all_ended = async {
            while pids.iter().any(|pid| Path::new(&format!("/proc/{pid}")).exists()) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(WAIT_TIMEOUT, all_ended).await.expect("the processes end");
    }

    /// Waits until a function has printed this text.
    ///
    /// # Panics
    ///
    /// When that does not happen in half a minute.
    pub async fn printed(&self, text: &str) {
        self.until(|report| report.lines.iter().any(|line| line.text.contains(text))).await;
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        self.processes.kill();
    }
}

impl fmt::Debug for Emulator {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Emulator").field("url", &self.url()).finish_non_exhaustive()
    }
}

fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    u64::deserialize(deserializer).map(Duration::from_secs)
}

fn ten_seconds() -> Duration {
    Duration::from_secs(10)
}

fn ten() -> usize {
    10
}

fn smallish() -> u32 {
    256
}

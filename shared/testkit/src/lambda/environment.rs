//! One environment of a function: a process, the event it works on, and the time it has left.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Response;
use rustix::process::{Pid, Signal};
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::Child;
use tokio::sync::{Notify, oneshot, watch};
use tokio::task::AbortHandle;

use super::pool::Pool;
use super::report::{ColdStart, Invocation, Line, Outcome};
use super::{api, process};
use crate::body::Body;
use crate::server::{self, Server};

/// How long a function may take to start. AWS then starts over within the call's own time; we let
/// it go on for as long as that.
const INIT_LIMIT: Duration = Duration::from_secs(10);

/// How long after a broken connection we look for the death of the process that held it.
const AFTERMATH: Duration = Duration::from_secs(1);

/// A call on its way to a function.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) request_id: String,
    pub(super) trace_id: String,
    pub(super) event: Bytes,
    pub(super) response_sender: ResponseSender,
}

/// Where the client waits. Dropped unsent, it is a 502.
pub(super) type ResponseSender = oneshot::Sender<Response<Body>>;

/// A process that takes one call at a time.
#[derive(Debug)]
pub(super) struct Environment {
    pub(super) number: usize,
    process: Pid,
    started: Instant,
    work: Mutex<Work>,
    given: Notify,
    gone: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct Work {
    waiting: Option<Call>,
    current: Option<Current>,
    timer: Option<AbortHandle>,
    initialized: bool,
    used: bool,
    late: bool,
}

/// The call that the process works on and has not answered to the end.
#[derive(Debug)]
struct Current {
    request_id: String,
    since: Instant,
    cold: bool,
    response_sender: Option<ResponseSender>,
}

impl Environment {
    /// Starts a process for a first call.
    pub(super) fn start(pool: &Arc<Pool>, number: usize, call: Call) -> io::Result<Arc<Self>> {
        let listener = server::listen()?;
        let function = &pool.function;
        let started = Instant::now();
        let mut child = pool.processes.start(function, listener.local_addr()?, number)?;
        let pid = child.id().ok_or_else(|| io::Error::other("the process is gone"))?;
        let environment = Arc::new(Self {
            number,
            process: process::pid(pid)?,
            started,
            work: Mutex::new(Work { waiting: Some(call), ..Work::default() }),
            given: Notify::new(),
            gone: watch::Sender::new(false),
        });
        pool.ledger.note(|report| {
            report.cold_starts.push(ColdStart {
                function: function.name.clone(),
                environment: number,
                pid,
                init_micros: None,
                init_cpu_micros: None,
            });
        });
        environment.limit(INIT_LIMIT + function.timeout);
        if let (Some(output), Some(errors)) = (child.stdout.take(), child.stderr.take()) {
            tokio::spawn(capture(Arc::clone(pool), number, output, false));
            tokio::spawn(capture(Arc::clone(pool), number, errors, true));
        }
        let server = {
            let (pool, environment) = (Arc::clone(pool), Arc::clone(&environment));
            Server::start(listener, move |request| {
                api::answer(Arc::clone(&pool), Arc::clone(&environment), request)
            })?
        };
        tokio::spawn(live(child, server, Arc::clone(pool), Arc::clone(&environment)));
        Ok(environment)
    }

    /// Hands over a call to a process that waits for one.
    pub(super) fn give(&self, call: Call) {
        self.with(|work| work.waiting = Some(call));
        self.given.notify_one();
    }

    /// Stops the process where it is, as Lambda does between calls.
    pub(super) fn freeze(&self) {
        process::signal(self.process, Signal::STOP);
    }

    /// Lets the process go on.
    pub(super) fn thaw(&self) {
        process::signal(self.process, Signal::CONT);
    }

    /// Records that the process requests an event; true if it has to wait for one.
    pub(super) fn asks(&self, pool: &Pool) -> bool {
        if self.with(|work| !std::mem::replace(&mut work.initialized, true)) {
            self.note_init(pool);
        }
        if self.with(|work| work.current.is_some()) {
            self.ended(pool, Outcome::Failed("asked for an event before answering".to_owned()));
        }
        self.with(|work| {
            work.stop_timer();
            work.waiting.is_none()
        })
    }

    /// Waits for a call and begins it. The client's place stays here; the rest is the process's.
    pub(super) async fn begins(self: &Arc<Self>, pool: &Pool) -> Begun {
        loop {
            let given = self.given.notified();
            if let Some(call) = self.with(|work| work.waiting.take()) {
                return self.begin(pool, call);
            }
            given.await;
        }
    }

    fn begin(self: &Arc<Self>, pool: &Pool, call: Call) -> Begun {
        let begun = Begun {
            request_id: call.request_id.clone(),
            trace_id: call.trace_id,
            event: call.event,
        };
        self.with(|work| {
            work.current = Some(Current {
                request_id: call.request_id,
                since: Instant::now(),
                cold: !std::mem::replace(&mut work.used, true),
                response_sender: Some(call.response_sender),
            });
        });
        self.limit(pool.function.timeout);
        begun
    }

    /// Where the client of the current call waits, once.
    pub(super) fn take_response_sender(&self, request_id: &str) -> Option<ResponseSender> {
        self.with(|work| {
            let current = work.current.as_mut()?;
            (current.request_id == request_id).then(|| current.response_sender.take())?
        })
    }

    /// Records the outcome of the current call; false if there was none. The process may still be
    /// finishing up.
    pub(super) fn ended(&self, pool: &Pool, outcome: Outcome) -> bool {
        let Some(current) = self.with(|work| work.current.take()) else {
            return false;
        };
        let invocation = Invocation {
            function: pool.function.name.clone(),
            request_id: current.request_id,
            environment: self.number,
            cold: current.cold,
            micros: micros(current.since.elapsed()),
            outcome,
        };
        pool.ledger.note(|report| report.invocations.push(invocation));
        true
    }

    /// Waits a moment for the end of the process to be noted, after a sign that it may be over.
    pub(super) async fn gone(&self) {
        let mut gone = self.gone.subscribe();
        drop(tokio::time::timeout(AFTERMATH, gone.wait_for(|gone| *gone)).await);
    }

    /// Kills the process.
    pub(super) fn kill(&self) {
        process::signal(self.process, Signal::KILL);
    }

    fn limit(self: &Arc<Self>, time: Duration) {
        let environment = Arc::clone(self);
        let timer = tokio::spawn(async move {
            tokio::time::sleep(time).await;
            environment.with(|work| work.late = true);
            environment.kill();
        });
        self.with(|work| {
            work.stop_timer();
            work.timer = Some(timer.abort_handle());
        });
    }

    fn note_init(&self, pool: &Pool) {
        let cpu = process::processor_time(self.process).map(micros);
        let init = micros(self.started.elapsed());
        pool.ledger.note(|report| {
            let mine = |start: &&mut ColdStart| {
                start.environment == self.number && start.function == pool.function.name
            };
            if let Some(start) = report.cold_starts.iter_mut().find(mine) {
                start.init_micros = Some(init);
                start.init_cpu_micros = cpu;
            }
        });
    }

    fn with<T>(&self, look: impl FnOnce(&mut Work) -> T) -> T {
        look(&mut self.work.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Work {
    fn stop_timer(&mut self) {
        if let Some(timer) = self.timer.take() {
            timer.abort();
        }
    }
}

/// The event of a call, as the process gets it.
#[derive(Debug)]
pub(super) struct Begun {
    pub(super) request_id: String,
    pub(super) trace_id: String,
    pub(super) event: Bytes,
}

/// Waits for the end of the process, whose call then has no answer.
async fn live(mut child: Child, server: Server, pool: Arc<Pool>, environment: Arc<Environment>) {
    let end = match child.wait().await {
        Ok(status) => status.to_string(),
        Err(error) => error.to_string(),
    };
    pool.remove(environment.number);
    let (late, unbegun) = environment.with(|work| {
        work.stop_timer();
        let unbegun = work.waiting.take();
        if let Some(call) = &unbegun {
            work.current = Some(Current {
                request_id: call.request_id.clone(),
                since: environment.started,
                cold: true,
                response_sender: None,
            });
        }
        (work.late, unbegun)
    });
    let outcome = if late { Outcome::TimedOut } else { Outcome::Crashed(end.clone()) };
    if !environment.ended(&pool, outcome) {
        pool.ledger.warn(&pool.function.name, format!("a process ended between calls: {end}"));
    }
    // Only now may the client learn of it, so that a test finds the report written.
    drop(unbegun);
    environment.gone.send_replace(true);
    drop(server);
}

/// Keeps what a process prints.
async fn capture(pool: Arc<Pool>, environment: usize, output: impl AsyncRead + Unpin, error: bool) {
    let mut lines = BufReader::new(output).lines();
    while let Ok(Some(text)) = lines.next_line().await {
        let function = pool.function.name.clone();
        let line = Line { function, environment, error, text };
        pool.ledger.note(|report| report.lines.push(line));
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

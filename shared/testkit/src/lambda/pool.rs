//! The environments of one function, and which of them takes a call.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use http::Response;
use tokio::sync::{Notify, oneshot};

use super::Function;
use super::environment::{Call, Environment};
use super::event::Event;
use super::process::Processes;
use super::report::Ledger;
use super::response;
use crate::body::Body;

/// A function with its environments.
#[derive(Debug)]
pub(super) struct Pool {
    pub(super) function: Function,
    pub(super) ledger: Arc<Ledger>,
    pub(super) processes: Arc<Processes>,
    slots: Mutex<Slots>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Slots {
    started: usize,
    running: Vec<Slot>,
}

#[derive(Debug)]
struct Slot {
    environment: Arc<Environment>,
    phase: Phase,
}

/// What an environment is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The environment starts, or works on a call.
    Busy,
    /// The environment has responded and has not requested the next event.
    Finishing,
    /// The environment waits for an event.
    Idle,
}

/// What became of looking for an environment.
enum Placed {
    Taken,
    /// One is about to be free.
    Soon(Call),
    Throttled,
}

impl Pool {
    pub(super) fn new(
        function: Function,
        ledger: Arc<Ledger>,
        processes: Arc<Processes>,
    ) -> Arc<Self> {
        let (slots, changed) = (Mutex::default(), Notify::new());
        Arc::new(Self { function, ledger, processes, slots, changed })
    }

    /// Gives an event to an environment and waits for the response's head.
    pub(super) async fn call(self: Arc<Self>, event: Event) -> Response<Body> {
        let (response_sender, response) = oneshot::channel();
        let Event { request_id, trace_id, json: event } = event;
        match self.placed(Call { request_id, trace_id, event, response_sender }).await {
            Ok(true) => response.await.unwrap_or_else(|_| response::bad_gateway()),
            Ok(false) => {
                self.ledger.note(|report| report.throttled += 1);
                response::throttled()
            }
            Err(error) => {
                let binary = self.function.binary.display();
                let text = format!("{binary} does not start: {error}");
                self.ledger.warn(&self.function.name, text);
                response::bad_gateway()
            }
        }
    }

    /// Records that an environment has responded.
    pub(super) fn finishing(&self, number: usize) {
        self.enters(number, Phase::Finishing);
    }

    /// Notes that an environment waits for an event.
    pub(super) fn idle(&self, number: usize) {
        self.enters(number, Phase::Idle);
        self.changed.notify_waiters();
    }

    /// Notes that an environment is no more.
    pub(super) fn remove(&self, number: usize) {
        self.with(|slots| slots.running.retain(|slot| slot.environment.number != number));
        self.changed.notify_waiters();
    }

    /// Finds an environment for a call, if need be after a wait. False when there is none.
    async fn placed(self: &Arc<Self>, mut call: Call) -> io::Result<bool> {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            match self.place(call)? {
                Placed::Taken => return Ok(true),
                Placed::Throttled => return Ok(false),
                Placed::Soon(back) => call = back,
            }
            changed.await;
        }
    }

    fn place(self: &Arc<Self>, call: Call) -> io::Result<Placed> {
        self.with(|slots| {
            let idle = slots.running.iter_mut().find(|slot| slot.phase == Phase::Idle);
            if let Some(slot) = idle {
                slot.phase = Phase::Busy;
                slot.environment.give(call);
                if self.function.freeze {
                    slot.environment.thaw();
                }
                return Ok(Placed::Taken);
            }
            if slots.running.iter().any(|slot| slot.phase == Phase::Finishing) {
                return Ok(Placed::Soon(call));
            }
            if self.function.concurrency <= slots.running.len() {
                return Ok(Placed::Throttled);
            }
            slots.started += 1;
            let environment = Environment::start(self, slots.started, call)?;
            slots.running.push(Slot { environment, phase: Phase::Busy });
            Ok(Placed::Taken)
        })
    }

    fn enters(&self, number: usize, phase: Phase) {
        self.with(|slots| {
            let mine = |slot: &&mut Slot| slot.environment.number == number;
            let Some(slot) = slots.running.iter_mut().find(mine) else {
                return;
            };
            slot.phase = phase;
            if phase == Phase::Idle && self.function.freeze {
                slot.environment.freeze();
            }
        });
    }

    fn with<T>(&self, look: impl FnOnce(&mut Slots) -> T) -> T {
        look(&mut self.slots.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

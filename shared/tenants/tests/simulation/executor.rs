//! A single-threaded executor whose every step is somebody else's choice, and whose time is a
//! number.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeSet,
    future::Future,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker},
};

/// The true time, in seconds since 1970.
#[derive(Clone, Debug)]
pub(crate) struct Clock {
    now: Rc<Cell<u64>>,
    timers: Rc<RefCell<BTreeSet<u64>>>,
}

impl Clock {
    /// A clock that stands at this time.
    pub(crate) fn at(now: u64) -> Self {
        Self { now: Rc::new(Cell::new(now)), timers: Rc::default() }
    }

    /// The time.
    pub(crate) fn now(&self) -> u64 {
        self.now.get()
    }

    /// Moves the time forward.
    pub(crate) fn advance_to(&self, now: u64) {
        self.now.set(self.now().max(now));
    }

    /// Takes the next time, up to `latest`, that somebody waits for.
    pub(crate) fn next_timer(&self, latest: u64) -> Option<u64> {
        let mut timers = self.timers.borrow_mut();
        let next = timers.first().copied().filter(|timer| *timer <= latest)?;
        timers.remove(&next);
        Some(next)
    }

    /// Waits until a time; at once if it is past.
    pub(crate) fn sleep_until(&self, until: u64) -> impl Future<Output = ()> + use<> {
        let clock = self.clone();
        self.timers.borrow_mut().insert(until);
        std::future::poll_fn(
            move |_| {
                if until <= clock.now() { Poll::Ready(()) } else { Poll::Pending }
            },
        )
    }
}

/// Gives way once, so that a schedule may do something else here.
pub(crate) fn pause() -> impl Future<Output = ()> {
    let mut has_paused = false;
    std::future::poll_fn(move |_| {
        if std::mem::replace(&mut has_paused, true) { Poll::Ready(()) } else { Poll::Pending }
    })
}

/// One task of one instance.
struct Actor {
    instance: usize,
    task: Pin<Box<dyn Future<Output = ()>>>,
}

/// The tasks of all instances.
#[derive(Default)]
pub(crate) struct Executor {
    actors: Vec<Actor>,
}

impl Executor {
    /// Adds a task.
    pub(crate) fn spawn(&mut self, instance: usize, task: impl Future<Output = ()> + 'static) {
        self.actors.push(Actor { instance, task: Box::pin(task) });
    }

    /// How many tasks have not ended.
    pub(crate) fn len(&self) -> usize {
        self.actors.len()
    }

    /// The instance of a task.
    pub(crate) fn instance(&self, at: usize) -> usize {
        self.actors[at].instance
    }

    /// Runs a task until it waits; whether it ended.
    pub(crate) fn poll(&mut self, at: usize) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        let ended = self.actors[at].task.as_mut().poll(&mut context).is_ready();
        if ended {
            self.actors.remove(at);
        }
        ended
    }

    /// Ends every task of an instance where it stands.
    pub(crate) fn kill(&mut self, instance: usize) {
        self.actors.retain(|actor| actor.instance != instance);
    }
}

//! A bounded queue of jobs between async callers and the threads that may block on the file.
//!
//! A full queue refuses at once: otherwise callers would pile up without end behind a locked file.

use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// How long jobs wait that nobody waits for. Longer than finished calls are gathered for the request
/// log, so that the transaction of their rows takes these jobs along.
const GATHERING: Duration = Duration::from_millis(50);

/// Whether a job may wait for others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Urgency {
    /// A caller waits for the outcome.
    Now,
    /// No call waits for the outcome: jobs may be gathered for a moment.
    Soon,
}

/// One job of a queue.
pub(super) trait Job: Sized {
    /// About how many bytes the job holds.
    fn bytes(&self) -> usize;

    /// Whether the job may wait for others.
    fn urgency(&self) -> Urgency {
        Urgency::Now
    }

    /// The place of the queued job that this one makes superfluous, if there is one.
    fn superseded(&self, _queued: &VecDeque<Self>) -> Option<usize> {
        None
    }

    /// Takes over the callers of an older job that this one makes superfluous.
    fn take_callers(&mut self, _older: Self) {}
}

/// The most that may wait in a queue.
#[derive(Clone, Copy, Debug)]
pub(super) struct Capacity {
    pub(super) jobs: usize,
    pub(super) bytes: usize,
}

/// Why a job was not queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// There is no room, and this is the first such refusal since the queue was last empty.
    FirstFull,
    /// There is no room.
    Full,
    /// The threads have ended.
    Closed,
}

#[derive(Debug)]
pub(super) struct Queue<J> {
    state: Mutex<State<J>>,
    filled: Condvar,
    capacity: Capacity,
}

#[expect(clippy::struct_excessive_bools, reason = "independent facts, each read alone")]
#[derive(Debug)]
struct State<J> {
    jobs: VecDeque<J>,
    bytes: usize,
    closed: bool,
    refused: bool,
    /// Whether a job came that may not wait, since the queue was last empty.
    is_urgent: bool,
    /// Whether a thread will look at the queue by itself, within the time that jobs may wait.
    is_watched: bool,
}

impl<J: Job> Queue<J> {
    pub(super) fn new(capacity: Capacity) -> Self {
        let state = State {
            jobs: VecDeque::new(),
            bytes: 0,
            closed: false,
            refused: false,
            is_urgent: false,
            is_watched: false,
        };
        Self { state: Mutex::new(state), filled: Condvar::new(), capacity }
    }

    /// Adds a job without waiting.
    pub(super) fn push(&self, mut job: J) -> Result<(), Refusal> {
        let mut state = self.lock();
        if state.closed {
            return Err(Refusal::Closed);
        }
        // A row that changes faster than the disk takes it is written once.
        let older = job.superseded(&state.jobs);
        let freed = older.and_then(|place| state.jobs.get(place)).map_or(0, Job::bytes);
        let bytes = state.bytes - freed + job.bytes();
        let no_place = older.is_none() && self.capacity.jobs <= state.jobs.len();
        if no_place || self.capacity.bytes < bytes {
            let first = !std::mem::replace(&mut state.refused, true);
            return Err(if first { Refusal::FirstFull } else { Refusal::Full });
        }

        state.bytes = bytes;
        // Put at the end, not in the older job's place: other writes of the caller may stand
        // between them.
        if let Some(older) = older.and_then(|place| state.jobs.remove(place)) {
            job.take_callers(older);
        }
        state.is_urgent |= job.urgency() == Urgency::Now;
        let is_news = state.is_urgent || !state.is_watched;
        state.jobs.push_back(job);
        // Released first, or the thread that wakes would wait for the lock at once.
        drop(state);
        if is_news {
            self.filled.notify_one();
        }
        Ok(())
    }

    /// Waits for jobs and takes the oldest of them. None once the queue is closed and empty.
    pub(super) fn take(&self, max: usize) -> Option<Vec<J>> {
        let mut state = self.lock();
        loop {
            if !state.jobs.is_empty() && !state.may_wait() {
                return Some(state.take(max));
            }
            if state.jobs.is_empty() && state.closed {
                return None;
            }

            // While jobs come, one that can wait is seen in time and need not wake this thread.
            state.is_watched = true;
            let waited = self.filled.wait_timeout_while(state, GATHERING, |it| it.may_wait());
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            state.is_watched = false;

            if !state.jobs.is_empty() {
                // None of them has waited longer than this thread.
                state.is_urgent = true;
            } else if !state.closed {
                state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }

    /// Takes whatever waits.
    pub(super) fn take_all(&self) -> Vec<J> {
        self.lock().take(usize::MAX)
    }

    /// Refuses further jobs, and ends the threads once those that wait are done.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.filled.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State<J>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<J: Job> State<J> {
    /// Whether nobody waits for what is queued, nor for the end.
    fn may_wait(&self) -> bool {
        !self.is_urgent && !self.closed
    }

    fn take(&mut self, max: usize) -> Vec<J> {
        let count = max.min(self.jobs.len());
        let taken: Vec<_> = self.jobs.drain(..count).collect();
        self.bytes -= taken.iter().map(Job::bytes).sum::<usize>();

        self.refused &= !self.jobs.is_empty();
        self.is_urgent &= !self.jobs.is_empty();
        taken
    }
}

/// Closes a queue when its thread ends, however it ends, and drops the jobs that are left.
pub(super) struct CloseAtEnd<'q, J: Job>(pub(super) &'q Queue<J>);

impl<J: Job> Drop for CloseAtEnd<'_, J> {
    fn drop(&mut self) {
        self.0.close();
        drop(self.0.take_all());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A job with a size; jobs of the same name supersede each other.
    #[derive(Debug, PartialEq)]
    struct Named(&'static str, usize);

    /// What nobody waits for.
    const SOON: &str = "soon";

    impl Job for Named {
        fn bytes(&self) -> usize {
            self.1
        }

        fn urgency(&self) -> Urgency {
            if self.0 == SOON { Urgency::Soon } else { Urgency::Now }
        }

        fn superseded(&self, queued: &VecDeque<Self>) -> Option<usize> {
            queued.iter().position(|job| job.0 == self.0)
        }
    }

    fn queue() -> Queue<Named> {
        Queue::new(Capacity { jobs: 2, bytes: 100 })
    }

    #[test]
    fn a_full_queue_refuses_and_reports_it_once_until_it_was_empty() {
        let queue = queue();
        queue.push(Named("a", 1)).unwrap();
        queue.push(Named("b", 1)).unwrap();
        assert_eq!(queue.push(Named("c", 1)), Err(Refusal::FirstFull));
        assert_eq!(queue.push(Named("d", 1)), Err(Refusal::Full));
        assert_eq!(queue.take(1).unwrap(), [Named("a", 1)]);
        queue.push(Named("e", 1)).unwrap();
        assert_eq!(queue.push(Named("f", 1)), Err(Refusal::Full));
        assert_eq!(queue.take(9).unwrap(), [Named("b", 1), Named("e", 1)]);
        queue.push(Named("g", 99)).unwrap();
        assert_eq!(queue.push(Named("h", 2)), Err(Refusal::FirstFull));
    }

    #[test]
    fn a_job_that_supersedes_another_needs_no_room() {
        let queue = queue();
        queue.push(Named("a", 60)).unwrap();
        queue.push(Named("b", 40)).unwrap();
        queue.push(Named("a", 50)).unwrap();
        assert_eq!(queue.take(9).unwrap(), [Named("b", 40), Named("a", 50)]);
    }

    #[test]
    fn a_job_that_may_wait_is_taken_along_by_one_that_may_not() {
        let queue = queue();
        queue.push(Named(SOON, 1)).unwrap();
        assert!(queue.lock().may_wait());
        std::thread::scope(|scope| {
            let taker = scope.spawn(|| queue.take(9));
            queue.push(Named("a", 1)).unwrap();
            let taken = taker.join().unwrap().unwrap();
            // Alone, where the pause had ended by then.
            assert!(taken.starts_with(&[Named(SOON, 1)]), "{taken:?}");
        });
        queue.take_all();
        queue.push(Named(SOON, 1)).unwrap();
        assert!(queue.lock().may_wait());
        queue.push(Named("a", 1)).unwrap();
        assert!(!queue.lock().may_wait());
        assert_eq!(queue.take(1).unwrap(), [Named(SOON, 1)]);
        assert!(!queue.lock().may_wait());
    }

    #[test]
    fn a_closed_queue_gives_what_waits_and_refuses_the_rest() {
        let queue = queue();
        queue.push(Named("a", 1)).unwrap();
        queue.close();
        assert_eq!(queue.push(Named("b", 1)), Err(Refusal::Closed));
        assert_eq!(queue.take(9).unwrap(), [Named("a", 1)]);
        assert_eq!(queue.take(9), None);
    }

    #[test]
    fn a_thread_that_panics_leaves_nobody_waiting() {
        let queue = queue();
        queue.push(Named("a", 1)).unwrap();
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                let _close = CloseAtEnd(&queue);
                panic!("the thread ends");
            });
            thread.join().unwrap_err();
        });
        assert_eq!(queue.push(Named("b", 1)), Err(Refusal::Closed));
        assert_eq!(queue.take(9), None);
    }
}

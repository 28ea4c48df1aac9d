//! The link between an instance and the store: it delays, fails before, applies and loses the
//! response, applies late, and delivers twice, as a schedule says.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll},
};

use storage::{
    Change, Consistency, Page, Pending, Query, Row, StoreError, Table, Tallied, Tallies, Tally,
};

use crate::store::Store;

/// What becomes of one request to the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The change is made and its response arrives.
    Delivered,
    /// The request fails and the change is never made.
    FailedBefore,
    /// The change is made and its response is lost.
    ResponseLost,
    /// The caller gives up first; the change is made later, if ever.
    AppliedLate,
    /// The change is made, its response arrives, and the request is delivered again later.
    DeliveredTwice,
}

/// How old a request may be when it arrives, in seconds: AWS refuses older signatures.
const SIGNATURE_SECONDS: u64 = 300;

type Slot = Arc<Mutex<Option<Result<Tallied, StoreError>>>>;

#[derive(Debug)]
struct Request {
    instance: usize,
    letter: Letter,
    slot: Slot,
}

/// A change as it was signed.
#[derive(Clone, Debug)]
struct Letter {
    change: Tally,
    signed_at: u64,
}

/// Requests under way, of all instances.
#[derive(Debug, Default)]
pub(crate) struct Network {
    /// The true time, in seconds since 1970.
    pub(crate) now: u64,
    in_flight: Vec<Request>,
    late: Vec<Letter>,
}

impl Network {
    /// How many requests wait for their fate.
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// How many requests may still arrive though nobody waits for them.
    pub(crate) fn late(&self) -> usize {
        self.late.len()
    }

    /// Lets one request meet its fate.
    pub(crate) fn resolve(&mut self, at: usize, fate: Fate, store: &mut Store) {
        let Request { letter, slot, .. } = self.in_flight.remove(at);
        let response = match fate {
            Fate::Delivered => self.deliver(&letter, store),
            Fate::FailedBefore => lost(),
            Fate::ResponseLost => self.deliver(&letter, store).and_then(|_| lost()),
            Fate::AppliedLate => {
                self.keep(letter, store);
                lost()
            }
            Fate::DeliveredTwice => {
                let response = self.deliver(&letter, store);
                self.keep(letter, store);
                response
            }
        };
        *slot.lock().unwrap() = Some(response);
    }

    /// Lets one late request arrive.
    pub(crate) fn deliver_late(&mut self, at: usize, store: &mut Store) {
        let letter = self.late.remove(at);
        // Nobody waits for what comes of it.
        drop(self.deliver(&letter, store));
    }

    fn deliver(&self, letter: &Letter, store: &mut Store) -> Result<Tallied, StoreError> {
        if SIGNATURE_SECONDS < self.now.abs_diff(letter.signed_at) {
            return lost();
        }
        store.apply(&letter.change)
    }

    fn keep(&mut self, letter: Letter, store: &mut Store) {
        store.note_stray(&letter.change);
        self.late.push(letter);
    }

    /// The first request of an instance that is under way.
    pub(crate) fn first_of(&self, instance: usize) -> Option<usize> {
        self.in_flight.iter().position(|request| request.instance == instance)
    }
}

fn lost<T>() -> Result<T, StoreError> {
    Err(StoreError::new("changing tallies", "the link failed"))
}

/// The table as one instance reaches it.
#[derive(Clone, Debug)]
pub(crate) struct LinkedTable {
    pub(crate) network: Arc<Mutex<Network>>,
    pub(crate) instance: usize,
    /// How far the instance's clock is off, in seconds.
    pub(crate) skew: i64,
    pub(crate) direct: Arc<dyn Table>,
}

impl LinkedTable {
    fn network(&self) -> MutexGuard<'_, Network> {
        self.network.lock().unwrap()
    }
}

impl Table for LinkedTable {
    fn get<'a>(
        &'a self,
        pk: &'a str,
        sk: &'a str,
        consistency: Consistency,
        now: u64,
    ) -> Pending<'a, Option<Row>> {
        self.direct.get(pk, sk, consistency, now)
    }

    fn query<'a>(&'a self, query: &'a Query) -> Pending<'a, Page> {
        self.direct.query(query)
    }

    fn get_tallies<'a>(
        &'a self,
        pk: &'a str,
        sk: &'a str,
        consistency: Consistency,
        now: u64,
    ) -> Pending<'a, Option<Tallies>> {
        self.direct.get_tallies(pk, sk, consistency, now)
    }

    fn tally<'a>(&'a self, change: &'a Tally) -> Pending<'a, Tallied> {
        let slot = Slot::default();
        let mut network = self.network();
        let signed_at = network.now.checked_add_signed(self.skew).unwrap();
        let letter = Letter { change: change.clone(), signed_at };
        let (instance, slot_of_caller) = (self.instance, Arc::clone(&slot));
        network.in_flight.push(Request { instance, letter, slot: slot_of_caller });
        Box::pin(Response(slot))
    }

    fn write<'a>(&'a self, changes: &'a [Change]) -> Pending<'a, ()> {
        self.direct.write(changes)
    }
}

/// A response that is not here yet. Its request stays under way when nobody waits any more.
struct Response(Slot);

impl Future for Response {
    type Output = Result<Tallied, StoreError>;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        match self.0.lock().unwrap().take() {
            Some(response) => Poll::Ready(response),
            None => Poll::Pending,
        }
    }
}

//! A budget for the memory of all bodies and buffers in flight.
//!
//! What would go beyond it is refused before a body is read, with 503 and `Retry-After`.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use canonical::{Error, ErrorKind, Result};

/// How many bytes of a body that is announced are reserved before they come.
const FIRST_BYTES: usize = 64 * 1024;

/// When a client should try again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// A number of bytes that all requests of a process share.
#[derive(Clone, Debug)]
pub struct MemoryBudget {
    max_bytes: usize,
    used: Arc<AtomicUsize>,
}

/// A part of the budget, given back when dropped.
#[derive(Debug)]
pub struct Reservation {
    budget: MemoryBudget,
    bytes: usize,
}

impl Default for MemoryBudget {
    /// A budget without an end.
    fn default() -> Self {
        Self::new(usize::MAX)
    }
}

impl MemoryBudget {
    /// A budget of this many bytes.
    pub fn new(max_bytes: usize) -> Self {
        Self { max_bytes, used: Arc::default() }
    }

    /// Reserves bytes.
    ///
    /// # Errors
    ///
    /// `Unavailable`, with a time to try again, when too few are left.
    pub fn reserve(&self, bytes: usize) -> Result<Reservation> {
        let mut reservation = Reservation { budget: self.clone(), bytes: 0 };
        reservation.grow_to(bytes)?;
        Ok(reservation)
    }

    /// Whether these bytes could be reserved now. Nothing is: what is only announced may never come.
    ///
    /// # Errors
    ///
    /// As [`Self::reserve`].
    pub fn check(&self, bytes: usize) -> Result<()> {
        let used = self.used.load(Ordering::Relaxed);
        let fits = used.checked_add(bytes).is_some_and(|used| used <= self.max_bytes);
        if fits { Ok(()) } else { Err(no_memory()) }
    }
}

impl Reservation {
    /// Reserves more, up to this many bytes in all.
    ///
    /// # Errors
    ///
    /// As [`MemoryBudget::reserve`].
    pub fn grow_to(&mut self, bytes: usize) -> Result<()> {
        let more = bytes.saturating_sub(self.bytes);
        let budget = &self.budget;
        let add = |used: usize| used.checked_add(more).filter(|used| *used <= budget.max_bytes);
        // Relaxed: the number alone matters, and nothing else is published with it.
        match budget.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add) {
            Ok(_) => {
                self.bytes += more;
                Ok(())
            }
            Err(_) => Err(no_memory()),
        }
    }
}

fn no_memory() -> Error {
    let message = "The gateway has no memory left for this request; try again.";
    let mut error = Error::new(ErrorKind::Unavailable, message);
    error.retry_after = Some(RETRY_AFTER);
    error
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// A body that is read whole, in one copy. Its memory is reserved until the last reader of its bytes is
/// gone.
#[derive(Debug)]
pub struct MemoryBuffer {
    bytes: Vec<u8>,
    max_bytes: usize,
    /// How many bytes are announced; none where nobody says.
    announced: Option<usize>,
    reservation: Reservation,
}

impl MemoryBuffer {
    /// A buffer with room for `capacity` bytes, which may grow up to `max_bytes`.
    ///
    /// # Errors
    ///
    /// As [`MemoryBudget::reserve`].
    pub fn new(capacity: usize, max_bytes: usize, memory: &MemoryBudget) -> Result<Self> {
        let capacity = capacity.min(max_bytes);
        let reservation = memory.reserve(capacity)?;
        let bytes = Vec::with_capacity(capacity);
        Ok(Self { bytes, max_bytes, announced: None, reservation })
    }

    /// A buffer for a body that is announced to be this long. It is refused where all of it would not
    /// fit now, and holds what has come: what is only announced holds next to nothing.
    ///
    /// # Errors
    ///
    /// As [`MemoryBudget::reserve`].
    pub fn announced(
        length: Option<usize>,
        max_bytes: usize,
        memory: &MemoryBudget,
    ) -> Result<Self> {
        memory.check(length.unwrap_or_default().min(max_bytes))?;
        let first = length.unwrap_or(FIRST_BYTES).min(FIRST_BYTES);
        Ok(Self { announced: length, ..Self::new(first, max_bytes, memory)? })
    }

    /// The bytes so far.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether this many more bytes fit.
    pub fn has_room(&self, more: usize) -> bool {
        self.bytes.len().saturating_add(more) <= self.max_bytes
    }

    /// Adds bytes that have room.
    ///
    /// # Errors
    ///
    /// As [`MemoryBudget::reserve`].
    pub fn push(&mut self, data: &[u8]) -> Result<()> {
        let size = self.bytes.len().saturating_add(data.len());
        if self.bytes.capacity() < size {
            // As a vector would grow by itself, but asked for first.
            let most = self.announced.filter(|it| size <= *it).unwrap_or(self.max_bytes);
            let capacity = size.max(self.bytes.capacity() * 2).min(most.max(size));
            self.reservation.grow_to(capacity)?;
            self.bytes.reserve_exact(capacity - self.bytes.len());
        }
        self.bytes.extend_from_slice(data);
        Ok(())
    }

    /// Reserves memory for what is made of the body, until the last reader of its bytes is gone.
    ///
    /// # Errors
    ///
    /// As [`MemoryBudget::reserve`].
    pub fn reserve_more(&mut self, bytes: usize) -> Result<()> {
        self.reservation.grow_to(self.reservation.bytes.saturating_add(bytes))
    }

    /// The whole body.
    pub fn freeze(self) -> Bytes {
        // The reservation lives with the bytes, whoever still holds a part of them.
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for MemoryBuffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_reserved_comes_back() {
        let budget = MemoryBudget::new(100);
        let first = budget.reserve(60).unwrap();
        let error = budget.reserve(41).unwrap_err();
        assert_eq!((error.status(), error.retry_after), (503, Some(RETRY_AFTER)));
        drop(first);
        assert!(budget.reserve(100).is_ok());
    }

    #[test]
    fn what_is_only_announced_holds_the_first_bytes_alone() {
        let (budget, whole) = (MemoryBudget::new(10 * FIRST_BYTES), 9 * FIRST_BYTES);
        let announced = |length| MemoryBuffer::announced(length, whole, &budget);
        let mut one = announced(Some(whole)).unwrap();
        assert!(announced(Some(100)).is_ok());
        drop(budget.reserve(9 * FIRST_BYTES).unwrap());
        let two = announced(None).unwrap();
        assert_eq!(announced(Some(whole)).unwrap_err().status(), 503);
        drop(two);
        for _ in 0..9 {
            one.push(&[0; FIRST_BYTES]).unwrap();
        }
        // No more than what was announced, though it grew in steps.
        assert_eq!(budget.used.load(Ordering::Relaxed), whole);
    }

    #[test]
    fn what_is_made_of_a_body_is_reserved_as_long_as_the_body() {
        let budget = MemoryBudget::new(100);
        let mut buffer = MemoryBuffer::new(10, 10, &budget).unwrap();
        assert!(buffer.reserve_more(91).is_err());
        buffer.reserve_more(90).unwrap();
        let bytes = buffer.freeze();
        assert!(budget.reserve(1).is_err());
        drop(bytes);
        assert!(budget.reserve(100).is_ok());
    }

    #[test]
    fn a_reservation_grows_within_the_budget() {
        let budget = MemoryBudget::new(100);
        let mut one = budget.reserve(10).unwrap();
        one.grow_to(5).unwrap();
        one.grow_to(90).unwrap();
        assert!(one.grow_to(101).is_err());
        assert!(budget.reserve(11).is_err());
        assert!(budget.reserve(10).is_ok());
        drop(one);
        assert!(budget.reserve(usize::MAX).is_err());
        assert_eq!(budget.used.load(Ordering::Relaxed), 0);
    }
}

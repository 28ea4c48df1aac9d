//! Calls and streams of this process that have not ended.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// How many calls and streams are in flight.
#[derive(Clone, Debug, Default)]
pub(crate) struct InFlight(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    calls: AtomicU64,
    streams: AtomicU64,
}

/// One call in flight, for as long as this lives.
#[derive(Debug)]
pub(crate) struct CallInFlight {
    counts: Arc<Counts>,
    is_stream: bool,
}

impl InFlight {
    /// Counts a call to a model.
    pub(crate) fn begin(&self, is_stream: bool) -> CallInFlight {
        self.0.calls.fetch_add(1, Ordering::Relaxed);
        self.0.streams.fetch_add(is_stream.into(), Ordering::Relaxed);
        CallInFlight { counts: self.0.clone(), is_stream }
    }

    /// How many calls to models are in flight.
    pub(crate) fn calls(&self) -> u64 {
        self.0.calls.load(Ordering::Relaxed)
    }

    /// How many of them are streams.
    pub(crate) fn streams(&self) -> u64 {
        self.0.streams.load(Ordering::Relaxed)
    }
}

impl Drop for CallInFlight {
    fn drop(&mut self) {
        self.counts.calls.fetch_sub(1, Ordering::Relaxed);
        self.counts.streams.fetch_sub(self.is_stream.into(), Ordering::Relaxed);
    }
}

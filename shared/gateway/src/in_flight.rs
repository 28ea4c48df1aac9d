//! Calls and streams of this process that have not ended, and the providers of their attempts.

use std::{
    collections::BTreeMap,
    mem,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

/// The format of a call and the provider of its latest attempt; empty before the first.
type Labels = (&'static str, String);

/// How many calls and streams are in flight.
#[derive(Clone, Debug, Default)]
pub struct InFlight(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    streams: AtomicU64,
    /// Labels stay once they were seen: a gauge that vanished would look like one that is not known.
    calls: Mutex<BTreeMap<Labels, u64>>,
}

/// One call in flight, for as long as this lives.
#[derive(Debug)]
pub struct CallInFlight {
    place: CallPlace,
    is_stream: bool,
}

/// Where a call in flight is, for those who make its attempts. Without a call it counts nothing.
#[derive(Clone, Debug, Default)]
pub struct CallPlace(Option<Arc<Place>>);

#[derive(Debug)]
struct Place {
    counts: Arc<Counts>,
    /// None once the call has ended, while an attempt of it may still run.
    labels: Mutex<Option<Labels>>,
}

impl InFlight {
    /// Counts a call to a model, in a format.
    pub fn begin(&self, format: &'static str, is_stream: bool) -> CallInFlight {
        let counts = self.0.clone();
        let labels = (format, String::new());
        counts.streams.fetch_add(is_stream.into(), Ordering::Relaxed);
        counts.change(|calls| *calls.entry(labels.clone()).or_default() += 1);
        let place = Place { counts, labels: Mutex::new(Some(labels)) };
        CallInFlight { place: CallPlace(Some(Arc::new(place))), is_stream }
    }

    /// How many calls to models are in flight, by their format and the provider of their latest
    /// attempt, which is empty before the first.
    pub fn calls(&self) -> BTreeMap<(&'static str, String), u64> {
        self.0.change(|calls| calls.clone())
    }

    /// How many calls are streams.
    pub fn streams(&self) -> u64 {
        self.0.streams.load(Ordering::Relaxed)
    }
}

impl Counts {
    fn change<T>(&self, change: impl FnOnce(&mut BTreeMap<Labels, u64>) -> T) -> T {
        change(&mut self.calls.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl CallInFlight {
    /// Where the call is, for those who make its attempts.
    pub fn place(&self) -> CallPlace {
        self.place.clone()
    }
}

impl CallPlace {
    /// Notes an attempt at a provider.
    pub(crate) fn attempt(&self, provider: &str) {
        self.replace(|labels| Some((labels.0, provider.to_owned())));
    }

    fn end(&self) {
        self.replace(|_| None);
    }

    fn replace(&self, next: impl FnOnce(&Labels) -> Option<Labels>) {
        let Some(place) = &self.0 else { return };
        let mut labels = place.labels.lock().unwrap_or_else(PoisonError::into_inner);
        // An attempt that is given up may begin after its call has ended.
        let Some(before) = mem::take(&mut *labels) else { return };
        let after = next(&before);
        place.counts.change(|calls| {
            if let Some(count) = calls.get_mut(&before) {
                *count = count.saturating_sub(1);
            }
            if let Some(after) = &after {
                *calls.entry(after.clone()).or_default() += 1;
            }
        });
        *labels = after;
    }
}

impl Drop for CallInFlight {
    fn drop(&mut self) {
        self.place.end();
        if let Some(place) = &self.place.0 {
            place.counts.streams.fetch_sub(self.is_stream.into(), Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_counts_at_the_provider_of_its_latest_attempt_until_it_ends() {
        let in_flight = InFlight::default();
        let counted = || {
            let calls = in_flight.calls().into_iter();
            calls.map(|((_, provider), count)| format!("{provider} {count}")).collect::<Vec<_>>()
        };
        let one = in_flight.begin("openai_chat", true);
        let other = in_flight.begin("openai_chat", false);
        assert_eq!((counted(), in_flight.streams()), (vec![" 2".to_owned()], 1));
        let place = one.place();
        place.attempt("first");
        place.attempt("second");
        assert_eq!(counted(), [" 1", "first 0", "second 1"]);
        drop(one);
        // The attempt is told of the end only later.
        place.attempt("first");
        assert_eq!(counted(), [" 1", "first 0", "second 0"]);
        drop(other);
        assert_eq!((counted()[0].as_str(), in_flight.streams()), (" 0", 0));
        CallPlace::default().attempt("first");
    }
}

//! Which target served a session last, so that its prompt cache is used again.
//!
//! A preference, never a veto: a target that cools down or fails is passed over as always.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// The most sessions that are remembered.
const MAX_SESSIONS: usize = 10_000;
/// How long a session is remembered after its last call. Providers keep a prompt for an hour at most.
const SESSION_MEMORY: Duration = Duration::from_secs(60 * 60);

/// The last target of each session.
#[derive(Debug, Default)]
pub struct Sessions {
    table: Mutex<HashMap<u64, Session>>,
}

#[derive(Clone, Debug)]
struct Session {
    provider: String,
    model: String,
    seen: Instant,
}

impl Sessions {
    /// A panic while the lock is held leaves entries that are whole, so they stay in use.
    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Session>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The provider and the model that served a session last.
    pub fn last(&self, session: u64, now: Instant) -> Option<(String, String)> {
        let table = self.lock();
        let found = table.get(&session).filter(|it| now < it.seen + SESSION_MEMORY)?;
        Some((found.provider.clone(), found.model.clone()))
    }

    /// Notes that a target served a session.
    pub fn served(&self, session: u64, (provider, model): (&str, &str), now: Instant) {
        let mut table = self.lock();
        if MAX_SESSIONS <= table.len() && !table.contains_key(&session) {
            table.retain(|_, it| now < it.seen + SESSION_MEMORY);
            if MAX_SESSIONS <= table.len() {
                // Cheaper than finding the oldest, and costs each session one miss of its prompt
                // cache.
                table.clear();
            }
        }
        let session_of = |provider: &str, model: &str| Session {
            provider: provider.to_owned(),
            model: model.to_owned(),
            seen: now,
        };
        table.insert(session, session_of(provider, model));
    }

    /// Forgets where a session was served, since that target failed it.
    pub fn failed(&self, session: u64, (provider, model): (&str, &str)) {
        let mut table = self.lock();
        if table.get(&session).is_some_and(|it| it.provider == provider && it.model == model) {
            table.remove(&session);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_remembered_until_its_target_fails_it() {
        let (sessions, now) = (Sessions::default(), Instant::now());
        sessions.served(1, ("a", "m"), now);
        assert_eq!(sessions.last(1, now), Some(("a".to_owned(), "m".to_owned())));
        assert_eq!(sessions.last(2, now), None);
        sessions.failed(1, ("b", "m"));
        assert!(sessions.last(1, now).is_some(), "another target failed");
        sessions.failed(1, ("a", "m"));
        assert_eq!(sessions.last(1, now), None);
    }

    #[test]
    fn a_session_is_forgotten_after_an_hour() {
        let (sessions, now) = (Sessions::default(), Instant::now());
        sessions.served(1, ("a", "m"), now);
        assert!(sessions.last(1, now + SESSION_MEMORY / 2).is_some());
        assert_eq!(sessions.last(1, now + SESSION_MEMORY), None);
    }

    #[test]
    fn no_more_sessions_are_kept_than_there_is_room_for() {
        let (sessions, now) = (Sessions::default(), Instant::now());
        for session in 0..3 * MAX_SESSIONS as u64 {
            sessions.served(session, ("a", "m"), now);
        }
        assert!(sessions.lock().len() <= MAX_SESSIONS);
    }
}

//! The throttle of log-ins: counted per name and per address before a password is hashed, over all
//! instances.

use std::{net::IpAddr, sync::Arc};

use storage::{Change, Condition, StoreError, Table, Tallied, Tally};
use tenants::KeyHash;

/// The length of a window, in seconds.
const WINDOW_SECONDS: u64 = 300;
/// How many attempts one name has in a window.
const MAX_ATTEMPTS_OF_NAME: i64 = 10;
/// How many attempts one address has in a window.
const MAX_ATTEMPTS_OF_ADDRESS: i64 = 30;
const COUNT: &str = "attempts";

/// What becomes of an attempt to sign in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attempt {
    /// The attempt may be made.
    Free,
    /// The attempt may be made, and is the last one of its name in this window.
    Last,
    /// There were too many: the seconds to wait.
    TooMany(u64),
}

/// Counts attempts to sign in.
#[derive(Clone, Debug)]
pub(crate) struct LoginThrottle {
    state: Arc<dyn Table>,
}

impl LoginThrottle {
    pub(crate) fn new(state: Arc<dyn Table>) -> Self {
        Self { state }
    }

    /// Counts an attempt.
    pub(crate) async fn count(
        &self,
        name: &str,
        address: Option<IpAddr>,
        now: u64,
    ) -> Result<Attempt, StoreError> {
        // The address first: one that is blocked must not use up the attempts of somebody's name.
        if let Some(address) = address {
            let pk = format!("login-address#{address}");
            if self.take(pk, MAX_ATTEMPTS_OF_ADDRESS, now).await?.is_none() {
                return Ok(Attempt::TooMany(seconds_left(now)));
            }
        }
        Ok(match self.take(name_partition(name), MAX_ATTEMPTS_OF_NAME, now).await? {
            None => Attempt::TooMany(seconds_left(now)),
            // Each count is given once, whatever the number of instances.
            Some(MAX_ATTEMPTS_OF_NAME) => Attempt::Last,
            Some(_) => Attempt::Free,
        })
    }

    /// Forgets the attempts of a name whose operator signed in. Those of the address stay: whoever
    /// has one password must not guess others the faster.
    pub(crate) async fn succeeded(&self, name: &str, now: u64) -> Result<(), StoreError> {
        let (pk, sk) = (name_partition(name), window(now));
        self.state.write(&[Change::Delete { pk, sk }]).await
    }

    /// Counts an attempt and gives the count; none where there were too many.
    async fn take(&self, pk: String, most: i64, now: u64) -> Result<Option<i64>, StoreError> {
        let count = Tally {
            pk,
            sk: window(now),
            // Checked and counted in one step, or many attempts at once would all find room.
            conditions: vec![Condition::AtMost(COUNT.to_owned(), most - 1)],
            add: vec![(COUNT.to_owned(), 1)],
            expires: Some(now + 2 * WINDOW_SECONDS),
            ..Tally::default()
        };
        Ok(match self.state.tally(&count).await? {
            Tallied::Done(row) => Some(row.number(COUNT)),
            Tallied::Refused(_) => None,
        })
    }
}

/// Names are hashed, since people type passwords into the field for names.
fn name_partition(name: &str) -> String {
    format!("login-name#{}", KeyHash::of(name).as_str())
}

fn window(now: u64) -> String {
    (now / WINDOW_SECONDS).to_string()
}

fn seconds_left(now: u64) -> u64 {
    WINDOW_SECONDS - now % WINDOW_SECONDS
}

#[cfg(test)]
mod tests {
    use storage::sqlite;

    use super::*;

    const NOW: u64 = 1_795_860_000;

    fn throttle() -> LoginThrottle {
        LoginThrottle::new(sqlite::in_memory().unwrap().state)
    }

    #[tokio::test]
    async fn a_name_waits_after_many_attempts() {
        let throttle = throttle();
        for _ in 1..MAX_ATTEMPTS_OF_NAME {
            assert_eq!(throttle.count("ann", None, NOW).await.unwrap(), Attempt::Free);
        }
        assert_eq!(throttle.count("ann", None, NOW).await.unwrap(), Attempt::Last);
        assert_eq!(throttle.count("ann", None, NOW + 10).await.unwrap(), Attempt::TooMany(290));
        assert_eq!(throttle.count("bob", None, NOW).await.unwrap(), Attempt::Free);
        let later = NOW + WINDOW_SECONDS;
        assert_eq!(throttle.count("ann", None, later).await.unwrap(), Attempt::Free);
    }

    #[tokio::test]
    async fn a_success_frees_the_name_and_not_the_address() {
        let throttle = throttle();
        let address = Some("10.0.0.1".parse().unwrap());
        for _ in 0..MAX_ATTEMPTS_OF_ADDRESS {
            assert_eq!(throttle.count("ann", address, NOW).await.unwrap(), Attempt::Free);
            throttle.succeeded("ann", NOW).await.unwrap();
        }
        let blocked = throttle.count("ann", address, NOW).await.unwrap();
        assert!(matches!(blocked, Attempt::TooMany(_)));
        assert_eq!(throttle.count("ann", None, NOW).await.unwrap(), Attempt::Free);
    }
}

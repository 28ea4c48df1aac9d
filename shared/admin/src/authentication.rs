//! Authentication of operators: by name and password, by token, or by a session's cookie.
//!
//! Attempts are throttled before a password is hashed, names cannot be told from the answer or its
//! time, and right credentials are remembered for some minutes.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use gateway::{Clock, Snapshot};
use ring::{hmac, rand::SystemRandom};
use serde_json::Value;
use storage::Secret;
use subtle::ConstantTimeEq;
use tenants::{Action, Author, KeyHash};

use crate::{
    admin::Admin,
    audit,
    login_throttle::Attempt,
    operator::{Operator, Role},
    operators::FIRST_OPERATOR,
    password,
    problem::{AdminResult, Problem, ProblemKind},
    session::Session,
    stored_operators::StoredOperators,
};

/// How long right credentials are remembered, in seconds.
const REMEMBERED_SECONDS: u64 = 300;
/// How many right credentials are remembered.
const MAX_REMEMBERED: usize = 1_000;

/// How long a log-in waits for its entry in the audit.
const MAX_RECORDING: Duration = Duration::from_secs(1);

/// What an operator shows.
#[derive(Clone, Debug)]
pub enum Credentials {
    /// Nothing.
    None,
    /// A name and a password, by HTTP Basic or a form.
    Password {
        /// The name.
        name: String,
        /// The password.
        password: Secret,
    },
    /// A token of the admin API.
    Token(Secret),
    /// The value of a session's cookie.
    Session(String),
}

/// Right credentials, as hashes under a key that dies with the process.
#[derive(Debug)]
pub(crate) struct Remembered {
    key: hmac::Key,
    until: Mutex<HashMap<Vec<u8>, u64>>,
}

/// An account and how its password is checked.
enum Account {
    /// The password itself stands in the configuration.
    Configured(Secret, Role),
    /// A hash of the password is at hand.
    Hashed(String, Role),
}

impl Remembered {
    /// Remembers nothing yet; nothing without randomness.
    pub(crate) fn new() -> Option<Self> {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new()).ok()?;
        Some(Self { key, until: Mutex::default() })
    }

    /// The hash of a name, a password and what the password is checked against.
    fn tag(&self, name: &str, password: &Secret, expected: &str) -> Vec<u8> {
        let mut context = hmac::Context::with_key(&self.key);
        // With what the password is checked against, so that a changed password forgets the old one
        // at once.
        for part in [name, password.expose(), expected] {
            // Lengths keep `ab` and `c` apart from `a` and `bc`.
            context.update(&part.len().to_le_bytes());
            context.update(part.as_bytes());
        }
        context.sign().as_ref().to_vec()
    }

    fn knows(&self, tag: &[u8], now: u64) -> bool {
        self.lock().get(tag).is_some_and(|until| now < *until)
    }

    fn remember(&self, tag: Vec<u8>, now: u64) {
        let mut until = self.lock();
        if MAX_REMEMBERED <= until.len() {
            until.retain(|_, until| now < *until);
        }
        // Full: the next request is hashed again, which is slow and not wrong.
        if until.len() < MAX_REMEMBERED {
            until.insert(tag, now + REMEMBERED_SECONDS);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Vec<u8>, u64>> {
        self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Admin {
    /// Finds out which operator shows these credentials. `address` is where they come from, where
    /// that is known.
    pub async fn authenticate(
        &self,
        credentials: &Credentials,
        address: Option<IpAddr>,
        clock: Clock,
    ) -> AdminResult<Operator> {
        match credentials {
            Credentials::None => Err(Problem::new(
                ProblemKind::Unauthenticated,
                "Sign in: with a name and a password (HTTP Basic), or a token (Bearer).",
            )),
            Credentials::Password { name, password } => {
                self.check_password(name, password, address, clock).await
            }
            Credentials::Token(token) => self.check_token(token, address, clock).await,
            Credentials::Session(cookie) => Ok(self.check_session(cookie, clock).await?.operator),
        }
    }

    /// Signs an operator in, for a browser.
    pub async fn log_in(
        &self,
        name: &str,
        password: &Secret,
        address: Option<IpAddr>,
        clock: Clock,
    ) -> AdminResult<Session> {
        let operator = self.check_password(name, password, address, clock).await?;
        let now = clock.now() / 1000;

        let stored = self.stored_operators(now).await?;
        let snapshot = self.gateway.snapshot(clock).await.ok();
        let epoch = self.epoch(name, &stored, snapshot.as_deref());
        let session = Session::starting(operator, epoch, now);
        self.record_log_in(name, address, None, now).await;
        Ok(session)
    }

    /// Keeps an entry about a log-in. One that cannot be written keeps nobody out.
    async fn record_log_in(
        &self,
        name: &str,
        address: Option<IpAddr>,
        refused: Option<&str>,
        now: u64,
    ) {
        let address = address.map(|address| ("address", address.to_string()));
        let refused = refused.map(|reason| ("refused", reason.to_owned()));
        let facts = address.into_iter().chain(refused);
        let facts = facts.map(|(fact, text)| (fact.to_owned(), Value::String(text))).collect();
        let author = Author { name, at: now };
        let recording = audit::record(&self.tenants, author, (Action::LogIn, name), facts);
        match tokio::time::timeout(MAX_RECORDING, recording).await {
            Ok(Ok(())) => {}
            Ok(Err(problem)) => {
                tracing::warn!(
                    cause = problem.cause().map(tracing::field::display),
                    "failed to record a log-in in the audit"
                );
            }
            Err(_elapsed) => {
                tracing::warn!("failed to record a log-in in the audit: the store is too slow");
            }
        }
    }

    /// The session of a cookie, if its operator still has it. The role is the operator's present one.
    pub async fn check_session(&self, cookie: &str, clock: Clock) -> AdminResult<Session> {
        let over = || Problem::new(ProblemKind::Unauthenticated, "The session is over: sign in.");
        let now = clock.now() / 1000;
        let session = self.session_key.verify(cookie, now).ok_or_else(over)?;
        let stored = self.stored_operators(now).await?;
        // A stack that has no configuration yet has stored operators all the same.
        let snapshot = self.gateway.snapshot(clock).await.ok();
        let name = &session.operator.name;
        // The cookie's role is not believed: an operator may have been demoted since.
        let account = self.account(name, &stored, snapshot.as_deref()).ok_or_else(over)?;
        if self.epoch(name, &stored, snapshot.as_deref()) != session.epoch {
            return Err(over());
        }
        let operator = Operator { name: name.clone(), role: account.role() };
        Ok(Session { operator, ..session })
    }

    async fn check_password(
        &self,
        name: &str,
        password: &Secret,
        address: Option<IpAddr>,
        clock: Clock,
    ) -> AdminResult<Operator> {
        let now = clock.now() / 1000;
        let stored = self.stored_operators(now).await?;
        // A stack that has no configuration yet has stored operators all the same.
        let snapshot = self.gateway.snapshot(clock).await.ok();

        let account = self.account(name, &stored, snapshot.as_deref());
        let tag =
            account.as_ref().map(|account| self.remembered.tag(name, password, account.expected()));
        // Before the throttle: a program that sends Basic credentials with each request is no
        // attack, and a hash costs tens of milliseconds.
        if let (Some(account), Some(tag)) = (&account, &tag)
            && self.remembered.knows(tag, now)
        {
            return Ok(Operator { name: name.to_owned(), role: account.role() });
        }

        // Before the hash, which is what an attacker would have us compute.
        let attempt = self.throttle.count(name, address, now).await?;
        if let Attempt::TooMany(seconds) = attempt {
            let detail = format!("Too many attempts to sign in; try again in {seconds} s.");
            return Err(Problem::new(ProblemKind::TooManyRequests, detail).retry_after(seconds));
        }
        let is_known = account.is_some();
        let (Some(account), Some(tag)) = (is_right(account, password).await?, tag) else {
            // Once in a window, and of operators alone: whoever guesses must not fill the audit, nor
            // a password stand in it that was typed as a name.
            if is_known && attempt == Attempt::Last {
                let reason = "too many wrong passwords";
                self.record_log_in(name, address, Some(reason), now).await;
            }
            tracing::warn!(
                address = address.map(tracing::field::display),
                "a wrong password was sent"
            );
            let detail = "This name or password is wrong.";
            return Err(Problem::new(ProblemKind::Unauthenticated, detail));
        };

        self.remembered.remember(tag, now);
        // Or an operator who mistyped would be locked out later by right attempts.
        self.throttle.succeeded(name, now).await?;
        Ok(Operator { name: name.to_owned(), role: account.role() })
    }

    async fn check_token(
        &self,
        token: &Secret,
        address: Option<IpAddr>,
        clock: Clock,
    ) -> AdminResult<Operator> {
        let now = clock.now() / 1000;

        let hash = KeyHash::of(token.expose());
        let stored = self.stored_operators(now).await?;
        // Every token is compared, so that the place of the right one does not show.
        let same =
            |known: &KeyHash| bool::from(known.as_str().as_bytes().ct_eq(hash.as_str().as_bytes()));
        let found: Vec<_> = stored.tokens.values().filter(|token| same(&token.hash)).collect();
        let is_current = |expires: Option<u64>| expires.is_none_or(|expires| now < expires);
        match found.first() {
            Some(token) if is_current(token.expires) => {
                Ok(Operator { name: format!("token:{}", token.name), role: token.role })
            }
            _ => {
                // 256 random bits cannot be guessed, so that attempts are not throttled.
                tracing::warn!(
                    address = address.map(tracing::field::display),
                    "a wrong admin token was sent"
                );
                Err(Problem::new(ProblemKind::Unauthenticated, "This token is wrong."))
            }
        }
    }

    /// Which of an operator's epochs this is: another one with each change of the password, and after
    /// the operator ended all sessions.
    fn epoch(&self, name: &str, stored: &StoredOperators, snapshot: Option<&Snapshot>) -> u64 {
        let epoch = stored.epoch(name);
        // A change of a stored password is counted in the row.
        match snapshot.and_then(|it| configured(name, it)) {
            Some((password, _)) => self.session_key.epoch_of_password(epoch, password.expose()),
            None => epoch,
        }
    }

    /// The account of a name: the configuration's, else a stored one, else that of the first start.
    fn account(
        &self,
        name: &str,
        stored: &StoredOperators,
        snapshot: Option<&Snapshot>,
    ) -> Option<Account> {
        if let Some((password, role)) = snapshot.and_then(|it| configured(name, it)) {
            let is_hash = config::is_password_hash(password.expose());
            return Some(if is_hash {
                Account::Hashed(password.expose().to_owned(), role)
            } else {
                Account::Configured(password, role)
            });
        }
        if let Some(operator) = stored.operators.get(name) {
            return Some(Account::Hashed(operator.password.clone(), operator.role));
        }
        // Only as long as no stored operator has the name, so that a changed password ends it.
        let initial = self.initial_password.clone().filter(|_| name == FIRST_OPERATOR)?;
        Some(Account::Configured(initial, Role::Admin))
    }
}

impl Account {
    fn role(&self) -> Role {
        match self {
            Self::Configured(_, role) | Self::Hashed(_, role) => *role,
        }
    }

    /// What the password is checked against.
    fn expected(&self) -> &str {
        match self {
            Self::Configured(password, _) => password.expose(),
            Self::Hashed(hash, _) => hash,
        }
    }
}

/// The names and roles of the users in the configuration.
pub(crate) fn configured_names(snapshot: &Snapshot) -> Vec<(String, Role)> {
    let users = snapshot.config.admin.users.iter();
    users.map(|user| (user.name.clone(), user.role.into())).collect()
}

/// The password and the role of a user in the configuration; none whose password cannot be read.
fn configured(name: &str, snapshot: &Snapshot) -> Option<(Secret, Role)> {
    let user = snapshot.config.admin.users.iter().find(|user| user.name == name)?;
    // A parameter that is missing must not be the empty password.
    let password = snapshot.secret(&user.password).filter(|it| !it.expose().is_empty())?;
    Some((password, user.role.into()))
}

/// The account, if the password is its own. Every answer takes one hash.
async fn is_right(account: Option<Account>, sent: &Secret) -> AdminResult<Option<Account>> {
    let hash = match &account {
        Some(Account::Hashed(hash, _)) => Some(hash.as_str()),
        Some(Account::Configured(..)) | None => None,
    };
    // Also for a plain password and for an unknown name, so that the time tells nothing apart.
    let matches_hash = password::verify(sent, hash).await?;

    let matches_text = match &account {
        Some(Account::Configured(expected, _)) => {
            bool::from(expected.expose().as_bytes().ct_eq(sent.expose().as_bytes()))
        }
        Some(Account::Hashed(..)) | None => false,
    };
    Ok(account.filter(|_| matches_hash || matches_text))
}

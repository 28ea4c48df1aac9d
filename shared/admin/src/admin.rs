//! The administration of one gateway: what every operation shares.

use std::sync::{Arc, Mutex, PoisonError};

use gateway::{Clock, Gateway};
use serde_json::{Map, Value};
use storage::{Secret, Stores};
use telemetry::{
    RequestLog,
    sums::{CallSums, LAMBDA_LAG, SERVER_LAG},
};
use tenants::{Action, Author, SealingKey, Tenants};

use crate::{
    audit::audit_entry,
    authentication::Remembered,
    configuration_source::ConfigSource,
    login_throttle::LoginThrottle,
    problem::{AdminResult, Problem, ProblemKind},
    session::SessionKey,
    stored_operators::{OperatorTable, StoredOperators},
};

/// How long the stored operators are not read again, in seconds: a change by another process takes
/// effect within this.
const OPERATORS_TTL_SECONDS: u64 = 10;

/// The root secret of a gateway, from which the keys of sessions and seals are derived.
pub type RootSecret = [u8; 32];

/// The administration of one gateway.
#[derive(Debug)]
pub struct Admin {
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) stores: Stores,
    pub(crate) tenants: Tenants,
    pub(crate) sums: CallSums,
    pub(crate) operator_table: OperatorTable,
    pub(crate) source: ConfigSource,
    /// The password of [`crate::FIRST_OPERATOR`] until one is stored.
    pub(crate) initial_password: Option<Secret>,
    pub(crate) session_key: SessionKey,
    pub(crate) sealing: SealingKey,
    pub(crate) remembered: Remembered,
    pub(crate) throttle: LoginThrottle,
    /// Held while the configuration is changed.
    pub(crate) config_lock: Arc<tokio::sync::Mutex<()>>,
    stored: Mutex<Option<(u64, Arc<StoredOperators>)>>,
}

impl Admin {
    /// The administration of a gateway whose configuration comes from `source`; nothing without
    /// randomness.
    pub fn new(gateway: Arc<Gateway>, source: ConfigSource, root: &RootSecret) -> Option<Self> {
        let stores = gateway.stores().clone();
        let lag = match &source {
            ConfigSource::File(_) => SERVER_LAG,
            ConfigSource::Rows(_) => LAMBDA_LAG,
        };
        let log = RequestLog::new(stores.state.clone());
        Some(Self {
            tenants: Tenants::new(stores.config.clone()),
            sums: CallSums::new(stores.state.clone(), log, lag),
            operator_table: OperatorTable::new(stores.config.clone()),
            source,
            initial_password: None,
            // Derived, so that instances agree on them and one parameter is all that a stack keeps.
            session_key: SessionKey::derive(root),
            sealing: SealingKey::new(root)?,
            remembered: Remembered::new()?,
            throttle: LoginThrottle::new(stores.state.clone()),
            config_lock: Arc::default(),
            stored: Mutex::default(),
            gateway,
            stores,
        })
    }

    /// Gives the first operator a password as long as none is stored for it.
    #[must_use]
    pub fn with_initial_password(self, password: Option<Secret>) -> Self {
        Self { initial_password: password, ..self }
    }

    /// The key that signs sessions.
    pub fn session_key(&self) -> &SessionKey {
        &self.session_key
    }

    /// The gateway that is administrated.
    pub fn gateway(&self) -> &Gateway {
        &self.gateway
    }

    /// The stored operators, as they were at most some seconds ago.
    pub(crate) async fn stored_operators(&self, now: u64) -> AdminResult<Arc<StoredOperators>> {
        // Bound to a name, so that the lock is free before the store is awaited.
        let known = self.stored.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((read_at, stored)) = known
            && now < read_at + OPERATORS_TTL_SECONDS
        {
            return Ok(stored);
        }
        let stored = Arc::new(self.operator_table.read(now).await?);
        *self.stored.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, stored.clone()));
        Ok(stored)
    }

    /// Changes the stored operators, and sees the change at once. The audit says what `change` gives
    /// beside its outcome.
    pub(crate) async fn change_operators<T>(
        &self,
        author: Author<'_>,
        (action, subject): (Action, &str),
        change: impl Fn(&mut StoredOperators) -> AdminResult<(T, Map<String, Value>)>,
    ) -> AdminResult<T> {
        let entry = |(_, changes): &(T, Map<String, Value>)| {
            Some(audit_entry(author, (action, subject), changes.clone()))
        };
        let changed = self.operator_table.change_with(author.at, change, entry).await;
        // Forgotten even if the change failed: a write whose response was lost may have been made.
        *self.stored.lock().unwrap_or_else(PoisonError::into_inner) = None;
        changed.map(|(outcome, _)| outcome)
    }

    /// Seals a secret for one purpose.
    pub(crate) fn seal(&self, purpose: &str, secret: &Secret) -> AdminResult<String> {
        let sealed = self.sealing.seal(purpose, secret);
        sealed.ok_or_else(|| Problem::new(ProblemKind::Internal, "A secret cannot be sealed."))
    }
}

/// A new root secret; nothing without randomness.
pub fn generate_root_secret() -> Option<RootSecret> {
    SealingKey::generate()
}

/// The root secret that 64 hexadecimal digits name; nothing where they name none.
pub fn parse_root_secret(text: &str) -> Option<RootSecret> {
    let mut secret = RootSecret::default();
    // `from_str_radix` alone would accept a sign.
    let is_hexadecimal = text.bytes().all(|digit| digit.is_ascii_hexdigit());
    if text.len() != 2 * secret.len() || !is_hexadecimal {
        return None;
    }
    for (index, byte) in secret.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * index..2 * index + 2)?, 16).ok()?;
    }
    Some(secret)
}

/// Who makes a change at a moment.
pub fn author(name: &str, clock: Clock) -> Author<'_> {
    Author { name, at: clock.now() / 1000 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_secret_has_64_digits() {
        assert_eq!(parse_root_secret(&"0a".repeat(32)), Some([10; 32]));
        for wrong in ["", "0a", &"zz".repeat(32), &"+a".repeat(32)] {
            assert!(parse_root_secret(wrong).is_none(), "{wrong}");
        }
    }
}

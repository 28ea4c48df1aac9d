//! The credentials that requests to AWS are signed with.
//!
//! How credentials are found is decided where the process starts.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_credential_types::provider::{
    ProvideCredentials, SharedCredentialsProvider, error::CredentialsError,
};
use tokio::sync::Mutex;

use crate::{
    error::{StoreError, chain},
    secret::Secret,
};

/// How long before their end temporary credentials are renewed.
const RENEW_BEFORE_END: Duration = Duration::from_secs(60);

/// Credentials that stay the same for the life of the process, as in Lambda.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The name of the key; not a secret.
    pub access_key_id: String,
    /// The key.
    pub secret_access_key: Secret,
    /// Present when the key is a temporary one.
    pub session_token: Option<Secret>,
}

/// A source of credentials that is asked again when those at hand end.
#[derive(Clone, Debug)]
pub struct CredentialsProvider(SharedCredentialsProvider);

impl CredentialsProvider {
    /// Asks the source once, to learn early that it has none.
    pub async fn check(&self) -> Result<(), StoreError> {
        self.0.provide_credentials().await.map(drop).map_err(|error| failed(&error))
    }

    pub(crate) fn for_sdk(&self) -> SharedCredentialsProvider {
        self.0.clone()
    }
}

impl From<Credentials> for CredentialsProvider {
    fn from(credentials: Credentials) -> Self {
        let token = credentials.session_token.as_ref().map(|token| token.expose().to_owned());
        Self(SharedCredentialsProvider::new(aws_credential_types::Credentials::from_keys(
            credentials.access_key_id,
            credentials.secret_access_key.expose(),
            token,
        )))
    }
}

impl From<SharedCredentialsProvider> for CredentialsProvider {
    fn from(provider: SharedCredentialsProvider) -> Self {
        Self(provider)
    }
}

/// Credentials that are kept for as long as they are good. The clients of the SDK do the same for
/// themselves.
#[derive(Debug)]
pub(crate) struct CachedCredentials {
    provider: CredentialsProvider,
    current: Mutex<Option<aws_credential_types::Credentials>>,
}

impl CachedCredentials {
    pub(crate) fn new(provider: CredentialsProvider) -> Self {
        Self { provider, current: Mutex::new(None) }
    }

    /// The credentials to sign with at `now`, in milliseconds since 1970.
    pub(crate) async fn get(
        &self,
        now: u64,
    ) -> Result<aws_credential_types::Credentials, StoreError> {
        let now = UNIX_EPOCH + Duration::from_millis(now);
        // Held while credentials are fetched, so that a hundred calls at once ask the source once.
        let mut current = self.current.lock().await;
        if let Some(known) = &*current
            && is_good(known, now + RENEW_BEFORE_END)
        {
            return Ok(known.clone());
        }
        match self.provider.0.provide_credentials().await {
            Ok(renewed) => {
                *current = Some(renewed.clone());
                Ok(renewed)
            }
            // What is at hand may last until the source works again.
            Err(error) => match &*current {
                Some(known) if is_good(known, now) => Ok(known.clone()),
                _ => Err(failed(&error)),
            },
        }
    }
}

fn is_good(credentials: &aws_credential_types::Credentials, at: SystemTime) -> bool {
    credentials.expiry().is_none_or(|end| at < end)
}

fn failed(error: &CredentialsError) -> StoreError {
    StoreError::new("getting AWS credentials", chain(error))
}

#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicU64, Ordering};

use aws_credential_types::provider::future;

use super::*;

/// A source whose credentials last 15 minutes from its own clock on, and which may fail.
#[derive(Debug, Default)]
struct Source {
    seconds: AtomicU64,
    issued: AtomicU64,
}

const BROKEN: u64 = u64::MAX;

impl ProvideCredentials for &'static Source {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let now = self.seconds.load(Ordering::Relaxed);
        if now == BROKEN {
            let error = CredentialsError::provider_error("the session has ended");
            return future::ProvideCredentials::ready(Err(error));
        }
        let id = format!("key-{}", self.issued.fetch_add(1, Ordering::Relaxed));
        let end = UNIX_EPOCH + Duration::from_secs(now + 900);
        let credentials =
            aws_credential_types::Credentials::new(id, "hidden", None, Some(end), "test");
        future::ProvideCredentials::ready(Ok(credentials))
    }
}

fn cached() -> (&'static Source, CachedCredentials) {
    let source: &'static Source = Box::leak(Box::default());
    (source, CachedCredentials::new(SharedCredentialsProvider::new(source).into()))
}

async fn key_at(cached: &CachedCredentials, seconds: u64) -> Result<String, StoreError> {
    cached.get(seconds * 1_000).await.map(|credentials| credentials.access_key_id().to_owned())
}

#[tokio::test]
async fn temporary_credentials_are_renewed_before_they_end() {
    let (source, cached) = cached();
    assert_eq!(key_at(&cached, 0).await.unwrap(), "key-0");
    assert_eq!(key_at(&cached, 839).await.unwrap(), "key-0");
    source.seconds.store(840, Ordering::Relaxed);
    assert_eq!(key_at(&cached, 840).await.unwrap(), "key-1");
    assert_eq!(key_at(&cached, 1_600).await.unwrap(), "key-1");
}

#[tokio::test]
async fn a_source_that_fails_leaves_what_is_at_hand_until_its_end() {
    let (source, cached) = cached();
    key_at(&cached, 0).await.unwrap();
    source.seconds.store(BROKEN, Ordering::Relaxed);
    assert_eq!(key_at(&cached, 899).await.unwrap(), "key-0");
    let error = key_at(&cached, 900).await.unwrap_err().to_string();
    assert!(error.starts_with("getting AWS credentials failed: "), "{error}");
    assert!(error.ends_with("the session has ended"), "{error}");
}

#[tokio::test]
async fn a_check_asks_the_source() {
    let (source, cached) = cached();
    cached.provider.check().await.unwrap();
    source.seconds.store(BROKEN, Ordering::Relaxed);
    cached.provider.check().await.unwrap_err();
}

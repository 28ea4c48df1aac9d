//! The AWS account that a process talks to, and how long it waits.
//!
//! Nothing here reads the environment or a file: whoever starts the process fills this in.

use std::time::Duration;

use aws_sdk_dynamodb::config::{
    BehaviorVersion, Region, SharedCredentialsProvider, SharedHttpClient,
    StalledStreamProtectionConfig, retry::RetryConfig, timeout::TimeoutConfig,
};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_types::SdkConfig;

use crate::{connections, error::chain, secrets::Secret};

/// An AWS account in a region. Everything opened from one value or its clones shares connections.
#[derive(Clone, Debug)]
pub struct Aws {
    /// Such as `eu-west-1`.
    pub region: String,
    /// Who we are there.
    pub credentials: Credentials,
    /// Where to send requests instead of to AWS: an emulator. Absent: AWS.
    pub endpoint_url: Option<String>,
    /// How long to wait for an answer.
    pub patience: Patience,
    connections: SharedHttpClient,
}

/// What requests are signed with. They stay the same for the life of the process, as in Lambda.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The key's name; not a secret.
    pub access_key_id: String,
    /// The key.
    pub secret_access_key: Secret,
    /// Present when the key is a temporary one.
    pub session_token: Option<Secret>,
}

/// How long to wait for AWS, and how often to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// For one attempt.
    pub attempt: Duration,
    /// For all attempts together.
    pub operation: Duration,
    /// How often to ask at most.
    pub attempts: u32,
}

impl Patience {
    /// While a client waits for us.
    pub const CALL: Self = Self {
        attempt: Duration::from_secs(1),
        operation: Duration::from_millis(2_500),
        attempts: 2,
    };

    /// While an operator waits, who may be far from the region. AWS takes few secrets a second
    /// and refuses the others, so they are offered again for a while.
    pub const OPERATOR: Self =
        Self { attempt: Duration::from_secs(10), operation: Duration::from_secs(30), attempts: 8 };
}

impl Aws {
    /// AWS itself, with the patience of a call.
    pub fn new(region: impl Into<String>, credentials: Credentials) -> Self {
        Self {
            region: region.into(),
            credentials,
            endpoint_url: None,
            patience: Patience::CALL,
            connections: connections::shared(),
        }
    }

    /// What every service's client is made from.
    pub(crate) fn sdk_config(&self) -> SdkConfig {
        // The SDK's own first pause, a second, would leave no time for the second attempt.
        let retries = RetryConfig::standard()
            .with_max_attempts(self.patience.attempts)
            .with_initial_backoff(Duration::from_millis(50));
        let timeouts = TimeoutConfig::builder()
            .operation_attempt_timeout(self.patience.attempt)
            .operation_timeout(self.patience.operation)
            .build();
        let mut config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(self.region.clone()))
            .credentials_provider(SharedCredentialsProvider::new(self.credentials.for_sdk()))
            .http_client(self.connections.clone())
            .retry_config(retries)
            .timeout_config(timeouts)
            // Answers are small and every attempt has its time limit.
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
        config.set_endpoint_url(self.endpoint_url.clone());
        config.build()
    }
}

impl Credentials {
    pub(crate) fn for_sdk(&self) -> aws_credential_types::Credentials {
        let token = self.session_token.as_ref().map(|it| it.expose().to_owned());
        aws_credential_types::Credentials::from_keys(
            &self.access_key_id,
            self.secret_access_key.expose(),
            token,
        )
    }
}

/// What AWS said of a failure, or why it could say nothing. The SDK's own text leaves the
/// message out where it does not know the code.
pub(crate) fn said(error: &(impl ProvideErrorMetadata + std::error::Error + 'static)) -> String {
    match (error.code(), error.message()) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        _ => chain(error),
    }
}

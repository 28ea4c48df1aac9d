//! The AWS account that a process uses, and how long it waits for responses.
//!
//! Nothing here reads the environment or a file: the start of the process finds region and
//! credentials.

use std::time::Duration;

use aws_sdk_dynamodb::config::{
    BehaviorVersion, Region, SharedHttpClient, StalledStreamProtectionConfig, retry::RetryConfig,
    timeout::TimeoutConfig,
};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_types::SdkConfig;

use crate::{
    credentials::CredentialsProvider, error::chain, http_client::http_client, signer::Signer,
};

/// An AWS account in a region. Everything opened from one value or its clones shares connections.
#[derive(Clone, Debug)]
pub struct Aws {
    /// The region, such as `eu-west-1`.
    pub region: String,
    /// The credentials of requests.
    pub credentials: CredentialsProvider,
    /// The URL of an emulator that takes the place of AWS. Absent: AWS.
    pub endpoint_url: Option<String>,
    /// How long to wait for responses.
    pub timeouts: Timeouts,
    http_client: SharedHttpClient,
}

/// How long to wait for AWS, and how many attempts to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// The most time for one attempt.
    pub attempt: Duration,
    /// The most time for all attempts together.
    pub operation: Duration,
    /// The most attempts.
    pub max_attempts: u32,
}

impl Timeouts {
    /// For operations that a client waits for.
    // Two attempts within what a client bears before its call begins; more would only queue behind
    // a store that is down.
    pub const CALL: Self = Self {
        attempt: Duration::from_secs(1),
        operation: Duration::from_millis(2_500),
        max_attempts: 2,
    };

    /// For operations of a server outside of AWS. An attempt may have to find credentials first,
    /// by a program or by a request of its own.
    pub const SERVER: Self = Self {
        attempt: Duration::from_secs(5),
        operation: Duration::from_secs(10),
        max_attempts: 2,
    };

    /// For operations that an operator waits for, who may be far from the region. AWS takes few
    /// secrets a second and throttles the others, which are written again for a while.
    pub const OPERATOR: Self = Self {
        attempt: Duration::from_secs(10),
        operation: Duration::from_secs(30),
        max_attempts: 8,
    };
}

impl Aws {
    /// An account at AWS itself, with the timeouts of a call.
    pub fn new(region: impl Into<String>, credentials: impl Into<CredentialsProvider>) -> Self {
        Self {
            region: region.into(),
            credentials: credentials.into(),
            endpoint_url: None,
            timeouts: Timeouts::CALL,
            http_client: http_client(),
        }
    }

    /// Signs requests to services of the account that are called without the SDK.
    pub fn signer(&self) -> Signer {
        Signer::with_provider(Some(self.region.clone()), self.credentials.clone())
    }

    /// The configuration that the client of every service is made from.
    pub(crate) fn sdk_config(&self) -> SdkConfig {
        // The first backoff of the SDK, a second, would leave no time for the second attempt.
        let retries = RetryConfig::standard()
            .with_max_attempts(self.timeouts.max_attempts)
            .with_initial_backoff(Duration::from_millis(50));
        let timeouts = TimeoutConfig::builder()
            .operation_attempt_timeout(self.timeouts.attempt)
            .operation_timeout(self.timeouts.operation)
            .build();
        let mut config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(self.region.clone()))
            .credentials_provider(self.credentials.for_sdk())
            .http_client(self.http_client.clone())
            .retry_config(retries)
            .timeout_config(timeouts)
            // Responses are small, and every attempt has its timeout.
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
        config.set_endpoint_url(self.endpoint_url.clone());
        config.build()
    }
}

/// The message of a failed operation. The SDK's own text leaves the message of AWS out where the
/// SDK does not know the code.
pub(crate) fn describe_error(
    error: &(impl ProvideErrorMetadata + std::error::Error + 'static),
) -> String {
    match (error.code(), error.message()) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        _ => chain(error),
    }
}

//! The operator's AWS account: its region and its credentials, wherever AWS's own tools look.
//!
//! Keys in the environment (or the `.env` file) come first. Everything else is `aws-config`'s:
//! profiles, single sign-on, `credential_process`, web identity, containers and instances. The
//! functions in Lambda do without, because they start with credentials in their environment.

use aws_config::{
    BehaviorVersion, Region, SdkConfig, profile::ProfileFileCredentialsProvider,
    provider_config::ProviderConfig,
};
use config::{Config, Provider, SecretSource};
use edge::settings::Environment;
use storage::{Aws, CredentialsProvider, Signer, Timeouts, http_client};

use crate::commands::{Failure, note};

/// What the operator chose on the command line.
#[derive(Clone, Debug, Default)]
pub(crate) struct Choice {
    /// The region, before that of the environment and the profile.
    pub(crate) region: Option<String>,
    /// The profile, before keys in the environment.
    pub(crate) profile: Option<String>,
}

/// Finds an account that has credentials.
pub(crate) async fn find(choice: &Choice, environment: &Environment) -> Result<Aws, Failure> {
    let region = choice.region.clone().or_else(|| environment.region());
    // A profile that was named means its own credentials, not those that happen to be exported.
    let keys = environment.credentials().filter(|_| choice.profile.is_none());

    let mut aws = match (keys, region) {
        (Some(keys), Some(region)) => Aws::new(region, keys),
        (Some(keys), None) => {
            let config = load(choice, environment, None).await;
            // The region alone is `aws-config`'s: it knows profiles, which the environment does
            // not.
            Aws::new(region_of(&config)?, keys)
        }
        (None, region) => {
            let config = load(choice, environment, region).await;
            let mut aws = Aws::new(region_of(&config)?, provider_of(&config).await?);
            aws.endpoint_url = config.endpoint_url().map(str::to_owned);
            aws
        }
    };
    // The variable wins over the profile: tests and local stacks set it.
    aws.endpoint_url = environment.get("AWS_ENDPOINT_URL").or(aws.endpoint_url);
    Ok(aws)
}

/// Finds the account that a configuration needs. None if it names no parameter and no provider in AWS.
pub(crate) async fn find_for(
    config: &Config,
    environment: &Environment,
) -> Result<Option<Aws>, Failure> {
    let names_parameters =
        config.secrets().any(|secret| matches!(secret, SecretSource::Parameter { .. }));
    let signed = signed_providers(config);
    if !names_parameters && signed.is_empty() {
        return Ok(None);
    }
    let mut choice = Choice::default();
    if !names_parameters && signed.iter().all(|provider| provider.region.is_some()) {
        // Nobody asks for the region of the process, so that it need not be known.
        choice.region = environment.region().or_else(|| signed[0].region.clone());
    }
    match find(&choice, environment).await {
        // Parameters may hold the gateway's own key, without which nothing works.
        Err(Failure::Usage(cause)) if names_parameters => Err(Failure::Usage(format!(
            "The configuration names parameters (`ssm:...`), which cannot be read: {cause}."
        ))),
        Err(Failure::Usage(cause)) => {
            // The other providers work; these are skipped.
            note(&format!("Providers in AWS that have no `api_key` are skipped: {cause}."));
            Ok(None)
        }
        found => {
            let mut aws = found?;
            aws.timeouts = Timeouts::SERVER;
            Ok(Some(aws))
        }
    }
}

/// Signs requests to providers in AWS.
pub(crate) fn signer(aws: Option<&Aws>, environment: &Environment) -> Signer {
    aws.map_or_else(|| environment.signer(), Aws::signer)
}

/// The providers in AWS that have no key, so that their requests are signed.
fn signed_providers(config: &Config) -> Vec<&Provider> {
    let kinds = gateway::kinds();
    let in_aws = |provider: &&Provider| {
        kinds.iter().any(|kind| kind.name == provider.kind && kind.takes_region)
    };
    config.providers.iter().filter(in_aws).filter(|provider| provider.keys.is_empty()).collect()
}

async fn load(choice: &Choice, environment: &Environment, region: Option<String>) -> SdkConfig {
    let region = region.map(Region::new);
    let mut loader = aws_config::defaults(BehaviorVersion::latest()).http_client(http_client());
    if let Some(profile) = choice.profile.clone().or_else(|| environment.get("AWS_PROFILE")) {
        loader = loader.profile_name(profile);
    }
    if let Some(profile) = &choice.profile {
        // The usual order would put keys in the environment before the profile that was asked for.
        let config = ProviderConfig::without_region()
            .with_behavior_version(Some(BehaviorVersion::latest()))
            .with_http_client(http_client())
            .with_region(region.clone());
        let provider = ProfileFileCredentialsProvider::builder().configure(&config);
        loader = loader.credentials_provider(provider.profile_name(profile).build());
    }
    if let Some(region) = region {
        loader = loader.region(region);
    }
    loader.load().await
}

fn region_of(config: &SdkConfig) -> Result<String, Failure> {
    config.region().map(ToString::to_string).ok_or_else(|| {
        Failure::Usage(
            "the AWS region is not known: set AWS_REGION or the profile's `region`".to_owned(),
        )
    })
}

async fn provider_of(config: &SdkConfig) -> Result<CredentialsProvider, Failure> {
    let advice = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or choose a profile of \
                  ~/.aws/config that has credentials";
    let Some(provider) = config.credentials_provider() else {
        return Err(Failure::Usage(format!("there are no AWS credentials: {advice}")));
    };
    let provider = CredentialsProvider::from(provider);
    // Now, so that a command fails before it has changed anything.
    provider.check().await.map_err(|error| Failure::Usage(format!("{error}; {advice}")))?;
    Ok(provider)
}

//! Accounts at an emulated AWS.

use storage::{Aws, Credentials, Secret, Timeouts};

/// The account at a URL. The tests share two busy cores, so the timeouts are long.
pub(crate) fn account(endpoint_url: &str) -> Aws {
    let credentials = Credentials {
        access_key_id: "test".to_owned(),
        secret_access_key: Secret::new("hidden-key"),
        session_token: Some(Secret::new("hidden-token")),
    };
    let mut aws = Aws::new("eu-west-1", credentials);
    aws.endpoint_url = Some(endpoint_url.to_owned());
    aws.timeouts = Timeouts::OPERATOR;
    aws
}

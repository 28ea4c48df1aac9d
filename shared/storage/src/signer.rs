//! Signatures of requests to services of AWS that are called without its SDK.
//!
//! Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html>. The path is
//! encoded once more before it is signed, as every service but S3 wants it: an id with `%3A` in it
//! is signed as `%253A`.

use std::{
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4,
};

use crate::{
    credentials::{CachedCredentials, Credentials, CredentialsProvider},
    error::StoreError,
    secret::Secret,
};

/// The region and the credentials of a process, as far as they are known. Clones share temporary
/// credentials and renew them once.
#[derive(Clone, Debug, Default)]
pub struct Signer {
    region: Option<String>,
    credentials: Option<Arc<CachedCredentials>>,
}

/// The parts of a request that are signed.
#[derive(Clone, Copy, Debug)]
pub struct UnsignedRequest<'a> {
    /// The method, such as `POST`.
    pub method: &'a str,
    /// The whole URL, encoded as it is sent.
    pub url: &'a str,
    /// The headers to be signed, `host` aside.
    pub headers: &'a [(&'a str, &'a str)],
    /// The body, to the last byte.
    pub body: &'a [u8],
    /// The service's name for signing, such as `bedrock`.
    pub service: &'a str,
    /// The region of the service.
    pub region: &'a str,
}

impl Signer {
    /// A signer with credentials that stay the same.
    pub fn new(region: Option<String>, credentials: Option<Credentials>) -> Self {
        let credentials = credentials.map(|fixed| Arc::new(CachedCredentials::new(fixed.into())));
        Self { region, credentials }
    }

    /// A signer with credentials that are renewed before they end.
    pub fn with_provider(region: Option<String>, provider: CredentialsProvider) -> Self {
        Self { region, credentials: Some(Arc::new(CachedCredentials::new(provider))) }
    }

    /// Whether there is a source of credentials to sign with.
    pub fn has_credentials(&self) -> bool {
        self.credentials.is_some()
    }

    /// The region that the process runs in, where that is known.
    pub fn region(&self) -> Option<&str> {
        self.region.as_deref()
    }

    /// Signs a request at `now`, in milliseconds since 1970. The result is the headers to add.
    pub async fn sign(
        &self,
        request: &UnsignedRequest<'_>,
        now: u64,
    ) -> Result<Vec<(&'static str, Secret)>, StoreError> {
        let Some(credentials) = &self.credentials else {
            return Err(failed(request, &"there are no AWS credentials"));
        };
        let identity = credentials.get(now).await?.into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(request.region)
            .name(request.service)
            .time(UNIX_EPOCH + Duration::from_millis(now))
            .settings(SigningSettings::default())
            .build()
            .map_err(|error| failed(request, &error))?
            .into();
        let headers = request.headers.iter().copied();
        let body = SignableBody::Bytes(request.body);
        let signable = SignableRequest::new(request.method, request.url, headers, body)
            .map_err(|error| failed(request, &error))?;
        let signed = sign(signable, &parameters).map_err(|error| failed(request, &error))?;
        let (headers, _query) = signed.into_parts().0.into_parts();
        Ok(headers.into_iter().map(|header| (header.name(), Secret::new(header.value()))).collect())
    }
}

fn failed(request: &UnsignedRequest<'_>, cause: &dyn std::fmt::Display) -> StoreError {
    StoreError::new("signing a request", format!("{}: {cause}", request.service))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2015-08-30T12:36:00Z, as in AWS's own examples.
    const NOW: u64 = 1_440_938_160_000;

    const ROOT: UnsignedRequest<'_> = UnsignedRequest {
        method: "GET",
        url: "https://example.amazonaws.com/",
        headers: &[],
        body: b"",
        service: "service",
        region: "us-east-1",
    };

    async fn signed(
        request: UnsignedRequest<'_>,
        token: Option<&str>,
    ) -> Vec<(&'static str, String)> {
        let credentials = Credentials {
            access_key_id: "AKIDEXAMPLE".to_owned(),
            secret_access_key: Secret::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
            session_token: token.map(Secret::new),
        };
        let headers = Signer::new(None, Some(credentials)).sign(&request, NOW).await.unwrap();
        headers.into_iter().map(|(name, value)| (name, value.expose().to_owned())).collect()
    }

    fn value<'a>(headers: &'a [(&'static str, String)], name: &str) -> &'a str {
        headers.iter().find(|header| header.0 == name).unwrap().1.as_str()
    }

    /// Source: `get-vanilla` of AWS's test suite for signatures.
    #[tokio::test]
    async fn a_request_is_signed_as_aws_signs_it() {
        let headers = signed(ROOT, None).await;
        assert_eq!(value(&headers, "x-amz-date"), "20150830T123600Z");
        assert_eq!(
            value(&headers, "authorization"),
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
             SignedHeaders=host;x-amz-date, \
             Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"
        );
    }

    /// Source: the signature that botocore 1.44.5 makes for the same request.
    #[tokio::test]
    async fn a_model_in_the_path_is_encoded_once_more_and_the_token_is_signed() {
        let request = UnsignedRequest {
            method: "POST",
            url: "https://bedrock-runtime.eu-west-1.amazonaws.com/model/\
                  eu.anthropic.claude-haiku-4-5-20251001-v1%3A0/converse",
            headers: &[("content-type", "application/json")],
            body: br#"{"messages":[]}"#,
            service: "bedrock",
            region: "eu-west-1",
        };
        let headers = signed(request, Some("the-token")).await;
        assert_eq!(value(&headers, "x-amz-security-token"), "the-token");
        assert_eq!(
            value(&headers, "authorization"),
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/eu-west-1/bedrock/aws4_request, \
             SignedHeaders=content-type;host;x-amz-date;x-amz-security-token, \
             Signature=3a138f1a09193b54508ef9e067ca08870fd7ee7c119d29c3b7cfdb3c3bf9e663"
        );
    }

    #[tokio::test]
    async fn without_credentials_nothing_is_signed() {
        let error = Signer::default().sign(&ROOT, NOW).await.unwrap_err().to_string();
        assert!(error.contains("no AWS credentials"), "{error}");
    }

    #[test]
    fn no_secret_is_printed() {
        let credentials = Credentials {
            access_key_id: "AKID".to_owned(),
            secret_access_key: Secret::new("hunter2"),
            session_token: None,
        };
        assert!(!format!("{:?}", Signer::new(None, Some(credentials))).contains("hunter2"));
    }
}

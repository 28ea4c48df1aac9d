//! Calls that carry a signature in place of a key: AWS's, which the process's own role makes.

use canonical::{Error, ErrorKind, Result};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use reqwest::Url;
use storage::{Signer, UnsignedRequest};

use crate::{Auth, Provider};

/// The signer of calls to one provider, with the service and the region.
#[derive(Debug)]
pub(crate) struct Signing {
    signer: Signer,
    service: &'static str,
    region: String,
}

/// The region that a provider is asked in: the configured one, or where the process runs.
pub(crate) fn region<'a>(configured: &'a config::Provider, signer: &'a Signer) -> Result<&'a str> {
    let found = configured.region.as_deref().or(signer.region());
    found.ok_or_else(|| {
        let message = "has no region: add `region`, or set the variable AWS_REGION";
        Error::new(ErrorKind::ProviderAccess, message)
    })
}

impl Signing {
    /// The signer of calls to a provider; none where a key or the operator's own header
    /// authenticates them.
    pub(crate) fn of(
        provider: &Provider,
        configured: &config::Provider,
        signer: &Signer,
    ) -> Result<Option<Self>> {
        let Auth::SigV4(service) = provider.auth else { return Ok(None) };
        let authorized = |it: &String| it.eq_ignore_ascii_case(header::AUTHORIZATION.as_str());
        if !configured.keys.is_empty() || configured.headers.keys().any(authorized) {
            return Ok(None);
        }
        // Reported at the start, not by a 403 in the middle of the first call.
        if !signer.has_credentials() {
            let message = "has no `api_key`, and there are no AWS credentials to sign with: set \
                           AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY";
            return Err(Error::new(ErrorKind::ProviderAccess, message));
        }
        let region = region(configured, signer)?.to_owned();
        Ok(Some(Self { signer: signer.clone(), service, region }))
    }

    /// Signs a request that is complete, at `now` in milliseconds since 1970.
    ///
    /// Only the type of the body is signed beside what must be: a proxy may change the rest.
    pub(crate) async fn sign(
        &self,
        url: &Url,
        headers: &mut HeaderMap,
        body: &[u8],
        now: u64,
    ) -> Result<()> {
        let failed = |error: Box<dyn std::error::Error + Send + Sync>| {
            Error::new(ErrorKind::Internal, "could not have its request signed").caused_by(error)
        };
        let kind = headers.get(header::CONTENT_TYPE).and_then(|it| it.to_str().ok());
        let signed: Vec<_> =
            kind.map(|it| (header::CONTENT_TYPE.as_str(), it)).into_iter().collect();
        let unsigned = UnsignedRequest {
            method: "POST",
            url: url.as_str(),
            headers: &signed,
            body,
            service: self.service,
            region: &self.region,
        };
        let signature =
            self.signer.sign(&unsigned, now).await.map_err(|error| failed(error.into()))?;
        for (name, value) in signature {
            let mut value =
                HeaderValue::from_str(value.expose()).map_err(|error| failed(error.into()))?;
            value.set_sensitive(true);
            headers.insert(HeaderName::from_static(name), value);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use storage::{Credentials, Secret};

    use super::*;

    /// 2026-11-21T00:00:00Z.
    const NOW: u64 = 1_795_219_200_000;

    fn provider(region: Option<&str>, header: Option<&str>) -> config::Provider {
        let source =
            config::SecretSource::Value { value: Secret::new("x"), variable: None, place: None };
        config::Provider {
            name: "p".to_owned(),
            kind: "bedrock".to_owned(),
            base_url: None,
            keys: vec![],
            headers: header
                .map(|it| (it.to_owned(), source))
                .into_iter()
                .collect::<BTreeMap<_, _>>(),
            api_version: None,
            region: region.map(str::to_owned),
            timeout: None,
            limits: config::ProviderLimits::default(),
            probe: None,
            connection: config::ConnectionOptions::default(),
            script: None,
        }
    }

    fn role() -> Credentials {
        Credentials {
            access_key_id: "AKID".to_owned(),
            secret_access_key: Secret::new("hunter2"),
            session_token: Some(Secret::new("the-token")),
        }
    }

    fn signing(configured: &config::Provider, signer: &Signer) -> Result<Option<Signing>> {
        Signing::of(crate::find(&configured.kind).unwrap(), configured, signer)
    }

    #[tokio::test]
    async fn a_call_is_signed_for_its_service_and_region() {
        let signer = Signer::new(Some("us-east-1".to_owned()), Some(role()));
        let signing = signing(&provider(Some("eu-west-1"), None), &signer).unwrap().unwrap();
        let url: Url = "https://h.example/model/a%3A0/converse".parse().unwrap();
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static("application/json"));
        headers.insert("user-agent", HeaderValue::from_static("lockgate"));
        signing.sign(&url, &mut headers, b"{}", NOW).await.unwrap();
        let signature = &headers["authorization"];
        assert!(signature.is_sensitive() && headers["x-amz-security-token"].is_sensitive());
        let signature = signature.to_str().unwrap();
        assert!(
            signature.contains("Credential=AKID/20261121/eu-west-1/bedrock/aws4_request,"),
            "{signature}"
        );
        let names = "SignedHeaders=content-type;host;x-amz-date;x-amz-security-token,";
        assert!(signature.contains(names), "{signature}");
    }

    #[test]
    fn the_operators_own_header_replaces_a_signature() {
        let configured = provider(None, Some("Authorization"));
        assert!(signing(&configured, &Signer::default()).unwrap().is_none());
    }

    #[test]
    fn what_is_missing_is_named() {
        let message = |configured: &config::Provider, signer: &Signer| {
            signing(configured, signer).unwrap_err().message().to_owned()
        };
        let nobody = message(&provider(Some("eu-west-1"), None), &Signer::default());
        assert!(nobody.contains("AWS_ACCESS_KEY_ID"), "{nobody}");
        let nowhere = message(&provider(None, None), &Signer::new(None, Some(role())));
        assert!(nowhere.contains("AWS_REGION"), "{nowhere}");
    }
}

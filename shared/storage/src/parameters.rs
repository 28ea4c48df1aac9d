//! Secrets in the parameter store of AWS Systems Manager.

use std::collections::{BTreeSet, HashMap};

use aws_sdk_ssm::{
    Client,
    error::ProvideErrorMetadata,
    types::{Parameter, ParameterType},
};
use futures_util::future::try_join_all;

use crate::{
    aws::{Aws, describe_error},
    error::StoreError,
    secret::Secret,
};

/// How many names one request may have.
const MAX_NAMES: usize = 10;

/// How many bytes a parameter of the free tier holds.
const MAX_PARAMETER_BYTES: usize = 4096;

/// The errors of AWS that are about a name and not about the account or the service.
///
/// Source: the API references of SSM's `GetParameters` and of Secrets Manager's `GetSecretValue`.
const REFUSALS: [&str; 7] = [
    "AccessDeniedException",
    "InvalidKeyId",
    "KMSAccessDeniedException",
    "ParameterNotFound",
    "ParameterVersionNotFound",
    "ResourceNotFoundException",
    "ValidationException",
];

/// The result of reading several names at once.
enum Batch {
    /// The parameters that exist.
    Read(Vec<Parameter>),
    /// No parameter, because one of the names may not be read.
    Refused,
}

/// The secrets of an account, by name.
///
/// A name is a path such as `/lockgate/prod/providers/groq`, or a reference to another store,
/// `/aws/reference/secretsmanager/<id>`, which can only be read.
#[derive(Clone, Debug)]
pub struct Parameters {
    client: Client,
}

impl Parameters {
    /// Opens the account's store. Nothing is asked of AWS until it is used.
    pub fn new(aws: &Aws) -> Self {
        Self { client: Client::new(&aws.sdk_config()) }
    }

    /// Reads the secrets of these names. A name that does not exist, or may not be read, is left out.
    pub async fn get(&self, names: &[String]) -> Result<HashMap<String, Secret>, StoreError> {
        // AWS refuses a request that names one parameter twice.
        let names: BTreeSet<&String> = names.iter().collect();
        let names: Vec<&String> = names.into_iter().collect();
        // At once: the start of a function waits for this.
        let batches =
            try_join_all(names.chunks(MAX_NAMES).map(|batch| self.get_batch(batch))).await?;
        Ok(batches.into_iter().flatten().filter_map(named_secret).collect())
    }

    /// Writes a secret over the one of the same name.
    pub async fn put(&self, name: &str, secret: &Secret) -> Result<(), StoreError> {
        let size = secret.expose().len();
        if size == 0 || MAX_PARAMETER_BYTES < size {
            let rule = format!("a secret has 1 to {MAX_PARAMETER_BYTES} bytes");
            return Err(failed_write(&format!("{name}: {rule}, this has {size}")));
        }
        let put = self.client.put_parameter().name(name).value(secret.expose());
        // Overwritten: a secret that is rotated keeps the name that the configuration has for it.
        let done = put.r#type(ParameterType::SecureString).overwrite(true).send().await;
        // AWS may quote what it refuses.
        done.map_err(|error| {
            let text = describe_error(&error).replace(secret.expose(), "[secret]");
            failed_write(&format!("{name}: {text}"))
        })?;
        Ok(())
    }

    /// Removes secrets; those that do not exist are no failure.
    pub async fn delete(&self, names: &[String]) -> Result<(), StoreError> {
        let batches = names
            .chunks(MAX_NAMES)
            .map(|batch| self.client.delete_parameters().set_names(Some(batch.to_vec())).send());
        let done = try_join_all(batches).await;
        done.map(drop).map_err(|error| StoreError::new("removing secrets", describe_error(&error)))
    }

    /// Lists the names under a path, without their values.
    pub async fn list(&self, path: &str) -> Result<Vec<String>, StoreError> {
        let listing = self.client.get_parameters_by_path().path(path).recursive(true);

        let mut pages = listing.into_paginator().send();
        let mut names = vec![];
        while let Some(page) = pages.next().await {
            let page =
                page.map_err(|error| StoreError::new("listing secrets", describe_error(&error)))?;
            names.extend(
                page.parameters
                    .unwrap_or_default()
                    .into_iter()
                    .filter_map(|parameter| parameter.name),
            );
        }
        Ok(names)
    }

    /// Reads a batch. AWS refuses all of it for one name, so that each is then asked for alone.
    async fn get_batch(&self, names: &[&String]) -> Result<Vec<Parameter>, StoreError> {
        match self.get_at_once(names).await? {
            Batch::Read(parameters) => Ok(parameters),
            Batch::Refused if names.len() == 1 => Ok(vec![]),
            Batch::Refused => {
                let mut found = vec![];
                // One parameter that may not be read fails its whole batch: alone, the others are
                // found.
                for name in names {
                    if let Batch::Read(parameters) = self.get_at_once(&[*name]).await? {
                        found.extend(parameters);
                    }
                }
                Ok(found)
            }
        }
    }

    async fn get_at_once(&self, names: &[&String]) -> Result<Batch, StoreError> {
        let names = names.iter().copied().cloned().collect();
        let get = self.client.get_parameters().set_names(Some(names)).with_decryption(true);
        match get.send().await {
            Ok(response) => Ok(Batch::Read(response.parameters.unwrap_or_default())),
            Err(error) if error.code().is_some_and(|code| REFUSALS.contains(&code)) => {
                Ok(Batch::Refused)
            }
            Err(error) => Err(StoreError::new("reading secrets", describe_error(&error))),
        }
    }
}

fn failed_write(cause: &str) -> StoreError {
    StoreError::new("writing a secret", cause)
}

/// A parameter under the name that was asked for, which may end in a version or label (`:3`).
fn named_secret(parameter: Parameter) -> Option<(String, Secret)> {
    let name = parameter.name? + parameter.selector.as_deref().unwrap_or_default();
    Some((name, Secret::new(parameter.value?)))
}

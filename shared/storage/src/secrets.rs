//! Values that must not be seen, and the parameter store that keeps them.

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    sync::Arc,
};

use aws_sdk_ssm::{
    Client,
    types::{Parameter, ParameterType},
};
use futures_util::future::try_join_all;

use crate::{
    aws::{Aws, said},
    error::StoreError,
};

/// How many names the store takes at once.
const BATCH: usize = 10;

/// How many bytes a parameter of the free tier holds.
const PARAMETER_BYTES: usize = 4096;

/// A value that cannot be printed, logged or serialised by accident.
#[derive(Clone)]
pub struct Secret(Arc<str>);

impl Secret {
    /// Hides a value.
    pub fn new(value: impl Into<Arc<str>>) -> Self {
        Self(value.into())
    }

    /// The value itself; every use of this is a place to review.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// Secrets by name, in AWS's parameter store.
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

    /// The secrets of these names. A name that does not exist is not in the answer.
    pub async fn get(&self, names: &[String]) -> Result<HashMap<String, Secret>, StoreError> {
        let names: BTreeSet<&String> = names.iter().collect();
        let names: Vec<&String> = names.into_iter().collect();
        let batches = try_join_all(names.chunks(BATCH).map(|it| self.get_batch(it))).await?;
        Ok(batches.into_iter().flatten().filter_map(named).collect())
    }

    /// Keeps a secret, over the one of the same name.
    pub async fn put(&self, name: &str, secret: &Secret) -> Result<(), StoreError> {
        let refused = |cause: String| StoreError::new("keeping a secret", cause);
        let size = secret.expose().len();
        if size == 0 || PARAMETER_BYTES < size {
            let rule = format!("a secret has 1 to {PARAMETER_BYTES} bytes");
            return Err(refused(format!("{name}: {rule}, this has {size}")));
        }
        let put = self.client.put_parameter().name(name).value(secret.expose());
        let done = put.r#type(ParameterType::SecureString).overwrite(true).send().await;
        // A refusal may quote what was refused.
        done.map_err(|error| {
            let text = said(&error).replace(secret.expose(), "[secret]");
            refused(format!("{name}: {text}"))
        })?;
        Ok(())
    }

    /// Removes secrets; those that do not exist are no failure.
    pub async fn delete(&self, names: &[String]) -> Result<(), StoreError> {
        let batches = names
            .chunks(BATCH)
            .map(|batch| self.client.delete_parameters().set_names(Some(batch.to_vec())).send());
        let done = try_join_all(batches).await;
        done.map(drop).map_err(|error| StoreError::new("removing secrets", said(&error)))
    }

    /// The names under a path, without their values.
    pub async fn list(&self, path: &str) -> Result<Vec<String>, StoreError> {
        let listing = self.client.get_parameters_by_path().path(path).recursive(true);
        let mut pages = listing.into_paginator().send();
        let mut names = vec![];
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| StoreError::new("listing secrets", said(&error)))?;
            names.extend(page.parameters.unwrap_or_default().into_iter().filter_map(|it| it.name));
        }
        Ok(names)
    }

    async fn get_batch(&self, names: &[&String]) -> Result<Vec<Parameter>, StoreError> {
        let names = names.iter().copied().cloned().collect();
        let get = self.client.get_parameters().set_names(Some(names)).with_decryption(true);
        let answer =
            get.send().await.map_err(|error| StoreError::new("reading secrets", said(&error)))?;
        Ok(answer.parameters.unwrap_or_default())
    }
}

/// A parameter under the name it was asked by, which has its version or label (`:3`) at the end.
fn named(parameter: Parameter) -> Option<(String, Secret)> {
    let name = parameter.name? + parameter.selector.as_deref().unwrap_or_default();
    Some((name, Secret::new(parameter.value?)))
}

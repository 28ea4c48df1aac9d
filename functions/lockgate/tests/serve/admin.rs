//! The admin API: who may sign in, what each role may do, and what a change does to running calls.

mod configuration;
mod operators;
mod pages;
mod tenants;
mod terminal;

use serde_json::Value;
use testkit::{client::ClientResponse, lockgate::Lockgate, provider::FakeProvider};

use crate::support::{gateway_for, send};

/// Operators of each role; the password of each is its name and `-password`.
pub(crate) const USERS: &str = "
admin:
  users:
    - { name: root, password: root-password, role: admin }
    - { name: edda, password: edda-password, role: editor }
    - { name: vera, password: vera-password, role: viewer }
";

/// A gateway before one provider with a model `small`, and operators of each role.
pub(crate) async fn administrated(first: &FakeProvider) -> Lockgate {
    gateway_for(first, &format!("models: [{{ name: small, provider: first }}]{USERS}")).await
}

/// HTTP Basic of one of these operators.
pub(crate) fn basic(name: &str, password: &str) -> String {
    let encoded =
        base64::Engine::encode(&base64::prelude::BASE64_STANDARD, format!("{name}:{password}"));
    format!("Basic {encoded}")
}

/// Asks the admin API as one of these operators, with more headers.
pub(crate) async fn ask_with(
    gateway: &Lockgate,
    name: &str,
    (method, path): (&str, &str),
    headers: &[(&str, &str)],
    body: &str,
) -> ClientResponse {
    let authorization = basic(name, &format!("{name}-password"));
    let all = [&[("authorization", authorization.as_str())], headers].concat();
    send(gateway, method, path, &all, body.to_owned()).await
}

/// Asks the admin API as the operator `root`: the status and the body.
pub(crate) async fn ask(gateway: &Lockgate, method: &str, path: &str, body: &str) -> (u16, Value) {
    let response = ask_with(gateway, "root", (method, path), &[], body).await;
    let status = response.status.as_u16();
    if status == 204 {
        return (status, Value::Null);
    }
    (status, response.json().await.unwrap())
}

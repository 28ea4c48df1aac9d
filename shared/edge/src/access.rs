//! Operators: who they are, and what each role may.

use canonical::{Error, ErrorKind, Result};
use http::{HeaderMap, header};
use storage::Secret;
use subtle::ConstantTimeEq;

/// What an operator may do. Each role may what the ones before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Reads everything but secrets.
    Viewer,
    /// Changes tenants, keys and routes.
    Editor,
    /// Changes operators too.
    Admin,
}

/// Someone who runs the gateway, and signs in with a name and a password.
#[derive(Clone, Debug)]
pub struct Operator {
    /// The name to sign in with.
    pub name: String,
    /// The password.
    pub password: Secret,
    /// What the operator may do.
    pub role: Role,
}

/// Authenticates an operator by HTTP Basic (RFC 7617) and checks the role.
pub(crate) fn authorize<'o>(
    headers: &HeaderMap,
    operators: &'o [Operator],
    needed: Role,
) -> Result<&'o Operator> {
    let Some((name, password)) = basic(headers) else {
        return Err(unauthenticated("Sign in with a name and a password (HTTP Basic)."));
    };
    let is_named = |operator: &&Operator| operator.name == name;
    // A password is compared even where the name is unknown, so that names cannot be timed.
    let unknown = Secret::new("");
    let operator = operators.iter().find(is_named);
    let expected = operator.map_or(&unknown, |operator| &operator.password);
    let matches = bool::from(expected.expose().as_bytes().ct_eq(password.as_bytes()));
    match operator.filter(|_| matches && !password.is_empty()) {
        None => Err(unauthenticated("This name or password is wrong.")),
        Some(operator) if operator.role < needed => {
            Err(Error::new(ErrorKind::Forbidden, "Your role does not allow this."))
        }
        Some(operator) => Ok(operator),
    }
}

/// The name and the password of an `Authorization: Basic` header.
fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, encoded) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = base64::Engine::decode(&base64::prelude::BASE64_STANDARD, encoded.trim()).ok()?;
    let (name, password) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    Some((name.to_owned(), password.to_owned()))
}

fn unauthenticated(message: &str) -> Error {
    Error::new(ErrorKind::Unauthenticated, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(credentials: &str, needed: Role) -> Result<String> {
        let encoded = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, credentials);
        let value = format!("basic {encoded}").parse().unwrap();
        let headers = HeaderMap::from_iter([(header::AUTHORIZATION, value)]);
        let operators = [("ann", "s3:cret", Role::Editor), ("bob", "", Role::Admin)].map(
            |(name, password, role)| Operator {
                name: name.to_owned(),
                password: Secret::new(password),
                role,
            },
        );
        authorize(&headers, &operators, needed).map(|operator| operator.name.clone())
    }

    #[test]
    fn an_operator_signs_in_with_name_and_password() {
        assert_eq!(attempt("ann:s3:cret", Role::Viewer).unwrap(), "ann");
        for wrong in ["ann:wrong", "ann:", "ann", "eve:", "bob:", ":", "eve:s3:cret"] {
            let error = attempt(wrong, Role::Viewer).unwrap_err();
            assert_eq!(error.kind, ErrorKind::Unauthenticated, "{wrong}");
        }
        assert!(authorize(&HeaderMap::new(), &[], Role::Viewer).is_err());
    }

    #[test]
    fn a_role_may_what_lower_ones_may() {
        assert!(attempt("ann:s3:cret", Role::Editor).is_ok());
        let error = attempt("ann:s3:cret", Role::Admin).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Forbidden);
    }
}

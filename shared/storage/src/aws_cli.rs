//! What an operator's `aws` program knows: credentials and the region of a profile.
//!
//! It covers every way of signing in (keys, single sign-on, roles) without any of them being known
//! here. For the command line only: it blocks, and takes about half a second.

use std::{io, process::Command};

use serde::Deserialize;

use crate::{aws::Credentials, error::StoreError, secrets::Secret};

const PROGRAM: &str = "aws";

/// The credentials of a profile, or of the default one.
pub fn credentials(profile: Option<&str>) -> Result<Credentials, StoreError> {
    credentials_from(PROGRAM, profile)
        .map_err(|refusal| StoreError::new("reading AWS credentials", refusal))
}

/// The region of a profile, or of the default one.
pub fn region(profile: Option<&str>) -> Result<String, StoreError> {
    let region = run(PROGRAM, &["configure", "get", "region"], profile)
        .map_err(|refusal| StoreError::new("reading the AWS region", refusal))?;
    Ok(region.trim().to_owned())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Exported {
    access_key_id: String,
    secret_access_key: String,
    session_token: Option<String>,
}

fn credentials_from(program: &str, profile: Option<&str>) -> Result<Credentials, String> {
    let json = run(program, &["configure", "export-credentials", "--format", "process"], profile)?;
    // The parser's own message could quote what it read.
    let Ok(exported) = serde_json::from_str::<Exported>(&json) else {
        return Err(format!("`{program} configure export-credentials` gave something else"));
    };
    Ok(Credentials {
        access_key_id: exported.access_key_id,
        secret_access_key: Secret::new(exported.secret_access_key),
        session_token: exported.session_token.map(Secret::new),
    })
}

fn run(program: &str, arguments: &[&str], profile: Option<&str>) -> Result<String, String> {
    let mut command = Command::new(program);
    command.args(arguments);
    if let Some(profile) = profile {
        command.args(["--profile", profile]);
    }
    let output = command.output().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => format!(
            "no credentials in the environment, and no `{program}` program to ask; set \
             AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION, or install the AWS CLI"
        ),
        _ => format!("`{program}` could not be started: {error}"),
    })?;
    let said = String::from_utf8_lossy(&output.stderr);
    match String::from_utf8(output.stdout) {
        Ok(text) if output.status.success() => Ok(text),
        _ => Err(format!("`{program} {}` failed: {}", arguments.join(" "), said.trim())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads credentials from a program that stands in for `aws`.
    fn credentials_of(name: &str, script: &str) -> Result<Credentials, String> {
        use std::{env, fs, os::unix::fs::PermissionsExt, process};
        let file = env::temp_dir().join(format!("{name}-{}", process::id()));
        fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        let credentials = credentials_from(&file.to_string_lossy(), Some("work"));
        fs::remove_file(&file).unwrap();
        credentials
    }

    #[test]
    fn a_profile_has_credentials() {
        let script = r#"
            [ "$*" = "configure export-credentials --format process --profile work" ] || exit 9
            echo '{"Version": 1, "AccessKeyId": "AKIA", "SecretAccessKey": "s", "Expiration": "x"}'
        "#;
        let credentials = credentials_of("gives-a-key", script).unwrap();
        assert_eq!(credentials.access_key_id, "AKIA");
        assert_eq!(credentials.secret_access_key.expose(), "s");
        assert!(credentials.session_token.is_none());
    }

    #[test]
    fn a_failure_is_told_in_the_programs_own_words() {
        let refusal = credentials_of("fails", "echo 'The SSO session has expired.' >&2; exit 255");
        assert!(refusal.unwrap_err().ends_with("failed: The SSO session has expired."));
    }

    #[test]
    fn what_cannot_be_read_is_not_repeated() {
        let refusal = credentials_of("rambles", "echo '{\"SecretAccessKey\": 123}'").unwrap_err();
        assert!(refusal.ends_with("configure export-credentials` gave something else"));
    }

    #[test]
    fn a_missing_program_is_named_with_the_other_way() {
        let refusal = credentials_from("no-such-aws", None).unwrap_err();
        assert!(refusal.contains("no `no-such-aws` program"), "{refusal}");
        assert!(refusal.contains("AWS_ACCESS_KEY_ID"), "{refusal}");
    }
}

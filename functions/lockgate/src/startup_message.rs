//! What `serve` prints once it listens: where, as whom to sign in, and what to try.

use std::io::{self, Write};

use admin::FIRST_OPERATOR;
use storage::Secret;

use crate::{config_from_environment::KEY_VARIABLE, settings::Origin};

/// What there is to say at the start.
#[derive(Debug)]
pub(crate) struct Greeting {
    /// The password of the first operator, if one was just made.
    password: Option<Secret>,
    /// What to try, where there is no file.
    trial: Option<Trial>,
}

/// A first call.
#[derive(Debug)]
struct Trial {
    /// Why there is something to try.
    reason: String,
    key: String,
    model: String,
}

impl Greeting {
    /// The greeting of a server whose configuration comes from here.
    pub(crate) fn of(origin: &Origin, password: Option<Secret>) -> Self {
        let trial = match origin {
            Origin::File(_) => None,
            Origin::Demonstration => Some(Trial {
                reason: "There is no config.yaml, so this is the demonstration.".to_owned(),
                key: "demo".to_owned(),
                model: "demo".to_owned(),
            }),
            Origin::Environment(found) => {
                let of = |it: &crate::config_from_environment::FoundProvider| {
                    format!("{} ({})", it.kind.name, it.variable)
                };
                let providers: Vec<String> = found.providers.iter().map(of).collect();
                let first = found.providers.first();
                let model = first.and_then(|it| {
                    Some(format!("{}/{}", it.kind.name, it.kind.known_models().first()?))
                });
                Some(Trial {
                    reason: format!(
                        "There is no config.yaml. Found in the environment: {}; {} models by their \
                         names, every other as PROVIDER/MODEL.\nThe key of your clients is {} \
                         (set {KEY_VARIABLE} to keep it; `lockgate init` writes a config.yaml).",
                        providers.join(", "),
                        found.models,
                        found.client_key.expose()
                    ),
                    key: found.client_key.expose().to_owned(),
                    model: model.unwrap_or_else(|| "MODEL".to_owned()),
                })
            }
        };
        Self { password, trial }
    }

    /// Prints the greeting of a server at this URL.
    pub(crate) fn print(&self, url: &str, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "Lockgate listens on {url}")?;
        if let Some(password) = &self.password {
            let password = password.expose();
            writeln!(
                out,
                "Sign in at {url}/admin as `{FIRST_OPERATOR}` with the password {password}\n\
                 It is not shown again; `lockgate admin reset-password` makes another one."
            )?;
        }
        if let Some(Trial { reason, key, model }) = &self.trial {
            writeln!(
                out,
                "{reason} Try:\n\n  \
                 curl -iN {url}/v1/chat/completions \\\n    \
                 -H 'Authorization: Bearer {key}' -H 'Content-Type: application/json' \\\n    \
                 -d '{{\"model\": \"{model}\", \"stream\": true, \"messages\": \
                 [{{\"role\": \"user\", \"content\": \"Hello\"}}]}}'\n"
            )?;
        }
        out.flush()
    }
}

//! `lockgate admin`: operators, for whoever can reach the store.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use admin::FIRST_OPERATOR;
use clap::{Args, Subcommand};
use edge::settings::now_ms;

use crate::{admin_client::Target, commands::Failure};

/// What to do with operators.
#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make a new password for an operator, print it, and end the operator's sessions
    ResetPassword {
        /// The operator
        #[arg(default_value = FIRST_OPERATOR)]
        name: String,
    },
}

/// Does what was asked.
pub(crate) async fn run(options: Options) -> Result<ExitCode, Failure> {
    let (Action::ResetPassword { name }, target) = (&options.action, &options.target);
    // Whoever can ask a gateway for this has a password already.
    if let Some(url) = target.address()? {
        let message = format!(
            "a password is made anew where the gateway's data is, and not over {url}: name its file \
             with --data, or its stack with --aws, without --url and LOCKGATE_URL"
        );
        return Err(Failure::Usage(message));
    }
    let stores = target.existing_stores().await?;
    let configured = target.configured_operators(&*stores.config).await;
    let made = admin::reset_password(stores.config, name, &configured, now_ms() / 1000).await;
    let password = made.map_err(|problem| Failure::Other(problem.to_string()))?;
    writeln!(io::stdout(), "{}", password.expose())?;
    Ok(ExitCode::SUCCESS)
}

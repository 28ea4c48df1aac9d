//! The whole gateway as one program: every endpoint on one port, and the operator's commands.

mod admin_client;
mod admin_command;
mod aws_account;
mod aws_parameters;
mod call_log;
mod check;
mod commands;
mod completions;
mod config_from_environment;
mod config_watch;
mod explain;
mod export;
mod health;
mod import;
mod init;
mod keys;
mod listen;
mod litellm_prices;
mod models;
mod output;
mod prices;
mod private_file;
mod progress;
mod provider_check;
mod requests;
mod root_secret;
mod serve;
mod settings;
mod single_dash_options;
mod startup_message;
mod tenants;
mod top;
mod usage;

use std::{ffi::OsStr, process::ExitCode};

use clap::{CommandFactory, FromArgMatches, Parser, builder::Resettable};
use edge::settings::Environment;

/// The version, with the commit and the time of the build where whoever built it has named them.
const VERSION: &str = match option_env!("LOCKGATE_VERSION") {
    Some(version) if !version.is_empty() => version,
    _ => env!("CARGO_PKG_VERSION"),
};

/// What the operator typed.
#[derive(Debug, Parser)]
#[command(
    name = "lockgate",
    version = VERSION,
    about = "An AI gateway that costs nothing while nobody calls it"
)]
struct Arguments {
    #[command(flatten)]
    serve: serve::Options,
    #[command(subcommand)]
    command: Option<commands::Command>,
}

fn main() -> ExitCode {
    let typed = single_dash_options::with_two_dashes(std::env::args_os());
    let known = with_set_variables(Arguments::command(), &Environment::of_process());
    let matches = known.get_matches_from(typed);
    let parsed = Arguments::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let Arguments { serve, command } = parsed;
    let command = command.unwrap_or(commands::Command::Serve(serve));
    match commands::run(command) {
        Ok(code) => code,
        Err(failure) => {
            failure.print();
            failure.code()
        }
    }
}

/// A command that looks at the variables alone that are set and not empty: an empty one counts as unset.
fn with_set_variables(command: clap::Command, environment: &Environment) -> clap::Command {
    let is_set = |name: &OsStr| name.to_str().is_some_and(|name| environment.get(name).is_some());
    let command = command.mut_args(|argument| match argument.get_env() {
        Some(name) if !is_set(name) => argument.env(Resettable::Reset),
        Some(_) | None => argument,
    });
    command.mut_subcommands(|command| with_set_variables(command, environment))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_names_variables_and_settings_as_they_are_typed() {
        let mut commands = vec![Arguments::command()];
        while let Some(mut command) = commands.pop() {
            let help = command.render_long_help().to_string();
            for marked in ["$`", "'`", "`LiteLLM`"] {
                assert!(!help.contains(marked), "{help}");
            }
            commands.extend(command.get_subcommands().cloned());
        }
    }
}

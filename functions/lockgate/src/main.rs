//! The whole gateway as one program: every endpoint on one port, and the operator's commands.

mod account;
mod apply;
mod check;
mod commands;
mod explain;
mod export;
mod parameters;
mod serve;
mod settings;

use std::process::ExitCode;

use clap::Parser;

/// What the operator typed.
#[derive(Debug, Parser)]
#[command(
    name = "lockgate",
    version,
    about = "An AI gateway that costs nothing while nobody calls it"
)]
struct Arguments {
    #[command(flatten)]
    serve: serve::Options,
    #[command(subcommand)]
    command: Option<commands::Command>,
}

fn main() -> ExitCode {
    let Arguments { serve, command } = Arguments::parse();
    let command = command.unwrap_or(commands::Command::Serve(serve));
    match commands::run(command) {
        Ok(code) => code,
        Err(failure) => {
            failure.print();
            failure.code()
        }
    }
}

//! `lockgate completions` and `lockgate man`: what a shell and `man` know about the commands.

use std::{fs, io, path::PathBuf, process::ExitCode};

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::{Arguments, commands::Failure};

/// Which shell completes.
#[derive(Debug, Args)]
pub(crate) struct CompletionOptions {
    /// The shell; its completions are printed
    shell: Shell,
}

/// Where manual pages go.
#[derive(Debug, Args)]
pub(crate) struct ManOptions {
    /// The folder to write a page for every command into; without it, the first page is printed
    #[arg(value_name = "FOLDER")]
    folder: Option<PathBuf>,
}

/// Prints the completions of a shell.
pub(crate) fn completions(options: &CompletionOptions) -> ExitCode {
    clap_complete::generate(
        options.shell,
        &mut Arguments::command(),
        "lockgate",
        &mut io::stdout(),
    );
    ExitCode::SUCCESS
}

/// Writes the manual pages.
pub(crate) fn man(options: ManOptions) -> Result<ExitCode, Failure> {
    let command = Arguments::command();
    match options.folder {
        None => clap_mangen::Man::new(command).render(&mut io::stdout())?,
        Some(folder) => {
            fs::create_dir_all(&folder)?;
            clap_mangen::generate_to(command, &folder)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

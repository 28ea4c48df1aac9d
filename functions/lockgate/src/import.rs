//! `lockgate import`: the files of another gateway as a configuration, and what it could not carry
//! over.

use std::{
    fmt, fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use clap::Args;
use import::{SourceFile, import};
use storage::sqlite::{FILE_HEADER, read_foreign_table};

use crate::{
    commands::{Failure, note},
    output::printable,
    private_file::{append_variables, write_new},
    progress::Progress,
};

/// What to import.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Files of LiteLLM, Claude Code Router, Portkey, Helicone, OpenRouter or another gateway, and the
    /// database of `DatanoiseTV/aigateway`
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Where the configuration goes [default: standard output]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// A file of variables that keys which stand in the files are added to
    #[arg(long, value_name = "FILE", default_value = ".env")]
    secrets: PathBuf,
    /// Replace the output
    #[arg(long)]
    force: bool,
}

/// Imports files. What is not as it was goes to the standard error output, a line each.
pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    let mut texts = vec![];
    for path in &options.files {
        texts.push((path.display().to_string(), read(path)?));
    }
    let files: Vec<SourceFile<'_>> =
        texts.iter().map(|(name, text)| SourceFile { name, text }).collect();
    let progress = Progress::start("importing");
    let imported = import(&files).map_err(|error| Failure::Usage(error.to_string()))?;
    drop(progress);

    // What was imported has to be a configuration, whatever its variables hold. Values are not known here; a URL fits every place that a variable may have.
    let variables = |name: &str| Some(format!("https://{}.example", name.replace('_', "-")));
    if let Err(errors) = config::read(&imported.yaml, &variables, &gateway::kinds()) {
        note(&format!("What was imported still has faults; mend them:\n{errors}"));
    }

    match &options.output {
        Some(path) => write_new(path, &imported.yaml, options.force)?,
        None => io::stdout().write_all(imported.yaml.as_bytes())?,
    }
    // After the configuration, which may be there already and must not be replaced.
    keep_secrets(&imported.secrets, options)?;
    let mut errors = io::stderr().lock();
    for note in &imported.notes {
        writeln!(errors, "{}", printable(&note.to_string()))?;
    }
    Ok(())
}

/// The text of a file; of a database of clients the table of these as JSON.
fn read(path: &Path) -> Result<String, Failure> {
    let named = |error: &dyn fmt::Display| Failure::Usage(format!("{}: {error}", path.display()));
    let bytes = fs::read(path).map_err(|error| named(&error))?;
    if bytes.starts_with(FILE_HEADER) {
        let clients = read_foreign_table(path, "clients").map_err(|error| named(&error))?;
        return Ok(format!("{{\"clients\":{clients}}}"));
    }
    String::from_utf8(bytes).map_err(|error| named(&error.utf8_error()))
}

/// Adds keys to the file of variables, if there is a configuration that they are for.
fn keep_secrets(secrets: &[(String, String)], options: &Options) -> Result<(), Failure> {
    let Some(first) = secrets.first() else { return Ok(()) };
    let path: &Path = &options.secrets;
    // Printed to a pipe, the configuration has no folder in which a file of keys belongs.
    if options.output.is_none() {
        let message = format!(
            "{} key(s) stand in the files themselves, such as the one that is {} now; with \
             --output they are added to {}",
            secrets.len(),
            first.0,
            path.display()
        );
        note(&message);
        return Ok(());
    }

    let kept = append_variables(path, secrets)?;
    for name in &kept {
        note(&format!("{name} is in {} already and stays as it is", path.display()));
    }
    let added = secrets.len() - kept.len();
    note(&format!("{added} key(s) were added to {}", path.display()));
    Ok(())
}

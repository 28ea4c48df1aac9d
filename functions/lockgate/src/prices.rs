//! `lockgate prices`: what the models in use cost, and which have no price.

use std::{fs, io, path::PathBuf, process::ExitCode};

use admin::Operation;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::{
    admin_client::{AdminClient, Call, IfMissing, Target},
    commands::{Failure, note},
    litellm_prices,
    output::{Column, Output, print_item, print_items},
};

const COLUMNS: [Column; 7] = [
    ("PROVIDER", "provider"),
    ("MODEL", "model"),
    ("INPUT", "input"),
    ("OUTPUT", "output"),
    ("CACHED", "cached_input"),
    ("CACHE WRITE", "cache_write"),
    ("SOURCE", "source"),
];

/// What to do with prices. They are in dollars per million tokens.
#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the prices of the models in use
    List,
    /// List the models in use that have no price; fails if there are any
    Check,
    /// Name the price of a model in the configuration
    Set {
        /// The provider's name in the configuration
        provider: String,
        /// The provider's name for the model
        model: String,
        /// For a million tokens that are read
        #[arg(long)]
        input: f64,
        /// For a million tokens that are written
        #[arg(long)]
        output: f64,
        /// For a million tokens that are read from the provider's cache
        #[arg(long)]
        cached_input: Option<f64>,
        /// For a million tokens that are written to the provider's cache
        #[arg(long)]
        cache_write: Option<f64>,
    },
    /// Name prices from LiteLLM's file of prices, for the models in use that have none
    Import {
        /// LiteLLM's `model_prices_and_context_window.json`
        file: PathBuf,
    },
}

/// Does what was asked.
pub(crate) async fn run(options: Options) -> Result<ExitCode, Failure> {
    let if_missing = match &options.action {
        Action::List | Action::Check => IfMissing::Ignore,
        Action::Set { .. } | Action::Import { .. } => IfMissing::Make,
    };
    let client = options.target.open(if_missing).await?;
    let output = Output::from(options.target.json);
    let mut out = io::stdout();
    match &options.action {
        Action::List => print_items(&prices(&client).await?, &COLUMNS, output, &mut out)?,
        Action::Check => {
            let unpriced = unpriced(&client).await?;
            print_items(&unpriced, &COLUMNS[..2], output, &mut out)?;
            // For scripts: they stop before calls are made whose cost nobody knows.
            if !unpriced.is_empty() {
                return Ok(ExitCode::from(1));
            }
        }
        Action::Set { provider, model, input, output: written, cached_input, cache_write } => {
            let body = json!({
                "provider": provider, "model": model, "input": input, "output": written,
                "cached_input": cached_input, "cache_write": cache_write,
            });
            let change = set(&client, body).await?;
            print_change(&change, output, &mut out)?;
        }
        Action::Import { file } => import(&client, file).await?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints what a change of the configuration did: its difference line by line.
fn print_change(change: &Value, output: Output, out: &mut impl io::Write) -> io::Result<()> {
    let (Output::Table, Value::Object(fields)) = (output, change) else {
        return print_item(change, output, out);
    };
    let mut rest = fields.clone();
    let diff = rest.remove("diff");
    print_item(&Value::Object(rest), output, out)?;
    diff.map_or(Ok(()), |diff| print_item(&diff, output, out))
}

async fn prices(client: &AdminClient) -> Result<Vec<Value>, Failure> {
    client.items(Operation::ListPrices, Call::default(), "prices").await
}

async fn unpriced(client: &AdminClient) -> Result<Vec<Value>, Failure> {
    let mut prices = prices(client).await?;
    prices.retain(|price| price["source"] == "none");
    Ok(prices)
}

async fn set(client: &AdminClient, body: Value) -> Result<Value, Failure> {
    client.call(Operation::SetPrice, Call { body: Some(body), ..Call::default() }).await
}

async fn import(client: &AdminClient, file: &PathBuf) -> Result<(), Failure> {
    let unreadable =
        |error: &dyn std::fmt::Display| Failure::Usage(format!("{}: {error}", file.display()));
    let text = fs::read_to_string(file).map_err(|error| unreadable(&error))?;
    let list: Value = serde_json::from_str(&text).map_err(|error| unreadable(&error))?;

    // Only models without a price, so that what an operator has named stays.
    for wanted in unpriced(client).await? {
        let name = |field: &str| wanted[field].as_str().unwrap_or_default().to_owned();
        let (provider, model) = (name("provider"), name("model"));
        match litellm_prices::find(&list, &provider, &model) {
            Some(price) => {
                set(client, price).await?;
                note(&format!("{provider} {model}: named"));
            }
            None => note(&format!("{provider} {model}: the file has no price")),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_printed_as_lines() {
        let change = json!({ "version": "a1", "diff": "-a: 1\n+a: \u{1b}2\n" });
        let mut out = vec![];
        print_change(&change, Output::Table, &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "version  a1\n-a: 1\n+a: \\u{1b}2\n");
    }
}

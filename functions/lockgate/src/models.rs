//! `lockgate models`: what each provider lists as its models.

use std::{io, process::ExitCode};

use admin::Operation;
use clap::Args;
use serde_json::{Value, json};

use crate::{
    admin_client::{Call, IfMissing, Target},
    commands::{Failure, note},
    output::{Column, Output, print_items},
};

const COLUMNS: [Column; 2] = [("PROVIDER", "provider"), ("MODEL", "model")];

/// Whose models to list.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// One provider's, by its name in the configuration [default: everybody's]
    provider: Option<String>,
    #[command(flatten)]
    target: Target,
}

/// Lists models; fails if a provider did.
pub(crate) async fn run(options: Options) -> Result<ExitCode, Failure> {
    let client = options.target.open(IfMissing::Ignore).await?;
    let listed = client.items(Operation::ListUpstreamModels, Call::default(), "providers").await?;
    let is_wanted =
        |it: &&Value| options.provider.as_deref().is_none_or(|provider| it["provider"] == provider);
    let wanted: Vec<&Value> = listed.iter().filter(is_wanted).collect();

    if let (Some(provider), true) = (&options.provider, wanted.is_empty()) {
        let known: Vec<&str> = listed.iter().filter_map(|it| it["provider"].as_str()).collect();
        let message = format!("there is no provider {provider} (known: {})", known.join(", "));
        return Err(Failure::Usage(message));
    }

    let mut rows = vec![];
    for provider in &wanted {
        if let Some(error) = provider["error"].as_str() {
            let name = provider["provider"].as_str().unwrap_or_default();
            // To standard error, so that a list in a pipe stays one.
            note(&format!("{name}: {error}"));
        }
        let models = provider["models"].as_array().into_iter().flatten();
        rows.extend(
            models.map(|model| json!({ "provider": provider["provider"], "model": model })),
        );
    }

    print_items(&rows, &COLUMNS, Output::from(options.target.json), &mut io::stdout())?;
    let has_failed = wanted.iter().any(|it| it["status"] == "failed");
    Ok(if has_failed { ExitCode::from(1) } else { ExitCode::SUCCESS })
}

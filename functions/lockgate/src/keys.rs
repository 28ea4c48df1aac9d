//! `lockgate keys`: the keys of a tenant.

use std::{io, process::ExitCode};

use admin::Operation;
use clap::{Args, Subcommand};
use serde_json::json;

use crate::{
    admin_client::{Call, IfMissing, Target},
    commands::Failure,
    output::{Column, Output, print_item, print_items},
};

const COLUMNS: [Column; 7] = [
    ("ID", "id"),
    ("NAME", "name"),
    ("PREFIX", "prefix"),
    ("ENDS IN", "last_four"),
    ("CREATED", "created_at"),
    ("EXPIRES", "expires_at"),
    ("LAST USED", "last_used_at"),
];

/// What to do with keys.
#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the keys of a tenant
    List {
        /// The tenant's id or name
        tenant: String,
    },
    /// Make a key and print it, once
    Create {
        /// The tenant's id or name
        tenant: String,
        /// A name for the key
        #[arg(long)]
        name: Option<String>,
        /// What the key begins with, in place of the tenant's own prefix
        #[arg(long)]
        prefix: Option<String>,
        /// After how many seconds the key ends
        #[arg(long)]
        expires_in_seconds: Option<u64>,
    },
    /// Remove a key
    Revoke {
        /// The tenant's id or name
        tenant: String,
        /// The key's id
        key: String,
    },
}

/// Does what was asked.
pub(crate) async fn run(options: Options) -> Result<ExitCode, Failure> {
    let client = options.target.open(IfMissing::Refuse).await?;
    let output = Output::from(options.target.json);
    let mut out = io::stdout();
    match &options.action {
        Action::List { tenant } => {
            let call = Call { parameters: &[tenant], ..Call::default() };
            let keys = client.items(Operation::ListKeys, call, "keys").await?;
            print_items(&keys, &COLUMNS, output, &mut out)?;
        }
        Action::Create { tenant, name, prefix, expires_in_seconds } => {
            let body = json!({
                "name": name, "prefix": prefix, "expires_in_seconds": expires_in_seconds
            });
            let call = Call { parameters: &[tenant], body: Some(body), ..Call::default() };
            let made = client.call(Operation::CreateKey, call).await?;
            print_item(&made, output, &mut out)?;
        }
        Action::Revoke { tenant, key } => {
            let call = Call { parameters: &[tenant, key], ..Call::default() };
            client.call(Operation::RevokeKey, call).await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

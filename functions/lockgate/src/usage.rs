//! `lockgate usage`: what tenants used and spent.

use std::{io, process::ExitCode};

use admin::Operation;
use clap::Args;

use crate::{
    admin_client::{Call, IfMissing, Target},
    commands::Failure,
    output::{Column, Output, print_item, print_items},
};

const COLUMNS: [Column; 10] = [
    ("TENANT", "tenant_id"),
    ("NAME", "name"),
    ("CALLS", "request_count"),
    ("IN", "input_tokens"),
    ("OUT", "output_tokens"),
    ("SPENT", "total_cost_usd"),
    ("HELD", "held_usd"),
    ("BUDGET", "budget_usd"),
    ("LEFT", "remaining_usd"),
    ("UNTIL", "period_end"),
];

/// Whose usage to show.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// One tenant's, by id or name [default: everybody's]
    tenant: Option<String>,
    #[command(flatten)]
    target: Target,
}

/// Shows usage.
pub(crate) async fn run(options: Options) -> Result<ExitCode, Failure> {
    let client = options.target.open(IfMissing::Refuse).await?;
    let output = Output::from(options.target.json);
    let mut out = io::stdout();
    if let Some(tenant) = &options.tenant {
        let call = Call { parameters: &[tenant], ..Call::default() };
        let usage = client.call(Operation::ReadTenantUsage, call).await?;
        print_item(&usage, output, &mut out)?;
        return Ok(ExitCode::SUCCESS);
    }

    let usage = client.list(Operation::ReadUsage, "tenants").await?;
    print_items(&usage, &COLUMNS, output, &mut out)?;
    Ok(ExitCode::SUCCESS)
}

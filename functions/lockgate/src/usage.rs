//! `lockgate usage`: what tenants used and spent.

use std::{io, process::ExitCode};

use admin::Operation;
use clap::Args;
use serde_json::Value;

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
    match output {
        Output::Json => print_items(&usage, &COLUMNS, output, &mut out)?,
        Output::Table => {
            let shown: Vec<Value> = usage.into_iter().map(with_money).collect();
            print_items(&shown, &COLUMNS, output, &mut out)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A tenant's usage with its dollars as people read them; what has no price is none.
fn with_money(mut usage: Value) -> Value {
    let unpriced = usage["unpriced_count"].as_u64().unwrap_or(0);
    for field in ["total_cost_usd", "held_usd", "budget_usd", "remaining_usd"] {
        let Some(dollars) = usage[field].as_f64() else { continue };
        let is_unknown = field == "total_cost_usd" && dollars == 0.0 && 0 < unpriced;
        usage[field] = if is_unknown { Value::Null } else { format!("${dollars:.6}").into() };
    }
    usage
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn dollars_are_written_out_and_unknown_ones_are_not() {
        let usage =
            with_money(json!({ "total_cost_usd": 9e-6, "budget_usd": 5, "held_usd": null }));
        assert_eq!(usage["total_cost_usd"], "$0.000009");
        assert_eq!((&usage["budget_usd"], &usage["held_usd"]), (&json!("$5.000000"), &Value::Null));
        let unknown = with_money(json!({ "total_cost_usd": 0.0, "unpriced_count": 2 }));
        assert_eq!(unknown["total_cost_usd"], Value::Null);
    }
}

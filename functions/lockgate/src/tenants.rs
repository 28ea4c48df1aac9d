//! `lockgate tenants`: whom the gateway serves, and what each may use and spend.

use std::{io, process::ExitCode};

use admin::Operation;
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use crate::{
    admin_client::{Call, IfMissing, Target},
    commands::Failure,
    output::{Column, Output, print_item, print_items},
};

const COLUMNS: [Column; 6] = [
    ("ID", "id"),
    ("NAME", "name"),
    ("ENABLED", "enabled"),
    ("RPM", "rate_limit_rpm"),
    ("BUDGET", "budget_usd"),
    ("SOURCE", "source"),
];

/// What to do with tenants.
#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List every tenant
    List,
    /// Show one tenant
    Show {
        /// The id or the name
        tenant: String,
    },
    /// Make a tenant, and print its first key
    Create {
        /// The name
        name: String,
        #[arg(
            value_name = "FIELD=VALUE",
            help = "Settings, such as rate_limit_rpm=60 or 'allowed_models=[\"gpt-*\"]'; a value - is \
                    read from standard input"
        )]
        settings: Vec<String>,
    },
    /// Change settings; FIELD= removes one
    Set {
        /// The id or the name
        tenant: String,
        #[arg(
            value_name = "FIELD=VALUE",
            required = true,
            help = "Settings, such as rate_limit_rpm=60; a value - is read from standard input"
        )]
        settings: Vec<String>,
    },
    /// Remove a tenant and its keys
    Delete {
        /// The id or the name
        tenant: String,
    },
    /// Let a tenant's keys work
    Enable {
        /// The id or the name
        tenant: String,
    },
    /// Keep a tenant's keys from working
    Disable {
        /// The id or the name
        tenant: String,
    },
    /// Make a new key in the place of the present one, which lives on for a while
    RotateKey {
        /// The id or the name
        tenant: String,
        /// How long the present key lives on, in seconds
        #[arg(long, default_value_t = admin::DEFAULT_GRACE_SECONDS)]
        grace_seconds: u64,
    },
    /// Correct what a tenant has spent, such as -1.50
    Adjust {
        /// The id or the name
        tenant: String,
        /// Dollars to add to what is spent; less than 0 gives money back
        #[arg(allow_negative_numbers = true)]
        amount_usd: f64,
        /// How many dollars of what was charged for lost calls this corrects
        #[arg(long, value_name = "USD")]
        of_lost: Option<f64>,
        /// The month or the day to correct, such as 2026-11 or 2026-11-28 [default: the present one]
        #[arg(long)]
        period: Option<String>,
        /// A name for the correction, under which it is made once
        #[arg(long)]
        id: Option<String>,
        /// Why, for the audit
        #[arg(long)]
        reason: Option<String>,
    },
}

/// Does what was asked.
pub(crate) async fn run(options: Options) -> Result<ExitCode, Failure> {
    let client = options.target.open(IfMissing::Refuse).await?;
    let output = Output::from(options.target.json);
    let mut out = io::stdout();
    let (operation, tenant, body) = match &options.action {
        Action::List => {
            let tenants = client.list(Operation::ListTenants, "tenants").await?;
            print_items(&tenants, &COLUMNS, output, &mut out)?;
            return Ok(ExitCode::SUCCESS);
        }
        Action::Show { tenant } => (Operation::ReadTenant, Some(tenant), None),
        Action::Create { name, settings } => {
            let mut body = fields(settings)?;
            body.insert("name".to_owned(), json!(name));
            (Operation::CreateTenant, None, Some(Value::Object(body)))
        }
        Action::Set { tenant, settings } => {
            let body = Value::Object(fields(settings)?);
            (Operation::UpdateTenant, Some(tenant), Some(body))
        }
        Action::Delete { tenant } => (Operation::DeleteTenant, Some(tenant), None),
        Action::Enable { tenant } => (Operation::EnableTenant, Some(tenant), None),
        Action::Disable { tenant } => (Operation::DisableTenant, Some(tenant), None),
        Action::RotateKey { tenant, grace_seconds } => {
            let body = json!({ "grace_seconds": grace_seconds });
            (Operation::RotateKey, Some(tenant), Some(body))
        }
        Action::Adjust { tenant, amount_usd, of_lost, period, id, reason } => {
            let body = json!({
                "amount_usd": amount_usd, "of_lost_usd": of_lost, "period": period, "id": id,
                "reason": reason,
            });
            (Operation::AdjustTenant, Some(tenant), Some(body))
        }
    };

    let parameters: Vec<&str> = tenant.map(String::as_str).into_iter().collect();
    let call = Call { parameters: &parameters, body, ..Call::default() };
    print_item(&client.call(operation, call).await?, output, &mut out)?;
    Ok(ExitCode::SUCCESS)
}

/// Settings as a JSON object. A value that is no JSON is a text, and an empty one removes the field.
fn fields(settings: &[String]) -> Result<Map<String, Value>, Failure> {
    let mut fields = Map::new();
    for setting in settings {
        let Some((field, value)) = setting.split_once('=') else {
            return Err(Failure::Usage(format!("`{setting}` is not of the form FIELD=VALUE")));
        };
        let value = match value {
            "" => Value::Null,
            // What stands on a command line is seen by everybody on the machine.
            "-" => {
                let read = io::read_to_string(io::stdin())?;
                json!(read.trim_end())
            }
            // `true` and `60` are JSON; a name needs no quotes in a shell.
            text => serde_json::from_str(text).unwrap_or_else(|_| json!(text)),
        };
        fields.insert(field.to_owned(), value);
    }
    Ok(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_json_or_texts() {
        let settings = ["a=60", "b=[\"x\"]", "c=plain text", "d=", "e=x=y"].map(str::to_owned);
        let read = Value::Object(fields(&settings).unwrap_or_default());
        let expected = json!({"a": 60, "b": ["x"], "c": "plain text", "d": null, "e": "x=y"});
        assert_eq!(read, expected);
        assert!(fields(&["x".to_owned()]).is_err());
    }
}

//! `lockgate top`: what the gateway does right now: rates, spend, cooldowns.

use std::{
    collections::BTreeMap,
    io::{self, IsTerminal, Write},
    process::ExitCode,
    time::Duration,
};

use clap::Args;
use edge::settings::now_ms;
use serde_json::{Value, json};
use storage::{Query, StoreError, Stores};
use telemetry::{
    RequestLog,
    request_log::{CallFilter, CallRow, Cursor},
};

use crate::{
    commands::Failure,
    requests::{Colors, LogOptions, dollars},
};

/// How often the view is drawn anew.
const POLL: Duration = Duration::from_secs(2);
/// How far back calls are looked at, in milliseconds.
const WINDOW_MS: u64 = 60_000;
/// The partition of the state table that holds cooldowns.
const COOLDOWNS: &str = "cooldown";

/// What to show.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Show it once
    #[arg(long)]
    once: bool,
    /// One JSON object each time
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    log: LogOptions,
}

/// What calls of one target or tenant came to in the last minute.
#[derive(Debug, Default, PartialEq, Eq)]
struct Rate {
    calls: u64,
    failed: u64,
    tokens: u64,
    cost: u64,
    slowest_ms: u64,
}

/// The last minute.
#[derive(Debug, Default)]
struct View {
    total: Rate,
    targets: BTreeMap<String, Rate>,
    tenants: BTreeMap<String, Rate>,
    /// What cools down, and for how many seconds more.
    cooldowns: Vec<(String, u64)>,
}

/// Shows the last minute until it is interrupted.
pub(crate) async fn top(options: Options) -> Result<ExitCode, Failure> {
    let stores = options.log.stores().await?;
    let colors = Colors::of_terminal();
    // In a pipe, a view that is drawn anew for ever has no reader.
    let once = options.once || !(options.json || io::stdout().is_terminal());
    loop {
        let view = view(&stores, now_ms()).await;
        let view = view.map_err(|error| Failure::Other(error.to_string()))?;
        let mut out = io::stdout();
        if options.json {
            writeln!(out, "{}", view.to_json())?;
        } else {
            if !once {
                // Clears the terminal.
                write!(out, "\u{1b}[2J\u{1b}[H")?;
            }
            view.print(colors, &mut out)?;
        }
        out.flush()?;
        if once {
            return Ok(ExitCode::SUCCESS);
        }
        tokio::time::sleep(POLL).await;
    }
}

async fn view(stores: &Stores, now: u64) -> Result<View, StoreError> {
    let log = RequestLog::new(stores.state.clone());
    let filter = CallFilter::default();
    let mut view = View::default();

    let mut cursor = Cursor::moment(now.saturating_sub(WINDOW_MS));
    loop {
        let tail = log.after(&cursor, &filter, now).await?;
        if tail.rows.is_empty() {
            break;
        }
        tail.rows.iter().for_each(|row| view.add(row));
        cursor = tail.cursor;
    }

    let rows = stores.state.query(&Query::partition(COOLDOWNS, now / 1000)).await?.rows;
    view.cooldowns = rows.iter().filter_map(|row| cooldown(&row.value, now)).collect();
    Ok(view)
}

/// What cools down by a row of the store, and for how many seconds more.
fn cooldown(value: &str, now: u64) -> Option<(String, u64)> {
    let cooldown: routing::SharedCooldown = serde_json::from_str(value).ok()?;
    let left = cooldown.until.checked_sub(now)?.div_ceil(1000);
    let name = format!("{}/{} (key {})", cooldown.provider, cooldown.model, cooldown.key);
    Some((name, left))
}

impl Rate {
    fn add(&mut self, row: &CallRow) {
        let tokens = row.tokens();
        self.calls += 1;
        self.failed += u64::from(row.has_failed());
        self.tokens += tokens.all_input() + tokens.all_output();
        self.cost += row.cost.unwrap_or_default();
        self.slowest_ms = self.slowest_ms.max(row.total_ms);
    }

    fn to_json(&self) -> Value {
        json!({
            "calls": self.calls,
            "failed": self.failed,
            "tokens": self.tokens,
            "cost_usd": dollars(self.cost).trim_start_matches('$'),
            "slowest_ms": self.slowest_ms,
        })
    }
}

impl View {
    fn add(&mut self, row: &CallRow) {
        let target = match (&row.provider, &row.sent_model) {
            (Some(provider), Some(model)) => format!("{provider}/{model}"),
            _ => "none".to_owned(),
        };
        let tenant = row.tenant.clone().unwrap_or_else(|| "none".to_owned());

        self.total.add(row);
        self.targets.entry(target).or_default().add(row);
        self.tenants.entry(tenant).or_default().add(row);
    }

    fn to_json(&self) -> Value {
        let rates = |rates: &BTreeMap<String, Rate>| -> Value {
            rates.iter().map(|(name, rate)| (name.clone(), rate.to_json())).collect()
        };
        let cooldowns = self.cooldowns.iter();
        let cooldowns: Vec<Value> =
            cooldowns.map(|(what, left)| json!({ "what": what, "seconds_left": left })).collect();
        json!({
            "seconds": WINDOW_MS / 1000,
            "total": self.total.to_json(),
            "targets": rates(&self.targets),
            "tenants": rates(&self.tenants),
            "cooldowns": cooldowns,
        })
    }

    fn print(&self, colors: Colors, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "The last {} s", WINDOW_MS / 1000)?;
        let head = ["calls", "failed", "tokens", "spend", "slowest"]
            .map(|it| format!("{it:>10}"))
            .concat();

        for (title, rates) in [("TARGET", &self.targets), ("TENANT", &self.tenants)] {
            writeln!(out, "\n{title:<40}{head}")?;
            for (name, rate) in rates {
                writeln!(out, "{}", line(name, rate, colors))?;
            }
        }
        writeln!(out, "{}", line("all", &self.total, colors))?;
        for (what, left) in &self.cooldowns {
            let text = format!("{what} cools down for {left} s more");
            writeln!(out, "{}", colors.by_outcome(&text, false))?;
        }
        Ok(())
    }
}

fn line(name: &str, rate: &Rate, colors: Colors) -> String {
    let Rate { calls, failed, tokens, cost, slowest_ms } = rate;
    let failed = colors.by_outcome(&format!("{failed:>10}"), *failed == 0);
    let cost = dollars(*cost);
    format!("{name:<40}{calls:>10}{failed}{tokens:>10}{cost:>10}{:>10}", format!("{slowest_ms}ms"))
}

//! `lockgate top`: what the gateway does right now: rates, spend, cooldowns.

use std::{
    collections::BTreeMap,
    io::{self, IsTerminal, Write},
    process::ExitCode,
    time::Duration,
};

use clap::Args;
use serde_json::{Value, json};

use crate::{
    admin_client::Target,
    call_log::{CallLog, Filter, tenant_name},
    commands::Failure,
    output::{printable, printable_json},
    requests::{Colors, has_failed, tokens},
};

/// How often the view is drawn anew.
const POLL: Duration = Duration::from_secs(2);
/// How far back calls are looked at, in seconds.
const WINDOW_SECONDS: u64 = 60;
/// How many calls are read at once.
const PAGE: usize = 100;

/// What to show.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Show it once
    #[arg(long)]
    once: bool,
    /// Calls of this tenant, by id or name
    #[arg(long)]
    tenant: Option<String>,
    #[command(flatten)]
    target: Target,
}

/// What calls of one target or tenant came to in the last minute.
#[derive(Debug, Default, PartialEq)]
struct Rate {
    calls: u64,
    failed: u64,
    tokens: u64,
    cost_usd: f64,
    slowest_ms: u64,
}

/// The last minute.
#[derive(Debug, Default)]
struct View {
    total: Rate,
    targets: BTreeMap<String, Rate>,
    /// By the tenant's id.
    tenants: BTreeMap<String, Rate>,
    /// The names of those tenants.
    names: BTreeMap<String, String>,
    /// What cools down, and for how many seconds more.
    cooldowns: Vec<(String, u64)>,
}

/// Shows the last minute until it is interrupted.
pub(crate) async fn top(options: Options) -> Result<ExitCode, Failure> {
    let log = CallLog::open(&options.target).await?;
    let json = options.target.json;
    let colors = Colors::of_terminal();
    let once = options.once || !(json || io::stdout().is_terminal());
    let mut filter: Filter = vec![("since", format!("{WINDOW_SECONDS}s"))];
    if let Some(name) = &options.tenant {
        filter.push(("tenant", log.tenant_id(name, &options.target).await?));
    }
    loop {
        let view = view(&log, &filter).await?;
        let mut out = io::stdout();
        if json {
            writeln!(out, "{}", printable_json(&view.to_json().to_string()))?;
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

async fn view(log: &CallLog, filter: &Filter) -> Result<View, Failure> {
    let mut view = View::default();
    let mut cursor: Option<String> = None;
    loop {
        let page = log.list(filter, cursor.as_deref(), PAGE).await?;
        page.calls.iter().for_each(|call| view.add(call));
        let Some(next) = page.next else { break };
        cursor = Some(next);
    }
    view.cooldowns = log.cooldowns().await?;
    Ok(view)
}

impl Rate {
    fn add(&mut self, call: &Value) {
        let (input, output) = tokens(call);
        self.calls += 1;
        self.failed += u64::from(has_failed(call));
        self.tokens += input + output;
        self.cost_usd += call["cost_usd"].as_f64().unwrap_or_default();
        let took = call["timings"]["total_ms"].as_u64().unwrap_or_default();
        self.slowest_ms = self.slowest_ms.max(took);
    }

    fn to_json(&self) -> Value {
        json!({
            "calls": self.calls,
            "failed": self.failed,
            "tokens": self.tokens,
            "cost_usd": format!("{:.6}", self.cost_usd),
            "slowest_ms": self.slowest_ms,
        })
    }
}

impl View {
    fn add(&mut self, call: &Value) {
        let target = match (call["provider"].as_str(), call["sent_model"].as_str()) {
            (Some(provider), Some(model)) => format!("{provider}/{model}"),
            _ => "none".to_owned(),
        };
        let tenant = call["tenant"].as_str().unwrap_or("none").to_owned();
        let name = tenant_name(call).unwrap_or("none").to_owned();
        self.names.insert(tenant.clone(), name);
        self.total.add(call);
        self.targets.entry(target).or_default().add(call);
        self.tenants.entry(tenant).or_default().add(call);
    }

    fn to_json(&self) -> Value {
        let rates = |rates: &BTreeMap<String, Rate>| -> Value {
            rates.iter().map(|(name, rate)| (name.clone(), rate.to_json())).collect()
        };
        let mut tenants = rates(&self.tenants);
        for (tenant, name) in &self.names {
            tenants[tenant]["name"] = name.as_str().into();
        }
        let cooldowns = self.cooldowns.iter();
        let cooldowns: Vec<Value> =
            cooldowns.map(|(what, left)| json!({ "what": what, "seconds_left": left })).collect();
        json!({
            "seconds": WINDOW_SECONDS,
            "total": self.total.to_json(),
            "targets": rates(&self.targets),
            "tenants": tenants,
            "cooldowns": cooldowns,
        })
    }

    fn print(&self, colors: Colors, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "The last {WINDOW_SECONDS} s")?;
        let head = ["calls", "failed", "tokens", "spend", "slowest"]
            .map(|it| format!("{it:>10}"))
            .concat();

        for (title, rates) in [("TARGET", &self.targets), ("TENANT", &self.tenants)] {
            writeln!(out, "\n{title:<40}{head}")?;
            for (name, rate) in rates {
                // Targets have no other names.
                let name = self.names.get(name).unwrap_or(name);
                writeln!(out, "{}", line(name, rate, colors))?;
            }
        }
        writeln!(out, "{}", line("all", &self.total, colors))?;
        for (what, left) in &self.cooldowns {
            let what = printable(what);
            let text = format!("{what} cools down for {left} s more");
            writeln!(out, "{}", colors.by_outcome(&text, false))?;
        }
        Ok(())
    }
}

fn line(name: &str, rate: &Rate, colors: Colors) -> String {
    let Rate { calls, failed, tokens, cost_usd, slowest_ms } = rate;
    let failed = colors.by_outcome(&format!("{failed:>10}"), *failed == 0);
    let (name, cost) = (printable(name), format!("${cost_usd:.6}"));
    format!("{name:<40}{calls:>10}{failed}{tokens:>10}{cost:>10}{:>10}", format!("{slowest_ms}ms"))
}

//! `lockgate requests`: the request log from a terminal, newest last, or as it grows.

use std::{
    io::{self, IsTerminal, Write},
    process::ExitCode,
    time::Duration,
};

use clap::Args;
use edge::settings::Environment;
use serde_json::Value;

use crate::{
    admin_client::Target,
    call_log::{CallLog, Filter, tenant_name},
    commands::Failure,
    output::{pretty, printable, printable_json},
};

/// How often the log is read while it is followed.
const POLL: Duration = Duration::from_secs(1);

/// What to list.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// One call, by its id
    id: Option<String>,
    /// Go on with calls as they end
    #[arg(long, short = 'F')]
    follow: bool,
    /// Failures and refusals only
    #[arg(long)]
    failed: bool,
    /// Calls of this tenant, by id or name
    #[arg(long)]
    tenant: Option<String>,
    /// Calls of this model or route
    #[arg(long)]
    model: Option<String>,
    /// Calls that attempted this provider
    #[arg(long)]
    provider: Option<String>,
    /// Calls of this session
    #[arg(long)]
    session: Option<String>,
    /// Calls since then: a time before now, such as 15m, 2h, 3d
    #[arg(long)]
    since: Option<String>,
    /// How many calls at most
    #[arg(long, default_value_t = 20)]
    limit: usize,
    #[command(flatten)]
    target: Target,
}

impl Options {
    async fn filter(&self, log: &CallLog) -> Result<Filter, Failure> {
        let tenant = match &self.tenant {
            Some(name) => Some(log.tenant_id(name, &self.target).await?),
            None => None,
        };
        let wanted = [
            ("tenant", tenant),
            ("model", self.model.clone()),
            ("provider", self.provider.clone()),
            ("session", self.session.clone()),
            ("since", self.since.clone()),
            ("outcome", self.failed.then(|| "failed".to_owned())),
        ];
        Ok(wanted.into_iter().filter_map(|(name, value)| Some((name, value?))).collect())
    }
}

/// Lists calls, and goes on with new ones where that is wanted.
pub(crate) async fn requests(options: Options) -> Result<ExitCode, Failure> {
    let log = CallLog::open(&options.target).await?;
    let out = Output { json: options.target.json, colors: Colors::of_terminal() };
    if let Some(id) = &options.id {
        out.one(&log.one(id).await?, &mut io::stdout())?;
        return Ok(ExitCode::SUCCESS);
    }

    let filter = options.filter(&log).await?;
    let (mut calls, newest) = newest(&log, &filter, options.limit).await?;
    // The log gives the newest first, and a terminal is read downwards.
    calls.reverse();
    out.calls(&calls, &mut io::stdout())?;
    if options.follow {
        follow(&log, &filter, newest, &out).await?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The newest calls, and the place after them.
async fn newest(
    log: &CallLog,
    filter: &Filter,
    limit: usize,
) -> Result<(Vec<Value>, String), Failure> {
    let (mut calls, mut cursor, mut newest) = (vec![], None::<String>, String::new());
    while calls.len() < limit {
        let page = log.list(filter, cursor.as_deref(), limit - calls.len()).await?;
        calls.extend(page.calls);
        // The first page's, so that what ends while older pages are read is followed, too.
        if cursor.is_none() {
            newest = page.newest;
        }
        let Some(next) = page.next else { break };
        cursor = Some(next);
    }
    Ok((calls, newest))
}

async fn follow(
    log: &CallLog,
    filter: &Filter,
    mut place: String,
    out: &Output,
) -> Result<(), Failure> {
    // What is followed ends after now, whatever the list began with.
    let filter: Filter = filter.iter().filter(|(name, _)| *name != "since").cloned().collect();
    loop {
        tokio::time::sleep(POLL).await;
        let (calls, next) = log.after(&place, &filter).await?;
        out.calls(&calls, &mut io::stdout())?;
        place = next;
    }
}

/// How calls are printed.
struct Output {
    json: bool,
    colors: Colors,
}

impl Output {
    fn calls(&self, calls: &[Value], out: &mut impl Write) -> io::Result<()> {
        for call in calls {
            if self.json {
                writeln!(out, "{}", printable_json(&call.to_string()))?;
            } else {
                writeln!(out, "{}", line(call, &self.colors))?;
            }
        }

        out.flush()
    }

    /// One call with everything that is kept of it.
    fn one(&self, call: &Value, out: &mut impl Write) -> io::Result<()> {
        let text = if self.json { printable_json(&call.to_string()) } else { pretty(call) };
        writeln!(out, "{text}")
    }
}

/// Colours, on a terminal that wants them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Colors {
    are_on: bool,
}

impl Colors {
    /// Colours where standard output is a terminal, unless `NO_COLOR` is set (no-color.org).
    pub(crate) fn of_terminal() -> Self {
        let is_unwanted = Environment::of_process().get("NO_COLOR").is_some();
        Self { are_on: io::stdout().is_terminal() && !is_unwanted }
    }

    /// A text in green for a success, else in red.
    pub(crate) fn by_outcome(self, text: &str, is_good: bool) -> String {
        match (self.are_on, is_good) {
            (false, _) => text.to_owned(),
            (true, true) => format!("\u{1b}[32m{text}\u{1b}[0m"),
            (true, false) => format!("\u{1b}[31m{text}\u{1b}[0m"),
        }
    }
}

/// Whether a call failed. One that its client left did not.
pub(crate) fn has_failed(call: &Value) -> bool {
    !matches!(call["outcome"].as_str(), Some("success" | "canceled"))
}

/// Input and output tokens of a call.
pub(crate) fn tokens(call: &Value) -> (u64, u64) {
    let class = |name: &str| call["usage"][name].as_u64().unwrap_or_default();
    let output = class("output") + class("reasoning") + class("output_audio");
    (class("total").saturating_sub(output), output)
}

/// A call in one line: when, how it ended, whose, what, through whom, how much and how long.
fn line(call: &Value, colors: &Colors) -> String {
    let text = |name: &str| printable(call[name].as_str().unwrap_or("-"));
    let status = call["status"].as_u64().map_or_else(|| "-".to_owned(), |it| it.to_string());
    let ending = format!("{status} {}", text("outcome"));
    // Padded before it is coloured: an escape sequence has a length, too.
    let ending = colors.by_outcome(&format!("{ending:<20}"), !has_failed(call));
    let (input, output) = tokens(call);
    let cost = call["cost_usd"].as_f64().map_or_else(|| "-".to_owned(), |it| format!("${it:.6}"));
    format!(
        "{} {ending} {:<14} {:<24} {:<40} {input:>6}+{output:<6} {cost:>10} {:>7} ms  {}",
        time_of_day(call["ended_ms"].as_u64().unwrap_or_default()),
        printable(tenant_name(call).unwrap_or("-")),
        call["requested_model"].as_str().map_or_else(|| text("path"), printable),
        attempts(call),
        call["timings"]["total_ms"].as_u64().unwrap_or_default(),
        text("id"),
    )
}

/// The attempts of a call, such as `first/m 429 → second/m`.
fn attempts(call: &Value) -> String {
    let describe = |it: &Value| {
        let text = |name: &str| printable(it[name].as_str().unwrap_or_default());
        let target = format!("{}/{}", text("provider"), text("model"));
        match (text("outcome").as_str(), it["status"].as_u64()) {
            ("success", _) => target,
            (_, Some(status)) => format!("{target} {status}"),
            (outcome, None) => format!("{target} {outcome}"),
        }
    };
    let attempts = call["attempts"].as_array().into_iter().flatten();
    attempts.map(describe).collect::<Vec<_>>().join(" → ")
}

/// Hours, minutes and seconds of a moment, in UTC.
fn time_of_day(ms: u64) -> String {
    let seconds = ms / 1000 % 86_400;
    format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_call_is_one_line_with_its_attempts() {
        let call = json!({
            "id": "req_1",
            "ended_ms": 1_795_863_599_000_u64,
            "timings": { "total_ms": 1_000 },
            "tenant": "ten_1",
            "tenant_name": "acme",
            "requested_model": "fast",
            "outcome": "success",
            "status": 200,
            "attempts": [
                { "provider": "first", "model": "m", "outcome": "rate_limit", "status": 429 },
                { "provider": "second", "model": "m", "outcome": "timeout", "status": null },
                { "provider": "third", "model": "m", "outcome": "success", "status": 200 },
            ],
            "usage": { "input": 7, "cached_input": 1, "output": 2, "reasoning": 3, "total": 13 },
            "cost_usd": 0.0015,
        });
        let plain = line(&call, &Colors { are_on: false });
        assert!(plain.starts_with("10:59:59 200 success"), "{plain}");
        assert!(plain.contains("first/m 429 → second/m timeout → third/m"), "{plain}");
        assert!(plain.contains("     8+5") && plain.contains("$0.001500"), "{plain}");
        assert!(plain.contains(" acme ") && !plain.contains("ten_1"), "{plain}");
        assert!(!plain.contains('\u{1b}'));
        assert!(line(&call, &Colors { are_on: true }).contains("\u{1b}[32m200 success"));
    }

    #[test]
    fn no_text_of_a_call_steers_the_terminal() {
        let wild = "\u{1b}]0;x\u{7}";
        let attempt = json!({ "provider": wild, "model": wild, "outcome": wild });
        let names = ["id", "tenant", "tenant_name", "requested_model", "outcome", "path"];
        let mut call = json!({ "attempts": [attempt] });
        for name in names {
            call[name] = json!(wild);
        }
        for call in [&call, &json!({ "path": wild })] {
            let plain = line(call, &Colors { are_on: false });
            assert!(!plain.contains(char::is_control), "{plain}");
        }
        for json in [false, true] {
            let mut out = vec![];
            let printed = Output { json, colors: Colors { are_on: false } };
            printed.one(&json!({ "path": "\u{9b}2J" }), &mut out).unwrap();
            printed.calls(&[json!({ "path": "\u{9b}2J" })], &mut out).unwrap();
            let text = String::from_utf8(out).unwrap();
            assert!(!text.contains('\u{9b}'), "{text}");
        }
    }
}

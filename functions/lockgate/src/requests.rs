//! `lockgate requests`: the request log from a terminal, newest last, or as it grows.

use std::{
    io::{self, IsTerminal, Write},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use clap::Args;
use edge::settings::{Environment, now_ms};
use storage::{Stores, sqlite};
use telemetry::{
    RequestLog,
    request_log::{AttemptRow, CallFilter, CallRow, Cursor, MAX_HITS},
};

use crate::{
    commands::{Failure, Stack, StackOptions},
    settings::Sources,
};

/// How often the log is read while it is followed.
const POLL: Duration = Duration::from_secs(1);

/// Which log to read.
#[derive(Debug, Args)]
pub(crate) struct LogOptions {
    #[command(flatten)]
    sources: Sources,
    /// The embedded database's file
    #[arg(long, value_name = "FILE", default_value = "lockgate.db")]
    data: PathBuf,
    /// Read the stack in AWS instead (see --stack)
    #[arg(long)]
    aws: bool,
    #[command(flatten)]
    stack: StackOptions,
}

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
    /// Calls of this tenant, by id
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
    /// One JSON object per call
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    log: LogOptions,
}

impl LogOptions {
    /// The tables that hold the log.
    pub(crate) async fn stores(&self) -> Result<Stores, Failure> {
        if self.aws {
            let environment: Environment = self.sources.environment()?;
            return Ok(Stack::open(&self.stack, &environment).await?.stores);
        }
        // `sqlite::open` would make an empty file, which looks like a log without calls.
        if !self.data.exists() {
            let file = self.data.display();
            let message = format!("{file} is not there. Name the gateway's file with --data.");
            return Err(Failure::Other(message));
        }
        sqlite::open(&self.data).map_err(|error| Failure::data_file(&error))
    }
}

impl Options {
    fn filter(&self, now: u64) -> Result<CallFilter, Failure> {
        let parameter = |name: &str| match name {
            "tenant" => self.tenant.clone(),
            "model" => self.model.clone(),
            "provider" => self.provider.clone(),
            "session" => self.session.clone(),
            "since" => self.since.clone(),
            "outcome" => self.failed.then(|| "failed".to_owned()),
            _ => None,
        };
        CallFilter::parse(&parameter, now).map_err(|bad| Failure::Usage(bad.message))
    }
}

/// Lists calls, and goes on with new ones where that is wanted.
pub(crate) async fn requests(options: Options) -> Result<ExitCode, Failure> {
    let stores = options.log.stores().await?;
    let log = RequestLog::new(stores.state);
    let out = Output { json: options.json, colors: Colors::of_terminal() };
    let now = now_ms();
    if let Some(id) = &options.id {
        let Some(row) = log.get(id, now).await.map_err(unreadable)? else {
            return Err(Failure::Other(format!("no call {id} is kept")));
        };
        out.one(&row, &mut io::stdout())?;
        return Ok(ExitCode::SUCCESS);
    }

    let filter = options.filter(now)?;
    let (mut rows, newest) = newest(&log, &filter, options.limit, now).await?;
    // Newest last, next to the prompt, and in the order in which following goes on.
    rows.reverse();
    out.rows(&rows, &mut io::stdout())?;
    if options.follow {
        follow(&log, &filter, newest, &out).await?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The newest calls, and the place after them.
async fn newest(
    log: &RequestLog,
    filter: &CallFilter,
    limit: usize,
    now: u64,
) -> Result<(Vec<CallRow>, Cursor), Failure> {
    let (mut rows, mut cursor, mut newest) = (vec![], None, Cursor::moment(now));
    while rows.len() < limit {
        let wanted = (limit - rows.len()).min(MAX_HITS);
        let page = log.list(filter, cursor.as_ref(), wanted, now).await.map_err(unreadable)?;
        rows.extend(page.rows);
        // Only the first page knows what is newest; the others lie further back.
        if cursor.is_none() {
            newest = page.newest;
        }
        let Some(next) = page.next else { break };
        cursor = Some(next);
    }
    Ok((rows, newest))
}

async fn follow(
    log: &RequestLog,
    filter: &CallFilter,
    mut cursor: Cursor,
    out: &Output,
) -> Result<(), Failure> {
    loop {
        tokio::time::sleep(POLL).await;
        let tail = log.after(&cursor, filter, now_ms()).await.map_err(unreadable)?;
        out.rows(&tail.rows, &mut io::stdout())?;
        cursor = tail.cursor;
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that `map_err` takes")]
fn unreadable(error: storage::StoreError) -> Failure {
    Failure::Other(error.to_string())
}

/// How calls are printed.
struct Output {
    json: bool,
    colors: Colors,
}

impl Output {
    fn rows(&self, rows: &[CallRow], out: &mut impl Write) -> io::Result<()> {
        for row in rows {
            if self.json {
                writeln!(out, "{}", row.to_json())?;
            } else {
                writeln!(out, "{}", line(row, &self.colors))?;
            }
        }

        out.flush()
    }

    /// One call with everything that is kept of it.
    fn one(&self, row: &CallRow, out: &mut impl Write) -> io::Result<()> {
        let json = row.to_json();
        let pretty =
            if self.json { Ok(json.to_string()) } else { serde_json::to_string_pretty(&json) };
        writeln!(out, "{}", pretty.map_err(io::Error::other)?)
    }
}

/// Colours, on a terminal that wants them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Colors {
    are_on: bool,
}

impl Colors {
    /// Colours where standard output is a terminal.
    pub(crate) fn of_terminal() -> Self {
        // Escapes in a file or a pipe are noise to what reads it.
        Self { are_on: io::stdout().is_terminal() }
    }

    /// A text in green where it tells of a success, else in red.
    pub(crate) fn by_outcome(self, text: &str, is_good: bool) -> String {
        match (self.are_on, is_good) {
            (false, _) => text.to_owned(),
            (true, true) => format!("\u{1b}[32m{text}\u{1b}[0m"),
            (true, false) => format!("\u{1b}[31m{text}\u{1b}[0m"),
        }
    }
}

/// A call in one line: when, how it ended, whose, what, through whom, how much and how long.
fn line(row: &CallRow, colors: &Colors) -> String {
    let status = row.status.map_or_else(|| "-".to_owned(), |status| status.to_string());
    let ending = format!("{status} {}", row.outcome);
    let ending = colors.by_outcome(&format!("{ending:<20}"), !row.has_failed());
    let tokens = row.tokens();
    let cost = row.cost.map_or_else(|| "-".to_owned(), dollars);
    format!(
        "{} {ending} {:<14} {:<24} {:<40} {:>6}+{:<6} {:>10} {:>7} ms  {}",
        time_of_day(row.ended()),
        row.tenant.as_deref().unwrap_or("-"),
        row.requested_model.as_deref().unwrap_or(&row.path),
        attempts(&row.attempts),
        tokens.all_input(),
        tokens.all_output(),
        cost,
        row.total_ms,
        row.id,
    )
}

/// The attempts of a call, such as `first/m 429 → second/m`.
fn attempts(attempts: &[AttemptRow]) -> String {
    let describe = |it: &AttemptRow| {
        let target = format!("{}/{}", it.provider, it.model);
        match (&*it.outcome, it.status) {
            ("success", _) => target,
            (_, Some(status)) => format!("{target} {status}"),
            (outcome, None) => format!("{target} {outcome}"),
        }
    };
    attempts.iter().map(describe).collect::<Vec<_>>().join(" → ")
}

/// Micro-dollars as dollars.
pub(crate) fn dollars(micro: u64) -> String {
    format!("${}.{:06}", micro / 1_000_000, micro % 1_000_000)
}

/// Hours, minutes and seconds of a moment, in UTC.
fn time_of_day(ms: u64) -> String {
    let seconds = ms / 1000 % 86_400;
    format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_one_line_with_its_attempts() {
        let attempt = |provider: &str, outcome: &str, status| AttemptRow {
            provider: provider.to_owned(),
            model: "m".to_owned(),
            outcome: outcome.to_owned(),
            status,
            ..AttemptRow::default()
        };
        let row = CallRow {
            id: "req_1".to_owned(),
            arrived: 1_795_863_598_000,
            total_ms: 1_000,
            tenant: Some("acme".to_owned()),
            requested_model: Some("fast".to_owned()),
            outcome: "success".to_owned(),
            status: Some(200),
            attempts: vec![
                attempt("first", "rate_limit", Some(429)),
                attempt("second", "timeout", None),
                attempt("third", "success", Some(200)),
            ],
            cost: Some(1_500),
            ..CallRow::default()
        };
        let plain = line(&row, &Colors { are_on: false });
        assert!(plain.starts_with("10:59:59 200 success"), "{plain}");
        assert!(plain.contains("first/m 429 → second/m timeout → third/m"), "{plain}");
        assert!(plain.contains("$0.001500"), "{plain}");
        assert!(!plain.contains('\u{1b}'));
        assert!(line(&row, &Colors { are_on: true }).contains("\u{1b}[32m200 success"));
    }
}

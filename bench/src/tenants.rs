//! What a tenant's limits cost: the call that is admitted, limited and settled, beside the bare one,
//! on SQLite; and how many such calls one tenant sustains.

use std::{
    io::{self, Write},
    time::{Duration, Instant},
};

use storage::{Condition, Tally};

use crate::{
    load::{KEY, Load},
    process::{Process, cpu_of},
    provider::Provider,
    server::{Figures, ROUNDS, configured, micros, request, round},
};

/// The key of a tenant whose requests are counted.
const LIMITED: &str = "key-of-limited";
/// The key of a tenant with a budget, whose calls are held and settled.
pub(crate) const BUDGETED: &str = "key-of-budgeted";

const CALLS: u64 = 1_500;
/// How many conditional writes are measured by themselves.
const WRITES: u32 = 5_000;
/// Calls at once, and in all, of the tenant that is to sustain them.
const SUSTAINED: (usize, u64) = (64, 10_000);

/// Tenants with limits that no benchmark reaches, and the price that a budget needs.
pub(crate) fn tenants(provider: &str) -> String {
    format!(
        "prices:\n  - {{provider: {provider}, model: m, input: 0.001, output: 0.001}}\n\
         \x20 - {{provider: busy, model: m, input: 0.001, output: 0.001}}\n\
         tenants:\n  - {{name: limited, api_key: {LIMITED}, requests_per_day: 1000000000}}\n\
         \x20 - {{name: budgeted, api_key: {BUDGETED}, requests_per_day: 1000000000, budget_usd: 1000000}}\n"
    )
}

/// What calls are compared, each with the key that makes them.
pub(crate) const KINDS: [(&str, &str); 3] =
    [("bare", KEY), ("limited", LIMITED), ("budgeted", BUDGETED)];

/// The gateway with these tenants before a provider, once it listens.
pub(crate) async fn start(provider: &Provider) -> io::Result<Process> {
    let yaml = format!(
        "api_key: {KEY}\nproviders:\n  - {{name: p, base_url: \"{}\", api_key: k}}\n\
         \x20 - {{name: busy, base_url: \"{}\", api_key: k}}\n\
         routes:\n  - {{name: bench, steps: [{{provider: p, model: m}}]}}\n{}",
        provider.url("plain"),
        provider.url("busy"),
        tenants("p"),
    );
    let ours = configured("tenants", &yaml)?;
    ours.listening().await?;
    Ok(ours)
}

/// Measures, and writes what it found.
pub(crate) async fn measure(out: &mut impl Write) -> io::Result<()> {
    let provider = Provider::start().await?;
    let ours = start(&provider).await?;
    writeln!(out, "\n## Limits and money on SQLite (medians of {ROUNDS} rounds in turn)\n")?;
    writeln!(
        out,
        "| call | cpu µs | more than bare | p50 µs | calls a second, {} at once |",
        SUSTAINED.0
    )?;
    writeln!(out, "| --- | --- | --- | --- | --- |")?;
    let mut figures: [Figures; 3] = Default::default();
    for turn in 0..=ROUNDS {
        for ((_, key), of_kind) in KINDS.iter().zip(&mut figures) {
            let one = round(&ours, &load(&ours, key, (1, CALLS))).await?;
            // The first turn warms up.
            if 0 < turn {
                of_kind.take(one);
            }
        }
    }
    let bare = micros(&figures[0].cpu);
    for ((name, key), of_kind) in KINDS.iter().zip(&figures) {
        let started = Instant::now();
        load(&ours, key, SUSTAINED).run().await?;
        let sustained = SUSTAINED.1 as f64 / started.elapsed().as_secs_f64();
        let cpu = micros(&of_kind.cpu);
        let whole = micros(&of_kind.whole);
        writeln!(out, "| {name} | {cpu:.1} | {:.1} | {whole:.0} | {sustained:.0} |", cpu - bare)?;
    }
    let alone = conditional_write().await?.as_secs_f64() * 1e6;
    writeln!(out, "\nOne conditional write of a row by itself: {alone:.1} µs of processor.")
}

/// What the store alone takes for one conditional write that a caller waits for: the part of an
/// admission that no code around it can save.
async fn conditional_write() -> io::Result<Duration> {
    let folder = std::env::temp_dir().join(format!("lockgate-bench-{}", std::process::id()));
    let table = storage::sqlite::open(&folder.join("tally.db")).map_err(io::Error::other)?.state;
    let change = Tally {
        pk: "tenant#a".to_owned(),
        sk: "ledger".to_owned(),
        conditions: vec![Condition::AtMost("n".to_owned(), i64::MAX - 1)],
        add: vec![("n".to_owned(), 1)],
        ..Tally::default()
    };
    let before = cpu_of(std::process::id())?;
    for _ in 0..WRITES {
        table.tally(&change).await.map_err(io::Error::other)?;
    }
    Ok((cpu_of(std::process::id())? - before) / WRITES)
}

/// So many small calls with a key, some of them at once.
pub(crate) fn load(ours: &Process, key: &'static str, (at_once, calls): (usize, u64)) -> Load {
    Load {
        address: ours.address,
        path: "/v1/chat/completions",
        key,
        body: request("bench", false, 64),
        at_once,
        calls,
    }
}

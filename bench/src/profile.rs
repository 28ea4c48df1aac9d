//! The gateway under a steady load, for a profiler to look at: `bench profile 16`, or
//! `bench profile 16 budgeted` for the calls of a tenant with a budget.

use std::io::{self, Write};

use crate::{provider::Provider, tenants};

const CALLS: u64 = 20_000;

/// Prints the process and what each call cost, until it is interrupted.
pub(crate) async fn run(at_once: &str, kind: &str, out: &mut impl Write) -> io::Result<()> {
    let at_once = at_once.parse().map_err(io::Error::other)?;
    let found = tenants::KINDS.iter().find(|(name, _)| *name == kind);
    let (_, key) =
        found.ok_or_else(|| io::Error::other("the kind is bare, limited or budgeted"))?;
    let provider = Provider::start().await?;
    let ours = tenants::start(&provider).await?;
    writeln!(out, "process {}", ours.id())?;
    let load = tenants::load(&ours, key, (at_once, CALLS));
    loop {
        let before = ours.cpu()?;
        load.run().await?;
        let spent = ours.cpu()?.saturating_sub(before).as_secs_f64();
        writeln!(out, "{CALLS} calls, {:.1} µs of processor each", spent * 1e6 / CALLS as f64)?;
    }
}

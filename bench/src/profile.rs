//! The gateway under a steady load, for a profiler to look at: `bench profile 16`.

use std::io::{self, Write};

use crate::{
    load::{KEY, Load},
    provider::Provider,
    server::{ours, request},
};

const CALLS: u64 = 20_000;

/// Prints the process and what each call cost, until it is interrupted.
pub(crate) async fn run(at_once: &str, out: &mut impl Write) -> io::Result<()> {
    let at_once = at_once.parse().map_err(io::Error::other)?;
    let provider = Provider::start().await?;
    let ours = ours(&provider, "plain").await?;
    ours.listening().await?;
    writeln!(out, "process {}", ours.id())?;
    let load = Load {
        address: ours.address,
        path: "/v1/chat/completions",
        key: KEY,
        body: request("bench", false, 64),
        at_once,
        calls: CALLS,
    };
    loop {
        let before = ours.cpu()?;
        load.run().await?;
        let spent = ours.cpu()?.saturating_sub(before).as_secs_f64();
        writeln!(out, "{CALLS} calls, {:.1} µs of processor each", spent * 1e6 / CALLS as f64)?;
    }
}

//! What choosing, hedging and rescue cost: nothing where they are off, and little where they are on.

use std::{
    io::{self, Write},
    sync::atomic::Ordering,
};

use crate::{
    load::{KEY, Load},
    process::Process,
    provider::Provider,
    server::{Figures, ROUNDS, configured, micros, request, round},
};

const CALLS: u64 = 500;

/// Routes, each with what it has beyond the first: nothing, another step, and one thing more.
const ROUTES: [(&str, &str); 8] = [
    ("one step", ""),
    ("two steps, all off", "strategy: order"),
    ("strategy: weighted", "strategy: weighted"),
    ("strategy: fastest", "strategy: fastest"),
    ("strategy: cheapest", "strategy: cheapest"),
    ("strategy: least_busy", "strategy: least_busy"),
    ("hedge: 10s, not needed", "hedge: 10s"),
    ("rescue: continue, not needed", "rescue: continue"),
];

/// Measures, and writes what it found.
pub(crate) async fn measure(out: &mut impl Write) -> io::Result<()> {
    let provider = Provider::start().await?;
    let ours = configured("reliability", &configuration(&provider))?;
    ours.listening().await?;
    choosing(&ours, out).await?;
    rescue(&ours, &provider, out).await
}

fn configuration(provider: &Provider) -> String {
    let mut yaml = "api_key: bench\nproviders:\n".to_owned();
    for what in ["plain", "burst", "cut", "more"] {
        yaml +=
            &format!("  - {{name: {what}, base_url: \"{}\", api_key: k}}\n", provider.url(what));
    }
    yaml += "routes:\n";
    for (nth, (_, setting)) in ROUTES.iter().enumerate() {
        for what in ["plain", "burst"] {
            let second = if setting.is_empty() {
                String::new()
            } else {
                format!(", {{provider: {what}, model: m2, weight: 0}}")
            };
            let setting = if setting.is_empty() { String::new() } else { format!("{setting}, ") };
            yaml += &format!(
                "  - {{name: {what}{nth}, {setting}steps: [{{provider: {what}, model: m}}{second}]}}\n"
            );
        }
    }
    yaml += "  - {name: rescued, cooldown: 0s, rescue: continue, steps: [{provider: cut, model: m}, {provider: more, model: m}]}\n\
             \x20 - {name: first half, cooldown: 0s, rescue: continue, steps: [{provider: more, model: m}, {provider: more, model: m2}]}\n";
    yaml
}

fn load(ours: &Process, model: &str, stream: bool) -> Load {
    Load {
        address: ours.address,
        path: "/v1/chat/completions",
        key: KEY,
        body: request(model, stream, 64),
        at_once: 1,
        calls: CALLS,
    }
}

async fn choosing(ours: &Process, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "\n## Choosing and hedging (medians of {ROUNDS} rounds in turn)\n")?;
    writeln!(out, "| route | whole: cpu µs | p50 µs | stream: cpu µs | first byte µs |")?;
    writeln!(out, "| --- | --- | --- | --- | --- |")?;
    let mut figures: Vec<[Figures; 2]> = ROUTES.iter().map(|_| Default::default()).collect();
    for turn in 0..=ROUNDS {
        for (nth, of_route) in figures.iter_mut().enumerate() {
            let [whole, streamed] = of_route;
            let one = round(ours, &load(ours, &format!("plain{nth}"), false)).await?;
            let other = round(ours, &load(ours, &format!("burst{nth}"), true)).await?;
            // The first turn warms up.
            if 0 < turn {
                whole.take(one);
                streamed.take(other);
            }
        }
    }
    for ((name, _), [whole, streamed]) in ROUTES.iter().zip(&figures) {
        writeln!(
            out,
            "| {name} | {:.1} | {:.0} | {:.1} | {:.0} |",
            micros(&whole.cpu),
            micros(&whole.whole),
            micros(&streamed.cpu),
            micros(&streamed.first),
        )?;
    }
    Ok(())
}

/// A stream of two halves that one target begins and another goes on with, against two streams of
/// such a half.
async fn rescue(ours: &Process, provider: &Provider, out: &mut impl Write) -> io::Result<()> {
    let (rescued, half) = (load(ours, "rescued", true), load(ours, "first half", true));
    rescued.run().await?;
    half.run().await?;
    let (mut whole, mut halves, mut requests) = (Figures::default(), Figures::default(), 0);
    for _ in 0..ROUNDS {
        halves.take(round(ours, &half).await?);
        let before = provider.request_count.load(Ordering::Relaxed);
        whole.take(round(ours, &rescued).await?);
        requests = provider.request_count.load(Ordering::Relaxed) - before;
    }
    writeln!(
        out,
        "\nRescued stream: {:.0} µs more than two streams of half its length; {:.2} upstream calls for each; cpu {:.1} µs against {:.1} µs for both halves.",
        micros(&whole.whole) - 2.0 * micros(&halves.whole),
        requests as f64 / CALLS as f64,
        micros(&whole.cpu),
        2.0 * micros(&halves.cpu),
    )
}

//! The local server against the floor.

use std::{
    io::{self, Write},
    process::Command,
    sync::atomic::Ordering,
    time::Duration,
};

use bytes::Bytes;

use crate::{
    load::{KEY, Load, Times, median},
    process::{Process, built, free_address},
    provider::{CHUNKS, Provider},
};

/// How often each program has its turn.
pub(crate) const ROUNDS: usize = 7;

/// One comparison.
struct Case {
    name: &'static str,
    /// What the provider does.
    provider: &'static str,
    stream: bool,
    prompt: usize,
    at_once: usize,
    calls: u64,
}

const CASES: &[Case] = &[
    Case {
        name: "buffered, 1 in flight",
        provider: "plain",
        stream: false,
        prompt: 64,
        at_once: 1,
        calls: 1_500,
    },
    Case {
        name: "buffered, 16 in flight",
        provider: "plain",
        stream: false,
        prompt: 64,
        at_once: 16,
        calls: 3_000,
    },
    Case {
        name: "buffered, 64 in flight",
        provider: "plain",
        stream: false,
        prompt: 64,
        at_once: 64,
        calls: 3_000,
    },
    Case {
        name: "buffered, 32 KiB prompt",
        provider: "plain",
        stream: false,
        prompt: 32 * 1024,
        at_once: 1,
        calls: 1_000,
    },
    Case {
        name: "stream of 100, no gaps",
        provider: "burst",
        stream: true,
        prompt: 64,
        at_once: 1,
        calls: 200,
    },
    Case {
        name: "stream of 100, no gaps, 16",
        provider: "burst",
        stream: true,
        prompt: 64,
        at_once: 16,
        calls: 400,
    },
    Case {
        name: "stream of 100, 5 ms gaps, 16",
        provider: "gaps",
        stream: true,
        prompt: 64,
        at_once: 16,
        calls: 32,
    },
];

/// Measures and prints.
pub(crate) async fn measure(out: &mut impl Write) -> io::Result<()> {
    let provider = Provider::start().await?;
    writeln!(out, "\n## Against the floor (medians of {ROUNDS} rounds in turn)\n")?;
    writeln!(
        out,
        "| case | floor p50 µs | ours p50 µs | floor cpu µs | with reqwest | ours cpu µs | cpu ratio | first byte added: floor, ours µs |"
    )?;
    writeln!(out, "| --- | --- | --- | --- | --- | --- | --- | --- |")?;
    for case in CASES {
        compare(case, &provider, out).await?;
    }
    fallback(&provider, out).await?;
    memory(&provider, out).await?;
    start(&provider, out).await?;
    sizes(out)
}

fn configuration(provider: &Provider, what: &str) -> String {
    format!(
        "api_key: bench\nproviders:\n\
         \x20 - {{name: busy, base_url: \"{}\", api_key: k}}\n\
         \x20 - {{name: p, base_url: \"{}\", api_key: k}}\n\
         routes:\n\
         \x20 - {{name: bench, steps: [{{provider: p, model: m}}]}}\n\
         \x20 - {{name: fallback, cooldown: 0s, steps: [{{provider: busy, model: m}}, {{provider: p, model: m}}]}}\n",
        provider.url("busy"),
        provider.url(what),
    )
}

/// The gateway before this provider.
pub(crate) async fn ours(provider: &Provider, what: &str) -> io::Result<Process> {
    configured(what, &configuration(provider, what))
}

/// The gateway with a configuration, in a folder of this process.
pub(crate) fn configured(name: &str, yaml: &str) -> io::Result<Process> {
    let address = free_address()?;
    let folder = std::env::temp_dir().join(format!("lockgate-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let file = folder.join(format!("{name}.yaml"));
    std::fs::write(&file, yaml)?;
    let mut command = Command::new(built("lockgate")?);
    command.arg("--config").arg(&file).arg("--listen").arg(address.to_string());
    command.arg("--data").arg(folder.join(format!("{name}.db")));
    command.env("RUST_LOG", "warn");
    Process::start(&mut command, address)
}

async fn floor(provider: &Provider, what: &str, client: Option<&str>) -> io::Result<Process> {
    let address = free_address()?;
    let mut command = Command::new(built("floor")?);
    command.arg(provider.url(&format!("{what}/chat/completions"))).arg(address.port().to_string());
    let floor = Process::start(command.args(client), address)?;
    floor.listening().await?;
    Ok(floor)
}

pub(crate) fn request(model: &str, stream: bool, prompt: usize) -> Bytes {
    let prompt = "word ".repeat(prompt / 5);
    let body = format!(
        r#"{{"model":"{model}","messages":[{{"role":"system","content":"You are helpful."}},{{"role":"user","content":"{prompt}"}}],"stream":{stream},"temperature":0.2}}"#
    );
    body.into()
}

/// One round of one program: processor time for each call, and how long calls took.
pub(crate) async fn round(process: &Process, load: &Load) -> io::Result<(Duration, Times)> {
    let before = process.cpu()?;
    let times = load.run().await?;
    let spent = process.cpu()?.saturating_sub(before);
    Ok((spent / u32::try_from(load.calls).unwrap_or(u32::MAX), times))
}

#[derive(Default)]
pub(crate) struct Figures {
    pub(crate) cpu: Vec<Duration>,
    pub(crate) whole: Vec<Duration>,
    pub(crate) first: Vec<Duration>,
}

impl Figures {
    pub(crate) fn take(&mut self, (cpu, times): (Duration, Times)) {
        self.cpu.push(cpu);
        self.whole.extend(median(&times.whole));
        self.first.extend(median(&times.first));
    }
}

pub(crate) fn micros(values: &[Duration]) -> f64 {
    median(values).unwrap_or_default().as_secs_f64() * 1e6
}

async fn compare(case: &Case, provider: &Provider, out: &mut impl Write) -> io::Result<()> {
    let hyper_floor = floor(provider, case.provider, None).await?;
    let reqwest_floor = floor(provider, case.provider, Some("reqwest")).await?;
    let ours = ours(provider, case.provider).await?;
    let load = |address, path| Load {
        address,
        path,
        key: KEY,
        body: request("bench", case.stream, case.prompt),
        at_once: case.at_once,
        calls: case.calls,
    };
    let path = "/v1/chat/completions";
    let through_floor = load(hyper_floor.address, path);
    let through_reqwest = load(reqwest_floor.address, path);
    let through_ours = load(ours.address, path);
    let direct_path: &'static str = match case.provider {
        "burst" => "/burst",
        "gaps" => "/gaps",
        _ => "/plain",
    };
    let direct = load(provider.address, direct_path);
    ours.listening().await?;
    for warm in [&through_floor, &through_reqwest, &through_ours, &direct] {
        Load { calls: (warm.calls / 4).max(1), ..warm.clone() }.run().await?;
    }
    let (mut low, mut high, mut none) =
        (Figures::default(), Figures::default(), Figures::default());
    let mut with_reqwest = Figures::default();
    for _ in 0..ROUNDS {
        low.take(round(&hyper_floor, &through_floor).await?);
        with_reqwest.take(round(&reqwest_floor, &through_reqwest).await?);
        high.take(round(&ours, &through_ours).await?);
        none.first.extend(median(&direct.run().await?.first));
    }
    let per = if case.stream { (CHUNKS + 2) as f64 } else { 1.0 };
    let (low_cpu, high_cpu) = (micros(&low.cpu) / per, micros(&high.cpu) / per);
    let reqwest_cpu = micros(&with_reqwest.cpu) / per;
    let added = |it: &Figures| micros(&it.first) - micros(&none.first);
    writeln!(
        out,
        "| {}{} | {:.0} | {:.0} | {low_cpu:.2} | {reqwest_cpu:.2} | {high_cpu:.2} | {:.2} | {:.0}, {:.0} |",
        case.name,
        if case.stream { " (cpu per chunk)" } else { "" },
        micros(&low.whole),
        micros(&high.whole),
        high_cpu / low_cpu,
        added(&low),
        added(&high),
    )
}

/// The cost of a failed first attempt, against a plain call of the same program.
async fn fallback(provider: &Provider, out: &mut impl Write) -> io::Result<()> {
    let ours = ours(provider, "plain").await?;
    ours.listening().await?;
    let load = |model: &str| Load {
        address: ours.address,
        path: "/v1/chat/completions",
        key: KEY,
        body: request(model, false, 64),
        at_once: 1,
        calls: 1_000,
    };
    let (plain, refused) = (load("bench"), load("fallback"));
    plain.run().await?;
    refused.run().await?;
    let (mut one, mut two) = (Figures::default(), Figures::default());
    let mut request_count = 0;
    for _ in 0..ROUNDS {
        one.take(round(&ours, &plain).await?);
        let before = provider.request_count.load(Ordering::Relaxed);
        two.take(round(&ours, &refused).await?);
        request_count = provider.request_count.load(Ordering::Relaxed) - before;
    }
    writeln!(
        out,
        "\nFallback after a 429: {:.0} µs over a plain call's {:.0} µs; {:.2} upstream calls for each; cpu {:.1} against {:.1} µs.",
        micros(&two.whole) - micros(&one.whole),
        micros(&one.whole),
        request_count as f64 / refused.calls as f64,
        micros(&two.cpu),
        micros(&one.cpu),
    )
}

async fn memory(provider: &Provider, out: &mut impl Write) -> io::Result<()> {
    let ours = ours(provider, "plain").await?;
    ours.listening().await?;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let idle = ours.memory()?;
    let load = Load {
        address: ours.address,
        path: "/v1/chat/completions",
        key: KEY,
        body: request("bench", false, 1024),
        at_once: 16,
        calls: 10_000,
    };
    load.run().await?;
    let after = ours.memory()?;
    writeln!(
        out,
        "Resident memory: {:.1} MiB idle, {:.1} MiB after 10,000 calls.",
        idle as f64 / 1024.0,
        after as f64 / 1024.0
    )
}

async fn start(provider: &Provider, out: &mut impl Write) -> io::Result<()> {
    let mut times = vec![];
    for _ in 0..ROUNDS {
        let ours = ours(provider, "plain").await?;
        let load = Load {
            address: ours.address,
            path: "/v1/chat/completions",
            key: KEY,
            body: request("bench", false, 64),
            at_once: 1,
            calls: 1,
        };
        ours.listening().await?;
        load.run().await?;
        times.push(ours.started.elapsed());
    }
    writeln!(out, "Start to first answer: {:.1} ms.", micros(&times) / 1000.0)
}

fn sizes(out: &mut impl Write) -> io::Result<()> {
    let functions =
        ["chat-completions", "messages", "responses", "generate-content", "models", "health"];
    for name in ["lockgate"].into_iter().chain(functions) {
        let path = built(name)?;
        let size = std::fs::metadata(&path)?.len();
        let zipped = Command::new("gzip").arg("-c").arg("-9").arg(&path).output()?.stdout.len();
        writeln!(
            out,
            "Size of {name}: {:.2} MB, {:.2} MB compressed (deflate, as zip does).",
            size as f64 / 1e6,
            zipped as f64 / 1e6
        )?;
    }
    Ok(())
}

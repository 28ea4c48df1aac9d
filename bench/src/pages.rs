//! The pages for operators over 100,000 calls in SQLite: how long each takes in the middle and at worst,
//! and what it weighs.

use std::{
    io::{self, Write},
    process::Command,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use storage::sqlite;
use testkit::{client, lockgate::Folder};

use crate::{
    load::median,
    process::{Process, built, free_address},
    records,
};

/// 720 hours are 30 days, and make 100,080 calls.
const HOURS: u64 = 720;
const CALLS_AN_HOUR: u64 = 139;
/// How often each page is read.
const ROUNDS: usize = 21;
/// HTTP Basic of `root:root-password`.
const OPERATOR: &str = "Basic cm9vdDpyb290LXBhc3N3b3Jk";
const CONFIG: &str = "\
api_key: a-key-for-the-measurement
providers: [{ name: groq, type: mock }]
admin: { users: [{ name: root, password: root-password, role: admin }] }
";

/// Fills a log, serves it and reads each page.
pub(crate) async fn measure(out: &mut impl Write) -> io::Result<()> {
    let folder = Folder::new();
    folder.write("config.yaml", CONFIG);
    let data = folder.path().join("lockgate.db");
    #[expect(clippy::disallowed_methods, reason = "the log that is measured ends now")]
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_err(io::Error::other)?;
    let now = u64::try_from(now.as_millis()).map_err(io::Error::other)?;
    let stores = sqlite::open(&data).map_err(io::Error::other)?;
    let ids = records::fill(&stores, HOURS, CALLS_AN_HOUR, now).await;
    drop(stores);

    let address = free_address()?;
    let mut command = Command::new(built("lockgate")?);
    command.current_dir(folder.path()).env_clear().args(["--listen", &address.to_string()]);
    let gateway = Process::start(&mut command, address)?;
    gateway.listening().await?;

    writeln!(out, "\npages over {} calls in SQLite", HOURS * CALLS_AN_HOUR)?;
    let newest = ids.last().map_or("", String::as_str);
    let call = format!("/admin/requests/{newest}");
    let paths = [
        "/admin/requests",
        "/admin/requests?range=30d&failed=1",
        "/admin",
        "/admin?window=30d",
        "/admin/usage",
        &call,
    ];
    for path in paths {
        // The first time checks the operator's password, which is slow on purpose, and sums the log.
        let (_, bytes) = page(&gateway, path).await?;
        let mut times = vec![];
        for _ in 0..ROUNDS {
            times.push(page(&gateway, path).await?.0);
        }
        let worst = times.iter().max().copied().unwrap_or_default();
        let millis = [median(&times).unwrap_or_default(), worst].map(|it| it.as_secs_f64() * 1e3);
        let [middle, worst] = millis;
        writeln!(out, "{path:<60} {middle:>8.1} ms {worst:>8.1} ms {bytes:>8} bytes")?;
    }
    Ok(())
}

/// The time that a page takes, and its size.
async fn page(gateway: &Process, path: &str) -> io::Result<(Duration, usize)> {
    let request = http::Request::get(format!("http://{}{path}", gateway.address))
        .header("authorization", OPERATOR)
        .header("accept", "text/html")
        .body(Bytes::new())
        .map_err(io::Error::other)?;
    let started = Instant::now();
    let response = client::send(request).await.map_err(io::Error::other)?;
    let status = response.status;
    let bytes = response.bytes().await.map_err(io::Error::other)?;
    let took = started.elapsed();
    if status != 200 {
        return Err(io::Error::other(format!("{path} answered {status}")));
    }
    Ok((took, bytes.len()))
}

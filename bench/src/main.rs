//! The gateway against its floor, in turn in one run. `make bench` builds everything and runs it.
//!
//! Figures are medians over rounds. What is compared runs in the same minute on the same machine,
//! so that ratios hold where absolute figures do not.

mod formats;
mod hostile;
mod lambda;
mod load;
mod pages;
mod process;
mod profile;
mod provider;
#[path = "../../shared/testkit/deployed/records.rs"]
mod records;
mod reliability;
mod server;
mod tenants;

use std::io::{self, Write};

#[tokio::main]
async fn main() -> io::Result<()> {
    let only: Vec<String> = std::env::args().skip(1).collect();
    let wanted = |name: &str| only.is_empty() || only.iter().any(|it| it == name);
    let mut out = io::stdout();
    if let [name, at_once, kind @ ..] = only.as_slice()
        && name == "profile"
    {
        let kind = kind.first().map_or("bare", String::as_str);
        return profile::run(at_once, kind, &mut out).await;
    }
    if wanted("server") {
        server::measure(&mut out).await?;
    }
    if wanted("reliability") {
        reliability::measure(&mut out).await?;
    }
    if wanted("tenants") {
        tenants::measure(&mut out).await?;
    }
    if wanted("lambda") {
        lambda::measure(&mut out).await?;
    }
    if wanted("pages") {
        pages::measure(&mut out).await?;
    }
    if wanted("formats") {
        formats::measure(&mut out)?;
    }
    if wanted("hostile") {
        hostile::measure(&mut out)?;
    }
    out.flush()
}

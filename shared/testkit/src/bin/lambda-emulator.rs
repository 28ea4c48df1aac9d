//! The Lambda emulator as a process, for tests that are not written in Rust and for measurements.
//!
//! `lambda-emulator --config file.json` prints one line of JSON, `{"url": "http://127.0.0.1:…"}`,
//! gives what it has seen at `/_emulator/report`, and ends when its input does. All that a function
//! may have is shown here; only `name` and `binary` are needed:
//!
//! ```json
//! {
//!   "listen": "127.0.0.1:9400",
//!   "origin_secret": "secret",
//!   "functions": [{
//!     "name": "chat-completions",
//!     "binary": "target/debug/chat-completions",
//!     "paths": ["/v1/chat/completions"],
//!     "mode": "RESPONSE_STREAM",
//!     "timeout": 10,
//!     "concurrency": 10,
//!     "memory": 256,
//!     "freeze": false,
//!     "env": {"CONFIG_TABLE": "config"}
//!   }]
//! }
//! ```

use std::io::{self, Write};

use serde_json::json;
use testkit::lambda::Builder;
use tokio::io::AsyncReadExt;

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [option, path] = arguments.as_slice() else {
        return Err(usage());
    };
    if option != "--config" {
        return Err(usage());
    }
    let builder: Builder = serde_json::from_slice(&std::fs::read(path)?)?;
    let emulator = builder.start().await;
    writeln!(io::stdout(), "{}", json!({"url": emulator.url()}))?;
    tokio::io::stdin().read_to_end(&mut Vec::new()).await?;
    Ok(())
}

fn usage() -> io::Error {
    io::Error::other("usage: lambda-emulator --config file.json")
}

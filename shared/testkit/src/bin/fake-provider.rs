//! A scripted provider as a process, for tests that are not written in Rust.
//!
//! It prints one line of JSON, `{"url": "http://127.0.0.1:…"}`, and ends when its input does. It is
//! controlled over HTTP: `PUT /_script` takes a list of responses and clears the recorded requests,
//! `PUT /_latch/<name>` opens a latch of the script, `PUT /_bearer` requires the body as key,
//! `GET /_seen` lists the requests (`method`, `target`, `headers`, `body`, `json`, and the
//! `outcome`: `open`, `complete`, `cancelled`), `GET /_cancelled` waits for a client to disconnect
//! and returns whether one did. Every other request gets the script's next response; the last one repeats.
//!
//! A response is an object with one content, and optional members:
//!
//! ```json
//! [
//!   {"error": {"type": "rate_limit_error", "message": "slow down"}, "status": 429,
//!    "headers": {"retry-after": "2"}},
//!   {"json": {"any": "value"}, "delay_ms": 20},
//!   {"raw": "<html>", "content_type": "text/html", "status": 502},
//!   {"completion": "a whole OpenAI response"},
//!   {"chunks": ["a whole ", "OpenAI stream"]},
//!   {"stream": ["role", {"text": "Hi"}, {"latch": "name"}, {"wait_ms": 5}, {"frame": "data: x\n\n"},
//!               {"tool_call": ["call_1", "weather"]}, {"tool_arguments": "{}"},
//!               {"finish": "stop"}, {"usage": [9, 12]}, "done", "cut", "hang"]},
//!   {"hang": true},
//!   {"close": true}
//! ]
//! ```

use std::io::{self, Write};

use serde_json::json;
use testkit::provider::FakeProvider;
use tokio::io::AsyncReadExt;

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let fake = FakeProvider::steerable().await;
    writeln!(io::stdout(), "{}", json!({"url": fake.url()}))?;
    tokio::io::stdin().read_to_end(&mut Vec::new()).await?;
    Ok(())
}

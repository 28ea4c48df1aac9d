//! Strict providers as one process, for tests that are not written in Rust.
//!
//! It prints one line of JSON, `{"openai_chat": "http://127.0.0.1:…", …}`, the address of a provider
//! of each format, and ends when its input does. Every further line of input is a command, and each
//! gets one line of JSON back:
//!
//! - a list of responses replaces what is left of every script, forgets all requests, and gets
//!   `null`. A response has `reasoning`, `text` and `calls`, each a list of an id, a tool's name and
//!   its arguments as an object; missing members are left out. The last response repeats.
//! - `"requests"` gets `{"openai_chat": {"accepted": 1, "rejected": ["why"], "bodies": […]}, …}`.

use std::io::{self, Write};

use serde::Deserialize;
use serde_json::{Value, json};
use testkit::strict::{Format, Script, Strict};
use tokio::io::{AsyncBufReadExt, BufReader};

const FORMATS: [Format; 5] = [
    Format::OpenAiChat,
    Format::OpenAiResponses,
    Format::Anthropic,
    Format::Gemini,
    Format::Bedrock,
];

/// One line of input.
#[derive(Deserialize)]
#[serde(untagged)]
enum Command {
    Script(Vec<Response>),
    Report(String),
}

/// A response as a test writes it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Response {
    reasoning: Option<String>,
    text: Option<String>,
    #[serde(default)]
    calls: Vec<(String, String, Value)>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let mut providers = Vec::new();
    for format in FORMATS {
        providers.push(Strict::start(format).await);
    }
    print(
        &providers
            .iter()
            .map(|it| (it.format().name().to_owned(), Value::from(it.url())))
            .collect(),
    )?;

    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        print(&execute(&providers, serde_json::from_str(&line)?))?;
    }
    Ok(())
}

fn print(value: &Value) -> io::Result<()> {
    writeln!(io::stdout(), "{value}")
}

fn execute(providers: &[Strict], command: Command) -> Value {
    match command {
        Command::Script(responses) => {
            let scripts: Vec<_> = responses.iter().map(script).collect();
            for provider in providers {
                provider.forget();
                provider.script(scripts.clone());
            }
            Value::Null
        }
        Command::Report(word) if word == "requests" => {
            providers.iter().map(|it| (it.format().name().to_owned(), report(it))).collect()
        }
        Command::Report(word) => json!({"error": format!("{word} is no command")}),
    }
}

fn script(response: &Response) -> Script {
    let mut script = Script::text([]);
    script.content.clear();
    if let Some(reasoning) = &response.reasoning {
        script = script.then_reasoning([reasoning.as_str()]);
        script.tokens.reasoning = 3;
    }
    if let Some(text) = &response.text {
        script = script.then_text([text.as_str()]);
    }
    for (id, name, arguments) in &response.calls {
        script = script.then_call(id, name, [arguments.to_string().as_str()]);
    }
    script
}

fn report(provider: &Strict) -> Value {
    let bodies: Vec<_> =
        provider.requests().iter().map(testkit::provider::ReceivedRequest::json).collect();
    json!({
        "accepted": provider.accepted().len(),
        "rejected": provider.rejected(),
        "bodies": bodies,
    })
}

//! The emulator's processes are stopped, started and ended when they should be.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a broken setup should stop the test")]

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use testkit::client::{get, send};
use testkit::lambda::{Emulator, Function};

fn echo() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    tests.parent().unwrap().parent().unwrap().join("examples/echo-function")
}

/// The one-letter state of a process, nothing if it is gone.
fn state(pid: u64) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    Some(stat.rsplit_once(") ")?.1.split(' ').next()?.to_owned())
}

async fn comes_to(pid: u64, wished: &[Option<&str>]) {
    for _ in 0..1000 {
        if wished.contains(&state(pid).as_deref()) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("process {pid} is in state {:?} and not {wished:?}", state(pid));
}

/// Gone, or dead and not yet looked after.
const OVER: [Option<&str>; 2] = [None, Some("Z")];

/// Starts one of the programs, and gives it with the URL it prints.
fn start(binary: &str, arguments: &[&str]) -> (Child, String) {
    let mut command = Command::new(binary);
    let pipes = command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = pipes.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let line: Value = serde_json::from_str(&line).unwrap();
    (child, line["url"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_frozen_environment_does_not_run_between_calls() {
    let function = Function { freeze: true, ..Function::new("echo", echo()).path("*") };
    let emulator = Emulator::builder().function(function).start().await;
    for _ in 0..2 {
        assert_eq!(get(&format!("{}/v1/echo", emulator.url())).await.unwrap().status, 200);
        let pid = emulator.report().cold_starts[0].pid;
        comes_to(pid.into(), &[Some("T")]).await;
    }
    assert_eq!(emulator.report().starts_of("echo"), 1);
}

#[tokio::test]
async fn a_dropped_emulator_leaves_no_process() {
    let emulator =
        Emulator::builder().function(Function::new("echo", echo()).path("*")).start().await;
    assert_eq!(get(&format!("{}/v1/echo", emulator.url())).await.unwrap().status, 200);
    let pid = emulator.report().cold_starts[0].pid;
    drop(emulator);
    comes_to(pid.into(), &OVER).await;
}

#[tokio::test]
async fn a_killed_emulator_leaves_no_process() {
    let folder = std::env::temp_dir().join(format!("lambda-emulator-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("config.json");
    let config = json!({"functions": [{"name": "echo", "binary": echo(), "paths": ["/v1/*"]}]});
    std::fs::write(&file, config.to_string()).unwrap();
    let arguments = ["--config", file.to_str().unwrap()];
    let (mut emulator, url) = start(env!("CARGO_BIN_EXE_lambda-emulator"), &arguments);
    assert_eq!(get(&format!("{url}/v1/echo")).await.unwrap().status, 200);
    let report = get(&format!("{url}/_emulator/report")).await.unwrap().json().await.unwrap();
    let pid = report["cold_starts"][0]["pid"].as_u64().unwrap();
    emulator.kill().unwrap();
    emulator.wait().unwrap();
    comes_to(pid, &OVER).await;
    std::fs::remove_dir_all(&folder).unwrap();
}

#[tokio::test]
async fn a_fake_provider_is_controlled_over_http_and_ends_with_its_input() {
    let (mut provider, url) = start(env!("CARGO_BIN_EXE_fake-provider"), &[]);
    let put = |path: &str, body: String| {
        send(http::Request::put(format!("{url}{path}")).body(body.into()).unwrap())
    };
    let script = json!([{"stream": [{"text": "one"}, {"latch": "g"}, {"text": "two"}]}]);
    assert_eq!(put("/_script", script.to_string()).await.unwrap().status, 200);
    let mut response = get(&format!("{url}/v1/chat/completions")).await.unwrap();
    response.until("one").await.unwrap();
    assert_eq!(put("/_latch/g", String::new()).await.unwrap().status, 200);
    response.until("two").await.unwrap();
    assert_eq!(response.chunk().await.unwrap(), None);
    let seen = get(&format!("{url}/_seen")).await.unwrap().json().await.unwrap();
    assert_eq!(seen[0]["target"], "/v1/chat/completions");
    assert_eq!(seen[0]["outcome"], "complete");
    assert_eq!(put("/_script", "nonsense".to_owned()).await.unwrap().status, 400);
    drop(provider.stdin.take());
    assert!(provider.wait().unwrap().success());
}

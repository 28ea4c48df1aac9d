//! The request log: what stays of each call, as `lockgate requests` tells it.

use serde_json::{Value, json};
use testkit::lockgate::{Lockgate, Setup};
use testkit::openai;
use testkit::provider::{FakeProvider, ScriptedResponse, Step};

use crate::admin::{USERS, ask as administer};
use crate::consistent_counts::page;
use crate::support::{
    BOTH, KEY, ask, ask_with, gateway_for, gateway_for_both, hello, hello_streamed, program,
    provider, send, streaming_provider, text_in, text_of,
};

/// The calls that a gateway kept, newest last, once there are this many.
pub(crate) async fn kept(gateway: &Lockgate, calls: usize, arguments: &[&str]) -> Vec<Value> {
    let data = gateway.folder().join("lockgate.db");
    let data = data.to_str().unwrap();
    for _ in 0..100 {
        let command = ["requests", "--json", "--limit", "1000", "--data", data];
        let output = program().arguments(command).arguments(arguments.iter().copied()).run().await;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        let rows: Vec<Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        if calls <= rows.len() {
            return rows;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("there are not {calls} calls:\n{}", gateway.log());
}

fn texts<'a>(rows: &'a [Value], field: &str) -> Vec<&'a str> {
    rows.iter().map(|row| row[field].as_str().unwrap_or_default()).collect()
}

#[tokio::test]
async fn a_call_leaves_everything_that_explains_it() {
    let (first, second) = (FakeProvider::start().await, provider().await);
    first.respond_with([openai::error(429, "rate_limit_exceeded", "slow down")]);
    let gateway = gateway_for_both(&first, &second, BOTH).await;
    let headers = [
        ("user-agent", "my-client/1"),
        ("x-session-id", "session-1"),
        ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
    ];
    let response = ask_with(&gateway, &hello("both"), &headers).await;
    let id = response.header("x-request-id").to_owned();
    text_of(response).await;

    let row = kept(&gateway, 1, &[]).await.remove(0);
    assert_eq!(row["id"], json!(id));
    assert_eq!(row["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(row["tenant"], "default");
    assert_eq!(
        (&row["format"], &row["path"]),
        (&json!("openai_chat"), &json!("/v1/chat/completions"))
    );
    assert_eq!(row["requested_model"], "both");
    assert_eq!((&row["provider"], &row["sent_model"]), (&json!("second"), &json!("large")));
    assert_eq!(row["answered_model"], "gpt-4o-2024-08-06");
    assert_eq!((&row["outcome"], &row["status"]), (&json!("success"), &json!(200)));
    assert_eq!((&row["user_agent"], &row["session"]), (&json!("my-client/1"), &json!("session-1")));
    let attempts = row["attempts"].as_array().unwrap();
    assert_eq!((attempts.len(), &attempts[0]["status"]), (2, &json!(429)));
    assert_eq!(attempts[0]["next"], "next_target");
    assert_eq!(attempts[0]["key"].as_str().unwrap().len(), "none".len());
    assert_eq!(row["usage"]["source"], "reported");
    assert!(row["timings"]["total_ms"].is_number() && row["timings"]["admit_ms"].is_number());
}

#[tokio::test]
async fn refusals_are_calls_too_and_strangers_are_not() {
    let first = provider().await;
    let gateway = gateway_for(&first, "").await;
    ask(&gateway, &hello("unknown")).await;
    ask(&gateway, &json!({"model": "first/m"})).await;
    send(&gateway, "GET", "/v1/models", &[("x-api-key", KEY)], "").await;
    send(&gateway, "GET", "/nothing", &[], "").await;
    send(&gateway, "POST", "/v1/chat/completions", &[("x-api-key", "wrong")], "{}").await;
    text_of(ask(&gateway, &hello("first/m")).await).await;

    let rows = kept(&gateway, 5, &[]).await;
    assert_eq!(
        texts(&rows, "outcome"),
        ["unknown_model", "invalid_request", "success", "invalid_request", "success"]
    );
    let failed = kept(&gateway, 3, &["--failed"]).await;
    assert_eq!(failed.len(), 3);
    assert!(failed.iter().all(|row| row["message"].is_string()), "{failed:?}");
}

#[tokio::test]
async fn a_stream_that_its_client_leaves_is_kept_with_what_it_consumed() {
    let first = FakeProvider::start().await;
    let steps = [openai::role(), openai::chunk("Hello"), openai::chunk(" there"), Step::Hang];
    first.respond_with([ScriptedResponse::stream(steps)]);
    let gateway = gateway_for(&first, "").await;
    let mut response = ask(&gateway, &hello_streamed("first/m")).await;
    assert!(text_in(&response.until("there").await.unwrap()).starts_with("Hello"));
    drop(response);
    let row = kept(&gateway, 1, &[]).await.remove(0);
    assert_eq!((&row["outcome"], &row["status"]), (&json!("canceled"), &Value::Null));
    assert_eq!(row["usage"]["source"], "estimated");
    assert!(0 < row["usage"]["output"].as_u64().unwrap(), "{row}");
    assert!(row["timings"]["first_token_ms"].is_number());
}

#[tokio::test]
async fn a_session_is_found_in_the_body_too() {
    let first = streaming_provider().await;
    let gateway = gateway_for(&first, "").await;
    let mut question = hello_streamed("first/m");
    question["user"] = "user-7".into();
    let mut response = ask(&gateway, &question).await;
    response.until("[DONE]").await.unwrap();
    let rows = kept(&gateway, 1, &["--session", "user-7"]).await;
    assert_eq!(texts(&rows, "session"), ["user-7"]);
}

#[tokio::test]
async fn one_call_is_found_by_its_id_after_the_gateway_has_ended() {
    let first = provider().await;
    let gateway = gateway_for(&first, "").await;
    let response = ask(&gateway, &hello("first/m")).await;
    let id = response.header("x-request-id").to_owned();
    text_of(response).await;
    gateway.terminate().unwrap();
    let folder = gateway.left_behind().await;
    let data = folder.path().join("lockgate.db");
    let found = one(&data, &id).run().await;
    let row: Value = serde_json::from_slice(&found.stdout).unwrap();
    assert_eq!(row["id"], json!(id));
    let missing = one(&data, "req_01m8gwzp0kzzzzzzzzzzzzzzzz").run().await;
    assert_eq!(missing.status.code(), Some(1));
}

fn one(data: &std::path::Path, id: &str) -> Setup {
    program().arguments(["requests", id, "--data", data.to_str().unwrap()])
}

#[tokio::test]
async fn a_terminal_shows_a_line_for_each_call_and_the_last_minute() {
    let (first, second) = (FakeProvider::start().await, provider().await);
    first.respond_with([openai::error(503, "server_error", "down")]);
    let gateway = gateway_for_both(&first, &second, BOTH).await;
    text_of(ask(&gateway, &hello("both")).await).await;
    kept(&gateway, 1, &[]).await;
    let data = gateway.folder().join("lockgate.db");
    let data = data.to_str().unwrap();
    let listed = program().arguments(["requests", "--data", data]).run().await;
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert!(listed.contains("first/small 503 → second/large"), "{listed}");
    assert!(!listed.contains('\u{1b}'), "{listed}");

    let top = program().arguments(["top", "--once", "--json", "--data", data]).run().await;
    let top: Value = serde_json::from_slice(&top.stdout).unwrap();
    assert_eq!(top["targets"]["second/large"]["calls"], 1, "{top}");
    assert_eq!(top["tenants"]["default"]["failed"], 0);
    let cooling = top["cooldowns"][0]["what"].as_str().unwrap();
    assert!(cooling.starts_with("first/small"), "{cooling}");
    let seen = program().arguments(["top", "--once", "--data", data]).run().await;
    let seen = String::from_utf8(seen.stdout).unwrap();
    assert!(seen.contains("second/large") && seen.contains("cools down"), "{seen}");
}

/// Runs a command against a gateway's address, as the operator `root`.
async fn at_url(gateway: &Lockgate, arguments: &[&str]) -> (bool, String, String) {
    let command = program()
        .arguments(arguments.iter().copied())
        .variable("LOCKGATE_URL", gateway.url())
        .variable("LOCKGATE_USER", "root:root-password");
    let output = command.run().await;
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.success(), text(output.stdout), text(output.stderr))
}

#[tokio::test]
async fn a_terminal_reads_the_log_of_a_gateway_at_a_url() {
    let (first, second) = (FakeProvider::start().await, provider().await);
    first.respond_with([openai::error(503, "server_error", "down")]);
    let gateway = gateway_for_both(&first, &second, &format!("{BOTH}{USERS}")).await;
    text_of(ask(&gateway, &hello("both")).await).await;
    ask(&gateway, &hello("unknown")).await;
    kept(&gateway, 2, &[]).await;

    let (_, listed, _) = at_url(&gateway, &["requests", "--json"]).await;
    let here: Vec<String> = kept(&gateway, 2, &[]).await.iter().map(ToString::to_string).collect();
    assert_eq!(listed.lines().collect::<Vec<_>>(), here);
    let (_, failed, _) = at_url(&gateway, &["requests", "--failed", "--tenant", "default"]).await;
    assert!(failed.contains("404 unknown_model") && failed.lines().count() == 1, "{failed}");
    assert!(!failed.contains('\u{1b}'), "{failed}");
    assert_eq!(at_url(&gateway, &["requests", "--tenant", "nobody"]).await.1, "");
    let row: Value = serde_json::from_str(&here[0]).unwrap();
    let (_, one, _) = at_url(&gateway, &["requests", row["id"].as_str().unwrap()]).await;
    let one: Value = serde_json::from_str(&one).unwrap();
    assert_eq!((&one["id"], &one["content"]), (&row["id"], &Value::Null));

    let (_, top, _) = at_url(&gateway, &["top", "--once", "--json"]).await;
    let top: Value = serde_json::from_str(&top).unwrap();
    assert_eq!(top["targets"]["second/large"]["calls"], 1, "{top}");
    assert_eq!(top["total"]["failed"], 1, "{top}");
    let cooling = top["cooldowns"][0]["what"].as_str().unwrap();
    assert!(cooling.starts_with("first/small"), "{cooling}");

    let (is_found, _, complaint) = at_url(&gateway, &["requests", "req_nobody_knows"]).await;
    assert!(!is_found && complaint.contains("404"), "{complaint}");
    let stranger = program().arguments(["requests", "--url", gateway.url(), "--user", "root:no"]);
    let refused = stranger.run().await;
    assert!(String::from_utf8(refused.stderr).unwrap().contains("401"));
}

/// What a command against a gateway's address prints as JSON, a line each.
async fn json_at_url(gateway: &Lockgate, arguments: &[&str]) -> Vec<Value> {
    let (is_success, text, complaint) = at_url(gateway, arguments).await;
    assert!(is_success, "{complaint}");
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn tenants_are_shown_by_their_names_and_found_by_either() {
    let first = provider().await;
    let gateway = gateway_for(&first, USERS).await;
    let (_, made) =
        administer(&gateway, "POST", "/admin/tenants", r#"{"name": "Search team"}"#).await;
    let (id, key) = (made["id"].as_str().unwrap(), made["api_key"].as_str().unwrap());
    let body = hello("first/m").to_string();
    let headers = [("x-api-key", key)];
    text_of(send(&gateway, "POST", "/v1/chat/completions", &headers, body).await).await;
    text_of(ask(&gateway, &hello("first/m")).await).await;
    kept(&gateway, 2, &[]).await;

    let data = gateway.folder().join("lockgate.db");
    let here = ["--data", data.to_str().unwrap()];
    for tenant in [id, "Search team"] {
        let rows = kept(&gateway, 1, &["--tenant", tenant]).await;
        assert_eq!((rows.len(), &rows[0]["tenant"]), (1, &json!(id)));
        assert_eq!(rows[0]["tenant_name"], "Search team");
        let there = json_at_url(&gateway, &["requests", "--json", "--tenant", tenant]).await;
        assert_eq!(there, rows);
        let tenant = tenant.replace(' ', "%20");
        let (_, list) =
            administer(&gateway, "GET", &format!("/admin/requests?tenant={tenant}"), "").await;
        assert_eq!(list["data"], json!(rows));
        let html = page(&gateway, &format!("/admin/requests?tenant={tenant}")).await;
        let row = format!("<tr id=\"r-{}\"", rows[0]["id"].as_str().unwrap());
        assert!(html.contains(&row) && html.matches("<tr id=").count() == 1, "{html}");
        assert!(html.contains("Search team") && !html.contains(&format!(">{id}<")), "{html}");
    }
    for command in [&["requests"][..], &["top", "--once"]] {
        let shown = program().arguments(command.iter().chain(&here).copied()).run().await;
        let shown = String::from_utf8(shown.stdout).unwrap();
        assert!(shown.contains("Search team") && !shown.contains(id), "{shown}");
    }
    let top = json_at_url(&gateway, &["top", "--once", "--json"]).await.remove(0);
    assert_eq!(top["tenants"][id]["name"], "Search team", "{top}");

    // Calls outlive their tenant.
    administer(&gateway, "DELETE", &format!("/admin/tenants/{id}"), "").await;
    let rows = kept(&gateway, 1, &["--tenant", id]).await;
    assert_eq!(rows[0]["tenant_name"], json!(id));
    let there = json_at_url(&gateway, &["requests", "--json", "--tenant", id]).await;
    assert_eq!(there, rows);
}

#[tokio::test]
async fn a_terminal_follows_the_log_of_a_gateway_at_a_url() {
    let first = provider().await;
    let gateway = gateway_for(&first, USERS).await;
    let follow = std::process::Command::new(env!("CARGO_BIN_EXE_lockgate"))
        .args(["requests", "--follow", "--json", "--url", gateway.url()])
        .env_clear()
        .env("LOCKGATE_USER", "root:root-password")
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut follow = Follower(follow);
    let mut lines =
        std::io::BufRead::lines(std::io::BufReader::new(follow.0.stdout.take().unwrap()));
    text_of(ask(&gateway, &hello("first/m")).await).await;
    let line = tokio::task::spawn_blocking(move || lines.next().unwrap().unwrap()).await.unwrap();
    let row: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(row["requested_model"], "first/m");
}

/// A process that ends with the test.
struct Follower(std::process::Child);

impl Drop for Follower {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

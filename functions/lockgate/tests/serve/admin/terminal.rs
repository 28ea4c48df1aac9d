//! The same from a terminal: of the data file, and of a running gateway.

use std::process::Command;

use serde_json::Value;
use testkit::lockgate::Lockgate;

use super::administrated;
use crate::support::{hello, provider, send};

/// Runs a command in the folder of a gateway: whether it worked, and what it printed.
fn lockgate(gateway: &Lockgate, arguments: &[&str], url: Option<&str>) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lockgate"));
    command.args(arguments).current_dir(gateway.folder()).env_clear();
    if let Some(url) = url {
        command.env("LOCKGATE_URL", url).env("LOCKGATE_USER", "root:root-password");
    }
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    (output.status.success(), if text.is_empty() { errors } else { text })
}

#[tokio::test]
async fn a_terminal_does_the_same_to_the_file_and_at_a_url() {
    let first = provider().await;
    let gateway = administrated(&first).await;
    let url = gateway.url().to_owned();
    for (name, url) in [("here", None), ("there", Some(url.as_str()))] {
        let run = |arguments: &[&str]| lockgate(&gateway, arguments, url);
        let (done, made) = run(&["tenants", "create", name, "requests_per_day=1", "--json"]);
        assert!(done, "{made}");
        let made: Value = serde_json::from_str(&made).unwrap();
        let key = made["api_key"].as_str().unwrap();
        let headers = [("x-api-key", key)];
        let mut statuses = vec![];
        for _ in 0..2 {
            let body = hello("small").to_string();
            let answer = send(&gateway, "POST", "/v1/chat/completions", &headers, body).await;
            statuses.push(answer.status.as_u16());
        }
        assert_eq!(statuses, [200, 429], "{name}");

        let (_, listed) = run(&["tenants", "list"]);
        assert!(listed.starts_with("ID") && listed.contains(name), "{listed}");
        assert!(run(&["tenants", "set", name, "rate_limit_rpm=7"]).0);
        let (_, shown) = run(&["tenants", "show", name]);
        let limit = shown.lines().find(|line| line.starts_with("rate_limit_rpm "));
        assert!(limit.is_some_and(|line| line.ends_with("  7")), "{shown}");
        let (_, keys) = run(&["keys", "list", name]);
        assert!(keys.contains("key_"), "{keys}");
        assert!(run(&["keys", "create", name, "--name", "second"]).1.contains("api_key"));
        assert!(run(&["tenants", "rotate-key", name]).0);
        assert!(run(&["usage", name]).1.contains("requests_per_day"));
        assert!(run(&["usage", name]).1.contains("by_model"));
        for unknown in [&["models", "nope"][..], &["requests", "--tenant", "nope"]] {
            let (done, printed) = run(unknown);
            assert!(!done && printed.contains("there is no "), "{unknown:?}: {printed}");
        }
        assert!(run(&["prices", "list"]).1.contains("small"));
        assert!(!run(&["prices", "check"]).0, "a model has no price");
        assert!(run(&["tenants", "delete", name]).0);
        assert!(!run(&["tenants", "show", name]).0);
    }
}

#[tokio::test]
async fn a_forgotten_password_is_made_anew() {
    let gateway = crate::support::program().start().await;
    let (done, password) = lockgate(&gateway, &["admin", "reset-password"], None);
    assert!(done, "{password}");
    let right = super::basic("admin", password.trim());
    // The running gateway reads the operators anew within ten seconds, or at its first log-in.
    let signed_in = send(&gateway, "GET", "/admin/me", &[("authorization", &right)], "").await;
    assert_eq!(signed_in.status, 200);
}

#[tokio::test]
async fn a_password_is_made_anew_where_the_data_is_and_for_an_operator_that_it_has() {
    let first = provider().await;
    let gateway = administrated(&first).await;
    for (arguments, url, reason) in [
        (&["root"][..], None, "The configuration declares `root`"),
        (&["rooot"], None, "There is no such operator"),
        (&["rooot", "--data", "none.db"], None, "none.db is not there"),
        (&["--url", "http://127.0.0.1:1"], None, "not over http://127.0.0.1:1"),
        (&["root"], Some(gateway.url()), "not over http"),
    ] {
        let (done, text) =
            lockgate(&gateway, &[&["admin", "reset-password"], arguments].concat(), url);
        assert!(!done && text.contains(reason), "{arguments:?}: {text}");
    }
    assert!(!gateway.folder().join("none.db").exists());
}

#[tokio::test]
async fn a_terminal_makes_no_data_file_that_no_gateway_knows() {
    let first = provider().await;
    let gateway = administrated(&first).await;
    let run = |arguments: &[&str]| {
        lockgate(&gateway, &[arguments, &["--data", "none.db"]].concat(), None)
    };
    let refused: [&[&str]; 4] =
        [&["tenants", "list"], &["tenants", "create", "a"], &["keys", "list", "a"], &["usage"]];
    for arguments in refused {
        let (done, text) = run(arguments);
        assert!(!done && text.contains("none.db is not there"), "{arguments:?}: {text}");
    }
    // The configuration alone says this.
    assert!(run(&["prices", "list"]).1.contains("small"));
    let names = std::fs::read_dir(gateway.folder()).unwrap().map(|it| it.unwrap().file_name());
    let mut names = names.map(|name| name.into_string().unwrap());
    assert!(!names.any(|name| name.starts_with("none.db")));
}

#[tokio::test]
async fn a_tenant_may_be_made_before_the_first_start() {
    let first = provider().await;
    let gateway = administrated(&first).await;
    let folder = gateway.folder().join("new");
    std::fs::create_dir(&folder).unwrap();
    std::fs::copy(gateway.folder().join("config.yaml"), folder.join("config.yaml")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_lockgate"));
    command.args(["tenants", "create", "early"]).current_dir(&folder).env_clear();
    assert!(command.output().unwrap().status.success());
    assert!(folder.join("lockgate.db").exists());
}

#[tokio::test]
async fn prices_are_taken_from_litellms_file() {
    let first = provider().await;
    let gateway = administrated(&first).await;
    let file = r#"{"small": {"input_cost_per_token": 1e-06, "output_cost_per_token": 2e-06}}"#;
    std::fs::write(gateway.folder().join("prices.json"), file).unwrap();
    assert!(lockgate(&gateway, &["prices", "import", "prices.json"], Some(gateway.url())).0);
    assert!(lockgate(&gateway, &["prices", "check"], Some(gateway.url())).0);
}

//! The first steps of an operator: nothing but keys in the environment, `init`, `import`, and a
//! configuration file that changes while the server runs.

use std::time::Duration;

use serde_json::{Value, json};
use testkit::lockgate::{Lockgate, Setup};
use testkit::openai;
use testkit::provider::{FakeProvider, ScriptedResponse};

use crate::support::{
    KEY, ask, error_of, gateway_for, hello, program, provider, send, text_of, unused_address, yaml,
};

/// A server that started without a file, and the key that it printed.
async fn without_file(setup: Setup) -> (Lockgate, String) {
    let gateway = setup.start().await;
    let printed = gateway.printed("The key of your clients is ").await;
    let (_, key) = printed.split_once("The key of your clients is ").unwrap();
    let key = key.split_whitespace().next().unwrap().to_owned();
    (gateway, key)
}

async fn models(gateway: &Lockgate, key: &str) -> Vec<String> {
    let bearer = format!("Bearer {key}");
    let response = send(gateway, "GET", "/v1/models", &[("authorization", &bearer)], "").await;
    let body: Value = response.json().await.unwrap();
    let names = body["data"].as_array().unwrap().iter();
    names.map(|model| model["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn keys_in_the_environment_are_enough_to_serve() {
    let nobody = format!("{}/v1", unused_address());
    let setup = program()
        .variable("GEMINI_BASE_URL", &nobody)
        .variable("GROQ_API_KEY", "key-of-groq")
        .variable("GOOGLE_API_KEY", "key-of-google");
    let (gateway, key) = without_file(setup).await;
    let printed = gateway.printed("Try:").await;
    assert!(printed.contains("gemini (GOOGLE_API_KEY), groq (GROQ_API_KEY)"), "{printed}");
    assert!(key.starts_with("lg-") && key.len() == 67, "{key}");
    assert!(!printed.contains("key-of-"), "{printed}");
    let models = models(&gateway, &key).await;
    assert!(models.iter().any(|name| name.starts_with("gemini-")), "{models:?}");
    let refused =
        send(&gateway, "GET", "/v1/models", &[("authorization", "Bearer demo")], "").await;
    assert_eq!(refused.status, 401);
}

#[tokio::test]
async fn the_key_of_clients_may_come_from_the_environment() {
    let setup = program()
        .variable("OPENAI_API_KEY", "key-of-openai")
        .variable("OPENAI_BASE_URL", &unused_address())
        .variable("LOCKGATE_API_KEY", "a-key-that-stays-the-same");
    let (gateway, key) = without_file(setup).await;
    assert_eq!(key, "a-key-that-stays-the-same");
    assert!(models(&gateway, &key).await.iter().any(|name| name == "gpt-4o"));
}

/// The part of a text between two others.
fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    let (_, rest) = text.split_once(before).unwrap();
    rest.split_once(after).unwrap().0
}

#[tokio::test]
async fn a_key_and_one_command_are_enough_for_an_answer() {
    let openai = provider().await;
    openai.require_bearer("key-of-openai");
    let gateway = program()
        .variable("OPENAI_API_KEY", "key-of-openai")
        .variable("OPENAI_BASE_URL", &openai.url())
        .start()
        .await;
    // What the start tells to try is done as it stands there.
    let printed = gateway.printed("-d '").await;
    let body = format!("{}\n", printed.rsplit_once("-d '").unwrap().1);
    let body = body.split_once('\'').unwrap().0;
    let question: Value = serde_json::from_str(body).unwrap();
    let bearer = between(&printed, "-H 'Authorization: ", "'");
    let path = between(&printed, &format!("curl -iN {}", gateway.url()), " ");
    let headers = [("authorization", bearer), ("content-type", "application/json")];
    let response = send(&gateway, "POST", path, &headers, body.to_owned()).await;
    assert_eq!(response.status, 200);
    assert!(response.text().await.unwrap().contains("Hi"));
    let sent = openai.requests();
    let sent = sent.iter().find(|it| it.target == "/v1/chat/completions").unwrap();
    assert_eq!(sent.header("authorization"), "Bearer key-of-openai");
    let model = question["model"].as_str().unwrap();
    assert_eq!(format!("openai/{}", sent.json()["model"].as_str().unwrap()), model);
}

#[tokio::test]
async fn a_gateway_does_not_call_itself() {
    let address = unused_address();
    let output = program()
        .variable("OPENAI_API_KEY", "key-of-openai")
        .variable("OPENAI_BASE_URL", &format!("{address}/v1"))
        .arguments(["--listen", address.trim_start_matches("http://")])
        .run()
        .await;
    assert_eq!(output.status.code(), Some(2));
    let printed = String::from_utf8(output.stderr).unwrap();
    assert!(printed.contains("OPENAI_BASE_URL is the address of this gateway"), "{printed}");
}

#[tokio::test]
async fn the_demonstration_is_for_when_there_is_nothing() {
    let gateway = program().start().await;
    gateway.printed("this is the demonstration").await;
}

/// Waits until the gateway answers this model with a status.
async fn until_status(gateway: &Lockgate, model: &str, status: u16) {
    for _ in 0..200 {
        if ask(gateway, &hello(model)).await.status == status {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{model} never answered {status}:\n{}", gateway.log());
}

#[tokio::test]
async fn a_file_that_changes_is_in_force_for_new_calls() {
    let first = provider().await;
    let of = |model: &str| {
        yaml(&[("first", &first.url())], &format!("models: [{{name: {model}, provider: first}}]"))
    };
    let gateway = program().config(&of("old")).start().await;
    assert_eq!(text_of(ask(&gateway, &hello("old")).await).await, "Hi");
    assert_eq!(error_of(ask(&gateway, &hello("new")).await).await.0, 404);

    first.respond_with((0..300).map(|_| openai::completion("Hi")));
    std::fs::write(gateway.folder().join("config.yaml"), of("new")).unwrap();
    until_status(&gateway, "new", 200).await;
    assert_eq!(error_of(ask(&gateway, &hello("old")).await).await.0, 404);
}

#[cfg(unix)]
#[tokio::test]
async fn a_service_goes_on_when_it_shall_reload() {
    let first = provider().await;
    let gateway = gateway_for(&first, "").await;
    gateway.hang_up().unwrap();
    gateway.logged("the configuration file is under watch").await;
    assert_eq!(text_of(ask(&gateway, &hello("first/m")).await).await, "Hi");
}

#[tokio::test]
async fn a_bad_change_is_reported_and_the_last_good_file_stays_in_force() {
    let first = provider().await;
    let good = yaml(&[("first", &first.url())], "models: [{name: old, provider: first}]");
    let gateway = program().config(&good).start().await;
    let path = gateway.folder().join("config.yaml");
    std::fs::write(&path, good.replace("provider: first", "provider: nobody")).unwrap();
    let log = gateway.logged("The last good configuration stays in force.").await;
    assert!(log.contains("models[0].provider: names no provider: \"nobody\""), "{log}");
    assert_eq!(text_of(ask(&gateway, &hello("old")).await).await, "Hi");
}

#[tokio::test]
async fn init_writes_private_files_that_serve_at_once() {
    let arguments = ["init", "--provider", "groq", "--provider-key", "it's-a-key", "--offline"];
    let setup = program().arguments(arguments);
    let output = setup.run().await;
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(printed.contains("curl http://127.0.0.1:8080/v1/chat/completions"), "{printed}");
    assert!(!printed.contains("it's-a-key"), "{printed}");

    let folder = setup.folder();
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    let config = read("config.yaml");
    assert!(config.starts_with("# yaml-language-server: $schema=config.schema.json\n"), "{config}");
    assert!(config.contains("api_key: ${GROQ_API_KEY}"), "{config}");
    assert!(read(".env").contains("GROQ_API_KEY=\"it's-a-key\""));
    serde_json::from_str::<Value>(&read("config.schema.json")).unwrap();
    #[cfg(unix)]
    for name in ["config.yaml", ".env"] {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(folder.join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }

    // A second time it replaces nothing unless it is told to.
    let again = setup.run().await;
    assert_eq!(again.status.code(), Some(2));
    let variables = read(".env");
    let key = variables.lines().find_map(|line| line.strip_prefix("GATEWAY_API_KEY=")).unwrap();
    // The provider itself is not for tests to call.
    let elsewhere = format!("type: groq\n    base_url: {}", unused_address());
    std::fs::write(folder.join("config.yaml"), config.replace("type: groq", &elsewhere)).unwrap();
    let gateway = setup.without_arguments().start().await;
    let models = models(&gateway, key.trim_matches('\'')).await;
    assert!(models.iter().any(|name| name.starts_with("qwen/")), "{models:?}");
}

/// The targets of a name, as `explain` shows them first.
async fn explained(setup: &Setup, model: &str) -> String {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_lockgate"))
        .args(["explain", model])
        .current_dir(setup.folder())
        .env_clear()
        .envs(KEYS.map(|name| (name, "a-key")))
        .env("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap()
}

const KEYS: [&str; 4] = ["OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GROQ_API_KEY", "GEMINI_API_KEY"];

#[tokio::test]
async fn init_writes_down_what_runs_without_a_file() {
    let setup = program().arguments(["init", "--offline"]);
    let setup = KEYS.into_iter().fold(setup, |setup, name| setup.variable(name, "a-key"));
    let setup = setup.variable("OPENAI_BASE_URL", "http://127.0.0.1:9/v1");
    let names = [
        ("gpt-4o", "openai"),
        ("gpt-4o-2024-08-06", "openai"),
        ("o4-mini", "openai"),
        ("text-embedding-3-small", "openai"),
        ("claude-next-9", "anthropic"),
        ("gemini-9-pro", "gemini"),
        ("openai/gpt-4o", "openai"),
        ("openai/gpt-oss-120b", "groq"),
        ("groq/openai/gpt-oss-120b", "groq"),
    ];
    let mut before = vec![];
    for (name, wanted) in names {
        let shown = explained(&setup, name).await;
        assert!(shown.contains(&format!("1. {wanted} ")), "{name}: {shown}");
        before.push(shown);
    }
    let unknown = explained(&setup, "unheard-of").await;
    assert!(unknown.contains("provider/model"), "{unknown}");
    let output = setup.run().await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let config = std::fs::read_to_string(setup.folder().join("config.yaml")).unwrap();
    assert!(config.contains("base_url: ${OPENAI_BASE_URL}"), "{config}");
    for ((name, _), before) in names.iter().zip(before) {
        assert_eq!(explained(&setup, name).await, before, "{name}");
    }
    assert_eq!(explained(&setup, "unheard-of").await, unknown);
}

#[tokio::test]
async fn init_without_a_provider_says_what_it_needs() {
    let output = program().arguments(["init"]).run().await;
    assert_eq!(output.status.code(), Some(2));
    let printed = String::from_utf8(output.stderr).unwrap();
    assert!(printed.contains("set a variable such as OPENAI_API_KEY"), "{printed}");
}

#[tokio::test]
async fn init_says_why_it_takes_no_provider_without_a_key() {
    for (name, reason) in
        [("ollama", "ollama needs no key"), ("nobody", "nobody is no type of provider (")]
    {
        let output = program().arguments(["init", "--provider", name]).run().await;
        assert_eq!(output.status.code(), Some(2));
        let printed = String::from_utf8(output.stderr).unwrap();
        assert!(printed.contains(reason), "{printed}");
    }
}

#[tokio::test]
async fn check_online_says_which_provider_cannot_be_called() {
    let good = FakeProvider::start().await;
    let list = json!({"object": "list", "data": [{"id": "small"}, {"id": "large"}]});
    good.respond_with([ScriptedResponse::json(200, &list)]);
    let bad = FakeProvider::start().await;
    bad.respond_with([ScriptedResponse::json(401, &json!({"error": {"message": "no"}}))]);
    let rest = "
routes:
  - { name: fast, steps: [{ provider: good, model: small }, { provider: good, model: gone }] }
models: [{ name: lost, provider: good }, { name: hidden, provider: bad }]
prices: [{ provider: good, model: small, input: 0.25, output: 1.5 }]
";
    let yaml = yaml(&[("good", &good.url()), ("bad", &bad.url())], rest);
    let setup = program().config(&yaml).arguments(["check", "--online"]);
    let output = setup.run().await;
    assert!(!String::from_utf8_lossy(&output.stderr).contains('['), "no bar without a terminal");
    let printed = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{printed}");
    assert!(printed.contains("good: responds, 2 models ("), "{printed}");
    assert!(printed.contains("bad: returned 401 to a request for its models ("), "{printed}");
    let route = "fast:
  good/small: $0.250000 in, $1.500000 out for a million tokens
  good/gone: no price is known
  good does not list gone
  good does not list lost
";
    assert!(printed.contains(route), "{printed}");
    assert!(!printed.contains("hidden"), "who was not reached lists nothing: {printed}");
}

#[tokio::test]
async fn check_online_shows_its_progress_on_a_terminal() {
    let good = FakeProvider::start().await;
    good.respond_with([ScriptedResponse::json(200, &json!({"data": [{"id": "small"}]}))]);
    let setup = program().config(&yaml(&[("good", &good.url())], ""));
    let command = format!("{} check --online", env!("CARGO_BIN_EXE_lockgate"));
    // `script` of util-linux gives a program a terminal.
    let output = tokio::process::Command::new("script")
        .args(["--quiet", "--return", "--command", &command, "/dev/null"])
        .current_dir(setup.folder())
        .output()
        .await;
    let Ok(output) = output else {
        eprintln!("skipped: there is no program `script` to give a terminal");
        return;
    };
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(printed.contains("[                    ] 0/1 providers"), "{printed}");
    assert!(printed.contains("[####################] 1/1 providers"), "{printed}");
    assert!(printed.contains("good: responds, 1 models"), "{printed}");
}

#[tokio::test]
async fn the_schema_is_json() {
    let output = program().arguments(["schema"]).run().await;
    let schema: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert!(schema["properties"]["routes"].is_object());
}

#[tokio::test]
async fn a_key_that_init_is_given_wins_over_a_variable() {
    let arguments = ["init", "--provider", "openai", "--provider-key", "new-key", "--offline"];
    let setup = program().arguments(arguments).variable("OPENAI_API_KEY", "old-key");
    let output = setup.run().await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let read = |name: &str| std::fs::read_to_string(setup.folder().join(name)).unwrap();
    assert!(read("config.yaml").contains("api_key: ${LOCKGATE_OPENAI_API_KEY_1}"));
    assert!(read(".env").contains("LOCKGATE_OPENAI_API_KEY_1='new-key'"));
}

#[tokio::test]
async fn that_a_mock_lists_no_models_is_no_failure() {
    let config = format!(
        "api_key: {KEY}\nproviders: [{{ name: demo, type: mock }}]\nmodels: [{{ name: m, provider: demo }}]"
    );
    let output = program().config(&config).arguments(["check", "--online"]).run().await;
    let printed = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{printed}");
    assert!(printed.contains("demo: responds, 0 models ("), "{printed}");
    assert!(!printed.contains("does not list"), "{printed}");
}

#[tokio::test]
async fn check_online_says_why_a_provider_cannot_be_reached() {
    let config = yaml(&[("gone", "http://127.0.0.1:1")], "");
    let output = program().config(&config).arguments(["check", "--online"]).run().await;
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(printed.contains("gone: could not be reached: Connection refused"), "{printed}");
}

#[tokio::test]
async fn a_port_alone_is_every_address_of_both_versions_of_ip() {
    let gateway = program().arguments(["--listen", ":0"]).start_as_it_is().await;
    let port = gateway.url().rsplit_once(':').unwrap().1.to_owned();
    let reach = |host: &str| std::net::TcpStream::connect(format!("{host}:{port}"));
    assert!(reach("127.0.0.1").is_ok(), "{}", gateway.url());
    // Where the machine itself has no IPv6, IPv4 has to do.
    let has_ipv6 = std::net::TcpListener::bind("[::1]:0").is_ok();
    assert_eq!(reach("[::1]").is_ok(), has_ipv6);
}

#[tokio::test]
async fn an_empty_variable_counts_as_unset() {
    let setup = program().variable("LOCKGATE_CONFIG", "").variable("LOCKGATE_PORT", "");
    let gateway = setup.start().await;
    gateway.printed("this is the demonstration").await;
}

#[cfg(unix)]
#[tokio::test]
async fn a_command_that_nobody_reads_to_its_end_ends_quietly() {
    use std::process::{Command, Stdio};

    let mut child = Command::new(env!("CARGO_BIN_EXE_lockgate"))
        .arg("schema")
        .env_clear()
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
}

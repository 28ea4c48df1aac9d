//! Faults of Lambda and of its store: deadlines in each phase, frozen connections, ends and starts of
//! environments, and a store that is throttled, slow, down, or late with its answer.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use testkit::{
    client,
    lambda::{Function, Outcome},
    openai,
    provider::{ScriptedResponse, Step},
};
use tokio::task::JoinSet;

use crate::{Gateway, KEY, question};

/// A function that has four seconds, of which the last two are kept for saying so.
fn short(function: Function) -> Function {
    Function { timeout: Duration::from_secs(4), ..function }
}

fn freezing(function: Function) -> Function {
    Function { freeze: true, ..function }
}

/// A route, and tenants with a limit of each kind.
fn with_tenants(url: &str, top: &str) -> String {
    format!(
        "api_key: ${{GATEWAY_KEY}}
{top}
providers:
  - {{ name: first, base_url: {url}/first, api_key: \"${{FIRST_KEY}}\" }}
  - {{ name: second, base_url: {url}/second, api_key: \"${{SECOND_KEY}}\" }}
routes:
  - name: r
    rescue: continue
    steps: [{{ provider: first, model: a }}, {{ provider: second, model: b }}]
prices:
  - {{ provider: first, model: a, input: 1, output: 1 }}
  - {{ provider: second, model: b, input: 1, output: 1 }}
tenants:
  - {{ name: limited, api_key: key-of-limited, requests_per_day: 5 }}
  - {{ name: budgeted, api_key: key-of-budgeted, budget_usd: 5, max_concurrent: 1 }}
"
    )
}

/// The status, and `Retry-After`, of a call with this key.
async fn status(gateway: &Gateway, key: &str) -> (u16, String) {
    let response = client::post_json(&gateway.url(), key, &question()).await.unwrap();
    let retry_after = response.header("retry-after").to_owned();
    (response.status.as_u16(), retry_after)
}

/// A phase of a call that lasts until its deadline.
#[derive(Clone, Copy, Debug)]
enum Phase {
    /// The configuration is read.
    Configuration,
    /// The call is admitted.
    Admission,
    /// A whole response is waited for.
    Head,
    /// The first token of a stream is waited for.
    FirstToken,
    /// A stream goes on.
    Stream,
    /// Another target is to go on with a stream that broke.
    Rescue,
    /// White space keeps a whole response alive.
    WhiteSpace,
}

impl Phase {
    async fn gateway(self) -> Gateway {
        let gateway = Gateway::empty(|function| match self {
            Self::WhiteSpace => short(function).env("BUFFERED_HEARTBEAT_SECONDS", "0.1"),
            _ => short(function),
        })
        .await;
        gateway.apply(&with_tenants(&gateway.fake.url(), "")).await;
        let stream = |steps: &[Step]| ScriptedResponse::stream(steps.to_vec());
        let answers = match self {
            Self::Configuration | Self::Admission => vec![openai::completion("Hi")],
            Self::Head | Self::WhiteSpace => vec![ScriptedResponse::hang()],
            Self::FirstToken => vec![stream(&[openai::role(), Step::Hang])],
            Self::Stream => vec![stream(&[openai::chunk("Once"), Step::Hang])],
            Self::Rescue => {
                vec![stream(&[openai::chunk("Once"), Step::Cut]), ScriptedResponse::hang()]
            }
        };
        gateway.fake.respond_with(answers);
        match self {
            Self::Configuration => gateway.cloud.hold("Query"),
            Self::Admission => gateway.cloud.hold("UpdateItem"),
            _ => {}
        }
        gateway
    }

    /// The status, and the codes that the error within the body may have.
    fn expected(self) -> (u16, &'static [&'static str]) {
        match self {
            Self::Configuration | Self::Admission => (503, &["unavailable"]),
            Self::Head | Self::FirstToken => (504, &["timeout"]),
            Self::Stream | Self::WhiteSpace => (200, &["timeout"]),
            // A busy machine may come to the deadline before the stream broke.
            Self::Rescue => (200, &["network", "timeout"]),
        }
    }

    async fn play(self) {
        let gateway = self.gateway().await;
        let mut body = question();
        body["stream"] = matches!(self, Self::FirstToken | Self::Stream | Self::Rescue).into();
        let key = if let Self::Admission = self { "key-of-budgeted" } else { KEY };
        let response = client::post_json(&gateway.url(), key, &body).await.unwrap();
        let status = response.status.as_u16();
        let text = response.text().await.unwrap();
        let (expected, codes) = self.expected();
        assert_eq!(status, expected, "{self:?}: {text}");
        let has = |code: &&str| text.contains(&format!("\"code\":\"{code}\""));
        assert!(codes.iter().any(has), "{self:?}: {text}");
        assert!(!text.contains("[DONE]"), "{self:?}: {text}");
        gateway.is_well();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_deadline_is_met_in_each_phase() {
    let mut played = JoinSet::new();
    for phase in [
        Phase::Configuration,
        Phase::Admission,
        Phase::Head,
        Phase::FirstToken,
        Phase::Stream,
        Phase::Rescue,
        Phase::WhiteSpace,
    ] {
        played.spawn(phase.play());
    }
    played.join_all().await;
}

/// A provider that ends each connection behind its response, without saying so before.
fn provider_that_closes() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            serve_once(socket.unwrap());
        }
    });
    url
}

fn serve_once(mut socket: TcpStream) {
    let mut request = vec![];
    while !request.ends_with(b"}") {
        let mut part = [0; 4096];
        match socket.read(&mut part) {
            Ok(length @ 1..) => request.extend_from_slice(&part[..length]),
            _ => return,
        }
    }
    let body = r#"{"id":"1","object":"chat.completion","created":1,"model":"a","choices":[{"index":0,"message":{"role":"assistant","content":"Hi"},"finish_reason":"stop"}]}"#;
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length";
    drop(write!(socket, "{head}: {}\r\n\r\n{body}", body.len()));
}

#[tokio::test]
async fn connections_that_ended_during_a_freeze_cost_no_attempt() {
    let gateway = Gateway::empty(freezing).await;
    gateway.apply(&with_tenants(&provider_that_closes(), "")).await;
    for _ in 0..5 {
        let response = gateway.ask().await;
        assert_eq!(response.status, 200);
        let body = response.json().await.unwrap();
        assert_eq!(body["x_gateway"]["attempts"].as_array().unwrap().len(), 1, "{body}");
    }
    assert_eq!(gateway.emulator.report().starts_of("chat-completions"), 1);
    gateway.is_well();
}

#[tokio::test]
async fn an_environment_that_is_taken_away_leaves_everything_behind() {
    let gateway = Gateway::start().await;
    let busy = openai::error(429, "rate_limit_error", "slow down").header("retry-after", "60");
    gateway.fake.respond_with([busy, openai::completion("Hi")]);
    assert_eq!(status(&gateway, KEY).await.0, 200);
    gateway.emulator.shut_down().await;
    assert_eq!(status(&gateway, KEY).await.0, 200);
    assert_eq!(gateway.requests(), ["first", "second", "second"]);
    let report = gateway.emulator.report();
    assert_eq!(report.starts_of("chat-completions"), 2);
    assert_eq!(report.outcomes_of("chat-completions"), [&Outcome::Answered; 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_cold_starts_passes_no_limit() {
    let gateway = Gateway::empty(|it| it).await;
    gateway.apply(&with_tenants(&gateway.fake.url(), "")).await;
    gateway.fake.respond_with([openai::completion("Hi")]);
    let url = Arc::new(gateway.url());
    let mut calls = JoinSet::new();
    for _ in 0..8 {
        let url = Arc::clone(&url);
        calls.spawn(async move {
            client::post_json(&url, "key-of-limited", &question()).await.unwrap().status.as_u16()
        });
    }
    let mut statuses = calls.join_all().await;
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 200, 200, 200, 200, 429, 429, 429]);
    assert_eq!(gateway.fake.requests().len(), 5);
    assert!(1 < gateway.emulator.report().starts_of("chat-completions"));
    gateway.is_well();
}

/// How the store fails.
#[derive(Clone, Copy, Debug)]
enum StoreFault {
    Down,
    Silent,
    Throttled,
    /// Its writes are made, and their responses come too late.
    Late,
}

impl StoreFault {
    fn begin(self, gateway: &Gateway) {
        let cloud = &gateway.cloud;
        match self {
            Self::Down => cloud.shut("UpdateItem"),
            Self::Silent => cloud.hold("UpdateItem"),
            Self::Throttled => cloud.throttle("UpdateItem"),
            Self::Late => cloud.respond_late("UpdateItem"),
        }
    }

    async fn play(self) {
        let gateway = Gateway::empty(|it| it).await;
        gateway.apply(&with_tenants(&gateway.fake.url(), "")).await;
        gateway.fake.respond_with([openai::completion("Hi")]);
        assert_eq!(status(&gateway, "key-of-budgeted").await.0, 200, "{self:?}");

        self.begin(&gateway);
        assert_eq!(status(&gateway, KEY).await.0, 200, "{self:?}");
        assert_eq!(status(&gateway, "key-of-limited").await.0, 200, "{self:?}");
        let (refused, retry_after) = status(&gateway, "key-of-budgeted").await;
        assert_eq!(refused, 503, "{self:?}");
        assert!(!retry_after.is_empty(), "{self:?}");

        // What an admission holds whose answer came too late is given back.
        gateway.cloud.open();
        for _ in 0..200 {
            if status(&gateway, "key-of-budgeted").await.0 == 200 {
                return gateway.is_well();
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{self:?}: the budget stays closed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_fails_closes_budgets_and_nothing_else() {
    let mut played = JoinSet::new();
    for fault in [StoreFault::Down, StoreFault::Silent, StoreFault::Throttled, StoreFault::Late] {
        played.spawn(fault.play());
    }
    played.join_all().await;
}

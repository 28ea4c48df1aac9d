//! Every fault of a provider, whole and streamed, at the first, a middle and the last target of a
//! route: what the caller gets, who was asked how often, and what the record says.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use testkit::lockgate::Lockgate;
use testkit::openai;
use testkit::provider::{FakeProvider, ReceivedRequest, ScriptedResponse, Step};
use tokio::task::JoinSet;

use crate::support::{
    KEY, ask_with, attempts_of, chunks_of, hello, hello_streamed, provider, raw_tcp_server, serve,
    streaming_provider, text_in, unused_address,
};

/// What a provider does, and how the attempt is recorded.
struct Fault {
    name: &'static str,
    behavior: Behavior,
    /// The code of the failure, or `success` where the fault is none.
    whole: &'static str,
    streamed: &'static str,
}

/// How a provider is at fault.
enum Behavior {
    /// It responds like this to requests for whole responses, and like this to those for streams.
    Responds(ScriptedResponse, ScriptedResponse),
    /// It is reached at this address.
    At(String),
}

fn alike(
    name: &'static str,
    response: ScriptedResponse,
    (whole, streamed): (&'static str, &'static str),
) -> Fault {
    Fault { name, behavior: Behavior::Responds(response.clone(), response), whole, streamed }
}

fn failing(name: &'static str, response: ScriptedResponse, code: &'static str) -> Fault {
    alike(name, response, (code, code))
}

fn at(name: &'static str, url: String, code: &'static str) -> Fault {
    Fault { name, behavior: Behavior::At(url), whole: code, streamed: code }
}

fn limited(header: (&str, &str)) -> ScriptedResponse {
    openai::error(429, "rate_limit_error", "slow down").header(header.0, header.1)
}

/// Faults that are told by a status.
fn refusals() -> Vec<Fault> {
    let quota = json!({"error": {"message": "no", "code": "insufficient_quota"}});
    vec![
        failing("429, seconds", limited(("retry-after", "1")), "rate_limit"),
        failing(
            "429, a date",
            limited(("retry-after", "Thu, 31 Dec 2099 23:59:59 GMT")),
            "rate_limit",
        ),
        failing("429, milliseconds", limited(("retry-after-ms", "10")), "rate_limit"),
        failing("429, a reset", limited(("x-ratelimit-reset-requests", "1s")), "rate_limit"),
        failing("429, in words", openai::error(429, "x", "try again in 2s"), "rate_limit"),
        failing("429, spent", ScriptedResponse::json(429, &quota), "rate_limit"),
        failing("408", openai::error(408, "x", "no"), "timeout"),
        failing("500", openai::error(500, "x", "no"), "server_error"),
        failing("503", openai::error(503, "x", "no"), "server_error"),
        failing("504", openai::error(504, "x", "no"), "timeout"),
        failing("529", openai::error(529, "x", "no"), "server_error"),
        failing("401", openai::error(401, "x", "no"), "server_error"),
        failing("402", openai::error(402, "x", "no"), "server_error"),
        failing("404", openai::error(404, "x", "no"), "server_error"),
        failing(
            "an HTML page as an error",
            ScriptedResponse::raw(502, "text/html", "<html>bad gateway</html>"),
            "server_error",
        ),
    ]
}

/// Faults in a response that announces success.
fn bodies() -> Vec<Fault> {
    let error = json!({"error": {"message": "quota", "code": 429}});
    let half = ScriptedResponse::stream([Step::text("{\"choices\":"), Step::Hang]);
    let gzip = ScriptedResponse::raw(200, "application/json", vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0])
        .header("content-encoding", "gzip");
    let arguments =
        "{\"choices\":[{\"message\":{\"tool_calls\":[{\"function\":{\"arguments\":\"{\\\"ci";
    let raw = |body: &str| ScriptedResponse::raw(200, "application/json", body.to_owned());
    vec![
        failing("an error in a 200", ScriptedResponse::json(200, &error), "rate_limit"),
        failing("an empty 200", raw(""), "server_error"),
        failing("an HTML page", ScriptedResponse::raw(200, "text/html", "<html>"), "server_error"),
        failing("another type", ScriptedResponse::raw(200, "image/png", "PNG"), "server_error"),
        failing("nonsense", raw("nonsense"), "server_error"),
        failing("no choices", raw("{}"), "server_error"),
        failing("arguments cut in half", raw(arguments), "server_error"),
        failing("truncated gzip", gzip, "network"),
        failing(
            "headers, then silence",
            half.header("content-type", "application/json"),
            "timeout",
        ),
        failing("silence", ScriptedResponse::hang(), "timeout"),
        failing("closed before headers", ScriptedResponse::close(), "network"),
        failing(
            "an answer after the deadline",
            ScriptedResponse::delay(Duration::from_secs(5), openai::completion("late")),
            "timeout",
        ),
    ]
}

/// Faults of streams; whole responses of these providers are well.
fn streams() -> Vec<Fault> {
    let streamed = |name: &'static str, steps: Vec<Step>, code: &'static str| Fault {
        name,
        behavior: Behavior::Responds(openai::completion("Hello"), ScriptedResponse::stream(steps)),
        whole: "success",
        streamed: code,
    };
    let error = || openai::error_event("server_error", "overloaded");
    let long = "x".repeat(1024 * 1024);
    let late = Step::Wait(Duration::from_millis(50));
    vec![
        streamed("an error first", vec![error()], "server_error"),
        streamed("a role, then an error", vec![openai::role(), error()], "server_error"),
        streamed("a role, then a cut", vec![openai::role(), Step::Cut], "network"),
        streamed("a role, then silence", vec![openai::role(), Step::Hang], "timeout"),
        streamed("a role, then the end", vec![openai::role()], "server_error"),
        streamed("an end without content", vec![openai::role(), openai::done()], "server_error"),
        streamed(
            "a malformed event",
            vec![Step::text("data: {\"choices\":[{\n\n")],
            "server_error",
        ),
        streamed("comments, then silence", vec![Step::text(": x\n\n"), Step::Hang], "timeout"),
        streamed("no event at all", vec![], "server_error"),
        streamed(
            "a line of a megabyte",
            vec![
                Step::text(format!(": {long}\n\n")),
                openai::chunk("Hello"),
                openai::finish("stop"),
                openai::done(),
            ],
            "success",
        ),
        streamed(
            "usage late, and two ends",
            vec![
                openai::chunk("Hello"),
                openai::finish("stop"),
                late,
                openai::usage(3, 1),
                openai::done(),
                openai::done(),
            ],
            "success",
        ),
    ]
}

/// Faults of connections.
fn connections() -> Vec<Fault> {
    let short = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"choices\"";
    vec![
        at("nobody listens", unused_address(), "network"),
        at("an unknown host", "http://provider.invalid:1".to_owned(), "network"),
        at("a reset", raw_tcp_server(b""), "network"),
        at("another protocol", raw_tcp_server(b"SSH-2.0-OpenSSH_9.9\r\n"), "network"),
        at("fewer bytes than announced", raw_tcp_server(short), "network"),
        at("no TLS where TLS is expected", unused_address().replace("http:", "https:"), "network"),
    ]
}

/// The faults, each with its provider where it has one.
struct Stage {
    gateway: Lockgate,
    faults: Vec<(Fault, Option<FakeProvider>)>,
    /// What keeps the providers alive that every route has.
    _common: [FakeProvider; 2],
}

/// Where the provider at fault stands among the targets.
const PLACES: [(&str, &[&str]); 3] =
    [("first", &["bad", "good"]), ("middle", &["down", "bad", "good"]), ("last", &["down", "bad"])];

async fn stage() -> Stage {
    let (good, down) = (FakeProvider::responding_with(well).await, provider().await);
    down.respond_with([openai::error(500, "x", "down")]);
    let mut faults = vec![];
    let mut providers = format!(
        "  - {{ name: good, base_url: \"{}\" }}\n  - {{ name: down, base_url: \"{}\" }}\n",
        good.url(),
        down.url()
    );
    let mut routes = String::new();
    let all = [refusals(), bodies(), streams(), connections()];
    for (nth, fault) in all.into_iter().flatten().enumerate() {
        let fake = match &fault.behavior {
            Behavior::At(_) => None,
            Behavior::Responds(whole, streamed) => {
                let (whole, streamed) = (whole.clone(), streamed.clone());
                let respond = move |seen: &ReceivedRequest| {
                    if seen.json()["stream"] == true { streamed.clone() } else { whole.clone() }
                };
                Some(FakeProvider::responding_with(respond).await)
            }
        };
        let url = match (&fault.behavior, &fake) {
            (Behavior::At(url), _) => url.clone(),
            (Behavior::Responds(..), fake) => fake.as_ref().unwrap().url(),
        };
        providers.push_str(&format!("  - {{ name: bad{nth}, base_url: \"{url}\" }}\n"));
        for (place, targets) in PLACES {
            let name =
                |it: &&str| if *it == "bad" { format!("bad{nth}") } else { (*it).to_owned() };
            let step = |it| format!("{{ provider: {}, model: m, timeout: 1s }}", name(it));
            let steps: Vec<String> = targets.iter().map(step).collect();
            let steps = steps.join(", ");
            routes.push_str(&format!(
                "  - {{ name: {place}{nth}, cooldown: 0s, steps: [{steps}] }}\n"
            ));
        }
        faults.push((fault, fake));
    }
    let config = format!("api_key: {KEY}\nproviders:\n{providers}routes:\n{routes}");
    Stage { gateway: serve(&config).await, faults, _common: [good, down] }
}

/// A provider without fault.
fn well(seen: &ReceivedRequest) -> ScriptedResponse {
    if seen.json()["stream"] == true {
        openai::stream(["Hel", "lo"])
    } else {
        openai::completion("Hello")
    }
}

/// What is expected of the attempts: the code of each.
fn expected(targets: &[&str], code: &'static str) -> Vec<&'static str> {
    let mut codes = vec![];
    for target in targets {
        let outcome = match *target {
            "down" => "server_error",
            "good" => "success",
            _ => code,
        };
        codes.push(outcome);
        if outcome == "success" {
            break;
        }
    }
    codes
}

/// The outcomes of the attempts that a response names.
fn outcomes(holder: &Value) -> Vec<String> {
    let attempts = attempts_of(holder);
    attempts.iter().map(|it| it.split(' ').nth(1).unwrap().to_owned()).collect()
}

/// Plays one fault at one place, and gives what is not as expected.
async fn play(
    stage: &Stage,
    nth: usize,
    (place, targets): (&str, &[&str]),
    stream: bool,
) -> Vec<String> {
    let (fault, _) = &stage.faults[nth];
    let code = if stream { fault.streamed } else { fault.whole };
    let expected = expected(targets, code);
    let model = format!("{place}{nth}");
    let question = if stream { hello_streamed(&model) } else { hello(&model) };
    let id = format!("fault-{nth}-{place}-{stream}");
    let response = ask_with(&stage.gateway, &question, &[("x-request-id", &id)]).await;
    let status = response.status.as_u16();
    let text = response.text().await.unwrap();

    let mut wrong = vec![];
    let succeeds = expected.last() == Some(&"success");
    if succeeds != (status == 200) {
        wrong.push(format!("status {status}: {text}"));
    }
    let holder = if !succeeds {
        serde_json::from_str::<Value>(&text).unwrap_or_default()["error"].take()
    } else if stream {
        if text_in(&text) != "Hello" || !text.ends_with("data: [DONE]\n\n") {
            wrong.push(format!("the stream is {text}"));
        }
        let with = chunks_of(&text).into_iter().find(|it| it["x_gateway"].is_object());
        with.unwrap_or_default()["x_gateway"].take()
    } else {
        serde_json::from_str::<Value>(&text).unwrap_or_default()["x_gateway"].take()
    };
    let outcomes = outcomes(&holder);
    if outcomes != expected {
        wrong.push(format!("the caller reads {outcomes:?} and not {expected:?}"));
    }
    wrong.extend(record_faults(stage, &id, &expected).await);
    wrong.iter().map(|it| format!("{} ({place}, stream: {stream}): {it}", fault.name)).collect()
}

/// What the record of a call says otherwise than expected.
async fn record_faults(stage: &Stage, id: &str, expected: &[&str]) -> Vec<String> {
    let named = format!("request_id=\"{id}\"");
    stage.gateway.logged(&named).await;
    let log = stage.gateway.log();
    let Some(line) = log.lines().find(|it| it.contains(&named) && it.contains("call ended")) else {
        return vec!["there is no record".to_owned()];
    };
    let attempts = line.split("attempts=\"").nth(1).and_then(|it| it.split('"').next());
    let outcomes: Vec<&str> = attempts
        .unwrap_or_default()
        .split(", ")
        .map(|it| it.split(' ').nth(1).unwrap_or_default())
        .collect();
    let succeeds = expected.last() == Some(&"success");
    let mut wrong = vec![];
    if outcomes != expected {
        wrong.push(format!("the record has {outcomes:?} and not {expected:?}"));
    }
    if line.contains("outcome=\"success\"") != succeeds {
        wrong.push(format!("the record says {line}"));
    }
    wrong
}

#[tokio::test(flavor = "multi_thread")]
async fn each_fault_is_the_same_to_the_caller_the_providers_and_the_record() {
    let stage = Arc::new(stage().await);
    let cases = (0..stage.faults.len()).flat_map(|nth| {
        PLACES.iter().flat_map(move |place| [(nth, *place, false), (nth, *place, true)])
    });
    let cases: Vec<_> = cases.collect();
    let mut wrong: Vec<String> = vec![];
    // A few at once, so that the time-outs among them pass side by side.
    for some in cases.chunks(12) {
        let mut played = JoinSet::new();
        for (nth, place, stream) in some.iter().copied() {
            let stage = Arc::clone(&stage);
            played.spawn(async move { play(&stage, nth, place, stream).await });
        }
        wrong.extend(played.join_all().await.into_iter().flatten());
    }
    for (fault, fake) in &stage.faults {
        let times = fake.as_ref().map_or(2 * PLACES.len(), |fake| fake.requests().len());
        if times != 2 * PLACES.len() {
            wrong.push(format!("{}: the provider was asked {times} times", fault.name));
        }
    }
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// The events of a stream: a role, five texts, the finish, usage and the end.
fn events() -> Vec<Step> {
    let texts = ["One ", "two ", "three ", "four ", "five."].map(openai::chunk);
    let end = [openai::finish("stop"), openai::usage(9, 5), openai::done()];
    [openai::role()].into_iter().chain(texts).chain(end).collect()
}

/// A gateway whose first provider breaks after so many events, and a second that goes on.
async fn cut_after(count: usize, rescue: &str) -> (Lockgate, FakeProvider, FakeProvider) {
    let (first, second) = (FakeProvider::start().await, streaming_provider().await);
    let steps = events().into_iter().take(count).chain([Step::Cut]);
    first.respond_with([ScriptedResponse::stream(steps)]);
    second.respond_with([openai::stream(["and so ", "on."])]);
    let route = format!(
        "routes:\n  - name: both\n    rescue: {rescue}\n    steps:\n      \
         - {{ provider: first, model: small }}\n      - {{ provider: second, model: large }}\n"
    );
    let gateway = crate::support::gateway_for_both(&first, &second, &route).await;
    (gateway, first, second)
}

#[tokio::test]
async fn a_cut_after_any_event_is_failed_over_reported_or_rescued() {
    let texts = ["One ", "two ", "three ", "four ", "five."];
    for count in 0..=events().len() {
        let before = texts.get(..count.saturating_sub(1).min(texts.len())).unwrap().concat();
        let is_whole = events().len() - 2 <= count;
        let has_end = events().len() <= count;
        for rescue in ["off", "continue"] {
            let (gateway, first, second) = cut_after(count, rescue).await;
            let question = hello_streamed("both");
            let response = ask_with(&gateway, &question, &[("x-request-id", "cut")]).await;
            let stream = response.text().await.unwrap();
            let case = format!("{count} events, rescue {rescue}: {stream}");
            let goes_on = before.is_empty() || (rescue == "continue" && !is_whole);
            let succeeds = before.is_empty() || rescue == "continue" || has_end;
            let text = if goes_on { format!("{before}and so on.") } else { before.clone() };
            assert_eq!(text_in(&stream), text, "{case}");
            assert_eq!(stream.ends_with("data: [DONE]\n\n"), succeeds, "{case}");
            assert_eq!(stream.contains("\"error\""), !succeeds, "{case}");
            let requested = (first.requests().len(), second.requests().len());
            assert_eq!(requested, (1, usize::from(goes_on)), "{case}");
            gateway.logged("call ended").await;
            assert_eq!(gateway.log().contains("outcome=\"success\""), succeeds, "{case}");
        }
    }
}

//! A long run of mixed traffic with faults: memory and descriptors stay flat, and at the end every
//! count is the truth. `make soak` runs it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use testkit::lockgate::Lockgate;
use testkit::openai;
use testkit::provider::{FakeProvider, ReceivedRequest, ScriptedResponse, Step};
use tokio::task::JoinSet;

use crate::support::{KEY, ask, hello, hello_streamed, serve};

/// How many clients call at once.
const CLIENTS: u64 = 8;
/// How much the memory may grow after the warm-up, in KiB, by the slope of all samples.
const MAX_GROWTH_KIB: f64 = 16.0 * 1024.0;
/// How many descriptors may be added after the warm-up, by the slope of all samples.
const MAX_ADDED_DESCRIPTORS: f64 = 16.0;

/// What the clients know at the end.
#[derive(Debug, Default)]
struct Truth {
    calls: AtomicU64,
    read_whole: AtomicU64,
    refused: AtomicU64,
}

/// What a process holds at one moment.
#[derive(Clone, Copy, Debug)]
struct Sample {
    seconds: f64,
    memory_kib: f64,
    descriptors: f64,
}

/// The response of a provider to its nth request: most are well, the others each of another fault.
fn response(nth: u64, seen: &ReceivedRequest) -> ScriptedResponse {
    let is_stream = seen.json()["stream"] == true;
    let begun = || [openai::role(), openai::chunk("Once upon ")];
    match (nth % 16, is_stream) {
        (3, _) => openai::error(429, "rate_limit_error", "slow down").header("retry-after-ms", "5"),
        (5, _) => openai::error(503, "server_error", "overloaded"),
        // A connection that closes before its headers would be asked once more by the HTTP client.
        (7, true) => ScriptedResponse::stream([Step::Cut]),
        (7, false) => ScriptedResponse::raw(200, "application/json", ""),
        (9, true) => ScriptedResponse::stream(begun().into_iter().chain([Step::Cut])),
        (11, true) => {
            let error = openai::error_event("server_error", "overloaded");
            ScriptedResponse::stream(begun().into_iter().chain([error]))
        }
        (13, true) => ScriptedResponse::stream([Step::Wait(Duration::from_millis(300))]),
        (_, true) => openai::stream(["Once upon ", "a time"]),
        (_, false) => openai::completion("Once upon a time"),
    }
}

/// A provider, and how often it was asked.
async fn provider(faulty: bool) -> (FakeProvider, Arc<AtomicU64>) {
    let requested = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&requested);
    let fake = FakeProvider::responding_with(move |seen| {
        let nth = count.fetch_add(1, Ordering::Relaxed);
        response(if faulty { nth } else { 0 }, seen)
    });
    (fake.await, requested)
}

/// One client's calls until the end: whole and streamed, some left early, some refused.
async fn call_until(gateway: Arc<Lockgate>, truth: Arc<Truth>, end: Instant, first: u64) {
    let mut nth = first;
    while Instant::now() < end {
        nth += 1;
        truth.calls.fetch_add(1, Ordering::Relaxed);
        let (question, is_left) = match nth % 10 {
            0 => (hello("nobody"), false),
            1..=3 => (hello("both"), false),
            4 => (hello_streamed("both"), true),
            _ => (hello_streamed("both"), false),
        };
        let response = ask(&gateway, &question).await;
        if response.status != 200 {
            truth.refused.fetch_add(1, Ordering::Relaxed);
        } else if !is_left {
            let text = response.text().await.unwrap();
            let is_whole = text.contains("[DONE]") || text.contains("\"finish_reason\":\"stop\"");
            truth.read_whole.fetch_add(u64::from(is_whole), Ordering::Relaxed);
        }
    }
}

/// What the process holds now.
fn sample(process: u32, started: Instant) -> Sample {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let memory = status.lines().find_map(|it| it.strip_prefix("VmRSS:")).unwrap();
    let memory_kib = memory.trim().trim_end_matches(" kB").parse().unwrap();
    let descriptors = std::fs::read_dir(format!("/proc/{process}/fd")).unwrap().count();
    let descriptors = u32::try_from(descriptors).unwrap().into();
    Sample { seconds: started.elapsed().as_secs_f64(), memory_kib, descriptors }
}

/// By how much a value grows over all samples, by the slope of that half of them that grows less: a
/// leak grows all the time, while a moment of load that fills a queue grows once.
fn growth(samples: &[Sample], value: impl Fn(&Sample) -> f64) -> f64 {
    let (first, second) = samples.split_at(samples.len() / 2);
    2.0 * growth_of_half(first, &value).min(growth_of_half(second, &value))
}

/// The same of one half, by the line that fits its samples best.
fn growth_of_half(samples: &[Sample], value: impl Fn(&Sample) -> f64) -> f64 {
    let count = f64::from(u32::try_from(samples.len()).unwrap());
    let mean = |of: &dyn Fn(&Sample) -> f64| samples.iter().map(of).sum::<f64>() / count;
    let (time, level) = (mean(&|it| it.seconds), mean(&|it| value(it)));
    let covariance: f64 = samples.iter().map(|it| (it.seconds - time) * (value(it) - level)).sum();
    let variance: f64 = samples.iter().map(|it| (it.seconds - time).powi(2)).sum();
    let length = samples.last().unwrap().seconds - samples.first().unwrap().seconds;
    covariance / variance * length
}

#[expect(clippy::disallowed_methods, reason = "the length of a run is the caller's affair")]
fn duration() -> Duration {
    let seconds = std::env::var("SOAK_SECONDS").ok().and_then(|it| it.parse().ok());
    Duration::from_secs(seconds.unwrap_or(600))
}

/// How many calls a gateway's log has, and how many of them are successes.
fn logged_calls(log: &str) -> (u64, u64) {
    let calls = log.lines().filter(|line| line.contains("call ended"));
    calls.fold((0, 0), |(all, whole), line| {
        (all + 1, whole + u64::from(line.contains("outcome=\"success\"")))
    })
}

/// How many attempts at a provider a gateway's log has, and how many of them were canceled: those may
/// have been given up before the provider was reached.
fn logged_attempts(log: &str, provider: &str) -> (u64, u64) {
    let named = format!("{provider}/");
    let lists = log.lines().filter_map(|line| line.split("attempts=\"").nth(1)?.split('"').next());
    let attempts = lists.flat_map(|list| list.split(", ")).filter(|it| it.starts_with(&named));
    attempts.fold((0, 0), |(all, canceled), attempt| {
        (all + 1, canceled + u64::from(attempt.contains(" canceled ")))
    })
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes ten minutes: `make soak` runs it"]
async fn memory_and_descriptors_stay_flat_and_every_call_is_counted() {
    let ((first, at_first), (second, at_second)) = (provider(true).await, provider(false).await);
    let config = format!(
        "api_key: {KEY}\nproviders:\n  - {{ name: first, base_url: \"{}\" }}\n  \
         - {{ name: second, base_url: \"{}\" }}\nroutes:\n  - name: both\n    cooldown: 5ms\n    \
         cooldown_max: 20ms\n    rescue: continue\n    hedge: 100ms\n    steps:\n      \
         - {{ provider: first, model: small }}\n      - {{ provider: second, model: large }}\n",
        first.url(),
        second.url()
    );
    let gateway = Arc::new(serve(&config).await);
    let (truth, started, length) = (Arc::new(Truth::default()), Instant::now(), duration());
    let mut clients = JoinSet::new();
    for nth in 0..CLIENTS {
        let (gateway, truth) = (Arc::clone(&gateway), Arc::clone(&truth));
        clients.spawn(call_until(gateway, truth, started + length, nth));
    }

    let process = gateway.process().unwrap();
    let mut samples = vec![];
    while started.elapsed() < length {
        tokio::time::sleep(length / 100).await;
        samples.push(sample(process, started));
        first.forget();
        second.forget();
    }
    clients.join_all().await;

    // The first third fills pools, tables and the allocator.
    let steady = samples.split_off(samples.len() / 3);
    let memory = growth(&steady, |it| it.memory_kib);
    let descriptors = growth(&steady, |it| it.descriptors);
    println!("memory grows by {memory:.0} KiB, descriptors by {descriptors:.1}; {truth:?}");
    assert!(memory < MAX_GROWTH_KIB, "memory grows by {memory:.0} KiB: {steady:?}");
    assert!(descriptors < MAX_ADDED_DESCRIPTORS, "descriptors grow by {descriptors}: {steady:?}");

    let calls = truth.calls.load(Ordering::Relaxed);
    gateway.terminate().unwrap();
    let gateway = Arc::into_inner(gateway).unwrap();
    let (_, log) = gateway.ended().await;
    let (ended, whole) = logged_calls(&log);
    assert_eq!(ended, calls, "each call has one record");
    assert!(truth.read_whole.load(Ordering::Relaxed) <= whole, "what was read whole is a success");
    for (provider, requested) in [("first", at_first), ("second", at_second)] {
        let (requested, (attempts, canceled)) =
            (requested.load(Ordering::Relaxed), logged_attempts(&log, provider));
        println!("{provider}: {requested} requests, {attempts} attempts, {canceled} canceled");
        assert!(requested <= attempts, "each request of {provider} is recorded");
        assert!(attempts - canceled <= requested, "each attempt at {provider} was made");
    }
}

//! Providers that flap: what each does with its next request is a schedule's affair.

use std::sync::{Arc, Mutex};

use testkit::{
    openai,
    provider::{FakeProvider, ReceivedRequest, ScriptedResponse, Step},
};

/// What every provider says that is well.
pub(crate) const TEXTS: [&str; 5] = ["One ", "two ", "three ", "four ", "five."];

/// What a provider does with one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Behavior {
    Well,
    /// A 503, after which the target cools down.
    Fails,
    /// A 429, after which the key cools down.
    Limits,
    /// A stream breaks after two texts.
    Cuts,
    /// An event of a stream is no JSON.
    Garbles,
    /// A stream ends with an error.
    Errs,
    /// The first token comes late, so that a hedge starts.
    Dawdles,
    /// Nothing comes.
    Silent,
}

/// One request that a provider got.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    /// The provider's place among them.
    pub(crate) provider: usize,
    /// How often the clock was moved on before.
    pub(crate) epoch: u64,
}

/// What all providers of a schedule saw.
#[derive(Debug, Default)]
pub(crate) struct Log {
    pub(crate) seen: Vec<Seen>,
    pub(crate) epoch: u64,
}

/// The name of each provider.
pub(crate) const NAMES: [&str; 4] = ["first", "second", "limited", "good"];
/// The provider that is always well.
pub(crate) const GOOD: usize = 3;

/// Starts the provider at this place.
pub(crate) async fn start(
    place: usize,
    luck: Arc<Mutex<fastrand::Rng>>,
    log: Arc<Mutex<Log>>,
) -> FakeProvider {
    FakeProvider::responding_with(move |seen| {
        let behavior = draw(place, &mut luck.lock().unwrap());
        let mut log = log.lock().unwrap();
        let epoch = log.epoch;
        log.seen.push(Seen { provider: place, epoch });
        respond(behavior, seen)
    })
    .await
}

fn draw(place: usize, luck: &mut fastrand::Rng) -> Behavior {
    match (place, luck.u32(0..16)) {
        (GOOD, _) => Behavior::Well,
        (_, 0..=2) => Behavior::Fails,
        (_, 3) => Behavior::Limits,
        (_, 4 | 5) => Behavior::Cuts,
        (_, 6) => Behavior::Garbles,
        (_, 7) => Behavior::Errs,
        (_, 8 | 9) => Behavior::Dawdles,
        (0, 10) => Behavior::Silent,
        _ => Behavior::Well,
    }
}

fn respond(behavior: Behavior, seen: &ReceivedRequest) -> ScriptedResponse {
    let is_stream = seen.json()["stream"] == true;
    let begun = || [openai::role(), openai::chunk(TEXTS[0]), openai::chunk(TEXTS[1])];
    let broken = |rest: Step| ScriptedResponse::stream(begun().into_iter().chain([rest]));
    match behavior {
        Behavior::Fails => openai::error(503, "server_error", "overloaded"),
        Behavior::Limits => {
            openai::error(429, "rate_limit_error", "slow down").header("retry-after", "60")
        }
        Behavior::Silent => ScriptedResponse::hang(),
        Behavior::Cuts if is_stream => broken(Step::Cut),
        Behavior::Garbles if is_stream => broken(Step::text("data: {\"choices\":[{\n\n")),
        Behavior::Errs if is_stream => broken(openai::error_event("server_error", "overloaded")),
        Behavior::Dawdles => {
            ScriptedResponse::delay(std::time::Duration::from_millis(15), well(is_stream))
        }
        _ => well(is_stream),
    }
}

fn well(is_stream: bool) -> ScriptedResponse {
    if !is_stream {
        return openai::completion(&TEXTS.concat());
    }
    let texts = TEXTS.map(openai::chunk);
    let end = [openai::finish("stop"), openai::usage(9, 12), openai::done()];
    ScriptedResponse::stream([openai::role()].into_iter().chain(texts).chain(end))
}

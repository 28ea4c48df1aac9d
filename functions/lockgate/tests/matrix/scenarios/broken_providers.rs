//! Providers that break on purpose: the name of the model says how.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use testkit::strict::{DecodedRequest, Format, InjectedFault, Role, Script, Strict, Tokens};

use super::catalog::{Injected, SCENARIOS};

/// The response of every provider that is well: the same text, so that one that is cut cannot be
/// taken for a whole one.
pub(crate) const ANSWER: [&str; 30] = [
    "A ",
    "gateway ",
    "earns ",
    "trust ",
    "when ",
    "what ",
    "stands ",
    "behind ",
    "it ",
    "fails: ",
    "it ",
    "waits ",
    "as ",
    "told, ",
    "asks ",
    "somebody ",
    "else, ",
    "goes ",
    "on ",
    "from ",
    "the ",
    "exact ",
    "place, ",
    "bills ",
    "once, ",
    "and ",
    "says ",
    "what ",
    "it ",
    "did.",
];
/// What a response uses.
pub(crate) const TOKENS: Tokens =
    Tokens { input: 21, cached: 0, written: 0, output: 30, reasoning: 0 };

/// What the providers have seen, by the name of the model.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    requests: BTreeMap<String, Vec<Instant>>,
    healed: BTreeSet<String>,
}

/// Shared by the providers of all formats.
pub(crate) type Log = Arc<Mutex<Seen>>;

/// Starts the provider of a format.
pub(crate) async fn start(format: Format, log: Log) -> Strict {
    Strict::responding_with(format, move |request| log.lock().unwrap().script(request)).await
}

impl Seen {
    /// How often a model was asked.
    pub(crate) fn count(&self, model: &str) -> usize {
        self.requests.get(model).map_or(0, Vec::len)
    }

    /// Ends the outage of a model.
    pub(crate) fn heal(&mut self, model: &str) {
        self.healed.insert(model.to_owned());
    }

    fn script(&mut self, request: &DecodedRequest) -> Script {
        let requests = self.requests.entry(request.model.clone()).or_default();
        requests.push(Instant::now());
        let injected = SCENARIOS.iter().find(|it| request.model.starts_with(it.id));
        let fault = injected.and_then(|it| match it.injected {
            Injected::Once(fault) => (requests.len() == 1).then_some(fault),
            Injected::Always(fault) => Some(fault),
            Injected::Limited(seconds) => {
                let over = Duration::from_secs(seconds.into());
                (requests[0].elapsed() < over).then_some(InjectedFault::RetryAfter(seconds))
            }
            Injected::UntilHealed(fault) => {
                (!self.healed.contains(&request.model)).then_some(fault)
            }
        });
        let is_prefilled = request.messages.last().is_some_and(|it| it.role == Role::Assistant);
        let script = Script::text(ANSWER).with_tokens(TOKENS);
        match fault.or(is_prefilled.then_some(InjectedFault::NoPrefill)) {
            Some(fault) => script.with_fault(fault),
            None => script,
        }
    }
}

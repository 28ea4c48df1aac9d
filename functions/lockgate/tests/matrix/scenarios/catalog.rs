//! What each scenario injects, and what is expected of the gateway.

use std::ops::RangeInclusive;

use testkit::strict::InjectedFault;

/// One scenario.
#[derive(Debug)]
pub(crate) struct Scenario {
    /// Its name in the published catalog.
    pub(crate) id: &'static str,
    /// What the first provider does.
    pub(crate) fault: &'static str,
    /// What the gateway does about it.
    pub(crate) answer: &'static str,
    /// The fault, and how long it lasts.
    pub(crate) injected: Injected,
    /// How often the first provider may be asked.
    pub(crate) primary: RangeInclusive<usize>,
    /// How often the second provider may be asked.
    pub(crate) fallback: RangeInclusive<usize>,
    /// What is expected beyond that.
    pub(crate) expects: Expects,
}

/// A fault of the first provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Injected {
    /// The first request meets it, and no later one.
    Once(InjectedFault),
    /// Every request meets it.
    Always(InjectedFault),
    /// Requests are refused until the time is over that the first refusal names, in seconds.
    Limited(u32),
    /// Requests meet it until the test says that the outage is over.
    UntilHealed(InjectedFault),
}

/// What a client has to get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expects {
    /// The whole response.
    Whole,
    /// The whole response, with usage.
    WithUsage,
    /// The whole response, named and counted as that of the second provider.
    OfFallback,
    /// The whole response, although the second provider refuses to be given its beginning.
    DespitePrefill,
    /// The refusal, with the provider's reason.
    Refusal,
    /// Whole responses during an outage, and the first provider again after it.
    Recovery,
}

const ONCE: RangeInclusive<usize> = 1..=1;
const NEVER: RangeInclusive<usize> = 0..=0;

/// The scenarios, in the order of the published catalog.
pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        id: "S01",
        fault: "429 with `Retry-After`",
        answer: "waits as long as it says, and asks again",
        injected: Injected::Limited(1),
        primary: 2..=2,
        fallback: NEVER,
        expects: Expects::Whole,
    },
    Scenario {
        id: "S02",
        fault: "429 without `Retry-After`, for ever",
        answer: "one more attempt after a pause, then the next target",
        injected: Injected::Always(InjectedFault::Status(429)),
        primary: 1..=2,
        fallback: ONCE,
        expects: Expects::Whole,
    },
    Scenario {
        id: "S03",
        fault: "500 once",
        answer: "asks the same target again",
        injected: Injected::Once(InjectedFault::Status(500)),
        primary: 2..=2,
        fallback: NEVER,
        expects: Expects::Whole,
    },
    Scenario {
        id: "S04",
        fault: "503 for ever",
        answer: "the next target",
        injected: Injected::Always(InjectedFault::Status(503)),
        primary: 1..=2,
        fallback: ONCE,
        expects: Expects::Whole,
    },
    Scenario {
        id: "S05",
        fault: "connection closed before a response, once",
        answer: "asks again",
        injected: Injected::Once(InjectedFault::Reset),
        primary: 1..=2,
        fallback: 0..=1,
        expects: Expects::Whole,
    },
    Scenario {
        id: "S06",
        fault: "no response at all",
        answer: "the next target after the step's `timeout`",
        injected: Injected::Always(InjectedFault::Silent),
        primary: ONCE,
        fallback: ONCE,
        expects: Expects::Whole,
    },
    Scenario {
        id: "S07",
        fault: "a head, and no first token",
        answer: "the next target after the step's `timeout`",
        injected: Injected::Always(InjectedFault::SilentBody),
        primary: ONCE,
        fallback: ONCE,
        expects: Expects::Whole,
    },
    Scenario {
        id: "S08",
        fault: "stream cut after two thirds",
        answer: "the next target goes on",
        injected: Injected::Always(InjectedFault::CutMidway),
        primary: ONCE,
        fallback: ONCE,
        expects: Expects::Whole,
    },
    Scenario {
        id: "S09",
        fault: "stream stalls after two thirds",
        answer: "the next target goes on after `idle_timeout`",
        injected: Injected::Always(InjectedFault::StallsMidway),
        primary: ONCE,
        fallback: ONCE,
        expects: Expects::Whole,
    },
    Scenario {
        id: "S10",
        fault: "malformed event within a stream",
        answer: "the next target goes on",
        injected: Injected::Always(InjectedFault::MalformedMidway),
        primary: ONCE,
        fallback: ONCE,
        expects: Expects::Whole,
    },
    Scenario {
        id: "S11",
        fault: "stream without its terminator",
        answer: "the stream is finished at once",
        injected: Injected::Always(InjectedFault::LacksTerminator),
        primary: ONCE,
        fallback: NEVER,
        expects: Expects::WithUsage,
    },
    Scenario {
        id: "S12",
        fault: "prompt too long",
        answer: "another model, and the same not again",
        injected: Injected::Always(InjectedFault::TooLong),
        primary: ONCE,
        fallback: ONCE,
        expects: Expects::Whole,
    },
    Scenario {
        id: "S13",
        fault: "prompt refused for its content",
        answer: "the refusal, with its reason; nobody else is asked",
        injected: Injected::Always(InjectedFault::Filtered),
        primary: ONCE,
        fallback: NEVER,
        expects: Expects::Refusal,
    },
    Scenario {
        id: "S14",
        fault: "stream cut, and the next target rejects a prefill",
        answer: "the next target is asked the other way",
        injected: Injected::Always(InjectedFault::CutMidway),
        primary: ONCE,
        fallback: 1..=2,
        expects: Expects::DespitePrefill,
    },
    Scenario {
        id: "S15",
        fault: "503 for a while, then well",
        answer: "the next target meanwhile, and back after a cooldown",
        injected: Injected::UntilHealed(InjectedFault::Status(503)),
        primary: 2..=1_000,
        fallback: 5..=1_000,
        expects: Expects::Recovery,
    },
    Scenario {
        id: "S16",
        fault: "503 for ever: whose model and usage are told",
        answer: "those of the target that responded, and nothing of the other",
        injected: Injected::Always(InjectedFault::Status(503)),
        primary: 1..=2,
        fallback: ONCE,
        expects: Expects::OfFallback,
    },
];

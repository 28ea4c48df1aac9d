//! Every family of metrics, under the names of Lockgate and of earlier gateways.
//!
//! Labels come from the configuration and from tenants. A model that only clients name is `other`.

use std::collections::BTreeMap;

use config::MetricNames;
use telemetry::sums::{
    AttemptKey, CallSum, DURATION_BOUNDS, FIRST_TOKEN_BOUNDS, OTHER, OVERHEAD_BOUNDS, SumKey,
    Totals,
};

use super::{
    cooldowns,
    family::{
        DEFAULT_BOUNDS, Family, HistogramScale, Labels, SECONDS, SEED_B_BOUNDS, Series, float,
    },
    gen_ai, serves,
};

/// What stands for the provider and model of calls that made no attempt.
const NONE: &str = "none";

/// What metrics are made of, at one moment.
#[derive(Debug, Default)]
pub(super) struct Reading {
    pub(super) totals: Totals,
    /// The earlier gateways whose names are served.
    pub(super) seeds: Vec<MetricNames>,
    /// The providers of the configuration, each with its type.
    pub(super) providers: BTreeMap<String, String>,
    /// The providers that cool down, and whether one call probes whether that is over.
    pub(super) cooling_down: BTreeMap<String, bool>,
    /// How much of its budget each tenant has used, by id.
    pub(super) budgets: BTreeMap<String, f64>,
    /// How many tenants made calls in the current hour.
    pub(super) active_tenants: usize,
    /// Calls of this process that have not ended, by format and the provider of their latest attempt.
    pub(super) in_flight: BTreeMap<(&'static str, String), u64>,
    /// Streams of this process that have not ended.
    pub(super) streams: u64,
    /// Records of this process that were lost.
    pub(super) lost_records: u64,
    /// Operations on the store that failed in this process.
    pub(super) store_errors: u64,
    /// Calls of this process whose spans, log events or usage event were lost.
    pub(super) lost_exports: u64,
}

/// Every family that is to be served.
pub(super) fn families(reading: &Reading) -> Vec<Family> {
    let mut all = own(reading);
    all.extend(gen_ai::families(reading));
    if serves(reading, MetricNames::B) {
        all.extend(of_seed_b(reading));
    }
    if serves(reading, MetricNames::C) {
        all.extend(of_seed_c(reading));
    }
    if serves(reading, MetricNames::D) {
        all.extend(of_seed_d(reading));
    }
    all
}

#[expect(clippy::too_many_lines, reason = "a table: one entry for each metric")]
fn own(reading: &Reading) -> Vec<Family> {
    let Totals { sums, late, .. } = &reading.totals;
    let target = |key: &SumKey| vec![("provider", provider(key)), ("model", model(key))];
    let attempts = sums.attempts.iter().map(|(key, count)| {
        let labels = vec![
            ("provider", key.provider.clone()),
            ("model", attempt_model(key)),
            outcome(&key.outcome),
        ];
        (labels, *count)
    });
    let fallbacks = sums.fallbacks.iter().map(|(key, count)| {
        let route = if key.route.is_empty() { NONE.to_owned() } else { key.route.clone() };
        let (from, to) = (key.from.clone(), key.to.clone());
        (vec![("route", route), ("from", from), ("to", to), outcome(&key.outcome)], *count)
    });
    vec![
        counter("lockgate_attempts", "Requests to providers, by how they ended.", added(attempts)),
        counter(
            "lockgate_fallbacks",
            "Attempts at another target after one failed, by how they ended.",
            added(fallbacks),
        ),
        histogram(
            "lockgate_time_to_first_token_seconds",
            "From arrival to the first token, or to a whole response.",
            HistogramScale::seconds(FIRST_TOKEN_BOUNDS),
            grouped(reading, target, |sum| sum.first_token.clone()),
        ),
        histogram(
            "lockgate_overhead_seconds",
            "The gateway's own part of the time to the first token.",
            HistogramScale::seconds(OVERHEAD_BOUNDS),
            grouped(reading, |_| vec![], |sum| sum.overhead.clone()),
        ),
        Family {
            name: "lockgate_cooldown_seconds",
            help: "For how long failures made targets cool down, as the cooldowns began.",
            series: Series::MicroCounter(cooldowns::series(reading)),
        },
        counter(
            "lockgate_dropped_fields",
            "Fields of requests that the provider's format does not support.",
            counted(reading, target, |sum| sum.dropped),
        ),
        counter(
            "lockgate_unpriced_calls",
            "Calls that consumed tokens of an unknown price.",
            counted(reading, target, |sum| sum.unpriced),
        ),
        counter(
            "lockgate_estimated_calls",
            "Calls whose usage is estimated, because no provider reported it to the end.",
            counted(reading, target, |sum| sum.estimated),
        ),
        counter(
            "lockgate_lost_holds",
            "Holds of budgets that were charged as lost, since their calls were never settled.",
            single(reading.totals.lost_holds),
        ),
        counter(
            "lockgate_store_errors",
            "Operations on the store that failed, of this process since its start.",
            single(reading.store_errors),
        ),
        counter(
            "lockgate_late_records",
            "Records that were written after the sum of their hour, and added to it later.",
            single(*late),
        ),
        counter(
            "lockgate_lost_records",
            "Records that could not be written, of this process since its start.",
            single(reading.lost_records),
        ),
        counter(
            "lockgate_export_lost",
            "Calls whose spans and log events, or whose usage event, could not be exported, of this process since its start.",
            single(reading.lost_exports),
        ),
    ]
}

#[expect(clippy::too_many_lines, reason = "a table: one entry for each metric")]
fn of_seed_b(reading: &Reading) -> Vec<Family> {
    let tenant = |key: &SumKey| vec![("tenant_id", tenant(key))];
    let target = |key: &SumKey| {
        vec![("tenant_id", self::tenant(key)), ("provider", provider(key)), ("model", model(key))]
    };
    let errors = reading.totals.sums.attempts.iter().filter(|(key, _)| is_failure(&key.outcome));
    let errors = errors.map(|(key, count)| {
        (vec![("provider", key.provider.clone()), ("error_type", key.outcome.clone())], *count)
    });
    let state = |name: &String| match reading.cooling_down.get(name) {
        None => 0.0,
        Some(true) => 1.0,
        Some(false) => 2.0,
    };
    let states =
        reading.providers.keys().map(|name| (vec![("provider", name.clone())], state(name)));
    let budgets = reading.budgets.iter();
    let budgets = budgets.map(|(tenant, ratio)| (vec![("tenant_id", tenant.clone())], *ratio));
    let version = env!("CARGO_PKG_VERSION").to_owned();
    let info = vec![("namespace", "lockgate".to_owned()), ("version", version)];
    vec![
        counter("aigateway_requests", "Calls, by how they ended.", requests_of_seed_b(reading)),
        histogram(
            "aigateway_request_duration_seconds",
            "From arrival to the end of a call.",
            HistogramScale { counted: DURATION_BOUNDS, shown: SEED_B_BOUNDS, unit: SECONDS },
            grouped(reading, target, |sum| sum.duration.clone()),
        ),
        counter("aigateway_tokens", "Tokens, by type.", tokens_of_seed_b(reading)),
        Family {
            name: "aigateway_cost_usd",
            help: "What calls cost, in US dollars.",
            series: Series::MicroCounter(counted(reading, target, |sum| sum.cost)),
        },
        counter(
            "aigateway_cache_hits",
            "Calls that got a response from the cache.",
            counted(reading, tenant, |sum| sum.cache_hits),
        ),
        counter(
            "aigateway_cache_misses",
            "Calls that asked the cache in vain.",
            counted(reading, tenant, |sum| sum.cache_misses),
        ),
        counter(
            "aigateway_rate_limit_hits",
            "Calls that the gateway refused because a limit was reached.",
            rate_limit_hits(reading),
        ),
        counter(
            "aigateway_provider_errors",
            "Attempts that failed, by the code of the failure.",
            added(errors),
        ),
        gauge(
            "aigateway_circuit_breaker_state",
            "Whether a provider cools down: 0 no, 1 one call probes it, 2 yes.",
            states.collect(),
        ),
        gauge(
            "aigateway_budget_usage_ratio",
            "How much of its budget a tenant has used, what is held included.",
            budgets.collect(),
        ),
        gauge(
            "aigateway_active_streams",
            "Streams in flight, of this process.",
            BTreeMap::from([(vec![], float(reading.streams))]),
        ),
        gauge(
            "aigateway_active_connections",
            "Calls in flight, of this process.",
            BTreeMap::from([(vec![], float(reading.in_flight.values().sum()))]),
        ),
        gauge("aigateway_instance_info", "The gateway's version.", BTreeMap::from([(info, 1.0)])),
    ]
}

fn requests_of_seed_b(reading: &Reading) -> BTreeMap<Labels, u64> {
    let series = |key: &SumKey, status: &str| {
        vec![
            ("tenant_id", tenant(key)),
            ("provider", provider(key)),
            ("model", model(key)),
            ("status", status.to_owned()),
        ]
    };
    // One sum holds calls that were refused before any attempt and calls that failed after some;
    // the seed tells them apart.
    let calls = reading.totals.sums.calls.iter().flat_map(|(key, sum)| {
        let attempted = (series(key, status_of(key, Refusal::ByProvider)), sum.calls - sum.refused);
        let refused = (series(key, status_of(key, Refusal::ByGateway)), sum.refused);
        [attempted, refused]
    });
    // Requests without a right key belong to no tenant and are counted apart.
    let strangers = SumKey::default();
    let unauthorized = (series(&strangers, "unauthorized"), reading.totals.unauthenticated);
    added(calls.chain([unauthorized]).filter(|(_, count)| *count != 0))
}

fn rate_limit_hits(reading: &Reading) -> BTreeMap<Labels, u64> {
    let calls = reading.totals.sums.calls.iter().filter(|(key, _)| key.outcome == "rate_limit");
    let refused = calls.map(|(key, sum)| (vec![("tenant_id", tenant(key))], sum.refused));
    added(refused.filter(|(_, count)| *count != 0))
}

/// Who ended a call with a failure.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Refusal {
    ByGateway,
    ByProvider,
}

/// The second seed's word for how calls ended.
fn status_of(key: &SumKey, refusal: Refusal) -> &'static str {
    match (&*key.outcome, key.status, refusal) {
        ("success", ..) => "success",
        ("canceled", ..) => "canceled",
        ("rate_limit", _, Refusal::ByGateway) => "rate_limited",
        (_, 401, Refusal::ByGateway) => "unauthorized",
        (_, 402, _) => "budget_exceeded",
        ("unknown_model" | "unavailable", _, Refusal::ByGateway) => "no_provider",
        (_, 400..=499, Refusal::ByGateway) | ("invalid_request", ..) => "bad_request",
        _ => "provider_error",
    }
}

fn tokens_of_seed_b(reading: &Reading) -> BTreeMap<Labels, u64> {
    let of_type = |key: &SumKey, kind: &str| {
        vec![
            ("tenant_id", tenant(key)),
            ("provider", provider(key)),
            ("model", model(key)),
            ("type", kind.to_owned()),
        ]
    };
    let tokens = reading.totals.sums.calls.iter().flat_map(|(key, sum)| {
        let tokens = sum.tokens();
        [(of_type(key, "input"), tokens.all_input()), (of_type(key, "output"), tokens.all_output())]
    });
    added(tokens.filter(|(_, count)| *count != 0))
}

fn of_seed_c(reading: &Reading) -> Vec<Family> {
    let target = |key: &SumKey| vec![("client_id", tenant(key)), ("model", model(key))];
    let with_status = |key: &SumKey| {
        let mut labels = target(key);
        labels.push(("status", status_class(key).to_owned()));
        labels
    };
    let errors = reading.totals.sums.attempts.iter().filter(|(key, _)| is_failure(&key.outcome));
    let errors = errors.map(|(key, count)| {
        let client = key.tenant.clone();
        let labels = vec![
            ("client_id", client),
            ("model", attempt_model(key)),
            ("provider", key.provider.clone()),
        ];
        (labels, *count)
    });
    vec![
        counter(
            "ai_gateway_requests",
            "Calls, by how they ended.",
            counted(reading, with_status, |sum| sum.calls),
        ),
        counter(
            "ai_gateway_input_tokens",
            "Input tokens.",
            counted(reading, target, |sum| sum.tokens().all_input()),
        ),
        counter(
            "ai_gateway_output_tokens",
            "Output tokens.",
            counted(reading, target, |sum| sum.tokens().all_output()),
        ),
        histogram(
            "ai_gateway_request_duration_seconds",
            "From arrival to the end of a call.",
            HistogramScale { counted: DURATION_BOUNDS, shown: DEFAULT_BOUNDS, unit: SECONDS },
            grouped(reading, target, |sum| sum.duration.clone()),
        ),
        gauge(
            "ai_gateway_requests_in_progress",
            "Calls in flight, of this process.",
            BTreeMap::from([(vec![], float(reading.in_flight.values().sum()))]),
        ),
        gauge(
            "ai_gateway_active_clients",
            "Tenants that made calls in the current hour.",
            BTreeMap::from([(vec![], float(reading.active_tenants as u64))]),
        ),
        counter("ai_gateway_upstream_errors", "Attempts that failed.", added(errors)),
    ]
}

fn of_seed_d(reading: &Reading) -> Vec<Family> {
    let target = |key: &SumKey| {
        let format = if key.format.is_empty() { NONE.to_owned() } else { key.format.clone() };
        vec![("format", format), ("model", model(key)), ("provider", provider(key))]
    };
    let with_status = |key: &SumKey| {
        let mut labels = target(key);
        labels.push(("status", status_class(key).to_owned()));
        labels
    };
    let errors = reading.totals.sums.calls.iter().filter(|(key, _)| is_failure(&key.outcome));
    let errors = errors.map(|(key, sum)| {
        let mut labels = target(key);
        labels.push(("error_type", key.outcome.clone()));
        (labels, sum.calls)
    });
    vec![
        counter(
            "proxy_requests",
            "Calls, failed ones included.",
            counted(reading, with_status, |sum| sum.calls),
        ),
        histogram(
            "proxy_request_duration_seconds",
            "From arrival to the end of a call.",
            HistogramScale { counted: DURATION_BOUNDS, shown: DEFAULT_BOUNDS, unit: SECONDS },
            grouped(reading, target, |sum| sum.duration.clone()),
        ),
        counter("proxy_errors", "Calls that failed, by the code of the failure.", added(errors)),
        gauge(
            "proxy_active_requests",
            "Calls in flight, of this process, by the provider of their latest attempt.",
            reading.in_flight.iter().map(active_requests).collect(),
        ),
    ]
}

fn active_requests(((format, provider), calls): (&(&'static str, String), &u64)) -> (Labels, f64) {
    let provider = if provider.is_empty() { NONE.to_owned() } else { provider.clone() };
    (vec![("format", (*format).to_owned()), ("provider", provider)], float(*calls))
}

/// Success or error: what the third and fourth seeds tell apart.
fn status_class(key: &SumKey) -> &'static str {
    match &*key.outcome {
        "success" => "success",
        "canceled" => "canceled",
        _ => "error",
    }
}

fn is_failure(outcome: &str) -> bool {
    outcome != "success" && outcome != "canceled"
}

fn tenant(key: &SumKey) -> String {
    if key.tenant.is_empty() { NONE.to_owned() } else { key.tenant.clone() }
}

pub(super) fn provider(key: &SumKey) -> String {
    if key.provider.is_empty() { NONE.to_owned() } else { key.provider.clone() }
}

pub(super) fn model(key: &SumKey) -> String {
    match (&*key.model, key.is_configured) {
        ("", _) => NONE.to_owned(),
        (model, true) => model.to_owned(),
        // Clients choose such names freely: each would be a new time series for ever.
        (_, false) => OTHER.to_owned(),
    }
}

fn attempt_model(key: &AttemptKey) -> String {
    if key.is_configured { key.model.clone() } else { OTHER.to_owned() }
}

fn outcome(outcome: &str) -> (&'static str, String) {
    ("outcome", outcome.to_owned())
}

/// The sums of calls by labels, as far as they are not zero.
pub(super) fn counted(
    reading: &Reading,
    labels: impl Fn(&SumKey) -> Labels,
    count: impl Fn(&CallSum) -> u64,
) -> BTreeMap<Labels, u64> {
    let calls = reading.totals.sums.calls.iter();
    let counts = calls.map(|(key, sum)| (labels(key), count(sum)));
    added(counts.filter(|(_, count)| *count != 0))
}

/// The histograms of calls by labels, as far as they hold values.
pub(super) fn grouped(
    reading: &Reading,
    labels: impl Fn(&SumKey) -> Labels,
    histogram: impl Fn(&CallSum) -> telemetry::sums::Histogram,
) -> BTreeMap<Labels, telemetry::sums::Histogram> {
    let mut groups: BTreeMap<Labels, telemetry::sums::Histogram> = BTreeMap::new();
    for (key, sum) in &reading.totals.sums.calls {
        let values = histogram(sum);
        // An empty histogram would make a dozen series of zeros for each set of labels.
        if values.count() != 0 {
            groups.entry(labels(key)).or_default().merge(&values);
        }
    }
    groups
}

pub(super) fn added(counts: impl Iterator<Item = (Labels, u64)>) -> BTreeMap<Labels, u64> {
    let mut sums = BTreeMap::new();
    for (labels, count) in counts {
        *sums.entry(labels).or_default() += count;
    }
    sums
}

fn single(count: u64) -> BTreeMap<Labels, u64> {
    BTreeMap::from([(vec![], count)])
}

pub(super) fn counter(
    name: &'static str,
    help: &'static str,
    series: BTreeMap<Labels, u64>,
) -> Family {
    Family { name, help, series: Series::Counter(series) }
}

fn gauge(name: &'static str, help: &'static str, series: BTreeMap<Labels, f64>) -> Family {
    Family { name, help, series: Series::Gauge(series) }
}

pub(super) fn histogram(
    name: &'static str,
    help: &'static str,
    scale: HistogramScale,
    series: BTreeMap<Labels, telemetry::sums::Histogram>,
) -> Family {
    Family { name, help, series: Series::Histogram(scale, series) }
}

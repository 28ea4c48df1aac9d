//! The metrics of OpenTelemetry's conventions for generative AI, as Prometheus names them.
//!
//! Source: the semantic conventions 1.41, `docs/gen-ai/gen-ai-metrics.md`. Dashboards of other AI
//! gateways read these names.

use std::collections::BTreeMap;

use telemetry::{
    conventions,
    sums::{
        DURATION_BOUNDS, FIRST_TOKEN_BOUNDS, Histogram, PER_TOKEN_BOUNDS, SumKey, TOKEN_BOUNDS,
    },
};

use super::{
    families::{Reading, counted, grouped, histogram, model},
    family::{Family, HistogramScale, Labels, SECONDS, Series},
};

/// The conventions' buckets of durations, in microseconds: from 10 ms, doubled 13 times.
const DURATIONS: &[u64] = &[
    10_000, 20_000, 40_000, 80_000, 160_000, 320_000, 640_000, 1_280_000, 2_560_000, 5_120_000,
    10_240_000, 20_480_000, 40_960_000, 81_920_000,
];

/// Tokens, times and cost of calls.
pub(super) fn families(reading: &Reading) -> Vec<Family> {
    let labels = |key: &SumKey| labels(reading, key);
    let seconds = HistogramScale::seconds;
    vec![
        histogram(
            "gen_ai_client_token_usage",
            "Tokens of one call, by type.",
            HistogramScale { counted: TOKEN_BOUNDS, shown: TOKEN_BOUNDS, unit: 1.0 },
            tokens(reading),
        ),
        histogram(
            "gen_ai_server_request_duration",
            "From arrival to the end of a call, in seconds.",
            HistogramScale { counted: DURATION_BOUNDS, shown: DURATIONS, unit: SECONDS },
            grouped(reading, labels, |sum| sum.duration.clone()),
        ),
        histogram(
            "gen_ai_server_time_to_first_token",
            "From arrival to the first token, in seconds.",
            seconds(FIRST_TOKEN_BOUNDS),
            grouped(reading, labels, |sum| sum.first_token.clone()),
        ),
        histogram(
            "gen_ai_server_time_per_output_token",
            "The time of each output token after the first, in seconds.",
            seconds(PER_TOKEN_BOUNDS),
            grouped(reading, labels, |sum| sum.per_token.clone()),
        ),
        Family {
            name: "gen_ai_client_cost_usd",
            help: "What calls cost, in US dollars.",
            series: Series::MicroCounter(counted(reading, labels, |sum| sum.cost)),
        },
    ]
}

fn tokens(reading: &Reading) -> BTreeMap<Labels, Histogram> {
    let of_type = |kind: &'static str| {
        move |key: &SumKey| {
            let mut labels = labels(reading, key);
            labels.push(("gen_ai_token_type", kind.to_owned()));
            labels
        }
    };
    let mut series = grouped(reading, of_type("input"), |sum| sum.input_tokens.clone());
    series.extend(grouped(reading, of_type("output"), |sum| sum.output_tokens.clone()));
    series
}

fn labels(reading: &Reading, key: &SumKey) -> Labels {
    let kind = reading.providers.get(&key.provider).map_or("", String::as_str);
    vec![
        ("gen_ai_operation_name", conventions::operation(&key.format).to_owned()),
        ("gen_ai_provider_name", conventions::provider(kind).to_owned()),
        ("gen_ai_request_model", model(key)),
        ("gen_ai_response_model", model(key)),
    ]
}

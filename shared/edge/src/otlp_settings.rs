//! Where telemetry is exported to, by OpenTelemetry's variables and those of an earlier gateway.
//!
//! Source: the OpenTelemetry specification, `specification/protocol/exporter.md` and
//! `specification/configuration/sdk-environment-variables.md`. The variables of the earlier gateway
//! (`OTLP_ENDPOINT`, `OTLP_API_KEY`, `OTLP_SERVICE_NAME`, `OTLP_RESOURCE_ATTRIBUTES`, `OTLP_HEADERS`)
//! count where OpenTelemetry's are not set.

use base64::{Engine, prelude::BASE64_STANDARD};
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use storage::Secret;
use telemetry::{conventions::Conventions, otlp::Exported};

use crate::{otlp::OtlpSettings, settings::Environment};

/// The service's name where nobody gives another.
const SERVICE_NAME: &str = "lockgate";
/// What tokens of Grafana Cloud begin with.
const GRAFANA_TOKEN: &str = "glc_";

impl Environment {
    /// Where to export telemetry; nowhere without an endpoint.
    pub fn otlp(&self) -> Result<Option<OtlpSettings>, String> {
        read(&|name| self.get(name))
    }
}

type Variables<'a> = &'a dyn Fn(&str) -> Option<String>;

fn read(variables: Variables<'_>) -> Result<Option<OtlpSettings>, String> {
    let is_true = |name: &str| variables(name).is_some_and(|it| it.eq_ignore_ascii_case("true"));
    if is_true("OTEL_SDK_DISABLED") {
        return Ok(None);
    }
    let traces_url = url(variables, "TRACES", "/v1/traces")?;
    let logs_url = url(variables, "LOGS", "/v1/logs")?;
    if traces_url.is_none() && logs_url.is_none() {
        return Ok(None);
    }
    Ok(Some(OtlpSettings {
        traces_url,
        logs_url,
        headers: headers(variables),
        sample_ratio: sample_ratio(variables)?,
        exported: Exported { resource: resource(variables), conventions: conventions(variables) },
    }))
}

/// Where one signal goes.
fn url(variables: Variables<'_>, signal: &str, path: &str) -> Result<Option<String>, String> {
    if variables(&format!("OTEL_{signal}_EXPORTER")).is_some_and(|it| it == "none") {
        return Ok(None);
    }
    // A signal's own endpoint is used as it is, without a path added (the specification's rule).
    let own = format!("OTEL_EXPORTER_OTLP_{signal}_ENDPOINT");
    if let Some(url) = variables(&own) {
        return checked(url, &own).map(Some);
    }
    let mut bases = ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTLP_ENDPOINT"].into_iter();
    let base = bases.find_map(|name| Some((name, variables(name)?)));
    let Some((name, base)) = base else { return Ok(None) };
    let base = base.trim_end_matches('/');
    // The earlier gateway took the address of its only signal, too.
    let base = base.strip_suffix("/v1/traces").unwrap_or(base);
    let scheme = if base.contains("://") { "" } else { "https://" };
    checked(format!("{scheme}{base}{path}"), name).map(Some)
}

/// A URL that can be called. The error does not quote it: it may hold a key.
fn checked(url: String, variable: &str) -> Result<String, String> {
    let parsed: Option<http::Uri> = url.parse().ok();
    let scheme = parsed.as_ref().and_then(http::Uri::scheme_str);
    if matches!(scheme, Some("http" | "https")) {
        return Ok(url);
    }
    Err(format!("the variable {variable} must be a URL that begins with http:// or https://"))
}

fn headers(variables: Variables<'_>) -> Vec<(String, Secret)> {
    let mut headers: Vec<(String, Secret)> = vec![];

    if let Some(key) = variables("OTLP_API_KEY") {
        let (user, password) = basic(&key);
        let encoded = BASE64_STANDARD.encode(format!("{user}:{password}"));
        headers.push(("authorization".to_owned(), Secret::new(format!("Basic {encoded}"))));
    }
    for name in ["OTLP_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"] {
        for (name, value) in pairs(variables(name)) {
            let name = name.to_ascii_lowercase();
            // OpenTelemetry's own variable is read last and wins over the earlier gateway's.
            headers.retain(|(known, _)| *known != name);
            headers.push((name, Secret::new(value)));
        }
    }
    headers
}

/// The user and the password that a key stands for. The user of a token of Grafana Cloud is the
/// number of the stack that the token names, else its organisation.
fn basic(key: &str) -> (String, String) {
    match key.strip_prefix(GRAFANA_TOKEN).and_then(grafana_user) {
        Some(user) => (user, key.to_owned()),
        None => (key.to_owned(), String::new()),
    }
}

/// What a token of Grafana Cloud holds.
#[derive(Deserialize)]
struct GrafanaToken {
    #[serde(default)]
    n: String,
    #[serde(default)]
    o: String,
}

fn grafana_user(encoded: &str) -> Option<String> {
    let json = BASE64_STANDARD.decode(encoded).ok()?;
    let token: GrafanaToken = serde_json::from_slice(&json).ok()?;
    let is_number = |it: &&str| !it.is_empty() && it.bytes().all(|byte| byte.is_ascii_digit());
    // The name is such as `stack-123456-integration-…`, in which the number is the user.
    let stack = token.n.split('-').find(is_number).map(str::to_owned);
    stack.or(Some(token.o)).filter(|it| !it.is_empty())
}

fn resource(variables: Variables<'_>) -> Vec<(String, String)> {
    let attributes = variables("OTEL_RESOURCE_ATTRIBUTES");
    let mut all = pairs(attributes.or_else(|| variables("OTLP_RESOURCE_ATTRIBUTES")));
    let name = variables("OTEL_SERVICE_NAME").or_else(|| variables("OTLP_SERVICE_NAME"));
    let named = all.iter().any(|(key, _)| key == "service.name");
    // `OTEL_SERVICE_NAME` goes before a name among the attributes, says the specification.
    if let Some(name) = name.or_else(|| (!named).then(|| SERVICE_NAME.to_owned())) {
        all.retain(|(key, _)| key != "service.name");
        all.insert(0, ("service.name".to_owned(), name));
    }
    all
}

fn conventions(variables: Variables<'_>) -> Conventions {
    let opted = variables("OTEL_SEMCONV_STABILITY_OPT_IN").unwrap_or_default();
    if opted.split(',').any(|it| it.trim() == "gen_ai_latest_experimental") {
        Conventions::Latest
    } else {
        Conventions::V1_41
    }
}

/// What share of traces that begin here are sampled.
fn sample_ratio(variables: Variables<'_>) -> Result<f64, String> {
    let sampler = variables("OTEL_TRACES_SAMPLER").unwrap_or_default();
    // Whether a parent was sampled is obeyed anyway, so that the prefix makes no difference here.
    let ratio = match sampler.trim_start_matches("parentbased_") {
        "always_off" => 0.0,
        "always_on" => 1.0,
        _ => match variables("OTEL_TRACES_SAMPLER_ARG") {
            None => 1.0,
            Some(text) => text
                .parse()
                .ok()
                .filter(|it| (0.0..=1.0).contains(it))
                .ok_or("the variable OTEL_TRACES_SAMPLER_ARG must be a number from 0 to 1")?,
        },
    };
    Ok(ratio)
}

/// A list such as `name=value,other=value`, its values percent-encoded.
fn pairs(list: Option<String>) -> Vec<(String, String)> {
    let list = list.unwrap_or_default();
    let pairs = list.split(',').filter_map(|pair| pair.split_once('='));
    let decoded = |text: &str| percent_decode_str(text.trim()).decode_utf8_lossy().into_owned();
    pairs.map(|(name, value)| (decoded(name), decoded(value))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(variables: &[(&str, &str)]) -> Result<Option<OtlpSettings>, String> {
        read(&|name| {
            let found = variables.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    fn header(settings: &OtlpSettings, name: &str) -> Option<String> {
        let found = settings.headers.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.expose().to_owned())
    }

    #[test]
    fn nothing_is_exported_without_an_endpoint() {
        assert!(settings(&[("OTEL_SERVICE_NAME", "x")]).unwrap().is_none());
        let disabled = [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c"), ("OTEL_SDK_DISABLED", "true")];
        assert!(settings(&disabled).unwrap().is_none());
    }

    #[test]
    fn an_endpoint_is_a_url() {
        for (name, value) in [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "not a url"),
            ("OTLP_ENDPOINT", "ftp://c"),
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "c:4318"),
            ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "http://"),
        ] {
            let refused = settings(&[(name, value)]).unwrap_err();
            assert!(refused.starts_with(&format!("the variable {name} must be")), "{refused}");
        }
    }

    #[test]
    fn the_standard_variables_say_where_and_as_what() {
        let set = settings(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318/base/"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "X-Key=a%20b,authorization=Bearer x"),
            ("OTEL_SERVICE_NAME", "gate"),
            ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=prod,service.name=no"),
            ("OTEL_TRACES_SAMPLER_ARG", "0.25"),
            ("OTEL_LOGS_EXPORTER", "none"),
            ("OTEL_SEMCONV_STABILITY_OPT_IN", "http,gen_ai_latest_experimental"),
        ]);
        let set = set.unwrap().unwrap();
        assert_eq!(set.traces_url.as_deref(), Some("http://collector:4318/base/v1/traces"));
        assert_eq!(
            (set.logs_url.as_deref(), set.exported.conventions),
            (None, Conventions::Latest)
        );
        assert_eq!(header(&set, "x-key").as_deref(), Some("a b"));
        assert!((set.sample_ratio - 0.25).abs() < f64::EPSILON);
        let text = |it: &str| it.to_owned();
        assert_eq!(
            set.exported.resource,
            [
                (text("service.name"), text("gate")),
                (text("deployment.environment.name"), text("prod"))
            ]
        );
    }

    #[test]
    fn the_variables_of_the_earlier_gateway_are_read_too() {
        let token = BASE64_STANDARD.encode(r#"{"o":"652992","n":"stack-1234-otlp","k":"key"}"#);
        let token = format!("glc_{token}");
        let set = settings(&[
            ("OTLP_ENDPOINT", "otlp.example.com/otlp/v1/traces"),
            ("OTLP_API_KEY", &token),
            ("OTLP_SERVICE_NAME", "gate"),
        ]);
        let set = set.unwrap().unwrap();
        assert_eq!(set.traces_url.as_deref(), Some("https://otlp.example.com/otlp/v1/traces"));
        assert_eq!(set.logs_url.as_deref(), Some("https://otlp.example.com/otlp/v1/logs"));
        let expected = format!("Basic {}", BASE64_STANDARD.encode(format!("1234:{token}")));
        assert_eq!(header(&set, "authorization"), Some(expected));
        assert_eq!(basic("plain"), ("plain".to_owned(), String::new()));
    }

    #[test]
    fn a_headers_variable_goes_before_a_key() {
        let set = settings(&[
            ("OTLP_ENDPOINT", "http://c"),
            ("OTLP_API_KEY", "k"),
            ("OTLP_HEADERS", "Authorization=Bearer own"),
        ]);
        assert_eq!(header(&set.unwrap().unwrap(), "authorization").as_deref(), Some("Bearer own"));
    }

    #[test]
    fn a_ratio_is_a_number_from_0_to_1() {
        let ratio = |sampler: &'static str, argument: &'static str| {
            settings(&[
                ("OTLP_ENDPOINT", "http://c"),
                ("OTEL_TRACES_SAMPLER", sampler),
                ("OTEL_TRACES_SAMPLER_ARG", argument),
            ])
            .map(|it| it.unwrap().sample_ratio)
        };
        assert!(ratio("parentbased_traceidratio", "2").is_err());
        assert!(ratio("always_off", "1").is_ok_and(|it| it == 0.0));
        assert!(ratio("", "0.5").is_ok_and(|it| it == 0.5));
    }
}

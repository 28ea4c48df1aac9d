//! `GET /metrics`: sums of records for Prometheus, in its text format.
//!
//! What is served counts every call of every process. Gauges of work in flight are this process's
//! own, and their help says so.

mod cooldowns;
mod families;
mod family;
mod gen_ai;

use admin::{Credentials, Role};
use canonical::{Error, ErrorKind, Result};
use config::MetricNames;
use http::{HeaderValue, Response, StatusCode, header};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, prometheus_text},
    registry::Registry,
};
use storage::Secret;
use subtle::ConstantTimeEq;

use self::{
    families::{Reading, families},
    family::Family,
};
use crate::{
    body::{Body, full},
    endpoint::HandlerFuture,
    front::{App, Exchange},
    operator_credentials, response,
};

/// The media type of Prometheus' text format.
const TEXT_FORMAT: HeaderValue =
    HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

/// Families of metrics that were read just now.
#[derive(Debug)]
struct Readings(Vec<Family>);

impl Collector for Readings {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        self.0.iter().try_for_each(|family| family.encode(&mut encoder))
    }
}

/// Refuses whoever shows neither the credentials of `metrics` nor those of an operator.
pub(crate) async fn authorize(exchange: &mut Exchange) -> Result<()> {
    let snapshot = exchange.app.gateway.snapshot(exchange.arrival.clock).await?;
    let own = snapshot.config.metrics.credentials.as_ref();
    let sent = operator_credentials::credentials(exchange.request.headers());
    // Prometheus has a name and a password of its own, so that no operator's stands in its
    // configuration.
    if let (Some(own), Credentials::Password { name, password }) = (own, sent)
        && name == own.username
        && let Some(expected) = snapshot.secret(&own.password)
        && is_password(&password, &expected).await
    {
        return Ok(());
    }
    // Anything else may still be an operator, whose attempts are counted and slowed down there.
    crate::admin::sign_in(exchange, Role::Viewer).await.map(drop)
}

/// Whether a password is the expected one, which may be given as its hash.
async fn is_password(sent: &Secret, expected: &Secret) -> bool {
    if expected.expose().starts_with("$argon2") {
        return admin::is_password(sent, expected).await;
    }
    // A parameter that turned out empty must not open the metrics to an empty password.
    let matches = expected.expose().as_bytes().ct_eq(sent.expose().as_bytes());
    bool::from(matches) && !sent.expose().is_empty()
}

/// Responds with every metric.
pub(crate) fn respond(exchange: &mut Exchange) -> HandlerFuture<'_> {
    Box::pin(async move {
        let clock = exchange.arrival.clock;
        let reading = read(&exchange.app, clock).await?;
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Readings(families(&reading))));
        let mut text = String::new();
        prometheus_text::encode(&mut text, &registry)
            .map_err(|error| response::internal_error().caused_by(error))?;
        Ok(text_response(text))
    })
}

/// Reads everything that metrics are made of.
async fn read(app: &App, clock: gateway::Clock) -> Result<Reading> {
    let snapshot = app.gateway.snapshot(clock).await?;
    let now = clock.now();
    let unreadable = |error| {
        Error::new(ErrorKind::Unavailable, "The sums of calls cannot be read.").caused_by(error)
    };
    let totals = app.records.sums.totals(now).await.map_err(unreadable)?;
    let hour = telemetry::Hour::of(now);
    let current = app.records.sums.by_hour(hour, hour, None, now).await.map_err(unreadable)?;
    let tenants = current.iter().flat_map(|it| it.sums.calls.keys());
    let active: std::collections::BTreeSet<&str> =
        tenants.map(|key| &*key.tenant).filter(|tenant| !tenant.is_empty()).collect();
    let active_tenants = active.len();
    Ok(Reading {
        totals,
        seeds: snapshot.config.metrics.seeds.clone(),
        providers: snapshot
            .config
            .providers
            .iter()
            .map(|provider| (provider.name.clone(), provider.kind.clone()))
            .collect(),
        cooling_down: app.gateway.cooling_down(clock).await,
        budgets: app.gateway.budget_ratios(clock).await?,
        active_tenants,
        in_flight: app.in_flight.calls(),
        streams: app.in_flight.streams(),
        lost_records: app.gateway.lost_records() + app.records.log.lost_rows(),
        store_errors: app.records.store_errors(),
        lost_exports: app.records.lost_exports(),
    })
}

/// Whether the names of an earlier gateway are to be served.
fn serves(reading: &Reading, names: MetricNames) -> bool {
    reading.seeds.contains(&names)
}

fn text_response(text: String) -> Response<Body> {
    let mut response = Response::new(full(text));
    *response.status_mut() = StatusCode::OK;
    response.headers_mut().insert(header::CONTENT_TYPE, TEXT_FORMAT);
    response
}

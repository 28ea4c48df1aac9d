//! Whether the gateway runs and is ready: open to anyone, and never a call to a provider.

use config::HealthMember;
use gateway::{BreakerState, ProviderHealth, Snapshot};
use http::StatusCode;
use routing::{CooldownState, TargetHealth};
use serde_json::{Map, Value, json};

use crate::{endpoint::HandlerFuture, front::Exchange, response};

/// `GET /health`, `GET /health/live` and `HEAD /`: the process runs. Members that an earlier
/// gateway showed are added where the configuration says so.
pub(crate) fn live(exchange: &mut Exchange) -> HandlerFuture<'_> {
    Box::pin(async move {
        let mut body = Map::new();
        body.insert("status".to_owned(), "healthy".into());
        body.insert("version".to_owned(), env!("CARGO_PKG_VERSION").into());
        let clock = exchange.arrival.clock;
        let gateway = &exchange.app.gateway;
        // A process that has no configuration yet runs all the same, and waits for no store.
        if let Some(snapshot) = gateway.known_snapshot()
            && !snapshot.config.compatibility.health_members.is_empty()
        {
            // A health check must not fail because the store does; what is not known is left out.
            let providers = gateway.provider_health(clock).await.unwrap_or_default();
            for member in &snapshot.config.compatibility.health_members {
                let (name, value) = earlier_member(*member, &snapshot, &providers, clock.now());
                body.insert(name.to_owned(), value);
            }
        }
        Ok(response::json(StatusCode::OK, Value::Object(body).to_string()))
    })
}

fn earlier_member(
    member: HealthMember,
    snapshot: &Snapshot,
    providers: &[ProviderHealth],
    now: u64,
) -> (&'static str, Value) {
    let of_each = |value: fn(BreakerState) -> &'static str| {
        let members = providers.iter().map(|it| (it.name.clone(), value(it.breaker).into()));
        Value::Object(members.collect())
    };
    match member {
        HealthMember::Providers => ("providers", of_each(provider_status)),
        HealthMember::CircuitBreakers => ("circuit_breakers", of_each(BreakerState::as_str)),
        HealthMember::Models => {
            let config = &snapshot.config;
            ("models", (config.routes.len() + config.models.len()).into())
        }
        HealthMember::Timestamp => ("timestamp", tenants::rfc3339(now / 1_000).into()),
    }
}

fn provider_status(breaker: BreakerState) -> &'static str {
    match breaker {
        BreakerState::Closed => "ok",
        BreakerState::HalfOpen | BreakerState::Open => "unhealthy",
    }
}

/// `GET /health/providers`: what attempts have shown, for operators.
pub(crate) fn providers(exchange: &mut Exchange) -> HandlerFuture<'_> {
    Box::pin(async move {
        let health = exchange.app.gateway.provider_health(exchange.arrival.clock).await?;
        let providers: Vec<Value> = health.iter().map(described).collect();
        let body = json!({ "providers": providers });
        Ok(response::json(StatusCode::OK, body.to_string()))
    })
}

fn described(provider: &ProviderHealth) -> Value {
    let model = |(name, health): &(String, TargetHealth)| {
        json!({
            "model": name,
            "in_flight": health.in_flight,
            "consecutive_failures": health.consecutive_failures,
            "first_token_ms": health.latency.map(|it| u64::try_from(it.as_millis()).unwrap_or(u64::MAX)),
        })
    };
    let cooldown = |state: &CooldownState| {
        json!({
            "model": state.what.model,
            "key": state.what.key.to_string(),
            "reason": state.reason.code(),
            "seconds_left": state.left.as_secs(),
        })
    };
    json!({
        "name": provider.name,
        "breaker": provider.breaker.as_str(),
        "models": provider.models.iter().map(model).collect::<Vec<_>>(),
        "cooldowns": provider.cooldowns.iter().map(cooldown).collect::<Vec<_>>(),
    })
}

/// `GET /health/ready`: there is a configuration to serve with.
pub(crate) fn ready(exchange: &mut Exchange) -> HandlerFuture<'_> {
    Box::pin(async move {
        if !exchange.app.gateway.is_ready(exchange.arrival.clock).await {
            return Err(response::not_ready());
        }
        Ok(response::json(StatusCode::OK, r#"{"status":"ready"}"#))
    })
}

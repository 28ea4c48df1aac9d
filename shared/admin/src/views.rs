//! What operators see of routing: providers, routes, prices, and what would happen to a call.

use std::{collections::BTreeSet, time::Duration};

use canonical::MicroDollars;
use config::{Config, Provider, Route, Step};
use gateway::{Clock, Snapshot};
use model_catalog::Price;
use routing::{ModelQuery, Outlook, Target, Verdict};
use serde_json::{Value, json};

use crate::{
    admin::Admin,
    problem::{AdminResult, Problem},
};

/// The price of a model that is in use, where it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriceView {
    /// The provider's name in the configuration.
    pub provider: String,
    /// The provider's name for the model.
    pub model: String,
    /// The price; absent where it is not known.
    pub price: Option<Price>,
    /// Whether the configuration names the price.
    pub is_configured: bool,
}

impl PriceView {
    /// The price as JSON, in dollars per million tokens.
    pub fn to_json(&self) -> Value {
        let source = match (&self.price, self.is_configured) {
            (None, _) => "none",
            (Some(_), true) => "configuration",
            (Some(_), false) => "catalog",
        };
        let rates = self.price.as_ref().map(|price| &price.rates);
        json!({
            "provider": self.provider,
            "model": self.model,
            "source": source,
            "input": rates.map(|rates| MicroDollars(rates.input).dollars()),
            "output": rates.map(|rates| MicroDollars(rates.output).dollars()),
            "cached_input": rates.map(|rates| MicroDollars(rates.cached_input).dollars()),
            "cache_write": rates.map(|rates| MicroDollars(rates.cache_write).dollars()),
        })
    }
}

/// What would happen to one target of a call now.
#[derive(Clone, Debug)]
pub struct StepOutlook {
    /// The target.
    pub target: Target,
    /// What would happen.
    pub decision: Decision,
}

/// What would happen to a target, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The target is attempted first.
    First,
    /// The target is attempted when those before it fail.
    Later,
    /// The target is passed over, since it cools down for so long.
    CoolingDown(Duration),
    /// Every target cools down, and this one is available first, after so long.
    AvailableFirst(Duration),
    /// The target cannot be attempted at all.
    Unusable(String),
}

/// What would happen to a call for a model.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// What the client would name.
    pub model: String,
    /// The route of that name; absent where one provider is asked directly.
    pub route: Option<String>,
    /// The targets, in the order of the route.
    pub steps: Vec<StepOutlook>,
}

impl Explanation {
    /// The explanation as JSON.
    pub fn to_json(&self) -> Value {
        let steps = self.steps.iter().enumerate().map(|(index, step)| {
            let Target { provider, model, timeout, retries, context_window, keys, .. } =
                &step.target;
            let (decision, reason, seconds) = step.decision.words();
            json!({
                "position": index + 1,
                "provider": provider,
                "model": model,
                "decision": decision,
                "reason": reason,
                "cooldown_seconds": seconds,
                "timeout_seconds": timeout.as_secs_f64(),
                "retries": retries,
                "keys": keys.len(),
                "context_window": context_window,
            })
        });
        let steps: Vec<Value> = steps.collect();
        json!({ "model": self.model, "route": self.route, "steps": steps })
    }
}

impl Decision {
    /// A word, a sentence, and the seconds of the cooldown.
    fn words(&self) -> (&'static str, String, Option<f64>) {
        match self {
            Self::First => ("attempted", "It is attempted first.".to_owned(), None),
            Self::Later => {
                ("attempted", "It is attempted when those before it fail.".to_owned(), None)
            }
            Self::CoolingDown(left) => (
                "cooling_down",
                "It is passed over while it cools down.".to_owned(),
                Some(left.as_secs_f64()),
            ),
            Self::AvailableFirst(left) => (
                "available_first",
                "Every target is cooling down, and this one is available first.".to_owned(),
                Some(left.as_secs_f64()),
            ),
            Self::Unusable(reason) => ("unusable", reason.clone(), None),
        }
    }
}

impl Admin {
    /// What would happen to a call for a model now, without a call.
    pub async fn explain(
        &self,
        model: &str,
        provider: Option<&str>,
        clock: Clock,
    ) -> AdminResult<Explanation> {
        let query = ModelQuery { model: Some(model), provider };
        let (plan, outlook) = self.gateway.outlook(query, clock).await?;

        let mut is_first = true;
        let mut steps = vec![];
        for (Outlook { target, verdict, .. }, reason) in outlook {
            let decision = match (reason, verdict) {
                // A key that cannot be read makes a target unusable whatever its health is.
                (Some(reason), _) => Decision::Unusable(reason),
                (None, Verdict::Attempted) if std::mem::take(&mut is_first) => Decision::First,
                (None, Verdict::Attempted) => Decision::Later,
                (None, Verdict::CoolingDown(left)) => Decision::CoolingDown(left),
                (None, Verdict::AvailableFirst(left)) => Decision::AvailableFirst(left),
            };
            steps.push(StepOutlook { target: plan.targets[target].clone(), decision });
        }
        Ok(Explanation { model: model.to_owned(), route: plan.route.clone(), steps })
    }

    /// The prices of the models in use, and those that the configuration names beside.
    pub async fn prices(&self, clock: Clock) -> AdminResult<Vec<PriceView>> {
        let snapshot = self.gateway.snapshot(clock).await?;
        let config = &snapshot.config;
        let configured = config.prices.iter();

        let configured: BTreeSet<(&str, &str)> =
            configured.map(|it| (it.provider.as_str(), it.model.as_str())).collect();
        // Prices of models that no route names are used by clients that name a provider's model
        // themselves.
        let names: BTreeSet<(&str, &str)> =
            models_in_use(config).chain(configured.iter().copied()).collect();
        let view = |(provider, model): (&str, &str)| PriceView {
            provider: provider.to_owned(),
            model: model.to_owned(),
            price: snapshot.price(provider, model).cloned(),
            is_configured: configured.contains(&(provider, model)),
        };
        Ok(names.into_iter().map(view).collect())
    }

    /// The providers, without their secrets.
    pub async fn providers(&self, clock: Clock) -> AdminResult<Vec<Value>> {
        let snapshot = self.gateway.snapshot(clock).await?;
        Ok(snapshot.config.providers.iter().map(|it| provider_json(it, &snapshot)).collect())
    }

    /// The routes and the models that one provider serves under their own names.
    pub async fn routes(&self, clock: Clock) -> AdminResult<(Vec<Value>, Vec<Value>)> {
        let snapshot = self.gateway.snapshot(clock).await?;
        let routes = snapshot.config.routes.iter().map(route_json).collect();
        let models = snapshot.config.models.iter().map(
            |it| json!({ "name": it.name, "provider": it.provider, "description": it.description }),
        );
        Ok((routes, models.collect()))
    }

    /// What each provider lists as its models, as JSON.
    pub async fn upstream_models(&self, clock: Clock) -> AdminResult<Vec<Value>> {
        let listings = self.gateway.list_upstream_models(clock).await.map_err(Problem::from)?;
        let listing = listings.iter().map(|listing| {
            let (status, models, error) = match &listing.models {
                Ok(models) => ("ok", models.clone(), None),
                Err(error) => ("failed", vec![], Some(format!("It {}.", error.message()))),
            };
            let milliseconds = u64::try_from(listing.duration.as_millis()).unwrap_or(u64::MAX);
            json!({
                "provider": listing.provider,
                "status": status,
                "count": models.len(),
                "models": models,
                "error": error,
                "duration_ms": milliseconds,
            })
        });
        Ok(listing.collect())
    }
}

/// Every provider's model that a route or a model of the configuration leads to.
fn models_in_use(config: &Config) -> impl Iterator<Item = (&str, &str)> {
    let steps = config.routes.iter().flat_map(|route| &route.steps);
    let steps = steps.map(|step| (step.provider.as_str(), step.model.as_str()));
    // Under `models`, the client's name is the provider's own.
    let models = config.models.iter().map(|it| (it.provider.as_str(), it.name.as_str()));
    steps.chain(models)
}

fn provider_json(provider: &Provider, snapshot: &Snapshot) -> Value {
    // A parameter that is missing shows here first, before a call fails.
    let readable = provider.keys.iter().filter(|key| snapshot.secret(key).is_some()).count();
    json!({
        "name": provider.name,
        "type": provider.kind,
        "base_url": provider.base_url,
        "keys": provider.keys.len(),
        "readable_keys": readable,
        // Names only: values may be credentials.
        "headers": provider.headers.keys().collect::<Vec<_>>(),
        "region": provider.region,
        "api_version": provider.api_version,
        "timeout_seconds": provider.timeout.map(|it| it.as_secs_f64()),
    })
}

fn route_json(route: &Route) -> Value {
    json!({
        "name": route.name,
        "description": route.description,
        "cooldown_seconds": route.cooldown.as_secs_f64(),
        "steps": route.steps.iter().map(step_json).collect::<Vec<_>>(),
    })
}

fn step_json(step: &Step) -> Value {
    json!({
        "provider": step.provider,
        "model": step.model,
        "timeout_seconds": step.timeout.map(|it| it.as_secs_f64()),
        "first_token_timeout_seconds": step.first_token_timeout.map(|it| it.as_secs_f64()),
        "retries": step.retries,
    })
}

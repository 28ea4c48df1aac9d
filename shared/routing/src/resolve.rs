//! From a name to a plan: whom it means, and in which order.

use std::{collections::HashMap, sync::Arc, time::Duration};

use canonical::{Error, ErrorKind, Result};

use config::{self, Config, ConflictResolution, FallbackOn};

/// What a client asks for.
#[derive(Clone, Copy, Debug, Default)]
pub struct ModelQuery<'a> {
    /// The name in `model`.
    pub model: Option<&'a str>,
    /// The provider that it insists on (`X-Provider`).
    pub provider: Option<&'a str>,
}

/// Whom to try for one name, and by which rules.
#[derive(Clone, Debug)]
pub struct RoutePlan {
    /// The route's name, when the name is one.
    pub route: Option<String>,
    /// Whom to try, in order.
    pub steps: Vec<Target>,
    /// Which failures advance.
    pub fallback_on: FallbackOn,
    /// How long a failure rests that names no time.
    pub cooldown: Duration,
}

/// One candidate, with everything that was left unsaid filled in.
#[derive(Clone, Debug)]
pub struct Target {
    /// The provider's name in the configuration.
    pub provider: String,
    /// The provider's name for the model.
    pub model: String,
    /// How many keys the provider has; at least one, even where none is needed.
    pub keys: usize,
    /// What to do when a request has both tools and a response format.
    pub conflict_resolution: Option<ConflictResolution>,
    /// Time for the whole answer, or for the first token of a stream.
    pub timeout: Duration,
    /// Time for the first token of a stream, within `timeout`.
    pub first_token_timeout: Option<Duration>,
    /// How often the step is tried again after a failure that may pass.
    pub retries: u32,
    /// How many tokens the model holds, where that is known.
    pub context_window: Option<u64>,
}

/// Every name that is configured, ready to be asked.
#[derive(Debug)]
pub struct Routes {
    plans: HashMap<String, Arc<RoutePlan>>,
    providers: HashMap<String, ProviderFacts>,
    default_provider: Option<String>,
    default_model: Option<String>,
}

/// What a step needs to know of its provider.
#[derive(Debug)]
struct ProviderFacts {
    keys: usize,
    timeout: Duration,
}

/// Tells how many tokens a provider's model holds, by the provider's name in the configuration.
type Window<'a> = &'a dyn Fn(&str, &str) -> Option<u64>;

impl Routes {
    /// Prepares a document. `window` knows what models hold when their step does not say.
    pub fn new(config: &Config, window: Window<'_>) -> Self {
        let facts = |it: &config::Provider| ProviderFacts {
            keys: it.keys.len().max(1),
            timeout: it.timeout.unwrap_or(config.default_timeout),
        };
        let mut routes = Self {
            plans: HashMap::new(),
            providers: config.providers.iter().map(|it| (it.name.clone(), facts(it))).collect(),
            default_provider: config.default_provider.clone(),
            default_model: config.default_model.clone(),
        };
        for model in &config.models {
            let plan = routes.single(&model.provider, &model.name);
            routes.plans.insert(model.name.clone(), Arc::new(plan));
        }
        for route in &config.routes {
            let plan = routes.prepared(route, window);
            routes.plans.insert(route.name.clone(), Arc::new(plan));
        }
        routes
    }

    /// Whom a client means.
    pub fn plan(&self, asked: ModelQuery<'_>) -> Result<Arc<RoutePlan>> {
        let name = asked.model.or(self.default_model.as_deref()).ok_or_else(|| {
            Error::invalid("model", "`model` is missing, and no `default_model` is configured.")
        })?;
        let Some(provider) = asked.provider else {
            return self.named(name);
        };
        if !self.providers.contains_key(provider) {
            return Err(Error::invalid(
                "X-Provider",
                format!("No provider is called `{provider}` (header `X-Provider`)."),
            ));
        }
        match self.plans.get(name) {
            Some(plan) => only(plan, provider, name).map(Arc::new),
            None => {
                let own = name.strip_prefix(provider).and_then(|it| it.strip_prefix('/'));
                Ok(Arc::new(self.single(provider, own.unwrap_or(name))))
            }
        }
    }

    fn named(&self, name: &str) -> Result<Arc<RoutePlan>> {
        if let Some(plan) = self.plans.get(name) {
            return Ok(plan.clone());
        }
        if let Some((provider, model)) = self.provider_and_model(name) {
            return Ok(Arc::new(self.single(provider, model)));
        }
        match &self.default_provider {
            Some(provider) => Ok(Arc::new(self.single(provider, name))),
            None => Err(Error::unknown_model(name)),
        }
    }

    /// Reads `provider/model`; of several providers that fit, the longest name.
    fn provider_and_model<'a>(&'a self, name: &'a str) -> Option<(&'a str, &'a str)> {
        let fits = |provider: &&String| {
            name.strip_prefix(provider.as_str())
                .and_then(|it| it.strip_prefix('/'))
                .is_some_and(|it| !it.is_empty())
        };
        let provider = self.providers.keys().filter(fits).max_by_key(|it| it.len())?;
        Some((provider, name.strip_prefix(provider.as_str())?.strip_prefix('/')?))
    }

    /// A plan of one step, for a name that is no route.
    fn single(&self, provider: &str, model: &str) -> RoutePlan {
        let facts = self.providers.get(provider);
        let step = Target {
            provider: provider.to_owned(),
            model: model.to_owned(),
            keys: facts.map_or(1, |it| it.keys),
            conflict_resolution: None,
            timeout: facts.map_or(config::DEFAULT_TIMEOUT, |it| it.timeout),
            first_token_timeout: None,
            retries: 0,
            context_window: None,
        };
        RoutePlan {
            route: None,
            steps: vec![step],
            fallback_on: FallbackOn::Default,
            cooldown: config::COOLDOWN,
        }
    }

    fn prepared(&self, route: &config::Route, window: Window<'_>) -> RoutePlan {
        let step = |it: &config::Step| {
            let facts = self.providers.get(&it.provider);
            let inherited = facts.map_or(config::DEFAULT_TIMEOUT, |it| it.timeout);
            Target {
                provider: it.provider.clone(),
                model: it.model.clone(),
                keys: facts.map_or(1, |it| it.keys),
                conflict_resolution: it.conflict_resolution,
                timeout: it.timeout.unwrap_or(inherited),
                first_token_timeout: it.first_token_timeout,
                retries: it.retries,
                context_window: it.context_window.or_else(|| window(&it.provider, &it.model)),
            }
        };
        RoutePlan {
            route: Some(route.name.clone()),
            steps: route.steps.iter().map(step).collect(),
            fallback_on: route.fallback_on,
            cooldown: route.cooldown,
        }
    }
}

/// The same plan with one provider's steps only.
fn only(plan: &RoutePlan, provider: &str, name: &str) -> Result<RoutePlan> {
    let mut plan = plan.clone();
    plan.steps.retain(|it| it.provider == provider);
    if plan.steps.is_empty() {
        let message =
            format!("`{name}` has no step at provider `{provider}` (header `X-Provider`).");
        let mut error = Error::new(ErrorKind::InvalidRequest, message);
        error.param = Some("X-Provider".to_owned());
        return Err(error);
    }
    Ok(plan)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn provider(name: &str) -> config::Provider {
        config::Provider {
            name: name.to_owned(),
            kind: "openai".to_owned(),
            base_url: None,
            keys: vec![],
            headers: std::collections::BTreeMap::new(),
            api_version: None,
            region: None,
            connection: config::ConnectionOptions::default(),
            timeout: None,
            script: None,
        }
    }

    fn step(provider: &str) -> config::Step {
        config::Step {
            provider: provider.to_owned(),
            model: format!("{provider}-model"),
            conflict_resolution: None,
            timeout: None,
            first_token_timeout: None,
            retries: 0,
            context_window: None,
        }
    }

    fn config() -> Config {
        Config {
            connection: config::ConnectionOptions::default(),
            pool: config::PoolOptions::default(),
            cors: config::Cors::default(),
            server: config::ServerLimits::default(),
            api_key: None,
            port: 8080,
            default_timeout: config::DEFAULT_TIMEOUT,
            route_timeout: config::ROUTE_TIMEOUT,
            idle_timeout: config::IDLE_TIMEOUT,
            default_provider: None,
            default_model: Some("fast".to_owned()),
            fetch: None,
            providers: vec![provider("a"), provider("b"), provider("b/c")],
            routes: vec![config::Route {
                name: "fast".to_owned(),
                description: None,
                fallback_on: FallbackOn::Default,
                steps: vec![step("a"), step("b"), step("a")],
                cooldown: config::COOLDOWN,
            }],
            models: vec![config::Model {
                name: "gpt".to_owned(),
                provider: "b".to_owned(),
                description: None,
            }],
            prices: vec![],
        }
    }

    fn whom(config: &Config, model: Option<&str>, provider: Option<&str>) -> Result<Vec<String>> {
        let routes = Routes::new(config, &|_, _| None);
        let plan = routes.plan(ModelQuery { model, provider })?;
        Ok(plan.steps.iter().map(|it| format!("{}:{}", it.provider, it.model)).collect())
    }

    #[test]
    fn a_route_is_asked_in_its_order() {
        let steps = whom(&config(), Some("fast"), None).unwrap();
        assert_eq!(steps, ["a:a-model", "b:b-model", "a:a-model"]);
    }

    #[test]
    fn a_name_is_case_sensitive() {
        assert_eq!(whom(&config(), Some("Fast"), None).unwrap_err().kind, ErrorKind::UnknownModel);
    }

    #[test]
    fn a_model_keeps_its_own_name() {
        assert_eq!(whom(&config(), Some("gpt"), None).unwrap(), ["b:gpt"]);
    }

    #[test]
    fn a_provider_and_a_model_can_be_named_directly() {
        assert_eq!(whom(&config(), Some("a/x/y"), None).unwrap(), ["a:x/y"]);
        assert_eq!(whom(&config(), Some("b/c/x"), None).unwrap(), ["b/c:x"]);
    }

    #[test]
    fn who_names_none_gets_the_default() {
        assert_eq!(whom(&config(), None, None).unwrap().len(), 3);
        let without = Config { default_model: None, ..config() };
        assert_eq!(whom(&without, None, None).unwrap_err().param.as_deref(), Some("model"));
    }

    #[test]
    fn an_unknown_name_goes_to_the_default_provider_unchanged() {
        let with = Config { default_provider: Some("a".to_owned()), ..config() };
        assert_eq!(whom(&with, Some("new/model"), None).unwrap(), ["a:new/model"]);
    }

    #[test]
    fn a_forced_provider_leaves_only_its_steps() {
        let steps = whom(&config(), Some("fast"), Some("a")).unwrap();
        assert_eq!(steps, ["a:a-model", "a:a-model"]);
        assert_eq!(whom(&config(), Some("new"), Some("b")).unwrap(), ["b:new"]);
        assert_eq!(whom(&config(), Some("b/new"), Some("b")).unwrap(), ["b:new"]);
        for (model, provider) in [("fast", "b/c"), ("fast", "nobody")] {
            let error = whom(&config(), Some(model), Some(provider)).unwrap_err();
            assert_eq!(error.param.as_deref(), Some("X-Provider"));
        }
    }
}

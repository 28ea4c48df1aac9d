//! From a model's name to the targets that may serve it, and the rules by which they are attempted.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use canonical::{Error, ErrorKind, KeyFingerprint, ModelFacts, Result};
use config::{
    self, Breaker, COOLDOWN_MAX, Config, ConflictResolution, DefaultProvider, FallbackOn, Rescue,
    SecretSource, Strategy, When,
};

use crate::conditions::{Feature, StepCondition};

/// A client's query for a model.
#[derive(Clone, Copy, Debug, Default)]
pub struct ModelQuery<'a> {
    /// The name in `model`.
    pub model: Option<&'a str>,
    /// The only provider that the client accepts (`X-Provider`).
    pub provider: Option<&'a str>,
}

/// A route as resolved for one call.
#[derive(Clone, Debug)]
pub struct RoutePlan {
    /// The route's name; absent where the client named a provider's model.
    pub route: Option<String>,
    /// The targets, in the order of the route's steps. Never empty.
    pub targets: Vec<Target>,
    /// Which failures advance to the next target.
    pub fallback_on: FallbackOn,
    /// How long a cooldown lasts when the provider names no time.
    pub cooldown: Duration,
    /// How long a cooldown may become while failures go on.
    pub cooldown_max: Duration,
    /// How the targets are ordered.
    pub strategy: Strategy,
    /// Whether a session prefers the target that served it last.
    pub is_sticky: bool,
    /// How many failures make an outage; absent: one 5xx does.
    pub breaker: Option<Breaker>,
    /// When the next target is attempted beside one that is silent.
    pub hedge: Option<Hedge>,
    /// What happens to a stream that breaks after its first token.
    pub rescue: Rescue,
    /// How many calls were ordered, for [`Strategy::RoundRobin`].
    pub turn: Arc<AtomicU64>,
}

impl Default for RoutePlan {
    fn default() -> Self {
        Self {
            route: None,
            targets: vec![],
            fallback_on: FallbackOn::default(),
            cooldown: config::COOLDOWN,
            cooldown_max: COOLDOWN_MAX,
            strategy: Strategy::default(),
            is_sticky: false,
            breaker: None,
            hedge: None,
            rescue: Rescue::default(),
            turn: Arc::default(),
        }
    }
}

impl RoutePlan {
    /// The number of this call among those of the route.
    pub(crate) fn next_turn(&self) -> u64 {
        self.turn.fetch_add(1, Ordering::Relaxed)
    }
}

/// When the next target is attempted beside one that is silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hedge {
    /// After how long without a first token.
    pub after: Duration,
    /// How many calls in a hundred may lead to such an attempt.
    pub budget_percent: u32,
}

/// How slow a stream may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MinSpeed {
    /// How many tokens have to come each second.
    pub tokens_per_second: u32,
    /// Over how long that is measured.
    pub window: Duration,
}

/// A provider and its name for the model, with every setting of the step filled in.
#[derive(Clone, Debug)]
pub struct Target {
    /// The provider's name in the configuration.
    pub provider: String,
    /// The provider's name for the model.
    pub model: String,
    /// The provider's keys, in the order of the pool; [`KeyFingerprint::NONE`] alone where the
    /// provider is called without. Never empty.
    pub keys: Arc<[KeyFingerprint]>,
    /// What to do when a request has both tools and a response format.
    pub conflict_resolution: Option<ConflictResolution>,
    /// Time for a whole response, or for the first token of a stream.
    pub timeout: Duration,
    /// Time for the first token of a stream, within `timeout`.
    pub first_token_timeout: Option<Duration>,
    /// How often the target is attempted again after a transient failure.
    pub retries: u32,
    /// Facts about the model.
    pub facts: Arc<ModelFacts>,
    /// How many tokens the model holds, where that is known.
    pub context_window: Option<u64>,
    /// The share of calls that begin here, for [`Strategy::Weighted`].
    pub weight: u32,
    /// Which requests the target is for: those that meet every condition.
    pub conditions: Arc<[StepCondition]>,
    /// How slow a stream may be before it counts as broken.
    pub min_speed: Option<MinSpeed>,
}

impl Default for Target {
    fn default() -> Self {
        Self {
            provider: String::new(),
            model: String::new(),
            keys: Arc::from([KeyFingerprint::NONE]),
            conflict_resolution: None,
            timeout: config::DEFAULT_TIMEOUT,
            first_token_timeout: None,
            retries: 0,
            facts: Arc::default(),
            context_window: None,
            weight: 1,
            conditions: Arc::from([]),
            min_speed: None,
        }
    }
}

/// Every configured name, ready to be resolved.
#[derive(Debug)]
pub struct Routes {
    plans: HashMap<String, Arc<RoutePlan>>,
    providers: HashMap<String, ProviderFacts>,
    default_provider: Option<String>,
    default_providers: Vec<DefaultProvider>,
    default_model: Option<String>,
    facts: Arc<dyn ModelFactsSource>,
    condition_headers: Vec<String>,
}

/// The settings that a target has from its provider.
#[derive(Debug)]
struct ProviderFacts {
    keys: Arc<[KeyFingerprint]>,
    timeout: Duration,
}

/// A source of facts about models. `()` knows none.
pub trait ModelFactsSource: fmt::Debug + Send + Sync {
    /// The facts about a provider's model, by the provider's name in the configuration.
    fn facts(&self, provider: &str, model: &str) -> ModelFacts;
}

impl ModelFactsSource for () {
    fn facts(&self, _provider: &str, _model: &str) -> ModelFacts {
        ModelFacts::UNKNOWN
    }
}

/// Finds the fingerprint of a key; none for a key whose value is missing.
type Fingerprint<'a> = &'a dyn Fn(&SecretSource) -> Option<KeyFingerprint>;

impl Routes {
    /// Prepares a configuration. The facts about a model are found once for each of its targets.
    pub fn new(
        config: &Config,
        facts: Arc<dyn ModelFactsSource>,
        fingerprint: Fingerprint<'_>,
    ) -> Self {
        let provider_facts = |provider: &config::Provider| ProviderFacts {
            keys: key_pool(provider, fingerprint),
            timeout: provider.timeout.unwrap_or(config.default_timeout),
        };
        let mut routes = Self {
            plans: HashMap::new(),
            providers: config
                .providers
                .iter()
                .map(|it| (it.name.clone(), provider_facts(it)))
                .collect(),
            default_provider: config.default_provider.clone(),
            default_providers: config.default_providers.clone(),
            default_model: config.default_model.clone(),
            facts,
            condition_headers: condition_headers(config),
        };

        for model in &config.models {
            let plan = routes.plan_of_one(&model.provider, &model.name);
            routes.plans.insert(model.name.clone(), Arc::new(plan));
        }
        for route in &config.routes {
            let plan = routes.plan_of_route(route);
            routes.plans.insert(route.name.clone(), Arc::new(plan));
        }
        routes
    }

    /// The headers that conditions of steps name, in lower case.
    pub fn condition_headers(&self) -> &[String] {
        &self.condition_headers
    }

    /// Resolves what a client asks for.
    pub fn resolve(&self, query: ModelQuery<'_>) -> Result<Arc<RoutePlan>> {
        let name = query.model.or(self.default_model.as_deref()).ok_or_else(|| {
            Error::invalid("model", "`model` is missing, and no `default_model` is configured.")
        })?;
        let Some(provider) = query.provider else {
            return self.resolve_name(name);
        };
        if !self.providers.contains_key(provider) {
            return Err(Error::invalid(
                "X-Provider",
                format!("No provider is called `{provider}` (header `X-Provider`)."),
            ));
        }
        if let Some(plan) = self.plans.get(name) {
            return only_provider(plan, provider, name).map(Arc::new);
        }
        // A client may name the provider in `model`, too, beside the header.
        let own_name = name.strip_prefix(provider).and_then(|it| it.strip_prefix('/'));
        Ok(Arc::new(self.plan_of_one(provider, own_name.unwrap_or(name))))
    }

    /// Resolves a request that names no model, for a task whose providers have one of their own: to the
    /// default model, else to the provider that the client accepts or the default one, with the name of
    /// no model.
    pub fn resolve_unnamed(&self, provider: Option<&str>) -> Result<Arc<RoutePlan>> {
        let unnamed = ModelQuery { model: None, provider };
        let named = provider.or(self.default_provider.as_deref());
        match named.filter(|it| self.providers.contains_key(*it)) {
            Some(provider) if self.default_model.is_none() => {
                Ok(Arc::new(self.plan_of_one(provider, "")))
            }
            _ => self.resolve(unnamed),
        }
    }

    fn resolve_name(&self, name: &str) -> Result<Arc<RoutePlan>> {
        if let Some(plan) = self.plans.get(name) {
            return Ok(plan.clone());
        }
        // A configured name wins over `provider/model`, since operators may name a route with a
        // slash.
        if let Some((provider, model)) = self.split_provider(name) {
            return Ok(Arc::new(self.plan_of_one(provider, model)));
        }
        match self.default_provider(name) {
            Some(provider) => Ok(Arc::new(self.plan_of_one(provider, name))),
            None => Err(Error::unknown_model(name)),
        }
    }

    /// The provider that gets an unknown model: the one whose names fit best, else the usual one.
    fn default_provider(&self, model: &str) -> Option<&str> {
        let fitting = self.default_providers.iter().filter_map(|it| Some((it.fits(model)?, it)));
        let best = fitting.max_by_key(|(length, _)| *length).map(|(_, it)| it.provider.as_str());
        best.or(self.default_provider.as_deref())
    }

    /// Splits `provider/model`; of several providers that fit, the longest name counts.
    fn split_provider<'a>(&'a self, name: &'a str) -> Option<(&'a str, &'a str)> {
        let model_at = |provider: &str| {
            name.strip_prefix(provider)
                .and_then(|rest| rest.strip_prefix('/'))
                .filter(|model| !model.is_empty())
        };
        let fitting = self.providers.keys().filter_map(|it| Some((it.as_str(), model_at(it)?)));
        fitting.max_by_key(|(provider, _)| provider.len())
    }

    /// A plan of one target, for a name that is no route.
    fn plan_of_one(&self, provider: &str, model: &str) -> RoutePlan {
        let target = Target {
            provider: provider.to_owned(),
            model: model.to_owned(),
            keys: self.keys(provider),
            timeout: self.timeout(provider),
            facts: Arc::new(self.facts.facts(provider, model)),
            ..Target::default()
        };
        RoutePlan { targets: vec![target], ..RoutePlan::default() }
    }

    fn plan_of_route(&self, route: &config::Route) -> RoutePlan {
        RoutePlan {
            route: Some(route.name.clone()),
            targets: route.steps.iter().map(|step| self.target_of_step(step)).collect(),
            fallback_on: route.fallback_on,
            cooldown: route.cooldown,
            cooldown_max: route.cooldown_max,
            strategy: route.strategy,
            is_sticky: route.sticky,
            // One failure of one attempt is today's rule: 5xx alone, and at once.
            breaker: Some(route.breaker).filter(|breaker| *breaker != Breaker::default()),
            hedge: route.hedge.map(|after| Hedge { after, budget_percent: route.hedge_budget }),
            rescue: route.rescue,
            turn: Arc::default(),
        }
    }

    fn target_of_step(&self, step: &config::Step) -> Target {
        let facts = self.facts.facts(&step.provider, &step.model);
        Target {
            provider: step.provider.clone(),
            model: step.model.clone(),
            keys: self.keys(&step.provider),
            conflict_resolution: step.conflict_resolution,
            timeout: step.timeout.unwrap_or_else(|| self.timeout(&step.provider)),
            first_token_timeout: step.first_token_timeout,
            retries: step.retries,
            context_window: step.context_window.or(facts.context_window),
            facts: Arc::new(facts),
            weight: step.weight,
            conditions: conditions(&step.when),
            min_speed: step
                .min_tokens_per_second
                .map(|tokens_per_second| MinSpeed { tokens_per_second, window: step.speed_window }),
        }
    }

    fn keys(&self, provider: &str) -> Arc<[KeyFingerprint]> {
        let facts = self.providers.get(provider);
        facts.map_or_else(|| Arc::from([KeyFingerprint::NONE]), |it| it.keys.clone())
    }

    fn timeout(&self, provider: &str) -> Duration {
        self.providers.get(provider).map_or(config::DEFAULT_TIMEOUT, |it| it.timeout)
    }
}

fn condition_headers(config: &Config) -> Vec<String> {
    let steps = config.routes.iter().flat_map(|route| &route.steps);
    let mut names: Vec<String> = steps.flat_map(|step| step.when.headers.keys().cloned()).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// The conditions of a step, one by one.
fn conditions(when: &When) -> Arc<[StepCondition]> {
    let features = [
        (when.stream, Feature::Stream),
        (when.tools, Feature::Tools),
        (when.images, Feature::Images),
        (when.schema, Feature::Schema),
    ];
    let features = features.into_iter().filter_map(|(wanted, feature)| {
        wanted.map(|wanted| match wanted {
            true => StepCondition::With(feature),
            false => StepCondition::Without(feature),
        })
    });
    let tags = when.tags.iter().map(|(tag, text)| StepCondition::Tag(tag.clone(), text.clone()));
    let headers =
        when.headers.iter().map(|(name, text)| StepCondition::Header(name.clone(), text.clone()));
    features
        .chain(when.min_input_tokens.map(StepCondition::MinInputTokens))
        .chain(when.max_input_tokens.map(StepCondition::MaxInputTokens))
        .chain(tags)
        .chain(headers)
        .collect()
}

/// The keys of a provider that have a value, without repetition. Where none has, the provider is
/// asked without a key, and the attempt says why that fails.
fn key_pool(provider: &config::Provider, fingerprint: Fingerprint<'_>) -> Arc<[KeyFingerprint]> {
    let mut pool: Vec<KeyFingerprint> = vec![];
    // A key that stands twice would be attempted twice after the same refusal.
    for key in provider.keys.iter().filter_map(fingerprint) {
        if !pool.contains(&key) {
            pool.push(key);
        }
    }
    if pool.is_empty() {
        pool.push(KeyFingerprint::NONE);
    }
    pool.into()
}

/// The same plan with one provider's targets only.
fn only_provider(plan: &RoutePlan, provider: &str, name: &str) -> Result<RoutePlan> {
    let mut plan = plan.clone();
    plan.targets.retain(|target| target.provider == provider);
    if plan.targets.is_empty() {
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

    const YAML: &str = "
default_model: fast
providers: [{ name: a }, { name: b }, { name: b-c }]
routes:
  - name: fast
    steps:
      - { provider: a, model: a-model }
      - { provider: b, model: b-model }
      - { provider: a, model: a-model }
models: [{ name: gpt, provider: b }]
";

    fn config() -> Config {
        let kind = config::ProviderKind {
            name: "openai",
            needs_base_url: false,
            needs_key: false,
            takes_region: false,
        };
        let mut config = config::read(YAML, &|_| None, &[kind]).unwrap();
        // No file may name a provider so; rows of an older version may.
        config.providers[2].name = "b/c".to_owned();
        config
    }

    fn fingerprint_of(key: &SecretSource) -> Option<KeyFingerprint> {
        match key {
            SecretSource::Value { value, .. } => Some(crate::fingerprint(value.expose())),
            SecretSource::Parameter { .. } => None,
        }
    }

    fn targets(
        config: &Config,
        model: Option<&str>,
        provider: Option<&str>,
    ) -> Result<Vec<String>> {
        let routes = Routes::new(config, Arc::new(()), &fingerprint_of);
        let plan = routes.resolve(ModelQuery { model, provider })?;
        Ok(plan.targets.iter().map(|it| format!("{}:{}", it.provider, it.model)).collect())
    }

    #[test]
    fn a_route_has_the_targets_of_its_steps_in_order() {
        let steps = targets(&config(), Some("fast"), None).unwrap();
        assert_eq!(steps, ["a:a-model", "b:b-model", "a:a-model"]);
    }

    #[test]
    fn a_name_is_case_sensitive() {
        assert_eq!(
            targets(&config(), Some("Fast"), None).unwrap_err().kind,
            ErrorKind::UnknownModel
        );
    }

    #[test]
    fn a_model_keeps_its_own_name() {
        assert_eq!(targets(&config(), Some("gpt"), None).unwrap(), ["b:gpt"]);
    }

    #[test]
    fn a_provider_and_a_model_can_be_named_directly() {
        assert_eq!(targets(&config(), Some("a/x/y"), None).unwrap(), ["a:x/y"]);
        assert_eq!(targets(&config(), Some("b/c/x"), None).unwrap(), ["b/c:x"]);
    }

    #[test]
    fn a_request_without_a_model_gets_the_default() {
        assert_eq!(targets(&config(), None, None).unwrap().len(), 3);
        let without = Config { default_model: None, ..config() };
        assert_eq!(targets(&without, None, None).unwrap_err().param.as_deref(), Some("model"));
    }

    #[test]
    fn an_unknown_name_goes_to_the_provider_whose_names_it_fits() {
        let rule = |provider: &str, name: &str| DefaultProvider {
            provider: provider.to_owned(),
            names: vec![name.to_owned()],
        };
        let rules = vec![rule("b", "gpt-*"), rule("a", "gpt-4o-*")];
        let with = Config { default_providers: rules, ..config() };
        let to = |name: &str| targets(&with, Some(name), None);
        assert_eq!(to("gpt-4o-2030").unwrap(), ["a:gpt-4o-2030"]);
        assert_eq!(to("gpt-9").unwrap(), ["b:gpt-9"]);
        assert!(to("o9").is_err());
    }

    #[test]
    fn an_unknown_name_goes_to_the_default_provider_unchanged() {
        let with = Config { default_provider: Some("a".to_owned()), ..config() };
        assert_eq!(targets(&with, Some("new/model"), None).unwrap(), ["a:new/model"]);
    }

    #[test]
    fn a_forced_provider_leaves_only_its_targets() {
        let steps = targets(&config(), Some("fast"), Some("a")).unwrap();
        assert_eq!(steps, ["a:a-model", "a:a-model"]);
        assert_eq!(targets(&config(), Some("new"), Some("b")).unwrap(), ["b:new"]);
        assert_eq!(targets(&config(), Some("b/new"), Some("b")).unwrap(), ["b:new"]);
        for (model, provider) in [("fast", "b/c"), ("fast", "nobody")] {
            let error = targets(&config(), Some(model), Some(provider)).unwrap_err();
            assert_eq!(error.param.as_deref(), Some("X-Provider"));
        }
    }
}

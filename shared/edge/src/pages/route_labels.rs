//! Routes and providers in words: how targets are chosen, when a step is for a request, what is limited.

use std::time::Duration;

use config::{Config, Provider, ProviderLimits, Rescue, Route, Step, Strategy, When};
use pages::{
    Count, Took,
    routes::{Route as RouteView, Step as StepView},
    shell::{Pill, Tone},
};
use routing::{CooldownState, TargetHealth};

/// The routes and models of a configuration, with what cools down right now.
pub(super) fn routes(config: &Config, cooling: &[CooldownState]) -> Vec<RouteView> {
    let routes = config.routes.iter().map(|route| RouteView {
        name: route.name.clone(),
        description: route.description.clone().unwrap_or_default(),
        steps: route.steps.iter().map(|it| step(it, route.strategy, cooling)).collect(),
        strategy: strategy(route).to_owned(),
        settings: settings(route),
    });
    let models = config.models.iter().map(|model| RouteView {
        name: model.name.clone(),
        description: model.description.clone().unwrap_or_default(),
        steps: vec![StepView {
            target: format!("{}/{}", model.provider, model.name),
            notes: vec![],
            state: state(&model.provider, &model.name, cooling),
        }],
        strategy: "one target".to_owned(),
        settings: vec![],
    });
    routes.chain(models).collect()
}

fn strategy(route: &Route) -> &'static str {
    match (route.strategy, route.steps.len()) {
        (_, 1) => "one target",
        (Strategy::Order, _) => "in order",
        (Strategy::Weighted, _) => "by weight",
        (Strategy::RoundRobin, _) => "in turn",
        (Strategy::Cheapest, _) => "cheapest first",
        (Strategy::Fastest, _) => "fastest first",
        (Strategy::LeastBusy, _) => "least busy first",
    }
}

fn settings(route: &Route) -> Vec<String> {
    let took = |duration: Duration| Took(duration).to_string();
    let hedge = route.hedge.map(|after| {
        format!("asks the next after {}, up to {} % of calls", took(after), route.hedge_budget)
    });
    let rescue = match route.rescue {
        Rescue::Off => None,
        Rescue::Continue => Some("another target goes on with a stream that breaks".to_owned()),
    };
    let sticky = route.sticky.then(|| "a session stays with its target".to_owned());
    let breaker = (1 < route.breaker.of).then(|| {
        format!("cools down after {} failures of {}", route.breaker.failures, route.breaker.of)
    });
    let cooldown = match route.cooldown {
        Duration::ZERO => "never cools down".to_owned(),
        cooldown => format!("cools down for {}", took(cooldown)),
    };
    [hedge, rescue, sticky, breaker, Some(cooldown)].into_iter().flatten().collect()
}

fn step(step: &Step, strategy: Strategy, cooling: &[CooldownState]) -> StepView {
    let mut notes = conditions(&step.when);
    if strategy == Strategy::Weighted {
        notes.push(format!("weight {}", step.weight));
    }
    if let Some(speed) = step.min_tokens_per_second {
        notes.push(format!("at least {speed} tokens/s"));
    }
    if 0 < step.retries {
        notes.push(format!("{} retries", step.retries));
    }
    StepView {
        target: format!("{}/{}", step.provider, step.model),
        notes,
        state: state(&step.provider, &step.model, cooling),
    }
}

/// Which requests a step is for, a few words for each condition.
fn conditions(when: &When) -> Vec<String> {
    let When { stream, tools, images, schema, min_input_tokens, max_input_tokens, tags, headers } =
        when;
    let flags = [
        (stream, "streams", "no streams"),
        (tools, "with tools", "without tools"),
        (images, "with images", "without images"),
        (schema, "for JSON", "not for JSON"),
    ];
    let flags =
        flags.into_iter().filter_map(|(flag, yes, no)| Some(if (*flag)? { yes } else { no }));
    let mut words: Vec<String> = flags.map(str::to_owned).collect();
    words.extend(min_input_tokens.map(|it| format!("from {} input tokens on", Count(it))));
    words.extend(max_input_tokens.map(|it| format!("up to {} input tokens", Count(it))));
    words.extend(tags.iter().map(|(name, value)| format!("tag {name} = {value}")));
    words.extend(headers.iter().map(|(name, value)| format!("header {name} = {value}")));
    if let Some(first) = words.first_mut() {
        first.insert_str(0, "only ");
    }
    words
}

/// What keeps calls away from a target: a cooldown of one of its keys.
fn state(provider: &str, model: &str, cooling: &[CooldownState]) -> Option<Pill> {
    let is_about = |it: &&CooldownState| {
        it.what.provider == provider && (it.what.model == model || it.what.model.is_empty())
    };
    let left = cooling.iter().filter(is_about).map(|it| it.left).max()?;
    let text = match left {
        Duration::ZERO => "being probed".to_owned(),
        left => format!("cooldown, {} left", Took(Duration::from_secs(left.as_secs().max(1)))),
    };
    Some(Pill::new(Tone::Warn, text))
}

/// What a provider allows, and what attempts of this process have shown of late.
pub(super) fn provider_notes(
    provider: &Provider,
    health: &[(String, TargetHealth)],
) -> Vec<String> {
    let ProviderLimits { requests_per_minute, requests_per_day, tokens_per_minute, concurrent } =
        &provider.limits;
    let limits = [
        (requests_per_minute, "requests a minute"),
        (requests_per_day, "requests a day"),
        (tokens_per_minute, "tokens a minute"),
        (concurrent, "calls at once"),
    ];
    let limit = |(limit, what): (&Option<u64>, &str)| Some(format!("{} {what}", Count((*limit)?)));
    let limits: Vec<String> = limits.into_iter().filter_map(limit).collect();
    let mut notes = vec![];
    if !limits.is_empty() {
        notes.push(format!("at most {}", limits.join(", ")));
    }

    let in_flight: u64 = health.iter().map(|(_, it)| u64::from(it.in_flight)).sum();
    if 0 < in_flight {
        notes.push(format!("{} in flight", Count(in_flight)));
    }
    if let Some(fastest) = health.iter().filter_map(|(_, it)| it.latency).min() {
        notes.push(format!("first token in {}", Took(fastest)));
    }
    let failing = health.iter().filter(|(_, it)| 0 < it.consecutive_failures);
    notes.extend(failing.map(|(model, it)| match it.consecutive_failures {
        1 => format!("the last call of {model} failed"),
        count => format!("{model} failed {count} times in a row"),
    }));
    notes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(routes: &str) -> Config {
        let text = format!(
            "api_key: k\nproviders:\n  - {{ name: p, base_url: \"http://h\", limits: \
             {{ requests_per_minute: 30, concurrent: 2 }} }}\n{routes}"
        );
        config::read(&text, &|_| None, &gateway::kinds()).unwrap()
    }

    #[test]
    fn a_route_says_how_its_targets_are_chosen() {
        let found = config(
            "routes:
  - name: r
    strategy: weighted
    hedge: 2s
    rescue: continue
    sticky: true
    cooldown: 60s
    steps:
      - { provider: p, model: a, weight: 3, when: { stream: true, max_input_tokens: 8000 } }
      - { provider: p, model: b }
",
        );
        let route = &routes(&found, &[])[0];
        assert_eq!(route.strategy, "by weight");
        assert_eq!(route.settings[0], "asks the next after 2.0 s, up to 5 % of calls");
        assert!(route.settings.iter().any(|it| it.contains("stream that breaks")));
        assert_eq!(route.steps[0].notes, ["only streams", "up to 8,000 input tokens", "weight 3"]);
        assert_eq!(route.steps[1].notes, ["weight 1"]);
    }

    #[test]
    fn a_target_that_cools_down_says_for_how_long() {
        let found = config("routes: [{ name: r, steps: [{ provider: p, model: a }] }]");
        let cooling = CooldownState {
            what: routing::Cooldown {
                provider: "p".to_owned(),
                model: "a".to_owned(),
                key: canonical::KeyFingerprint::NONE,
            },
            reason: routing::CooldownReason::Outage,
            left: Duration::from_secs(42),
        };
        let route = &routes(&found, std::slice::from_ref(&cooling))[0];
        let pill = route.steps[0].state.as_ref().unwrap();
        assert_eq!(
            (route.strategy.as_str(), pill.text.as_str()),
            ("one target", "cooldown, 42.0 s left")
        );
    }

    #[test]
    fn a_provider_says_what_it_allows_and_how_it_does() {
        let found = config("");
        let mut health = TargetHealth::default();
        (health.in_flight, health.consecutive_failures) = (2, 3);
        let mut failed_once = health;
        failed_once.consecutive_failures = 1;
        let notes = provider_notes(&found.providers[0], &[("n".to_owned(), failed_once)]);
        assert_eq!(notes[2], "the last call of n failed");
        let notes = provider_notes(&found.providers[0], &[("m".to_owned(), health)]);
        assert_eq!(
            notes,
            [
                "at most 30 requests a minute, 2 calls at once",
                "2 in flight",
                "m failed 3 times in a row"
            ]
        );
    }
}

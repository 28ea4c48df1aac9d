//! Every section at the top, the options of routes and providers: each key lands, each fault is
//! told.

use super::*;
use crate::{ErrorWords, HealthMember, KeySource, When, is_password_hash};

/// The faults of a document that ends with one section in its third line, without the column.
fn errors_of(section: &str) -> Vec<String> {
    let errors = errors_after_provider(section);
    let message = |error: &String| error.split_once(": ").map(|(_, rest)| rest.to_owned());
    assert!(errors.iter().all(|error| error.starts_with("3:")), "{errors:?}");
    errors.iter().filter_map(message).collect()
}

#[test]
fn every_key_about_operators_lands_in_the_document() {
    let it = config(EXAMPLE);
    let [admin, night] = &it.admin.users[..] else { panic!("two users") };
    assert_eq!((&*admin.name, admin.role), ("admin", Role::Admin));
    assert_eq!(exposed(&admin.password), "secret of ADMIN_KEY");
    assert_eq!((&*night.name, night.role), ("night", Role::Viewer));
    assert!(is_password_hash(exposed(&night.password)));
    assert_eq!(it.admin.public_url.as_deref(), Some("https://gateway.example.com"));
    let credentials = it.metrics.credentials.unwrap();
    assert_eq!(credentials.username, "prometheus");
    assert_eq!(exposed(&credentials.password), "secret of METRICS_KEY");
    assert_eq!(it.metrics.seeds, [MetricNames::B, MetricNames::C, MetricNames::D]);
    assert_eq!((it.log.format, it.log.level), (LogFormat::Json, LogLevel::Debug));
    assert_eq!(it.log.contents, LogContents::Summary);
    assert_eq!(it.requests.retention, Duration::from_secs(7 * 86_400));
    let prompts = it.requests.prompts;
    assert_eq!((prompts.enabled, prompts.max_bytes), (true, 10_000));
    assert_eq!(prompts.retention, Duration::from_secs(86_400));
    assert_eq!(it.tls.unwrap(), crate::Tls { cert: "cert.pem".into(), key: "key.pem".into() });
    assert_eq!(it.server.shutdown_timeout, Duration::from_secs(5));
    assert_eq!(it.compatibility.base_paths, ["/api"]);
    assert_eq!(it.compatibility.error_words, Some(ErrorWords::D));
    let members = [HealthMember::Providers, HealthMember::Timestamp];
    assert_eq!(it.compatibility.health_members, members);
}

#[test]
fn every_key_about_money_lands_in_the_document() {
    let it = config(EXAMPLE);
    assert_eq!((it.cache.enabled, it.cache.ttl), (true, Duration::from_secs(600)));
    assert_eq!(it.idempotency.ttl, Duration::from_secs(3600));
    assert_eq!(it.unpriced, tenants::Unpriced::Allow);
    assert_eq!(it.store_down.rate_limits, tenants::WhenUnreachable::Closed);
    assert_eq!(it.store_down.budgets, tenants::WhenUnreachable::Open);
    let webhook = it.alerts.webhook.unwrap();
    assert_eq!(exposed(&webhook.url), "https://hooks.example.com/T0/B0?token=hook");
    assert_eq!(exposed(&webhook.secret.unwrap()), "secret of WEBHOOK_KEY");
    let topic = "arn:aws:sns:eu-central-1:123456789012:alerts";
    assert_eq!(it.alerts.sns_topic.as_deref(), Some(topic));
    let queue = "https://sqs.eu-central-1.amazonaws.com/123456789012/usage";
    assert_eq!(it.usage_events.sqs_queue.as_deref(), Some(queue));
}

#[test]
fn every_key_about_choosing_lands_in_the_document() {
    let it = config(EXAMPLE);
    let route = &it.routes[0];
    assert_eq!((route.strategy, route.rescue), (Strategy::Weighted, Rescue::Continue));
    assert_eq!(route.cooldown_max, Duration::from_secs(600));
    assert_eq!(route.breaker, Breaker { failures: 3, of: 5 });
    assert_eq!((route.hedge, route.hedge_budget), (Some(Duration::from_secs(2)), 10));
    assert!(route.sticky);
    let step = &route.steps[0];
    assert_eq!(step.weight, 3);
    assert_eq!(step.min_tokens_per_second, Some(5));
    assert_eq!(step.speed_window, Duration::from_secs(20));
    let text = |name: &str, value: &str| [(name.to_owned(), value.to_owned())].into();
    let when = When {
        stream: Some(true),
        tools: Some(false),
        images: Some(false),
        schema: Some(false),
        min_input_tokens: Some(10),
        max_input_tokens: Some(100_000),
        tags: text("team", "search"),
        headers: text("x-tier", "gold"),
    };
    assert_eq!(step.when, when);
    assert!(route.steps[1].when.is_always());
    let provider = &it.providers[1];
    assert_eq!(provider.limits.requests_per_minute, Some(30));
    assert_eq!(provider.limits.requests_per_day, Some(1000));
    assert_eq!(provider.limits.tokens_per_minute, Some(6000));
    assert_eq!(provider.limits.concurrent, Some(4));
    let probe = provider.probe.clone().unwrap();
    assert_eq!((probe.every, &*probe.model), (Duration::from_secs(300), "llama"));
    assert_eq!(probe.max_cost, 50_000);
}

#[test]
fn an_absent_section_has_its_defaults() {
    let it = config(
        "providers: [{name: p, type: ollama}]\nroutes: [{name: r, steps: [{provider: p, model: m}]}]",
    );
    assert!(it.admin.users.is_empty() && it.admin.public_url.is_none() && it.tls.is_none());
    assert!(it.metrics.credentials.is_none());
    assert_eq!(it.metrics.seeds, [MetricNames::B]);
    assert_eq!(it.log, crate::Log::default());
    assert_eq!(it.requests.retention, Duration::from_secs(30 * 86_400));
    assert!(!it.requests.prompts.enabled && !it.cache.enabled);
    assert_eq!(it.cache.ttl, Duration::from_secs(300));
    assert_eq!(it.store_down, tenants::UnreachablePolicy::default());
    assert_eq!(it.unpriced, tenants::Unpriced::Refuse);
    let route = &it.routes[0];
    assert_eq!((route.strategy, route.rescue), (Strategy::Order, Rescue::Off));
    assert_eq!(route.cooldown_max, Duration::from_secs(900));
    assert_eq!(route.breaker, Breaker { failures: 1, of: 1 });
    assert_eq!((route.hedge, route.hedge_budget, route.sticky), (None, 5, false));
    assert_eq!(route.steps[0].weight, 1);
    assert!(it.providers[0].limits.is_unlimited() && it.providers[0].probe.is_none());
}

#[test]
fn whoever_writes_a_cache_wants_one() {
    let with = |cache: &str| config(&format!("{cache}\nproviders: [{{name: p, type: ollama}}]"));
    assert!(with("cache: {ttl: 1h}").cache.enabled);
    assert!(with("cache: {}").cache.enabled);
    assert!(!with("cache: {enabled: false}").cache.enabled);
}

#[test]
fn every_fault_of_a_section_has_its_place() {
    for (section, expected) in [
        (
            "admin: {users: [{name: a, password: x}, {name: a, password: y}]}",
            "admin.users[1].name: is taken by admin.users[0] on line 3",
        ),
        ("admin: {users: [{name: a}]}", "admin.users[0].password: is missing"),
        (
            "admin: {users: [{name: a, password: $argon2id$v=19$x}]}",
            "admin.users[0].password: is no argon2id hash: write $argon2id$v=19$m=…,t=…,p=…$salt$hash",
        ),
        (
            "admin: {users: [{name: a, password: b, role: boss}]}",
            "admin.users[0].role: is none of: viewer, editor, admin",
        ),
        (
            "admin: {public_url: a.example}",
            "admin.public_url: begins with neither http:// nor https://",
        ),
        ("metrics: {username: a}", "metrics.password: is missing; it belongs to username"),
        ("metrics: {seeds: [a]}", "metrics.seeds[0]: is none of: b, c, d"),
        ("log: {format: xml}", "log.format: is none of: text, json"),
        (
            "requests: {retention: 0s}",
            "requests.retention: is zero, so that nothing would be kept; give it some time",
        ),
        (
            "requests: {prompts: {enabled: \"yes\"}}",
            "requests.prompts.enabled: is neither true nor false",
        ),
        ("cache: {ttl: 5000d}", "cache.ttl: is longer than ten years"),
        ("unpriced: maybe", "unpriced: is none of: refuse, allow"),
        ("store_down: {budgets: ajar}", "store_down.budgets: is none of: open, closed"),
        ("alerts: {webhook: {secret: x}}", "alerts.webhook.url: is missing"),
        (
            "alerts: {webhook: {url: hooks}}",
            "alerts.webhook.url: is not a URL: write https://host/path",
        ),
        (
            "alerts: {sns_topic: alerts}",
            "alerts.sns_topic: is no ARN of a topic, such as arn:aws:sns:eu-central-1:123456789012:alerts",
        ),
        ("tls: {cert: a}", "tls.key: is missing"),
        (
            "compatibility: {base_paths: [api]}",
            "compatibility.base_paths[0]: is no path: write it as /api",
        ),
        (
            "compatibility: {base_paths: [//api]}",
            "compatibility.base_paths[0]: is no path: write it as /api",
        ),
        (
            "compatibility: {base_paths: [/admin/x]}",
            "compatibility.base_paths[0]: is served already, for operators",
        ),
    ] {
        assert_eq!(errors_of(section), [expected], "{section}");
    }
}

#[test]
fn every_error_of_a_route_has_its_place() {
    for (keys, expected) in [
        ("cooldown: 5m, cooldown_max: 1m", "cooldown_max: is shorter than cooldown"),
        (
            "breaker: {failures: 5, of: 3}",
            "breaker.of: is less than failures, so that no target would ever cool down",
        ),
        ("hedge_budget: 101", "hedge_budget: takes a whole number from 0 to 100"),
        ("rescue: on", "rescue: is none of: off, continue"),
        (
            "strategy: random",
            "strategy: is none of: order, weighted, round_robin, cheapest, fastest, least_busy",
        ),
    ] {
        let text = format!("routes: [{{name: r, steps: [{{provider: p, model: m}}], {keys}}}]");
        let errors = errors_after_provider(&text);
        assert!(errors[0].ends_with(&format!("routes[0].{expected}")), "{errors:?}");
    }
    for (when, expected) in [
        (
            "min_input_tokens: 5, max_input_tokens: 4",
            "max_input_tokens: is less than min_input_tokens, so that no request would fit",
        ),
        (
            "header: {Authorization: x}",
            "header.Authorization: carries a key, which decides nothing here; use another header",
        ),
        ("header: {\"a b\": x}", "header.a b: is not a header's name"),
        ("stream: 1", "stream: is neither true nor false"),
    ] {
        let errors = errors_of_step(&format!("    when: {{{when}}}"));
        assert!(errors[0].ends_with(&format!("routes[0].steps[0].when.{expected}")), "{errors:?}");
    }
}

#[test]
fn a_key_of_a_tenant_may_have_a_name_and_an_end() {
    let it = config(EXAMPLE);
    let [first, second] = &it.tenants[1].keys[..] else { panic!("two keys") };
    assert!(first.name.is_none() && first.expires.is_none());
    assert_eq!((second.name.as_deref(), second.expires), (Some("laptop"), Some(1_801_353_600)));
    assert!(
        matches!(&second.source, KeySource::Secret(key) if exposed(key) == "secret of SEARCH_KEY_TWO")
    );
    let errors =
        errors_of("tenants: [{name: t, api_keys: [{key: a-long-enough-key, expires: soon}]}]");
    assert_eq!(
        errors,
        ["tenants[0].api_keys[0].expires: is no date: write 2027-01-31, or 2027-01-31T18:00:00Z"]
    );
}

#[test]
fn every_setting_of_a_tenant_lands_in_the_document() {
    let it = config(EXAMPLE);
    let tenant = &it.tenants[1];
    let settings = &tenant.settings;
    let limits = settings.limits();
    assert_eq!(limits.max_concurrent, Some(3));
    assert_eq!(limits.daily_input_tokens, Some(1_000_000));
    assert_eq!(limits.daily_output_tokens, Some(100_000));
    let budget = limits.budget.unwrap();
    assert_eq!((budget.amount.0, &*budget.alert_levels), (12_500_000, &[50, 100][..]));
    assert_eq!(budget.period, tenants::BudgetPeriod::Day);
    assert_eq!(budget.unpriced, tenants::Unpriced::Allow);
    assert_eq!(settings.models.fallback, ["gpt-4o"]);
    assert_eq!(settings.requests.max_input_tokens, Some(50_000));
    assert_eq!(settings.requests.system_prompt.as_deref(), Some("Be kind."));
    assert_eq!(settings.requests.system_prompt_mode, tenants::SystemPromptMode::Locked);
    assert_eq!(settings.provider.name.as_deref(), Some("groq"));
    assert_eq!(settings.provider.sealed_api_key, None);
    let key = tenant.provider_api_key.as_ref().unwrap();
    assert_eq!(exposed(key), "secret of SEARCH_PROVIDER_KEY");
    let cache = settings.cache.unwrap();
    assert_eq!((cache.enabled, cache.ttl), (false, Some(90)));
    let tags: Vec<_> = settings.tags.iter().map(|(name, tag)| (&**name, &**tag)).collect();
    assert_eq!(tags, [("enabled", "true"), ("team", "search")]);
}

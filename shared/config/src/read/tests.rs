mod sections;

use std::time::Duration;

use super::*;
use crate::{
    Breaker, COOLDOWN, ConflictResolution, FallbackOn, LogContents, LogFormat, LogLevel,
    MetricNames, Rescue, Role, SecretSource, Strategy,
};

pub(crate) const EXAMPLE: &str = include_str!("../example.yaml");
pub(crate) const KINDS: [ProviderKind; 6] = [
    ProviderKind { name: "openai", needs_base_url: false, needs_key: true, takes_region: false },
    ProviderKind {
        name: "azure-openai",
        needs_base_url: true,
        needs_key: true,
        takes_region: false,
    },
    ProviderKind { name: "groq", needs_base_url: false, needs_key: true, takes_region: false },
    ProviderKind { name: "ollama", needs_base_url: false, needs_key: false, takes_region: false },
    ProviderKind { name: "bedrock", needs_base_url: false, needs_key: false, takes_region: true },
    ProviderKind { name: "mock", needs_base_url: false, needs_key: false, takes_region: false },
];

fn variables(name: &str) -> Option<String> {
    match name {
        "EMPTY" => Some(String::new()),
        "PORT" => Some("9000".to_owned()),
        "LIST" => Some("[a, b]".to_owned()),
        "SLOW" => Some("2m".to_owned()),
        "CHEAP" => Some("0.25".to_owned()),
        "REFERENCE" => Some("ssm:/team/key".to_owned()),
        "WEBHOOK_URL" => Some("https://hooks.example.com/T0/B0?token=hook".to_owned()),
        "CANARY" => Some("canary-value\n".to_owned()),
        name if ["KEY", "PASSWORD", "POOLED", "_7"].iter().any(|part| name.contains(part)) => {
            Some(format!("secret of {name}"))
        }
        _ => None,
    }
}

pub(crate) fn config(text: &str) -> Config {
    match read(text, &variables, &KINDS) {
        Ok(config) => config,
        Err(errors) => panic!("{errors}"),
    }
}

fn errors(text: &str) -> Vec<String> {
    let errors = read(text, &variables, &KINDS).expect_err("this has a fault");
    errors.iter().map(ToString::to_string).collect()
}

/// The faults of a document that begins with a good provider, which takes lines 1 and 2.
fn errors_after_provider(rest: &str) -> Vec<String> {
    errors(&format!("providers:\n- {{name: p, type: ollama}}\n{rest}"))
}

/// The faults of a step with these lines, each indented by 4.
fn errors_of_step(lines: &str) -> Vec<String> {
    errors_after_provider(&format!(
        "routes:\n- name: r\n  steps:\n  - provider: p\n    model: m\n{lines}"
    ))
}

/// The faults of a provider with these lines, each indented by 2.
fn errors_of_provider(lines: &str) -> Vec<String> {
    errors(&format!("providers:\n- name: p\n{lines}"))
}

fn exposed(source: &SecretSource) -> &str {
    match source {
        SecretSource::Value { value, .. } => value.expose(),
        SecretSource::Parameter { name, .. } => name,
    }
}

#[test]
fn every_key_at_the_top_lands_in_the_document() {
    let it = config(EXAMPLE);
    assert_eq!(exposed(&it.api_key.unwrap()), "secret of GATEWAY_API_KEY");
    assert_eq!(it.port, 9090);
    assert_eq!(it.default_timeout, Duration::from_secs(120));
    assert_eq!(it.route_timeout, Duration::from_secs(300));
    assert_eq!(it.idle_timeout, Duration::from_secs(45));
    assert_eq!(it.default_provider.as_deref(), Some("cerebras"));
    assert_eq!(it.default_model.as_deref(), Some("dynamic/n8n"));
    let fetch = it.fetch.unwrap();
    assert_eq!(fetch.hosts, ["images.example.com", "*.example.org"]);
    assert_eq!((fetch.max_bytes, fetch.timeout), (4_000_000, Duration::from_secs(5)));
    assert_eq!(it.cors.origins.as_deref(), Some(&["https://app.example.com".to_owned()][..]));
    assert_eq!(it.server.workers, Some(3));
    assert_eq!((it.server.max_connections, it.server.max_connections_per_address), (2000, 100));
    assert_eq!((it.server.max_memory_bytes, it.server.max_body_bytes), (512 << 20, 20 << 20));
    let times = [it.server.head_timeout, it.server.body_timeout, it.server.write_timeout];
    assert_eq!(times, [5, 30, 45].map(Duration::from_secs));
    let times = [it.server.keep_alive_timeout, it.server.drain_timeout];
    assert_eq!(times, [120, 20].map(Duration::from_secs));
}

#[test]
fn pages_of_the_machine_itself_may_call_unless_origins_are_given() {
    let with = |cors: &str| config(&format!("{cors}\nproviders: [{{name: p, type: ollama}}]"));
    assert_eq!(with("").cors.origins, None);
    assert_eq!(with("cors: {}").cors.origins, None);
    assert_eq!(with("cors: {origins: []}").cors.origins, Some(vec![]));
    assert_eq!(
        with("cors: {origins: [\"*\", HTTP://A.example/]}").cors.origins,
        Some(vec!["*".to_owned(), "http://a.example".to_owned()])
    );
}

#[test]
fn nothing_is_fetched_unless_somebody_says_from_whom() {
    let with = |fetch: &str| config(&format!("{fetch}\nproviders: [{{name: p, type: ollama}}]"));
    assert_eq!(with("").fetch, None);
    let fetch = with("fetch: {hosts: [Images.Example.com]}").fetch.unwrap();
    assert_eq!(fetch.hosts, ["images.example.com"]);
    assert_eq!((fetch.max_bytes, fetch.timeout), (10_000_000, Duration::from_secs(10)));
}

#[test]
fn every_error_about_fetching_is_listed() {
    assert_eq!(
        errors_after_provider(
            "fetch:\n  hosts: [10.0.0.1, a.example, A.example]\n  max_bytes: 0\n  timeout: 0s\n  host: a\n"
        ),
        [
            "4:11: fetch.hosts[0]: is an address by number; media are fetched by name only",
            "4:32: fetch.hosts[2]: is given twice; remove one",
            "5:14: fetch.max_bytes: takes a whole number from 1 to 100000000",
            "6:12: fetch.timeout: is zero, so that nothing could ever respond; give it some time",
            "7:3: fetch.host: is no key of fetch; did you mean hosts?",
        ]
    );
    for (fetch, error) in [
        (
            "fetch: {}",
            "3:8: fetch.hosts: is missing; nothing is fetched but from the hosts named here",
        ),
        (
            "fetch: {hosts: []}",
            "3:16: fetch.hosts: is empty; nothing is fetched but from the hosts named here",
        ),
        ("fetch: true", "3:8: fetch: takes `key: value` lines, not a list or a single value"),
        (
            "fetch: {hosts: a.example}",
            "3:16: fetch.hosts: takes a list: one entry per line, each behind `- `",
        ),
        ("fetch:", "3:6: fetch: has no value; give one, or remove the line"),
    ] {
        assert_eq!(errors_after_provider(fetch), [error], "{fetch}");
    }
}

#[test]
fn every_key_of_a_provider_lands_in_the_document() {
    let providers = config(EXAMPLE).providers;
    let names: Vec<&str> = providers.iter().map(|it| &*it.name).collect();
    assert_eq!(names, ["cerebras", "pooled", "azure", "claude", "scripted"]);
    let [cerebras, pooled, azure, claude, scripted] = &providers[..] else {
        panic!("five providers")
    };
    assert_eq!(cerebras.kind, "openai");
    assert_eq!(cerebras.base_url.as_deref(), Some("https://api.cerebras.ai/v1"));
    assert_eq!(exposed(&cerebras.keys[0]), "secret of CEREBRAS_API_KEY");
    assert_eq!(pooled.kind, "groq");
    assert_eq!(exposed(&pooled.keys[0]), "secret of GROQ_KEY_ONE");
    assert_eq!(exposed(&pooled.keys[1]), "/team/groq");
    assert_eq!(exposed(&pooled.headers["X-Title"]), "Lockgate");
    assert_eq!(exposed(&pooled.headers["X-Trace"]), "token secret of GROQ_KEY_ONE");
    assert_eq!(pooled.timeout, Some(Duration::from_secs(90)));
    assert_eq!(azure.api_version.as_deref(), Some("2024-10-21"));
    assert_eq!(exposed(&azure.keys[0]), "/aws/reference/secretsmanager/azure/key");
    assert_eq!(claude.region.as_deref(), Some("eu-central-1"));
    let script = scripted.script.clone().unwrap();
    assert_eq!(script.answer.as_deref(), Some("Hello from the script."));
    assert_eq!(
        (script.status, script.fail_first, script.retry_after),
        (Some(429), Some(2), Some(7))
    );
    assert_eq!(script.delay, Some(Duration::from_millis(20)));
    assert_eq!(script.pause, Some(Duration::from_millis(5)));
}

#[test]
fn every_key_of_a_route_lands_in_the_document() {
    let routes = config(EXAMPLE).routes;
    assert_eq!(routes[0].name, "dynamic/n8n");
    assert_eq!(routes[0].description.as_deref(), Some("The one everybody uses"));
    assert_eq!(routes[0].fallback_on, FallbackOn::Any);
    assert_eq!(routes[0].cooldown, Duration::ZERO);
    let [first, second] = &routes[0].steps[..] else { panic!("two steps") };
    assert_eq!((&*first.provider, &*first.model), ("cerebras", "gpt-oss-120b"));
    assert_eq!(first.conflict_resolution, Some(ConflictResolution::Tools));
    assert_eq!(first.timeout, Some(Duration::from_secs(30)));
    assert_eq!(first.first_token_timeout, Some(Duration::from_secs(10)));
    assert_eq!((first.retries, first.context_window), (2, Some(131_072)));
    assert_eq!(second.conflict_resolution, Some(ConflictResolution::Format));
    assert_eq!(routes[1].fallback_on, FallbackOn::Default);
}

#[test]
fn every_key_of_a_model_and_a_price_lands_in_the_document() {
    let it = config(EXAMPLE);
    assert_eq!((&*it.models[0].name, &*it.models[0].provider), ("gpt-4o", "azure"));
    assert_eq!(it.models[0].description.as_deref(), Some("Azure's"));
    let price = &it.prices[1];
    assert_eq!((&*price.provider, &*price.model), ("pooled", "llama"));
    assert_eq!((price.input, price.output), (1_000_000, 2_500_000));
    assert_eq!((price.cached_input, price.cache_write), (Some(1), Some(0)));
    assert_eq!(it.prices[0].input, 350_000);
}

#[test]
fn an_absent_key_has_its_default() {
    let it = config(
        "providers:\n- {name: p, type: ollama}\nroutes:\n- name: r\n  steps: [{provider: p, model: m}]",
    );
    assert!(it.api_key.is_none());
    assert_eq!(it.port, PORT);
    assert_eq!(it.default_timeout, DEFAULT_TIMEOUT);
    assert_eq!(it.route_timeout, ROUTE_TIMEOUT);
    assert_eq!(it.idle_timeout, IDLE_TIMEOUT);
    assert_eq!(it.routes[0].cooldown, COOLDOWN);
    assert_eq!(it.routes[0].steps[0].retries, 0);
    assert_eq!(it.routes[0].steps[0].timeout, None);
}

#[test]
fn every_fault_is_listed_in_order_of_place() {
    let text = "port: 0
providers:
  - name: cerebras
    base_url: https://api.cerebras.ai/v1
    api_key: ${NOBODY}
  - name: claude
    type: ollama
    timeout: 30
routes:
  - name: fast
    steps:
      - provider: cerebras
        model: m
      - provider: clade
        model: m
";
    assert_eq!(
        errors(text),
        [
            "1:7: port: takes a whole number from 1 to 65535",
            "5:14: providers[0].api_key: the variable NOBODY is not set",
            "8:14: providers[1].timeout: 30 has no unit: write 30s for seconds, or 30ms",
            "14:19: routes[0].steps[1].provider: names no provider: \"clade\" (known: cerebras, claude)",
        ]
    );
}

#[test]
fn an_unknown_key_is_refused_with_what_was_probably_meant() {
    assert_eq!(
        errors_after_provider("porviders: 1\ncolour: red"),
        [
            "3:1: porviders: is no key of a configuration; did you mean providers?",
            "4:1: colour: is no key of a configuration (known: api_key, auth, port, default_timeout, \
             route_timeout, idle_timeout, default_provider, default_providers, default_model, proxy, ca_file, \
             connect_timeout, pool, fetch, cors, server, tls, admin, metrics, log, requests, cache, idempotency, unpriced, store_down, alerts, usage_events, compatibility, providers, routes, \
             models, prices, tenants)",
        ]
    );
    assert_eq!(
        errors_of_step("    timout: 3s"),
        ["8:5: routes[0].steps[0].timout: is no key of a step; did you mean timeout?"]
    );
}

#[test]
fn a_region_is_for_those_who_live_in_many() {
    assert_eq!(
        errors_of_provider("  type: ollama\n  region: eu-west-1"),
        ["4:11: providers[0].region: is nothing that a provider of type ollama has; remove it"]
    );
    assert_eq!(
        errors_of_provider("  type: bedrock\n  region: evil.example/"),
        ["4:11: providers[0].region: is no region of AWS: write it as AWS does, such as \
             eu-west-1"]
    );
    let good = config("providers: [{name: p, type: bedrock, region: us-gov-west-1}]");
    assert_eq!(good.providers[0].region.as_deref(), Some("us-gov-west-1"));
}

#[test]
fn an_unknown_type_lists_the_known_ones() {
    assert_eq!(
        errors_of_provider("  type: grok"),
        ["3:9: providers[0].type: \"grok\" is no type; did you mean groq? \
          (known: openai, azure-openai, groq, ollama, bedrock, mock)"]
    );
}

#[test]
fn a_value_of_the_wrong_shape_is_refused() {
    for (rest, expected) in [
        ("routes: fast", "3:9: routes: takes a list: one entry per line, each behind `- `"),
        ("routes: {a: b}", "3:9: routes: takes a list: one entry per line, each behind `- `"),
        (
            "routes: [fast]",
            "3:10: routes[0]: takes `key: value` lines, not a list or a single value",
        ),
        ("port: [1]", "3:7: port: takes a single value, not a list or mapping"),
        ("port: \"80\"", "3:7: port: is a text where a number belongs; remove the quotes"),
        ("port: 0x50", "3:7: port: takes a whole number from 1 to 65535"),
        ("port: 8080.0", "3:7: port: takes a whole number from 1 to 65535"),
        ("port: 99999999999999999999", "3:7: port: takes a whole number from 1 to 65535"),
        ("port: -1", "3:7: port: takes a whole number from 1 to 65535"),
        ("port:", "3:5: port: has no value; give one, or remove the line"),
        ("routes: [~]", "3:10: routes[0]: has no value; give one, or remove the line"),
        (
            "default_timeout: 0s",
            "3:18: default_timeout: is zero, so that nothing could ever respond; give it some time",
        ),
        (
            "default_model: 12",
            "3:16: default_model: is a number or truth value where a text belongs; put it in quotes",
        ),
        ("default_model: ''", "3:16: default_model: is empty; give a value, or remove the line"),
    ] {
        assert_eq!(errors_after_provider(rest), [expected], "{rest}");
    }
}

#[test]
fn yes_and_no_are_words() {
    let it = config("providers:\n- {name: no, type: ollama}\nmodels:\n- {name: yes, provider: no}");
    assert_eq!((&*it.models[0].name, &*it.models[0].provider), ("yes", "no"));
    let expected =
        "4:10: models[0].name: is a number or truth value where a text belongs; put it in quotes";
    assert_eq!(errors_after_provider("models:\n- {name: true, provider: p}"), [expected]);
}

#[test]
fn names_are_unicode_where_clients_choose_them() {
    let it =
        config("providers:\n- {name: p, type: ollama}\nmodels:\n- {name: 模型/é, provider: p}");
    assert_eq!(it.models[0].name, "模型/é");
    assert_eq!(
        errors("providers:\n- {name: modèle, type: ollama}"),
        ["2:10: providers[0].name: is not a provider's name: at most 64 letters without accents, \
          digits, `-`, `_` and `.`"]
    );
}

#[test]
fn a_name_belongs_to_one() {
    let text = "providers:
- {name: p, type: ollama}
- {name: p, type: ollama}
routes:
- {name: a, steps: [{provider: p, model: m}]}
- {name: a, steps: [{provider: p, model: m}]}
models:
- {name: a, provider: p}
prices:
- {provider: p, model: m, input: 1, output: 1}
- {provider: p, model: m, input: 1, output: 1}
";
    assert_eq!(
        errors(text),
        [
            "3:10: providers[1].name: is taken by providers[0] on line 2",
            "6:10: routes[1].name: is taken by routes[0] on line 5",
            "8:10: models[0].name: is taken by routes[0] on line 5",
            "11:3: prices[1]: is taken by prices[0] on line 10",
        ]
    );
}

#[test]
fn a_key_stands_once() {
    assert_eq!(
        errors_after_provider("port: 1\nport: 2\nroutes: []\n'routes': []"),
        [
            "4:1: port: is given twice (first on line 3); remove one",
            "6:1: routes: is given twice (first on line 5); remove one",
        ]
    );
}

#[test]
fn a_missing_key_is_named() {
    assert_eq!(errors(""), ["1:1: providers: is missing; a gateway calls at least one provider"]);
    assert_eq!(errors("# nothing\n"), errors(""));
    assert_eq!(
        errors("port: 80\nproviders: []"),
        ["2:12: providers: is empty; a gateway calls at least one provider"]
    );
    assert_eq!(
        errors(
            "providers:\n- type: ollama\nroutes:\n- description: d\n- {name: r, steps: []}\nmodels:\n- {}\nprices:\n- {}"
        ),
        [
            "2:3: providers[0].name: is missing",
            "4:3: routes[0].name: is missing",
            "4:3: routes[0].steps: is missing; a route has at least one step",
            "5:20: routes[1].steps: is empty; a route has at least one step",
            "7:3: models[0].name: is missing",
            "7:3: models[0].provider: is missing",
            "9:3: prices[0].provider: is missing",
            "9:3: prices[0].model: is missing",
            "9:3: prices[0].input: is missing",
            "9:3: prices[0].output: is missing",
        ]
    );
}

#[test]
fn what_is_named_exists() {
    assert_eq!(
        errors_after_provider(
            "default_provider: q\ndefault_model: tset\nmodels: [{name: test, provider: q}]\n\
             prices: [{provider: q, model: m, input: 1, output: 1}]"
        ),
        [
            "3:19: default_provider: names no provider: \"q\" (known: p)",
            "4:16: default_model: names no route and no model: \"tset\"; did you mean test?",
            "5:33: models[0].provider: names no provider: \"q\" (known: p)",
            "6:21: prices[0].provider: names no provider: \"q\" (known: p)",
        ]
    );
}

#[test]
fn a_default_model_may_name_its_provider() {
    let it = config("default_model: p/llama\nproviders:\n- {name: p, type: ollama}");
    assert_eq!(it.default_model.as_deref(), Some("p/llama"));
}

#[test]
fn words_are_among_those_known() {
    assert_eq!(
        errors_of_step("    conflict_resolution: both"),
        ["8:26: routes[0].steps[0].conflict_resolution: is none of: tools, format"]
    );
    assert_eq!(
        errors_of_step("  fallback_on: all"),
        ["8:16: routes[0].fallback_on: is none of: default, any"]
    );
}

#[test]
fn numbers_of_a_step_are_sensible() {
    for (line, expected) in [
        (
            "timeout: 0ms",
            "8:14: routes[0].steps[0].timeout: is zero, so that nothing could ever respond; give it some time",
        ),
        (
            "first_token_timeout: soon",
            "8:26: routes[0].steps[0].first_token_timeout: is not a duration: write numbers and ms, s, m, h or d, such as 30s",
        ),
        ("retries: 11", "8:14: routes[0].steps[0].retries: takes a whole number from 0 to 10"),
        (
            "context_window: 0",
            "8:21: routes[0].steps[0].context_window: takes a whole number from 1 to 1000000000",
        ),
    ] {
        assert_eq!(errors_of_step(&format!("    {line}")), [expected]);
    }
}

#[test]
fn a_provider_has_what_its_type_needs() {
    for (lines, expected) in [
        (
            "  type: groq",
            "2:3: providers[0].api_key: is missing; a provider of type groq needs one",
        ),
        (
            "  api_key: k\n  type: azure-openai",
            "2:3: providers[0].base_url: is missing; nobody else knows where your azure-openai is",
        ),
        (
            "  base_url: https://a\n  type: azure-openai",
            "2:3: providers[0].api_key: is missing; a provider of type azure-openai needs one",
        ),
        (
            "  api_key: k\n  api_keys: [l]",
            "4:13: providers[0].api_keys: stands beside api_key; keep one of the two",
        ),
        ("  api_keys: []", "3:13: providers[0].api_keys: is empty; give a key, or remove the line"),
        (
            "  type: ollama\n  script: {answer: a}",
            "4:11: providers[0].script: is for `type: mock` only; remove it",
        ),
        (
            "  api_key: k\n  base_url: https://u:p@host?q",
            "4:13: providers[0].base_url: holds credentials; a key belongs in api_key",
        ),
    ] {
        assert_eq!(errors_of_provider(lines), [expected], "{lines}");
    }
}

#[test]
fn a_server_of_ones_own_may_be_open() {
    config("providers:\n- {name: mine, base_url: \"http://localhost:9999\"}");
    config("providers:\n- {name: mine, type: groq, headers: {authorization: Basic abc}}");
}

#[test]
fn a_presets_key_does_not_go_to_another_company() {
    assert_eq!(
        errors("providers:\n- {name: groq, api_key: k}"),
        ["2:3: providers[0].type: is missing, so groq and its key would go to openai; \
          add `type: groq`, or `type: openai` if that is meant"]
    );
}

#[test]
fn headers_are_headers() {
    assert_eq!(
        errors_of_provider(
            "  type: ollama\n  headers:\n    Host: a\n    a b: c\n    X-A: 1\n    x-b: b\n    X-B: c"
        ),
        [
            "5:5: providers[0].headers.Host: is a header that the gateway itself sets; remove it",
            "6:5: providers[0].headers.a b: is not a header's name",
            "7:10: providers[0].headers.X-A: is a number or truth value where a text belongs; put it in quotes",
            "9:5: providers[0].headers.X-B: is the same header as x-b; remove one",
        ]
    );
}

#[test]
fn variables_take_the_type_of_their_field() {
    let it = config(
        "port: ${PORT}\ndefault_timeout: \"${SLOW}\"\nproviders:\n- {name: p, type: ollama}\n\
         prices:\n- {provider: p, model: 'm${PORT}', input: \"${CHEAP}\", output: 1}",
    );
    assert_eq!(it.port, 9000);
    assert_eq!(it.default_timeout, Duration::from_secs(120));
    assert_eq!(it.prices[0].input, 250_000);
    assert_eq!(it.prices[0].model, "m9000");
}

#[test]
fn a_variable_is_never_yaml() {
    let it =
        config("providers:\n- {name: p, type: ollama}\nmodels:\n- name: ${LIST}\n  provider: p");
    assert_eq!(it.models[0].name, "[a, b]");
    assert_eq!(
        errors_after_provider("routes: ${LIST}"),
        ["3:9: routes: takes a list: one entry per line, each behind `- `"]
    );
}

#[test]
fn all_missing_variables_are_listed() {
    assert_eq!(
        errors("api_key: ${ONE}\nproviders:\n- name: p\n  api_keys: [\"${TWO}${EMPTY}\"]"),
        [
            "1:10: api_key: the variable ONE is not set",
            "4:14: providers[0].api_keys[0]: the variable TWO is not set",
            "4:14: providers[0].api_keys[0]: the variable EMPTY is empty",
        ]
    );
}

#[test]
fn a_whole_variable_is_remembered() {
    let it = config("api_key: ${A_KEY}\nproviders:\n- {name: p, api_key: \"x${A_KEY}\"}");
    let Some(SecretSource::Value { variable, .. }) = it.api_key else { panic!("a value") };
    assert_eq!(variable.as_deref(), Some("A_KEY"));
    let SecretSource::Value { variable, .. } = &it.providers[0].keys[0] else { panic!("a value") };
    assert_eq!(*variable, None);
}

#[test]
fn a_reference_may_come_from_a_variable_and_name_one() {
    let it = config("api_key: ${REFERENCE}\nproviders:\n- {name: p, api_key: 'ssm:/a#B'}");
    let parameter = |source: &SecretSource| match source {
        SecretSource::Parameter { name, variable } => (name.clone(), variable.clone().unwrap()),
        SecretSource::Value { .. } => panic!("a parameter"),
    };
    assert_eq!(parameter(&it.api_key.unwrap()), ("/team/key".into(), "REFERENCE".into()));
    assert_eq!(parameter(&it.providers[0].keys[0]), ("/a".into(), "B".into()));
    assert_eq!(
        errors("api_key: ssm:key\nproviders:\n- {name: p, api_key: 'ssm:/a#1'}"),
        [
            "1:10: api_key: after `ssm:` comes a parameter's full name, such as ssm:/team/key",
            "3:22: providers[0].api_key: after `#` comes the name of a variable",
        ]
    );
}

#[test]
fn no_error_holds_a_secret() {
    let text = "api_key: ${CANARY}
default_model: ${CANARY}
default_provider: ${CANARY}
port: ${CANARY}
idle_timeout: ${CANARY}
providers:
- name: ${CANARY}
  type: ${CANARY}
  base_url: https://canary-value@host
  api_keys: [' canary-value', {canary: canary-value}]
  headers: {X-A: \"canary-value\\n\"}
  timeout: ${CANARY}
- canary-value
routes: canary-value
prices:
- {provider: \"${CANARY}\", model: m, input: \"${CANARY}\", output: canary-value}
";
    let all = errors(text).join("\n");
    assert!(all.lines().count() >= 14, "{all}");
    assert!(!all.contains("canary-value"), "{all}");
}

#[test]
fn a_document_reads_the_same_with_windows_line_ends_and_a_mark() {
    let windows = format!("\u{feff}{}", EXAMPLE.replace('\n', "\r\n"));
    assert_eq!(format!("{:?}", config(&windows)), format!("{:?}", config(EXAMPLE)));
    assert_eq!(
        errors("\u{feff}port: 0\r\nproviders:\r\n- name: p\r\n  type: olama\r\n"),
        [
            "1:7: port: takes a whole number from 1 to 65535",
            "4:9: providers[0].type: \"olama\" is no type; did you mean ollama? \
             (known: openai, azure-openai, groq, ollama, bedrock, mock)",
        ]
    );
}

#[test]
fn json_is_yaml() {
    let it = config(r#"{"providers": [{"name": "p", "type": "ollama"}], "port": 80}"#);
    assert_eq!((it.port, &*it.providers[0].name), (80, "p"));
}

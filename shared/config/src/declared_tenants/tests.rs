use tenants::KeyHash;

use crate::{
    Auth, Config, KeySource, read,
    read::tests::{KINDS, config},
    rows::{from_rows, to_rows},
    to_yaml,
};

const PROVIDER: &str = "providers: [{name: p, type: ollama}]\nmodels: [{name: m, provider: p}]\n";

const EVERY_FIELD: &str = "tenants:
- name: search
  api_key: ${SEARCH_KEY}
  enabled: false
  rate_limit_rpm: 60
  requests_per_hour: 0
  requests_per_day: 5
  allowed_models: [m, 'gpt-*']
  default_model: m
- name: mail
  api_keys: [one-long-enough-key, 'sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad', 'ssm:/team/key']
";

fn declared(text: &str) -> Config {
    config(&format!("{PROVIDER}{text}"))
}

fn errors(text: &str) -> Vec<String> {
    let read = read::read(&format!("{PROVIDER}{text}"), &|_| None, &KINDS);
    read.unwrap_err().iter().map(ToString::to_string).collect()
}

#[test]
fn every_field_of_a_tenant_is_read() {
    let config = declared(EVERY_FIELD);
    let settings = &config.tenants[0].settings;
    assert_eq!((&*settings.name, settings.enabled), ("search", false));
    let limits = settings.limits();
    assert_eq!(limits.requests_per_minute, Some(60));
    assert_eq!(limits.requests_per_hour, Some(0));
    assert_eq!(limits.requests_per_day, Some(5));
    assert_eq!(settings.models.allowed.as_deref(), Some(&["m".to_owned(), "gpt-*".into()][..]));
    assert_eq!(settings.models.default.as_deref(), Some("m"));

    let keys = &config.tenants[1].keys;
    assert_eq!(keys.len(), 3);
    assert!(matches!(&keys[1].source, KeySource::Hash(hash) if *hash == KeyHash::of("abc")));
    assert_eq!(config.secrets().count(), 3);
}

#[test]
fn tenants_survive_rows_and_export() {
    let text = format!("auth: none\n{EVERY_FIELD}");
    let config = declared(&text);
    assert_eq!(config.auth, Auth::None);
    let (rows, parameters) = to_rows(&config, "/p");
    let names: Vec<&str> = parameters.iter().map(|(name, _)| &**name).collect();
    assert_eq!(names, ["/p/tenants/search", "/p/tenants/mail/1"]);
    assert!(rows.iter().any(|row| row.sk == "tenant/search"));
    let again = from_rows(&rows, &KINDS).unwrap();
    assert_eq!(again.auth, Auth::None);
    assert_eq!(again.tenants[0].settings, config.tenants[0].settings);
    assert_eq!(to_rows(&again, "/elsewhere").0, rows);

    let yaml = to_yaml(&config);
    assert_eq!(to_yaml(&again), yaml);
    assert!(!yaml.contains("one-long-enough-key"), "{yaml}");
    for line in [
        "auth: none",
        "  - name: search",
        "    api_key: ${SEARCH_KEY}",
        "    rate_limit_rpm: 60",
        "      - ssm:/team/key",
    ] {
        assert!(yaml.lines().any(|it| it == line), "{line}: {yaml}");
    }
    assert_eq!(self::config(&yaml).tenants[0].settings, config.tenants[0].settings);
}

#[test]
fn every_error_of_a_tenant_has_its_place() {
    let text = "api_key: first-key
tenants:
- {name: default, api_key: k}
- {name: a, api_key: k, rate_limit_rpm: '5'}
- {name: a, api_key: first-key, default_model: n}
- {name: b}
- {name: c, api_key: x, api_keys: [y]}
- {name: d, api_key: 'sha256:12', rate_limit_rpn: 5}
- {name: e, api_key: z, cache: {ttl: soon}, enabled: maybe}
";
    assert_eq!(
        errors(text),
        [
            "5:10: tenants[0].name: is the tenant of the gateway's own api_key; choose another name",
            "6:22: tenants[1].api_key: is taken by tenants[0].api_key on line 5",
            "6:41: tenants[1].rate_limit_rpm: must be a whole number of at least 0",
            "7:10: tenants[2].name: is taken by tenants[1] on line 6",
            "7:22: tenants[2].api_key: is taken by api_key on line 3",
            "7:48: tenants[2].default_model: names no route and no model: \"n\"; did you mean m?",
            "8:3: tenants[3].api_key: is missing; a tenant has at least one key",
            "9:35: tenants[4].api_keys: stands beside api_key; keep one of the two",
            "10:22: tenants[5].api_key: after `sha256:` come the 64 hexadecimal digits of a hash",
            "10:35: tenants[5].rate_limit_rpn: is no key of a tenant; did you mean rate_limit_rpm?",
            "11:38: tenants[6].cache.ttl: must be a duration in whole seconds such as 90s, 5m or 1h30m",
            "11:54: tenants[6].enabled: must be true or false",
        ]
    );
}

#[test]
fn a_short_key_is_warned_of() {
    let config = declared(
        "api_key: short\ntenants: [{name: a, api_key: tiny}, {name: b, api_key: long-enough-for-all-of-us}]",
    );
    let warnings = config.warnings();
    assert_eq!(warnings.len(), 2);
    assert!(warnings[0].starts_with("api_key has 5 characters and can be guessed"));
    assert!(warnings[1].starts_with("the key of tenant a has 4 characters"));
    assert!(!warnings.concat().contains("short") && !warnings.concat().contains("tiny"));
}

//! A tenant's settings as JSON, with the field names of the admin API.

use serde_json::{Map, Value, json};

use crate::{
    fields::{FieldError, Fields, dollars_as_json, seconds_as_json},
    key::is_tenant_id,
    limits::Unpriced,
    tenant::{
        BudgetSettings, CacheSettings, CountLimits, DEFAULT_KEY_PREFIX, ModelSettings,
        ProviderSettings, RequestSettings, SystemPromptMode, Tenant, TenantSettings, ToolMode,
    },
    window::{BudgetPeriod, rfc3339},
};

/// Fields whose values are never shown, logged or kept in the audit.
pub(crate) const SECRET_FIELDS: [&str; 1] = ["provider_api_key"];

/// How many bytes a tenant's name may have.
const MAX_NAME_BYTES: usize = 128;
/// How many bytes a key's prefix may have.
const MAX_PREFIX_BYTES: usize = 16;

const PERIODS: [(&str, BudgetPeriod); 2] =
    [("month", BudgetPeriod::Month), ("day", BudgetPeriod::Day)];
const UNPRICED: [(&str, Unpriced); 2] = [("refuse", Unpriced::Refuse), ("allow", Unpriced::Allow)];
const PROMPT_MODES: [(&str, SystemPromptMode); 2] =
    [("prepend", SystemPromptMode::Prepend), ("locked", SystemPromptMode::Locked)];
const TOOL_MODES: [(&str, ToolMode); 1] = [("pass-through", ToolMode::PassThrough)];

impl TenantSettings {
    /// Reads settings; every problem is found at once and named with its field.
    pub fn from_json(object: Map<String, Value>) -> Result<Self, Vec<FieldError>> {
        let mut fields = Fields::new(object);
        let settings = Self {
            name: read_name(&mut fields),
            enabled: fields.flag("enabled").unwrap_or(true),
            key_prefix: read_prefix(&mut fields),
            limits: read_limits(&mut fields),
            budget: BudgetSettings {
                amount: fields.dollars("budget_usd"),
                period: fields.choice("budget_period", &PERIODS).unwrap_or_default(),
                alert_levels: fields.percentages("alert_levels"),
                unpriced: fields.choice("unpriced", &UNPRICED).unwrap_or_default(),
            },
            models: ModelSettings {
                allowed: fields.texts("allowed_models"),
                default: fields.text("default_model"),
                fallback: fields.texts("fallback_models").unwrap_or_default(),
            },
            requests: RequestSettings {
                max_input_tokens: fields.count("max_input_tokens"),
                max_output_tokens: fields.count("max_output_tokens"),
                system_prompt: fields.text("system_prompt"),
                system_prompt_mode: fields
                    .choice("system_prompt_mode", &PROMPT_MODES)
                    .unwrap_or_default(),
                tool_mode: fields.choice("tool_mode", &TOOL_MODES).unwrap_or_default(),
            },
            provider: read_provider(&mut fields),
            cache: read_cache(&mut fields),
            tags: fields.labels("tags").unwrap_or_default(),
        };
        // Last: fields that nobody has read by now are unknown.
        fields.finish(settings)
    }

    /// The settings with every secret, as they are stored. What is absent is left out.
    pub(crate) fn to_stored_json(&self) -> Map<String, Value> {
        let CountLimits {
            requests_per_minute,
            requests_per_hour,
            requests_per_day,
            daily_input_tokens,
            daily_output_tokens,
            max_concurrent,
        } = self.limits;
        let requests = &self.requests;
        let fields = [
            ("name", json!(self.name)),
            ("enabled", json!(self.enabled)),
            ("key_prefix", json!(self.key_prefix)),
            ("rate_limit_rpm", json!(requests_per_minute)),
            ("requests_per_hour", json!(requests_per_hour)),
            ("requests_per_day", json!(requests_per_day)),
            ("daily_input_tokens", json!(daily_input_tokens)),
            ("daily_output_tokens", json!(daily_output_tokens)),
            ("max_concurrent", json!(max_concurrent)),
            ("budget_usd", self.budget.amount.map_or(Value::Null, dollars_as_json)),
            ("budget_period", name_of(&PERIODS, &self.budget.period)),
            ("alert_levels", json!(self.budget.alert_levels)),
            ("unpriced", name_of(&UNPRICED, &self.budget.unpriced)),
            ("allowed_models", json!(self.models.allowed)),
            ("default_model", json!(self.models.default)),
            ("fallback_models", json!(self.models.fallback)),
            ("max_input_tokens", json!(requests.max_input_tokens)),
            ("max_output_tokens", json!(requests.max_output_tokens)),
            ("system_prompt", json!(requests.system_prompt)),
            ("system_prompt_mode", name_of(&PROMPT_MODES, &requests.system_prompt_mode)),
            ("tool_mode", name_of(&TOOL_MODES, &requests.tool_mode)),
            ("provider", json!(self.provider.name)),
            ("base_url", json!(self.provider.base_url)),
            ("provider_api_key", json!(self.provider.sealed_api_key)),
            ("cache", self.cache.map_or(Value::Null, cache_as_json)),
            ("tags", json!(self.tags)),
        ];
        // Absent members stay absent, so that a merge patch and the audit show what was set and
        // nothing else.
        let present = fields.into_iter().filter(|(_, value)| !value.is_null());
        present.map(|(field, value)| (field.to_owned(), value)).collect()
    }

    /// The settings without secrets, as the admin API shows them.
    pub fn to_json(&self) -> Map<String, Value> {
        let mut object = self.to_stored_json();
        object.retain(|field, _| !SECRET_FIELDS.contains(&field.as_str()));
        object
    }
}

impl Tenant {
    /// The tenant without secrets, as the admin API shows it.
    pub fn to_json(&self) -> Map<String, Value> {
        let mut object = self.settings.to_json();
        object.insert("id".to_owned(), json!(self.id));
        object.insert("created_at".to_owned(), json!(rfc3339(self.created)));
        object.insert("updated_at".to_owned(), json!(rfc3339(self.updated)));
        object
    }
}

/// Whether a new tenant may be called this. A path names a tenant by its name or its id; names that were
/// given before this rule stay.
pub fn check_tenant_name(name: &str) -> Result<(), &'static str> {
    let is_part_of_path = !name.contains('/') && ![".", ".."].contains(&name);
    let is_visible = !name.is_empty() && name.trim() == name && !name.contains(char::is_control);
    if MAX_NAME_BYTES < name.len() || !is_part_of_path || !is_visible {
        return Err("is not a tenant's name: at most 128 bytes without slashes and control \
                    characters, and no space at either end");
    }
    if is_tenant_id(name) {
        return Err("has the form of a tenant's id; choose another name");
    }
    Ok(())
}

fn read_name(fields: &mut Fields) -> String {
    let Some(name) = fields.text("name") else {
        fields.complain("name", "A tenant needs a name.");
        return String::new();
    };
    if MAX_NAME_BYTES < name.len() || name.chars().any(char::is_control) || name.trim() != name {
        fields.complain(
            "name",
            "A name has at most 128 bytes, no control characters, and no blanks at its ends.",
        );
    }
    name
}

fn read_prefix(fields: &mut Fields) -> String {
    let prefix = fields.text("key_prefix").unwrap_or(DEFAULT_KEY_PREFIX.to_owned());
    if !is_key_prefix(&prefix) {
        fields.complain("key_prefix", "A prefix has at most 16 letters, digits, `-` and `_`.");
    }
    prefix
}

/// Whether keys may begin with this text.
pub(crate) fn is_key_prefix(prefix: &str) -> bool {
    let is_fit = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    prefix.len() <= MAX_PREFIX_BYTES && prefix.bytes().all(is_fit)
}

fn read_limits(fields: &mut Fields) -> CountLimits {
    CountLimits {
        requests_per_minute: fields.count("rate_limit_rpm"),
        requests_per_hour: fields.count("requests_per_hour"),
        requests_per_day: fields.count("requests_per_day"),
        daily_input_tokens: fields.count("daily_input_tokens"),
        daily_output_tokens: fields.count("daily_output_tokens"),
        max_concurrent: fields.count("max_concurrent"),
    }
}

fn read_provider(fields: &mut Fields) -> ProviderSettings {
    let provider = ProviderSettings {
        name: fields.text("provider"),
        base_url: read_base_url(fields),
        sealed_api_key: fields.text("provider_api_key"),
    };
    if provider.sealed_api_key.is_some() && !provider.is_set() {
        let message = "A key needs a `provider` or a `base_url` that it is for.";
        fields.complain("provider_api_key", message);
    }
    provider
}

fn read_base_url(fields: &mut Fields) -> Option<String> {
    let url = fields.text("base_url")?;
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    if rest.is_none_or(|rest| rest.is_empty() || rest.starts_with('/')) {
        fields.complain("base_url", "This must begin with https:// or http:// and a host.");
    }
    if url.bytes().any(|byte| !byte.is_ascii_graphic() || b"@?#\"<>\\^`{|}".contains(&byte)) {
        let message = "This must have no credentials, no query, no fragment and no blanks.";
        fields.complain("base_url", message);
    }
    Some(url)
}

fn read_cache(fields: &mut Fields) -> Option<CacheSettings> {
    let Value::Object(object) = fields.value("cache")? else {
        fields.complain("cache", "This must be an object with `enabled` and `ttl`.");
        return None;
    };
    let mut inner = Fields::new(object);
    let (enabled, ttl) = (inner.flag("enabled").unwrap_or(true), inner.seconds("ttl"));
    match inner.finish(CacheSettings { enabled, ttl }) {
        Ok(cache) => Some(cache),
        Err(errors) => {
            for FieldError { field, message } in errors {
                fields.complain(&format!("cache.{field}"), message);
            }
            None
        }
    }
}

fn cache_as_json(cache: CacheSettings) -> Value {
    match cache.ttl {
        Some(ttl) => json!({ "enabled": cache.enabled, "ttl": seconds_as_json(ttl) }),
        None => json!({ "enabled": cache.enabled }),
    }
}

fn name_of<T: PartialEq>(choices: &[(&str, T)], choice: &T) -> Value {
    let found = choices.iter().find(|(_, it)| it == choice);
    found.map_or(Value::Null, |(name, _)| json!(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &Value) -> Result<TenantSettings, Vec<FieldError>> {
        TenantSettings::from_json(value.as_object().unwrap().clone())
    }

    fn every_field() -> Value {
        json!({
            "name": "my-service", "enabled": false, "key_prefix": "gw-", "rate_limit_rpm": 60,
            "requests_per_hour": 0, "requests_per_day": 5, "daily_input_tokens": 6,
            "daily_output_tokens": 7, "max_input_tokens": 8, "max_output_tokens": 9,
            "max_concurrent": 10, "budget_usd": 50.25, "budget_period": "day",
            "alert_levels": [50, 100], "allowed_models": ["gpt-*"], "default_model": "fast",
            "fallback_models": ["slow"], "system_prompt": "Be kind.",
            "system_prompt_mode": "locked", "provider": "openai", "provider_api_key": "sealed",
            "base_url": "https://example.com/v1", "tool_mode": "pass-through", "unpriced": "allow",
            "cache": { "enabled": true, "ttl": "300s" }, "tags": { "team": "search" }
        })
    }

    #[test]
    fn every_field_is_written_as_it_was_read() {
        let settings = read(&every_field()).unwrap();
        assert_eq!(Value::Object(settings.to_stored_json()), every_field());
        assert_eq!(settings.limits().budget.unwrap().amount.0, 50_250_000);
    }

    #[test]
    fn a_new_name_fits_a_path_and_is_no_id() {
        for name in ["a", "my-service", "Search team", "Müller", "t_0123", &"a".repeat(128)] {
            assert_eq!(check_tenant_name(name), Ok(()), "{name}");
        }
        for name in ["", " ", " a", "..", "a/x", "a\nb", "t_0123456789abcdef", &"a".repeat(129)] {
            assert!(check_tenant_name(name).is_err(), "{name}");
        }
        // One that was given before.
        assert!(read(&json!({ "name": "a/x" })).is_ok());
    }

    #[test]
    fn a_secret_is_not_shown() {
        let shown = read(&every_field()).unwrap().to_json();
        assert!(!shown.contains_key("provider_api_key"));
    }

    #[test]
    fn absent_is_unlimited_and_zero_is_none() {
        let limits = read(&json!({ "name": "a" })).unwrap().limits();
        assert!(limits.is_unlimited());
        let limits = read(&json!({ "name": "a", "rate_limit_rpm": 0 })).unwrap().limits();
        assert_eq!(limits.requests_per_minute, Some(0));
        assert!(read(&json!({ "name": "a", "budget_usd": null })).unwrap().limits().is_unlimited());
    }

    #[test]
    fn a_key_is_for_a_provider_and_an_address_holds_no_secret() {
        let error = read(&json!({ "name": "a", "provider_api_key": "k" })).unwrap_err();
        assert_eq!(error[0].field, "provider_api_key");
        for url in ["http://", "https:///v1", "https://u:p@h/", "https://h/?k=1", "https://a b"] {
            let error = read(&json!({ "name": "a", "base_url": url })).unwrap_err();
            assert_eq!(error[0].field, "base_url", "{url}");
        }
    }

    #[test]
    fn an_unknown_field_is_refused_with_the_known_ones() {
        let errors = read(&json!({ "name": "a", "requests_per_minute": 60 })).unwrap_err();
        assert_eq!((errors.len(), &*errors[0].field), (1, "requests_per_minute"));
        let message = &errors[0].message;
        assert!(message.starts_with("There is no such field; there are `name`, "), "{message}");
        for field in every_field().as_object().unwrap().keys() {
            assert!(message.contains(&format!("`{field}`")), "{field}: {message}");
        }
    }

    #[test]
    fn every_problem_names_its_field() {
        let errors = read(&json!({
            "name": " x", "rate_limit_rpm": -1, "budget_usd": "5", "alert_levels": [0],
            "budget_period": "year", "base_url": "ftp://x", "key_prefix": "a b",
            "cache": { "ttl": "soon" }, "colour": "red"
        }))
        .unwrap_err();
        let mut fields: Vec<&str> = errors.iter().map(|error| error.field.as_str()).collect();
        fields.sort_unstable();
        assert_eq!(
            fields,
            [
                "alert_levels",
                "base_url",
                "budget_period",
                "budget_usd",
                "cache.ttl",
                "colour",
                "key_prefix",
                "name",
                "rate_limit_rpm"
            ]
        );
    }
}

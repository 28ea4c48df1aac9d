//! Authorization: what a tenant may use, and what its settings add to a request.

use canonical::{Error, ErrorKind, Origin, Result, Task};

use crate::tenant::{RequestSettings, SystemPromptMode, Tenant, TenantSettings};

/// Whether a tenant may use a model or route, by the name that the client uses.
pub fn is_model_allowed(tenant: &Tenant, model: &str) -> bool {
    let allowed = tenant.settings.models.allowed.as_ref();
    allowed.is_none_or(|patterns| patterns.iter().any(|pattern| matches(pattern, model)))
}

/// Authorizes a model; the error is the client's 403.
pub fn authorize_model(tenant: &Tenant, model: &str) -> Result<()> {
    if is_model_allowed(tenant, model) {
        return Ok(());
    }
    let mut error =
        Error::new(ErrorKind::Forbidden, format!("This key may not use the model `{model}`."));
    error.param = Some("model".to_owned());
    Err(error.from_origin(Origin::Policy))
}

/// The models to ask for, in order: the requested one, or the tenant's default, or the gateway's,
/// and then the tenant's fallbacks. Empty where nobody names one.
pub fn requested_models<'a>(
    tenant: &'a Tenant,
    requested: Option<&'a str>,
    gateway_default: Option<&'a str>,
) -> Vec<&'a str> {
    let models = &tenant.settings.models;
    let named = requested.filter(|name| !name.is_empty());
    let first = named.or(models.default.as_deref()).or(gateway_default);
    let Some(first) = first else { return vec![] };
    let fallbacks = models.fallback.iter().map(String::as_str);
    let mut names = vec![first];
    for name in fallbacks {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// Refuses a prompt that is longer than the tenant's `max_input_tokens`, by our own estimate.
pub fn authorize_input(tenant: &Tenant, estimated_tokens: u64) -> Result<()> {
    match tenant.settings.requests.max_input_tokens {
        Some(limit) if limit < estimated_tokens => {
            let message = format!(
                "The prompt has about {estimated_tokens} tokens, and this key may send {limit} (`max_input_tokens`)."
            );
            Err(Error::new(ErrorKind::InvalidRequest, message).from_origin(Origin::Policy))
        }
        _ => Ok(()),
    }
}

/// Refuses a request for text that no limit or prompt of the tenant can be kept for.
pub fn authorize_task(tenant: &Tenant, task: Task) -> Result<()> {
    let settings = &tenant.settings.requests;
    let message = match task {
        // Sent on, servers would read zero as no limit at all.
        task if task.writes_text() && settings.max_output_tokens == Some(0) => {
            "This key may get no output tokens (`max_output_tokens`)."
        }
        Task::Complete | Task::Infill
            if matches!(system_prompt(tenant), SystemPrompt::Replace(_)) =>
        {
            "This key has a system prompt that is locked, and /v1/completions has no place for one; \
             use /v1/chat/completions."
        }
        _ => return Ok(()),
    };
    Err(Error::new(ErrorKind::Forbidden, message).from_origin(Origin::Policy))
}

/// Refuses a batch of a tenant whose settings bound what a request may use or say: nobody here reads
/// the requests of a batch, nor learns what they used.
pub fn authorize_batch(tenant: &Tenant) -> Result<()> {
    let TenantSettings { limits, budget, requests, .. } = &tenant.settings;
    let bounds = [
        ("budget_usd", budget.amount.is_some()),
        ("daily_input_tokens", limits.daily_input_tokens.is_some()),
        ("daily_output_tokens", limits.daily_output_tokens.is_some()),
        ("max_input_tokens", requests.max_input_tokens.is_some()),
        ("max_output_tokens", requests.max_output_tokens.is_some()),
        ("system_prompt", requests.system_prompt.is_some()),
    ];
    let Some((field, _)) = bounds.into_iter().find(|(_, is_set)| *is_set) else { return Ok(()) };
    let message = format!("This key may not make batches: they would pass by its `{field}`.");
    Err(Error::new(ErrorKind::Forbidden, message).from_origin(Origin::Policy))
}

/// The most output tokens to ask the provider for: the least of what the client asked for and the
/// tenant's `max_output_tokens`. Absent where neither says.
pub fn effective_max_output(tenant: &Tenant, requested: Option<u64>) -> Option<u64> {
    let limit = tenant.settings.requests.max_output_tokens;
    requested.into_iter().chain(limit).min()
}

/// What becomes of a request's system prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SystemPrompt<'a> {
    /// The client's own stays as it is.
    Unchanged,
    /// This stands before the client's own.
    Prepend(&'a str),
    /// This replaces the client's own.
    Replace(&'a str),
}

/// What becomes of a request's system prompt under a tenant's settings.
pub fn system_prompt(tenant: &Tenant) -> SystemPrompt<'_> {
    let RequestSettings { system_prompt, system_prompt_mode, .. } = &tenant.settings.requests;
    match (system_prompt.as_deref(), system_prompt_mode) {
        (None, _) => SystemPrompt::Unchanged,
        (Some(prompt), SystemPromptMode::Prepend) => SystemPrompt::Prepend(prompt),
        (Some(prompt), SystemPromptMode::Locked) => SystemPrompt::Replace(prompt),
    }
}

/// Whether a name matches a pattern, in which `*` stands for any text. Case matters.
fn matches(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| name.strip_prefix(first)) else {
        return false;
    };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }

    // Each part is taken where it first occurs, but for the last, which ends the name.
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use canonical::MicroDollars;

    use super::*;

    fn tenant(change: impl FnOnce(&mut TenantSettings)) -> Tenant {
        let mut settings = TenantSettings::named("t");
        change(&mut settings);
        Tenant::declared(settings)
    }

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, name, expected) in [
            ("gpt-4o", "gpt-4o", true),
            ("gpt-4o", "gpt-4o-mini", false),
            ("gpt-*", "gpt-4o", true),
            ("*", "anything", true),
            ("*/gpt-*", "openai/gpt-4o", true),
            ("*-mini", "gpt-4o-mini", true),
            ("*-mini", "gpt-4o-mini-x", false),
            ("a*b*c", "a1b2b3c", true),
            ("a*b*c", "a1c2b", false),
            ("ab*ba", "aba", false),
            ("GPT-*", "gpt-4o", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn a_tenant_without_a_list_may_use_every_model_and_with_an_empty_one_none() {
        assert!(is_model_allowed(&tenant(|_| {}), "x"));
        let none = tenant(|settings| settings.models.allowed = Some(vec![]));
        assert_eq!(authorize_model(&none, "x").unwrap_err().kind, ErrorKind::Forbidden);
    }

    #[test]
    fn no_text_is_written_where_no_output_is_allowed_or_a_locked_prompt_has_no_place() {
        let silent = tenant(|settings| settings.requests.max_output_tokens = Some(0));
        let locked = tenant(|settings| {
            settings.requests.system_prompt = Some("Be kind.".to_owned());
            settings.requests.system_prompt_mode = SystemPromptMode::Locked;
        });
        let first = tenant(|settings| settings.requests.system_prompt = Some("x".to_owned()));
        for (tenant, task, allowed) in [
            (&silent, Task::Chat, false),
            (&silent, Task::Complete, false),
            (&silent, Task::Embed, true),
            (&silent, Task::CountTokens, true),
            (&locked, Task::Chat, true),
            (&locked, Task::Complete, false),
            (&locked, Task::Infill, false),
            (&first, Task::Complete, true),
        ] {
            assert_eq!(authorize_task(tenant, task).is_ok(), allowed, "{task:?}");
        }
    }

    #[test]
    fn the_clients_model_comes_before_the_tenants_and_the_gateways() {
        let tenant = tenant(|settings| {
            settings.models.default = Some("fast".to_owned());
            settings.models.fallback = vec!["slow".to_owned(), "fast".to_owned()];
        });
        assert_eq!(requested_models(&tenant, Some("own"), Some("any")), ["own", "slow", "fast"]);
        assert_eq!(requested_models(&tenant, None, Some("any")), ["fast", "slow"]);
        assert_eq!(requested_models(&Tenant::unlimited(), None, Some("any")), ["any"]);
        assert!(requested_models(&Tenant::unlimited(), None, None).is_empty());
    }

    #[test]
    fn tokens_of_a_request_are_bounded() {
        let tenant = tenant(|settings| {
            settings.requests.max_input_tokens = Some(100);
            settings.requests.max_output_tokens = Some(50);
        });
        assert!(authorize_input(&tenant, 100).is_ok());
        assert_eq!(authorize_input(&tenant, 101).unwrap_err().kind, ErrorKind::InvalidRequest);
        assert_eq!(effective_max_output(&tenant, Some(80)), Some(50));
        assert_eq!(effective_max_output(&tenant, Some(20)), Some(20));
        assert_eq!(effective_max_output(&tenant, None), Some(50));
        assert_eq!(effective_max_output(&Tenant::unlimited(), None), None);
    }

    #[test]
    fn a_tenant_whose_use_is_bounded_makes_no_batches() {
        type Change = fn(&mut TenantSettings);
        let bounds: [(&str, Change); 6] = [
            ("budget_usd", |it| it.budget.amount = Some(MicroDollars(0))),
            ("daily_input_tokens", |it| it.limits.daily_input_tokens = Some(1)),
            ("daily_output_tokens", |it| it.limits.daily_output_tokens = Some(1)),
            ("max_input_tokens", |it| it.requests.max_input_tokens = Some(1)),
            ("max_output_tokens", |it| it.requests.max_output_tokens = Some(1)),
            ("system_prompt", |it| it.requests.system_prompt = Some("Be kind.".to_owned())),
        ];
        for (field, change) in bounds {
            let error = authorize_batch(&tenant(change)).unwrap_err();
            assert_eq!(error.kind, ErrorKind::Forbidden);
            assert!(error.message().contains(field), "{}", error.message());
        }
        let requests_only = tenant(|it| it.limits.requests_per_day = Some(1));
        assert!(authorize_batch(&requests_only).is_ok());
    }

    #[test]
    fn a_locked_system_prompt_replaces_the_clients() {
        let with = |mode| {
            tenant(|settings| {
                settings.requests.system_prompt = Some("Be kind.".to_owned());
                settings.requests.system_prompt_mode = mode;
            })
        };
        assert_eq!(
            system_prompt(&with(SystemPromptMode::Prepend)),
            SystemPrompt::Prepend("Be kind.")
        );
        assert_eq!(
            system_prompt(&with(SystemPromptMode::Locked)),
            SystemPrompt::Replace("Be kind.")
        );
        assert_eq!(system_prompt(&Tenant::unlimited()), SystemPrompt::Unchanged);
    }
}

//! What is allowed in a configuration and hardly meant.

use super::{Config, duration::write_duration};

/// How the paths of endpoints end, which the gateway adds to an address itself.
const ENDPOINTS: [&str; 7] = [
    "/chat/completions",
    "/completions",
    "/responses",
    "/embeddings",
    "/messages",
    ":generateContent",
    ":streamGenerateContent",
];

/// The addresses of providers that end with an endpoint.
pub(super) fn of_addresses(config: &Config) -> Vec<String> {
    let addresses =
        config.providers.iter().filter_map(|it| Some((&it.name, it.base_url.as_ref()?)));
    let endpoints = addresses.filter_map(|(name, address)| {
        let address = address.trim_end_matches('/');
        let endpoint = ENDPOINTS.iter().find(|endpoint| address.ends_with(*endpoint))?;
        Some(format!(
            "base_url of provider {name} ends with {endpoint}, which the gateway adds itself; leave it out"
        ))
    });
    endpoints.collect()
}

/// The steps whose time ends before that for their first token.
pub(super) fn of_timeouts(config: &Config) -> Vec<String> {
    let mut warnings = vec![];
    for route in &config.routes {
        for (index, step) in route.steps.iter().enumerate() {
            let provider = config.providers.iter().find(|it| it.name == step.provider);
            let of_provider = provider.and_then(|it| it.timeout);
            let timeout = step.timeout.or(of_provider).unwrap_or(config.default_timeout);
            let Some(first_token) = step.first_token_timeout.filter(|it| timeout < *it) else {
                continue;
            };
            warnings.push(format!(
                "step {} of route {} has a first_token_timeout of {} and a timeout of {}, which ends it \
                 before; make the first the shorter one",
                index + 1,
                route.name,
                write_duration(first_token),
                write_duration(timeout)
            ));
        }
    }
    warnings
}

#[cfg(test)]
mod tests {
    use crate::read::tests::config;

    #[test]
    fn what_is_hardly_meant_is_named() {
        let text = "api_key: ${GATEWAY_API_KEY}\nproviders:\n- {name: a, base_url: \
                    'http://a/v1/chat/completions/'}\n- {name: b, base_url: 'http://b/v1', timeout: \
                    10s}\nroutes:\n- name: r\n  steps:\n  - {provider: b, model: m, \
                    first_token_timeout: 20s}\n  - {provider: a, model: m, first_token_timeout: 20s}\n";
        let warnings = config(text).warnings().join("\n");
        assert!(
            warnings.contains("base_url of provider a ends with /chat/completions"),
            "{warnings}"
        );
        assert!(
            warnings.contains("step 1 of route r has a first_token_timeout of 20s"),
            "{warnings}"
        );
        assert!(!warnings.contains("provider b") && !warnings.contains("step 2"), "{warnings}");
    }
}

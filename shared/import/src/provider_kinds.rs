//! What other gateways call a provider, and the type that it has here.

/// Prefixes of `LiteLLM`'s model names, names of Portkey and Helicone, and our types.
const KINDS: [(&str, &str); 38] = [
    ("anthropic", "anthropic"),
    ("azure", "azure-openai"),
    ("azure-openai", "azure-openai"),
    ("azure_ai", "azure-openai"),
    ("bedrock", "bedrock"),
    ("cerebras", "cerebras"),
    ("cohere", "cohere"),
    ("cohere_chat", "cohere"),
    ("custom_openai", "openai"),
    ("deepseek", "deepseek"),
    ("fireworks", "fireworks"),
    ("fireworks-ai", "fireworks"),
    ("fireworks_ai", "fireworks"),
    ("gemini", "gemini"),
    ("github", "github"),
    ("google", "gemini"),
    ("google-gemini", "gemini"),
    ("groq", "groq"),
    ("hosted_vllm", "vllm"),
    ("lm_studio", "lmstudio"),
    ("lmstudio", "lmstudio"),
    ("mistral", "mistral"),
    ("mistral-ai", "mistral"),
    ("nvidia", "nvidia"),
    ("nvidia_nim", "nvidia"),
    ("ollama", "ollama"),
    ("ollama_chat", "ollama"),
    ("openai", "openai"),
    ("openai_compatible", "openai"),
    ("openrouter", "openrouter"),
    ("perplexity", "perplexity"),
    ("perplexity-ai", "perplexity"),
    ("text-completion-openai", "openai"),
    ("together", "together"),
    ("together-ai", "together"),
    ("together_ai", "together"),
    ("vllm", "vllm"),
    ("xai", "xai"),
];

/// How the names of models begin that only one company makes.
const MAKERS: [(&str, &str); 12] = [
    ("claude", "anthropic"),
    ("command", "cohere"),
    ("deepseek", "deepseek"),
    ("gemini", "gemini"),
    ("gpt-", "openai"),
    ("grok", "xai"),
    ("mistral", "mistral"),
    ("o1", "openai"),
    ("o3", "openai"),
    ("o4", "openai"),
    ("sonar", "perplexity"),
    ("text-embedding", "openai"),
];

/// Ends of hosts, and the type that lives there.
const HOSTS: [(&str, &str); 14] = [
    ("anthropic.com", "anthropic"),
    ("api.cerebras.ai", "cerebras"),
    ("api.deepseek.com", "deepseek"),
    ("api.fireworks.ai", "fireworks"),
    ("api.groq.com", "groq"),
    ("api.mistral.ai", "mistral"),
    ("api.openai.com", "openai"),
    ("api.perplexity.ai", "perplexity"),
    ("api.together.ai", "together"),
    ("api.together.xyz", "together"),
    ("api.x.ai", "xai"),
    ("generativelanguage.googleapis.com", "gemini"),
    ("integrate.api.nvidia.com", "nvidia"),
    ("openrouter.ai", "openrouter"),
];

/// The type of a provider by the name that another gateway has for it.
pub(crate) fn kind_of(name: &str) -> Option<&'static str> {
    let name = name.to_ascii_lowercase();
    KINDS.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind)
}

/// The type of the company that makes a model of this name.
pub(crate) fn maker_of(model: &str) -> Option<&'static str> {
    MAKERS.iter().find(|(start, _)| model.starts_with(start)).map(|(_, kind)| *kind)
}

/// The type of the company at an address.
pub(crate) fn kind_at(url: &str) -> Option<&'static str> {
    let host = host_of(url)?;
    let is_at = |end: &str| host.strip_suffix(end).is_some_and(ends_at_a_dot);
    HOSTS.iter().find(|(end, _)| is_at(end)).map(|(_, kind)| *kind)
}

/// Whether an address is the one that its type has without a `base_url`, and not another host of the
/// same company, such as one that keeps data in one region.
pub(crate) fn is_default_host(url: &str) -> bool {
    let host = host_of(url).unwrap_or_default();
    host == "api.anthropic.com" || HOSTS.iter().any(|(end, _)| host == *end)
}

fn host_of(url: &str) -> Option<String> {
    let authority = url.split("://").nth(1)?.split(['/', '?', '#']).next()?;
    // What stands before an `@` is a name and a password.
    let host = authority.rsplit('@').next()?.split(':').next()?;
    Some(host.to_ascii_lowercase())
}

/// Whether what stands before a domain makes it a name of that domain.
fn ends_at_a_dot(before: &str) -> bool {
    before.is_empty() || before.ends_with('.')
}

/// The variable that usually holds the key of a type.
pub(crate) fn key_variable(kind: &str) -> Option<String> {
    match kind {
        "ollama" | "lmstudio" | "vllm" | "bedrock" | "mock" => None,
        "azure-openai" => Some("AZURE_OPENAI_API_KEY".to_owned()),
        kind => Some(format!("{}_API_KEY", kind.replace('-', "_").to_ascii_uppercase())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_companys_only_behind_a_dot() {
        assert_eq!(kind_at("https://api.anthropic.com/v1/messages"), Some("anthropic"));
        assert_eq!(kind_at("https://eu.api.openai.com/v1"), Some("openai"));
        assert_eq!(kind_at("https://API.openai.com:443/v1"), Some("openai"));
        for other in [
            "https://notanthropic.com/v1/messages",
            "https://myopenrouter.ai/api",
            "https://api.openai.com@elsewhere.test/v1",
            "https://elsewhere.test/?at=://api.openai.com",
        ] {
            assert_eq!(kind_at(other), None, "{other}");
        }
    }

    #[test]
    fn a_host_for_one_region_is_not_the_default_one() {
        assert!(is_default_host("https://api.openai.com/v1/chat/completions"));
        assert!(is_default_host("https://api.anthropic.com/v1/messages"));
        assert!(!is_default_host("https://eu.api.openai.com/v1/chat/completions"));
    }
}

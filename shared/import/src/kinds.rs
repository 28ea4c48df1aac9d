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
    let host = url.split("://").nth(1)?.split(['/', ':']).next()?;
    HOSTS.iter().find(|(end, _)| host.ends_with(end)).map(|(_, kind)| *kind)
}

/// The variable that usually holds the key of a type.
pub(crate) fn key_variable(kind: &str) -> Option<String> {
    match kind {
        "ollama" | "lmstudio" | "vllm" | "bedrock" | "mock" => None,
        "azure-openai" => Some("AZURE_OPENAI_API_KEY".to_owned()),
        kind => Some(format!("{}_API_KEY", kind.replace('-', "_").to_ascii_uppercase())),
    }
}

//! Names of OpenTelemetry's conventions for generative AI, in one table.
//!
//! Source: the semantic conventions 1.41, `docs/registry/attributes/gen-ai.md`, and the head of
//! `open-telemetry/semantic-conventions-genai`. They are still in development, so that names which
//! change stand here once for each.

/// Which state of the conventions names follow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Conventions {
    /// Version 1.41, which dashboards use.
    #[default]
    V1_41,
    /// The head of the repository that the conventions moved to.
    Latest,
}

/// `gen_ai.operation.name` of calls in a format.
pub fn operation(format: &str) -> &'static str {
    match format {
        "openai_embeddings" => "embeddings",
        "gemini" | "gemini_count_tokens" => "generate_content",
        _ => "chat",
    }
}

/// `gen_ai.provider.name` of a type of provider in the configuration.
pub fn provider(kind: &str) -> &str {
    // Names on the right are the conventions' well-known values; names that they do not have stay
    // as they are.
    match kind {
        // A provider may have been removed from the configuration between the call and the export.
        "" => "_OTHER",
        "bedrock" | "bedrock-anthropic" | "bedrock-openai" => "aws.bedrock",
        "gemini" => "gcp.gemini",
        "azure-openai" => "azure.ai.openai",
        "mistral" => "mistral_ai",
        "xai" => "x_ai",
        "openai-responses" => "openai",
        other => other,
    }
}

impl Conventions {
    /// The attribute of tokens that were written to a provider's cache.
    pub fn cache_write_tokens(self) -> &'static str {
        match self {
            Self::V1_41 => "gen_ai.usage.cache_creation.input_tokens",
            Self::Latest => "gen_ai.usage.cache_write.input_tokens",
        }
    }

    /// The attribute of tokens that were read from a provider's cache.
    pub fn cache_read_tokens(self) -> &'static str {
        "gen_ai.usage.cache_read.input_tokens"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn providers_have_the_names_of_the_conventions() {
        for (kind, name) in
            [("openai", "openai"), ("bedrock", "aws.bedrock"), ("xai", "x_ai"), ("groq", "groq")]
        {
            assert_eq!(provider(kind), name);
        }
        assert_eq!(
            (operation("openai_embeddings"), operation("anthropic")),
            ("embeddings", "chat")
        );
    }

    #[test]
    fn what_changed_has_a_name_in_each_state() {
        let names = [Conventions::V1_41, Conventions::Latest].map(Conventions::cache_write_tokens);
        assert_ne!(names[0], names[1]);
    }
}

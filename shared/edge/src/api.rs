//! Which API a path belongs to, and so in which shape its failures are told.

use formats::{anthropic::Anthropic, gemini::Gemini, openai_chat::OpenAiChat};

use crate::conversation::Format;

/// Whose API it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Api {
    /// OpenAI's, and everything that is nobody's.
    OpenAi,
    /// Anthropic's.
    Anthropic,
    /// Google's.
    Gemini,
}

impl Api {
    /// The API that has this path.
    pub(crate) fn of(path: &str) -> Self {
        let mut segments = path.split('/').skip(1);
        match (segments.next(), segments.next()) {
            (Some("anthropic"), _) | (Some("v1"), Some("messages")) => Self::Anthropic,
            (Some("gemini" | "v1beta"), _) => Self::Gemini,
            (Some("v1"), Some("models")) if method_of(path).is_some() => Self::Gemini,
            _ => Self::OpenAi,
        }
    }

    /// The format in which it tells failures.
    pub(crate) fn format(self) -> Format {
        match self {
            Self::OpenAi => &OpenAiChat,
            Self::Anthropic => &Anthropic,
            Self::Gemini => &Gemini,
        }
    }
}

/// What Google lets one do with a model, which stands behind its name in the path.
const METHODS: [&str; 5] = [
    "generateContent",
    "streamGenerateContent",
    "countTokens",
    "embedContent",
    "batchEmbedContents",
];

fn method_of(path: &str) -> Option<&str> {
    let (_, method) = path.rsplit_once(':')?;
    METHODS.contains(&method).then_some(method)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_belongs_to_one_api() {
        for (path, api) in [
            ("/v1/chat/completions", Api::OpenAi),
            ("/openai/v1/models", Api::OpenAi),
            ("/v1/models/llama3:8b", Api::OpenAi),
            ("/v1/models/a/b:generateContent", Api::Gemini),
            ("/v1beta/models", Api::Gemini),
            ("/gemini/v1/models/x", Api::Gemini),
            ("/v1/messages", Api::Anthropic),
            ("/v1/messages/count_tokens", Api::Anthropic),
            ("/v1/messages-x", Api::OpenAi),
            ("/anthropic/v1/models", Api::Anthropic),
            ("/", Api::OpenAi),
            ("", Api::OpenAi),
        ] {
            assert_eq!(Api::of(path), api, "{path}");
        }
    }
}

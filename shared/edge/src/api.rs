//! Which API a path belongs to, and so in which shape its failures are told.

use formats::{
    anthropic::messages::Anthropic, google::generate_content::Gemini, openai::chat::OpenAiChat,
};
use http::HeaderMap;

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
    /// The API that has this path. All three have `/v1/models`: there, what only their own clients
    /// send tells them apart.
    pub(crate) fn of(path: &str, headers: &HeaderMap) -> Self {
        let mut segments = path.split('/').skip(1);
        match (segments.next(), segments.next()) {
            (Some("anthropic"), _) | (Some("v1"), Some("messages")) => Self::Anthropic,
            (Some("gemini" | "v1beta"), _) => Self::Gemini,
            (Some("v1"), Some("models")) => match method_of(path) {
                Some(_) => Self::Gemini,
                None if headers.contains_key("anthropic-version") => Self::Anthropic,
                None if headers.contains_key("x-goog-api-client") => Self::Gemini,
                None => Self::OpenAi,
            },
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
            assert_eq!(Api::of(path, &HeaderMap::new()), api, "{path}");
        }
    }

    #[test]
    fn a_list_that_all_have_is_in_the_shape_of_the_client() {
        for (header, api) in [
            ("anthropic-version", Api::Anthropic),
            ("x-goog-api-client", Api::Gemini),
            ("x-goog-api-key", Api::OpenAi),
        ] {
            let name: http::HeaderName = header.parse().unwrap();
            let headers = HeaderMap::from_iter([(name, http::HeaderValue::from_static("1"))]);
            assert_eq!(Api::of("/v1/models", &headers), api, "{header}");
            assert_eq!(Api::of("/v1/models/x", &headers), api, "{header}");
            assert_eq!(Api::of("/openai/v1/models", &headers), Api::OpenAi);
            assert_eq!(Api::of("/v1beta/models", &headers), Api::Gemini);
        }
    }
}

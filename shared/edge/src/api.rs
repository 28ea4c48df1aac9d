//! The APIs of the three vendors and our own: which one a path belongs to, and how its errors are
//! written.

use formats::{
    Inbound, anthropic::messages::Anthropic, google::generate_content::Gemini,
    openai::chat::OpenAiChat,
};
use http::HeaderMap;

/// The API of a vendor, or the gateway's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Api {
    /// OpenAI's, and every path that is no vendor's.
    OpenAi,
    /// Anthropic's.
    Anthropic,
    /// Google's.
    Gemini,
    /// The gateway's own, for operators.
    Admin,
}

impl Api {
    /// The API that has a path. All three have `/v1/models`: there, the headers that only the
    /// vendors' own SDKs send tell the APIs apart.
    pub(crate) fn of(path: &str, headers: &HeaderMap) -> Self {
        // The version may be left out by clients, and what stands behind it decides.
        let path = path.strip_prefix("/v1/").unwrap_or(path);
        let mut segments = path.trim_start_matches('/').split('/');
        match segments.next() {
            Some("anthropic" | "messages") => Self::Anthropic,
            Some("gemini" | "v1beta") => Self::Gemini,
            Some("admin" | "diagnostics") => Self::Admin,
            Some("models") => match method_of(path) {
                Some(_) => Self::Gemini,
                None if headers.contains_key("anthropic-version") => Self::Anthropic,
                None if headers.contains_key("x-goog-api-client") => Self::Gemini,
                None => Self::OpenAi,
            },
            Some("openai") => Self::OpenAi,
            // Where Google's SDKs are sent to `/v1`, what they ask for beside models is here, too.
            _ if GOOGLE.iter().any(|name| headers.contains_key(*name)) => Self::Gemini,
            _ => Self::OpenAi,
        }
    }

    /// The format in which the API's clients read errors; the gateway's own has none, and writes
    /// problems (RFC 9457).
    pub(crate) fn format(self) -> &'static dyn Inbound {
        match self {
            Self::OpenAi | Self::Admin => &OpenAiChat,
            Self::Anthropic => &Anthropic,
            Self::Gemini => &Gemini,
        }
    }
}

/// Headers that Google's clients alone send.
const GOOGLE: [&str; 2] = ["x-goog-api-client", "x-goog-api-key"];

/// The methods of Google's models, which stand behind a model's name in the path.
const METHODS: [&str; 5] = [
    "generateContent",
    "streamGenerateContent",
    "countTokens",
    "embedContent",
    "batchEmbedContents",
];

/// The method that stands behind a model's name.
pub(crate) fn method_of(path: &str) -> Option<&str> {
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
            ("/messages", Api::Anthropic),
            ("/models/m:generateContent", Api::Gemini),
            ("/v1/messages/count_tokens", Api::Anthropic),
            ("/v1/messages-x", Api::OpenAi),
            ("/anthropic/v1/models", Api::Anthropic),
            ("/admin/tenants", Api::Admin),
            ("/v1/diagnostics/upstream-models", Api::Admin),
            ("/administration", Api::OpenAi),
            ("/", Api::OpenAi),
            ("", Api::OpenAi),
        ] {
            assert_eq!(Api::of(path, &HeaderMap::new()), api, "{path}");
        }
    }

    #[test]
    fn a_path_of_all_apis_belongs_to_the_clients_own() {
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
            let of_google = if header.starts_with("x-goog") { Api::Gemini } else { Api::OpenAi };
            assert_eq!(Api::of("/v1/files", &headers), of_google, "{header}");
            assert_eq!(Api::of("/v1/nowhere", &headers), of_google, "{header}");
            assert_eq!(Api::of("/openai/v1/files", &headers), Api::OpenAi);
        }
    }
}

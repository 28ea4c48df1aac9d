//! The table of endpoints.
//!
//! A new endpoint is a row here and its handler. Its function's folder, its block in the template and
//! its path pattern in the front door are held to this table by `tidy`.

use formats::{
    anthropic::messages::{Anthropic, AnthropicCount},
    openai::{chat::OpenAiChat, embeddings::OpenAiEmbeddings, responses::OpenAiResponses},
};
use http::Method;

use crate::{
    api::Api,
    endpoint::{Access, BodyLimit, Endpoint, ErrorFormat, Handler, TimeoutClass},
    generate_content, health, models,
};

const ANTHROPIC: ErrorFormat = ErrorFormat::Of(Api::Anthropic);
const GEMINI: ErrorFormat = ErrorFormat::Of(Api::Gemini);

/// Every endpoint of the gateway. A call to a model may last as long as its route, everything else is
/// short; who is not said to call is a client, and errors are OpenAI's where no other API is named.
pub static ENDPOINTS: &[Endpoint] = &[
    Endpoint::model("chat-completions", &OpenAiChat)
        .at(&["/v1/chat/completions", "/openai/v1/chat/completions"]),
    Endpoint::model("responses", &OpenAiResponses).at(&["/v1/responses", "/openai/v1/responses"]),
    Endpoint::model("embeddings", &OpenAiEmbeddings)
        .at(&["/v1/embeddings", "/openai/v1/embeddings"]),
    Endpoint::model("messages", &Anthropic)
        .at(&["/v1/messages", "/anthropic/v1/messages"])
        .errors(ANTHROPIC),
    Endpoint::model("messages", &AnthropicCount)
        .at(&["/v1/messages/count_tokens", "/anthropic/v1/messages/count_tokens"])
        .errors(ANTHROPIC),
    Endpoint::post("generate-content", generate_content::respond)
        .at(&[
            "/v1beta/models/{*id}",
            "/v1/models/{*id}",
            "/gemini/v1beta/models/{*id}",
            "/gemini/v1/models/{*id}",
        ])
        .errors(GEMINI)
        .timeout(TimeoutClass::Route),
    Endpoint::get("models", models::respond)
        .at(&["/v1/models", "/v1/models/{*id}"])
        .errors(ErrorFormat::OfClient),
    Endpoint::get("models", models::respond).at(&["/openai/v1/models", "/openai/v1/models/{*id}"]),
    Endpoint::get("models", models::respond)
        .at(&["/anthropic/v1/models", "/anthropic/v1/models/{*id}"])
        .errors(ANTHROPIC),
    Endpoint::get("models", models::respond)
        .at(&[
            "/v1beta/models",
            "/v1beta/models/{*id}",
            "/gemini/v1beta/models",
            "/gemini/v1beta/models/{*id}",
            "/gemini/v1/models",
            "/gemini/v1/models/{*id}",
        ])
        .errors(GEMINI),
    Endpoint::get("health", health::live).at(&["/health", "/health/live"]).access(Access::Open),
    Endpoint::new(Method::HEAD, "health", Handler::Function(health::live))
        .at(&["/"])
        .access(Access::Open)
        .body(BodyLimit::None),
    Endpoint::get("health", health::ready).at(&["/health/ready"]).access(Access::Open),
];

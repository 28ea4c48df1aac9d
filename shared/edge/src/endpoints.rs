//! The table of endpoints.
//!
//! A new endpoint is a row here and its handler. Its function's folder, its block in the template and
//! its path pattern in the front door are held to this table by `tidy`.

use formats::{
    anthropic::messages::{Anthropic, AnthropicCount},
    opaque,
    openai::{
        chat::OpenAiChat,
        completions::OpenAiCompletions,
        embeddings::OpenAiEmbeddings,
        responses::{OpenAiCompact, OpenAiResponses},
    },
};
use http::Method;

use crate::{
    api::Api,
    endpoint::{Access, BodyLimit, Endpoint, ErrorFormat, Handler, TimeoutClass},
    generate_content, health, models, stored_objects,
};

const ANTHROPIC: ErrorFormat = ErrorFormat::Of(Api::Anthropic);
const GEMINI: ErrorFormat = ErrorFormat::Of(Api::Gemini);

/// Every endpoint of the gateway. A call to a model may last as long as its route, everything else is
/// short; who is not said to call is a client, and errors are OpenAI's where no other API is named.
pub static ENDPOINTS: &[Endpoint] = &[
    Endpoint::model("chat-completions", &OpenAiChat)
        .at(&["/v1/chat/completions", "/openai/v1/chat/completions"]),
    // Editors ask for completions about as often as for chats, with the same code: one function.
    Endpoint::model("chat-completions", &OpenAiCompletions)
        .at(&["/v1/completions", "/openai/v1/completions"]),
    Endpoint::model("responses", &OpenAiResponses).at(&["/v1/responses", "/openai/v1/responses"]),
    Endpoint::model("responses", &OpenAiCompact)
        .at(&["/v1/responses/compact", "/openai/v1/responses/compact"]),
    Endpoint::model("embeddings", &OpenAiEmbeddings)
        .at(&["/v1/embeddings", "/openai/v1/embeddings"]),
    Endpoint::model("tasks", &opaque::TRANSCRIPTIONS)
        .at(&["/v1/audio/transcriptions", "/openai/v1/audio/transcriptions"]),
    Endpoint::model("tasks", &opaque::TRANSLATIONS)
        .at(&["/v1/audio/translations", "/openai/v1/audio/translations"]),
    Endpoint::model("tasks", &opaque::SPEECH).at(&["/v1/audio/speech", "/openai/v1/audio/speech"]),
    Endpoint::model("tasks", &opaque::IMAGES)
        .at(&["/v1/images/generations", "/openai/v1/images/generations"]),
    Endpoint::model("tasks", &opaque::IMAGE_EDITS)
        .at(&["/v1/images/edits", "/openai/v1/images/edits"]),
    Endpoint::model("tasks", &opaque::MODERATIONS)
        .at(&["/v1/moderations", "/openai/v1/moderations"]),
    Endpoint::model("tasks", &opaque::RERANK).at(&[
        "/v1/rerank",
        "/v2/rerank",
        "/openai/v1/rerank",
    ]),
    Endpoint::get("tasks", stored_objects::files)
        .at(&["/v1/files", "/v1/files/{*id}", "/openai/v1/files", "/openai/v1/files/{*id}"])
        .timeout(TimeoutClass::Route),
    Endpoint::post("tasks", stored_objects::files)
        .at(&["/v1/files", "/openai/v1/files"])
        .timeout(TimeoutClass::Route),
    Endpoint::new(Method::DELETE, "tasks", Handler::Function(stored_objects::files))
        .at(&["/v1/files/{*id}", "/openai/v1/files/{*id}"])
        .body(BodyLimit::None)
        .timeout(TimeoutClass::Route),
    Endpoint::get("tasks", stored_objects::batches)
        .at(&["/v1/batches", "/v1/batches/{*id}", "/openai/v1/batches", "/openai/v1/batches/{*id}"])
        .timeout(TimeoutClass::Route),
    Endpoint::post("tasks", stored_objects::batches)
        .at(&["/v1/batches", "/v1/batches/{*id}", "/openai/v1/batches", "/openai/v1/batches/{*id}"])
        .timeout(TimeoutClass::Route),
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

//! The table of endpoints.
//!
//! A new endpoint is a row here and its handler. Its function's folder, its block in the template and
//! its path pattern in the front door are held to this table by `tidy`.

use admin::{Operation, Role};
use formats::{
    ClientFormat,
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
    generate_content, health, metrics, models, openapi, pages, request_log, stored_objects, usage,
};

const ANTHROPIC: ErrorFormat = ErrorFormat::Of(Api::Anthropic);
const GEMINI: ErrorFormat = ErrorFormat::Of(Api::Gemini);

/// Every endpoint of the gateway. A call to a model may last as long as its route, everything else is
/// short. Callers are clients and errors are OpenAI's, where a row names nothing else.
pub static ENDPOINTS: &[Endpoint] = &[
    Endpoint::model("chat-completions", ClientFormat::Chat(&OpenAiChat))
        .at(&["/v1/chat/completions", "/openai/v1/chat/completions"]),
    // Editors ask for completions about as often as for chats, with the same code: one function.
    Endpoint::model("chat-completions", ClientFormat::Chat(&OpenAiCompletions))
        .at(&["/v1/completions", "/openai/v1/completions"]),
    Endpoint::model("responses", ClientFormat::Chat(&OpenAiResponses))
        .at(&["/v1/responses", "/openai/v1/responses"]),
    Endpoint::model("responses", ClientFormat::Compaction(&OpenAiCompact))
        .at(&["/v1/responses/compact", "/openai/v1/responses/compact"]),
    Endpoint::model("embeddings", ClientFormat::Embeddings(&OpenAiEmbeddings))
        .at(&["/v1/embeddings", "/openai/v1/embeddings"]),
    Endpoint::model("tasks", ClientFormat::Opaque(&opaque::TRANSCRIPTIONS))
        .at(&["/v1/audio/transcriptions", "/openai/v1/audio/transcriptions"]),
    Endpoint::model("tasks", ClientFormat::Opaque(&opaque::TRANSLATIONS))
        .at(&["/v1/audio/translations", "/openai/v1/audio/translations"]),
    Endpoint::model("tasks", ClientFormat::Opaque(&opaque::SPEECH))
        .at(&["/v1/audio/speech", "/openai/v1/audio/speech"]),
    Endpoint::model("tasks", ClientFormat::Opaque(&opaque::IMAGES))
        .at(&["/v1/images/generations", "/openai/v1/images/generations"]),
    Endpoint::model("tasks", ClientFormat::Opaque(&opaque::IMAGE_EDITS))
        .at(&["/v1/images/edits", "/openai/v1/images/edits"]),
    Endpoint::model("tasks", ClientFormat::Opaque(&opaque::MODERATIONS))
        .at(&["/v1/moderations", "/openai/v1/moderations"]),
    Endpoint::model("tasks", ClientFormat::Opaque(&opaque::RERANK)).at(&[
        "/v1/rerank",
        "/v2/rerank",
        "/openai/v1/rerank",
    ]),
    // Files and batches may take as long as their provider does: uploads and downloads are large.
    Endpoint::get("tasks", stored_objects::files)
        .at(&["/v1/files", "/v1/files/{*id}", "/openai/v1/files", "/openai/v1/files/{*id}"])
        .errors(ErrorFormat::OfClient)
        .timeout(TimeoutClass::Route),
    Endpoint::post("tasks", stored_objects::files)
        .at(&["/v1/files", "/openai/v1/files"])
        .errors(ErrorFormat::OfClient)
        .timeout(TimeoutClass::Route),
    Endpoint::new(Method::DELETE, "tasks", Handler::Function(stored_objects::files))
        .at(&["/v1/files/{*id}", "/openai/v1/files/{*id}"])
        .body(BodyLimit::None)
        .errors(ErrorFormat::OfClient)
        .timeout(TimeoutClass::Route),
    Endpoint::get("tasks", stored_objects::batches)
        .at(&["/v1/batches", "/v1/batches/{*id}", "/openai/v1/batches", "/openai/v1/batches/{*id}"])
        .errors(ErrorFormat::OfClient)
        .timeout(TimeoutClass::Route),
    Endpoint::post("tasks", stored_objects::batches)
        .at(&["/v1/batches", "/v1/batches/{*id}", "/openai/v1/batches", "/openai/v1/batches/{*id}"])
        .errors(ErrorFormat::OfClient)
        .timeout(TimeoutClass::Route),
    Endpoint::model("messages", ClientFormat::Chat(&Anthropic))
        .at(&["/v1/messages", "/anthropic/v1/messages"])
        .errors(ANTHROPIC),
    Endpoint::model("messages", ClientFormat::TokenCount(&AnthropicCount))
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
    // Asked for about as often as the models, and as cheap: one function.
    Endpoint::get("models", usage::respond).at(&["/v1/usage", "/openai/v1/usage"]),
    // OpenAI's, Anthropic's and newer Google SDKs ask for the same path; headers tell them apart.
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
    Endpoint::get("operator", metrics::respond)
        .at(&["/metrics"])
        .access(Access::Metrics)
        .errors(ErrorFormat::Of(Api::Admin)),
    Endpoint::get("operator", request_log::list)
        .at(&["/admin/requests"])
        .access(Access::Operator(Role::Viewer))
        .errors(ErrorFormat::Of(Api::Admin)),
    Endpoint::get("operator", request_log::get)
        .at(&["/admin/requests/{*id}"])
        .access(Access::Operator(Role::Viewer))
        .errors(ErrorFormat::Of(Api::Admin)),
    // Open, because load balancers and container runtimes send no key.
    Endpoint::get("health", health::live).at(&["/health", "/health/live"]).access(Access::Open),
    Endpoint::get("health", health::ready).at(&["/health/ready"]).access(Access::Open),
    Endpoint::get("operator", health::providers)
        .at(&["/health/providers"])
        .access(Access::Operator(Role::Viewer)),
    Endpoint::get("health", pages::home).at(&["/"]).access(Access::Open),
    // The page for signing in loads these too, before anybody has signed in.
    Endpoint::get("operator", pages::asset).at(&["/admin/assets/{*id}"]).access(Access::Open),
    Endpoint::get("operator", openapi::respond).at(&["/openapi.json"]).access(Access::Open),
    admin(Method::GET, &["/admin/me"], Role::Viewer, Operation::ReadOperator),
    admin(Method::POST, &["/admin/logout-everywhere"], Role::Viewer, Operation::LogOutEverywhere),
    admin(Method::GET, &["/admin/tenants"], Role::Viewer, Operation::ListTenants),
    admin(Method::POST, &["/admin/tenants"], Role::Editor, Operation::CreateTenant),
    admin(Method::GET, &["/admin/tenants/{id}"], Role::Viewer, Operation::ReadTenant),
    admin(Method::PATCH, &["/admin/tenants/{id}"], Role::Editor, Operation::UpdateTenant),
    // Earlier gateways' scripts update by PUT.
    admin(Method::PUT, &["/admin/tenants/{id}"], Role::Editor, Operation::UpdateTenant),
    admin(Method::DELETE, &["/admin/tenants/{id}"], Role::Editor, Operation::DeleteTenant),
    admin(Method::POST, &["/admin/tenants/{id}/enable"], Role::Editor, Operation::EnableTenant),
    admin(Method::POST, &["/admin/tenants/{id}/disable"], Role::Editor, Operation::DisableTenant),
    admin(Method::POST, &["/admin/tenants/{id}/rotate-key"], Role::Editor, Operation::RotateKey),
    admin(Method::GET, &["/admin/tenants/{id}/keys"], Role::Viewer, Operation::ListKeys),
    admin(Method::POST, &["/admin/tenants/{id}/keys"], Role::Editor, Operation::CreateKey),
    admin(Method::DELETE, &["/admin/tenants/{id}/keys/{key}"], Role::Editor, Operation::RevokeKey),
    admin(Method::GET, &["/admin/tenants/{id}/usage"], Role::Viewer, Operation::ReadTenantUsage),
    admin(Method::POST, &["/admin/tenants/{id}/adjust"], Role::Editor, Operation::AdjustTenant),
    admin(Method::GET, &["/admin/usage"], Role::Viewer, Operation::ReadUsage),
    admin(Method::GET, &["/admin/audit"], Role::Viewer, Operation::ReadAudit),
    admin(Method::GET, &["/admin/prices"], Role::Viewer, Operation::ListPrices),
    admin(Method::PUT, &["/admin/prices"], Role::Editor, Operation::SetPrice),
    admin(Method::GET, &["/admin/providers"], Role::Viewer, Operation::ListProviders),
    admin(Method::GET, &["/admin/routes"], Role::Viewer, Operation::ListRoutes),
    admin(Method::GET, &["/admin/config"], Role::Viewer, Operation::ReadConfiguration),
    admin(Method::PUT, &["/admin/config"], Role::Admin, Operation::ReplaceConfiguration),
    admin(
        Method::GET,
        &["/admin/config/versions"],
        Role::Viewer,
        Operation::ListConfigurationVersions,
    ),
    admin(
        Method::GET,
        &["/admin/config/versions/{id}"],
        Role::Viewer,
        Operation::ReadConfigurationVersion,
    ),
    admin(
        Method::POST,
        &["/admin/config/versions/{id}/restore"],
        Role::Admin,
        Operation::RestoreConfiguration,
    ),
    admin(Method::GET, &["/admin/export"], Role::Viewer, Operation::ExportConfiguration),
    admin(Method::GET, &["/admin/explain"], Role::Viewer, Operation::Explain),
    admin(Method::GET, &["/admin/upstream-models"], Role::Viewer, Operation::ListUpstreamModels),
    admin(
        Method::GET,
        &["/v1/diagnostics/upstream-models"],
        Role::Viewer,
        Operation::DiagnoseUpstreamModels,
    ),
    admin(Method::GET, &["/admin/operators"], Role::Admin, Operation::ListOperators),
    admin(Method::POST, &["/admin/operators"], Role::Admin, Operation::CreateOperator),
    admin(Method::PATCH, &["/admin/operators/{id}"], Role::Admin, Operation::UpdateOperator),
    admin(Method::DELETE, &["/admin/operators/{id}"], Role::Admin, Operation::DeleteOperator),
    admin(Method::GET, &["/admin/tokens"], Role::Admin, Operation::ListTokens),
    admin(Method::POST, &["/admin/tokens"], Role::Admin, Operation::CreateToken),
    admin(Method::DELETE, &["/admin/tokens/{id}"], Role::Admin, Operation::RevokeToken),
];

/// An endpoint of the admin API.
const fn admin(
    method: Method,
    paths: &'static [&'static str],
    role: Role,
    operation: Operation,
) -> Endpoint {
    Endpoint::new(method, "operator", Handler::Admin(operation))
        .at(paths)
        .access(Access::Operator(role))
        .errors(ErrorFormat::Of(Api::Admin))
}

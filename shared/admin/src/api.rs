//! The JSON API: from a request that is authenticated and authorized to its response.
//!
//! `edge` has the paths, the roles and the headers; what is done is in the operations.

mod configuration;
mod fields;
mod idempotency;
mod operators;
mod tenants;

use std::collections::BTreeMap;

use gateway::Clock;
use serde_json::{Map, Value, json};

use crate::{
    admin::Admin,
    list_page::PageRequest,
    operator::Operator,
    problem::{AdminResult, Problem, ProblemKind},
};

/// What can be asked of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each name says what the operation does")]
pub enum Operation {
    ListTenants,
    CreateTenant,
    ReadTenant,
    UpdateTenant,
    DeleteTenant,
    EnableTenant,
    DisableTenant,
    RotateKey,
    ListKeys,
    CreateKey,
    RevokeKey,
    ReadTenantUsage,
    AdjustTenant,
    ReadUsage,
    ReadAudit,
    ListPrices,
    SetPrice,
    ListProviders,
    ListRoutes,
    ReadConfiguration,
    ReplaceConfiguration,
    ListConfigurationVersions,
    ReadConfigurationVersion,
    RestoreConfiguration,
    ExportConfiguration,
    Explain,
    ListUpstreamModels,
    DiagnoseUpstreamModels,
    ReadOperator,
    LogOutEverywhere,
    ListOperators,
    CreateOperator,
    UpdateOperator,
    DeleteOperator,
    ListTokens,
    CreateToken,
    RevokeToken,
}

/// A request of an operator who may make it.
#[derive(Clone, Debug)]
pub struct ApiRequest<'a> {
    /// Who asks.
    pub operator: &'a Operator,
    /// What stands in the path in place of its parameters, in order.
    pub parameters: &'a [String],
    /// The parameters of the query; of several of one name, the last.
    pub query: &'a BTreeMap<String, String>,
    /// `Content-Type`.
    pub content_type: Option<&'a str>,
    /// `If-Match`.
    pub if_match: Option<&'a str>,
    /// `Idempotency-Key`.
    pub idempotency_key: Option<&'a str>,
    /// The body.
    pub body: &'a [u8],
    /// The time.
    pub clock: Clock,
}

/// The response to a request.
#[derive(Clone, Debug, PartialEq)]
pub struct ApiResponse {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: ApiBody,
    /// `ETag`: the version of what was read or changed.
    pub etag: Option<String>,
    /// `Location`: where what was made can be read.
    pub location: Option<String>,
}

/// The body of a response.
#[derive(Clone, Debug, PartialEq)]
pub enum ApiBody {
    /// None: status 204.
    Empty,
    /// JSON.
    Json(Value),
    /// A configuration.
    Yaml(String),
}

impl ApiResponse {
    fn json(status: u16, body: Value) -> Self {
        Self { status, body: ApiBody::Json(body), etag: None, location: None }
    }

    fn ok(body: Value) -> Self {
        Self::json(200, body)
    }

    fn yaml(text: String) -> Self {
        Self { status: 200, body: ApiBody::Yaml(text), etag: None, location: None }
    }

    fn empty() -> Self {
        Self { status: 204, body: ApiBody::Empty, etag: None, location: None }
    }

    fn with_version(self, version: impl std::fmt::Display) -> Self {
        Self { etag: Some(format!("\"{version}\"")), ..self }
    }
}

impl<'a> ApiRequest<'a> {
    fn author(&self) -> ::tenants::Author<'a> {
        crate::author(&self.operator.name, self.clock)
    }

    fn now(&self) -> u64 {
        self.clock.now() / 1000
    }

    /// A parameter of the path; empty where there is none, which names nothing.
    fn parameter(&self, index: usize) -> &'a str {
        self.parameters.get(index).map_or("", String::as_str)
    }

    fn query(&self, name: &str) -> Option<&'a str> {
        self.query.get(name).map(String::as_str)
    }

    fn page(&self) -> AdminResult<PageRequest> {
        PageRequest::parse(self.query("cursor"), self.query("limit"))
    }

    /// The version that `If-Match` names; absent for `*` and without the header.
    fn expected_version(&self) -> Option<&'a str> {
        let tag = self.if_match?.trim();
        // Proxies that compress a response make its tag weak.
        let tag = tag.strip_prefix("W/").unwrap_or(tag).trim_matches('"');
        (tag != "*").then_some(tag)
    }

    /// The body as a JSON object; an empty body is an empty object.
    fn object(&self) -> AdminResult<Map<String, Value>> {
        if self.body.trim_ascii().is_empty() {
            return Ok(Map::new());
        }
        let kind = self.content_type.unwrap_or("application/json");
        let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        // What `curl -d` sends by itself is taken for the JSON that it holds, as the seeds did.
        let is_json = kind.ends_with("json") || kind == "application/x-www-form-urlencoded";
        if !is_json {
            let detail = "The body has to be JSON: send `Content-Type: application/json`.";
            return Err(Problem::new(ProblemKind::UnsupportedMediaType, detail));
        }
        match serde_json::from_slice(self.body) {
            Ok(Value::Object(object)) => Ok(object),
            Ok(_) => Err(Problem::new(ProblemKind::Invalid, "The body has to be a JSON object.")),
            Err(error) => {
                let detail = format!("The body is no JSON: {error}.");
                Err(Problem::new(ProblemKind::Invalid, detail))
            }
        }
    }
}

impl Admin {
    /// Does what a request asks for. The caller has checked that the operator's role allows it.
    pub async fn respond(
        &self,
        operation: Operation,
        request: &ApiRequest<'_>,
    ) -> AdminResult<ApiResponse> {
        match operation {
            Operation::ListTenants => self.api_list_tenants(request).await,
            Operation::ReadTenant => self.api_read_tenant(request).await,
            Operation::UpdateTenant => self.api_update_tenant(request).await,
            Operation::DeleteTenant => self.api_delete_tenant(request).await,
            Operation::EnableTenant => self.api_enable(request, ::tenants::Enabled::Yes).await,
            Operation::DisableTenant => self.api_enable(request, ::tenants::Enabled::No).await,
            Operation::ListKeys => self.api_list_keys(request).await,
            Operation::RevokeKey => self.api_revoke_key(request).await,
            // These show a secret once: a client whose connection broke can only repeat them.
            Operation::CreateTenant
            | Operation::RotateKey
            | Operation::CreateKey
            | Operation::CreateToken => self.respond_once(operation, request).await,
            Operation::ReadTenantUsage => self.api_tenant_usage(request).await,
            Operation::AdjustTenant => self.api_adjust(request).await,
            Operation::ReadUsage => self.api_usage(request).await,
            Operation::ReadAudit => self.api_audit(request).await,
            Operation::ListPrices => self.api_list_prices(request).await,
            Operation::SetPrice => self.api_set_price(request).await,
            Operation::ListProviders => self.api_list_providers(request).await,
            Operation::ListRoutes => self.api_list_routes(request).await,
            Operation::ReadConfiguration => self.api_read_config(request).await,
            Operation::ReplaceConfiguration => self.api_replace_config(request).await,
            Operation::ListConfigurationVersions => self.api_config_versions(request).await,
            Operation::ReadConfigurationVersion => self.api_config_version(request).await,
            Operation::RestoreConfiguration => self.api_restore_config(request).await,
            Operation::ExportConfiguration => self.api_export(request).await,
            Operation::Explain => self.api_explain(request).await,
            Operation::ListUpstreamModels | Operation::DiagnoseUpstreamModels => {
                self.api_upstream_models(operation, request).await
            }
            Operation::ReadOperator => {
                let Operator { name, role } = request.operator;
                Ok(ApiResponse::ok(json!({ "name": name, "role": role })))
            }
            Operation::LogOutEverywhere => self.api_log_out_everywhere(request).await,
            Operation::ListOperators => self.api_list_operators(request).await,
            Operation::CreateOperator => self.api_create_operator(request).await,
            Operation::UpdateOperator => self.api_update_operator(request).await,
            Operation::DeleteOperator => self.api_delete_operator(request).await,
            Operation::ListTokens => self.api_list_tokens(request).await,
            Operation::RevokeToken => self.api_revoke_token(request).await,
        }
    }

    /// Does what must not be done twice, whatever the client repeats.
    pub(crate) async fn create(
        &self,
        operation: Operation,
        request: &ApiRequest<'_>,
    ) -> AdminResult<ApiResponse> {
        match operation {
            Operation::CreateTenant => self.api_create_tenant(request).await,
            Operation::RotateKey => self.api_rotate_key(request).await,
            Operation::CreateKey => self.api_create_key(request).await,
            _ => self.api_create_token(request).await,
        }
    }
}

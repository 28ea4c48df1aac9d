//! Operators and tokens in the JSON API.

use serde_json::{Value, json};
use storage::Secret;

use super::{ApiRequest, ApiResponse, fields::Fields};
use crate::{
    admin::Admin,
    operator::Role,
    operators::{NewToken, OperatorChange, OperatorView, TokenView},
    problem::AdminResult,
};

impl Admin {
    pub(super) async fn api_list_operators(
        &self,
        request: &ApiRequest<'_>,
    ) -> AdminResult<ApiResponse> {
        let operators = self.operators(request.clock).await?;
        let operators: Vec<Value> = operators.iter().map(OperatorView::to_json).collect();
        let count = operators.len();
        Ok(ApiResponse::ok(json!({ "operators": operators, "count": count })))
    }

    pub(super) async fn api_create_operator(
        &self,
        request: &ApiRequest<'_>,
    ) -> AdminResult<ApiResponse> {
        let mut fields = Fields::new(request.object()?);
        let name = fields.required_text("name");
        let password = Secret::new(fields.required_text("password"));
        // The least that there is, so that a forgotten role gives nothing away.
        let role = fields.role("role").unwrap_or(Role::Viewer);
        let (name, password, role) = fields.finish((name, password, role))?;
        let (author, clock) = (request.author(), request.clock);
        let made = self.create_operator(&name, role, &password, author, clock).await?;
        Ok(ApiResponse::json(201, made.to_json()))
    }

    pub(super) async fn api_update_operator(
        &self,
        request: &ApiRequest<'_>,
    ) -> AdminResult<ApiResponse> {
        let mut fields = Fields::new(request.object()?);
        let role = fields.role("role");
        let password = fields.text("password").map(Secret::new);
        let change = fields.finish(OperatorChange { role, password })?;
        let changed = self
            .update_operator(request.parameter(0), &change, request.author(), request.clock)
            .await?;
        Ok(ApiResponse::ok(changed.to_json()))
    }

    pub(super) async fn api_delete_operator(
        &self,
        request: &ApiRequest<'_>,
    ) -> AdminResult<ApiResponse> {
        self.delete_operator(request.parameter(0), request.author(), request.clock).await?;
        Ok(ApiResponse::empty())
    }

    pub(super) async fn api_log_out_everywhere(
        &self,
        request: &ApiRequest<'_>,
    ) -> AdminResult<ApiResponse> {
        self.log_out_everywhere(&request.operator.name, request.author()).await?;
        Ok(ApiResponse::empty())
    }

    pub(super) async fn api_list_tokens(
        &self,
        request: &ApiRequest<'_>,
    ) -> AdminResult<ApiResponse> {
        let tokens = self.tokens(request.clock).await?;
        let tokens: Vec<Value> = tokens.iter().map(TokenView::to_json).collect();
        let count = tokens.len();
        Ok(ApiResponse::ok(json!({ "tokens": tokens, "count": count })))
    }

    pub(super) async fn api_create_token(
        &self,
        request: &ApiRequest<'_>,
    ) -> AdminResult<ApiResponse> {
        let mut fields = Fields::new(request.object()?);
        let name = fields.required_text("name");
        let role = fields.role("role").unwrap_or(Role::Viewer);
        let expires = fields.lifetime("expires_in_seconds").map(|it| request.now() + it);
        let new = fields.finish(NewToken { name, role, expires })?;
        let (token, text) = self.create_token(&new, request.author()).await?;
        let mut body = token.to_json();
        body["token"] = json!(text.expose());
        Ok(ApiResponse::json(201, body))
    }

    pub(super) async fn api_revoke_token(
        &self,
        request: &ApiRequest<'_>,
    ) -> AdminResult<ApiResponse> {
        self.revoke_token(request.parameter(0), request.author()).await?;
        Ok(ApiResponse::empty())
    }
}

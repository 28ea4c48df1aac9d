//! The configuration, prices, routing and providers in the JSON API.

use serde_json::{Value, json};

use super::{ApiRequest, ApiResponse, Operation, fields::Fields};
use crate::{
    admin::Admin,
    configuration::{ConfigMode, ConfigVersion},
    price_text::NewPrice,
    problem::{AdminResult, Problem, ProblemKind},
    views::PriceView,
};

impl Admin {
    pub(super) async fn api_read_config(
        &self,
        request: &ApiRequest<'_>,
    ) -> AdminResult<ApiResponse> {
        let config = self.config_text(request.clock).await?;
        Ok(ApiResponse::yaml(config.text).with_version(config.version))
    }

    pub(super) async fn api_replace_config(
        &self,
        request: &ApiRequest<'_>,
    ) -> AdminResult<ApiResponse> {
        let mode = match request.query("dry_run") {
            None | Some("false" | "0") => ConfigMode::Write,
            Some("" | "true" | "1") => ConfigMode::DryRun,
            Some(_) => return Err(Problem::field("dry_run", "This must be true or false.")),
        };
        let text = std::str::from_utf8(request.body).map_err(|error| {
            Problem::new(ProblemKind::Invalid, format!("The body is no text: {error}."))
        })?;

        let expected = version_to_replace(request, mode)?;
        let author = request.author();
        let change = self.replace_config(text, expected, mode, author, request.clock).await?;
        let version = change.version.clone();
        Ok(ApiResponse::ok(change.to_json()).with_version(version))
    }

    pub(super) async fn api_config_versions(
        &self,
        request: &ApiRequest<'_>,
    ) -> AdminResult<ApiResponse> {
        let found = self.config_versions(&request.page()?, request.clock).await?;
        let versions: Vec<Value> = found.items.iter().map(ConfigVersion::to_json).collect();

        let count = versions.len();
        Ok(ApiResponse::ok(json!({
            "versions": versions, "count": count, "next_cursor": found.cursor
        })))
    }

    pub(super) async fn api_config_version(
        &self,
        request: &ApiRequest<'_>,
    ) -> AdminResult<ApiResponse> {
        let version = self.config_version(request.parameter(0), request.clock).await?;
        Ok(ApiResponse::yaml(version.text).with_version(version.version))
    }

    pub(super) async fn api_restore_config(
        &self,
        request: &ApiRequest<'_>,
    ) -> AdminResult<ApiResponse> {
        let expected = version_to_replace(request, ConfigMode::Write)?;
        let version = request.parameter(0);
        let change =
            self.restore_config(version, expected, request.author(), request.clock).await?;
        let version = change.version.clone();
        Ok(ApiResponse::ok(change.to_json()).with_version(version))
    }

    pub(super) async fn api_export(&self, request: &ApiRequest<'_>) -> AdminResult<ApiResponse> {
        let present = self.read_config(request.clock).await?;
        Ok(ApiResponse::yaml(config::to_yaml(&present.config)))
    }

    pub(super) async fn api_list_prices(
        &self,
        request: &ApiRequest<'_>,
    ) -> AdminResult<ApiResponse> {
        let prices = self.prices(request.clock).await?;
        let unpriced = prices.iter().filter(|it| it.price.is_none()).count();
        let prices: Vec<Value> = prices.iter().map(PriceView::to_json).collect();
        let count = prices.len();
        Ok(ApiResponse::ok(json!({ "prices": prices, "count": count, "unpriced": unpriced })))
    }

    pub(super) async fn api_set_price(&self, request: &ApiRequest<'_>) -> AdminResult<ApiResponse> {
        let mut fields = Fields::new(request.object()?);
        let (provider, model) = (fields.required_text("provider"), fields.required_text("model"));
        let (input, output) = (fields.price("input"), fields.price("output"));

        for (name, rate) in [("input", input), ("output", output)] {
            // A forgotten rate would make calls free, which nobody notices.
            if rate.is_none() {
                fields.complain(name, "This is required, in dollars per million tokens.");
            }
        }
        let price = NewPrice {
            provider,
            model,
            input: input.unwrap_or(0.0),
            output: output.unwrap_or(0.0),
            cached_input: fields.price("cached_input"),
            cache_write: fields.price("cache_write"),
        };
        let price = fields.finish(price)?;
        let change = self.set_prices(&[price], request.author(), request.clock).await?;
        Ok(ApiResponse::ok(change.to_json()))
    }

    pub(super) async fn api_list_providers(
        &self,
        request: &ApiRequest<'_>,
    ) -> AdminResult<ApiResponse> {
        let providers = self.providers(request.clock).await?;
        let count = providers.len();
        Ok(ApiResponse::ok(json!({ "providers": providers, "count": count })))
    }

    pub(super) async fn api_list_routes(
        &self,
        request: &ApiRequest<'_>,
    ) -> AdminResult<ApiResponse> {
        let (routes, models) = self.routes(request.clock).await?;
        let count = routes.len();
        Ok(ApiResponse::ok(json!({ "routes": routes, "models": models, "count": count })))
    }

    pub(super) async fn api_explain(&self, request: &ApiRequest<'_>) -> AdminResult<ApiResponse> {
        let model = request.query("model").filter(|model| !model.is_empty());
        let message = "This is required: what a client would put in `model`.";
        let model = model.ok_or_else(|| Problem::field("model", message))?;
        let explanation = self.explain(model, request.query("provider"), request.clock).await?;
        Ok(ApiResponse::ok(explanation.to_json()))
    }

    /// The first seed's path answers 503 where a provider failed; the other one always 200.
    pub(super) async fn api_upstream_models(
        &self,
        operation: Operation,
        request: &ApiRequest<'_>,
    ) -> AdminResult<ApiResponse> {
        let providers = self.upstream_models(request.clock).await?;
        let has_failed = providers.iter().any(|it| it["status"] == "failed");
        let is_probe = operation == Operation::DiagnoseUpstreamModels;
        let status = if has_failed && is_probe { 503 } else { 200 };
        let count = providers.len();
        Ok(ApiResponse::json(status, json!({ "providers": providers, "count": count })))
    }
}

/// The version that a request replaces. A whole document is replaced by those alone who say which.
fn version_to_replace<'a>(
    request: &ApiRequest<'a>,
    mode: ConfigMode,
) -> AdminResult<Option<&'a str>> {
    if request.if_match.is_none() && mode == ConfigMode::Write {
        let detail = "Send `If-Match` with the `ETag` of the configuration that you read.";
        // Without a version, the second of two operators who edit would undo the first one's
        // change.
        return Err(Problem::new(ProblemKind::PreconditionRequired, detail));
    }
    Ok(request.expected_version())
}

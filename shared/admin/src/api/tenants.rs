//! Tenants, keys, usage and the audit in the JSON API.

use ::tenants::{Enabled, IssuedKey, NewKey, Tenant};
use serde_json::{Map, Value, json};

use super::{ApiRequest, ApiResponse, fields::Fields};
use crate::{
    admin::Admin,
    audit::audit_json,
    problem::{AdminResult, Problem, ProblemKind},
    tenant_operations::{DEFAULT_GRACE_SECONDS, KeyView, TenantSource, TenantView},
    usage::{NewAdjustment, parse_period},
};

impl Admin {
    pub(super) async fn api_list_tenants(
        &self,
        request: &ApiRequest<'_>,
    ) -> AdminResult<ApiResponse> {
        let list = self.list_tenants(&request.page()?, request.clock).await?;
        let tenants: Vec<Value> = list.tenants.iter().map(TenantView::to_json).collect();
        let count = tenants.len();
        Ok(ApiResponse::ok(json!({
            "tenants": tenants, "count": count, "next_cursor": list.cursor
        })))
    }

    pub(super) async fn api_create_tenant(
        &self,
        request: &ApiRequest<'_>,
    ) -> AdminResult<ApiResponse> {
        let (tenant, key) =
            self.create_tenant(request.object()?, request.author(), request.clock).await?;
        let location = Some(format!("/admin/tenants/{}", tenant.id));
        let version = tenant.version;
        let mut body = view(tenant).to_json();
        body["api_key"] = json!(key.secret.expose());
        body["key_id"] = json!(key.key.id);
        Ok(ApiResponse { location, ..ApiResponse::json(201, body).with_version(version) })
    }

    pub(super) async fn api_read_tenant(
        &self,
        request: &ApiRequest<'_>,
    ) -> AdminResult<ApiResponse> {
        let view = self.tenant(request.parameter(0), request.clock).await?;
        Ok(ApiResponse::ok(view.to_json()).with_version(view.tenant.version))
    }

    pub(super) async fn api_update_tenant(
        &self,
        request: &ApiRequest<'_>,
    ) -> AdminResult<ApiResponse> {
        let (expected, patch) = (tenant_version(request)?, request.object()?);
        let (id, author) = (request.parameter(0), request.author());
        let changed =
            self.update_tenant(id, without_readonly(patch), expected, author, request.clock);
        Ok(tenant_response(changed.await?))
    }

    pub(super) async fn api_delete_tenant(
        &self,
        request: &ApiRequest<'_>,
    ) -> AdminResult<ApiResponse> {
        let expected = tenant_version(request)?;
        let (id, author) = (request.parameter(0), request.author());
        self.delete_tenant(id, expected, author, request.clock).await?;
        Ok(ApiResponse::empty())
    }

    pub(super) async fn api_enable(
        &self,
        request: &ApiRequest<'_>,
        enabled: Enabled,
    ) -> AdminResult<ApiResponse> {
        let expected = tenant_version(request)?;
        let (id, author) = (request.parameter(0), request.author());
        let tenant = self.enable_tenant(id, enabled, expected, author, request.clock).await?;
        Ok(tenant_response(tenant))
    }

    pub(super) async fn api_list_keys(&self, request: &ApiRequest<'_>) -> AdminResult<ApiResponse> {
        let keys = self.keys(request.parameter(0), request.clock).await?;
        let keys: Vec<Value> = keys.iter().map(KeyView::to_json).collect();
        let count = keys.len();
        Ok(ApiResponse::ok(json!({ "keys": keys, "count": count })))
    }

    pub(super) async fn api_create_key(
        &self,
        request: &ApiRequest<'_>,
    ) -> AdminResult<ApiResponse> {
        let mut fields = Fields::new(request.object()?);
        let now = request.now();
        let new = NewKey {
            name: fields.text("name").unwrap_or_default(),
            prefix: fields.text("prefix"),
            expires: fields.lifetime("expires_in_seconds").map(|seconds| now + seconds),
        };
        let new = fields.finish(new)?;
        let (id, author) = (request.parameter(0), request.author());
        let issued = self.create_key(id, &new, author, request.clock).await?;
        Ok(ApiResponse::json(201, issued_json(issued, now)))
    }

    pub(super) async fn api_rotate_key(
        &self,
        request: &ApiRequest<'_>,
    ) -> AdminResult<ApiResponse> {
        let mut fields = Fields::new(request.object()?);
        let key = fields.text("key_id");
        // Without a grace, every client fails between the rotation and its own update.
        let grace = fields.seconds("grace_seconds").unwrap_or(DEFAULT_GRACE_SECONDS);
        let (key, grace) = fields.finish((key, grace))?;
        let (id, author) = (request.parameter(0), request.author());
        let issued = self.rotate_key(id, key.as_deref(), grace, author, request.clock).await?;
        let mut body = issued_json(issued, request.now());
        body["grace_seconds"] = json!(grace);
        Ok(ApiResponse::ok(body))
    }

    pub(super) async fn api_revoke_key(
        &self,
        request: &ApiRequest<'_>,
    ) -> AdminResult<ApiResponse> {
        let (id, key) = (request.parameter(0), request.parameter(1));
        self.revoke_key(id, key, request.author(), request.clock).await?;
        Ok(ApiResponse::empty())
    }

    pub(super) async fn api_tenant_usage(
        &self,
        request: &ApiRequest<'_>,
    ) -> AdminResult<ApiResponse> {
        let usage = self.tenant_usage(request.parameter(0), request.clock).await?;
        let (mut body, tenant) = (usage.to_json(), &usage.tenant.tenant);
        let recorded = self.recorded_usage(Some(&tenant.id), request.clock).await?;
        recorded.add_totals(&mut body, tenant);
        recorded.add_groups(&mut body, tenant);
        Ok(ApiResponse::ok(body))
    }

    pub(super) async fn api_usage(&self, request: &ApiRequest<'_>) -> AdminResult<ApiResponse> {
        let usage = self.usage(&request.page()?, request.clock).await?;
        let recorded = self.recorded_usage(None, request.clock).await?;
        let tenants = usage.items.iter().map(|it| {
            let mut body = it.to_json();
            recorded.add_totals(&mut body, &it.tenant.tenant);
            body
        });
        let tenants: Vec<Value> = tenants.collect();
        let count = tenants.len();
        Ok(ApiResponse::ok(json!({
            "tenants": tenants, "count": count, "next_cursor": usage.cursor
        })))
    }

    pub(super) async fn api_adjust(&self, request: &ApiRequest<'_>) -> AdminResult<ApiResponse> {
        let mut fields = Fields::new(request.object()?);
        let is_absent = fields.dollars("amount_usd");
        let amount = is_absent.unwrap_or(0);
        if is_absent.is_none() {
            fields.complain("amount_usd", "This is required: what to add to what is spent.");
        }

        let of_lost = fields.dollars("of_lost_usd").unwrap_or(0);
        let of_lost = u64::try_from(of_lost).unwrap_or_else(|_| {
            fields.complain("of_lost_usd", "This must be at least 0.");
            0
        });
        let period = fields.text("period").and_then(|text| {
            let period = parse_period(&text);
            if period.is_none() {
                fields.complain("period", "This must be a month or a day: 2026-11, 2026-11-28.");
            }
            period
        });
        // The ledger keeps its own names of corrections, for as long as the period, and not for a
        // day.
        let id = fields.text("id").or_else(|| request.idempotency_key.map(str::to_owned));
        let reason = fields.text("reason");
        let adjustment = fields.finish(NewAdjustment { id, period, amount, of_lost, reason })?;
        let (tenant, author) = (request.parameter(0), request.author());
        let applied = self.adjust(tenant, adjustment, author, request.clock).await?;

        let usage = self.tenant_usage(tenant, request.clock).await?;
        Ok(ApiResponse::ok(json!({ "applied": applied, "usage": usage.to_json() })))
    }

    pub(super) async fn api_audit(&self, request: &ApiRequest<'_>) -> AdminResult<ApiResponse> {
        let found = self.audit(&request.page()?, request.clock).await?;
        let entries: Vec<Value> = found.items.iter().map(audit_json).collect();
        let count = entries.len();
        Ok(ApiResponse::ok(json!({
            "entries": entries, "count": count, "next_cursor": found.cursor
        })))
    }
}

fn view(tenant: Tenant) -> TenantView {
    TenantView { tenant, source: TenantSource::Store }
}

fn tenant_response(tenant: Tenant) -> ApiResponse {
    let version = tenant.version;
    ApiResponse::ok(view(tenant).to_json()).with_version(version)
}

/// A new key with its text, which is shown once and never again.
fn issued_json(issued: IssuedKey, now: u64) -> Value {
    let secret = issued.secret;
    let mut body = KeyView::issued(issued.key, None, now).to_json();
    body["api_key"] = json!(secret.expose());
    body
}

/// The version that a change of a tenant expects.
fn tenant_version(request: &ApiRequest<'_>) -> AdminResult<Option<u64>> {
    let Some(text) = request.expected_version() else { return Ok(None) };
    // A tag that is no number is of no version that the tenant ever had.
    let detail = "The tenant was changed since it was read.";
    let version = text.parse().ok();
    let version = version.ok_or_else(|| Problem::new(ProblemKind::PreconditionFailed, detail))?;
    Ok(Some(version))
}

/// A patch without the members that a client sends back as it read them and that cannot change.
fn without_readonly(mut patch: Map<String, Value>) -> Map<String, Value> {
    // Programs change the whole object that they read and send it back.
    for field in ["id", "created_at", "updated_at", "version", "source"] {
        patch.remove(field);
    }
    patch
}

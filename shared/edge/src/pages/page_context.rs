//! The context of a page: what every page needs of its request, and how pages are sent.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use admin::{
    Admin, AdminResult, ApiBody, ApiRequest, Operation, Operator, Problem, ProblemKind, TenantList,
    TenantView,
};
use bytes::Bytes;
use gateway::Clock;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use pages::{
    View,
    assets::PAGE_HEADERS,
    form::Choice,
    shell::{Notice, Section, Shell, Theme, Tone},
};
use serde_json::Value;
use tokio::sync::OnceCell;

use super::{form::Form, table::PageResult};
use crate::{
    body::{Body, full},
    front::App,
    request::Arrival,
};

/// What a page needs of its request.
pub(super) struct PageContext {
    pub(super) app: Arc<App>,
    /// Who is signed in, on pages that need that.
    pub(super) operator: Option<Operator>,
    pub(super) arrival: Arrival,
    /// What stands in the path in place of parameters.
    pub(super) parameters: Vec<String>,
    pub(super) query: Form,
    /// The tenants, once they have been read for this request.
    pub(super) tenants: OnceCell<TenantList>,
    /// The form that was sent.
    pub(super) form: Form,
    /// The body as it came.
    pub(super) body: Bytes,
    pub(super) theme: Theme,
    /// The path with its query.
    pub(super) path: String,
    /// The gateway's address as its clients know it, without `/v1`.
    pub(super) base: String,
    /// Whether browsers reach the gateway over HTTPS.
    pub(super) is_secure: bool,
}

impl PageContext {
    pub(super) fn admin(&self) -> AdminResult<&Admin> {
        let missing = || Problem::new(ProblemKind::Internal, "This process has no administration.");
        self.app.admin.as_ref().ok_or_else(missing)
    }

    pub(super) fn operator(&self) -> AdminResult<&Operator> {
        let missing = || Problem::new(ProblemKind::Unauthenticated, "Sign in.");
        self.operator.as_ref().ok_or_else(missing)
    }

    pub(super) fn clock(&self) -> Clock {
        self.arrival.clock
    }

    /// The time, in milliseconds since 1970.
    pub(super) fn now(&self) -> u64 {
        self.arrival.clock.now()
    }

    /// Where the request comes from, where that is known.
    pub(super) fn address(&self) -> Option<IpAddr> {
        self.arrival.connection.as_ref().map(|connection| connection.address())
    }

    /// What stands in the path in place of the first parameter.
    pub(super) fn parameter(&self) -> &str {
        self.parameters.first().map_or("", String::as_str)
    }

    /// Does what the JSON API does for the same request, and gives its body.
    pub(super) async fn api(
        &self,
        operation: Operation,
        parameters: &[String],
        body: &Value,
    ) -> AdminResult<Value> {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let version = self.form.filled("version").map(|version| format!("\"{version}\""));
        let request = ApiRequest {
            operator: self.operator()?,
            parameters,
            query: &BTreeMap::new(),
            content_type: Some("application/json"),
            if_match: version.as_deref(),
            idempotency_key: self.form.filled("idempotency_key"),
            body: body.as_bytes(),
            clock: self.clock(),
        };
        match self.admin()?.respond(operation, &request).await?.body {
            ApiBody::Json(value) => Ok(value),
            ApiBody::Yaml(text) => Ok(Value::String(text)),
            ApiBody::Empty => Ok(Value::Null),
        }
    }

    /// The tenants, as many as pages of the whole gateway show.
    pub(super) async fn tenants(&self) -> AdminResult<&[TenantView]> {
        Ok(&self.first_tenants().await?.tenants)
    }

    /// Whether the tenants that pages show are all of them.
    pub(super) async fn has_all_tenants(&self) -> AdminResult<bool> {
        Ok(self.first_tenants().await?.cursor.is_none())
    }

    /// The names of tenants by their ids.
    pub(super) async fn names(&self) -> AdminResult<BTreeMap<String, String>> {
        Ok(self.first_tenants().await?.names())
    }

    /// Reads the tenants once for one request, since each read costs.
    async fn first_tenants(&self) -> AdminResult<&TenantList> {
        let read = || async { self.admin()?.first_tenants(self.clock()).await };
        self.tenants.get_or_try_init(read).await
    }

    /// The names that clients may use as a model: routes and models.
    pub(super) async fn models(&self) -> AdminResult<Vec<String>> {
        let snapshot = self.app.gateway.snapshot(self.clock()).await?;
        let routes = snapshot.config.routes.iter().map(|it| it.name.clone());
        let models = snapshot.config.models.iter().map(|it| it.name.clone());
        Ok(routes.chain(models).collect())
    }

    /// What surrounds a page.
    pub(super) async fn shell(&self, section: Section, title: &str) -> AdminResult<Shell> {
        let (admin, operator) = (self.admin()?, self.operator()?);
        let prices = admin.prices(self.clock()).await?;
        let unhealthy = self.app.gateway.cooldown_states(self.clock()).await.len();
        let unpriced = prices.iter().filter(|it| it.price.is_none()).count();
        Ok(Shell {
            section,
            title: title.to_owned(),
            path: self.path.clone(),
            base_url: format!("{}/v1", self.base),
            operator: operator.name.clone(),
            role: operator.role.to_string(),
            theme: self.theme,
            unpriced: number(unpriced),
            unhealthy: number(unhealthy),
            notices: self.done().into_iter().collect(),
        })
    }

    /// What was done before this page was asked for, as the query says.
    fn done(&self) -> Option<Notice> {
        // Known words only: a link could make the page say anything otherwise.
        let text = match self.query.get("done") {
            "saved" => "The changes are in force.",
            "enabled" => "Its keys work again.",
            "disabled" => "Its keys get 401 from now on.",
            "revoked" => "The key is revoked.",
            "deleted" => "The tenant is deleted.",
            "priced" => "The price counts from the next call on.",
            "everywhere" => "Every session of yours has ended.",
            _ => return None,
        };
        Some(Notice::new(Tone::Ok, "Done.", text))
    }
}

/// A number of things that fit into memory.
pub(super) fn number(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// Tenants as choices of a form.
pub(super) fn tenant_choices(names: &BTreeMap<String, String>) -> Vec<Choice> {
    names.iter().map(|(id, name)| Choice::new(id.as_str(), name.as_str())).collect()
}

/// A name that no other form has had.
pub(super) fn fresh_key(context: &PageContext) -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    // Sent twice, such as by a double click, the form makes one tenant and one key.
    format!("form-{}-{count}", context.arrival.trace_id)
}

/// A page with status 200.
pub(super) fn page(view: &impl View) -> PageResult {
    page_with(StatusCode::OK, view)
}

/// A page with a status.
pub(super) fn page_with(status: StatusCode, view: &impl View) -> PageResult {
    let html = view.html().map_err(|error| {
        Problem::new(ProblemKind::Internal, "The page cannot be made.").caused_by(error)
    })?;
    let mut response = Response::new(full(html));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    for (name, value) in PAGE_HEADERS {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    Ok(response)
}

/// Sends the browser to another page of ours.
pub(super) fn see_other(path: &str) -> PageResult {
    let mut response = Response::new(crate::body::empty());
    *response.status_mut() = StatusCode::SEE_OTHER;
    let location = HeaderValue::from_str(path).unwrap_or(HeaderValue::from_static("/admin"));
    response.headers_mut().insert(header::LOCATION, location);
    Ok(response)
}

/// A file that the browser stores.
pub(super) fn csv(name: &str, text: String) -> PageResult {
    let mut response: Response<Body> = Response::new(full(text));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8"));
    let disposition = format!("attachment; filename=\"{name}\"");
    let disposition = HeaderValue::from_str(&disposition);
    headers.insert(
        header::CONTENT_DISPOSITION,
        disposition.unwrap_or(HeaderValue::from_static("attachment")),
    );
    Ok(response)
}

/// A path of ours that a form names, or the overview: nobody is sent to another site.
pub(super) fn own_path(path: &str) -> String {
    let is_own = (path == "/admin" || path.starts_with("/admin/") || path.starts_with("/admin?"))
        && path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\')
        // Signing in would lead back to signing in, or at once to signing out.
        && !path.starts_with("/admin/sign-");
    if is_own { path.to_owned() } else { "/admin".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_sent_to_another_site() {
        assert_eq!(own_path("/admin/requests?failed=1"), "/admin/requests?failed=1");
        for foreign in [
            "//evil.example",
            "https://evil.example",
            "/administer",
            "/admin\\x",
            "/admin/a\r\nb",
            "",
        ] {
            assert_eq!(own_path(foreign), "/admin", "{foreign}");
        }
    }
}

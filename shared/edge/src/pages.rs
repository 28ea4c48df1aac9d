//! The pages for operators over HTTP: who may see one, what a form does, and how a page is sent.
//!
//! What is shown and changed comes from `admin` and from what is kept of calls; looks and words are
//! those of the crate `pages`.

mod calls;
mod configuration;
mod download;
mod form;
mod health;
mod overview;
mod page_context;
mod playground;
mod prices;
mod requests;
mod route_labels;
mod session;
mod setup;
mod sums;
mod table;
mod tenant;
mod tenants;
mod three_way_merge;
mod usage;
mod welcome;

use ::pages::{
    assets,
    public_pages::{ErrorPage, Home},
    shell::{Pill, Tone},
};
use admin::{Admin, Credentials, Operator, Problem, ProblemKind, Role, SESSION_COOKIE, Session};
use canonical::{Error, ErrorKind};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use tokio::sync::OnceCell;

use self::{
    form::Form,
    page_context::{PageContext, page_with, see_other},
    table::PageResult,
};
use crate::{
    admin as administration,
    api::Api,
    body::{Body, full},
    endpoint::{Access, Endpoint, HandlerFuture},
    front::{App, Exchange},
    operator_credentials, request_body,
    request_body::BodyLimits,
    router::Found,
};

/// How large a form may be, in bytes.
const MAX_FORM_BYTES: usize = 1024 * 1024;

/// The endpoint of every page; the table of pages says which role each takes.
static PAGES: Endpoint = Endpoint::post("operator", respond).access(Access::Open);

/// The endpoint of the pages, where a request is for one of them.
pub(crate) fn find(app: &App, request: &Request<Body>) -> Option<Found> {
    // Processes without an administration have the paths, and no pages.
    app.admin.as_ref()?;
    let (_, parameters) = table::find(request.method(), request.uri().path(), request.headers())?;
    Some(Found { endpoint: Ok(&PAGES), api: Api::Admin, id: None, parameters, allowed: vec![] })
}

/// Responds to a request for a page.
fn respond(exchange: &mut Exchange) -> HandlerFuture<'_> {
    Box::pin(async move {
        let headers = exchange.request.headers().clone();
        let path = exchange.request.uri().path();
        let Some((page, _)) = table::find(exchange.request.method(), path, &headers) else {
            return Err(crate::response::internal_error());
        };
        let origins = administration::public_origins(exchange);
        let is_own =
            operator_credentials::is_from_own_page(exchange.request.method(), &headers, &origins);
        let mut context = context(exchange, &headers).await?;
        let outcome = match admitted(&mut context, &headers, is_own, page.role).await {
            Ok(session) => render(&mut context, page, session).await,
            Err(problem) => Err(problem),
        };
        outcome.or_else(|problem| refusal(&context, &headers, &problem)).map_err(as_error)
    })
}

async fn render(
    context: &mut PageContext,
    page: table::Page,
    session: Option<Session>,
) -> PageResult {
    let mut response = (page.respond)(context).await?;
    if let Some(session) = session {
        session::renew(context, &session, &mut response);
    }
    Ok(response)
}

async fn context(exchange: &mut Exchange, headers: &HeaderMap) -> canonical::Result<PageContext> {
    let app = exchange.app.clone();
    let limits =
        BodyLimits { max_bytes: MAX_FORM_BYTES.min(app.body_limits.max_bytes), ..app.body_limits };
    // Read before the operator is known, for the form carries the name and password; its size is
    // bounded.
    let body = match *exchange.request.method() {
        Method::POST => request_body::read(&mut exchange.request, limits, &app.memory).await?,
        _ => bytes::Bytes::new(),
    };
    let uri = exchange.request.uri();
    let arrival = &exchange.arrival;
    // CloudFront and a proxy end TLS before us: then only the cookie's name or the page's origin
    // shows it.
    let is_secure = arrival.connection.is_none()
        || session::cookie(headers, SESSION_COOKIE).is_some()
        || text(headers, &header::ORIGIN).is_some_and(|origin| origin.starts_with("https://"));
    let kind = text(headers, &header::CONTENT_TYPE).unwrap_or_default();
    let is_form = kind.starts_with("application/x-www-form-urlencoded");
    // A body of another type is for its handler alone, such as the playground's JSON.
    let form = String::from_utf8_lossy(if is_form { &body } else { &[] });
    Ok(PageContext {
        base: base(&app, headers, is_secure),
        operator: None,
        parameters: exchange.parameters.clone(),
        query: Form::parse(uri.query().unwrap_or_default()),
        tenants: OnceCell::new(),
        form: Form::parse(&form),
        theme: session::theme(headers),
        path: uri.path_and_query().map_or("/admin", |it| it.as_str()).to_owned(),
        is_secure,
        arrival: arrival.clone(),
        body,
        app,
    })
}

/// The gateway's address as its clients know it, without `/v1`.
fn base(app: &App, headers: &HeaderMap, is_secure: bool) -> String {
    let scheme = if is_secure { "https" } else { "http" };
    let host = text(headers, &header::HOST).unwrap_or("localhost");
    app.public_origins.first().map_or_else(|| format!("{scheme}://{host}"), Clone::clone)
}

/// Lets an operator in whose role is enough, and gives the session by which that is known.
async fn admitted(
    context: &mut PageContext,
    headers: &HeaderMap,
    is_from_own_page: bool,
    role: Option<Role>,
) -> Result<Option<Session>, Problem> {
    if !is_from_own_page {
        let detail = "A page of another origin must not change anything here.";
        return Err(Problem::new(ProblemKind::Forbidden, detail));
    }
    let Some(role) = role else { return Ok(None) };
    let (operator, session) = operator(context.admin()?, context, headers).await?;
    if operator.role < role {
        let detail = format!("This takes the role {role}; yours is {}.", operator.role);
        return Err(Problem::new(ProblemKind::Forbidden, detail));
    }
    context.operator = Some(operator);
    Ok(session)
}

async fn operator(
    admin: &Admin,
    context: &PageContext,
    headers: &HeaderMap,
) -> Result<(Operator, Option<Session>), Problem> {
    let credentials = operator_credentials::credentials(headers);
    // Sessions are renewed with the page; tokens and passwords are not, and make no session.
    if let Credentials::Session(cookie) = &credentials {
        let session = admin.check_session(cookie, context.clock()).await?;
        return Ok((session.operator.clone(), Some(session)));
    }
    let operator = admin.authenticate(&credentials, context.address(), context.clock()).await?;
    Ok((operator, None))
}

/// What is shown in place of a page or a response.
fn refusal(context: &PageContext, headers: &HeaderMap, problem: &Problem) -> PageResult {
    // A browser gets the form to sign in, a program the status that it can act on.
    if problem.kind == ProblemKind::Unauthenticated && table::prefers_html(headers) {
        return to_sign_in(&context.path);
    }
    if let Some(cause) = problem.cause() {
        tracing::warn!(request_id = context.arrival.request_id, %cause, "{problem}");
    }
    let status = StatusCode::from_u16(problem.kind.status());
    let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = if table::prefers_html(headers) {
        let fields = problem.fields.iter().map(|it| format!("{}: {}", it.field, it.message));
        let text = [problem.detail.clone()].into_iter().chain(fields).collect::<Vec<_>>().join(" ");
        error_page(headers, status, text, &context.arrival.request_id)?
    } else {
        let problem = problem.to_json(&context.arrival.request_id);
        crate::response::problem(status, problem.to_string())
    };
    if let Some(seconds) = problem.retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    Ok(response)
}

/// The page in place of an error, where a browser follows a link to an operator's path.
pub(crate) fn error(exchange: &Exchange, error: &Error) -> Option<Response<Body>> {
    let (request, headers) = (&exchange.request, exchange.request.headers());
    // Only a link that was followed: a form or a script expects the status.
    if exchange.api != Api::Admin
        || request.method() != Method::GET
        || !table::prefers_html(headers)
    {
        return None;
    }
    if error.kind == ErrorKind::Unauthenticated {
        return to_sign_in(request.uri().path()).ok();
    }
    let status = StatusCode::from_u16(error.status()).ok()?;
    error_page(headers, status, error.message().to_owned(), &exchange.arrival.request_id).ok()
}

fn to_sign_in(path: &str) -> PageResult {
    let next = percent_encoding::utf8_percent_encode(path, percent_encoding::NON_ALPHANUMERIC);
    see_other(&format!("/admin/sign-in?next={next}"))
}

fn error_page(
    headers: &HeaderMap,
    status: StatusCode,
    text: String,
    request_id: &str,
) -> PageResult {
    let view = ErrorPage {
        theme: session::theme(headers),
        status: status.as_u16(),
        title: title(status).to_owned(),
        text,
        request_id: request_id.to_owned(),
    };
    page_with(status, &view)
}

fn title(status: StatusCode) -> &'static str {
    match status {
        StatusCode::FORBIDDEN => "Not allowed",
        StatusCode::NOT_FOUND => "Not found",
        StatusCode::CONFLICT | StatusCode::PRECONDITION_FAILED => "Changed meanwhile",
        StatusCode::TOO_MANY_REQUESTS => "Too many attempts",
        StatusCode::SERVICE_UNAVAILABLE => "The store does not respond",
        _ if status.is_client_error() => "That did not work",
        _ => "Something went wrong",
    }
}

fn as_error(problem: Problem) -> Error {
    Error::new(ErrorKind::Internal, problem.detail)
}

/// The gateway's front page.
pub(crate) fn home(exchange: &mut Exchange) -> HandlerFuture<'_> {
    Box::pin(async move {
        let headers = exchange.request.headers().clone();
        let is_ready = exchange.app.gateway.is_ready(exchange.arrival.clock).await;
        let state = match is_ready {
            true => Pill::new(Tone::Ok, "healthy"),
            false => Pill::new(Tone::Err, "not ready"),
        };
        let view = Home {
            theme: session::theme(&headers),
            state,
            base_url: base(&exchange.app, &headers, exchange.arrival.connection.is_none()),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        page_with(StatusCode::OK, &view).map_err(as_error)
    })
}

/// A file that the pages load, under a path that changes with its content.
pub(crate) fn asset(exchange: &mut Exchange) -> HandlerFuture<'_> {
    Box::pin(async move {
        let Some(asset) = assets::at(exchange.request.uri().path()) else {
            return Err(Error::new(ErrorKind::UnknownPath, "There is no such file."));
        };
        let mut response = Response::new(full(asset.content));
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(asset.content_type));
        // The path changes with the content, so that browsers may keep a file for ever.
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(assets::CACHE_CONTROL));
        Ok(response)
    })
}

fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

//! Signing in and out, and the colours.

use admin::{
    CookieScope, Operation, Problem, ProblemKind, Session, expired_session_cookie, session_cookie,
};
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use pages::{public_pages::SignIn, shell::Theme};
use serde_json::Value;
use storage::Secret;

use super::{
    page_context::{PageContext, own_path, page_with, see_other},
    table::{PageFuture, PageResult},
};
use crate::body::Body;

/// The cookie that holds the colours; nobody's secret.
const THEME_COOKIE: &str = "lockgate-theme";
const HINT: &str = "The first password was printed when the gateway was started the first time. \
                    `lockgate admin reset-password` makes a new one.";

/// The value of a cookie.
pub(super) fn cookie<'h>(headers: &'h HeaderMap, wanted: &str) -> Option<&'h str> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|it| it.to_str().ok());
    let mut pairs = cookies.flat_map(|it| it.split(';')).filter_map(|it| it.trim().split_once('='));
    pairs.find(|(name, _)| *name == wanted).map(|(_, value)| value)
}

/// The colours that a browser has chosen.
pub(super) fn theme(headers: &HeaderMap) -> Theme {
    Theme::named(cookie(headers, THEME_COOKIE).unwrap_or_default())
}

fn scope(is_secure: bool) -> CookieScope {
    if is_secure { CookieScope::Secure } else { CookieScope::Loopback }
}

fn set_cookie(response: &mut Response<Body>, cookie: &str) {
    if let Ok(value) = HeaderValue::from_str(cookie) {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
}

/// Lets a session go on from now, where enough of its time has passed.
pub(super) fn renew(context: &PageContext, session: &Session, response: &mut Response<Body>) {
    let renewed = session.renewed(context.now() / 1000);
    let key = context.admin().ok().map(admin::Admin::session_key);
    let value = renewed.zip(key).and_then(|(session, key)| key.sign(&session));
    // A handler that ended the session has set the cookie already, and wins.
    let is_ended = response.headers().contains_key(header::SET_COOKIE);
    if let Some(value) = value.filter(|_| !is_ended) {
        set_cookie(response, &session_cookie(&value, scope(context.is_secure)));
    }
}

fn sign_in_page(context: &PageContext, next: &str, error: Option<&Problem>) -> PageResult {
    let status = error.map_or(200, |problem| problem.kind.status());
    let view = SignIn {
        theme: context.theme,
        name: context.form.get("name").to_owned(),
        error: error.map(|problem| problem.detail.clone()),
        next: own_path(next),
        hint: HINT.to_owned(),
    };
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    let mut response = page_with(status, &view)?;
    if let Some(seconds) = error.and_then(|problem| problem.retry_after) {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    Ok(response)
}

pub(super) fn show(context: &mut PageContext) -> PageFuture<'_> {
    Box::pin(async { sign_in_page(context, context.query.get("next"), None) })
}

pub(super) fn sign_in(context: &mut PageContext) -> PageFuture<'_> {
    Box::pin(async {
        let (admin, next) = (context.admin()?, context.form.get("next"));
        // Not trimmed: spaces may belong to a password.
        let password = Secret::new(context.form.text("password"));
        let name = context.form.get("name");
        let signed = admin.log_in(name, &password, context.address(), context.clock()).await;
        let session = match signed {
            Ok(session) => session,
            Err(problem)
                if matches!(
                    problem.kind,
                    ProblemKind::Unauthenticated | ProblemKind::TooManyRequests
                ) =>
            {
                return sign_in_page(context, next, Some(&problem));
            }
            Err(problem) => return Err(problem),
        };
        let value = admin.session_key().sign(&session);
        let value =
            value.ok_or_else(|| Problem::new(ProblemKind::Internal, "There is no randomness."))?;
        let mut response = see_other(&own_path(next))?;
        set_cookie(&mut response, &session_cookie(&value, scope(context.is_secure)));
        Ok(response)
    })
}

pub(super) fn sign_out(context: &mut PageContext) -> PageFuture<'_> {
    Box::pin(async {
        let mut response = see_other("/admin/sign-in")?;
        set_cookie(&mut response, &expired_session_cookie(scope(context.is_secure)));
        Ok(response)
    })
}

pub(super) fn sign_out_everywhere(context: &mut PageContext) -> PageFuture<'_> {
    Box::pin(async {
        context.api(Operation::LogOutEverywhere, &[], &Value::Null).await?;
        let mut response = see_other("/admin/sign-in")?;
        set_cookie(&mut response, &expired_session_cookie(scope(context.is_secure)));
        Ok(response)
    })
}

pub(super) fn change_theme(context: &mut PageContext) -> PageFuture<'_> {
    Box::pin(async {
        let mut response = see_other(&own_path(context.form.get("back")))?;
        let theme = Theme::named(context.form.get("theme")).name();
        let cookie =
            format!("{THEME_COOKIE}={theme}; Path=/admin; SameSite=Strict; Max-Age=31536000");
        set_cookie(&mut response, &cookie);
        Ok(response)
    })
}

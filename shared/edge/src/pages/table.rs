//! The table of pages: which path and method lead to which handler, and which role may use it.
//!
//! The pages share paths with the JSON API. A request is for a page when it asks for HTML.

use std::{future::Future, pin::Pin};

use admin::{Problem, Role};
use http::{HeaderMap, Method, Response, header};

use super::{
    configuration, download, health, overview, page_context::PageContext, playground, prices,
    requests, session, setup, tenant, tenants, usage, welcome,
};
use crate::body::Body;

/// What a handler of a page gives.
pub(super) type PageResult = Result<Response<Body>, Problem>;
/// A page that is still being made.
pub(super) type PageFuture<'a> = Pin<Box<dyn Future<Output = PageResult> + Send + 'a>>;

/// What serves a request for a page.
type Respond = for<'a> fn(&'a mut PageContext) -> PageFuture<'a>;

/// One page, or one form's target.
#[derive(Clone, Copy)]
pub(super) struct Page {
    method: &'static str,
    path: &'static str,
    /// Who may use it; nobody has to be signed in where this is absent.
    pub(super) role: Option<Role>,
    /// What serves a request for the page.
    pub(super) respond: Respond,
}

const fn open(method: &'static str, path: &'static str, respond: Respond) -> Page {
    Page { method, path, role: None, respond }
}

const fn view(path: &'static str, respond: Respond) -> Page {
    view_for(Role::Viewer, path, respond)
}

/// A page with a form that not everybody may send.
const fn view_for(role: Role, path: &'static str, respond: Respond) -> Page {
    Page { method: "GET", path, role: Some(role), respond }
}

const fn form(path: &'static str, role: Role, respond: Respond) -> Page {
    Page { method: "POST", path, role: Some(role), respond }
}

/// Every page. `{}` stands for one segment of a path.
const PAGES: &[Page] = &[
    open("GET", "/admin/sign-in", session::show),
    open("POST", "/admin/sign-in", session::sign_in),
    open("POST", "/admin/sign-out", session::sign_out),
    open("POST", "/admin/theme", session::change_theme),
    form("/admin/sign-out-everywhere", Role::Viewer, session::sign_out_everywhere),
    view("/admin", overview::show),
    view("/admin/requests", requests::list),
    view("/admin/requests/{}", requests::show),
    view("/admin/playground", playground::show),
    view("/admin/tenants", tenants::list),
    view_for(Role::Editor, "/admin/tenants/new", tenants::new),
    form("/admin/tenants", Role::Editor, tenants::create),
    view("/admin/tenants/{}", tenant::show),
    form("/admin/tenants/{}", Role::Editor, tenant::update),
    form("/admin/tenants/{}/enable", Role::Editor, tenant::enable),
    form("/admin/tenants/{}/disable", Role::Editor, tenant::disable),
    form("/admin/tenants/{}/keys", Role::Editor, tenant::create_key),
    form("/admin/tenants/{}/rotate-key", Role::Editor, tenant::rotate_key),
    form("/admin/tenants/{}/revoke-key", Role::Editor, tenant::revoke_key),
    form("/admin/tenants/{}/delete", Role::Editor, tenant::delete),
    view("/admin/routes", configuration::show),
    view_for(Role::Admin, "/admin/routes/edit", configuration::edit),
    form("/admin/routes/edit", Role::Admin, configuration::edit_more),
    form("/admin/routes/preview", Role::Admin, configuration::preview),
    form("/admin/routes", Role::Admin, configuration::save),
    form("/admin/providers/{}/test", Role::Editor, configuration::test),
    form("/admin/providers/{}/models", Role::Editor, configuration::list_models),
    view("/admin/explain", configuration::explain),
    view("/admin/usage", usage::show),
    view("/admin/prices", prices::show),
    form("/admin/prices", Role::Editor, prices::set),
    view("/admin/health", health::show),
    view("/admin/audit", health::audit),
    view("/admin/setup", setup::show),
    form("/admin/setup", Role::Viewer, setup::show_with_key),
    view("/admin/welcome", welcome::show),
    form("/admin/welcome/provider", Role::Admin, welcome::add_provider),
    form("/admin/welcome/model", Role::Admin, welcome::add_model),
    form("/admin/welcome/key", Role::Editor, welcome::make_key),
];

/// What is asked of the pages by their script and as downloads, whatever is accepted.
const OTHERS: &[Page] = &[
    view("/admin/requests.csv", download::requests),
    view("/admin/usage.csv", download::usage),
    form("/admin/playground", Role::Editor, playground::call),
];

/// The page that a request is for, with what stands in its path in place of parameters.
pub(super) fn find(
    method: &Method,
    path: &str,
    headers: &HeaderMap,
) -> Option<(Page, Vec<String>)> {
    if !path.starts_with("/admin") {
        return None;
    }
    // Programs that ask for the same paths get the JSON API.
    let pages = if prefers_html(headers) { PAGES } else { &[] };
    let path = if path == "/admin/" { "/admin" } else { path };
    let method = if method == Method::HEAD { "GET" } else { method.as_str() };
    let pages = OTHERS.iter().chain(pages).filter(|page| page.method == method);
    pages.into_iter().find_map(|page| Some((*page, matched(page.path, path)?)))
}

/// Whether a browser asks for something to show: it alone names HTML.
pub(super) fn prefers_html(headers: &HeaderMap) -> bool {
    let accepted = headers.get(header::ACCEPT).and_then(|it| it.to_str().ok()).unwrap_or_default();
    accepted.split(',').any(|kind| kind.split(';').next().unwrap_or_default().trim() == "text/html")
}

/// What stands in a path in place of the parameters of a pattern, decoded.
fn matched(pattern: &str, path: &str) -> Option<Vec<String>> {
    if pattern.split('/').count() != path.split('/').count() {
        return None;
    }
    let mut parameters = vec![];
    for (wanted, found) in pattern.split('/').zip(path.split('/')) {
        if wanted == "{}" && !found.is_empty() {
            // Decoded after splitting: an encoded slash belongs to the name and is no border.
            let decoded = percent_encoding::percent_decode_str(found).decode_utf8().ok()?;
            parameters.push(decoded.into_owned());
        } else if wanted != found {
            return None;
        }
    }
    Some(parameters)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(method: &Method, path: &str, accept: &str) -> Option<Vec<String>> {
        let headers = HeaderMap::from_iter([(header::ACCEPT, accept.parse().unwrap())]);
        find(method, path, &headers).map(|(_, parameters)| parameters)
    }

    const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

    #[test]
    fn a_browser_gets_the_page_and_anybody_else_the_api() {
        assert_eq!(found(&Method::GET, "/admin/tenants/t%201", BROWSER).unwrap(), ["t 1"]);
        assert_eq!(found(&Method::GET, "/admin/tenants/t1", "*/*"), None);
        assert_eq!(found(&Method::GET, "/admin/tenants/t1", "application/json"), None);
        assert_eq!(found(&Method::PATCH, "/admin/tenants/t1", BROWSER), None);
    }

    #[test]
    fn a_new_tenant_is_no_tenant_of_that_name() {
        assert_eq!(
            found(&Method::GET, "/admin/tenants/new", BROWSER).unwrap(),
            Vec::<String>::new()
        );
    }

    #[test]
    fn a_download_is_one_whatever_is_accepted() {
        assert!(found(&Method::GET, "/admin/usage.csv", "*/*").is_some());
    }

    #[test]
    fn nothing_is_changed_by_a_link() {
        let changing = PAGES.iter().filter(|page| page.method == "POST" && page.role.is_some());
        assert!(changing.count() > 10);
        assert_eq!(found(&Method::GET, "/admin/tenants/t1/delete", BROWSER), None);
    }
}

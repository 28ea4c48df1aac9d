//! The administration of a gateway: operators, tenants and their keys, usage, prices, the
//! configuration and the audit.
//!
//! Every operation is a function on values, which the JSON API, the pages and the terminal call.
//! Sockets, paths and the wall clock belong to `edge`.

mod admin;
mod audit;
mod authentication;
mod configuration;
mod cross_origin;
mod login_throttle;
mod operator;
mod operator_book;
mod operators;
mod page;
mod password;
mod problem;
mod session;
mod tenant_operations;

pub use admin::{Admin, RootSecret, author};
pub use audit::audit_json;
pub use authentication::Credentials;
pub use configuration::ConfigSource;
pub use cross_origin::{PageHeaders, is_same_origin};
pub use operator::{Operator, Role};
pub use operators::{
    FIRST_OPERATOR, NewToken, OperatorChange, OperatorView, TokenView, make_first_operator,
    reset_password,
};
pub use page::{DEFAULT_PAGE_ITEMS, MAX_PAGE_ITEMS, PageRequest};
pub use problem::{AdminResult, Problem, ProblemKind};
pub use session::{
    CookieScope, PLAIN_SESSION_COOKIE, SESSION_COOKIE, SESSION_SECONDS, Session, SessionKey,
    expired_session_cookie, session_cookie,
};
pub use tenant_operations::{DEFAULT_GRACE_SECONDS, KeyView, TenantList, TenantSource, TenantView};

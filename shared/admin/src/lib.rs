//! The administration of a gateway: operators, tenants and their keys, usage, prices, the
//! configuration and the audit.
//!
//! Every operation is a function on values, which the JSON API, the pages and the terminal call.
//! Sockets, paths and the wall clock belong to `edge`.

mod admin;
mod api;
mod apply;
mod audit;
mod authentication;
mod configuration;
mod configuration_change;
mod configuration_source;
mod cross_origin;
mod declared_keys;
mod list_page;
mod login_throttle;
mod operator;
mod operators;
mod password;
mod price_text;
mod problem;
mod recorded_usage;
mod redacted_comments;
mod redacted_text;
mod secret_words;
mod session;
mod stored_operators;
mod tenant_operations;
mod usage;
mod views;

pub use admin::{Admin, RootSecret, author, generate_root_secret, parse_root_secret};
pub use api::{ApiBody, ApiRequest, ApiResponse, Operation};
pub use apply::{ApplyObserver, ApplyOptions, Destination};
pub use audit::audit_json;
pub use authentication::Credentials;
pub use configuration::{ConfigChange, ConfigMode, ConfigText, ConfigVersion};
pub use configuration_change::apply_file;
pub use configuration_source::{
    ConfigFile, ConfigRows, ConfigSource, Reach, Variables, write_private,
};
pub use cross_origin::{PageHeaders, is_same_origin};
pub use list_page::{DEFAULT_PAGE_ITEMS, MAX_PAGE_ITEMS, PageRequest};
pub use operator::{Operator, Role};
pub use operators::{
    FIRST_OPERATOR, NewToken, OperatorChange, OperatorView, TokenView, make_first_operator,
    reset_password,
};
pub use password::is_password;
pub use price_text::NewPrice;
pub use problem::{AdminResult, Problem, ProblemField, ProblemKind};
pub use recorded_usage::{add_recorded_cost, usage_date, usage_row};
pub use session::{
    CookieScope, PLAIN_SESSION_COOKIE, SESSION_COOKIE, SESSION_SECONDS, Session, SessionKey,
    expired_session_cookie, session_cookie,
};
pub use tenant_operations::{
    DEFAULT_GRACE_SECONDS, KeyView, MAX_TENANT_PAGES, TenantList, TenantSource, TenantView,
};
pub use usage::{NewAdjustment, TenantUsage, parse_period, usage_json};
pub use views::{Decision, Explanation, PriceView, StepOutlook};

//! Tenants: who is calling, what they may use, and what is left of their limits and money.
//!
//! The crate decides. Times and prices are parameters; only the ledger, the key directory and the
//! repository wait, and only for the table.

mod admission;
mod alert;
mod audit;
mod demand;
mod directory;
mod expiry_watch;
mod fields;
mod key;
mod ledger;
mod limits;
mod patch;
pub mod policy;
mod principal;
mod quota;
pub mod rate_headers;
mod refusal;
mod refusal_cache;
mod repository;
mod repository_keys;
mod reservation;
mod row;
mod rows;
mod seal;
mod settlement;
mod stale;
mod tenant;
mod tenant_json;
mod text;
mod usage;
pub mod webhook;
mod window;

pub use admission::AdmissionRequest;
pub use alert::Alert;
pub use audit::{Action, AuditEntry, Author};
pub use demand::{
    DEFAULT_MAX_OUTPUT_TOKENS, Demand, InputSize, MIN_CAPPED_OUTPUT_TOKENS, WorstPrice,
    max_output_tokens,
};
pub use directory::KeyDirectory;
pub use fields::{FieldError, Fields};
pub use key::{ApiKey, IssuedKey, KeyHash, NewKey, is_tenant_id};
pub use ledger::{
    Adjusted, Adjustment, Admission, Decision, Ended, Expired, Ledger, Settled, TopUp, Unavailable,
    UnreachablePolicy, WhenUnreachable,
};
pub use limits::{Budget, DEFAULT_ALERT_LEVELS, LimitSource, Limits, Unpriced};
pub use principal::{ConfiguredKey, Credential, Principal};
pub use quota::Quota;
pub use refusal::{Refusal, RefusalKind};
pub use repository::{
    Enabled, KeptEntry, Listed, RepositoryError, RepositoryResult, Tenants, audit_month,
};
pub use reservation::{Hold, LedgerKey, Reservation, ReservationId};
pub use seal::{SEALING_KEY_BYTES, SealingKey};
pub use settlement::{Extra, Settlement, Usage};
pub use tenant::{
    BudgetSettings, CacheSettings, CountLimits, DEFAULT_KEY_PREFIX, DEFAULT_TENANT, ModelSettings,
    ProviderSettings, RequestSettings, SystemPromptMode, Tenant, TenantSettings, ToolMode,
};
pub use tenant_json::check_tenant_name;
pub use text::plain_decimal;
pub use usage::{BudgetUsage, LedgerUsage};
pub use window::{BudgetPeriod, Period, Window, rfc3339};

//! Tenants: who has keys, limits and a budget, and what an operator may set for them.

use std::collections::BTreeMap;

use canonical::MicroDollars;

use crate::{
    limits::{Budget, DEFAULT_ALERT_LEVELS, Limits, Unpriced},
    reservation::LedgerKey,
    window::BudgetPeriod,
};

/// The id and name of the tenant that the configuration's own `api_key` belongs to.
pub const DEFAULT_TENANT: &str = "default";

/// The prefix of keys unless the tenant names another.
pub const DEFAULT_KEY_PREFIX: &str = "lg-";

/// A tenant as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenant {
    /// The id, which never changes.
    pub id: String,
    /// What an operator set.
    pub settings: TenantSettings,
    /// When the tenant was made, in seconds since 1970.
    pub created: u64,
    /// When the tenant was last changed, in seconds since 1970.
    pub updated: u64,
    /// The number of changes so far: the `ETag`.
    pub version: u64,
}

impl Tenant {
    /// A tenant that the configuration declares. Its name is its id.
    pub fn declared(settings: TenantSettings) -> Self {
        Self { id: settings.name.clone(), settings, created: 0, updated: 0, version: 0 }
    }

    /// The tenant of the configuration's own `api_key`, and of open access: without limits.
    pub fn unlimited() -> Self {
        Self::declared(TenantSettings::named(DEFAULT_TENANT))
    }

    /// The key of the tenant's ledger row.
    pub fn ledger_key(&self) -> LedgerKey {
        LedgerKey::tenant(&self.id)
    }
}

/// What an operator may set for a tenant. Absent is unlimited, 0 is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantSettings {
    /// The name, unlike every other tenant's.
    pub name: String,
    /// Whether the tenant's keys work.
    pub enabled: bool,
    /// What new keys begin with.
    pub key_prefix: String,
    /// Limits of requests, tokens and concurrent calls.
    pub limits: CountLimits,
    /// Limits of money.
    pub budget: BudgetSettings,
    /// Which models the tenant may use.
    pub models: ModelSettings,
    /// What each request may hold, and what is added to it.
    pub requests: RequestSettings,
    /// A provider of the tenant's own.
    pub provider: ProviderSettings,
    /// Whether responses are cached; absent as the gateway does for everybody.
    pub cache: Option<CacheSettings>,
    /// Labels for the operator.
    pub tags: BTreeMap<String, String>,
}

/// Limits of requests, tokens and concurrent calls.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CountLimits {
    /// `rate_limit_rpm`: requests in a minute.
    pub requests_per_minute: Option<u64>,
    /// Requests in an hour.
    pub requests_per_hour: Option<u64>,
    /// Requests in a day.
    pub requests_per_day: Option<u64>,
    /// Input tokens in a day.
    pub daily_input_tokens: Option<u64>,
    /// Output tokens in a day.
    pub daily_output_tokens: Option<u64>,
    /// Calls at the same time.
    pub max_concurrent: Option<u64>,
}

/// Limits of money.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BudgetSettings {
    /// `budget_usd`: what may be spent in a period.
    pub amount: Option<MicroDollars>,
    /// `budget_period`: how long a period lasts.
    pub period: BudgetPeriod,
    /// `alert_levels`: percentages, in ascending order; absent for the default ones.
    pub alert_levels: Option<Vec<u8>>,
    /// `unpriced`: what happens to a call whose price is unknown.
    pub unpriced: Unpriced,
}

/// Which models a tenant may use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModelSettings {
    /// Names, in which `*` stands for any text; absent for every model.
    pub allowed: Option<Vec<String>>,
    /// The model of a request that names none.
    pub default: Option<String>,
    /// Models to try, in order, when the requested one fails.
    pub fallback: Vec<String>,
}

/// What each request may hold, and what is added to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestSettings {
    /// The most input tokens of a request.
    pub max_input_tokens: Option<u64>,
    /// The most output tokens of a request.
    pub max_output_tokens: Option<u64>,
    /// A system prompt for every request.
    pub system_prompt: Option<String>,
    /// How the system prompt meets the client's own.
    pub system_prompt_mode: SystemPromptMode,
    /// Who runs tools.
    pub tool_mode: ToolMode,
}

/// How a tenant's system prompt meets the client's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SystemPromptMode {
    /// The tenant's stands before the client's.
    #[default]
    Prepend,
    /// The tenant's replaces the client's.
    Locked,
}

/// Who runs the tools that a model calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ToolMode {
    /// The client: tool calls are passed through. The gateway has no tools of its own.
    #[default]
    PassThrough,
}

/// A provider of a tenant's own, which all of its calls go to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProviderSettings {
    /// The name of a provider in the configuration, or a type; `openai` where only an address is given.
    pub name: Option<String>,
    /// Where it is reached.
    pub base_url: Option<String>,
    /// `provider_api_key`, sealed by the caller: the text is stored as it comes, and never shown.
    pub sealed_api_key: Option<String>,
}

impl ProviderSettings {
    /// Whether the tenant has a provider of its own.
    pub fn is_set(&self) -> bool {
        self.name.is_some() || self.base_url.is_some()
    }
}

/// Whether a tenant's responses are cached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheSettings {
    /// Whether they are.
    pub enabled: bool,
    /// How long, in seconds; absent as the gateway does for everybody.
    pub ttl: Option<u64>,
}

impl TenantSettings {
    /// A tenant with this name, without limits.
    pub fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            enabled: true,
            key_prefix: DEFAULT_KEY_PREFIX.to_owned(),
            limits: CountLimits::default(),
            budget: BudgetSettings::default(),
            models: ModelSettings::default(),
            requests: RequestSettings::default(),
            provider: ProviderSettings::default(),
            cache: None,
            tags: BTreeMap::new(),
        }
    }

    /// The limits that the ledger enforces.
    pub fn limits(&self) -> Limits {
        let CountLimits {
            requests_per_minute,
            requests_per_hour,
            requests_per_day,
            daily_input_tokens,
            daily_output_tokens,
            max_concurrent,
        } = self.limits;
        let BudgetSettings { amount, period, alert_levels, unpriced } = &self.budget;
        let alert_levels = alert_levels.clone().unwrap_or(DEFAULT_ALERT_LEVELS.to_vec());
        let (period, unpriced) = (*period, *unpriced);
        Limits {
            requests_per_minute,
            requests_per_hour,
            requests_per_day,
            daily_input_tokens,
            daily_output_tokens,
            max_concurrent,
            budget: amount.map(|amount| Budget { amount, period, alert_levels, unpriced }),
        }
    }
}

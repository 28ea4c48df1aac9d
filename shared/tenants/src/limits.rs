//! Limits of a tenant, as the ledger enforces them. Absent is unlimited, 0 is none.

use canonical::MicroDollars;
use serde::Serialize;

use crate::window::BudgetPeriod;

/// The percentages of a budget at which an alert is sent unless the tenant names others.
pub const DEFAULT_ALERT_LEVELS: [u8; 3] = [80, 95, 100];

/// Every limit that the ledger enforces for one tenant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Requests in a minute.
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
    /// Money.
    pub budget: Option<Budget>,
}

/// What a tenant may spend in one budget period.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budget {
    /// The amount for one period.
    pub amount: MicroDollars,
    /// How long a period lasts.
    pub period: BudgetPeriod,
    /// The percentages at which an alert is sent, in ascending order.
    pub alert_levels: Vec<u8>,
    /// What happens to a call whose price is unknown.
    pub unpriced: Unpriced,
}

impl Budget {
    /// A monthly budget with the default alert levels.
    pub fn monthly(amount: MicroDollars) -> Self {
        Self {
            amount,
            period: BudgetPeriod::Month,
            alert_levels: DEFAULT_ALERT_LEVELS.to_vec(),
            unpriced: Unpriced::Refuse,
        }
    }
}

/// What happens to a call of unknown price on a budgeted tenant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unpriced {
    /// The call is refused, since nothing could be held for it.
    #[default]
    Refuse,
    /// The call is admitted and costs nothing, because an operator said so.
    Allow,
}

impl Limits {
    /// Whether a call needs no write at all.
    pub fn is_unlimited(&self) -> bool {
        !self.counts_requests() && !self.reserves()
    }

    /// Whether requests are counted in a window.
    pub fn counts_requests(&self) -> bool {
        self.requests_per_minute.is_some()
            || self.requests_per_hour.is_some()
            || self.requests_per_day.is_some()
    }

    /// Whether a call holds something while it runs, which has to be settled.
    pub fn reserves(&self) -> bool {
        self.daily_input_tokens.is_some()
            || self.daily_output_tokens.is_some()
            || self.max_concurrent.is_some()
            || self.budget.is_some()
    }
}

/// The limit that a number or a refusal is about, named as the tenant's field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub enum LimitSource {
    /// Requests in a minute.
    #[serde(rename = "rate_limit_rpm")]
    RequestsPerMinute,
    /// Requests in an hour.
    #[serde(rename = "requests_per_hour")]
    RequestsPerHour,
    /// Requests in a day.
    #[serde(rename = "requests_per_day")]
    RequestsPerDay,
    /// Input tokens in a day.
    #[serde(rename = "daily_input_tokens")]
    DailyInputTokens,
    /// Output tokens in a day.
    #[serde(rename = "daily_output_tokens")]
    DailyOutputTokens,
    /// Calls at the same time.
    #[serde(rename = "max_concurrent")]
    Concurrency,
    /// Money.
    #[serde(rename = "budget_usd")]
    Budget,
}

impl LimitSource {
    /// The tenant's field.
    pub fn field(self) -> &'static str {
        match self {
            Self::RequestsPerMinute => "rate_limit_rpm",
            Self::RequestsPerHour => "requests_per_hour",
            Self::RequestsPerDay => "requests_per_day",
            Self::DailyInputTokens => "daily_input_tokens",
            Self::DailyOutputTokens => "daily_output_tokens",
            Self::Concurrency => "max_concurrent",
            Self::Budget => "budget_usd",
        }
    }

    /// Whether the limit counts requests, which are never given back within their window.
    pub fn counts_requests(self) -> bool {
        match self {
            Self::RequestsPerMinute | Self::RequestsPerHour | Self::RequestsPerDay => true,
            Self::DailyInputTokens | Self::DailyOutputTokens | Self::Concurrency | Self::Budget => {
                false
            }
        }
    }
}

//! Tenants: who is calling, what they may use, and what is left of their limits and money.
//!
//! The crate decides. Times and prices are parameters; only the ledger, the key directory and the
//! repository wait, and only for the table.

mod admission;
mod alert;
mod demand;
mod gate;
mod ledger;
mod limits;
mod quota;
mod refusal;
mod refusal_cache;
mod reservation;
mod row;
mod settlement;
mod text;
mod usage;
mod window;

pub use admission::AdmissionRequest;
pub use alert::Alert;
pub use demand::{
    DEFAULT_MAX_OUTPUT_TOKENS, Demand, InputSize, MIN_CAPPED_OUTPUT_TOKENS, WorstPrice,
    max_output_tokens,
};
pub use gate::Gate;
pub use ledger::{
    Admission, Decision, Ended, Expired, Ledger, Settled, TopUp, Unavailable, UnreachablePolicy,
    WhenUnreachable,
};
pub use limits::{Budget, DEFAULT_ALERT_LEVELS, LimitSource, Limits, Unpriced};
pub use quota::Quota;
pub use refusal::{Refusal, RefusalKind};
pub use reservation::{Hold, LedgerKey, Reservation, ReservationId};
pub use settlement::{Adjustment, Extra, Settlement, Usage};
pub use usage::{BudgetUsage, LedgerUsage};
pub use window::{BudgetPeriod, Period, Window};

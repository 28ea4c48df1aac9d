//! The vocabulary that every format translates to and from.
//!
//! Plain values: nothing here reads, writes or waits. None of it is ever sent anywhere as it is.

mod attempt;
mod error;
mod event;
mod request;
mod summary;
mod usage;

pub use attempt::{Attempt, Outcome};
pub use error::{Error, Facts, Kind, Origin, Result};
pub use event::{Event, EventKind, Response};
pub use request::{Member, Raw, Request};
pub use summary::Summary;
pub use usage::{MicroDollars, Usage};

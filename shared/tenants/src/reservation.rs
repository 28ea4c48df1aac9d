//! Reservations: what one call holds in its tenant's ledger row until it is settled.

use std::fmt;

use canonical::MicroDollars;
use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};

use crate::{text::hexadecimal, window::Period};

/// What every reservation's attribute begins with.
pub(crate) const PREFIX: &str = "r_";

/// What stands behind every reservation's attribute, in the order of bytes.
pub(crate) const BEHIND_PREFIX: &str = "r`";

/// How many random bytes name a reservation.
const ID_BYTES: usize = 8;

/// The key of a ledger row: who is limited.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LedgerKey(String);

impl LedgerKey {
    /// The ledger of a tenant.
    pub fn tenant(id: &str) -> Self {
        Self(format!("tenant#{id}"))
    }

    /// The id of the tenant.
    pub fn tenant_id(&self) -> &str {
        self.0.trim_start_matches("tenant#")
    }

    /// The partition of the row.
    pub fn partition(&self) -> &str {
        &self.0
    }
}

/// The name of a reservation, unlike every other one of its tenant. An admission that is repeated
/// under the same name is made once.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ReservationId(String);

impl ReservationId {
    /// A name made of 64 random bits; nothing without randomness.
    pub fn random() -> Option<Self> {
        let mut bytes = [0; ID_BYTES];
        SystemRandom::new().fill(&mut bytes).ok()?;
        Some(Self(hexadecimal(&bytes)))
    }

    /// A name that the caller made unique.
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// The attribute of the reservation in its row.
    pub fn attribute(&self) -> String {
        format!("{PREFIX}{}", self.0)
    }
}

/// What a reservation holds, and in which windows. Its text is `est,in,out,day,period,until`,
/// with nothing where a limit did not apply.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Money held in `period`, in micro-dollars.
    pub cost: u64,
    /// Input tokens held in `day`; absent where they are not limited.
    pub input: Option<u64>,
    /// Output tokens held in `day`; absent where they are not limited.
    pub output: Option<u64>,
    /// The day of the token windows, in days since 1970.
    pub day: u64,
    /// The budget period, as its name; absent where no budget applied.
    pub period: Option<String>,
    /// The deadline of the call, in seconds since 1970.
    pub until: u64,
}

impl Hold {
    /// The money held.
    pub fn money(&self) -> MicroDollars {
        MicroDollars(self.cost)
    }

    /// The budget period that the money is held in.
    pub(crate) fn budget_period(&self) -> Option<Period> {
        Period::parse(self.period.as_deref()?)
    }

    /// The deadline of a hold that a text describes, without a look at the rest; none for a text that
    /// has none.
    pub(crate) fn deadline(text: &str) -> Option<u64> {
        text.rsplit_once(',')?.1.parse().ok()
    }

    /// The hold that a text describes.
    pub fn parse(text: &str) -> Option<Self> {
        let mut fields = text.split(',');
        let hold = Self {
            cost: fields.next()?.parse().ok()?,
            input: optional(fields.next()?)?,
            output: optional(fields.next()?)?,
            day: fields.next()?.parse().ok()?,
            period: Some(fields.next()?).filter(|name| !name.is_empty()).map(str::to_owned),
            until: fields.next()?.parse().ok()?,
        };
        // A text with more fields is of a newer version, and must not be settled by half.
        fields.next().is_none().then_some(hold)
    }
}

/// A number that may be absent, and nothing for a text that is neither.
#[expect(clippy::option_option, reason = "an absent number is not an unreadable one")]
fn optional(text: &str) -> Option<Option<u64>> {
    if text.is_empty() {
        return Some(None);
    }
    text.parse().ok().map(Some)
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = |number: Option<u64>| number.map_or(String::new(), |it| it.to_string());
        let (input, output) = (number(self.input), number(self.output));
        let period = self.period.as_deref().unwrap_or_default();
        write!(f, "{},{input},{output},{},{period},{}", self.cost, self.day, self.until)
    }
}

/// An open reservation as its owner knows it: the handle that settles it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reservation {
    /// The row that holds the reservation.
    pub key: LedgerKey,
    /// The reservation's name.
    pub id: ReservationId,
    /// What the reservation holds, as far as its owner knows.
    pub hold: Hold,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hold_is_read_as_it_was_written() {
        for text in ["30000,1200,256,20785,202611,1795824600", "0,,,20785,,17", "5,,9,1,20261128,2"]
        {
            assert_eq!(Hold::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_broken_hold_is_none() {
        for text in ["", "1,2,3", "1,2,3,4,202611,x", "1,x,3,4,202611,6", "1,2,3,4,202611,6,7"] {
            assert_eq!(Hold::parse(text), None, "{text}");
        }
    }

    #[test]
    fn random_names_differ() {
        assert_ne!(ReservationId::random().unwrap(), ReservationId::random().unwrap());
    }
}

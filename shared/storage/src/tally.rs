//! The conditional counter: numbers and notes in one row, changed together or not at all.
//!
//! Here is the rule for one row; each backend makes it atomic.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One change of a row of numbers and notes: all conditions hold and it is made, or nothing is.
///
/// A name occurs once among `add`, `set` and `remove`, has 1 to 255 bytes, and is none of `pk`,
/// `sk`, `value` and `expires`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// The partition.
    pub pk: String,
    /// The key within the partition.
    pub sk: String,
    /// The conditions under which the change is made.
    pub conditions: Vec<Condition>,
    /// The amounts to add to numbers; a number that is not there is 0.
    pub add: Vec<(String, i64)>,
    /// Notes to write, over those of the same name.
    pub set: Vec<(String, String)>,
    /// Numbers and notes to remove, if they are there.
    pub remove: Vec<String>,
    /// When the row ends from now on, in seconds since 1970. Absent: as before.
    pub expires: Option<u64>,
}

/// A condition on a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// There is no number and no note of this name.
    Absent(String),
    /// There is a number or a note of this name.
    Present(String),
    /// The note of this name is this text.
    Is(String, String),
    /// The number of this name is at most this; a number that is not there is 0.
    AtMost(String, i64),
}

impl Condition {
    /// The number or note that the condition looks at.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Absent(name)
            | Self::Present(name)
            | Self::Is(name, _)
            | Self::AtMost(name, _) => name,
        }
    }
}

/// The outcome of a [`Tally`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tallied {
    /// The change was made; the row after it.
    Done(Tallies),
    /// A condition did not hold and nothing was changed; the row as it stands.
    Refused(Tallies),
}

/// The numbers and notes of one row.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tallies {
    /// Numbers by name.
    #[serde(rename = "n", default, skip_serializing_if = "BTreeMap::is_empty")]
    pub numbers: BTreeMap<String, i64>,
    /// Notes by name.
    #[serde(rename = "s", default, skip_serializing_if = "BTreeMap::is_empty")]
    pub notes: BTreeMap<String, String>,
}

impl Tallies {
    /// A number; 0 if it is not there.
    pub fn number(&self, name: &str) -> i64 {
        self.numbers.get(name).copied().unwrap_or(0)
    }

    /// A note, if it is there.
    pub fn note(&self, name: &str) -> Option<&str> {
        self.notes.get(name).map(String::as_str)
    }

    /// Makes a change if its conditions hold. An error says what no store can do.
    pub(crate) fn apply(self, change: &Tally) -> Result<Tallied, String> {
        if !change.conditions.iter().all(|condition| self.meets(condition)) {
            return Ok(Tallied::Refused(self));
        }
        let mut after = self;
        for (name, amount) in &change.add {
            if after.notes.contains_key(name) {
                return Err(format!("`{name}` is a note, so nothing can be added to it"));
            }
            let number = after.numbers.entry(name.clone()).or_insert(0);
            *number = number
                .checked_add(*amount)
                .ok_or_else(|| format!("`{name}` would leave the range of 64-bit numbers"))?;
        }
        for (name, text) in &change.set {
            after.numbers.remove(name);
            after.notes.insert(name.clone(), text.clone());
        }
        for name in &change.remove {
            after.numbers.remove(name);
            after.notes.remove(name);
        }
        Ok(Tallied::Done(after))
    }

    fn meets(&self, condition: &Condition) -> bool {
        match condition {
            Condition::Absent(name) => !self.holds(name),
            Condition::Present(name) => self.holds(name),
            Condition::Is(name, text) => self.note(name) == Some(text),
            Condition::AtMost(name, most) => {
                !self.notes.contains_key(name) && self.number(name) <= *most
            }
        }
    }

    fn holds(&self, name: &str) -> bool {
        self.numbers.contains_key(name) || self.notes.contains_key(name)
    }
}

//! The conditional counter: numbers and notes in one row, changed together or not at all.
//!
//! Here is the rule for one row; each backend makes it atomic.

use std::{collections::BTreeMap, sync::Arc};

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
    /// How the names of those notes begin that the caller does not read once the change is made: the
    /// row that comes back then may lack them.
    pub unread_notes: Option<&'static str>,
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
    /// The change was made; the row after it, which may lack [`Tally::unread_notes`].
    Done(Tallies),
    /// A condition did not hold and nothing was changed; the row as it stands.
    Refused(Tallies),
}

/// The numbers and notes of one row. Its texts are shared by its clones: a row of a busy tenant has
/// a note for each open call, and each change gives the whole row back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tallies {
    /// Numbers by name.
    #[serde(rename = "n", default, skip_serializing_if = "BTreeMap::is_empty")]
    pub numbers: BTreeMap<Arc<str>, i64>,
    /// Notes by name.
    #[serde(rename = "s", default, skip_serializing_if = "BTreeMap::is_empty")]
    pub notes: BTreeMap<Arc<str>, Arc<str>>,
}

impl Tallies {
    /// A number; 0 if it is not there.
    pub fn number(&self, name: &str) -> i64 {
        self.numbers.get(name).copied().unwrap_or(0)
    }

    /// A note, if it is there.
    pub fn note(&self, name: &str) -> Option<&str> {
        self.notes.get(name).map(AsRef::as_ref)
    }

    /// Makes a change if its conditions hold, and tells whether it did. An error says what no store
    /// can do; nothing is changed then, either.
    pub(crate) fn apply(&mut self, change: &Tally) -> Result<bool, String> {
        if !change.conditions.iter().all(|condition| self.meets(condition)) {
            return Ok(false);
        }
        // All sums before the first change, so that an error leaves none behind.
        let sums = change.add.iter().map(|(name, amount)| self.sum(name, *amount));
        let sums: Vec<i64> = sums.collect::<Result<_, _>>()?;

        for ((name, _), sum) in change.add.iter().zip(sums) {
            match self.numbers.get_mut(name.as_str()) {
                Some(number) => *number = sum,
                None => drop(self.numbers.insert(name.as_str().into(), sum)),
            }
        }
        for (name, text) in &change.set {
            // One name is one attribute in DynamoDB: a note takes the place of a number.
            self.numbers.remove(name.as_str());
            self.notes.insert(name.as_str().into(), text.as_str().into());
        }
        for name in &change.remove {
            self.numbers.remove(name.as_str());
            self.notes.remove(name.as_str());
        }
        Ok(true)
    }

    /// The row as the caller of a change that was made gets it.
    pub(crate) fn after(&self, change: &Tally) -> Self {
        let Some(unread) = change.unread_notes else { return self.clone() };
        let notes = self.notes.iter().filter(|(name, _)| !name.starts_with(unread));
        // Nearly all notes of a busy row are those of open calls. A copy of each for each change would
        // also make the threads of all calls wait for each other's counts of references.
        let notes = notes.map(|(name, note)| (name.clone(), note.clone())).collect();
        Self { numbers: self.numbers.clone(), notes }
    }

    /// A number and an amount together.
    fn sum(&self, name: &str, amount: i64) -> Result<i64, String> {
        // As DynamoDB, whose ADD takes numbers only.
        if self.notes.contains_key(name) {
            return Err(format!("`{name}` is a note, so nothing can be added to it"));
        }
        let sum = self.number(name).checked_add(amount);
        sum.ok_or_else(|| format!("`{name}` would leave the range of 64-bit numbers"))
    }

    fn meets(&self, condition: &Condition) -> bool {
        match condition {
            Condition::Absent(name) => !self.holds(name),
            Condition::Present(name) => self.holds(name),
            Condition::Is(name, text) => self.note(name) == Some(text),
            Condition::AtMost(name, most) => {
                // DynamoDB compares no text with a number: the condition is not met.
                !self.notes.contains_key(name.as_str()) && self.number(name) <= *most
            }
        }
    }

    fn holds(&self, name: &str) -> bool {
        self.numbers.contains_key(name) || self.notes.contains_key(name)
    }
}

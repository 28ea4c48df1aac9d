//! Remedies: what a target is asked without, because it has rejected it and may do without.

use canonical::{Error, ErrorKind, Field};

/// How many fields a target is asked without.
const MAX_DROPPED_FIELDS: usize = 4;

/// What a target is asked without.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AppliedRemedies {
    /// Whether signatures of earlier reasoning are left out.
    pub signatures: bool,
    /// Whether headers that ask for betas are left out.
    pub betas: bool,
    /// Fields that are left out.
    pub fields: Vec<Field>,
}

impl AppliedRemedies {
    /// Adds the remedy for a failure. False where there is none, or it was applied already.
    pub(super) fn add(&mut self, error: &Error) -> bool {
        match (error.kind, &error.field) {
            (ErrorKind::InvalidSignature, _) => !std::mem::replace(&mut self.signatures, true),
            (ErrorKind::UnsupportedBeta, _) => !std::mem::replace(&mut self.betas, true),
            (ErrorKind::RejectedParam, Some(field)) if !self.fields.contains(field) => {
                self.fields.push(field.clone());
                self.fields.len() <= MAX_DROPPED_FIELDS
            }
            _ => false,
        }
    }
}

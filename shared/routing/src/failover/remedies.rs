//! Remedies: what a target is asked without, because it has rejected it and may do without.

use canonical::{Error, Field, Remedy};

/// How many fields a target is asked without.
const MAX_DROPPED_FIELDS: usize = 4;

/// The parts of a request that a target is not sent.
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
    /// Adds the remedy that a failure suggests. False where there is none, or it was applied already.
    pub(super) fn add(&mut self, error: &Error) -> bool {
        match &error.remedy {
            Some(Remedy::DropSignatures) => !std::mem::replace(&mut self.signatures, true),
            Some(Remedy::DropBetas) => !std::mem::replace(&mut self.betas, true),
            Some(Remedy::DropParam(field)) => self.drop_field(field),
            Some(Remedy::SchemaAsText) => self.drop_field(&Field::ResponseSchema),
            None => false,
        }
    }

    fn drop_field(&mut self, field: &Field) -> bool {
        if self.fields.contains(field) {
            return false;
        }
        self.fields.push(field.clone());
        self.fields.len() <= MAX_DROPPED_FIELDS
    }
}

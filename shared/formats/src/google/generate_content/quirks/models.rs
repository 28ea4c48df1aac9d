//! The generations of Gemini, which differ in what they accept.
//!
//! Source: the guides on thinking, reasoning signatures and file input, seen 2026-11. A model of which
//! nothing is known counts as a new one.

use canonical::{ModelFacts, ModelFamily, ReasoningControl};

/// How a generation of models differs from its elders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    /// Up to 2.0, and the open ones: no reasoning, nothing fetched from the web.
    Old,
    /// 2.5: reasoning within a budget.
    Budget,
    /// From 3 on: reasoning at a level, signatures demanded, tools beside a response format.
    Level,
}

impl Family {
    /// The generation of a model.
    pub(crate) fn of(facts: &ModelFacts) -> Self {
        match facts.reasoning.control {
            // A name that nobody knows is more likely that of a new model than of an old one.
            _ if facts.family != ModelFamily::Gemini => Self::Level,
            Some(ReasoningControl::None) => Self::Old,
            Some(ReasoningControl::Budget) => Self::Budget,
            Some(ReasoningControl::Effort | ReasoningControl::Adaptive) | None => Self::Level,
        }
    }
}

/// A model's name without its collection.
pub(crate) fn bare(model: &str) -> &str {
    model.strip_prefix("models/").unwrap_or(model)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::facts;

    #[test]
    fn a_generation_follows_from_the_facts() {
        let family = |name: &str| Family::of(facts("gemini", name));
        assert_eq!(family("models/gemini-1.5-pro-002"), Family::Old);
        assert_eq!(family("gemini-2.0-flash"), Family::Old);
        assert_eq!(family("gemma-3-27b-it"), Family::Old);
        assert_eq!(family("gemini-2.5-flash-lite"), Family::Budget);
        for new in ["gemini-3-pro-preview", "gemini-3.8-flash", "gemini-flash-latest", "x"] {
            assert_eq!(family(new), Family::Level, "{new}");
        }
    }
}

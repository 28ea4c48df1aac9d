//! What a model can be told, by its name.
//!
//! Source: the guides on thinking, reasoning signatures and file input, seen 2026-11. A name that says
//! nothing of its age is taken for a new one.

/// How a family of models differs from its elders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    /// Up to 2.0, and the open ones: no thinking, nothing fetched from the web.
    Old,
    /// 2.5: thinks within a budget.
    Budget,
    /// From 3 on: thinks at a level, demands signatures, takes tools beside a response format.
    Level,
}

/// The family of a model.
pub(crate) fn family(model: &str) -> Family {
    let name = bare(model);
    if name.starts_with("gemma") || name.starts_with("learnlm") {
        return Family::Old;
    }
    match name.strip_prefix("gemini-").unwrap_or_default() {
        it if it.starts_with("1.") || it.starts_with("2.0") || it.starts_with("pro-vision") => {
            Family::Old
        }
        it if it.starts_with("2.5") => Family::Budget,
        _ => Family::Level,
    }
}

/// A model's name without the collection that it is in.
pub(crate) fn bare(model: &str) -> &str {
    model.strip_prefix("models/").unwrap_or(model)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_the_family() {
        assert_eq!(family("models/gemini-1.5-pro-002"), Family::Old);
        assert_eq!(family("gemini-2.0-flash"), Family::Old);
        assert_eq!(family("gemma-3-27b-it"), Family::Old);
        assert_eq!(family("gemini-2.5-flash-lite"), Family::Budget);
        for new in ["gemini-3-pro-preview", "gemini-3.8-flash", "gemini-flash-latest", "x"] {
            assert_eq!(family(new), Family::Level, "{new}");
        }
    }
}

//! What each of Anthropic's models takes of a request.
//!
//! Source: `getModelCapabilities` and the documentation of `@ai-sdk/anthropic` 3.0.138, and
//! platform.claude.com on thinking and effort, seen 2026-11. A model that is not known yet is taken
//! for one of the newest; one that is not Anthropic's for one that takes everything.

/// What one model takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Model {
    pub(crate) thinking: Thinking,
    pub(crate) off: SwitchOff,
    pub(crate) effort: EffortWords,
    pub(crate) sampling: Sampling,
    /// Whether a tool call can be forced.
    pub(crate) forced: bool,
    /// Whether responses and arguments can be held to a schema.
    pub(crate) schemas: bool,
    /// Whether it goes on where a last message of its own ends.
    pub(crate) continues: bool,
    /// How many tokens it can write, where the catalog does not know.
    pub(crate) max_output: u64,
}

/// How thinking is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Thinking {
    /// It does not think.
    Never,
    /// With a budget.
    Budget,
    /// The model decides how much.
    Adaptive,
}

/// How thinking is switched off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SwitchOff {
    /// It is off unless it is asked for.
    Already,
    /// With `disabled`.
    Disabled,
    /// Not at all, but for `between_tools`.
    BetweenTools,
    /// Not at all.
    Never,
}

/// Whether it takes `temperature`, `top_p` and `top_k`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sampling {
    /// All of them.
    All,
    /// `temperature` or `top_p`, not both.
    OneOf,
    /// None but the model's own values.
    None,
}

/// Which members for effort it knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EffortWords {
    /// None.
    None,
    /// Up to `high`.
    High,
    /// Up to `max`.
    Max,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    Haiku,
    Sonnet,
    Opus,
    Fable,
    Other,
}

/// Whether a name is one of Anthropic's own models.
pub(crate) fn is_claude(name: &str) -> bool {
    name.to_ascii_lowercase().contains("claude-")
}

/// Looks a model up, by any provider's name for it.
pub(crate) fn model(name: &str) -> Model {
    let name = name.to_ascii_lowercase().replace('.', "-");
    let Some((_, claude)) = name.split_once("claude-") else {
        return Model { forced: true, max_output: 8192, ..of(Family::Other, (4, 0)) };
    };
    let family = match claude {
        _ if claude.contains("haiku") => Family::Haiku,
        _ if claude.contains("sonnet") => Family::Sonnet,
        _ if claude.contains("opus") => Family::Opus,
        _ if claude.contains("fable") || claude.contains("mythos") => Family::Fable,
        _ => Family::Other,
    };
    of(family, version(claude))
}

/// The first two small numbers of a name. Dates are longer; a name without any is the newest.
fn version(name: &str) -> (u32, u32) {
    let is_number = |it: &&str| it.len() <= 2 && it.bytes().all(|it| it.is_ascii_digit());
    let words: Vec<&str> = name.split(|it: char| !it.is_ascii_alphanumeric()).collect();
    let Some(first) = words.iter().position(|it| !it.is_empty() && is_number(it)) else {
        return (u32::MAX, 0);
    };
    let number = |at: usize| words.get(at).filter(|it| is_number(it))?.parse().ok();
    (number(first).unwrap_or(u32::MAX), number(first + 1).unwrap_or(0))
}

fn of(family: Family, version: (u32, u32)) -> Model {
    let newest = (5, 1) <= version && (family, version) != (Family::Haiku, (5, 5));
    let always = newest || (family == Family::Fable);
    let opus = family == Family::Opus;
    Model {
        thinking: match version {
            _ if version < (3, 7) => Thinking::Never,
            _ if version < (4, 6) => Thinking::Budget,
            _ => Thinking::Adaptive,
        },
        off: match version {
            _ if version < (4, 6) => SwitchOff::Already,
            _ if (family, version) == (Family::Sonnet, (5, 5)) => SwitchOff::BetweenTools,
            _ if always => SwitchOff::Never,
            _ => SwitchOff::Disabled,
        },
        effort: match version {
            _ if (4, 6) <= version => EffortWords::Max,
            _ if opus && version == (4, 5) => EffortWords::High,
            _ => EffortWords::None,
        },
        sampling: match version {
            _ if version < (4, 1) => Sampling::All,
            _ if version < (4, 7) => Sampling::OneOf,
            _ => Sampling::None,
        },
        forced: !newest,
        schemas: (4, 5) <= version || (opus && version == (4, 1)),
        continues: version < (4, 6),
        max_output: match version {
            _ if version < (3, 5) => 4096,
            _ if version < (3, 7) => 8192,
            _ if opus && version < (4, 5) => 32_000,
            _ => 64_000,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_every_provider_are_recognized() {
        for name in [
            "claude-sonnet-4-5-20250929",
            "anthropic/claude-sonnet-4.5",
            "global.anthropic.claude-sonnet-4-5-20250929-v1:0",
            "claude-sonnet-4-5@20250929",
        ] {
            let model = model(name);
            assert_eq!((model.thinking, model.schemas), (Thinking::Budget, true), "{name}");
        }
        assert_eq!(version("opus-4-20250514"), (4, 0));
        assert_eq!(version("3-7-sonnet-20250219"), (3, 7));
        assert_eq!(version("3-haiku-20240307"), (3, 0));
    }

    #[test]
    fn each_generation_takes_less() {
        let off = |name: &str| model(name).off;
        assert_eq!(model("claude-3-5-haiku-20241022").thinking, Thinking::Never);
        assert_eq!(model("claude-sonnet-4-6").thinking, Thinking::Adaptive);
        assert_eq!(model("claude-sonnet-4-6").sampling, Sampling::OneOf);
        assert_eq!(model("claude-opus-4-7").sampling, Sampling::None);
        assert_eq!(off("claude-opus-5"), SwitchOff::Disabled);
        assert_eq!(off("claude-haiku-5-5"), SwitchOff::Disabled);
        assert_eq!(off("claude-sonnet-5-5"), SwitchOff::BetweenTools);
        assert_eq!(off("claude-fable-5"), SwitchOff::Never);
        assert!(model("claude-fable-5").forced && !model("claude-opus-5-5").forced);
        assert_eq!(model("claude-next").thinking, Thinking::Adaptive);
        assert!(!model("claude-next").forced);
    }

    #[test]
    fn a_model_that_is_not_anthropics_takes_what_the_older_ones_took() {
        let model = model("kimi-k2");
        assert_eq!(model.thinking, Thinking::Budget);
        assert_eq!(model.sampling, Sampling::All);
        assert!(model.forced && !model.schemas);
    }
}

//! The parts of a request that a model accepts, in Anthropic's terms.
//!
//! Facts hold for Claude only: a model of another maker that is called in this format counts as one
//! that accepts what the older ones of Anthropic's did.

use canonical::{Effort, ModelFacts, ModelFamily, ReasoningControl, ReasoningOff, SamplingSupport};

/// The limit on output tokens for a model whose own is not known.
const DEFAULT_MAX_OUTPUT: u64 = 8192;

/// The parts of a request that one model accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Model {
    /// How reasoning is requested.
    pub(crate) thinking: Thinking,
    /// How reasoning is switched off.
    pub(crate) off: ReasoningOff,
    /// The values of `effort`.
    pub(crate) effort: EffortWords,
    /// The sampling parameters.
    pub(crate) sampling: SamplingSupport,
    /// Whether a tool call can be forced.
    pub(crate) forced: bool,
    /// Whether responses and arguments can be held to a schema.
    pub(crate) schemas: bool,
    /// Whether a last message of the assistant is continued.
    pub(crate) continues: bool,
    /// The most output tokens.
    pub(crate) max_output: u64,
}

/// How reasoning is requested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Thinking {
    /// Not at all: the model does not reason.
    Never,
    /// With a budget.
    Budget,
    /// The model decides how much.
    Adaptive,
}

/// The values of `effort` that a model accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EffortWords {
    /// None.
    None,
    /// Up to `high`.
    High,
    /// Up to `max`.
    Max,
}

impl Model {
    /// The model of these facts.
    pub(crate) fn of(facts: &ModelFacts) -> Self {
        let default_max_output = facts.default_max_output.unwrap_or(DEFAULT_MAX_OUTPUT);
        let max_output = facts.max_output.unwrap_or(default_max_output);
        // Read after the limit: that of a foreign model counts here too, its other facts do not.
        let facts =
            if facts.family == ModelFamily::Claude { facts } else { <&ModelFacts>::default() };
        Self {
            thinking: match facts.reasoning.control {
                Some(ReasoningControl::None) => Thinking::Never,
                Some(ReasoningControl::Adaptive) => Thinking::Adaptive,
                // What is not known is asked for as the first models that reasoned were.
                Some(ReasoningControl::Budget | ReasoningControl::Effort) | None => {
                    Thinking::Budget
                }
            },
            off: facts.reasoning.off,
            effort: match facts.reasoning.efforts.last() {
                None => EffortWords::None,
                Some(Effort::Highest) => EffortWords::Max,
                Some(_) => EffortWords::High,
            },
            sampling: facts.sampling,
            forced: facts.forced_tools,
            schemas: facts.schemas,
            // Refused before the provider is called only where it is known: an unknown model may
            // take it.
            continues: facts.prefill != Some(false),
            max_output,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::facts;

    fn model(name: &str) -> Model {
        Model::of(facts("anthropic", name))
    }

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
    }

    #[test]
    fn each_generation_takes_less() {
        let off = |name: &str| model(name).off;
        assert_eq!(model("claude-3-5-haiku-20241022").thinking, Thinking::Never);
        assert_eq!(model("claude-sonnet-4-6").thinking, Thinking::Adaptive);
        assert_eq!(model("claude-sonnet-4-6").sampling, SamplingSupport::OneOf);
        assert_eq!(model("claude-opus-4-7").sampling, SamplingSupport::None);
        assert_eq!(off("claude-opus-5"), ReasoningOff::Disabled);
        assert_eq!(off("claude-haiku-5-5"), ReasoningOff::Disabled);
        assert_eq!(off("claude-sonnet-5-5"), ReasoningOff::BetweenTools);
        assert_eq!(off("claude-fable-5"), ReasoningOff::Never);
        assert!(model("claude-fable-5").forced && !model("claude-opus-5-5").forced);
        assert_eq!(model("claude-next").thinking, Thinking::Adaptive);
        assert!(!model("claude-next").forced);
    }

    #[test]
    fn a_model_that_is_not_anthropics_takes_what_the_older_ones_took() {
        let model = model("kimi-k2");
        assert_eq!(model.thinking, Thinking::Budget);
        assert_eq!(model.sampling, SamplingSupport::All);
        assert!(model.forced && !model.schemas);
    }
}

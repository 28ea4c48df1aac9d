//! Facts about a model, as far as they decide how a request is encoded.
//!
//! The facts themselves are data of `model-catalog`. What is left open is not known: a format then
//! encodes for what its own models usually accept.

use serde::Deserialize;

use crate::Effort;

/// Facts about a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelFacts {
    /// The line of models that the model belongs to.
    pub family: ModelFamily,
    /// The most tokens that prompt and response may have together.
    pub context_window: Option<u64>,
    /// The most output tokens.
    pub max_output: Option<u64>,
    /// The most output tokens of the family, for a format that demands a limit where `max_output` is
    /// not known.
    pub default_max_output: Option<u64>,
    /// The APIs that the model has and others of its provider have not, or have beside chat.
    pub apis: Vec<ModelApi>,
    /// How the model reasons.
    pub reasoning: ReasoningFacts,
    /// Which sampling parameters are accepted.
    pub sampling: SamplingSupport,
    /// Whether a tool call can be forced.
    pub forced_tools: bool,
    /// Whether responses and arguments can be held to a schema.
    pub schemas: bool,
    /// Whether a last message of the assistant is continued; none where that is not known.
    pub prefill: Option<bool>,
    /// Whether the length of vectors can be chosen.
    pub dimensions: bool,
}

/// An API by which models of one provider differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ModelApi {
    /// OpenAI Responses, and no chat.
    Responses,
    /// The continuation of texts.
    Completions,
    /// The filling of gaps in texts.
    Infill,
}

/// A line of models with rules of its own for requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ModelFamily {
    /// The name does not say.
    #[default]
    Unknown,
    /// A model that is known to be of no family below.
    Other,
    /// Anthropic's Claude.
    Claude,
    /// Google's Gemini.
    Gemini,
    /// Mistral AI's models.
    Mistral,
    /// Amazon's Nova.
    Nova,
    /// OpenAI's models with open weights.
    GptOss,
    /// Amazon's Titan for embeddings.
    TitanEmbed,
    /// Cohere's Embed.
    CohereEmbed,
}

/// How a model reasons.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReasoningFacts {
    /// How reasoning is requested.
    pub control: Option<ReasoningControl>,
    /// How reasoning is switched off.
    pub off: ReasoningOff,
    /// The efforts that are accepted, the least first; empty where none can be named.
    pub efforts: Vec<Effort>,
    /// The least and the largest budget, in tokens.
    pub budget: Option<(u64, u64)>,
    /// Whether the model reasons where a request does not mention it.
    pub unrequested: bool,
    /// Whether the text of earlier reasoning belongs into the next request.
    pub replays_text: bool,
}

/// How reasoning is requested.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReasoningControl {
    /// Not at all: the model does not reason.
    None,
    /// With a budget in tokens.
    Budget,
    /// With an effort.
    Effort,
    /// The model decides how much; an effort may stand beside.
    Adaptive,
}

/// How reasoning is switched off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReasoningOff {
    /// Reasoning is off unless it is requested.
    #[default]
    Unrequested,
    /// By saying so.
    Disabled,
    /// Not at all, but for the time between tool calls.
    BetweenTools,
    /// Not at all.
    Never,
}

/// Which of `temperature`, `top_p` and `top_k` are accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SamplingSupport {
    /// All of them.
    #[default]
    All,
    /// `temperature` or `top_p`, not both.
    OneOf,
    /// None but the model's own values.
    None,
}

impl ModelFacts {
    /// Facts about a model of which nothing is known.
    pub const UNKNOWN: Self = Self {
        family: ModelFamily::Unknown,
        context_window: None,
        max_output: None,
        default_max_output: None,
        apis: vec![],
        reasoning: ReasoningFacts {
            control: None,
            off: ReasoningOff::Unrequested,
            efforts: vec![],
            budget: None,
            unrequested: false,
            replays_text: false,
        },
        sampling: SamplingSupport::All,
        // The four below are what most models take: what is wrongly sent is refused with a remedy,
        // what is wrongly left out is lost in silence.
        forced_tools: true,
        schemas: false,
        prefill: None,
        dimensions: true,
    };
}

impl Default for ModelFacts {
    fn default() -> Self {
        Self::UNKNOWN
    }
}

impl Default for &ModelFacts {
    fn default() -> Self {
        // So that options for encoding have a default that borrows.
        const { &ModelFacts::UNKNOWN }
    }
}

/// The least accepted effort that is at least the wanted one, else the largest accepted one. None where
/// no effort is accepted.
pub fn nearest_effort(accepted: &[Effort], wanted: Effort) -> Option<Effort> {
    // Rounded up, because too little reasoning costs an answer and too much only tokens.
    accepted.iter().find(|it| wanted <= **it).or(accepted.last()).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_effort_is_rounded_up_to_an_accepted_one() {
        let accepted = [Effort::Low, Effort::High];
        assert_eq!(nearest_effort(&accepted, Effort::None), Some(Effort::Low));
        assert_eq!(nearest_effort(&accepted, Effort::Medium), Some(Effort::High));
        assert_eq!(nearest_effort(&accepted, Effort::Highest), Some(Effort::High));
        assert_eq!(nearest_effort(&[], Effort::Low), None);
    }
}

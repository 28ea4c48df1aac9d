//! Families of models on Bedrock: Converse is one API, and its models differ.
//!
//! The ARN of an application inference profile, or of a model of one's own, does not tell the family.

use canonical::{ModelFacts, ModelFamily, ReasoningControl};

use crate::anthropic::messages::quirks::models::Model;

/// The maker of a model, where that decides something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    /// Anthropic's Claude, and what the model accepts.
    Claude(Model),
    /// Amazon's Nova; whether the model reasons.
    Nova(bool),
    /// OpenAI's open models.
    GptOss,
    /// Models of other makers.
    Other,
    /// Not known.
    Unknown,
}

impl Family {
    /// The family of the model of these facts.
    pub(crate) fn of(facts: &ModelFacts) -> Self {
        match facts.family {
            ModelFamily::Claude => Self::Claude(Model::of(facts)),
            ModelFamily::Nova => {
                Self::Nova(facts.reasoning.control == Some(ReasoningControl::Effort))
            }
            ModelFamily::GptOss => Self::GptOss,
            ModelFamily::Unknown => Self::Unknown,
            ModelFamily::Other
            | ModelFamily::Gemini
            | ModelFamily::Mistral
            | ModelFamily::TitanEmbed
            | ModelFamily::CohereEmbed => Self::Other,
        }
    }

    /// What the model accepts, of Claude.
    pub(crate) fn claude(self) -> Option<Model> {
        match self {
            Self::Claude(model) => Some(model),
            Self::Nova(_) | Self::GptOss | Self::Other | Self::Unknown => None,
        }
    }

    /// Whether the model accepts reasoning that Claude signed.
    pub(crate) fn reads_signatures(self) -> bool {
        // An ARN may be that of a Claude, whose loop of tools would end without them.
        matches!(self, Self::Claude(_) | Self::Unknown)
    }

    /// Whether the model accepts cache points.
    pub(crate) fn caches(self) -> bool {
        matches!(self, Self::Claude(_) | Self::Nova(_) | Self::Unknown)
    }

    /// Whether the model accepts that a tool failed.
    pub(crate) fn knows_failures(self) -> bool {
        matches!(self, Self::Claude(_) | Self::Nova(_) | Self::Unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::facts;

    fn family(id: &str) -> Family {
        Family::of(facts("bedrock", id))
    }

    #[test]
    fn an_id_names_the_family_of_its_model() {
        let sonnet = family("anthropic.claude-sonnet-4-6");
        assert!(matches!(sonnet, Family::Claude(_)));
        for same in [
            "global.anthropic.claude-sonnet-4-6-v1:0",
            "arn:aws:bedrock:eu-west-1:123456789012:inference-profile/eu.anthropic.claude-sonnet-4-6",
        ] {
            assert_eq!(family(same), sonnet, "{same}");
        }
        assert_eq!(family("us.amazon.nova-2-lite-v1:0"), Family::Nova(true));
        assert_eq!(family("amazon.nova-pro-v1:0"), Family::Nova(false));
        assert_eq!(family("openai.gpt-oss-120b-1:0"), Family::GptOss);
        assert_eq!(family("meta.llama3-3-70b-instruct-v1:0"), Family::Other);
        let profile = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/ab12";
        assert_eq!(family(profile), Family::Unknown);
    }
}

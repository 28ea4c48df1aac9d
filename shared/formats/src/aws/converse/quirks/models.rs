//! Whose model it is, as far as its id tells: Converse is one API, and its models differ.
//!
//! An ARN of an application inference profile, or of a model of one's own, does not tell.

use crate::anthropic::messages::quirks::models::{self, Model};

/// Who made a model, where that decides something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    /// Anthropic's Claude, and what this one takes.
    Claude(Model),
    /// Amazon's Nova; whether it can reason.
    Nova(bool),
    /// OpenAI's open models.
    GptOss,
    /// Somebody else's.
    Other,
    /// The id does not tell.
    Unknown,
}

impl Family {
    /// The family of a model's id, inference profile or ARN.
    pub(crate) fn of(id: &str) -> Self {
        // Of an ARN, what stands last is the id.
        let name = id.rsplit('/').next().unwrap_or(id);
        if name.contains("claude-") {
            return Self::Claude(models::model(name));
        }
        if name.contains("amazon.nova") {
            return Self::Nova(name.contains("nova-2"));
        }
        if name.contains("gpt-oss") {
            return Self::GptOss;
        }
        // Regions and makers stand before the model's own name, each with a dot behind it.
        if name.split(':').next().is_some_and(|it| it.contains('.')) {
            Self::Other
        } else {
            Self::Unknown
        }
    }

    /// What it takes, of Claude.
    pub(crate) fn claude(self) -> Option<Model> {
        match self {
            Self::Claude(model) => Some(model),
            Self::Nova(_) | Self::GptOss | Self::Other | Self::Unknown => None,
        }
    }

    /// Whether it may be shown reasoning that Claude signed.
    pub(crate) fn reads_signatures(self) -> bool {
        matches!(self, Self::Claude(_) | Self::Unknown)
    }

    /// Whether it knows of cache points.
    pub(crate) fn caches(self) -> bool {
        matches!(self, Self::Claude(_) | Self::Nova(_) | Self::Unknown)
    }

    /// Whether it may be told that a tool failed.
    pub(crate) fn knows_failures(self) -> bool {
        matches!(self, Self::Claude(_) | Self::Nova(_) | Self::Unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_tells_whose_model_it_is() {
        let sonnet = Family::of("anthropic.claude-sonnet-4-6");
        assert!(matches!(sonnet, Family::Claude(_)));
        for same in [
            "global.anthropic.claude-sonnet-4-6-v1:0",
            "arn:aws:bedrock:eu-west-1:123456789012:inference-profile/eu.anthropic.claude-sonnet-4-6",
        ] {
            assert_eq!(Family::of(same), sonnet, "{same}");
        }
        assert_eq!(Family::of("us.amazon.nova-2-lite-v1:0"), Family::Nova(true));
        assert_eq!(Family::of("amazon.nova-pro-v1:0"), Family::Nova(false));
        assert_eq!(Family::of("openai.gpt-oss-120b-1:0"), Family::GptOss);
        assert_eq!(Family::of("meta.llama3-3-70b-instruct-v1:0"), Family::Other);
        let profile = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/ab12";
        assert_eq!(Family::of(profile), Family::Unknown);
    }
}

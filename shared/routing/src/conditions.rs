//! Conditions of a step: which requests it is for.
//!
//! The traits of a request are found where it is decoded; here they are compared.

use std::fmt;

/// The traits of a request that conditions and strategies depend on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestTraits {
    /// The features of the request.
    pub features: Vec<Feature>,
    /// How many tokens the request has, about.
    pub input_tokens: u64,
    /// The tags of the tenant.
    pub tags: Vec<(String, String)>,
    /// The headers that conditions name, with names in lower case.
    pub headers: Vec<(String, String)>,
    /// The session that the request belongs to, hashed with its route and tenant.
    pub session: Option<u64>,
}

/// Something that a request has or wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feature {
    /// The response as a stream.
    Stream,
    /// Tools.
    Tools,
    /// Images.
    Images,
    /// A response that follows a schema, or is JSON.
    Schema,
}

/// One condition of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StepCondition {
    /// The request has the feature.
    With(Feature),
    /// The request does not have the feature.
    Without(Feature),
    /// The request has at least so many tokens.
    MinInputTokens(u64),
    /// The request has at most so many tokens.
    MaxInputTokens(u64),
    /// The tenant has this tag, with this text.
    Tag(String, String),
    /// The request has this header, in lower case, with this value.
    Header(String, String),
}

impl StepCondition {
    /// Whether a request meets the condition.
    pub fn is_met(&self, request: &RequestTraits) -> bool {
        match self {
            Self::With(feature) => request.features.contains(feature),
            Self::Without(feature) => !request.features.contains(feature),
            Self::MinInputTokens(min) => *min <= request.input_tokens,
            Self::MaxInputTokens(max) => request.input_tokens <= *max,
            Self::Tag(name, text) => has(&request.tags, name, text),
            Self::Header(name, value) => has(&request.headers, name, value),
        }
    }
}

fn has(pairs: &[(String, String)], name: &str, text: &str) -> bool {
    pairs.iter().any(|pair| pair.0 == name && pair.1 == text)
}

impl Feature {
    fn as_str(self) -> &'static str {
        match self {
            Self::Stream => "a stream",
            Self::Tools => "tools",
            Self::Images => "images",
            Self::Schema => "a response schema",
        }
    }
}

impl fmt::Display for StepCondition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::With(feature) => write!(f, "with {}", feature.as_str()),
            Self::Without(feature) => write!(f, "without {}", feature.as_str()),
            Self::MinInputTokens(min) => write!(f, "from {min} input tokens"),
            Self::MaxInputTokens(max) => write!(f, "up to {max} input tokens"),
            Self::Tag(name, text) => write!(f, "for tenants with `{name}: {text}`"),
            Self::Header(name, value) => write!(f, "with the header `{name}: {value}`"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_condition_asks_one_thing() {
        let request = RequestTraits {
            features: vec![Feature::Stream, Feature::Tools],
            input_tokens: 100,
            tags: vec![("plan".to_owned(), "gold".to_owned())],
            headers: vec![("x-tier".to_owned(), "a".to_owned())],
            session: None,
        };
        let tag = |text: &str| StepCondition::Tag("plan".to_owned(), text.to_owned());
        let header = |value: &str| StepCondition::Header("x-tier".to_owned(), value.to_owned());
        for (condition, is_met) in [
            (StepCondition::With(Feature::Tools), true),
            (StepCondition::With(Feature::Images), false),
            (StepCondition::Without(Feature::Stream), false),
            (StepCondition::Without(Feature::Schema), true),
            (StepCondition::MinInputTokens(100), true),
            (StepCondition::MinInputTokens(101), false),
            (StepCondition::MaxInputTokens(100), true),
            (StepCondition::MaxInputTokens(99), false),
            (tag("gold"), true),
            (tag("silver"), false),
            (header("a"), true),
            (header("b"), false),
        ] {
            assert_eq!(condition.is_met(&request), is_met, "{condition}");
        }
    }
}

//! What a model takes, as far as its id tells: Converse is one API, and its models differ.
//!
//! Sources: the Bedrock User Guide, *Adaptive thinking* and *Structured outputs*; BerriAI/litellm
//! pull request 34347; danielmiessler/Fabric pull request 2313; open-webui/functions pull request 9,
//! all seen 2026-11. An ARN of an application profile does not tell.

/// Who made a model, where that decides something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    /// Anthropic's Claude, of this version.
    Claude(Version),
    /// Amazon's Nova; whether it can reason.
    Nova(bool),
    /// OpenAI's open models.
    GptOss,
    /// Somebody else's.
    Other,
    /// The id does not tell.
    Unknown,
}

/// A version of Claude: major and minor. Names without numbers are newer than all with them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version(u32, u32);

impl Version {
    const NEWEST: Self = Self(u32::MAX, 0);

    /// Whether it may decide itself how much it thinks; older ones want a budget.
    pub(super) fn is_adaptive(self) -> bool {
        Self(4, 6) <= self
    }

    /// Whether `temperature`, `top_p` and `top_k` are gone, and thoughts are only shown on demand.
    pub(super) fn is_without_sampling(self) -> bool {
        Self(4, 7) <= self
    }

    /// Whether it takes either `temperature` or `top_p`.
    pub(super) fn takes_one_of_both(self) -> bool {
        Self(4, 1) <= self
    }

    /// Whether it can keep to a schema to the letter.
    pub(super) fn is_strict(self) -> bool {
        Self(4, 5) <= self
    }
}

impl Family {
    /// The family of a model's id, inference profile or ARN.
    pub(super) fn of(id: &str) -> Self {
        // Of an ARN, what stands last is the id.
        let name = id.rsplit('/').next().unwrap_or(id);
        if let Some((_, claude)) = name.split_once("claude-") {
            return Self::Claude(version(claude));
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

    /// The version, of Claude.
    pub(super) fn claude(self) -> Option<Version> {
        match self {
            Self::Claude(version) => Some(version),
            Self::Nova(_) | Self::GptOss | Self::Other | Self::Unknown => None,
        }
    }

    /// Whether it may be shown thoughts that Claude signed.
    pub(super) fn reads_signatures(self) -> bool {
        matches!(self, Self::Claude(_) | Self::Unknown)
    }

    /// Whether it knows of cache points.
    pub(super) fn caches(self) -> bool {
        matches!(self, Self::Claude(_) | Self::Nova(_) | Self::Unknown)
    }

    /// Whether it may be told that a tool failed.
    pub(super) fn knows_failures(self) -> bool {
        matches!(self, Self::Claude(_) | Self::Nova(_) | Self::Unknown)
    }
}

/// Reads `opus-4-6-v1`, `3-7-sonnet-20250219-v1:0` and `mythos-5`.
fn version(name: &str) -> Version {
    let is_family = |it: &&str| matches!(*it, "opus" | "sonnet" | "haiku" | "instant");
    let words: Vec<&str> = name.split(['-', ':']).collect();
    let known = words.iter().any(&is_family) || words[0].starts_with(['v', '2', '3']);
    if !known {
        return Version::NEWEST;
    }
    let mut words = words.into_iter().skip_while(|it| is_family(it));
    // A date is longer than any version.
    let number = |word: &str| word.parse().ok().filter(|it| *it < 1000);
    match words.next().and_then(|it| number(it.trim_start_matches('v'))) {
        Some(major) => Version(major, words.next().and_then(number).unwrap_or(0)),
        None => Version::NEWEST,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_tells_the_version() {
        for (id, major, minor) in [
            ("anthropic.claude-3-7-sonnet-20250219-v1:0", 3, 7),
            ("anthropic.claude-3-haiku-20240307-v1:0", 3, 0),
            ("us.anthropic.claude-sonnet-4-20250514-v1:0", 4, 0),
            ("eu.anthropic.claude-haiku-4-5-20251001-v1:0", 4, 5),
            ("global.anthropic.claude-opus-4-6-v1", 4, 6),
            ("anthropic.claude-opus-5", 5, 0),
            ("anthropic.claude-v2:1", 2, 1),
            (
                "arn:aws:bedrock:eu-west-1:123456789012:inference-profile/\
                 eu.anthropic.claude-sonnet-4-6",
                4,
                6,
            ),
        ] {
            assert_eq!(Family::of(id), Family::Claude(Version(major, minor)), "{id}");
        }
        assert_eq!(Family::of("anthropic.claude-mythos-5"), Family::Claude(Version::NEWEST));
    }

    #[test]
    fn others_are_told_apart() {
        assert_eq!(Family::of("us.amazon.nova-2-lite-v1:0"), Family::Nova(true));
        assert_eq!(Family::of("amazon.nova-pro-v1:0"), Family::Nova(false));
        assert_eq!(Family::of("openai.gpt-oss-120b-1:0"), Family::GptOss);
        assert_eq!(Family::of("meta.llama3-3-70b-instruct-v1:0"), Family::Other);
        let profile = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/ab12";
        assert_eq!(Family::of(profile), Family::Unknown);
    }

    #[test]
    fn newer_claudes_take_less() {
        let version = |id| Family::of(id).claude().unwrap();
        let old = version("anthropic.claude-3-7-sonnet-20250219-v1:0");
        assert!(!old.is_adaptive() && !old.takes_one_of_both() && !old.is_strict());
        let middle = version("anthropic.claude-opus-4-6-v1");
        assert!(middle.is_adaptive() && !middle.is_without_sampling() && middle.is_strict());
        assert!(version("anthropic.claude-fable-5").is_without_sampling());
    }
}

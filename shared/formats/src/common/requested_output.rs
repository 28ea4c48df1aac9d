//! How much output a request asks for, read from its members: the same whether or not the request can
//! be decoded.
//!
//! What is held for a call depends on it, so that of several readings the largest counts.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::request_policy::{count, is_spelling};
use crate::{
    Member, RawObject,
    json::{members_of, name_of, text},
};

/// Where the requests of a format say how much output they ask for.
#[derive(Clone, Copy, Debug)]
pub struct OutputMembers {
    /// The object that holds the others; none where that is the request itself.
    pub(crate) within: Option<&'static str>,
    /// The limits on the output tokens of one choice. Empty where requests take no limit.
    pub(crate) limits: &'static [&'static str],
    /// How many choices are made, of which the largest number counts.
    pub(crate) choices: &'static [&'static str],
    /// A list of prompts, each with choices of its own.
    pub(crate) prompts: Option<&'static str>,
}

/// How much output a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestedOutput {
    /// The most output tokens of one choice; none where the request sets no limit.
    pub max_tokens: Option<u64>,
    /// How many choices are asked for, of all prompts together; at least 1.
    pub choices: u64,
}

impl OutputMembers {
    /// The members of a format whose requests take no limit.
    pub const NONE: Self = Self { within: None, limits: &[], choices: &[], prompts: None };

    /// How much output a request asks for.
    pub(crate) fn read(&self, raw: &RawObject) -> RequestedOutput {
        let mut members = pairs(&raw.body, &raw.members);
        if let Some(within) = self.within {
            let objects = members.into_iter().filter(|it| is_spelling(&it.0, within));
            members = objects.flat_map(|it| inner(it.1)).collect();
        }

        let choices = self.choices.iter().flat_map(|name| values(&members, name));
        // Some servers read numbers from texts.
        let choices = choices.filter_map(|it| count(it.trim_matches('"'))).max().unwrap_or(1);
        let prompts = self.prompts.iter().flat_map(|name| values(&members, name));
        let prompts = prompts.map(prompts_in).max().unwrap_or(1);
        let max_tokens = self.limit(&members);
        RequestedOutput { max_tokens, choices: choices.saturating_mul(prompts) }
    }

    fn limit(&self, members: &[(Cow<'_, str>, &str)]) -> Option<u64> {
        let is_own = |name: &str| self.limits.contains(&name);
        // In another spelling alone the limit may be passed over.
        if !members.iter().any(|(name, value)| is_own(name) && *value != "null") {
            return None;
        }
        let limits = self.limits.iter().flat_map(|name| values(members, name));
        // Servers read what is no count as no limit at all.
        let limits: Option<Vec<u64>> = limits.filter(|it| *it != "null").map(count).collect();
        limits?.into_iter().max()
    }
}

/// The values under a name, however it is spelled.
fn values<'a>(
    members: &'a [(Cow<'a, str>, &'a str)],
    name: &'a str,
) -> impl Iterator<Item = &'a str> {
    members.iter().filter(move |it| is_spelling(&it.0, name)).map(|it| it.1)
}

/// The names and values of members of an object, whose text is given.
pub(crate) fn pairs<'a>(object: &'a [u8], members: &[Member]) -> Vec<(Cow<'a, str>, &'a str)> {
    members.iter().map(|it| (name_of(object, it), text(object, &it.value))).collect()
}

fn inner(object: &str) -> Vec<(Cow<'_, str>, &str)> {
    pairs(object.as_bytes(), &members_of(object).unwrap_or_default())
}

/// How many prompts a value is: one that is no list, and a list of tokens, are one.
fn prompts_in(value: &str) -> u64 {
    let list: Vec<&RawValue> = serde_json::from_str(value).unwrap_or_default();
    let is_token = |it: &&RawValue| it.get().parse::<f64>().is_ok();
    if list.is_empty() || list.iter().all(is_token) { 1 } else { list.len() as u64 }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::{
        Inbound, json,
        openai::{chat::OpenAiChat, completions::OpenAiCompletions},
    };

    fn read(members: OutputMembers, body: &str) -> (Option<u64>, u64) {
        let raw = json::members(Bytes::copy_from_slice(body.as_bytes())).unwrap();
        let RequestedOutput { max_tokens, choices } = members.read(&raw);
        (max_tokens, choices)
    }

    #[test]
    fn every_prompt_of_a_completion_has_its_choices() {
        let members = OpenAiCompletions.format().output;
        for (body, expected) in [
            (r#"{"prompt":"a"}"#, (None, 1)),
            (r#"{"prompt":["a","b"],"max_tokens":9}"#, (Some(9), 2)),
            (r#"{"prompt":[1,2,3],"n":2}"#, (None, 2)),
            (r#"{"prompt":[[1,2],[3],[4]],"n":2,"best_of":5}"#, (None, 15)),
            (r#"{"prompt":["a"],"pro\u006dpt":["a","b"],"N":3}"#, (None, 6)),
            (r#"{"prompt":[],"n":0,"best_of":null}"#, (None, 1)),
        ] {
            assert_eq!(read(members, body), expected, "{body}");
        }
    }

    #[test]
    fn of_several_limits_the_largest_counts_and_one_that_is_no_count_is_none() {
        let members = OpenAiChat.format().output;
        for (body, expected) in [
            (r#"{"max_tokens":5,"n":4}"#, (Some(5), 4)),
            (r#"{"max_tokens":1,"max_completion_tokens":1e3}"#, (Some(1_000), 1)),
            (r#"{"max_tokens":1,"max_tokens":7}"#, (Some(7), 1)),
            (r#"{"max_tokens":1,"Max_Tokens":8}"#, (Some(8), 1)),
            (r#"{"max_tokens":1,"max_completion_tokens":-1}"#, (None, 1)),
            (r#"{"max_tokens":3,"max_completion_tokens":null}"#, (Some(3), 1)),
            // Neither is a limit of this format.
            (r#"{"maxTokens":1,"max_output_tokens":1,"n":"2"}"#, (None, 2)),
        ] {
            assert_eq!(read(members, body), expected, "{body}");
        }
    }

    #[test]
    fn geminis_members_stand_within_another_in_either_spelling() {
        let members = crate::google::generate_content::FORMAT.output;
        for body in [
            r#"{"generationConfig":{"maxOutputTokens":5,"candidateCount":3}}"#,
            r#"{"generation_config":{"max_output_tokens":5,"candidate_count":3}}"#,
        ] {
            assert_eq!(read(members, body), (Some(5), 3), "{body}");
        }
        assert_eq!(read(members, r#"{"maxOutputTokens":5,"generationConfig":[]}"#), (None, 1));
    }
}

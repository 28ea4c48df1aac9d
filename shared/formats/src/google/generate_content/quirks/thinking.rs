//! How much a model reasons, in the words of its generation.
//!
//! Source: ai.google.dev/gemini-api/docs/thinking, seen 2026-11. 2.5 Pro takes 128 to 32,768 tokens
//! and cannot be stopped from thinking, 2.5 Flash 0 to 24,576, 2.5 Flash-Lite 0 or 512 to 24,576. From
//! 3 on it is a level; Pro has no `minimal`, and the first Pro no `medium`.

use canonical::{Effort, Field, ModelFacts, Reasoning, ReasoningOff, nearest_effort};
use serde::Serialize;

use super::models::Family;

/// How much to reason.
#[derive(Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Thinking {
    #[serde(skip_serializing_if = "Option::is_none")]
    include_thoughts: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking_budget: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking_level: Option<&'static str>,
}

/// The efforts of a model whose own are not known.
const LEVELS: &[Effort] = &[Effort::Minimal, Effort::Low, Effort::Medium, Effort::High];
/// The least and the largest budget of a model whose own are not known, in tokens.
const BUDGETS: (u64, u64) = (1, 24_576);

/// Encodes how much a model reasons.
pub(crate) fn encode(
    reasoning: &Reasoning,
    facts: &ModelFacts,
    dropped: &mut Vec<Field>,
) -> Option<Thinking> {
    // A client that requests reasoning reads it, unless the request says otherwise; Gemini shows none
    // unrequested.
    let visible = reasoning.visible.or((!reasoning.is_off()).then_some(true));
    let mut thinking = Thinking { include_thoughts: visible, ..Thinking::default() };
    match Family::of(facts) {
        Family::Old => {
            if !reasoning.is_off() {
                dropped.push(Field::Reasoning);
            }
            return None;
        }
        Family::Budget => thinking.thinking_budget = Some(budget(reasoning, facts, dropped)),
        Family::Level => thinking.thinking_level = level(reasoning, facts, dropped),
    }
    (thinking != Thinking::default()).then_some(thinking)
}

/// The budget of a 2.5 model; -1 is the model's own choice.
fn budget(reasoning: &Reasoning, facts: &ModelFacts, dropped: &mut Vec<Field>) -> i64 {
    let Some(wanted) = reasoning.as_budget() else { return -1 };
    let (min, max) = facts.reasoning.budget.unwrap_or(BUDGETS);
    if wanted == 0 {
        if facts.reasoning.off != ReasoningOff::Never {
            return 0;
        }
        dropped.push(Field::Reasoning);
    }
    i64::try_from(wanted.clamp(min, max)).unwrap_or(-1)
}

/// The level of a later model; none is the model's own choice.
fn level(
    reasoning: &Reasoning,
    facts: &ModelFacts,
    dropped: &mut Vec<Field>,
) -> Option<&'static str> {
    if reasoning.is_off() {
        // No later model can be kept from reasoning, so that the least level is sent.
        dropped.push(Field::Reasoning);
    }
    let efforts = &facts.reasoning.efforts;
    let accepted = if efforts.is_empty() { LEVELS } else { efforts };
    Some(match nearest_effort(accepted, reasoning.as_effort()?)? {
        Effort::None | Effort::Minimal => "minimal",
        Effort::Low => "low",
        Effort::Medium => "medium",
        Effort::High | Effort::Highest => "high",
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::facts;

    fn encoded(model: &str, reasoning: &Reasoning) -> (String, Vec<Field>) {
        let mut dropped = vec![];
        let thinking = encode(reasoning, facts("gemini", model), &mut dropped);
        (serde_json::to_string(&thinking).unwrap(), dropped)
    }

    fn effort(effort: Effort) -> Reasoning {
        Reasoning { effort: Some(effort), ..Reasoning::default() }
    }

    #[test]
    fn a_model_of_2_5_has_a_budget() {
        let encoded = |model, reasoning: &Reasoning| encoded(model, reasoning).0;
        let high = effort(Effort::Highest);
        assert_eq!(
            encoded("gemini-2.5-pro", &high),
            r#"{"includeThoughts":true,"thinkingBudget":32768}"#
        );
        assert_eq!(
            encoded("gemini-2.5-flash", &high),
            r#"{"includeThoughts":true,"thinkingBudget":24576}"#
        );
        assert_eq!(encoded("gemini-2.5-flash", &effort(Effort::None)), r#"{"thinkingBudget":0}"#);
        assert_eq!(
            encoded("gemini-2.5-flash", &Reasoning::default()),
            r#"{"includeThoughts":true,"thinkingBudget":-1}"#
        );
        let few = Reasoning { budget: Some(100), visible: Some(true), effort: None };
        let out = r#"{"includeThoughts":true,"thinkingBudget":512}"#;
        assert_eq!(encoded("gemini-2.5-flash-lite", &few), out);
    }

    #[test]
    fn a_later_model_has_a_level() {
        let encoded = |model, reasoning: &Reasoning| encoded(model, reasoning).0;
        let medium = effort(Effort::Medium);
        assert_eq!(
            encoded("gemini-3-pro-preview", &medium),
            r#"{"includeThoughts":true,"thinkingLevel":"high"}"#
        );
        assert_eq!(
            encoded("gemini-3.1-pro-preview", &medium),
            r#"{"includeThoughts":true,"thinkingLevel":"medium"}"#
        );
        assert_eq!(
            encoded("gemini-3.5-flash", &Reasoning::default()),
            r#"{"includeThoughts":true}"#
        );
        let hidden = Reasoning { visible: Some(false), ..effort(Effort::Medium) };
        let out = r#"{"includeThoughts":false,"thinkingLevel":"medium"}"#;
        assert_eq!(encoded("gemini-3.5-flash", &hidden), out);
    }

    #[test]
    fn what_a_model_cannot_do_is_named() {
        assert_eq!(encoded("gemini-2.5-pro", &effort(Effort::None)).1, [Field::Reasoning]);
        assert_eq!(encoded("gemini-3.5-flash", &effort(Effort::None)).1, [Field::Reasoning]);
        assert_eq!(encoded("gemini-2.0-flash", &effort(Effort::High)).1, [Field::Reasoning]);
        assert_eq!(encoded("gemini-2.0-flash", &effort(Effort::None)).1, []);
    }
}

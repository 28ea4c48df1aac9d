//! Thinking and effort as the target's model knows them, where the client wrote for another model.
//!
//! Claude Code writes `adaptive` and an effort for every alias of a model; models before 4.6 know
//! budgets only, and those from 4.7 on know nothing else than `adaptive`.

use std::borrow::Cow;

use canonical::{Effort, Field, ModelFamily, Reasoning, Result, SamplingSupport};
use serde::Deserialize;

use super::{lacks_reasoning, parsed};
use crate::{
    EncodeOptions,
    anthropic::messages::quirks::{
        models::{EffortWords, Model, Thinking as Way},
        thinking,
    },
    json,
};

#[derive(Deserialize)]
struct ThinkingJson<'a> {
    #[serde(borrow, rename = "type", default)]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    display: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct EffortJson<'a> {
    #[serde(borrow, default)]
    effort: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct ToolChoiceJson<'a> {
    #[serde(borrow, rename = "type", default)]
    kind: Cow<'a, str>,
}

/// Rewrites `thinking` and `output_config.effort`; what the model cannot do is dropped and named.
pub(super) fn fit(
    target: &EncodeOptions<'_>,
    edits: &mut json::Edits<'_>,
    dropped: &mut Vec<Field>,
) -> Result<()> {
    // Models of other makers that imitate the API have rules of their own, and nobody knows them.
    if target.facts.family != ModelFamily::Claude {
        return Ok(());
    }

    let model = Model::of(target.facts);
    let effort = match edits.present("output_config") {
        Some(config) => parsed::<EffortJson<'_>>(config)?.effort.map(Cow::into_owned),
        None => None,
    };

    if let Some(value) = edits.present("thinking") {
        let ThinkingJson { kind, display } = parsed(value)?;
        let visible = display.as_deref().map(|it| it != "omitted");
        match (&*kind, model.thinking) {
            ("adaptive", Way::Budget) => {
                let reasoning =
                    Reasoning { effort: effort.as_deref().and_then(known), budget: None, visible };
                set_budget(&reasoning, model, edits, dropped)?;
            }
            ("adaptive" | "enabled", Way::Never) => {
                edits.remove("thinking");
                dropped.push(Field::Reasoning);
            }
            // Models from 4.7 on refuse a budget, and they are the ones without sampling
            // parameters; 4.6 takes both kinds.
            ("enabled", Way::Adaptive) if model.sampling == SamplingSupport::None => {
                let reasoning = Reasoning { effort: None, budget: None, visible };
                edits.set("thinking", json::quoted(&thinking::adaptive(&reasoning)));
            }
            _ => {}
        }
    }

    if effort.is_some() && model.effort == EffortWords::None {
        // Not named as dropped: the budget was made of the effort, or the model has none to choose.
        drop_effort(edits)?;
    }
    Ok(())
}

fn set_budget(
    reasoning: &Reasoning,
    model: Model,
    edits: &mut json::Edits<'_>,
    dropped: &mut Vec<Field>,
) -> Result<()> {
    let named: Option<u64> = edits.present("max_tokens").map(parsed).transpose()?;
    let forced = match edits.value("tool_choice") {
        Some(choice) => {
            let choice: Option<ToolChoiceJson<'_>> = parsed(choice)?;
            choice.is_some_and(|it| matches!(&*it.kind, "any" | "tool"))
        }
        None => false,
    };
    let is_lost = edits.value("messages").map_or(Ok(false), lacks_reasoning)?;

    let (limit, budget) = thinking::budget_within(reasoning, named, model.max_output);
    // The rules that hold for a budget and not for adaptive thinking.
    match budget.filter(|_| !forced && !is_lost) {
        Some(budget) => {
            edits.set("thinking", json::quoted(&budget));
            edits.set("max_tokens", limit.to_string());
        }
        None => {
            edits.remove("thinking");
            dropped.push(Field::Reasoning);
        }
    }
    Ok(())
}

fn known(word: &str) -> Option<Effort> {
    Some(match word {
        "low" => Effort::Low,
        "medium" => Effort::Medium,
        "high" => Effort::High,
        "xhigh" | "max" => Effort::Highest,
        _ => return None,
    })
}

/// Drops the effort, and the object around it where nothing else is in it.
fn drop_effort(edits: &mut json::Edits<'_>) -> Result<()> {
    let Some(config) = edits.present("output_config") else { return Ok(()) };
    let rest = json::edited(config, |it| _ = it.remove("effort"))?;
    if rest.trim_matches(['{', '}', ' ', '\n']).is_empty() {
        edits.remove("output_config");
    } else {
        edits.set("output_config", rest);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fitted(model: &str, body: &str) -> (serde_json::Value, Vec<Field>) {
        let raw = json::members(bytes::Bytes::copy_from_slice(body.as_bytes())).unwrap();
        let mut edits = json::Edits::new(&raw);
        let mut dropped = vec![];
        let facts = crate::options::facts("anthropic", model);
        let target = EncodeOptions { model, facts, ..EncodeOptions::default() };
        fit(&target, &mut edits, &mut dropped).unwrap();
        (serde_json::from_slice(&edits.apply()).unwrap(), dropped)
    }

    const ADAPTIVE: &str = r#"{"max_tokens":20000,"thinking":{"type":"adaptive"},
        "output_config":{"effort":"medium"},"messages":[{"role":"user","content":"a"}]}"#;

    #[test]
    fn adaptive_thinking_becomes_a_budget_where_a_model_has_only_budgets() {
        let (body, dropped) = fitted("claude-sonnet-4-5", ADAPTIVE);
        assert_eq!(body["thinking"]["type"], "enabled");
        assert!(body["thinking"]["budget_tokens"].as_u64() < body["max_tokens"].as_u64());
        assert_eq!((&body["output_config"], dropped), (&serde_json::Value::Null, vec![]));
    }

    #[test]
    fn null_is_as_good_as_absent() {
        let body = r#"{"max_tokens":null,"thinking":null,"output_config":null,"tool_choice":null}"#;
        let (fitted, dropped) = fitted("claude-sonnet-4-5", body);
        assert_eq!((fitted, dropped), (serde_json::from_str(body).unwrap(), vec![]));
        let adaptive = ADAPTIVE.replace("20000", "null").replace(r#"{"effort":"medium"}"#, "null");
        assert_eq!(self::fitted("claude-sonnet-4-5", &adaptive).0["thinking"]["type"], "enabled");
    }

    #[test]
    fn reasoning_that_was_dropped_raises_no_limit() {
        let body = ADAPTIVE.replace("20000", "10");
        let raw = json::members(bytes::Bytes::from(body)).unwrap();
        let mut edits = json::Edits::new(&raw);
        edits.remove("thinking");
        let facts = crate::options::facts("anthropic", "claude-sonnet-4-5");
        let target = EncodeOptions { facts, ..EncodeOptions::default() };
        fit(&target, &mut edits, &mut vec![]).unwrap();
        assert_eq!(edits.value("max_tokens"), Some("10"));
    }

    #[test]
    fn a_model_that_knows_adaptive_thinking_gets_it() {
        assert_eq!(fitted("claude-opus-4-7", ADAPTIVE).0["thinking"]["type"], "adaptive");
        let budget = ADAPTIVE.replace("adaptive\"", "enabled\",\"budget_tokens\":2000");
        let (body, _) = fitted("claude-opus-4-7", &budget);
        assert_eq!(body["thinking"], serde_json::json!({"type": "adaptive"}));
        assert_eq!(body["output_config"]["effort"], "medium");
    }

    #[test]
    fn a_model_that_does_not_think_is_not_requested_to() {
        let (body, dropped) = fitted("claude-3-5-haiku-20241022", ADAPTIVE);
        assert_eq!(
            (&body["thinking"], dropped),
            (&serde_json::Value::Null, vec![Field::Reasoning])
        );
        assert_eq!(fitted("kimi-k2", ADAPTIVE).0["thinking"]["type"], "adaptive");
    }
}

//! Families: names in all their spellings, and what the rules give for each.

use canonical::{Effort, ModelApi, ModelFacts, ModelFamily, ReasoningControl, ReasoningOff};

use super::*;
use crate::facts;

#[test]
fn a_version_is_the_first_two_small_numbers() {
    assert_eq!(version("opus-4-20250514"), (4, 0));
    assert_eq!(version("3-7-sonnet-20250219"), (3, 7));
    assert_eq!(version("3-haiku-20240307"), (3, 0));
    assert_eq!(version("sonnet-4.5"), (4, 5));
    assert_eq!(version("next"), NEWEST);
}

#[test]
fn a_name_that_says_nothing_gives_no_facts() {
    for name in ["", "x", "my-deployment", "provider/model", "arn:aws:bedrock:eu:1:profile/ab12"] {
        assert_eq!(facts("openai", name), ModelFacts::UNKNOWN, "{name}");
    }
}

#[test]
fn every_spelling_of_a_name_gives_the_same_facts() {
    let plain = facts("anthropic", "claude-sonnet-4-5");
    for name in [
        "claude-sonnet-4-5-20250929",
        "anthropic/Claude-Sonnet-4.5",
        "claude-sonnet-4-5@20250929",
        "global.anthropic.claude-sonnet-4-5-20250929-v1:0",
    ] {
        assert_eq!(facts("bedrock", name), plain, "{name}");
    }
}

#[test]
fn later_rules_go_before_earlier_ones() {
    let opus = facts("anthropic", "claude-opus-4-1");
    assert!(opus.schemas && !facts("anthropic", "claude-opus-4-0").schemas);
    assert_eq!(opus.default_max_output, Some(32_000));
    assert_eq!(facts("anthropic", "claude-opus-4-5").reasoning.efforts.last(), Some(&Effort::High));
    assert_eq!(facts("anthropic", "claude-haiku-4-5").reasoning.efforts, []);
    let lite = facts("gemini", "gemini-2.5-flash-lite");
    assert_eq!(lite.reasoning.budget, Some((512, 24_576)));
    assert_eq!(lite.reasoning.off, ReasoningOff::Disabled);
    assert_eq!(facts("gemini", "models/gemini-2.5-pro").reasoning.off, ReasoningOff::Never);
    let nova = facts("bedrock", "us.amazon.nova-2-lite-v1:0");
    assert_eq!(nova.reasoning.control, Some(ReasoningControl::Effort));
    assert_eq!(nova.family, ModelFamily::Nova);
}

#[test]
fn models_without_chat_have_responses() {
    for name in ["o1-pro-2025-03-19", "gpt-5-codex", "gpt-5.1-codex-max", "o3-deep-research"] {
        assert_eq!(facts("openai", name).apis, [ModelApi::Responses], "{name}");
    }
    for name in ["gpt-5.1", "o3", "o4-mini", "gpt-4o"] {
        assert_eq!(facts("openai", name).apis, [], "{name}");
    }
    let instruct = facts("azure-openai", "gpt-35-turbo-instruct");
    assert_eq!(instruct.apis, [ModelApi::Completions, ModelApi::Infill]);
    assert_eq!(facts("mistral", "codestral-latest").apis, [ModelApi::Infill]);
}

#[test]
fn openais_reasoning_models_reason_unrequested() {
    let reasons = |name| facts("openai", name).reasoning.unrequested;
    assert!(reasons("gpt-5.1") && reasons("o3") && reasons("openai/o4-mini"));
    assert!(!reasons("gpt-5-chat-latest") && !reasons("gpt-4.1"));
}

#[test]
fn a_maker_has_one_family() {
    for name in ["mistral-large-latest", "mistralai/Devstral-Small-2", "open-mixtral-8x22b"] {
        assert_eq!(facts("openrouter", name).family, ModelFamily::Mistral, "{name}");
    }
    for name in ["gpt-4o", "mistralai/gpt", "llama-3.1-70b", ""] {
        assert_eq!(facts("openrouter", name).family, ModelFamily::Unknown, "{name}");
    }
    assert_eq!(facts("bedrock", "meta.llama3-3-70b-v1:0").family, ModelFamily::Other);
    assert!(facts("deepseek", "deepseek-reasoner").reasoning.replays_text);
}

#[test]
fn claude_continues_a_message_up_to_4_5() {
    let prefill = |name| facts("anthropic", name).prefill;
    assert_eq!(prefill("claude-sonnet-4-5"), Some(true));
    assert_eq!(prefill("us.anthropic.claude-opus-4-6-v1"), Some(false));
    assert_eq!(prefill("gpt-5"), None);
}

//! Budgets, efforts, and what goes with them. What each Claude takes is tested where it is known.

use super::*;
use crate::aws::converse::request_encode::blocks;

const OLD: &str = "us.anthropic.claude-sonnet-4-20250514-v1:0";
const ADAPTIVE: &str = "global.anthropic.claude-opus-4-6-v1";
const NOVA: &str = "amazon.nova-2-lite-v1:0";
const LLAMA: &str = "meta.llama3-1-8b-instruct-v1:0";

fn requested(effort: Effort) -> Conversation {
    let reasoning = Reasoning { effort: Some(effort), ..Reasoning::default() };
    let hello = canonical::Message::new(canonical::Role::User, vec![canonical::Part::text("a")]);
    Conversation { messages: vec![hello], reasoning: Some(reasoning), ..Conversation::default() }
}

/// The base set, what is sent beside it, the effort, and what is dropped.
fn encoded(conversation: &Conversation, model: &str) -> (String, Vec<Field>) {
    let family = Family::of(crate::options::facts("bedrock", model));
    let messages = blocks::encode_messages(conversation, family).unwrap().messages;
    let ModelSettings { inference, additional, output, dropped } =
        encode_settings(conversation, family, &messages);
    (serde_json::to_string(&(inference, additional, output.effort)).unwrap(), dropped)
}

#[test]
fn an_older_claude_gets_a_budget_and_a_newer_one_an_effort() {
    let mut high = requested(Effort::High);
    high.max_tokens = Some(40_000);
    let (json, dropped) = encoded(&high, OLD);
    assert_eq!(
        json,
        r#"[{"maxTokens":64000},{"thinking":{"type":"enabled","budget_tokens":24576}},null]"#
    );
    assert!(dropped.is_empty());
    high.max_tokens = None;
    let (json, _) = encoded(&high, ADAPTIVE);
    assert_eq!(json, r#"[{"maxTokens":64000},{"thinking":{"type":"adaptive"}},"high"]"#);
}

#[test]
fn lost_reasoning_ends_the_thinking() {
    let mut conversation = requested(Effort::Low);
    let call = canonical::ToolCall { id: "c".to_owned(), ..canonical::ToolCall::default() };
    let call = canonical::Part::new(canonical::Content::ToolCall(call));
    let result = canonical::ToolResult { id: "c".to_owned(), ..canonical::ToolResult::default() };
    let result = canonical::Part::new(canonical::Content::ToolResult(result));
    let mut reasoning = canonical::Part::new(canonical::Content::Reasoning("hm".to_owned()));
    reasoning.signature = Some(canonical::Signature::new("anthropic", "s"));
    let model = |parts| canonical::Message::new(canonical::Role::Assistant, parts);
    conversation.messages.push(model(vec![call.clone()]));
    conversation.messages.push(canonical::Message::new(canonical::Role::User, vec![result]));
    assert_eq!(encoded(&conversation, OLD).1, [Field::Reasoning]);
    assert_eq!(encoded(&conversation, ADAPTIVE).1, []);
    conversation.messages[1] = model(vec![reasoning, call]);
    assert_eq!(encoded(&conversation, OLD).1, []);
}

#[test]
fn thinking_leaves_no_choice_of_tokens() {
    let mut conversation = requested(Effort::Low);
    conversation.sampling = Sampling {
        temperature: Some(0.2),
        top_p: Some(0.5),
        top_k: Some(5),
        ..Sampling::default()
    };
    let (json, dropped) = encoded(&conversation, OLD);
    assert!(json.starts_with(r#"[{"maxTokens":64000},"#), "{json}");
    assert_eq!(dropped, [Field::Temperature, Field::TopK, Field::TopP]);
}

#[test]
fn claudes_own_numbers_travel_beside_the_base_set() {
    let sampling = Sampling { temperature: Some(0.5), top_k: Some(5), ..Sampling::default() };
    let conversation = Conversation { sampling, ..requested(Effort::None) };
    let (json, dropped) = encoded(&conversation, "anthropic.claude-3-haiku-20240307-v1:0");
    assert_eq!(json, r#"[{"maxTokens":4096,"temperature":0.5},{"top_k":5},null]"#);
    assert!(dropped.is_empty());
}

#[test]
fn default_values_are_dropped_unnamed() {
    let sampling = Sampling { n: Some(1), presence_penalty: Some(0.0), ..Sampling::default() };
    let conversation = Conversation { sampling, reasoning: None, ..requested(Effort::None) };
    assert_eq!(encoded(&conversation, LLAMA), ("[{},{},null]".to_owned(), vec![]));
}

#[test]
fn other_families_have_members_of_their_own() {
    let mut conversation = requested(Effort::High);
    let nova = encoded(&conversation, NOVA);
    assert!(nova.0.contains(r#"{"type":"enabled","maxReasoningEffort":"high"}"#), "{nova:?}");
    let open = encoded(&conversation, "openai.gpt-oss-20b-1:0");
    assert!(open.0.contains(r#""reasoning_effort":"high""#), "{open:?}");
    assert_eq!(encoded(&conversation, LLAMA).1, [Field::Reasoning]);
    conversation.max_tokens = Some(10);
    assert!(encoded(&conversation, NOVA).0.contains(r#""maxReasoningEffort":"medium""#));
    conversation.sampling.top_k = Some(7);
    assert!(encoded(&conversation, NOVA).0.contains(r#""inferenceConfig":{"topK":7}"#));
    assert!(encoded(&conversation, LLAMA).1.contains(&Field::TopK));
    let off = requested(Effort::None);
    assert!(encoded(&off, NOVA).0.contains(r#"{"type":"disabled"}"#));
    assert_eq!(encoded(&off, "openai.gpt-oss-20b-1:0").1, [Field::Reasoning]);
}

#[test]
fn the_temperature_ends_at_one() {
    let sampling = Sampling { temperature: Some(1.5), ..Sampling::default() };
    let conversation = Conversation { sampling, reasoning: None, ..requested(Effort::None) };
    for model in ["amazon.nova-pro-v1:0", OLD] {
        let (json, dropped) = encoded(&conversation, model);
        assert!(json.contains("\"temperature\":1.0"), "{json}");
        assert_eq!(dropped, [Field::Temperature]);
    }
}

#[test]
fn reasoning_is_hidden_where_a_model_can_hide_it() {
    let mut conversation = requested(Effort::Low);
    conversation.reasoning.as_mut().unwrap().visible = Some(false);
    assert!(encoded(&conversation, ADAPTIVE).0.contains(r#""display":"omitted""#));
    let dropped = encoded(&conversation, "openai.gpt-oss-20b-1:0").1;
    assert_eq!(dropped, [Field::ReasoningVisibility]);
}

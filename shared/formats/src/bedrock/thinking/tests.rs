//! Budgets, efforts, and what goes with them.

use super::*;

const OLD: &str = "us.anthropic.claude-sonnet-4-20250514-v1:0";
const ADAPTIVE: &str = "global.anthropic.claude-opus-4-6-v1";
const NEW: &str = "anthropic.claude-opus-4-7";
const NOVA: &str = "amazon.nova-2-lite-v1:0";

fn asked(effort: Option<Effort>) -> Conversation {
    let reasoning = Reasoning { effort, ..Reasoning::default() };
    Conversation { reasoning: Some(reasoning), ..Conversation::default() }
}

/// What is sent besides the base set, and what is dropped.
fn said(conversation: &Conversation, model: &str) -> (String, Vec<Field>) {
    let Tuned { inference, additional, output, dropped } = tuned(conversation, Family::of(model));
    let json = serde_json::to_string(&(inference, additional, output.effort)).unwrap();
    (json, dropped)
}

#[test]
fn an_older_claude_gets_a_budget_and_a_newer_one_an_effort() {
    let high = asked(Some(Effort::High));
    let (json, dropped) = said(&high, OLD);
    assert_eq!(json, r#"[{},{"thinking":{"type":"enabled","budget_tokens":24576}},null]"#);
    assert!(dropped.is_empty());
    let (json, _) = said(&high, ADAPTIVE);
    assert_eq!(json, r#"[{},{"thinking":{"type":"adaptive"}},"high"]"#);
    let (json, _) = said(&asked(Some(Effort::Highest)), ADAPTIVE);
    assert!(json.ends_with(r#""max"]"#));
}

#[test]
fn a_budget_stays_below_the_most_that_may_be_written() {
    let mut conversation = asked(Some(Effort::High));
    conversation.max_tokens = Some(4000);
    assert!(said(&conversation, OLD).0.contains("\"budget_tokens\":3999"));
    conversation.max_tokens = Some(1000);
    assert_eq!(said(&conversation, OLD).1, [Field::Reasoning]);
}

#[test]
fn who_must_call_a_tool_does_not_think() {
    let mut conversation = asked(Some(Effort::Low));
    conversation.tools = vec![canonical::Tool::default()];
    conversation.tool_choice = Some(ToolChoice::Required);
    for model in [OLD, ADAPTIVE, NEW] {
        assert_eq!(said(&conversation, model), ("[{},{},null]".to_owned(), vec![Field::Reasoning]));
    }
}

#[test]
fn a_thought_that_is_not_known_ends_the_thinking() {
    let mut conversation = asked(Some(Effort::Low));
    let call = canonical::Part::new(Content::ToolCall(canonical::ToolCall::default()));
    conversation.turns = vec![canonical::Turn::new(Role::Assistant, vec![call.clone()])];
    assert_eq!(said(&conversation, OLD).1, [Field::Reasoning]);
    assert_eq!(said(&conversation, ADAPTIVE).1, []);
    let mut thought = canonical::Part::new(Content::Reasoning("hm".to_owned()));
    thought.signature = Some(canonical::Signature::new(MAKER, "s"));
    conversation.turns = vec![canonical::Turn::new(Role::Assistant, vec![thought, call])];
    assert_eq!(said(&conversation, OLD).1, []);
}

#[test]
fn thinking_leaves_no_choice_of_tokens() {
    let mut conversation = asked(Some(Effort::Low));
    conversation.sampling = Sampling {
        temperature: Some(0.2),
        top_p: Some(0.5),
        top_k: Some(5),
        ..Sampling::default()
    };
    let (json, dropped) = said(&conversation, OLD);
    assert!(json.starts_with("[{},"), "{json}");
    assert_eq!(dropped, [Field::Temperature, Field::TopP, Field::TopK]);
}

#[test]
fn what_a_claude_refuses_is_left_out() {
    let sampling = Sampling { temperature: Some(0.5), top_p: Some(0.9), ..Sampling::default() };
    let conversation = Conversation { sampling, ..Conversation::default() };
    let (json, dropped) = said(&conversation, "anthropic.claude-3-haiku-20240307-v1:0");
    assert_eq!((json.as_str(), dropped.len()), (r#"[{"temperature":0.5,"topP":0.9},{},null]"#, 0));
    assert_eq!(said(&conversation, ADAPTIVE).1, [Field::TopP]);
    assert_eq!(said(&conversation, NEW).1, [Field::Temperature, Field::TopP]);
}

#[test]
fn the_usual_values_go_without_a_word() {
    let sampling = Sampling {
        temperature: Some(1.0),
        top_p: Some(1.0),
        n: Some(1),
        presence_penalty: Some(0.0),
        ..Sampling::default()
    };
    let conversation = Conversation { sampling, ..Conversation::default() };
    assert_eq!(said(&conversation, NEW), ("[{},{},null]".to_owned(), vec![]));
}

#[test]
fn other_families_have_words_of_their_own() {
    let mut conversation = asked(Some(Effort::High));
    let nova = said(&conversation, NOVA);
    assert!(nova.0.contains(r#"{"type":"enabled","maxReasoningEffort":"high"}"#), "{nova:?}");
    let open = said(&conversation, "openai.gpt-oss-20b-1:0");
    assert!(open.0.contains(r#""reasoning_effort":"high""#), "{open:?}");
    assert_eq!(said(&conversation, "meta.llama3-1-8b-instruct-v1:0").1, [Field::Reasoning]);
    conversation.max_tokens = Some(10);
    assert!(said(&conversation, NOVA).0.contains(r#""maxReasoningEffort":"medium""#));
    conversation.sampling.top_k = Some(7);
    assert!(said(&conversation, NOVA).0.contains(r#""inferenceConfig":{"topK":7}"#));
    assert!(said(&conversation, "meta.llama3-1-8b-instruct-v1:0").1.contains(&Field::TopK));
}

#[test]
fn the_temperature_ends_at_one() {
    let sampling = Sampling { temperature: Some(1.5), ..Sampling::default() };
    let conversation = Conversation { sampling, ..Conversation::default() };
    let (json, dropped) = said(&conversation, "amazon.nova-pro-v1:0");
    assert!(json.contains("\"temperature\":1.0"));
    assert_eq!(dropped, [Field::Temperature]);
}

#[test]
fn a_thought_that_nobody_wants_to_see_is_hidden_where_that_can_be_said() {
    let mut conversation = asked(None);
    conversation.reasoning.as_mut().unwrap().shown = Some(false);
    assert!(said(&conversation, NEW).0.contains(r#""display":"omitted""#));
    assert_eq!(said(&conversation, ADAPTIVE).1, [Field::ReasoningShown]);
}

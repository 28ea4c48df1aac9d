//! What is sent to which model.

use canonical::{
    Content, Effort, Json, Message, ModelFacts, Part, Reasoning, Role, Sampling, Schema, Signature,
    ToolCall, ToolResult,
};
use serde_json::{Value, json};

use super::*;

const OLD: &str = "claude-sonnet-4-5-20250929";
const NEW: &str = "claude-opus-5-5";

fn target(model: &str) -> EncodeOptions<'_> {
    let facts = crate::options::facts("anthropic", model).clone();
    let facts = Box::leak(Box::new(ModelFacts { max_output: Some(64_000), ..facts }));
    EncodeOptions { model, facts, ..EncodeOptions::default() }
}

fn requested(text: &str) -> Conversation {
    let messages = vec![Message::new(Role::User, vec![Part::text(text)])];
    Conversation { messages, ..Conversation::default() }
}

fn sent(conversation: &Conversation, model: &str) -> (Value, Vec<Field>) {
    let encoded = encode_chat(conversation, &target(model)).unwrap();
    (serde_json::from_slice(&encoded.body).unwrap(), encoded.dropped)
}

fn effort(effort: Effort) -> Option<Reasoning> {
    Some(Reasoning { effort: Some(effort), ..Reasoning::default() })
}

/// A tool was called, with this reasoning before it, and gave its result.
fn in_a_loop(reasoning: Option<Signature>) -> Conversation {
    let mut conversation = requested("What is the weather?");
    let call = ToolCall { id: "t1".to_owned(), name: "f".to_owned(), ..ToolCall::default() };
    let mut parts = vec![Part::new(Content::ToolCall(call))];
    if let Some(signature) = reasoning {
        let mut reasoning = Part::new(Content::Reasoning("h".to_owned()));
        reasoning.signature = Some(signature);
        parts.insert(0, reasoning);
    }
    conversation.messages.push(Message::new(Role::Assistant, parts));
    let result = ToolResult { id: "t1".to_owned(), ..ToolResult::default() };
    let parts = vec![Part::new(Content::ToolResult(result))];
    conversation.messages.push(Message::new(Role::User, parts));
    conversation.tools.push(Offer { name: "f".to_owned(), ..Offer::default() });
    conversation.reasoning = effort(Effort::High);
    conversation
}

#[test]
fn older_models_get_a_budget_and_newer_ones_an_effort() {
    let mut conversation = requested("Why?");
    conversation.reasoning = effort(Effort::High);
    let (body, dropped) = sent(&conversation, OLD);
    assert_eq!(body["thinking"], json!({"type": "enabled", "budget_tokens": 24_576}));
    assert_eq!(body["max_tokens"], 64_000);
    let (body, _) = sent(&conversation, NEW);
    assert_eq!(body["thinking"], json!({"type": "adaptive"}));
    assert_eq!(body["output_config"], json!({"effort": "high"}));
    assert!(dropped.is_empty());
}

#[test]
fn the_limit_makes_room_for_a_budget() {
    let mut conversation = requested("Why?");
    conversation.reasoning = Some(Reasoning { budget: Some(9000), ..Reasoning::default() });
    conversation.max_tokens = Some(2000);
    let (body, _) = sent(&conversation, OLD);
    assert_eq!(
        (&body["thinking"]["budget_tokens"], &body["max_tokens"]),
        (&json!(9000), &json!(11_000))
    );
    // The model's own limit is 64,000.
    conversation.max_tokens = Some(60_000);
    conversation.reasoning = Some(Reasoning { budget: Some(63_000), ..Reasoning::default() });
    let (body, _) = sent(&conversation, OLD);
    assert_eq!(
        (&body["thinking"]["budget_tokens"], &body["max_tokens"]),
        (&json!(63_000), &json!(64_000))
    );
    conversation.reasoning = Some(Reasoning { budget: Some(70_000), ..Reasoning::default() });
    assert_eq!(sent(&conversation, OLD).0["thinking"]["budget_tokens"], 63_999);
}

#[test]
fn a_loop_that_lost_its_reasoning_goes_on_without_thinking() {
    let own = Signature::new("anthropic", "Eq==");
    let (body, dropped) = sent(&in_a_loop(Some(own)), OLD);
    assert_eq!(body["messages"][1]["content"][0]["signature"], "Eq==");
    assert_eq!((&body["thinking"]["type"], dropped), (&json!("enabled"), vec![]));
    for lost in [None, Some(Signature::new("gemini", "x"))] {
        let (body, dropped) = sent(&in_a_loop(lost), OLD);
        assert_eq!((&body["thinking"], dropped), (&Value::Null, vec![Field::Reasoning]));
    }
    assert_eq!(sent(&in_a_loop(None), NEW).0["thinking"]["type"], "adaptive");
}

#[test]
fn a_tool_is_forced_where_that_is_possible() {
    let mut conversation = requested("Hi");
    conversation.tools.push(Offer { name: "f".to_owned(), ..Offer::default() });
    conversation.tool_choice = Some(Choice::Required);
    conversation.reasoning = effort(Effort::Low);
    let (body, dropped) = sent(&conversation, OLD);
    assert_eq!(body["tool_choice"], json!({"type": "any"}));
    assert_eq!((&body["thinking"], dropped), (&Value::Null, vec![Field::Reasoning]));
    let (body, dropped) = sent(&conversation, NEW);
    assert_eq!(body["tool_choice"], json!({"type": "auto"}));
    assert_eq!(dropped, [Field::ToolChoice]);
}

#[test]
fn thinking_is_switched_off_where_that_is_possible() {
    let mut conversation = requested("Hi");
    conversation.reasoning = effort(Effort::None);
    assert_eq!(sent(&conversation, OLD).0["thinking"], Value::Null);
    assert_eq!(sent(&conversation, "claude-opus-5").0["thinking"], json!({"type": "disabled"}));
    let (body, dropped) = sent(&conversation, NEW);
    assert_eq!(body["output_config"], json!({"effort": "low"}));
    assert_eq!(dropped, [Field::Reasoning]);
}

#[test]
fn what_chooses_tokens_is_sent_as_far_as_it_is_taken() {
    let mut conversation = requested("Hi");
    conversation.sampling = Sampling {
        temperature: Some(0.0),
        top_p: Some(0.5),
        top_k: Some(3),
        ..Sampling::default()
    };
    let (body, dropped) = sent(&conversation, OLD);
    assert_eq!((&body["temperature"], &body["top_k"]), (&json!(0.0), &json!(3)));
    assert_eq!(dropped, [Field::TopP]);
    let (body, dropped) = sent(&conversation, NEW);
    assert_eq!(body["temperature"], Value::Null);
    assert_eq!(dropped, [Field::Temperature, Field::TopP, Field::TopK]);
    conversation.sampling = Sampling { temperature: Some(1.0), ..Sampling::default() };
    assert!(sent(&conversation, NEW).1.is_empty(), "its own value anyway");
    conversation.sampling.temperature = Some(1.5);
    assert_eq!(sent(&conversation, OLD).0["temperature"], 1.0);
}

#[test]
fn a_schema_is_sent_where_it_is_taken() {
    let mut conversation = requested("Hi");
    let schema =
        Json(r#"{"type":"object","properties":{},"additionalProperties":false}"#.to_owned());
    let name = Some("n".to_owned());
    conversation.response_format =
        Some(ResponseFormat::Schema(Schema { name, description: None, schema, strict: None }));
    let (body, dropped) = sent(&conversation, OLD);
    assert_eq!(body["output_config"]["format"]["schema"]["title"], "n");
    assert!(dropped.is_empty());
    assert_eq!(sent(&conversation, "claude-sonnet-4-20250514").1, [Field::ResponseFormat]);
    conversation.response_format = Some(ResponseFormat::Json);
    assert_eq!(sent(&conversation, OLD).1, [Field::ResponseFormat]);
}

#[test]
fn calls_and_results_must_belong_together() {
    let refused = |conversation: &Conversation| {
        encode_chat(conversation, &target(OLD)).unwrap_err().message().to_owned()
    };
    let mut conversation = in_a_loop(None);
    conversation.messages.remove(2);
    conversation.messages.push(Message::new(Role::User, vec![Part::text("So?")]));
    assert!(refused(&conversation).contains("`t1` has no result"));
    let mut conversation = in_a_loop(None);
    conversation.messages.remove(1);
    assert!(refused(&conversation).contains("`t1` has no such call"));
}

#[test]
fn a_beginning_is_continued_by_older_models_only() {
    let mut conversation = requested("Hi");
    conversation.messages.push(Message::new(Role::Assistant, vec![Part::text("Well, \n")]));
    assert_eq!(sent(&conversation, OLD).0["messages"][1]["content"][0]["text"], "Well,");
    let error = encode_chat(&conversation, &target(NEW)).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unsupported);
}

#[test]
fn a_request_to_count_has_no_members_about_the_response() {
    let mut conversation = requested("Hi");
    conversation.max_tokens = Some(7);
    let body = encode_count(&conversation, &target(OLD)).unwrap().body;
    let body: Value = serde_json::from_slice(&body).unwrap();
    let text = json!({"role": "user", "content": [{"type": "text", "text": "Hi"}]});
    assert_eq!(body, json!({"model": OLD, "messages": [text]}));
}

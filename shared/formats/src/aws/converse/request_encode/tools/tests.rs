//! Tools and choices, family by family.

use canonical::{CacheBreakpoint, Json, Message, Part, Role, ToolCall};

use super::*;

const CLAUDE: &str = "eu.anthropic.claude-haiku-4-5-20251001-v1:0";
const LLAMA: &str = "meta.llama3-1-70b-instruct-v1:0";

fn tool(name: &str) -> Tool {
    let schema = Some(Json(r#"{"type":"object"}"#.to_owned()));
    Tool { name: name.to_owned(), schema, ..Tool::default() }
}

fn with(names: &[&str], choice: Option<ToolChoice>) -> Conversation {
    let tools = names.iter().map(|it| tool(it)).collect();
    Conversation { tools, tool_choice: choice, ..Conversation::default() }
}

fn called(mut conversation: Conversation) -> Conversation {
    let call = ToolCall { id: "c".to_owned(), name: "old".to_owned(), ..ToolCall::default() };
    let part = Part::new(Content::ToolCall(call));
    conversation.messages.push(Message::new(Role::Assistant, vec![part]));
    conversation
}

/// What is sent in `toolConfig` and to Claude, and what is dropped.
fn encoded(conversation: &Conversation, model: &str) -> (String, String, Vec<Field>) {
    let EncodedTools { config, claude, dropped } =
        encode_tools(conversation, Family::of(crate::options::facts("bedrock", model))).unwrap();
    let json = |it: serde_json::Result<String>| it.unwrap();
    (json(serde_json::to_string(&config)), json(serde_json::to_string(&claude)), dropped)
}

#[test]
fn a_choice_is_encoded_by_its_name() {
    for (choice, word) in [
        (ToolChoice::Auto, r#""toolChoice":{"auto":{}}"#),
        (ToolChoice::Required, r#""toolChoice":{"any":{}}"#),
        (ToolChoice::Named("a".to_owned()), r#""toolChoice":{"tool":{"name":"a"}}"#),
    ] {
        let (config, claude, _) = encoded(&with(&["a"], Some(choice)), CLAUDE);
        assert!(config.contains(word), "{config}");
        assert_eq!(claude, "null");
    }
}

#[test]
fn none_leaves_the_tools_out_unless_the_history_needs_them() {
    let none = with(&["a"], Some(ToolChoice::None));
    assert_eq!(encoded(&none, LLAMA), ("null".to_owned(), "null".to_owned(), vec![]));
    let (config, claude, dropped) = encoded(&called(none.clone()), CLAUDE);
    assert!(config.contains(r#""name":"a""#) && dropped.is_empty(), "{config}");
    assert_eq!(claude, r#"{"type":"none"}"#);
    assert_eq!(encoded(&called(none), LLAMA).2, [Field::ToolChoice]);
}

#[test]
fn calls_of_tools_that_are_gone_still_have_their_tool() {
    let (config, _, dropped) = encoded(&called(with(&[], None)), LLAMA);
    assert_eq!(
        config,
        r#"{"tools":[{"toolSpec":{"name":"old","inputSchema":{"json":{"type":"object","properties":{}}}}}]}"#
    );
    assert!(dropped.is_empty());
}

#[test]
fn one_call_at_a_time_is_claudes_own() {
    let mut conversation = with(&["a"], Some(ToolChoice::Required));
    conversation.parallel_tool_calls = Some(false);
    let (config, claude, _) = encoded(&conversation, CLAUDE);
    assert!(!config.contains("toolChoice"), "{config}");
    assert_eq!(claude, r#"{"type":"any","disable_parallel_tool_use":true}"#);
    assert_eq!(encoded(&conversation, LLAMA).2, [Field::ParallelToolCalls]);
}

#[test]
fn only_those_that_may_be_called_are_offered() {
    let among = ToolChoice::Among(vec!["b".to_owned()], true);
    let (config, ..) = encoded(&with(&["a", "b"], Some(among)), LLAMA);
    assert!(!config.contains(r#""a""#) && config.contains(r#""any""#), "{config}");
}

#[test]
fn marks_and_strictness_go_where_they_are_known() {
    let mut conversation = with(&["a"], None);
    let schema = r#"{"type":"object","additionalProperties":false}"#;
    conversation.tools[0].schema = Some(Json(schema.to_owned()));
    conversation.tools[0].strict = Some(true);
    conversation.tools[0].cache = Some(CacheBreakpoint { ttl: Some("1h".to_owned()) });
    let (config, _, dropped) = encoded(&conversation, CLAUDE);
    assert!(config.contains(r#""strict":true"#), "{config}");
    assert!(config.contains(r#"{"cachePoint":{"type":"default","ttl":"1h"}}"#), "{config}");
    assert!(dropped.is_empty());
    assert_eq!(encoded(&conversation, LLAMA).2, [Field::ToolStrict, Field::Cache]);
}

#[test]
fn a_claude_that_cannot_be_forced_decides_itself() {
    let required = with(&["a"], Some(ToolChoice::Required));
    let (config, _, dropped) = encoded(&required, "anthropic.claude-opus-5-5");
    assert!(config.contains(r#""toolChoice":{"auto":{}}"#), "{config}");
    assert_eq!(dropped, [Field::ToolChoice]);
}

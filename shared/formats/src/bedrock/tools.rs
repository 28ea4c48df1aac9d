//! Tools, and whether they may, must or must not be called.
//!
//! Converse has no `none`, and demands its `toolConfig` wherever the conversation holds calls or
//! results: *The toolConfig field must be defined when using toolUse and toolResult content
//! blocks.* What Claude's own API has beside it travels in `additionalModelRequestFields` (sources:
//! boto/boto3 issue 4687, BerriAI/litellm pull request 34347, seen 2026-11).

use std::collections::BTreeSet;

use canonical::{Content, Conversation, Error, Field, Result, Tool, ToolChoice};
use serde_json::value::RawValue;

use super::{
    content::cache_point,
    model::Family,
    wire::{self, ClaudeChoice, InputSchema, ToolConfig, ToolSpec},
};
use crate::json;

/// The schema of a tool that takes nothing, or of which nothing is known.
const ANYTHING: &str = r#"{"type":"object","properties":{}}"#;

/// What a request says about tools, in Bedrock's words.
#[derive(Default)]
pub(super) struct Tools<'a> {
    pub(super) config: Option<ToolConfig<'a>>,
    pub(super) claude: Option<ClaudeChoice<'a>>,
    pub(super) dropped: Vec<Field>,
}

/// Says which tools there are.
pub(super) fn tools(conversation: &Conversation, family: Family) -> Result<Tools<'_>> {
    let mut said = Tools::default();
    let used = used(conversation);
    let forbidden = conversation.tool_choice == Some(ToolChoice::None);
    if used.is_empty() && (forbidden || conversation.tools.is_empty()) {
        return Ok(said);
    }
    let mut tools = vec![];
    for tool in conversation.tools.iter().filter(|it| is_offered(conversation, it)) {
        said.tool(tool, family, &mut tools)?;
    }
    if tools.is_empty() {
        for name in used {
            let input_schema = InputSchema { json: anything()? };
            let spec = ToolSpec { name, description: None, input_schema, strict: None };
            tools.push(wire::Tool::ToolSpec(spec));
        }
    }
    let tool_choice = said.choice(conversation, family);
    said.config = Some(ToolConfig { tools, tool_choice });
    Ok(said)
}

impl<'a> Tools<'a> {
    fn tool(
        &mut self,
        tool: &'a Tool,
        family: Family,
        tools: &mut Vec<wire::Tool<'a>>,
    ) -> Result<()> {
        let Tool { name, description, schema, strict, cache } = tool;
        let can_be_strict = family.claude().is_some_and(|it| it.is_strict());
        if *strict == Some(true) && !can_be_strict {
            self.dropped.push(Field::ToolStrict);
        }
        let schema = match schema {
            Some(schema) => json::verbatim(schema)?,
            None => anything()?,
        };
        tools.push(wire::Tool::ToolSpec(ToolSpec {
            name,
            description: description.as_deref().filter(|it| !it.trim().is_empty()),
            input_schema: InputSchema { json: schema },
            strict: strict.filter(|it| *it && can_be_strict),
        }));
        if let Some(mark) = cache {
            let point = cache_point(mark, family, &mut self.dropped);
            tools.extend(point.map(wire::Tool::CachePoint));
        }
        Ok(())
    }

    fn choice(
        &mut self,
        conversation: &'a Conversation,
        family: Family,
    ) -> Option<wire::ToolChoice<'a>> {
        let one_by_one = conversation.parallel_tool_calls == Some(false);
        let choice = match &conversation.tool_choice {
            Some(ToolChoice::None) => return self.none(family),
            Some(ToolChoice::Auto) => Some(wire::ToolChoice::Auto {}),
            Some(ToolChoice::Required | ToolChoice::Among(_, true)) => {
                Some(wire::ToolChoice::Any {})
            }
            Some(ToolChoice::Named(name)) => Some(wire::ToolChoice::Tool { name }),
            Some(ToolChoice::Among(_, false)) | None => None,
        };
        // What the history needs only stands there to be lawful.
        let choice = choice.filter(|_| !conversation.tools.is_empty());
        if !one_by_one || conversation.tools.is_empty() {
            return choice;
        }
        if family.claude().is_none() {
            self.dropped.push(Field::ParallelToolCalls);
            return choice;
        }
        let (kind, name) = match choice {
            Some(wire::ToolChoice::Any {}) => ("any", None),
            Some(wire::ToolChoice::Tool { name }) => ("tool", Some(name)),
            Some(wire::ToolChoice::Auto {}) | None => ("auto", None),
        };
        let disable_parallel_tool_use = Some(true);
        self.claude = Some(ClaudeChoice { kind, name, disable_parallel_tool_use });
        None
    }

    fn none(&mut self, family: Family) -> Option<wire::ToolChoice<'a>> {
        if family.claude().is_some() {
            let (kind, name) = ("none", None);
            self.claude = Some(ClaudeChoice { kind, name, disable_parallel_tool_use: None });
        } else {
            self.dropped.push(Field::ToolChoice);
        }
        None
    }
}

/// Whether a tool is among those that may be called.
fn is_offered(conversation: &Conversation, tool: &Tool) -> bool {
    match &conversation.tool_choice {
        Some(ToolChoice::Among(names, _)) => names.contains(&tool.name),
        Some(ToolChoice::Auto | ToolChoice::None | ToolChoice::Required | ToolChoice::Named(_))
        | None => true,
    }
}

/// The tools that were called so far.
fn used(conversation: &Conversation) -> BTreeSet<&str> {
    let parts = conversation.turns.iter().flat_map(|it| &it.parts);
    let name = |content| match content {
        &Content::ToolCall(ref call) => Some(call.name.as_str()),
        _ => None,
    };
    parts.filter_map(|it| name(&it.content)).collect()
}

fn anything() -> Result<&'static RawValue> {
    serde_json::from_str(ANYTHING)
        .map_err(|error| Error::new(canonical::Kind::Internal, "No schema.").caused_by(error))
}

#[cfg(test)]
mod tests {
    use canonical::{CacheMark, Json, Part, Role, ToolCall, Turn};

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
        conversation.turns.push(Turn::new(Role::Assistant, vec![part]));
        conversation
    }

    /// What is sent in `toolConfig` and to Claude, and what is dropped.
    fn said(conversation: &Conversation, model: &str) -> (String, String, Vec<Field>) {
        let Tools { config, claude, dropped } = tools(conversation, Family::of(model)).unwrap();
        let json = |it: serde_json::Result<String>| it.unwrap();
        (json(serde_json::to_string(&config)), json(serde_json::to_string(&claude)), dropped)
    }

    #[test]
    fn a_choice_has_its_word() {
        for (choice, word) in [
            (ToolChoice::Auto, r#""toolChoice":{"auto":{}}"#),
            (ToolChoice::Required, r#""toolChoice":{"any":{}}"#),
            (ToolChoice::Named("a".to_owned()), r#""toolChoice":{"tool":{"name":"a"}}"#),
        ] {
            let (config, claude, _) = said(&with(&["a"], Some(choice)), CLAUDE);
            assert!(config.contains(word), "{config}");
            assert_eq!(claude, "null");
        }
    }

    #[test]
    fn none_leaves_the_tools_out_unless_the_history_needs_them() {
        let none = with(&["a"], Some(ToolChoice::None));
        assert_eq!(said(&none, LLAMA), ("null".to_owned(), "null".to_owned(), vec![]));
        let (config, claude, dropped) = said(&called(none.clone()), CLAUDE);
        assert!(config.contains(r#""name":"a""#) && dropped.is_empty(), "{config}");
        assert_eq!(claude, r#"{"type":"none"}"#);
        assert_eq!(said(&called(none), LLAMA).2, [Field::ToolChoice]);
    }

    #[test]
    fn calls_of_tools_that_are_gone_still_have_their_tool() {
        let (config, _, dropped) = said(&called(with(&[], None)), LLAMA);
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
        let (config, claude, _) = said(&conversation, CLAUDE);
        assert!(!config.contains("toolChoice"), "{config}");
        assert_eq!(claude, r#"{"type":"any","disable_parallel_tool_use":true}"#);
        assert_eq!(said(&conversation, LLAMA).2, [Field::ParallelToolCalls]);
    }

    #[test]
    fn only_those_that_may_be_called_are_offered() {
        let among = ToolChoice::Among(vec!["b".to_owned()], true);
        let (config, ..) = said(&with(&["a", "b"], Some(among)), LLAMA);
        assert!(!config.contains(r#""a""#) && config.contains(r#""any""#), "{config}");
    }

    #[test]
    fn marks_and_strictness_go_where_they_are_known() {
        let mut conversation = with(&["a"], None);
        conversation.tools[0].strict = Some(true);
        conversation.tools[0].cache = Some(CacheMark { ttl: Some("1h".to_owned()) });
        let (config, _, dropped) = said(&conversation, CLAUDE);
        assert!(config.contains(r#""strict":true"#), "{config}");
        assert!(config.contains(r#"{"cachePoint":{"type":"default","ttl":"1h"}}"#), "{config}");
        assert!(dropped.is_empty());
        assert_eq!(said(&conversation, LLAMA).2, [Field::ToolStrict, Field::Cache]);
    }
}

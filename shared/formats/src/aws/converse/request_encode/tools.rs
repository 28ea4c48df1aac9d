//! Encodes tools, and whether they may, must or must not be called.
//!
//! Converse has no `none`, and demands its `toolConfig` wherever the conversation holds calls or
//! results: *The toolConfig field must be defined when using toolUse and toolResult content
//! blocks.* What Claude's own API has beside it travels in `additionalModelRequestFields` (sources:
//! boto/boto3 issue 4687, BerriAI/litellm pull request 34347, seen 2026-11).

use std::{
    borrow::Cow,
    collections::{BTreeSet, HashSet},
};

use canonical::{Content, Conversation, Error, Field, Result, Tool, ToolChoice};
use serde_json::value::RawValue;

use super::blocks::cache_point;
use crate::anthropic::messages::{request_encode::schema, wire::request};
use crate::aws::converse::{
    quirks::models::Family,
    wire::{self, InputSchema, ToolConfig, ToolSpec},
};

/// The schema of a tool that takes nothing, or of which nothing is known.
const ANYTHING: &str = r#"{"type":"object","properties":{}}"#;

/// The members of a request about tools.
#[derive(Default)]
pub(crate) struct EncodedTools<'a> {
    pub(crate) config: Option<ToolConfig<'a>>,
    pub(crate) claude: Option<request::ToolChoice<'a>>,
    pub(crate) dropped: Vec<Field>,
}

/// Says which tools there are.
pub(crate) fn encode_tools(
    conversation: &Conversation,
    family: Family,
) -> Result<EncodedTools<'_>> {
    let mut encoded = EncodedTools::default();
    let used = used(conversation);
    let forbidden = conversation.tool_choice == Some(ToolChoice::None);
    if used.is_empty() && (forbidden || conversation.tools.is_empty()) {
        return Ok(encoded);
    }
    let among = among(conversation);
    let mut tools = vec![];
    for tool in conversation
        .tools
        .iter()
        .filter(|it| among.as_ref().is_none_or(|names| names.contains(it.name.as_str())))
    {
        encoded.tool(tool, family, &mut tools)?;
    }

    // Only what the history calls: its schemas are not known any more, and are never used.
    if tools.is_empty() {
        for name in used {
            let input_schema = InputSchema { json: Cow::Borrowed(anything()?) };
            let spec = ToolSpec { name, description: None, input_schema, strict: None };
            tools.push(wire::Tool::ToolSpec(spec));
        }
    }

    let tool_choice = encoded.choice(conversation, family);
    encoded.config = Some(ToolConfig { tools, tool_choice });
    Ok(encoded)
}

impl<'a> EncodedTools<'a> {
    fn tool(
        &mut self,
        tool: &'a Tool,
        family: Family,
        tools: &mut Vec<wire::Tool<'a>>,
    ) -> Result<()> {
        let Tool { name, description, schema, strict, cache } = tool;
        let wanted = *strict == Some(true);
        let is_strict = wanted && family.claude().is_some_and(|it| it.schemas);
        if wanted && !is_strict {
            self.dropped.push(Field::ToolStrict);
        }
        let json = Cow::Owned(schema::of_tool(schema.as_ref(), is_strict, &mut self.dropped)?);
        tools.push(wire::Tool::ToolSpec(ToolSpec {
            name,
            // A blank description is refused, unlike none.
            description: description.as_deref().filter(|it| !it.trim().is_empty()),
            input_schema: InputSchema { json },
            strict: is_strict.then_some(true),
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

        let forced =
            matches!(choice, Some(wire::ToolChoice::Any {} | wire::ToolChoice::Tool { .. }));
        let choice = if forced && family.claude().is_some_and(|it| !it.forced) {
            self.dropped.push(Field::ToolChoice);
            Some(wire::ToolChoice::Auto {})
        } else {
            choice
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
        self.claude = Some(request::ToolChoice { kind, name, disable_parallel_tool_use });
        None
    }

    fn none(&mut self, family: Family) -> Option<wire::ToolChoice<'a>> {
        if family.claude().is_some() {
            let (kind, name) = ("none", None);
            let disable_parallel_tool_use = None;
            self.claude = Some(request::ToolChoice { kind, name, disable_parallel_tool_use });
        } else {
            self.dropped.push(Field::ToolChoice);
        }
        None
    }
}

/// The tools that may be called, where not all may.
fn among(conversation: &Conversation) -> Option<HashSet<&str>> {
    match &conversation.tool_choice {
        Some(ToolChoice::Among(names, _)) => Some(names.iter().map(String::as_str).collect()),
        Some(ToolChoice::Auto | ToolChoice::None | ToolChoice::Required | ToolChoice::Named(_))
        | None => None,
    }
}

/// The tools that were called so far.
fn used(conversation: &Conversation) -> BTreeSet<&str> {
    let parts = conversation.messages.iter().flat_map(|it| &it.parts);
    let names = parts.filter_map(|it| match &it.content {
        Content::ToolCall(call) => Some(call.name.as_str()),
        _ => None,
    });
    names.collect()
}

fn anything() -> Result<&'static RawValue> {
    serde_json::from_str(ANYTHING)
        .map_err(|error| Error::new(canonical::ErrorKind::Internal, "No schema.").caused_by(error))
}

#[cfg(test)]
mod tests;

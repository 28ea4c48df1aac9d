//! The JSON member of Anthropic's request that each field is.

use std::borrow::Cow;

use canonical::Field;

/// The member that a field is.
pub(super) fn name(field: &Field) -> Cow<'static, str> {
    Cow::Borrowed(match field {
        Field::ReasoningText => "messages[].content[].thinking",
        Field::Citations => "messages[].content[].citations",
        Field::Image | Field::Audio | Field::Video => "messages[].content[].source",
        Field::File => "messages[].content[].source",
        Field::FileName => "messages[].content[].title",
        Field::ToolError => "messages[].content[].is_error",
        Field::ToolResultMedia => "messages[].content[].content",
        Field::ToolStrict => "tools[].strict",
        Field::ParallelToolCalls => "tool_choice.disable_parallel_tool_use",
        Field::ResponseFormat => "output_config.format",
        Field::ResponseSchema | Field::ResponseName | Field::ResponseStrict => {
            "output_config.format.schema"
        }
        Field::Stop => "stop_sequences",
        Field::Reasoning => "thinking",
        Field::ReasoningVisibility => "thinking.display",
        Field::User => "metadata.user_id",
        _ => return field.openai_chat_name(),
    })
}

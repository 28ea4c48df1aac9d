//! The format's own members for what a request may say.

use std::borrow::Cow;

use canonical::Field;

/// The name of a field in this format.
pub(super) fn name(field: &Field) -> Cow<'static, str> {
    Cow::Borrowed(match field {
        Field::ReasoningText => "contents[].parts[].thought",
        Field::Image | Field::Audio | Field::Video | Field::File => "contents[].parts[].inlineData",
        Field::FileName => "contents[].parts[].fileData.displayName",
        Field::ToolError => "contents[].parts[].functionResponse.response.error",
        Field::ToolResultMedia => "contents[].parts[].functionResponse.parts",
        Field::Tools => "tools[].functionDeclarations",
        Field::ToolChoice => "toolConfig.functionCallingConfig",
        Field::ResponseFormat => "generationConfig.responseMimeType",
        // Google holds every response to its schema, so that strictness has no member of its own.
        Field::ResponseSchema | Field::ResponseStrict => "generationConfig.responseSchema",
        Field::ResponseName => "generationConfig.responseSchema.title",
        Field::Temperature => "generationConfig.temperature",
        Field::TopP => "generationConfig.topP",
        Field::TopK => "generationConfig.topK",
        Field::FrequencyPenalty => "generationConfig.frequencyPenalty",
        Field::PresencePenalty => "generationConfig.presencePenalty",
        Field::Seed => "generationConfig.seed",
        Field::Stop => "generationConfig.stopSequences",
        Field::N => "generationConfig.candidateCount",
        Field::MaxTokens => "generationConfig.maxOutputTokens",
        Field::Reasoning => "generationConfig.thinkingConfig",
        Field::ReasoningVisibility => "generationConfig.thinkingConfig.includeThoughts",
        Field::Metadata => "labels",
        Field::ServiceTier => "serviceTier",
        _ => return field.openai_chat_name(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strictness_of_a_response_is_its_schema() {
        assert_eq!(name(&Field::ResponseStrict), "generationConfig.responseSchema");
    }
}

//! Changes to a conversation for one provider: without some fields or signatures, within a limit.

use std::borrow::Cow;

use crate::{Conversation, Field};

impl Conversation {
    /// The same conversation without these fields.
    #[must_use]
    pub fn without_fields(&self, fields: &[Field]) -> Cow<'_, Self> {
        if fields.is_empty() {
            return Cow::Borrowed(self);
        }
        // A copy, because other targets of the route may take the whole conversation.
        let mut less = self.clone();
        for field in fields {
            less.remove(field);
        }
        Cow::Owned(less)
    }

    /// Removes a field. One that a conversation cannot be without stays.
    fn remove(&mut self, field: &Field) {
        match field {
            Field::ResponseFormat => self.response_format = None,
            // The only field whose place is taken by something: the model can still follow a schema
            // that it reads.
            Field::ResponseSchema => self.move_schema_into_prompt(),
            Field::Tools => self.tools.clear(),
            Field::ToolChoice => self.tool_choice = None,
            Field::ParallelToolCalls => self.parallel_tool_calls = None,
            Field::MaxTokens => self.max_tokens = None,
            Field::Temperature => self.sampling.temperature = None,
            Field::TopP => self.sampling.top_p = None,
            Field::TopK => self.sampling.top_k = None,
            Field::FrequencyPenalty => self.sampling.frequency_penalty = None,
            Field::PresencePenalty => self.sampling.presence_penalty = None,
            Field::Seed => self.sampling.seed = None,
            Field::Stop => self.sampling.stop.clear(),
            Field::N => self.sampling.n = None,
            Field::Reasoning => self.reasoning = None,
            Field::User => self.user = None,
            Field::Metadata => self.metadata.clear(),
            Field::ServiceTier => self.service_tier = None,
            Field::Verbosity => self.verbosity = None,
            Field::PromptCacheKey => self.prompt_cache_key = None,
            _ => {}
        }
    }

    /// The same conversation without the signatures of its reasoning and calls.
    #[must_use]
    pub fn without_signatures(mut self) -> Self {
        let parts = self.messages.iter_mut().flat_map(|it| &mut it.parts);
        parts.for_each(|it| it.signature = None);
        self
    }
}

//! How much a model reasons, and how it samples tokens.
//!
//! What Claude takes is known to Anthropic's own format. Nova's words: the Nova User Guide,
//! *Extended thinking*, seen 2026-11.

use canonical::{Conversation, Effort, Field, Reasoning, Sampling};

use super::models::Family;
use crate::aws::converse::wire::{
    Additional, Block, Inference, NovaInference, NovaReasoning, OutputConfig, WireMessage,
};
use crate::{
    anthropic::messages::quirks::{models::Model, thinking},
    lost_reasoning::{MessageShape, lost_reasoning},
    stop_sequences,
};

/// How many texts may end a response (the service model, `InferenceConfiguration`).
const MAX_STOPS: usize = 2500;

/// The members of a request about sampling and reasoning.
#[derive(Default)]
pub(crate) struct ModelSettings<'a> {
    pub(crate) inference: Inference<'a>,
    pub(crate) additional: Additional<'a>,
    pub(crate) output: OutputConfig<'a>,
    pub(crate) dropped: Vec<Field>,
}

/// Encodes how a model samples tokens and how much it reasons.
pub(crate) fn encode_settings<'a>(
    conversation: &'a Conversation,
    family: Family,
    messages: &[WireMessage<'_>],
) -> ModelSettings<'a> {
    let mut settings = ModelSettings::default();
    settings.base(&conversation.sampling);
    settings.inference.max_tokens = conversation.max_tokens;
    if let Family::Claude(model) = family {
        let budget_forbidden = forbids_budget(conversation, messages);
        let plan = thinking::plan(conversation, model, budget_forbidden, &mut settings.dropped);
        settings.claude(&conversation.sampling, model, plan);
        return settings;
    }
    settings.sampling(&conversation.sampling, family);
    if let Some(reasoning) = &conversation.reasoning {
        settings.reasoning(reasoning, conversation, family);
    }
    settings
}

impl<'a> ModelSettings<'a> {
    /// Sets the members that every model has.
    fn base(&mut self, wanted: &'a Sampling) {
        let Sampling {
            temperature: _,
            top_p: _,
            top_k: _,
            frequency_penalty,
            presence_penalty,
            seed,
            stop: _,
            n,
        } = wanted;
        let drops = [
            (frequency_penalty.is_some_and(|it| it != 0.0), Field::FrequencyPenalty),
            (presence_penalty.is_some_and(|it| it != 0.0), Field::PresencePenalty),
            (seed.is_some(), Field::Seed),
            (n.is_some_and(|it| it != 1), Field::N),
        ];
        self.dropped.extend(drops.into_iter().filter(|it| it.0).map(|it| it.1));
        self.inference.stop_sequences =
            stop_sequences::accepted(wanted, MAX_STOPS, &mut self.dropped);
    }

    fn claude(&mut self, wanted: &Sampling, model: Model, plan: thinking::Plan) {
        let (temperature, top_p, top_k) =
            thinking::sampling(wanted, model, plan.thinking, &mut self.dropped);
        // Converse gives Claude about 4,096 tokens where no limit is named, which cuts long tool calls.
        self.inference.max_tokens = Some(plan.max_tokens);
        self.inference.temperature = temperature;
        self.inference.top_p = top_p;
        self.additional.top_k = top_k;
        self.additional.thinking = plan.thinking;
        self.output.effort = plan.output_config.and_then(|it| it.effort);
    }

    fn sampling(&mut self, wanted: &Sampling, family: Family) {
        self.inference.temperature = wanted.temperature;
        self.inference.top_p = wanted.top_p;
        // The API's own limit, where others go up to 2.
        if wanted.temperature.is_some_and(|it| 1.0 < it) {
            self.inference.temperature = Some(1.0);
            self.dropped.push(Field::Temperature);
        }
        // Converse has no `topK`; Nova takes it among its own fields.
        if let Family::Nova(_) = family {
            self.additional.nova = wanted.top_k.map(|top_k| NovaInference { top_k });
        } else if wanted.top_k.is_some() {
            self.dropped.push(Field::TopK);
        }
    }

    fn reasoning(&mut self, wanted: &Reasoning, conversation: &Conversation, family: Family) {
        match (family, wanted.as_effort()) {
            (Family::Nova(true), _) => self.nova(wanted, conversation),
            (Family::GptOss, Some(effort)) if effort != Effort::None => {
                self.additional.reasoning_effort = Some(up_to_high(effort));
            }
            (_, Some(_)) => self.dropped.push(Field::Reasoning),
            (_, None) => {}
        }
        if wanted.visible == Some(false) && !wanted.is_off() {
            // Converse cannot hide reasoning.
            self.dropped.push(Field::ReasoningVisibility);
        }
    }

    /// At its highest effort, Nova takes none of the limits that may stand beside the others.
    fn nova(&mut self, wanted: &Reasoning, conversation: &Conversation) {
        if wanted.is_off() {
            let (kind, max_reasoning_effort) = ("disabled", None);
            self.additional.nova_reasoning = Some(NovaReasoning { kind, max_reasoning_effort });
            return;
        }
        let sampling = &conversation.sampling;
        let limited = conversation.max_tokens.is_some()
            || sampling.temperature.is_some()
            || sampling.top_p.is_some();
        let effort = wanted.as_effort().unwrap_or(Effort::Medium);
        // The client has named the limits, and only asked for more reasoning: they stay.
        let effort = if limited { effort.min(Effort::Medium) } else { effort };
        let (kind, max_reasoning_effort) = ("enabled", Some(up_to_high(effort)));
        self.additional.nova_reasoning = Some(NovaReasoning { kind, max_reasoning_effort });
    }
}

fn up_to_high(effort: Effort) -> &'static str {
    match effort {
        Effort::None | Effort::Minimal | Effort::Low => "low",
        Effort::Medium => "medium",
        Effort::High | Effort::Highest => "high",
    }
}

/// Whether something forbids Claude a budget: a forced tool, a beginning that the model is to
/// continue, or a message that is still calling tools and lost its reasoning.
fn forbids_budget(conversation: &Conversation, messages: &[WireMessage<'_>]) -> bool {
    thinking::is_forced(conversation)
        || messages.last().is_some_and(|it| it.role == "assistant")
        || lacks_reasoning(messages)
}

fn lacks_reasoning(messages: &[WireMessage<'_>]) -> bool {
    let is_reasoning = |it: &Block<'_>| matches!(it, Block::ReasoningContent(_));
    lost_reasoning(messages.iter().map(|message| MessageShape {
        is_assistant: message.role == "assistant",
        begins_with_reasoning: message.content.first().is_some_and(is_reasoning),
        has_tool_result: message.content.iter().any(|it| matches!(it, Block::ToolResult(_))),
    }))
}

#[cfg(test)]
mod tests;

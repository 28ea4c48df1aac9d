//! How hard a model thinks, and how it chooses its tokens.
//!
//! What Claude takes is known to Anthropic's own format. Nova's words: the Nova User Guide,
//! *Extended thinking*, seen 2026-11.

use canonical::{Conversation, Effort, Field, Reasoning, Sampling};

use super::{
    model::Family,
    wire::{Additional, Block, Inference, NovaInference, NovaReasoning, OutputConfig, WireMessage},
};
use crate::anthropic::messages::{models::Model, thinking};

/// What a request says about sampling and thinking, in Bedrock's words.
#[derive(Default)]
pub(super) struct Tuned<'a> {
    pub(super) inference: Inference<'a>,
    pub(super) additional: Additional<'a>,
    pub(super) output: OutputConfig<'a>,
    pub(super) dropped: Vec<Field>,
}

/// Says how a model chooses its tokens and how hard it thinks.
pub(super) fn tuned<'a>(
    conversation: &'a Conversation,
    family: Family,
    max_output: Option<u64>,
    messages: &[WireMessage<'_>],
) -> Tuned<'a> {
    let mut tuned = Tuned::default();
    tuned.base(&conversation.sampling);
    tuned.inference.max_tokens = conversation.max_tokens;
    if let Family::Claude(model) = family {
        let in_the_way = is_in_the_way(conversation, messages);
        let plan = thinking::plan(conversation, model, max_output, in_the_way, &mut tuned.dropped);
        tuned.claude(&conversation.sampling, model, plan);
        return tuned;
    }
    tuned.sampling(&conversation.sampling, family);
    if let Some(reasoning) = &conversation.reasoning {
        tuned.reasoning(reasoning, conversation, family);
    }
    tuned
}

impl<'a> Tuned<'a> {
    /// What holds for every model.
    fn base(&mut self, wanted: &'a Sampling) {
        let Sampling {
            temperature: _,
            top_p: _,
            top_k: _,
            frequency_penalty,
            presence_penalty,
            seed,
            stop,
            n,
        } = wanted;
        let drops = [
            (frequency_penalty.is_some_and(|it| it != 0.0), Field::FrequencyPenalty),
            (presence_penalty.is_some_and(|it| it != 0.0), Field::PresencePenalty),
            (seed.is_some(), Field::Seed),
            (n.is_some_and(|it| it != 1), Field::N),
        ];
        self.dropped.extend(drops.into_iter().filter(|it| it.0).map(|it| it.1));
        self.inference.stop_sequences = stop;
    }

    fn claude(&mut self, wanted: &Sampling, model: Model, plan: thinking::Plan) {
        let (temperature, top_p, top_k) =
            thinking::sampling(wanted, model, plan.thinking, &mut self.dropped);
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
/// continue, or a turn that is still calling tools and lost its thought.
fn is_in_the_way(conversation: &Conversation, messages: &[WireMessage<'_>]) -> bool {
    thinking::is_forced(conversation)
        || messages.last().is_some_and(|it| it.role == "assistant")
        || lacks_thought(messages)
}

/// Whether the turn that is still calling tools has no thought at its beginning. It goes back to
/// the user's last message without results.
fn lacks_thought(messages: &[WireMessage<'_>]) -> bool {
    let is_thought = |it: &Block<'_>| matches!(it, Block::ReasoningContent(_));
    let is_result = |it: &Block<'_>| matches!(it, Block::ToolResult(_));
    let mut lacking = false;
    for message in messages.iter().rev() {
        if message.role == "assistant" {
            if message.content.first().is_some_and(is_thought) {
                return false;
            }
            lacking = true;
        } else if !message.content.iter().any(is_result) {
            return lacking;
        }
    }
    lacking
}

#[cfg(test)]
mod tests;

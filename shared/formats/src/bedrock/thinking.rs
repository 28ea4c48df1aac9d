//! How hard a model thinks, and what it takes no more while it does.
//!
//! Sources: the Bedrock User Guide, *Extended thinking* and *Adaptive thinking*, and Anthropic's
//! pages of the same names, seen 2026-11. With a budget, Claude demands it below `max_tokens`, no
//! forced tool, no `temperature`, no `top_k`, and a thought before the calls of the last turn.

use canonical::{Content, Conversation, Effort, Field, Reasoning, Role, Sampling, ToolChoice};

use super::{
    MAKER,
    model::{Family, Version},
    wire::{Additional, Inference, NovaInference, NovaReasoning, OutputConfig, Thinking},
};

/// The least that Claude can be given to think, in tokens.
const LEAST: u64 = 1024;
/// What Claude gets when it is to decide for itself and cannot.
const USUAL: u64 = 8192;
/// Below this `top_p`, Claude does not think.
const LEAST_TOP_P: f64 = 0.95;

/// What a request says about sampling and thinking, in Bedrock's words.
#[derive(Default)]
pub(super) struct Tuned<'a> {
    pub(super) inference: Inference<'a>,
    pub(super) additional: Additional<'a>,
    pub(super) output: OutputConfig<'a>,
    pub(super) dropped: Vec<Field>,
}

/// Says how a model chooses its tokens and how hard it thinks.
pub(super) fn tuned(conversation: &Conversation, family: Family) -> Tuned<'_> {
    let mut tuned = Tuned::default();
    if let Some(reasoning) = &conversation.reasoning {
        tuned.reasoning(reasoning, conversation, family);
    }
    tuned.inference.max_tokens = conversation.max_tokens;
    tuned.sampling(&conversation.sampling, family);
    tuned
}

impl<'a> Tuned<'a> {
    fn reasoning(&mut self, wanted: &Reasoning, conversation: &Conversation, family: Family) {
        match family {
            Family::Claude(version) => self.claude(wanted, conversation, version),
            Family::Nova(true) => self.nova(wanted, conversation),
            Family::GptOss => match wanted.as_effort() {
                Some(Effort::None) => self.dropped.push(Field::Reasoning),
                effort => self.additional.reasoning_effort = effort.map(up_to_high),
            },
            Family::Nova(false) | Family::Other | Family::Unknown => {
                if wanted.as_effort().is_some() {
                    self.dropped.push(Field::Reasoning);
                }
            }
        }
        let is_claude = family.claude().is_some_and(Version::is_without_sampling);
        if wanted.shown == Some(false) && !is_claude && !wanted.is_off() {
            self.dropped.push(Field::ReasoningShown);
        }
    }

    fn claude(&mut self, wanted: &Reasoning, conversation: &Conversation, version: Version) {
        // Who is told nothing does not think.
        if wanted.is_off() {
            return;
        }
        if is_forced(conversation) {
            self.dropped.push(Field::Reasoning);
            return;
        }
        if version.is_adaptive() {
            let shown = wanted.shown.filter(|_| version.is_without_sampling());
            let display = shown.map(|it| if it { "summarized" } else { "omitted" });
            self.additional.thinking = Some(Thinking::Adaptive { display });
            self.output.effort = wanted.as_effort().map(|it| match it {
                Effort::Highest => "max",
                other => up_to_high(other),
            });
            return;
        }
        let room = conversation.max_tokens.map_or(u64::MAX, |it| it.saturating_sub(1));
        if room < LEAST || calls_without_thought(conversation) {
            self.dropped.push(Field::Reasoning);
            return;
        }
        let budget_tokens = wanted.as_budget().unwrap_or(USUAL).max(LEAST).min(room);
        self.additional.thinking = Some(Thinking::Enabled { budget_tokens });
    }

    /// At its highest effort, Nova takes none of the limits that may stand beside the others.
    fn nova(&mut self, wanted: &Reasoning, conversation: &Conversation) {
        let sampling = &conversation.sampling;
        let limited = conversation.max_tokens.is_some()
            || sampling.temperature.is_some()
            || sampling.top_p.is_some();
        let effort = wanted.as_effort().filter(|it| *it != Effort::None);
        let effort = effort.map(|it| if limited { it.min(Effort::Medium) } else { it });
        let kind = if wanted.is_off() { "disabled" } else { "enabled" };
        let max_reasoning_effort =
            if wanted.is_off() { None } else { Some(effort.map_or("medium", up_to_high)) };
        self.additional.nova_reasoning = Some(NovaReasoning { kind, max_reasoning_effort });
    }

    fn sampling(&mut self, wanted: &'a Sampling, family: Family) {
        let Sampling {
            temperature,
            top_p,
            top_k,
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
        self.inference.temperature = *temperature;
        self.inference.top_p = *top_p;
        // The API's own limit, where others go up to 2.
        if temperature.is_some_and(|it| 1.0 < it) {
            self.inference.temperature = Some(1.0);
            self.dropped.push(Field::Temperature);
        }
        match family {
            Family::Claude(version) => {
                self.additional.top_k = *top_k;
                self.fit_for_claude(version);
            }
            Family::Nova(_) => {
                self.additional.nova = top_k.map(|top_k| NovaInference { top_k });
            }
            Family::GptOss | Family::Other | Family::Unknown => {
                if top_k.is_some() {
                    self.dropped.push(Field::TopK);
                }
            }
        }
    }

    /// Takes out what would be refused. A value that is the usual one goes without a word.
    fn fit_for_claude(&mut self, version: Version) {
        let thinks = self.additional.thinking.is_some();
        let bare = version.is_without_sampling();
        if (bare || thinks)
            && let Some(temperature) = self.inference.temperature.take()
            && temperature != 1.0
        {
            self.dropped.push(Field::Temperature);
        }
        let both = version.takes_one_of_both() && self.inference.temperature.is_some();
        let low = thinks && self.inference.top_p.is_some_and(|it| it < LEAST_TOP_P);
        if (bare || both || low)
            && let Some(top_p) = self.inference.top_p.take()
            && top_p != 1.0
        {
            self.dropped.push(Field::TopP);
        }
        if (bare || thinks) && self.additional.top_k.take().is_some() {
            self.dropped.push(Field::TopK);
        }
    }
}

fn up_to_high(effort: Effort) -> &'static str {
    match effort {
        Effort::None | Effort::Minimal | Effort::Low => "low",
        Effort::Medium => "medium",
        Effort::High | Effort::Highest => "high",
    }
}

/// Whether a tool must be called: Claude cannot be made to and think too.
fn is_forced(conversation: &Conversation) -> bool {
    match &conversation.tool_choice {
        Some(ToolChoice::Required | ToolChoice::Named(_) | ToolChoice::Among(_, true)) => {
            !conversation.tools.is_empty()
        }
        Some(ToolChoice::Auto | ToolChoice::None | ToolChoice::Among(_, false)) | None => false,
    }
}

/// Whether the model's last turn called tools and what it thought before is not known.
fn calls_without_thought(conversation: &Conversation) -> bool {
    let last = conversation.turns.iter().rev().find(|it| it.role == Role::Assistant);
    let parts = last.map(|it| it.parts.as_slice()).unwrap_or_default();
    let calls = parts.iter().any(|it| matches!(it.content, Content::ToolCall(_)));
    let thought = |it: &&canonical::Part| {
        matches!(it.content, Content::Reasoning(_))
            && it.signature.as_ref().is_some_and(|it| it.maker == MAKER)
    };
    calls && parts.first().filter(thought).is_none()
}

#[cfg(test)]
mod tests;

//! Whether and how reasoning is requested, and what must be left out for it.
//!
//! Rules, seen 2026-11 on platform.claude.com (*Thinking*, *Extended thinking*): a budget is at
//! least 1024 tokens and less than `max_tokens`; with a budget there is no forced tool, and a message
//! that is still calling tools must begin with its reasoning. Adaptive thinking has neither rule. No
//! thinking goes with `temperature`, `top_k` or a `top_p` below 0.95. The newest models never stop
//! thinking.

use canonical::{
    Conversation, Effort, Field, Reasoning, ReasoningOff, Sampling, SamplingSupport, ToolChoice,
};

use super::models::{EffortWords, Model, Thinking as Way};
use crate::{
    anthropic::messages::wire::request::{Block, OutputConfig, Thinking, WireMessage},
    lost_reasoning::{MessageShape, lost_reasoning},
};

/// The least budget that is accepted, in tokens.
const MIN_BUDGET: u64 = 1024;
/// The budget of a model that is asked to decide for itself and cannot, in tokens.
const DEFAULT_BUDGET: u64 = 8192;

/// The members of a request about reasoning.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) max_tokens: u64,
    pub(crate) thinking: Option<Thinking>,
    pub(crate) output_config: Option<OutputConfig>,
}

/// Decides what is sent about thinking. `budget_forbidden` says whether something forbids a budget.
pub(crate) fn plan(
    conversation: &Conversation,
    model: Model,
    budget_forbidden: bool,
    dropped: &mut Vec<Field>,
) -> Plan {
    let most = model.max_output;
    let max_tokens = conversation.max_tokens.unwrap_or(most);
    let mut plan = Plan { max_tokens, ..Plan::default() };
    let Some(reasoning) = &conversation.reasoning else {
        return plan;
    };

    // Before the table of models: a client that wants none must not get any by the default of a
    // newer model.
    if reasoning.is_off() {
        switch_off(model, &mut plan, dropped);
        return plan;
    }

    match model.thinking {
        Way::Never => dropped.push(Field::Reasoning),
        Way::Adaptive => plan.thinking = Some(adaptive(reasoning)),
        // A forced tool or a continued message is what the client needs; the reasoning is what it
        // can do without.
        Way::Budget if budget_forbidden => dropped.push(Field::Reasoning),
        Way::Budget => {
            (plan.max_tokens, plan.thinking) =
                budget_within(reasoning, conversation.max_tokens, most);
            if plan.thinking.is_none() {
                dropped.push(Field::Reasoning);
            }
        }
    }

    plan.output_config = effort(reasoning, model);
    plan
}

fn switch_off(model: Model, plan: &mut Plan, dropped: &mut Vec<Field>) {
    let kind = match model.off {
        ReasoningOff::Unrequested => return,
        ReasoningOff::Disabled => "disabled",
        ReasoningOff::BetweenTools => {
            dropped.push(Field::Reasoning);
            "between_tools"
        }
        ReasoningOff::Never => {
            dropped.push(Field::Reasoning);
            // The nearest to none that a model takes that never stops thinking.
            plan.output_config = Some(OutputConfig { effort: Some("low"), format: None });
            return;
        }
    };
    plan.thinking = Some(Thinking { kind, budget_tokens: None, display: None });
}

/// The newest models hide their reasoning unless they are asked for them.
pub(crate) fn adaptive(reasoning: &Reasoning) -> Thinking {
    let display = reasoning.visible.map(|it| if it { "summarized" } else { "omitted" });
    Thinking { kind: "adaptive", budget_tokens: None, display }
}

/// The limit on output and the budget within it, in tokens.
///
/// The budget counts towards the limit, while clients of other formats set a limit on the response
/// alone:
/// so the limit is raised by the budget, up to the model's own (`most`). Where there is no room the
/// budget shrinks: one that the client named to a token below the limit, one that a word stands for to
/// half of it. Below the least budget there is none.
pub(crate) fn budget_within(
    reasoning: &Reasoning,
    named: Option<u64>,
    most: u64,
) -> (u64, Option<Thinking>) {
    let named_limit = named.unwrap_or(most);
    let wanted = reasoning.as_budget().unwrap_or(DEFAULT_BUDGET).max(MIN_BUDGET);
    let max_budget = |limit: u64| {
        let below = limit.saturating_sub(1);
        // A named budget is the client's own division of its limit. An effort says nothing of the
        // limit, so that half of it is left for the response.
        if reasoning.budget.is_some() { below } else { (limit / 2).max(MIN_BUDGET).min(below) }
    };
    // Anthropic's own clients name a limit that includes the budget; where it fits, it stays.
    let limit = if wanted <= max_budget(named_limit) {
        named_limit
    } else {
        named_limit.saturating_add(wanted).min(most.max(named_limit))
    };
    let budget = wanted.min(max_budget(limit));
    // The API refuses less, and the client's limit is then for the response alone.
    if budget < MIN_BUDGET {
        return (named_limit, None);
    }
    // Models with budgets show their reasoning unless they are told not to.
    let display = (reasoning.visible == Some(false)).then_some("omitted");
    (limit, Some(Thinking { kind: "enabled", budget_tokens: Some(budget), display }))
}

fn effort(reasoning: &Reasoning, model: Model) -> Option<OutputConfig> {
    // An effort may stand beside a budget: it also decides how much the model writes.
    let word = match (model.effort, reasoning.as_effort()?) {
        (EffortWords::None, _) | (_, Effort::None) => return None,
        (_, Effort::Minimal | Effort::Low) => "low",
        (_, Effort::Medium) => "medium",
        (EffortWords::Max, Effort::Highest) => "max",
        (_, Effort::High | Effort::Highest) => "high",
    };
    Some(OutputConfig { effort: Some(word), format: None })
}

/// Whether something forbids a budget: a forced tool, a beginning that the model is to continue, or
/// a message that is still calling tools and lost its reasoning.
pub(crate) fn forbids_budget(conversation: &Conversation, messages: &[WireMessage<'_>]) -> bool {
    is_forced(conversation)
        // A continued message has begun already, and a budget demands that it begin with reasoning.
        || messages.last().is_some_and(|it| it.role == "assistant")
        || lacks_reasoning(messages)
}

/// Whether a tool must be called.
pub(crate) fn is_forced(conversation: &Conversation) -> bool {
    match &conversation.tool_choice {
        Some(ToolChoice::Required | ToolChoice::Named(_) | ToolChoice::Among(_, true)) => true,
        Some(ToolChoice::Auto | ToolChoice::None | ToolChoice::Among(_, false)) | None => false,
    }
}

fn lacks_reasoning(messages: &[WireMessage<'_>]) -> bool {
    lost_reasoning(messages.iter().map(|message| MessageShape {
        is_assistant: message.role == "assistant",
        begins_with_reasoning: message.content.first().is_some_and(Block::is_reasoning),
        has_tool_result: message.content.iter().any(|it| matches!(it, Block::ToolResult { .. })),
    }))
}

/// How tokens are chosen, as far as the model and its thinking allow. A value that is the model's
/// own anyway is nothing lost.
pub(crate) fn sampling(
    sampling: &Sampling,
    model: Model,
    thinking: Option<Thinking>,
    dropped: &mut Vec<Field>,
) -> (Option<f64>, Option<f64>, Option<u64>) {
    let on = thinking.is_some_and(|it| matches!(it.kind, "enabled" | "adaptive"));
    let none = model.sampling == SamplingSupport::None;
    let (mut temperature, mut top_p, mut top_k) =
        (sampling.temperature, sampling.top_p, sampling.top_k);

    // Other formats go up to 2. The nearest value that is accepted comes closer than the default.
    if temperature.is_some_and(|it| 1.0 < it) {
        dropped.push(Field::Temperature);
        temperature = Some(1.0);
    }
    // 1 is the only value beside thinking, and the default: it goes in silence.
    if (on || none) && temperature.take().is_some_and(|it| it < 1.0) {
        dropped.push(Field::Temperature);
    }
    if (on || none) && top_k.take().is_some() {
        dropped.push(Field::TopK);
    }

    let allowed = |it: f64| !none && (!on || 0.95 <= it);
    let beside = temperature.is_some() && model.sampling == SamplingSupport::OneOf;
    if top_p.is_some_and(|it| beside || !allowed(it)) && top_p.take().is_some_and(|it| it < 1.0) {
        dropped.push(Field::TopP);
    }
    (temperature, top_p, top_k)
}

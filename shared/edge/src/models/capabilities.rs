//! What a model supports, as Anthropic's list tells it.
//!
//! Source: `ModelCapabilities` of the Python package `anthropic` 2.12, seen 2026-11. A capability counts
//! as supported only where that is known of every target behind the name; what is no part of a
//! conversation, such as batches and Anthropic's own tools, is not the gateway's to promise.

use std::sync::Arc;

use canonical::{Effort, ModelFacts, ModelFamily, ReasoningControl, ReasoningOff};
use serde::Serialize;

/// What a model supports.
#[derive(Serialize)]
pub(super) struct Capabilities {
    batch: Support,
    citations: Support,
    code_execution: Support,
    context_management: Support,
    effort: EffortSupport,
    image_input: Support,
    pdf_input: Support,
    server_tools: ServerTools,
    structured_outputs: Support,
    thinking: Thinking,
}

#[derive(Clone, Copy, Serialize)]
struct Support {
    supported: bool,
}

#[derive(Serialize)]
struct EffortSupport {
    supported: bool,
    low: Support,
    medium: Support,
    high: Support,
    xhigh: Support,
    max: Support,
}

#[derive(Serialize)]
struct ServerTools {
    supported: bool,
    code_execution: Support,
    web_search: Support,
}

#[derive(Serialize)]
struct Thinking {
    supported: bool,
    types: ThinkingTypes,
}

#[derive(Serialize)]
struct ThinkingTypes {
    adaptive: Support,
    between_tools: Support,
    disabled: Support,
    enabled: Support,
}

const UNSUPPORTED: Support = Support { supported: false };

/// What every target behind a name supports; none where a target is of no known family.
pub(super) fn capabilities(targets: &[Arc<ModelFacts>]) -> Option<Capabilities> {
    let is_known = |facts: &Arc<ModelFacts>| facts.family != ModelFamily::Unknown;
    if targets.is_empty() || !targets.iter().all(is_known) {
        return None;
    }
    let reads_media =
        support(targets, |facts| matches!(facts.family, ModelFamily::Claude | ModelFamily::Gemini));
    Some(Capabilities {
        batch: UNSUPPORTED,
        citations: support(targets, |facts| facts.family == ModelFamily::Claude),
        code_execution: UNSUPPORTED,
        context_management: UNSUPPORTED,
        effort: effort(targets),
        image_input: reads_media,
        pdf_input: reads_media,
        server_tools: ServerTools {
            supported: false,
            code_execution: UNSUPPORTED,
            web_search: UNSUPPORTED,
        },
        structured_outputs: support(targets, |facts| facts.schemas),
        thinking: thinking(targets),
    })
}

fn support(targets: &[Arc<ModelFacts>], has: impl Fn(&ModelFacts) -> bool) -> Support {
    Support { supported: targets.iter().all(|facts| has(facts)) }
}

fn effort(targets: &[Arc<ModelFacts>]) -> EffortSupport {
    let level = |level: Effort| support(targets, |facts| facts.reasoning.efforts.contains(&level));
    let highest = level(Effort::Highest);
    EffortSupport {
        supported: support(targets, |facts| !facts.reasoning.efforts.is_empty()).supported,
        low: level(Effort::Low),
        medium: level(Effort::Medium),
        high: level(Effort::High),
        xhigh: highest,
        max: highest,
    }
}

fn thinking(targets: &[Arc<ModelFacts>]) -> Thinking {
    let reasons = |facts: &ModelFacts| {
        facts.reasoning.control.is_some_and(|control| control != ReasoningControl::None)
    };
    let is_adaptive =
        |facts: &ModelFacts| facts.reasoning.control == Some(ReasoningControl::Adaptive);
    Thinking {
        supported: support(targets, reasons).supported,
        types: ThinkingTypes {
            adaptive: support(targets, is_adaptive),
            between_tools: support(targets, |it| it.reasoning.off == ReasoningOff::BetweenTools),
            disabled: support(targets, |it| it.reasoning.off != ReasoningOff::Never),
            enabled: support(targets, reasons),
        },
    }
}

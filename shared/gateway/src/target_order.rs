//! What a request is like, and the order of targets that this leads to.

use std::{
    collections::hash_map::DefaultHasher,
    hash::{Hash, Hasher},
};

use canonical::{Content, Conversation, ResponseFormat, Result, Usage};
use config::Strategy;
use formats::GatewayRequest;
use routing::{Circumstances, Feature, Health, RequestTraits, RoutePlan, Target};

use crate::{Call, demand::input_tokens};

/// How many tokens a response has when nobody says: what `cheapest` compares.
const DEFAULT_OUTPUT_TOKENS: u64 = 1_000;

/// The targets that a call may take, in the order in which they are attempted; and the session that
/// the order should be remembered for.
pub(crate) fn order(
    call: &Call,
    plan: &RoutePlan,
    health: &Health,
    seed: u64,
) -> Result<(Vec<usize>, Option<u64>)> {
    // Nearly every call: its request is not decoded for an order that nothing changes.
    if plan.strategy == Strategy::Order && !plan.is_sticky && !has_conditions(plan) {
        return Ok(((0..plan.targets.len()).collect(), None));
    }

    let request = traits(call, plan);
    let usage = Usage {
        input: request.input_tokens,
        output: output_tokens(&call.request),
        ..Usage::default()
    };
    let cost = |target: &Target| {
        let cost = call.snapshot.cost(&target.provider, &target.model, &usage)?;
        Some(cost.0)
    };
    let now = call.clock.instant();
    let circumstances = Circumstances { request: &request, health, cost: &cost, seed, now };
    Ok((routing::order(plan, &circumstances)?, request.session))
}

/// The places of the targets that conditions leave to a call; empty where no target has conditions.
pub(crate) fn eligible(call: &Call, plan: &RoutePlan) -> Vec<usize> {
    if !has_conditions(plan) {
        return vec![];
    }
    let request = traits(call, plan);
    let is_for = |target: &Target| target.conditions.iter().all(|it| it.is_met(&request));
    (0..).zip(&plan.targets).filter(|(_, target)| is_for(target)).map(|(nth, _)| nth).collect()
}

fn has_conditions(plan: &RoutePlan) -> bool {
    plan.targets.iter().any(|target| !target.conditions.is_empty())
}

fn output_tokens(request: &GatewayRequest) -> u64 {
    let limit = conversation(request).and_then(|it| it.max_tokens);
    limit.unwrap_or(DEFAULT_OUTPUT_TOKENS)
}

fn conversation(request: &GatewayRequest) -> Option<&Conversation> {
    request.canonical().and_then(|it| it.conversation()).ok()
}

fn traits(call: &Call, plan: &RoutePlan) -> RequestTraits {
    let request = &call.request;
    let conversation = conversation(request);
    let mut features = vec![];
    if request.stream {
        features.push(Feature::Stream);
    }
    if let Some(conversation) = conversation {
        if !conversation.tools.is_empty() {
            features.push(Feature::Tools);
        }
        let parts = conversation.messages.iter().flat_map(|it| &it.parts);
        if parts.into_iter().any(|it| matches!(it.content, Content::Image(_))) {
            features.push(Feature::Images);
        }
        let format = conversation.response_format.as_ref();
        if format.is_some_and(|it| *it != ResponseFormat::Text) {
            features.push(Feature::Schema);
        }
    }
    let tags = &call.tenant.settings.tags;
    RequestTraits {
        features,
        input_tokens: input_tokens(request),
        tags: tags.iter().map(|(tag, text)| (tag.clone(), text.clone())).collect(),
        headers: call.hints.headers.clone(),
        session: session(call, plan, conversation).filter(|_| plan.is_sticky),
    }
}

/// What tells the session of a request from others: what its client calls it, else the user, as
/// Claude Code's metadata name one, else the key under which prompts are cached.
fn session(call: &Call, plan: &RoutePlan, conversation: Option<&Conversation>) -> Option<u64> {
    let named = call.hints.session.as_deref();
    let user = conversation.and_then(|it| {
        let metadata = it.metadata.iter().find(|(name, _)| name == "user_id");
        let user = it.user.as_deref().or(metadata.map(|(_, value)| value.as_str()));
        user.or(it.prompt_cache_key.as_deref())
    });
    let name = named.or(user).filter(|it| !it.is_empty())?;
    // A hasher with fixed keys, so that every instance gives a session the same number.
    let mut hasher = DefaultHasher::new();
    (&call.tenant.id, &plan.route, name).hash(&mut hasher);
    Some(hasher.finish())
}

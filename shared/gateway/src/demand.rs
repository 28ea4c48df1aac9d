//! The demand of a call: the most that it may use, for the ledger to hold.

use canonical::CanonicalRequest;
use formats::{GatewayRequest, OpaqueSize, RequestedOutput};
use routing::RoutePlan;
use tenants::{Demand, InputSize, Limits, Unpriced, WorstPrice, max_output_tokens};

use crate::{Call, hedging::is_hedgeable};

/// About how many bytes of a request's JSON make one token, where the request cannot be decoded.
const BYTES_PER_TOKEN: u64 = 4;

/// How many tokens a part of what cannot be shortened has.
const OPAQUE_PART: u64 = 16;

/// The most that a call may use, and whether its provider holds it to its output.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CallDemand {
    pub(crate) demand: Demand,
    /// Whether the client, the model or the tenant bounds the output.
    pub(crate) is_bounded: bool,
    /// The input tokens of one attempt.
    pub(crate) one_input: u64,
}

/// The most that a call may use at any target of its plan.
pub(crate) fn demand(call: &Call, plan: &RoutePlan, limits: &Limits) -> CallDemand {
    let counts_tokens = limits.daily_input_tokens.is_some() || limits.daily_output_tokens.is_some();
    // Nothing looks at the estimate then, and the request need not be decoded for it.
    if limits.budget.is_none() && !counts_tokens {
        let demand = Demand { input: 0, output: 0, choices: 1, price: None };
        return CallDemand { demand, is_bounded: true, one_input: 0 };
    }
    let one_input = input_size(&call.request).upper_estimate();
    let (output, choices, is_bounded) = output(call, plan);
    let unpriced = limits.budget.as_ref().map(|it| it.unpriced).unwrap_or_default();
    let price = max_price(call, plan, one_input, unpriced);
    // Of two attempts side by side both read the prompt.
    let is_hedged = plan.hedge.is_some() && is_hedgeable(&call.request);
    let input = if is_hedged { one_input.saturating_mul(2) } else { one_input };
    CallDemand { demand: Demand { input, output, choices, price }, is_bounded, one_input }
}

/// What a request says about its size.
fn input_size(request: &GatewayRequest) -> InputSize {
    if request.task.is_opaque() {
        let OpaqueSize { text_bytes, media_tokens, .. } = request.opaque_size();
        return InputSize { media_tokens, ..of_bytes(text_bytes) };
    }
    match request.canonical() {
        Ok(CanonicalRequest::Conversation(conversation)) => {
            let size = formats::conversation_size(conversation);
            InputSize {
                estimated_tokens: size.text_tokens,
                characters: size.characters,
                media_tokens: size.media_tokens,
            }
        }
        // What only a provider understands is counted by its bytes.
        Ok(CanonicalRequest::Embedding(_)) | Err(_) => of_bytes(request.raw.body.len() as u64),
    }
}

fn of_bytes(bytes: u64) -> InputSize {
    InputSize { estimated_tokens: bytes / BYTES_PER_TOKEN, characters: bytes, media_tokens: 0 }
}

/// How many tokens a request has, about: by its text and media, or by its bytes where it cannot be
/// decoded.
pub(crate) fn input_tokens(request: &GatewayRequest) -> u64 {
    let size = input_size(request);
    size.estimated_tokens + size.media_tokens
}

/// The output tokens of one choice, how many choices there are, and whether anything bounds them.
fn output(call: &Call, plan: &RoutePlan) -> (u64, u64, bool) {
    if call.request.task.is_opaque() {
        // In parts too small to be shortened: no limit bounds an image or a recording.
        let parts = call.request.opaque_size().output_tokens.div_ceil(OPAQUE_PART);
        return (if parts == 0 { 0 } else { OPAQUE_PART }, parts, true);
    }
    if !call.request.task.writes_text() {
        return (0, 1, true);
    }
    let RequestedOutput { max_tokens: requested, choices } = call.request.requested_output();
    let models = plan.targets.iter().map(|it| it.facts.max_output);
    let model = models.collect::<Option<Vec<u64>>>().and_then(|all| all.into_iter().max());
    let tenant = call.tenant.settings.requests.max_output_tokens;
    // A limit that no request of the format can be sent with bounds nothing.
    let tenant = tenant.filter(|_| call.request.takes_output_limit());
    let bounds = [requested, model, tenant];
    let is_bounded = bounds.iter().any(Option::is_some);
    (max_output_tokens(&bounds), choices, is_bounded)
}

/// The highest rates of all targets; none where one is unknown, unless such calls are allowed.
fn max_price(call: &Call, plan: &RoutePlan, input: u64, unpriced: Unpriced) -> Option<WorstPrice> {
    let price = |target: &routing::Target| {
        call.snapshot.worst_price(&target.provider, &target.model, input)
    };
    let prices: Vec<Option<WorstPrice>> = plan.targets.iter().map(price).collect();
    // The call may end at any of its targets, so that one unknown price makes its cost unknown.
    let is_unknown = prices.contains(&None) || call.request.wants_premium_service();
    if unpriced == Unpriced::Refuse && is_unknown {
        return None;
    }
    prices.into_iter().flatten().reduce(WorstPrice::max)
}

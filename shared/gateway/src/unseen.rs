//! What a provider may have written that nobody has seen, about: its reasoning before the first token,
//! and a whole response that did not come in time. It bills both.

use canonical::{AttemptRecord, CanonicalRequest, ModelFacts, ReasoningControl, ReasoningOff};
use formats::{GatewayRequest, RequestedOutput};
use tenants::max_output_tokens;

use crate::running_call::RunningCall;

/// How many tokens a model writes in a second, about: slower ones are charged a little too much.
const TOKENS_PER_SECOND: u64 = 100;

impl RunningCall {
    /// The tokens of a response that did not come within the time of its attempt. A stream shows that
    /// it is written as soon as it is, but for its reasoning.
    pub(crate) fn unseen_output(&self, attempt: &AttemptRecord) -> u64 {
        let request = &self.call.request;
        if request.stream || !request.task.writes_text() {
            return self.unseen_reasoning(attempt, attempt.duration_ms);
        }
        self.written_within(attempt, attempt.duration_ms)
    }

    /// The tokens that a model may have reasoned for so long before anything was seen of it.
    pub(crate) fn unseen_reasoning(&self, attempt: &AttemptRecord, silence_ms: u64) -> u64 {
        let facts = self.facts_of(attempt);
        if !facts.is_some_and(|facts| may_reason(facts, &self.call.request)) {
            return 0;
        }
        self.written_within(attempt, silence_ms)
    }

    /// The tokens that the model may have reasoned whose response was not read to its end.
    pub(crate) fn unseen_before_response(&self) -> u64 {
        let Some(place) = self.responded.map(|id| id.index()) else { return 0 };
        let running = || self.failover.as_ref()?.attempts().get(place);
        let attempt = self.call.record.attempts.get(place).or_else(running);
        let silence = attempt.and_then(|it| Some((it, it.first_token_ms?)));
        silence.map_or(0, |(attempt, silence)| self.unseen_reasoning(attempt, silence))
    }

    /// As many tokens as a model writes in this time, and no more than it was to write.
    fn written_within(&self, attempt: &AttemptRecord, time_ms: u64) -> u64 {
        let RequestedOutput { max_tokens, choices } = self.call.request.requested_output();
        let model = self.facts_of(attempt).and_then(|facts| facts.max_output);
        let each = time_ms.saturating_mul(TOKENS_PER_SECOND) / 1_000;
        each.min(max_output_tokens(&[max_tokens, model])).saturating_mul(choices)
    }

    fn facts_of(&self, attempt: &AttemptRecord) -> Option<&ModelFacts> {
        let targets = &self.failover.as_ref()?.plan().targets;
        let is_its = |it: &&routing::Target| {
            (&it.provider, &it.model) == (&attempt.provider, &attempt.model)
        };
        targets.iter().find(is_its).map(|it| &*it.facts)
    }
}

/// Whether a model reasons about a request, unless nothing is known of it.
fn may_reason(facts: &ModelFacts, request: &GatewayRequest) -> bool {
    let reasoning = &facts.reasoning;
    if reasoning.control == Some(ReasoningControl::None) || !request.task.writes_text() {
        return false;
    }
    let conversation = request.canonical().and_then(CanonicalRequest::conversation);
    let is_requested = conversation.is_ok_and(|it| it.reasoning.is_some());
    reasoning.unrequested || reasoning.off != ReasoningOff::Unrequested || is_requested
}

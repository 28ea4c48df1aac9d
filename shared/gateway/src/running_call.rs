//! A call with its attempts: closed exactly once, with everything that its record has to hold.

use std::{
    sync::Arc,
    task::Context,
    time::{Duration, Instant},
};

use canonical::{
    Content, Error, ErrorKind, MicroDollars, Outcome, ResponseBody, Result, Task, Usage,
};
use providers::{OutputEstimate, UpstreamBody, UpstreamResponse};
use routing::{AttemptEnd, AttemptId, Failover};
use telemetry::{CallEnd, CallRecord, ChargeRecord, UsageRecord, UsageSource};

use crate::{
    Call, Configuration,
    demand::input_size,
    hold::{CallHold, Progress},
};

/// A call with its attempts. One that goes away unclosed was left by its client: what was consumed
/// until then is recorded.
#[derive(Debug)]
pub(crate) struct RunningCall {
    pub(crate) call: Call,
    pub(crate) failover: Option<Failover>,
    /// How long providers were waited for.
    pub(crate) waited: Duration,
    /// What the provider has reported so far.
    pub(crate) usage: Option<Usage>,
    /// How many tokens were written so far, about.
    pub(crate) written_tokens: u64,
    /// What the call holds in its tenant's ledger, until it is closed.
    pub(crate) hold: Option<CallHold>,
    /// The attempt that responded, until it ends.
    attempt: Option<AttemptId>,
    configuration: Configuration,
    closed: Option<Arc<CallRecord>>,
}

impl RunningCall {
    pub(crate) fn new(call: Call, configuration: Configuration) -> Self {
        Self {
            call,
            failover: None,
            waited: Duration::ZERO,
            usage: None,
            written_tokens: 0,
            hold: None,
            attempt: None,
            configuration,
            closed: None,
        }
    }

    /// Notes a failure before the first event, and publishes the cooldown that it led to.
    pub(crate) fn attempt_failed(&mut self, id: AttemptId, error: Error) -> Result<()> {
        let now = self.call.clock.instant();
        let Some(failover) = &mut self.failover else { return Err(error) };
        let outcome = failover.failed(id, error, now);
        self.configuration.publish_cooldowns(self.call.clock);
        outcome
    }

    /// Notes that an attempt has a whole response, or the first event of a stream.
    pub(crate) fn attempt_succeeded(&mut self, id: AttemptId, response: &UpstreamResponse) {
        let Some(failover) = &mut self.failover else { return };
        failover.succeeded(id, response.status, self.call.clock.instant());
        self.attempt = Some(id);
        self.configuration.publish_cooldowns(self.call.clock);

        let elapsed = self.call.record.elapsed();
        let record = &mut self.call.record;
        record.timings.first_token = Some(elapsed);
        record.timings.overhead = Some(elapsed.saturating_sub(self.waited));
        record.route.clone_from(&failover.plan().route);
        let attempt = failover.attempt(id);
        record.provider = Some(attempt.provider.clone());
        record.model = Some(attempt.model.clone());
        record.provider_request_id.clone_from(&response.request_id);
        record.dropped.clone_from(&response.dropped);
        if let UpstreamBody::Whole(whole) = &response.body {
            self.usage = whole.usage;
            self.note_whole(&whole.body);
        }
    }

    /// Notes what a whole response holds that its record needs.
    fn note_whole(&mut self, body: &ResponseBody) {
        let mut estimate = OutputEstimate::default();
        match body {
            ResponseBody::Raw(bytes) if self.call.request.task == Task::Chat => {
                estimate.add_frame(bytes);
            }
            ResponseBody::Chat(response) => {
                for choice in &response.choices {
                    estimate.note_finish(&choice.finish_reason);
                    choice.parts.iter().for_each(|part| estimate.add_text(text_of(&part.content)));
                }
            }
            ResponseBody::Raw(_) | ResponseBody::Embedding(_) | ResponseBody::Tokens { .. } => {
                return;
            }
        }
        self.note_estimate(&estimate);
    }

    /// Notes what was written so far, and why the model stopped.
    pub(crate) fn note_estimate(&mut self, estimate: &OutputEstimate) {
        self.written_tokens = estimate.tokens();
        let reason = estimate.finish_reason();
        if reason.is_some() && self.call.record.finish_reason.is_none() {
            self.call.record.finish_reason = reason.map(str::to_owned);
        }
    }

    /// Closes a call whose response is whole.
    pub(crate) fn complete(&mut self) -> Arc<CallRecord> {
        self.close(AttemptEnd::Complete, CallEnd::success())
    }

    /// Closes a call that failed.
    pub(crate) fn fail(&mut self, error: &Error) -> Arc<CallRecord> {
        self.close(AttemptEnd::Failed(error), CallEnd::failure(error))
    }

    /// Closes a call that the gateway ends, which is no fault of its provider.
    pub(crate) fn stop(&mut self, error: &Error) -> Arc<CallRecord> {
        self.close(AttemptEnd::Canceled, CallEnd::failure(error))
    }

    /// Grows what the call holds while its stream outgrows it. The error ends the stream.
    pub(crate) fn poll_hold(&mut self, cx: &mut Context<'_>) -> Option<Error> {
        let progress = Progress { usage: self.usage, written_tokens: self.written_tokens };
        let time = (self.call.clock, self.call.time_allowed());
        self.hold.as_mut()?.poll_growth(progress, time, cx)
    }

    fn close(&mut self, attempt_end: AttemptEnd<'_>, end: CallEnd) -> Arc<CallRecord> {
        if let Some(closed) = &self.closed {
            return closed.clone();
        }
        if let Some(failover) = &mut self.failover {
            let now = self.call.clock.instant();
            if let Some(id) = self.attempt.take() {
                failover.ended(id, attempt_end, now);
            }
            self.call.record.attempts = failover.close(now);
            self.call.record.route.clone_from(&failover.plan().route);
            self.configuration.publish_cooldowns(self.call.clock);
        }

        let usage = self.usage_record(matches!(attempt_end, AttemptEnd::Complete));
        let record = &mut self.call.record;
        record.usage = usage;
        if let (Some(usage), Some(provider), Some(model)) = (usage, &record.provider, &record.model)
        {
            record.cost = self.call.snapshot.cost(provider, model, &usage.tokens);
        }
        let charge = self.hold.take().map(|hold| self.charge(hold));
        let record = self.call.record.finish(end);
        self.closed = Some(record.clone());
        if let Some((hold, usage)) = charge {
            hold.settle(usage, self.call.clock);
        }
        record
    }

    /// What the call is charged of its hold, which its record says too.
    fn charge(&mut self, hold: CallHold) -> (CallHold, tenants::Usage) {
        let usage = self.charged_usage();
        let record = &mut self.call.record;
        if let Some(held) = hold.money() {
            let settled = match usage {
                tenants::Usage::Used { cost, .. } => MicroDollars(cost),
                tenants::Usage::Nothing => MicroDollars(0),
                tenants::Usage::AsHeld => held,
            };
            record.charge = Some(ChargeRecord { held, settled });
            // What is charged and what the records say is the same sum.
            record.cost = Some(settled).filter(|_| record.cost.is_some() || settled.0 != 0);
        }
        (hold, usage)
    }

    fn charged_usage(&self) -> tenants::Usage {
        let record = &self.call.record;
        let unanswered = self.cost_of_timeouts();
        if let Some(UsageRecord { tokens, .. }) = record.usage {
            let cost = record.cost.unwrap_or_default().0.saturating_add(unanswered.0);
            let (input, output) = (tokens.all_input(), tokens.all_output());
            return tenants::Usage::Used { cost, input, output };
        }
        let was_left = record.attempts.iter().any(|it| it.outcome == Outcome::Canceled);
        if record.provider.is_some() || was_left {
            return tenants::Usage::AsHeld;
        }
        if unanswered == MicroDollars(0) {
            return tenants::Usage::Nothing;
        }
        tenants::Usage::Used { cost: unanswered.0, input: self.estimated_input(), output: 0 }
    }

    /// What the input costs of attempts that got no response in time: their providers may have read
    /// it.
    fn cost_of_timeouts(&self) -> MicroDollars {
        let timeout = Outcome::Failed(ErrorKind::Timeout.code());
        let attempts = self.call.record.attempts.iter().filter(|it| it.outcome == timeout);
        let usage = |input| Usage { input, ..Usage::default() };
        let costs = attempts.filter_map(|it| {
            let usage = usage(self.estimated_input());
            self.call.snapshot.cost(&it.provider, &it.model, &usage)
        });
        MicroDollars(costs.map(|cost| cost.0).fold(0, u64::saturating_add))
    }

    /// What the call consumed: as reported where the response is whole, else at least what was seen.
    fn usage_record(&self, is_complete: bool) -> Option<UsageRecord> {
        if let Some(tokens) = self.usage.filter(|_| is_complete) {
            return Some(UsageRecord { tokens, source: UsageSource::Reported });
        }
        // Nothing was consumed, or nothing that can be estimated.
        if self.call.record.provider.is_none() || self.call.request.task != Task::Chat {
            return None;
        }
        let mut tokens = self
            .usage
            .unwrap_or_else(|| Usage { input: self.estimated_input(), ..Usage::default() });
        tokens.output += self.written_tokens.saturating_sub(tokens.all_output());
        Some(UsageRecord { tokens, source: UsageSource::Estimated })
    }

    fn estimated_input(&self) -> u64 {
        let size = input_size(&self.call.request);
        size.estimated_tokens + size.media_tokens
    }

    /// Waits for a provider, and notes how long that took.
    pub(crate) fn note_wait(&mut self, since: Instant) {
        self.waited += since.elapsed();
    }
}

impl Drop for RunningCall {
    fn drop(&mut self) {
        self.close(AttemptEnd::Canceled, CallEnd::default());
    }
}

fn text_of(content: &Content) -> &str {
    match content {
        Content::Text(text, _) | Content::Refusal(text) | Content::Reasoning(text) => text,
        Content::ToolCall(call) => &call.arguments,
        Content::Image(_)
        | Content::Audio(_)
        | Content::Video(_)
        | Content::File(_)
        | Content::ToolResult(_) => "",
    }
}

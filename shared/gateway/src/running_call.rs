//! A call with its attempts: closed exactly once, with everything that its record has to hold.

use std::{
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use bytes::Bytes;
use canonical::{
    Content, Error, GatewayResponse, MicroDollars, Outcome, ResponseBody, Result, StreamEvent,
    Usage,
};
use providers::{KeptResponse, OutputEstimate, UpstreamBody, UpstreamResponse};
use routing::{AttemptEnd, AttemptId, Failover, Health, MinSpeed};
use telemetry::{CacheOutcome, CallEnd, CallRecord, UsageRecord, UsageSource};

use crate::{
    Call, Configuration,
    attempt_sender::AttemptSender,
    cache::CacheHit,
    call_contents::{self, Contents},
    call_hold::{CallHold, Progress},
    demand::input_tokens,
    outbound_limits::Permit,
    response_storage::{CompletedCall, ResponseStorage},
};

/// A call with its attempts. One that goes away unclosed was left by its client: what was consumed
/// until then is recorded.
#[derive(Debug)]
pub(crate) struct RunningCall {
    pub(crate) call: Call,
    pub(crate) failover: Option<Failover>,
    /// How long providers were waited for.
    pub(crate) waited: Duration,
    /// The usage that the provider has reported so far.
    pub(crate) usage: Option<Usage>,
    /// How many tokens were written so far, about.
    pub(crate) written_tokens: u64,
    /// What the call holds in its tenant's ledger, until it is closed.
    pub(crate) hold: Option<CallHold>,
    /// Where the response is kept, if anywhere.
    pub(crate) storage: ResponseStorage,
    /// What the record may hold of the request and the response; none where nothing may be kept.
    pub(crate) contents: Option<Box<Contents>>,
    /// What makes the attempts of the call.
    pub(crate) sender: Option<AttemptSender>,
    /// The session that the call belongs to, where its route keeps sessions together.
    pub(crate) session: Option<u64>,
    /// What attempts hold of their providers' limits.
    pub(crate) permits: Vec<(AttemptId, Permit)>,
    /// What attempts used that do not give the response, or only its beginning: at which target.
    pub(crate) carried: Vec<((String, String), Usage)>,
    /// The attempt that responded, also when it has ended.
    pub(crate) responded: Option<AttemptId>,
    /// The attempt that responded, until it ends.
    pub(crate) attempt: Option<AttemptId>,
    configuration: Configuration,
    closed: Option<Arc<CallRecord>>,
}

impl RunningCall {
    pub(crate) fn new(call: Call, configuration: Configuration) -> Self {
        Self {
            contents: Contents::of(&call),
            call,
            failover: None,
            waited: Duration::ZERO,
            usage: None,
            written_tokens: 0,
            hold: None,
            storage: ResponseStorage::default(),
            sender: None,
            session: None,
            permits: vec![],
            carried: vec![],
            responded: None,
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
        self.permits.retain(|(held, _)| *held != id);
        if let (Some(session), Some(failover)) = (self.session, &self.failover) {
            let attempt = failover.attempt(id);
            let sessions = &self.configuration.health().sessions;
            sessions.failed(session, (&attempt.provider, &attempt.model));
        }
        self.show_attempt();
        self.configuration.publish_cooldowns(self.call.clock);
        outcome
    }

    /// Notes that an attempt has a whole response, or the first event of a stream.
    pub(crate) fn attempt_succeeded(&mut self, id: AttemptId, response: &UpstreamResponse) {
        let now = self.call.clock.instant();
        let Some(failover) = &mut self.failover else { return };
        failover.succeeded(id, response.status, now);
        if let Some(reset) = response.limit_reset {
            failover.limit_used_up(id, reset, now);
        }
        (self.attempt, self.responded) = (Some(id), Some(id));
        self.configuration.publish_cooldowns(self.call.clock);
        if let Some(session) = self.session {
            let attempt = failover.attempt(id);
            let sessions = &self.configuration.health().sessions;
            sessions.served(session, (&attempt.provider, &attempt.model), now);
        }

        let elapsed = self.call.record.elapsed();
        let record = &mut self.call.record;
        // A rescued stream keeps the time of its real first token.
        if record.timings.first_token.is_none() {
            record.timings.first_token = Some(elapsed);
            record.timings.overhead = Some(elapsed.saturating_sub(self.waited));
        }
        record.route.clone_from(&failover.plan().route);
        let attempt = failover.attempt(id);
        record.provider = Some(attempt.provider.clone());
        record.model = Some(attempt.model.clone());
        record.answered_model = None;
        record.provider_request_id.clone_from(&response.request_id);
        record.dropped.clone_from(&response.dropped);
        self.keep(response.format, response.kept.clone());
        self.begin_contents(&response.body);
        if let UpstreamBody::Whole(whole) = &response.body {
            self.usage = whole.usage;
            self.note_whole(whole);
        }
        self.show_attempt();
    }

    /// Notes that the response was made before.
    pub(crate) fn served_again(&mut self, hit: &CacheHit) {
        let elapsed = self.call.record.elapsed();
        let record = &mut self.call.record;
        record.timings.first_token = Some(elapsed);
        record.timings.overhead = Some(elapsed);
        record.provider = Some(hit.provider.clone());
        record.model = Some(hit.model.clone());
        record.dropped.clone_from(&hit.dropped);
        (record.cost, record.saved) = (Some(MicroDollars(0)), hit.saved);
        self.begin_contents(&hit.body);
        if let UpstreamBody::Whole(whole) = &hit.body {
            self.note_whole(whole);
        }
    }

    /// Notes what the record may hold of a response that begins.
    fn begin_contents(&mut self, body: &UpstreamBody) {
        if let (Some(contents), Some(provider)) = (&mut self.contents, &self.call.record.provider) {
            contents.begin(&self.call, provider, body);
        }
    }

    /// Notes what the record may hold of events that the client gets.
    pub(crate) fn note_contents(&mut self, events: &[StreamEvent]) {
        if let Some(contents) = &mut self.contents {
            contents.response.add_events(events);
        }
    }

    /// Notes the bytes of the response, where they are kept.
    pub(crate) fn keep(&mut self, format: &str, body: Option<Bytes>) {
        let record = &self.call.record;

        let (Some(body), Some(provider), Some(model)) = (body, &record.provider, &record.model)
        else {
            return;
        };
        self.storage.response = Some(KeptResponse {
            provider: provider.clone(),
            model: model.clone(),
            format: format.to_owned(),
            body,
        });
    }

    /// Notes what a whole response holds that its record needs.
    fn note_whole(&mut self, whole: &GatewayResponse) {
        let mut estimate = OutputEstimate::default();
        match &whole.body {
            // Where the decoder has read all that is wanted, the bytes are not read again.
            ResponseBody::Raw(_) if let (Some(_), Some(facts)) = (whole.usage, &whole.facts) => {
                estimate.note_model(facts.model.as_deref());
                facts.finish_reason.iter().for_each(|reason| estimate.note_reason(reason));
            }
            ResponseBody::Raw(bytes) if self.call.request.task.writes_text() => {
                estimate.note_model_in(bytes);
                estimate.add_frame(bytes);
            }
            ResponseBody::Chat(response) => {
                estimate.note_model(response.model.as_deref());
                for choice in &response.choices {
                    estimate.note_finish(&choice.finish_reason);
                    choice.parts.iter().for_each(|part| estimate.add_text(text_of(&part.content)));
                }
            }
            ResponseBody::Raw(bytes) if !self.call.request.task.is_opaque() => {
                estimate.note_model_in(bytes);
            }
            ResponseBody::Raw(_) | ResponseBody::Embedding(_) | ResponseBody::Tokens { .. } => {
                return;
            }
        }
        self.note_estimate(&estimate);
    }

    /// Notes what was written so far, by which model, and why it stopped.
    pub(crate) fn note_estimate(&mut self, estimate: &OutputEstimate) {
        if self.call.record.answered_model.is_none() {
            self.call.record.answered_model = estimate.answered_model().map(str::to_owned);
        }
        self.written_tokens = estimate.tokens();
        let reason = estimate.finish_reason();
        // The first reason counts: that of a target that went on is noted last, and means the same.
        if reason.is_some() && self.call.record.finish_reason.is_none() {
            self.call.record.finish_reason = reason.map(str::to_owned);
        }
    }

    /// Closes a call whose response is whole.
    pub(crate) fn complete(&mut self) -> Arc<CallRecord> {
        self.close(AttemptEnd::Complete, CallEnd::success())
    }

    /// Whether the call goes on without its client: its response is promised to whoever repeats the
    /// request.
    pub(crate) fn is_promised(&self) -> bool {
        self.closed.is_none() && self.storage.claim.is_some()
    }

    /// The configuration, behind which work goes on.
    pub(crate) fn configuration(&self) -> &Configuration {
        &self.configuration
    }

    /// Closes a call that failed.
    pub(crate) fn fail(&mut self, error: &Error) -> Arc<CallRecord> {
        self.close(AttemptEnd::Failed(error), CallEnd::failure(error))
    }

    /// Closes a call that the gateway ends, which is no fault of its provider.
    pub(crate) fn stop(&mut self, error: &Error) -> Arc<CallRecord> {
        self.close(AttemptEnd::Canceled, CallEnd::failure(error))
    }

    /// Keeps and grows what the call holds while its stream goes on, for which the stream may have to
    /// wait, and renews its claim. The error ends the stream.
    pub(crate) fn poll_hold(&mut self, cx: &mut Context<'_>) -> Poll<Option<Error>> {
        self.storage.renew_claim(&self.call, &self.configuration);
        let carried = self.carried_usage();
        let progress = Progress { usage: self.usage, written_tokens: self.written_tokens, carried };
        let time = (self.call.clock, self.call.time_allowed());
        self.permits.iter_mut().for_each(|(_, permit)| permit.renew(self.call.clock));
        match &mut self.hold {
            Some(hold) => hold.poll_growth(progress, time, cx),
            None => Poll::Ready(None),
        }
    }

    fn close(&mut self, attempt_end: AttemptEnd<'_>, end: CallEnd) -> Arc<CallRecord> {
        // Failing, completing and dropping all lead here; the first says how the call ended.
        if let Some(closed) = &self.closed {
            return closed.clone();
        }
        // A stream that broke and was not rescued has used what is carried, and nothing more.
        let has_response = self.attempt.is_some() || self.carried.is_empty();
        self.carry_attempts_under_way();
        if let Some(failover) = &mut self.failover {
            let now = self.call.clock.instant();
            if let Some(id) = self.attempt.take() {
                failover.ended(id, attempt_end, now);
            }
            let attempts = failover.close(now);
            let is_route = failover.plan().route.is_some();
            let is_configured = attempts.last().is_some_and(|last| {
                is_route || self.call.snapshot.names_target(&last.provider, &last.model)
            });
            self.call.record.is_configured = is_configured;
            self.call.record.attempts = attempts;
            self.call.record.route.clone_from(&failover.plan().route);
            self.configuration.publish_cooldowns(self.call.clock);
        }

        let is_complete = matches!(attempt_end, AttemptEnd::Complete);
        let is_served_again = self.call.record.cache == Some(CacheOutcome::Hit);
        let usage = self.usage_record(is_complete);
        let usage = usage.filter(|_| has_response && !is_served_again);
        if let Some(usage) = usage {
            // Before the permits are dropped, which correct the counters by it.
            self.note_tokens(&usage.tokens);
        }
        let record = &self.call.record;
        let cost = match (usage, &record.provider, &record.model) {
            (Some(usage), Some(provider), Some(model)) => {
                self.call.snapshot.cost(provider, model, &usage.tokens)
            }
            // A response from the cache costs nothing, which is not unknown.
            _ => record.cost,
        };
        let (usage, cost) = self.with_carried(usage, cost);
        let record = &mut self.call.record;
        (record.usage, record.cost) = (usage, cost);
        self.permits.clear();
        // Before the record is finished, so that record and ledger show the same sum.
        let charge = self.hold.take().map(|hold| self.charge(hold));
        self.end_storage(is_complete && !is_served_again);
        call_contents::finish(self.contents.take(), &mut self.call);
        let record = self.call.record.finish(end);
        self.closed = Some(record.clone());
        if let Some((hold, usage)) = charge {
            // Last: the write runs behind the call, and the record is on its way by then.
            hold.settle(usage, self.call.clock);
        }
        record
    }

    /// Keeps a response that was made, and gives up the claim of a call that made none.
    fn end_storage(&mut self, is_made: bool) {
        let storage = std::mem::take(&mut self.storage);
        if !is_made {
            return storage.release(&self.configuration);
        }
        let record = &self.call.record;
        let whole = CompletedCall {
            task: self.call.request.task,
            cost: record.cost,
            dropped: &record.dropped,
        };
        storage.store(whole, &self.configuration, self.call.clock);
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
            (record.hold, record.settled) = (Some(held), Some(settled));
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
            // Nobody knows what the provider charges for a response that was not read to its end.
            return tenants::Usage::AsHeld;
        }
        if unanswered == MicroDollars(0) {
            return tenants::Usage::Nothing;
        }
        tenants::Usage::Used {
            cost: unanswered.0,
            input: input_tokens(&self.call.request),
            output: 0,
        }
    }

    /// The usage of the call: as reported where the response is whole, else at least what was seen.
    fn usage_record(&self, is_complete: bool) -> Option<UsageRecord> {
        if let Some(tokens) = self.usage.filter(|_| is_complete) {
            return Some(UsageRecord { tokens, source: UsageSource::Reported });
        }
        if self.call.record.provider.is_none() || !self.call.request.task.writes_text() {
            return None;
        }
        let mut tokens = self.usage.unwrap_or_else(|| Usage {
            input: input_tokens(&self.call.request),
            ..Usage::default()
        });
        // What is complete without a report shows all that was written.
        let unseen = if is_complete { 0 } else { self.unseen_before_response() };
        let written = self.written_tokens.saturating_add(unseen);
        tokens.output += written.saturating_sub(tokens.all_output());
        Some(UsageRecord { tokens, source: UsageSource::Estimated })
    }

    /// How fast the target has to write that responded, where its step says so.
    pub(crate) fn min_speed(&self) -> Option<MinSpeed> {
        self.failover.as_ref()?.target(self.attempt?).min_speed
    }

    /// The health of every target.
    pub(crate) fn health(&self) -> &Arc<Health> {
        self.configuration.health()
    }

    /// Notes that the response broke off, while another attempt may go on with it.
    pub(crate) fn attempt_broke(&mut self, error: &Error) {
        let usage = self.usage_record(false);
        let Some(id) = self.attempt.take() else { return };
        let now = self.call.clock.instant();
        if let Some(failover) = &mut self.failover {
            failover.ended(id, AttemptEnd::Failed(error), now);
            self.configuration.publish_cooldowns(self.call.clock);
        }
        let record = &self.call.record;
        let target = (record.provider.clone(), record.model.clone());
        if let (Some(usage), (Some(provider), Some(model))) = (usage, target) {
            self.note_tokens(&usage.tokens);
            self.carry((provider, model), usage.tokens);
        }
        self.permits.retain(|(held, _)| *held != id);
        // The next target begins at zero; what was used so far is carried.
        (self.usage, self.written_tokens) = (None, 0);
    }

    /// Tells the limits of the provider how many tokens were used.
    fn note_tokens(&mut self, usage: &Usage) {
        let tokens = usage.all_input().saturating_add(usage.all_output());
        self.permits.iter_mut().for_each(|(_, permit)| permit.used(tokens));
    }

    /// Waits for a provider, and notes how long that took.
    pub(crate) fn note_wait(&mut self, since: Instant) {
        self.waited += since.elapsed();
    }
}

impl Drop for RunningCall {
    fn drop(&mut self) {
        // A dropped call was left by its client, and is charged and recorded all the same.
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

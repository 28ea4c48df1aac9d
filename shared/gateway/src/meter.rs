//! Watches an answer go by: what it consumed, what it cost, how it ended.

use std::{
    borrow::Cow,
    task::{Context, Poll},
    time::Duration,
};

use canonical::{CallSummary, Error, GatewayResponse, Result, StreamEvent, Usage};
use providers::{EventStream, UpstreamBody, UpstreamResponse};
use routing::Failover;

use crate::Call;

/// An answer on its way to the client.
#[derive(Debug)]
pub struct GatewayReply {
    /// Who answers, by its name in the configuration.
    pub provider: String,
    /// The provider's name for the model.
    pub model: String,
    /// How many attempts it took.
    pub attempts: usize,
    /// The provider's own name for the request, where it gave one.
    pub provider_request_id: Option<String>,
    /// What the provider was not told, by the client's names.
    pub dropped: Vec<Cow<'static, str>>,
    /// The answer itself.
    pub body: GatewayReplyBody,
}

/// An answer, as it was asked for.
#[derive(Debug)]
pub enum GatewayReplyBody {
    /// All of it, and how the call went.
    Whole(GatewayResponse, Box<CallSummary>),
    /// Piece by piece.
    Stream(Box<MeteredStream>),
}

/// A stream that is watched.
#[derive(Debug)]
pub struct MeteredStream {
    events: EventStream,
    call: Call,
    usage: Option<Usage>,
}

/// Starts to watch an answer. The call's record ends when the answer does.
pub(crate) fn watch(answer: UpstreamResponse, mut tries: Failover, mut call: Call) -> GatewayReply {
    let now = call.clock.now();
    call.record.provider_request_id.clone_from(&answer.request_id);
    let attempts = tries.succeeded(answer.status, now);
    let summary = &mut call.record.summary;
    if let Some(last) = attempts.last() {
        summary.provider.clone_from(&last.provider);
        summary.model.clone_from(&last.model);
    }
    summary.arrived = call.clock.arrived;
    summary.route.clone_from(&tries.plan().route);
    summary.attempts = attempts;
    summary.request_id.clone_from(&call.record.request_id);
    summary.trace_id.clone_from(&call.record.trace_id);
    GatewayReply {
        provider: summary.provider.clone(),
        model: summary.model.clone(),
        attempts: summary.attempts.len(),
        provider_request_id: answer.request_id,
        dropped: answer.dropped,
        body: match answer.body {
            UpstreamBody::Whole(response) => {
                let summary = finish(&mut call, response.usage);
                GatewayReplyBody::Whole(response, Box::new(summary))
            }
            UpstreamBody::Stream(events) => {
                call.record.first_event_ms = Some(call.record.elapsed_ms());
                GatewayReplyBody::Stream(Box::new(MeteredStream { events, call, usage: None }))
            }
        },
    }
}

impl MeteredStream {
    /// The next events. None after a lawful end; a failure is the last thing that is given.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Vec<StreamEvent>>>> {
        let batch = self.events.poll_next(cx);
        match &batch {
            // Some report what was consumed so far on every event: the last report counts.
            Poll::Ready(Some(Ok(events))) => {
                self.usage = events.iter().rev().find_map(|it| it.usage).or(self.usage);
            }
            Poll::Ready(Some(Err(error))) => self.failed(error),
            Poll::Ready(None) | Poll::Pending => {}
        }
        batch
    }

    /// Notes that the answer broke off.
    pub fn failed(&mut self, error: &Error) {
        self.call.record.usage = self.usage;
        self.call.record.failed(error);
    }

    /// Notes that the answer is whole, and says how the call went.
    pub fn finish(&mut self) -> CallSummary {
        finish(&mut self.call, self.usage)
    }

    /// How long the platform lets the call go on; none where nothing bounds it.
    pub fn time_left(&self) -> Option<Duration> {
        let left = self.call.platform_deadline?.saturating_sub(self.call.clock.now());
        Some(Duration::from_millis(left))
    }
}

fn finish(call: &mut Call, usage: Option<Usage>) -> CallSummary {
    let record = &mut call.record;
    record.usage = usage;
    record.summary.latency_ms = record.elapsed_ms();
    let summary = &mut record.summary;
    summary.cost = usage.and_then(|it| call.snapshot.cost(&summary.provider, &summary.model, &it));
    record.succeeded();
    record.summary.clone()
}

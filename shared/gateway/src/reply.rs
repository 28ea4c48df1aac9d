//! A model's response on its way to the client, metered: what it consumed, how it ended.

use std::{
    borrow::Cow,
    task::{Context, Poll},
    time::Duration,
};

use canonical::{CallSummary, Error, GatewayResponse, Result, StreamEvent};
use providers::{EventStream, UpstreamBody, UpstreamResponse};

use crate::running_call::RunningCall;

/// A response on its way to the client.
#[derive(Debug)]
pub struct GatewayReply {
    /// The provider that responded, by its name in the configuration.
    pub provider: String,
    /// The provider's name for the model.
    pub model: String,
    /// How many attempts were made.
    pub attempts: usize,
    /// The provider's id for the request, where it gave one.
    pub provider_request_id: Option<String>,
    /// What the provider was not sent, by the client's names.
    pub dropped: Vec<Cow<'static, str>>,
    /// The response itself.
    pub body: GatewayReplyBody,
}

/// A response, as the client wanted it.
#[derive(Debug)]
pub enum GatewayReplyBody {
    /// A whole response, and how the call went.
    Whole(GatewayResponse, Box<CallSummary>),
    /// A stream of events.
    Stream(Box<MeteredStream>),
}

/// A stream whose usage is noted as it passes, so that a client that leaves is counted.
#[derive(Debug)]
pub struct MeteredStream {
    events: EventStream,
    running: RunningCall,
}

impl GatewayReply {
    /// The reply to a call whose last attempt has this response.
    pub(crate) fn new(response: UpstreamResponse, mut running: RunningCall) -> Self {
        let record = &running.call.record;
        Self {
            provider: record.provider.clone().unwrap_or_default(),
            model: record.model.clone().unwrap_or_default(),
            attempts: running.failover.as_ref().map_or(0, |it| it.attempts().len()),
            provider_request_id: response.request_id,
            dropped: response.dropped,
            body: match response.body {
                UpstreamBody::Whole(whole) => {
                    let summary = running.complete().summary();
                    GatewayReplyBody::Whole(whole, Box::new(summary))
                }
                UpstreamBody::Stream(events) => {
                    GatewayReplyBody::Stream(Box::new(MeteredStream { events, running }))
                }
            },
        }
    }
}

impl MeteredStream {
    /// The next events. None after a complete stream; a failure is the last thing that is given.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Vec<StreamEvent>>>> {
        if let Some(error) = self.running.poll_hold(cx) {
            self.running.stop(&error);
            return Poll::Ready(Some(Err(error)));
        }
        let batch = self.events.poll_next(cx);
        match &batch {
            Poll::Ready(Some(Ok(events))) => {
                // Some providers report what was consumed so far on every event: the last counts.
                let reported = events.iter().rev().find_map(|event| event.usage);
                self.running.usage = reported.or(self.running.usage);
                self.running.note_estimate(self.events.estimate());
            }
            Poll::Ready(Some(Err(error))) => self.failed(error),
            Poll::Ready(None) | Poll::Pending => {}
        }
        batch
    }

    /// Notes that the response broke off.
    pub fn failed(&mut self, error: &Error) {
        self.running.fail(error);
    }

    /// Notes that the response is whole, and gives what the client is told about the call.
    pub fn finish(&mut self) -> CallSummary {
        self.running.complete().summary()
    }

    /// How long the platform lets the call go on; none where nothing bounds it.
    pub fn time_left(&self) -> Option<Duration> {
        let call = &self.running.call;
        let left = call.platform_deadline?.saturating_sub(call.clock.now());
        Some(Duration::from_millis(left))
    }
}

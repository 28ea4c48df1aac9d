//! A model's response on its way to the client, metered: what it consumed, how it ended.

use std::{
    borrow::Cow,
    task::{Context, Poll, ready},
    time::Duration,
};

use canonical::{CallSummary, Error, EventKind, GatewayResponse, Result, StreamEvent};
use providers::{EventStream, UpstreamBody, UpstreamResponse};
use telemetry::CacheOutcome;

use crate::{cache::CacheHit, running_call::RunningCall};

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
    /// What the response cache had.
    pub cache: CacheOutcome,
    /// How old a response from the cache is, in seconds.
    pub age: Option<u64>,
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
///
/// The stream of a client that leaves is read on where its response was promised to be kept.
#[derive(Debug)]
pub struct MeteredStream {
    /// Always there until the stream is dropped.
    stream: Option<Box<Metered>>,
}

#[derive(Debug)]
struct Metered {
    events: EventStream,
    running: RunningCall,
    /// The name of the wire format.
    format: &'static str,
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
            cache: record.cache.unwrap_or(CacheOutcome::Bypass),
            age: None,
            body: match response.body {
                UpstreamBody::Whole(whole) => {
                    let summary = running.complete().summary();
                    GatewayReplyBody::Whole(whole, Box::new(summary))
                }
                UpstreamBody::Stream(events) => GatewayReplyBody::Stream(Box::new(
                    MeteredStream::new(events, running, response.format),
                )),
            },
        }
    }
}

impl GatewayReply {
    /// The reply to a call whose response was made before.
    pub(crate) fn from_cache(hit: CacheHit, mut running: RunningCall) -> Self {
        running.served_again(&hit);
        let CacheHit { provider, model, body, age, .. } = hit;
        Self {
            provider,
            model,
            attempts: 0,
            provider_request_id: None,
            dropped: vec![],
            cache: CacheOutcome::Hit,
            age: Some(age),
            body: match body {
                UpstreamBody::Whole(whole) => {
                    let summary = running.complete().summary();
                    GatewayReplyBody::Whole(whole, Box::new(summary))
                }
                UpstreamBody::Stream(events) => {
                    GatewayReplyBody::Stream(Box::new(MeteredStream::new(events, running, "")))
                }
            },
        }
    }
}

impl MeteredStream {
    fn new(events: EventStream, running: RunningCall, format: &'static str) -> Self {
        Self { stream: Some(Box::new(Metered { events, running, format })) }
    }

    /// The next events. None after a complete stream; a failure is the last thing that is given.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Vec<StreamEvent>>>> {
        match &mut self.stream {
            Some(stream) => stream.poll_next(cx),
            None => Poll::Ready(None),
        }
    }

    /// Notes that the response broke off.
    pub fn failed(&mut self, error: &Error) {
        if let Some(stream) = &mut self.stream {
            stream.running.fail(error);
        }
    }

    /// Notes that the response is whole, and gives what the client is told about the call.
    pub fn finish(&mut self) -> CallSummary {
        self.stream.as_mut().map(|stream| stream.finish()).unwrap_or_default()
    }

    /// How long the platform lets the call go on; none where nothing bounds it.
    pub fn time_left(&self) -> Option<Duration> {
        let call = &self.stream.as_ref()?.running.call;
        let left = call.platform_deadline?.saturating_sub(call.clock.now());
        Some(Duration::from_millis(left))
    }
}

impl Drop for MeteredStream {
    fn drop(&mut self) {
        if let Some(stream) = self.stream.take()
            && stream.running.is_promised()
        {
            let configuration = stream.running.configuration().clone();
            configuration.start_behind(stream.read_on());
        }
    }
}

impl Metered {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Vec<StreamEvent>>>> {
        if let Some(error) = ready!(self.running.poll_hold(cx)) {
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
            Poll::Ready(Some(Err(error))) => {
                self.running.fail(error);
            }
            Poll::Ready(None) | Poll::Pending => {}
        }
        batch
    }

    fn finish(&mut self) -> CallSummary {
        let kept = self.events.take_tee();
        self.running.keep(self.format, kept);
        self.running.complete().summary()
    }

    /// Reads a stream to its end that nobody waits for any more.
    async fn read_on(mut self: Box<Self>) {
        while let Some(Ok(events)) = std::future::poll_fn(|cx| self.poll_next(cx)).await {
            if events.iter().any(|event| event.kind == EventKind::End) {
                self.finish();
                return;
            }
        }
    }
}

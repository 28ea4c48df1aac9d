//! A model's response on its way to the client, metered: what it consumed, how it ended.

use std::{
    borrow::Cow,
    task::{Context, Poll, ready},
    time::Duration,
};

use canonical::{
    CallSummary, Error, ErrorKind, EventKind, GatewayResponse, Origin, Result, StreamEvent,
};
use providers::{EventStream, UpstreamBody, UpstreamResponse, redact_stream_error};
use telemetry::CacheOutcome;

use crate::{
    attempt_sender::AttemptSender,
    cache::CacheHit,
    rescue::{Broken, Rescue},
    running_call::RunningCall,
    stream_speed::SpeedGauge,
};

/// A response on its way to the client.
#[derive(Debug)]
pub struct ClientResponse {
    /// The provider that responded, by its name in the configuration.
    pub provider: String,
    /// The provider's name for the model.
    pub model: String,
    /// How many attempts were made.
    pub attempts: usize,
    /// The provider's id for the request, where it gave one.
    pub provider_request_id: Option<String>,
    /// The media type of a body that passes through as it comes.
    pub content_type: Option<String>,
    /// The fields that the provider was not sent, by the client's names.
    pub dropped: Vec<Cow<'static, str>>,
    /// The outcome of the response cache.
    pub cache: CacheOutcome,
    /// How old a response from the cache is, in seconds.
    pub age: Option<u64>,
    /// The response itself.
    pub body: ClientResponseBody,
}

/// A response, as the client wanted it.
#[derive(Debug)]
pub enum ClientResponseBody {
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
    /// Absent only while the stream is dropped.
    stream: Option<Box<Metered>>,
}

#[derive(Debug)]
struct Metered {
    events: EventStream,
    running: Box<RunningCall>,
    /// The name of the wire format; absent once several providers have a part in the stream.
    format: Option<&'static str>,
    /// What goes on with the stream when it breaks, where that is wanted.
    rescue: Option<Box<Rescue>>,
    /// How fast the provider has to write, where its step says so.
    speed: Option<SpeedGauge>,
}

impl ClientResponse {
    /// The reply to a call whose last attempt has this response.
    pub(crate) fn new(response: UpstreamResponse, mut running: Box<RunningCall>) -> Self {
        let record = &running.call.record;
        Self {
            provider: record.provider.clone().unwrap_or_default(),
            model: record.model.clone().unwrap_or_default(),
            attempts: running.failover.as_ref().map_or(0, |it| it.attempts().len()),
            provider_request_id: response.request_id,
            content_type: response.content_type,
            dropped: response.dropped,
            cache: record.cache.unwrap_or(CacheOutcome::Bypass),
            age: None,
            body: match response.body {
                UpstreamBody::Whole(whole) => {
                    let summary = running.complete().summary();
                    ClientResponseBody::Whole(whole, Box::new(summary))
                }
                UpstreamBody::Stream(events) => {
                    let stream = MeteredStream::new(events, running, response.format);
                    ClientResponseBody::Stream(Box::new(stream))
                }
            },
        }
    }
}

impl ClientResponse {
    /// The reply to a call whose response was made before.
    pub(crate) fn from_cache(hit: CacheHit, mut running: Box<RunningCall>) -> Self {
        running.served_again(&hit);
        let CacheHit { provider, model, body, dropped, age, .. } = hit;
        Self {
            provider,
            model,
            attempts: 0,
            content_type: None,
            provider_request_id: None,
            dropped,
            cache: CacheOutcome::Hit,
            age: Some(age),
            body: match body {
                UpstreamBody::Whole(whole) => {
                    let summary = running.complete().summary();
                    ClientResponseBody::Whole(whole, Box::new(summary))
                }
                UpstreamBody::Stream(events) => {
                    ClientResponseBody::Stream(Box::new(MeteredStream::new(events, running, "")))
                }
            },
        }
    }
}

impl MeteredStream {
    fn new(events: EventStream, running: Box<RunningCall>, format: &'static str) -> Self {
        let sender = running.sender.clone().filter(AttemptSender::decodes);
        let rescue = sender.map(|sender| Box::new(Rescue::new(sender)));
        let speed = running.min_speed().map(SpeedGauge::new);
        let format = Some(format);
        Self { stream: Some(Box::new(Metered { events, running, format, rescue, speed })) }
    }

    /// The next events. None after a complete stream; a failure is the last thing that is given.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Vec<StreamEvent>>>> {
        match &mut self.stream {
            Some(stream) => stream.poll_next(cx),
            None => Poll::Ready(None),
        }
    }

    /// What the client is told beside the events, once: that another provider goes on.
    pub fn take_note(&mut self) -> Option<String> {
        self.stream.as_mut()?.rescue.as_mut()?.take_note()
    }

    /// Notes that the gateway ends the response, such as at the deadline of its platform: no fault of
    /// the provider.
    pub fn stopped(&mut self, error: &Error) {
        if let Some(stream) = &mut self.stream {
            stream.running.stop(error);
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
            // An `Idempotency-Key` promises the response; without one, reading on would be paid for
            // by nobody's wish.
            && stream.running.is_promised()
        {
            let configuration = stream.running.configuration().clone();
            configuration.start_behind(stream.read_on());
        }
    }
}

impl Metered {
    /// The next events. None after a complete stream; a failure is the last thing that is given.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Vec<StreamEvent>>>> {
        loop {
            // Before the next events, so that a stream that is out of money stops before it
            // delivers more.
            if let Some(error) = ready!(self.running.poll_hold(cx)) {
                if let Some(rescue) = &mut self.rescue {
                    rescue.withdraw(&mut self.running);
                }
                self.running.stop(&error);
                return Poll::Ready(Some(Err(error)));
            }
            if let Some(rescue) = self.rescue.as_mut().filter(|it| it.is_pending()) {
                match ready!(rescue.poll(&mut self.running, cx)) {
                    Ok(events) => {
                        // No single format decodes what several providers wrote, so that it is not
                        // kept.
                        (self.events, self.format) = (events, None);
                        self.speed = self.running.min_speed().map(SpeedGauge::new);
                    }
                    Err(error) => return Poll::Ready(Some(Err(self.fail(error)))),
                }
            }
            match ready!(self.poll_events(cx)) {
                Some(Ok(events)) => match self.pass(events) {
                    Ok(events) if events.is_empty() => {}
                    Ok(events) => return Poll::Ready(Some(Ok(events))),
                    // What broke the stream was another's fault, and this target's words only do not
                    // fit.
                    Err(error) => {
                        self.running.stop(&error);
                        return Poll::Ready(Some(Err(error)));
                    }
                },
                Some(Err(error)) => match self.broke(error) {
                    Broken::Pending => {}
                    Broken::Ends(events) => return Poll::Ready(Some(Ok(events))),
                    Broken::Fails(error) => return Poll::Ready(Some(Err(self.fail(error)))),
                },
                None => return Poll::Ready(None),
            }
        }
    }

    /// The provider's next events; an error too where it writes too slowly.
    fn poll_events(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Vec<StreamEvent>>>> {
        if let Poll::Ready(batch) = self.events.poll_next(cx) {
            if let Some(speed) = &mut self.speed {
                speed.received();
            }
            let request = &self.running.call.request;
            let redacted = |outcome: Result<Vec<StreamEvent>>| {
                outcome.map_err(|error| redact_stream_error(error, request))
            };
            return Poll::Ready(batch.map(redacted));
        }
        let Some(speed) = &mut self.speed else { return Poll::Pending };
        let error = ready!(speed.poll_slow(self.events.estimate().tokens(), cx));
        let provider = self.running.call.record.provider.clone().unwrap_or_default();
        Poll::Ready(Some(Err(error.from_origin(Origin::Provider(provider)))))
    }

    /// Notes what events use, and passes them on.
    fn pass(&mut self, events: Vec<StreamEvent>) -> Result<Vec<StreamEvent>> {
        // Some providers report what was consumed so far on every event: the last counts.
        let reported = events.iter().rev().find_map(|event| event.usage);
        self.running.usage = reported.or(self.running.usage);
        self.running.note_estimate(self.events.estimate());
        let passed = match &mut self.rescue {
            Some(rescue) => rescue.pass(events, self.running.carried_usage())?,
            None => events,
        };
        self.running.note_contents(&passed);
        Ok(passed)
    }

    fn broke(&mut self, error: Error) -> Broken {
        let Some(rescue) = &mut self.rescue else { return Broken::Fails(error) };
        // What a provider reports is no end, but a connection may break behind everything.
        let is_silent = matches!(error.kind, ErrorKind::Network | ErrorKind::Timeout);
        let rest = if is_silent { self.events.end_early() } else { None };
        rescue.broke(error, rest, &mut self.running)
    }

    fn fail(&mut self, error: Error) -> Error {
        self.running.fail(&error);
        error
    }

    fn finish(&mut self) -> CallSummary {
        let kept = self.events.take_tee();
        if let Some(format) = self.format {
            self.running.keep(format, kept);
        }
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

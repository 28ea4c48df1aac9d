//! One attempt, made: everything that it needs, so that several may run side by side and one may
//! begin behind a broken stream.

use std::{sync::Arc, time::Duration};

use canonical::{CanonicalRequest, Result};
use formats::GatewayRequest;
use providers::{FetchedMedia, UpstreamRequest, UpstreamResponse};
use routing::Attempt;
use telemetry::{SpanContext, otlp};

use crate::{
    Call, CallPlace, Clock, Snapshot,
    outbound_limits::{OutboundLimits, Permit},
};

/// What makes the attempts of one call.
#[derive(Clone, Debug)]
pub(crate) struct AttemptSender {
    snapshot: Arc<Snapshot>,
    request: Arc<GatewayRequest>,
    strict: bool,
    clock: Clock,
    /// How long the call may take.
    allowed: Duration,
    fetched: Arc<FetchedMedia>,
    limits: Arc<OutboundLimits>,
    /// The call's trace, and its place in it.
    trace: (Arc<str>, SpanContext),
    /// Whether a stream is decoded that could pass through, since it may have to be continued.
    decodes: bool,
    /// How many bytes of a response are kept; none where nobody wants them.
    keep: Option<usize>,
    /// Where the call counts as in flight.
    place: CallPlace,
}

/// What an attempt led to.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly every attempt is made; a box would cost each one"
)]
pub(crate) enum Sent {
    /// The provider was asked; and what is held of its limits until the response is over.
    Requested(Result<UpstreamResponse>, Option<Permit>),
    /// The provider was not asked, since a limit of the operator's own is reached.
    PassedOver(canonical::Error),
}

impl AttemptSender {
    /// What makes the attempts of a call. `decodes` says whether its stream may have to be continued.
    pub(crate) fn new(call: &Call, limits: Arc<OutboundLimits>, decodes: bool) -> Self {
        Self {
            snapshot: call.snapshot.clone(),
            request: call.request.clone(),
            strict: call.strict,
            clock: call.clock,
            allowed: call.time_allowed(),
            fetched: Arc::default(),
            limits,
            trace: (Arc::from(call.record.trace_id.as_str()), call.record.span),
            decodes,
            keep: None,
            place: call.place.clone(),
        }
    }

    /// The sender, which keeps so many bytes of a response.
    pub(crate) fn with_kept_bytes(self, keep: Option<usize>) -> Self {
        Self { keep, ..self }
    }

    /// The sender under another state of the configuration.
    pub(crate) fn with_snapshot(&self, snapshot: Arc<Snapshot>) -> Self {
        Self { snapshot, ..self.clone() }
    }

    /// Whether the stream of the call is decoded, so that it can be continued.
    pub(crate) fn decodes(&self) -> bool {
        self.decodes
    }

    /// The configuration under which attempts are made.
    pub(crate) fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// The client's request.
    pub(crate) fn request(&self) -> &GatewayRequest {
        &self.request
    }

    /// Makes an attempt: with the client's own request, or one that continues a response.
    pub(crate) async fn send(self, attempt: Attempt, continued: Option<CanonicalRequest>) -> Sent {
        if !attempt.delay.is_zero() {
            tokio::time::sleep(attempt.delay).await;
        }
        // After the delay: a place must not be held while nothing is sent.
        let permit = match self.acquire(&attempt).await {
            Ok(permit) => permit,
            Err(error) => return Sent::PassedOver(error),
        };

        self.place.attempt(&attempt.target().provider);
        let snapshot = &self.snapshot;
        let traceparent = self.traceparent(&attempt);
        let request = UpstreamRequest {
            request: &self.request,
            strict: self.strict,
            fetched: &self.fetched,
            traceparent: traceparent.as_deref(),
            continued: continued.as_ref(),
            decodes: self.decodes,
            keep: self.keep,
        };
        let outcome = snapshot.upstream.send(&attempt, &request, self.clock.now()).await;
        Sent::Requested(outcome, permit)
    }

    /// The header by which a provider's spans follow those of an attempt; none where nobody records
    /// the trace.
    fn traceparent(&self, attempt: &Attempt) -> Option<String> {
        let (trace_id, span) = &self.trace;
        let is_sampled = span.sampled?;
        let id = otlp::attempt_span_id(span.span_id, attempt.id.index());
        Some(otlp::traceparent(trace_id, id, is_sampled))
    }

    /// Counts an attempt against the limits of its provider, where the operator set some.
    async fn acquire(&self, attempt: &Attempt) -> Result<Option<Permit>> {
        let name = &attempt.target().provider;
        let provider = self.snapshot.config.providers.iter().find(|it| it.name == *name);
        let Some(provider) = provider.filter(|it| !it.limits.is_unlimited()) else {
            return Ok(None);
        };
        // Counted only where a limit asks for it, since counting reads the whole conversation.
        let tokens = match provider.limits.tokens_per_minute {
            Some(_) => crate::demand::input_tokens(&self.request),
            None => 0,
        };
        self.limits.acquire((provider, attempt.key), tokens, self.allowed, self.clock).await
    }
}

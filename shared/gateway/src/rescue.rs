//! Rescue: another target goes on with a stream that broke after its first token.
//!
//! The next target gets the conversation and what was said so far; the seam is mended before a client
//! sees it. What cannot be continued ends as the error that broke the stream, whatever the next
//! targets answered.

mod continuation;
mod json_prefix;
mod seam;
mod transcript;

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Instant,
};

use canonical::{
    CanonicalRequest, Delta, Error, ErrorKind, EventBody, FinishReason, ResponseFormat, Result,
    StreamEvent, Task, Usage,
};
use config::Rescue as Setting;
use providers::{EventStream, UpstreamBody, UpstreamResponse};
use routing::{Attempt, AttemptEnd, AttemptId, RoutePlan};

use crate::{
    Call,
    attempt_sender::{AttemptSender, Sent},
    running_call::RunningCall,
};
use json_prefix::JsonPrefix;
use seam::{Form, Mended, Seam};
use transcript::{Remainder, Transcript};

/// The rescue of one stream: what was said so far, and the attempt to go on with it.
pub(crate) struct Rescue {
    sender: AttemptSender,
    transcript: Transcript,
    /// What the joined text has to stay the beginning of, where JSON is wanted.
    json: Option<JsonPrefix>,
    /// The seam behind which the stream goes on now.
    seam: Option<Seam>,
    pending: Option<Pending>,
    /// What broke the stream first, which says most.
    first_error: Option<Error>,
    note: Option<String>,
}

/// An attempt to go on.
struct Pending {
    id: AttemptId,
    form: Form,
    since: Instant,
    call: Pin<Box<dyn Future<Output = Sent> + Send>>,
}

/// What becomes of a stream that broke.
pub(crate) enum Broken {
    /// Another target is attempted.
    Pending,
    /// Nothing but these events was missing.
    Ends(Vec<StreamEvent>),
    /// The stream ends with this error.
    Fails(Error),
}

/// Whether the stream of a call may have to be continued: its route or its client says so, and there
/// is another target.
pub(crate) fn is_wanted(call: &Call, plan: &RoutePlan) -> bool {
    let setting = call.hints.rescue.unwrap_or(plan.rescue);
    let is_stream = call.request.stream && call.request.task == Task::Chat;
    // Several choices break at several places, and no target can go on with all of them.
    setting == Setting::Continue && is_stream && 1 < plan.targets.len() && has_one_choice(call)
}

fn has_one_choice(call: &Call) -> bool {
    let conversation = call.request.canonical().and_then(CanonicalRequest::conversation);
    conversation.is_ok_and(|it| it.sampling.n.unwrap_or(1) == 1)
}

impl Rescue {
    /// Watches over a stream that the sender's call got.
    pub(crate) fn new(sender: AttemptSender) -> Self {
        let conversation = sender.request().canonical().and_then(CanonicalRequest::conversation);

        let format = conversation.ok().and_then(|it| it.response_format.as_ref());
        let wants_json = format.is_some_and(|it| *it != ResponseFormat::Text);
        Self {
            transcript: Transcript::default(),
            json: wants_json.then(JsonPrefix::default),
            seam: None,
            pending: None,
            first_error: None,
            note: None,
            sender,
        }
    }

    /// Whether another target is being attempted.
    pub(crate) fn is_pending(&self) -> bool {
        self.pending.is_some()
    }

    /// Gives up an attempt that was not made yet, since nothing is left to pay for it.
    pub(crate) fn withdraw(&mut self, running: &mut RunningCall) {
        let now = running.call.clock.instant();
        if let (Some(pending), Some(failover)) = (self.pending.take(), &mut running.failover) {
            failover.ended(pending.id, AttemptEnd::Canceled, now);
        }
    }

    /// What the client is told of a seam, once.
    pub(crate) fn take_note(&mut self) -> Option<String> {
        self.note.take()
    }

    /// Passes events on: as they are, or mended behind a seam. `carried` is what the broken attempts
    /// used.
    pub(crate) fn pass(
        &mut self,
        events: Vec<StreamEvent>,
        carried: Usage,
    ) -> Result<Vec<StreamEvent>> {
        let mut passed = Vec::with_capacity(events.len());
        for event in events {
            if self.seam.is_some() {
                self.mend(event, carried, &mut passed)?;
            } else {
                passed.push(event);
            }
        }
        // What the client gets is noted, not what the provider sent: the seam may have taken some
        // of it out.
        for event in &passed {
            self.check_json(event)?;
            self.transcript.note(event);
        }
        Ok(passed)
    }

    /// Decides what becomes of a stream that broke. `rest` ends it, if everything was said before.
    pub(crate) fn broke(
        &mut self,
        error: Error,
        rest: Option<Vec<StreamEvent>>,
        running: &mut RunningCall,
    ) -> Broken {
        if let Some(rest) = rest
            && let Ok(events) = self.pass(rest, running.carried_usage())
        {
            running.attempt_broke(&error);
            return Broken::Ends(events);
        }
        match self.transcript.remainder() {
            Remainder::OnlyEnd => Broken::Ends(self.end(&error, None, running)),
            Remainder::OnlyFinish => {
                let finish = Some(FinishReason::ToolCalls);
                Broken::Ends(self.end(&error, finish, running))
            }
            Remainder::BrokenCall(name) => Broken::Fails(naming(error, &name)),
            Remainder::Fixed => Broken::Fails(error),
            Remainder::Open => {
                running.attempt_broke(&error);
                if let Some(failover) = &mut running.failover {
                    failover.begin_rescue();
                }
                self.first_error.get_or_insert(error);
                self.attempt_next(running)
            }
        }
    }

    /// The events that a stream lacks of which everything was said.
    fn end(
        &mut self,
        error: &Error,
        finish: Option<FinishReason>,
        running: &mut RunningCall,
    ) -> Vec<StreamEvent> {
        running.attempt_broke(error);
        let finish = finish.map(|reason| StreamEvent::delta(0, Delta::Finish(reason)));
        let usage = StreamEvent::delta(0, Delta::Usage).with_usage(Some(running.carried_usage()));
        let end = [usage, StreamEvent::delta(0, Delta::End)];
        finish.into_iter().chain(end).collect()
    }

    fn attempt_next(&mut self, running: &mut RunningCall) -> Broken {
        let now = running.call.clock.instant();
        let next = running.failover.as_mut().and_then(|failover| failover.next(now).ok());
        let Some(attempt) = next else { return Broken::Fails(self.failure(running)) };
        // A beginning of the model's own message joins best, where the API takes one.
        let takes_prefill = self.sender.snapshot().takes_prefill(attempt.target());
        let form = if takes_prefill && !self.reasons() { Form::Prefill } else { Form::Instruction };
        self.start(attempt, form, running)
    }

    /// Whether the request demands reasoning, with which no model takes the beginning of its message.
    fn reasons(&self) -> bool {
        let conversation =
            self.sender.request().canonical().and_then(CanonicalRequest::conversation);
        conversation.is_ok_and(|it| it.reasoning.is_some())
    }

    fn start(&mut self, attempt: Attempt, form: Form, running: &RunningCall) -> Broken {
        let Ok(request) = self.sender.request().canonical() else {
            return Broken::Fails(self.failure(running));
        };
        // The limit on output is for the joined response, so that what was written counts.
        let written = running.carried_usage().all_output();
        let request = continuation::continued(request, &self.transcript.text, written, form);
        self.pending = Some(Pending {
            id: attempt.id,
            form,
            since: Instant::now(),
            call: Box::pin(self.sender.clone().send(attempt, Some(request))),
        });
        Broken::Pending
    }

    /// Waits for another target to go on. The error is the one that broke the stream.
    pub(crate) fn poll(
        &mut self,
        running: &mut RunningCall,
        cx: &mut Context<'_>,
    ) -> Poll<Result<EventStream>> {
        loop {
            let Some(pending) = &mut self.pending else {
                return Poll::Ready(Err(self.failure(running)));
            };
            let sent = ready!(pending.call.as_mut().poll(cx));
            let (id, form) = (pending.id, pending.form);
            // The time is the provider's, and not the gateway's own.
            running.note_wait(pending.since);

            self.pending = None;
            let next = match sent {
                Sent::Requested(Ok(response), permit) => {
                    running.attempt_succeeded(id, &response);
                    running.keep_permit(id, permit);
                    if let Some(events) = self.continues(response, form, running) {
                        return Poll::Ready(Ok(events));
                    }
                    self.attempt_next(running)
                }
                Sent::Requested(Err(error), _) => self.refused(id, form, error, running),
                Sent::PassedOver(error) => {
                    running.passed_over(id, error);
                    self.attempt_next(running)
                }
            };
            if let Broken::Fails(error) = next {
                return Poll::Ready(Err(error));
            }
        }
    }

    /// Goes on after a target did not: the other way where it refused to be given the beginning of its
    /// message, else at the next.
    fn refused(
        &mut self,
        id: AttemptId,
        form: Form,
        error: Error,
        running: &mut RunningCall,
    ) -> Broken {
        let now = running.call.clock.instant();
        let is_refusal = matches!(
            error.kind,
            ErrorKind::InvalidRequest | ErrorKind::Rejected | ErrorKind::Unsupported
        );
        // Newer models refuse a prefill with a 400, which would end the rescue for a reason of
        // form.
        if form == Form::Prefill
            && is_refusal
            && let Some(failover) = &mut running.failover
            && failover.repeat(id, &error, now)
            && let Ok(attempt) = failover.next(now)
        {
            return self.start(attempt, Form::Instruction, running);
        }
        // What broke the stream stays the error of the call.
        drop(running.attempt_failed(id, error));
        self.attempt_next(running)
    }

    fn continues(
        &mut self,
        response: UpstreamResponse,
        form: Form,
        running: &RunningCall,
    ) -> Option<EventStream> {
        let UpstreamBody::Stream(events) = response.body else { return None };
        let provider = running.call.record.provider.as_deref().unwrap_or_default();
        self.note = Some(format!("rescued: {provider} goes on with this response"));
        self.seam = Some(Seam::new(&self.transcript.text, form));
        Some(events)
    }

    /// The error of a stream that nobody goes on with.
    fn failure(&mut self, running: &RunningCall) -> Error {
        let missing = || Error::new(ErrorKind::Internal, "The stream broke.");

        let mut error = self.first_error.take().unwrap_or_else(missing);
        let attempts = running.failover.as_ref().map(|failover| failover.attempts().to_vec());
        error.attempts = attempts.unwrap_or_default();
        let message = format!("{} (no other target could go on)", error.message());
        error.with_message(message)
    }

    /// Mends one event of a continuation.
    fn mend(
        &mut self,
        mut event: StreamEvent,
        carried: Usage,
        out: &mut Vec<StreamEvent>,
    ) -> Result<()> {
        // The client gets one usage for its one response.
        event.usage = event.usage.map(|usage| usage.plus(&carried));
        let usage = event.usage;
        let EventBody::Delta(choice, delta) = &mut event.body else { return Ok(()) };
        let has_text = !self.transcript.text.is_empty();
        let is_kept = match &mut **delta {
            Delta::Text(text) => {
                *text = self.seam(text.as_str())?;
                !text.is_empty()
            }
            // The message has begun; reasoning behind its text has no place in most formats.
            Delta::Start { .. } => false,
            Delta::Reasoning(_) | Delta::Signature(_) => !has_text,
            Delta::Usage => true,
            _ => {
                let (rest, choice) = (self.finish_seam()?, *choice);
                if !rest.is_empty() {
                    out.push(StreamEvent::delta(choice, Delta::Text(rest)));
                }
                true
            }
        };
        if is_kept {
            out.push(event);
        // Usage counts even where its event is left out.
        } else if usage.is_some() {
            out.push(StreamEvent::delta(0, Delta::Usage).with_usage(usage));
        }
        Ok(())
    }

    fn seam(&mut self, text: &str) -> Result<String> {
        let mended = self.seam.as_mut().map(|seam| seam.push(text));
        self.mended(mended)
    }

    fn finish_seam(&mut self) -> Result<String> {
        let mended = self.seam.as_mut().map(Seam::finish);
        self.mended(mended)
    }

    fn mended(&mut self, mended: Option<Mended>) -> Result<String> {
        match mended {
            Some(Mended::Text(text)) => Ok(text),
            None => Ok(String::new()),
            Some(Mended::BegunAnew) => {
                Err(self.cannot_join("the next target began the response anew"))
            }
        }
    }

    fn check_json(&mut self, event: &StreamEvent) -> Result<()> {
        let (Some(json), EventBody::Delta(_, delta)) = (&mut self.json, &event.body) else {
            return Ok(());
        };
        let is_json = match &**delta {
            Delta::Text(text) => json.push(text),
            _ => true,
        };
        if is_json {
            return Ok(());
        }

        self.json = None;
        // What a model writes by itself is its own affair; what is joined has to fit.
        if self.seam.is_none() {
            self.transcript.forbid();
            return Ok(());
        }
        Err(self.cannot_join("what the next target wrote makes the response invalid JSON"))
    }

    /// The failure of a stream that another target went on with, but not so that it can be joined.
    fn cannot_join(&mut self, why: &str) -> Error {
        let missing = || Error::new(ErrorKind::Upstream, "broke off");
        let error = self.first_error.take().unwrap_or_else(missing);
        self.transcript.forbid();
        let message = format!("{}, and {why}", error.message());
        error.with_message(message)
    }
}

/// The failure with the tool whose call it leaves incomplete.
fn naming(error: Error, tool: &str) -> Error {
    if error.message().contains(tool) {
        return error;
    }
    let message = format!("{} (its call of `{tool}` is incomplete)", error.message());
    error.with_message(message)
}

impl fmt::Debug for Rescue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rescue").field("is_pending", &self.is_pending()).finish_non_exhaustive()
    }
}

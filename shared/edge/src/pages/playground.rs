//! The playground: a real call, made for an operator and counted against a tenant.
//!
//! Its response is a stream of events of our own: each attempt as it happens, the head, the body as it
//! comes, and the end.

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use admin::{AdminResult, Problem, ProblemKind, TenantView};
use bytes::Bytes;
use canonical::{AttemptRecord, Outcome};
use futures_util::stream;
use gateway::{Admitted, AttemptUpdate, AttemptWatch, Clock};
use http::{HeaderMap, HeaderValue, Method, Request, Response, header};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use pages::{
    Count, Money, Took,
    form::Choice,
    playground::Playground,
    shell::{Section, Tone},
};
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};
use telemetry::{Principal, request_log::CallRow};
use tokio::sync::mpsc;

use super::{
    page_context::{PageContext, page},
    table::PageFuture,
};
use crate::{
    body::{Body, BodyError, boxed, full},
    endpoint::{Access, Endpoint},
    endpoints::ENDPOINTS,
    front::{App, Exchange},
    request::{Arrival, Origin},
    router::Router,
};

/// How many events wait for the browser.
const EVENTS_AHEAD: usize = 64;
/// The key id of calls from the playground.
const KEY_ID: &str = "playground";
/// How often the record of a call is looked for, and how long after the look before.
const RECORD_READS: usize = 15;
const RECORD_DELAY: Duration = Duration::from_millis(120);

/// The endpoints that calls of the playground can go to.
static MODEL_ENDPOINTS: LazyLock<Router> = LazyLock::new(|| {
    let is_for_clients =
        |it: &&'static Endpoint| it.access == Access::Client && it.method == Method::POST;
    Router::new(ENDPOINTS.iter().filter(is_for_clients))
});

pub(super) fn show(context: &mut PageContext) -> PageFuture<'_> {
    Box::pin(async {
        let tenants = context.tenants().await?.iter().map(|view| view.tenant.clone());
        let choices: Vec<Choice> = tenants.map(|it| Choice::new(it.id, it.settings.name)).collect();
        let models = context.models().await?;
        let model = context.query.filled("model").map(str::to_owned);
        page(&Playground {
            shell: context.shell(Section::Playground, "Playground").await?,
            tenant: choices.first().map(|it| it.value.clone()).unwrap_or_default(),
            tenants: choices,
            model: model.or(models.first().cloned()).unwrap_or_default(),
            models,
        })
    })
}

/// What the page's script sends.
#[derive(Deserialize)]
struct Wanted<'a> {
    tenant: String,
    path: String,
    #[serde(borrow)]
    body: &'a RawValue,
}

fn wrong(detail: &str) -> Problem {
    Problem::new(ProblemKind::Invalid, detail)
}

async fn tenant(context: &PageContext, id: &str) -> AdminResult<Admitted> {
    let view: TenantView = context.admin()?.tenant(id, context.clock()).await?;
    let snapshot = context.app.gateway.snapshot(context.clock()).await?;
    let tenant = Arc::new(view.tenant);
    let snapshot = context.app.gateway.snapshot_for(&tenant, snapshot).await?;
    let principal = Principal { tenant: tenant.id.as_str().into(), key_id: Arc::from(KEY_ID) };
    Ok(Admitted { snapshot, principal, tenant })
}

/// The request that a client would send.
fn request(path: &str, body: &str) -> AdminResult<Request<Body>> {
    let request = Request::builder()
        .method(Method::POST)
        .uri(path)
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::USER_AGENT, KEY_ID)
        .body(full(body.to_owned()));
    request.map_err(|error| wrong("The path is none of a model's endpoints.").caused_by(error))
}

pub(super) fn call(context: &mut PageContext) -> PageFuture<'_> {
    Box::pin(async {
        let parsed: Result<Wanted<'_>, _> = serde_json::from_slice(&context.body);
        let wanted = parsed.map_err(|error| wrong("The body is no call.").caused_by(error))?;
        let admitted = tenant(context, &wanted.tenant).await?;
        let request = request(&wanted.path, wanted.body.get())?;
        // Only endpoints for clients: a call of the playground must not reach the admin API as
        // somebody else.
        let found = MODEL_ENDPOINTS.find(&Method::POST, request.uri().path(), request.headers());
        if found.endpoint.is_err() {
            return Err(wrong("The path is none of a model's endpoints."));
        }
        let origin = Origin {
            platform_deadline: context.arrival.platform_deadline,
            connection: context.arrival.connection.clone(),
        };
        // Without the browser's headers: its cookie and `traceparent` are no part of a client's
        // call.
        let arrival = Arrival::new(&HeaderMap::new(), origin);
        let (id, clock) = (arrival.request_id.clone(), arrival.clock);

        let (watch, updates) = AttemptWatch::new();
        let app = context.app.clone();
        let (events, received) = mpsc::channel(EVENTS_AHEAD);
        // The record is read behind the call, so that its cost can be shown where the call was
        // made.
        tokio::spawn(async move {
            let response =
                Exchange::call_for(app.clone(), request, (arrival, found), admitted, watch);
            tell(&events, response, updates).await;
            let row = record(&app, clock, &id).await;
            // The browser may have left.
            drop(events.send(event("end", &end(&id, row.as_ref()))).await);
        });
        Ok(streamed(received))
    })
}

/// Sends an event to the browser; nothing when it has left.
async fn send(events: &mpsc::Sender<Bytes>, event: Bytes) -> Option<()> {
    events.send(event).await.ok()
}

fn event(name: &str, data: &Value) -> Bytes {
    Bytes::from(format!("event: {name}\ndata: {data}\n\n"))
}

/// Tells the browser of attempts until there is a response, and then of its body. Ends when the
/// browser has left, which ends the call.
async fn tell(
    events: &mpsc::Sender<Bytes>,
    response: impl Future<Output = Response<Body>>,
    mut updates: mpsc::UnboundedReceiver<AttemptUpdate>,
) -> Option<()> {
    tokio::pin!(response);
    let response = loop {
        tokio::select! {
            // The browser's leave comes first: dropping the response cancels the call and its cost.
            biased;
            () = events.closed() => return None,
            Some(update) = updates.recv() => send(events, attempt_event(&update)).await?,
            response = &mut response => break response,
        }
    };
    // What happened in the same moment as the response stands before its head.
    while let Ok(update) = updates.try_recv() {
        send(events, attempt_event(&update)).await?;
    }
    send(events, event("head", &head(&response))).await?;

    let (mut body, mut text) = (response.into_body(), PartialText::default());
    loop {
        let frame = tokio::select! {
            biased;
            () = events.closed() => return None,
            Some(update) = updates.recv() => {
                send(events, attempt_event(&update)).await?;
                continue;
            }
            frame = body.frame() => frame,
        };
        let Some(Ok(frame)) = frame else { return Some(()) };
        let part = frame.into_data().map(|bytes| text.push(&bytes)).unwrap_or_default();
        if !part.is_empty() {
            send(events, event("body", &json!(part))).await?;
        }
    }
}

/// Text that comes in parts, which may end within a letter.
#[derive(Default)]
struct PartialText(Vec<u8>);

impl PartialText {
    /// The text that is whole with these bytes.
    fn push(&mut self, bytes: &[u8]) -> String {
        self.0.extend_from_slice(bytes);
        let whole = match std::str::from_utf8(&self.0) {
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            Ok(_) | Err(_) => self.0.len(),
        };
        // An incomplete letter waits for its other bytes; what can never become one is replaced.
        let rest = self.0.split_off(whole);
        String::from_utf8_lossy(&std::mem::replace(&mut self.0, rest)).into_owned()
    }
}

fn attempt_event(update: &AttemptUpdate) -> Bytes {
    let AttemptRecord {
        provider,
        model,
        outcome,
        status,
        first_token_ms,
        duration_ms,
        message,
        ..
    } = &update.attempt;
    let took = Took::ms(*duration_ms);
    let code = status.map_or_else(|| outcome.as_str().replace('_', " "), |it| it.to_string());
    let (tone, state, text) = match (outcome, first_token_ms) {
        // An attempt that is still under way is noted as canceled until it ends otherwise.
        (Outcome::Canceled, _) => (Tone::Info, "waiting", "sent".to_owned()),
        (Outcome::Success, Some(first)) => {
            (Tone::Ok, "answering", format!("first token after {}", Took::ms(*first)))
        }
        (Outcome::Success, None) => (Tone::Ok, "answering", format!("after {took}")),
        (Outcome::Failed(_), _) => {
            let message = message.as_deref().unwrap_or_default();
            (Tone::Err, "failed", format!("{code} after {took}. {message}"))
        }
    };
    let data = json!({
        "number": update.place,
        "target": format!("{provider}/{model}"),
        "tone": tone.class(),
        "state": state,
        "text": text,
    });
    event("attempt", &data)
}

/// Whether the response is a stream of events, its status, and the headers of the gateway's own.
fn head<B>(response: &Response<B>) -> Value {
    let own = response.headers().iter().filter(|(name, _)| {
        name.as_str().starts_with("x-")
            || *name == header::CONTENT_TYPE
            || *name == header::RETRY_AFTER
    });
    let headers: serde_json::Map<String, Value> = own
        .map(|(name, value)| (name.to_string(), json!(String::from_utf8_lossy(value.as_bytes()))))
        .collect();
    let kind = headers.get("content-type").and_then(Value::as_str).unwrap_or_default();
    json!({
        "status": response.status().as_u16(),
        "is_stream": kind.starts_with("text/event-stream"),
        "headers": headers,
    })
}

/// The record of a call, which is written behind it.
async fn record(app: &App, clock: Clock, id: &str) -> Option<CallRow> {
    for _ in 0..RECORD_READS {
        // Records are written behind the response, through a queue.
        tokio::time::sleep(RECORD_DELAY).await;
        if let Ok(Some(row)) = app.records.log.get(id, clock.now()).await {
            return Some(row);
        }
    }
    None
}

/// The end of a call, in a line.
fn end(id: &str, row: Option<&CallRow>) -> Value {
    let Some(row) = row else {
        return json!({ "id": id, "text": "Its record is not written yet", "is_failure": false });
    };
    let tokens = row.tokens();
    let cost = row.cost.map_or_else(|| "no price is known".to_owned(), |it| Money(it).to_string());
    let dropped = match row.dropped.as_slice() {
        [] => "nothing dropped".to_owned(),
        names => format!("dropped: {}", names.join(", ")),
    };
    let (input, output) = (Count(tokens.all_input()), Count(tokens.all_output()));
    let took = Took::ms(row.total_ms);
    let text = format!("{cost} · {input} tokens in, {output} out · {took} · {dropped}");
    json!({ "id": id, "text": text, "is_failure": row.has_failed() })
}

fn streamed(received: mpsc::Receiver<Bytes>) -> Response<Body> {
    let events = stream::unfold(received, |mut received| async move {
        let event = received.recv().await?;
        Some((Ok::<_, BodyError>(Frame::data(event)), received))
    });
    let mut response = Response::new(boxed(StreamBody::new(events)));
    let kind = HeaderValue::from_static("text/event-stream");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_that_comes_in_two_parts_is_one() {
        let mut text = PartialText::default();
        let bytes = "für".as_bytes();
        assert_eq!(text.push(&bytes[..2]), "f");
        assert_eq!(text.push(&bytes[2..]), "ür");
        assert_eq!(text.push(&[0xff]), "\u{fffd}");
    }

    #[test]
    fn an_attempt_is_shown_while_it_runs_and_when_it_has_failed() {
        let event_of = |outcome, status| {
            let attempt = AttemptRecord {
                provider: "groq".to_owned(),
                outcome,
                status,
                ..AttemptRecord::default()
            };
            String::from_utf8(attempt_event(&AttemptUpdate { place: 0, attempt }).to_vec()).unwrap()
        };
        assert!(event_of(Outcome::Canceled, None).contains("\"state\":\"waiting\""));
        let failed = event_of(Outcome::Failed("rate_limit"), Some(429));
        assert!(failed.contains("429 after 0.0 ms"), "{failed}");
        assert!(failed.starts_with("event: attempt\ndata: {"), "{failed}");
    }

    #[test]
    fn calls_go_to_models_and_nowhere_else() {
        let goes = |path: &str| {
            MODEL_ENDPOINTS.find(&Method::POST, path, &HeaderMap::new()).endpoint.is_ok()
        };
        for path in [
            "/v1/chat/completions",
            "/v1/responses",
            "/v1/messages",
            "/v1beta/models/m:generateContent",
        ] {
            assert!(goes(path), "{path}");
        }
        for path in ["/admin/tenants", "/admin/config", "/health"] {
            assert!(!goes(path), "{path}");
        }
    }
}

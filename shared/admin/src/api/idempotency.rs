//! Idempotency keys of operators: what makes a secret is made once, however often it is asked for.
//!
//! The response is kept for a day, sealed since it holds a key.

use serde_json::{Value, json};
use storage::{Change, Condition, Secret, Tallied, Tallies, Tally};
use tenants::KeyHash;

use super::{ApiBody, ApiRequest, ApiResponse, Operation};
use crate::{
    admin::Admin,
    problem::{AdminResult, Problem, ProblemKind},
};

/// How long a response is kept, in seconds.
const KEPT_SECONDS: u64 = 24 * 60 * 60;
/// After how many seconds a request that left no response is taken for dead.
const DEAD_SECONDS: u64 = 60;
/// How long a key may be, in bytes.
const MAX_KEY_BYTES: usize = 255;
const PLACE: &str = "once";
const REQUEST: &str = "request";
const RESPONSE: &str = "response";
const CLAIMED_AT: &str = "claimed_at";

/// What became of the attempt to be the first request with a key.
enum Claim {
    /// The request is the first one with its key.
    First,
    /// The first request with the key is done, and this is its response.
    Done(ApiResponse),
}

impl Admin {
    /// Does what is asked, or repeats the response to an earlier request with the same key.
    pub(super) async fn respond_once(
        &self,
        operation: Operation,
        request: &ApiRequest<'_>,
    ) -> AdminResult<ApiResponse> {
        let Some(key) = request.idempotency_key else {
            return self.create(operation, request).await;
        };
        if key.is_empty() || MAX_KEY_BYTES < key.len() {
            return Err(Problem::field("Idempotency-Key", "A key has 1 to 255 bytes."));
        }

        let row = row_of(operation, request, key);
        // Claimed before anything is made, or two requests at once would both make it.
        if let Claim::Done(response) = self.claim(&row, request).await? {
            return Ok(response);
        }
        let response = match self.create(operation, request).await {
            Ok(response) => response,
            Err(problem) => {
                // Nothing was made: the same key may try again.
                let change = Change::Delete { pk: row, sk: PLACE.to_owned() };
                self.stores.state.write(&[change]).await?;
                return Err(problem);
            }
        };
        // The state's table holds no secrets in plain text, not even for a day.
        let sealed = self.seal(&row, &Secret::new(to_text(&response)))?;
        let kept = Tally {
            pk: row,
            sk: PLACE.to_owned(),
            set: vec![(RESPONSE.to_owned(), sealed)],
            ..Tally::default()
        };
        self.stores.state.tally(&kept).await?;
        Ok(response)
    }

    async fn claim(&self, row: &str, request: &ApiRequest<'_>) -> AdminResult<Claim> {
        let now = request.now();
        // As a hash: bodies may hold passwords.
        let body = KeyHash::of(&String::from_utf8_lossy(request.body)).as_str().to_owned();
        let claim = |conditions, add| Tally {
            pk: row.to_owned(),
            sk: PLACE.to_owned(),
            conditions,
            add: vec![(CLAIMED_AT.to_owned(), add)],
            set: vec![(REQUEST.to_owned(), body.clone())],
            expires: Some(now + KEPT_SECONDS),
            ..Tally::default()
        };

        let at = i64::try_from(now).unwrap_or(i64::MAX);
        let first = claim(vec![Condition::Absent(REQUEST.to_owned())], at);
        let Tallied::Refused(known) = self.stores.state.tally(&first).await? else {
            return Ok(Claim::First);
        };

        let since = u64::try_from(known.number(CLAIMED_AT)).unwrap_or(0);
        let has_response = known.note(RESPONSE).is_some();
        // A process that died, or a client that left, in the middle never releases its claim.
        let lives = if has_response { KEPT_SECONDS } else { DEAD_SECONDS };
        if now < since.saturating_add(lives) {
            return self.known_response(row, &known, &body);
        }
        // Of several that find the claim dead, one takes it over: the others see another moment.
        let unchanged = Condition::AtMost(CLAIMED_AT.to_owned(), known.number(CLAIMED_AT));
        // Numbers are only added to, so that the new moment is written as a difference.
        let mut takeover = claim(vec![unchanged], at - known.number(CLAIMED_AT));
        takeover.remove = vec![RESPONSE.to_owned()];
        match self.stores.state.tally(&takeover).await? {
            Tallied::Done(_) => Ok(Claim::First),
            Tallied::Refused(_) => Err(still_running()),
        }
    }

    fn known_response(&self, row: &str, known: &Tallies, body: &str) -> AdminResult<Claim> {
        // A program that reuses a key by mistake must not get another tenant's secret.
        if known.note(REQUEST) != Some(body) {
            let detail = "Another request had this idempotency key.";
            return Err(Problem::new(ProblemKind::Unprocessable, detail));
        }
        let Some(sealed) = known.note(RESPONSE) else { return Err(still_running()) };
        let opened = self.sealing.open(row, sealed);
        let response = opened.and_then(|text| from_text(text.expose()));
        let detail = "The response to the first request with this key cannot be read any more.";
        response.map(Claim::Done).ok_or_else(|| Problem::new(ProblemKind::Conflict, detail))
    }
}

fn still_running() -> Problem {
    let detail = "The first request with this idempotency key is not done yet.";
    Problem::new(ProblemKind::Conflict, detail).retry_after(1)
}

fn row_of(operation: Operation, request: &ApiRequest<'_>, key: &str) -> String {
    // The operator is part of it, so that nobody reads the response of another's request by
    // guessing its key.
    let parts = format!(
        "{}\n{operation:?}\n{}\n{key}",
        request.operator.name,
        request.parameters.join("/")
    );
    format!("admin-once#{}", KeyHash::of(&parts).as_str())
}

fn to_text(response: &ApiResponse) -> String {
    let body = match &response.body {
        ApiBody::Json(body) => body.clone(),
        ApiBody::Empty | ApiBody::Yaml(_) => Value::Null,
    };
    let ApiResponse { status, etag, location, .. } = response;
    json!({ "status": status, "body": body, "etag": etag, "location": location }).to_string()
}

fn from_text(text: &str) -> Option<ApiResponse> {
    let mut kept: Value = serde_json::from_str(text).ok()?;
    let text = |value: &Value| value.as_str().map(str::to_owned);
    Some(ApiResponse {
        status: u16::try_from(kept["status"].as_u64()?).ok()?,
        etag: text(&kept["etag"]),
        location: text(&kept["location"]),
        body: ApiBody::Json(kept["body"].take()),
    })
}

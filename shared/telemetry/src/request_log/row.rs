//! One row of the request log: what is kept of a call, in a form that fits one write unit.
//!
//! The stored form has one or two letters for each field; [`CallRow::to_json`] has the names that
//! people read.

use canonical::{AttemptRecord, MicroDollars, Usage};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{CallRecord, Hour, UsageSource, first_chars};

/// The most that a row's value takes, in bytes. With its keys a row stays within 1 KB, which is one
/// write unit of DynamoDB.
pub(crate) const MAX_VALUE_BYTES: usize = 900;
/// How much of a failure's own words is kept, in characters.
const MAX_MESSAGE_CHARS: usize = 200;
/// How much of a user agent is kept, in characters.
const MAX_USER_AGENT_CHARS: usize = 60;
/// How much of a name that a client chose is kept, in characters.
const MAX_NAME_CHARS: usize = 100;
/// How many attempts are kept when a row gets too large: the first ones and the last.
const MIN_ATTEMPTS: usize = 3;

/// What is kept of one call.
#[expect(clippy::struct_excessive_bools, reason = "independent facts, each read alone")]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallRow {
    /// The call's id.
    #[serde(rename = "i")]
    pub id: String,
    /// The trace that the call belongs to: 32 hexadecimal digits.
    #[serde(rename = "x", default, skip_serializing_if = "String::is_empty")]
    pub trace_id: String,
    /// When the request arrived, in milliseconds since 1970.
    #[serde(rename = "a")]
    pub arrived: u64,
    /// From arrival to the end, in milliseconds.
    #[serde(rename = "ms", default)]
    pub total_ms: u64,
    /// The tenant's id; absent when the call was not authenticated.
    #[serde(rename = "t", default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// The key's id.
    #[serde(rename = "k", default, skip_serializing_if = "Option::is_none")]
    pub key_id: Option<String>,
    /// The HTTP method.
    #[serde(rename = "me", default, skip_serializing_if = "String::is_empty")]
    pub method: String,
    /// The path, without its query.
    #[serde(rename = "p", default, skip_serializing_if = "String::is_empty")]
    pub path: String,
    /// The format of the request; empty where none was found out.
    #[serde(rename = "f", default, skip_serializing_if = "String::is_empty")]
    pub format: String,
    /// What the client put in `model`.
    #[serde(rename = "q", default, skip_serializing_if = "Option::is_none")]
    pub requested_model: Option<String>,
    /// The route.
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    /// The provider that responded, by its name in the configuration.
    #[serde(rename = "v", default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// The model that the provider was sent.
    #[serde(rename = "m", default, skip_serializing_if = "Option::is_none")]
    pub sent_model: Option<String>,
    /// The model that the provider named in its response; absent where it named none.
    #[serde(rename = "w", default, skip_serializing_if = "Option::is_none")]
    pub answered_model: Option<String>,
    /// Whether the configuration names the target.
    #[serde(rename = "c", default, skip_serializing_if = "is_default")]
    pub is_configured: bool,
    /// Whether the client wanted a stream.
    #[serde(rename = "s", default, skip_serializing_if = "is_default")]
    pub stream: bool,
    /// How the call ended: `success`, `canceled` or the code of the failure.
    #[serde(rename = "o")]
    pub outcome: String,
    /// The HTTP status, or what an error within a stream stands for; absent when the client left.
    #[serde(rename = "h", default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The failure in the gateway's own words, cut.
    #[serde(rename = "e", default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Why the model stopped.
    #[serde(rename = "g", default, skip_serializing_if = "Option::is_none")]
    pub finish_reason: Option<String>,
    /// The attempts, in the order in which they began.
    #[serde(rename = "n", default, skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<AttemptRow>,
    /// How many attempts in the middle were left out, so that the row fits.
    #[serde(rename = "nl", default, skip_serializing_if = "is_default")]
    pub attempts_left_out: usize,
    /// The tokens that were consumed, by class.
    #[serde(rename = "u", default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<UsageRow>,
    /// Whether the usage was estimated, in whole or in part.
    #[serde(rename = "z", default, skip_serializing_if = "is_default")]
    pub is_estimated: bool,
    /// The cost in micro-dollars; absent when usage or price is unknown.
    #[serde(rename = "d", default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<u64>,
    /// What the response cache had: `hit`, `miss` or `bypass`.
    #[serde(rename = "y", default, skip_serializing_if = "Option::is_none")]
    pub cache: Option<String>,
    /// What a response from the cache has saved, in micro-dollars.
    #[serde(rename = "sv", default, skip_serializing_if = "Option::is_none")]
    pub saved: Option<u64>,
    /// What the provider was not sent.
    #[serde(rename = "l", default, skip_serializing_if = "Vec::is_empty")]
    pub dropped: Vec<String>,
    /// How many fields were dropped, those left out of `dropped` included.
    #[serde(rename = "lc", default, skip_serializing_if = "is_default")]
    pub dropped_count: usize,
    /// What was held of the tenant's budget, in micro-dollars.
    #[serde(rename = "b", default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<u64>,
    /// What was settled against the tenant's budget, in micro-dollars.
    #[serde(rename = "j", default, skip_serializing_if = "Option::is_none")]
    pub settled: Option<u64>,
    /// Waiting for a place among concurrent calls, in milliseconds.
    #[serde(rename = "tq", default, skip_serializing_if = "Option::is_none")]
    pub queue_ms: Option<u64>,
    /// From arrival until the call was admitted, in milliseconds.
    #[serde(rename = "ta", default, skip_serializing_if = "Option::is_none")]
    pub admit_ms: Option<u64>,
    /// From arrival to the first token, or to a whole response, in milliseconds.
    #[serde(rename = "tf", default, skip_serializing_if = "Option::is_none")]
    pub first_token_ms: Option<u64>,
    /// The gateway's own part of the time to the first token, in microseconds.
    #[serde(rename = "to", default, skip_serializing_if = "Option::is_none")]
    pub overhead_us: Option<u64>,
    /// The client's `User-Agent`, cut.
    #[serde(rename = "ua", default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
    /// The client's session.
    #[serde(rename = "ss", default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// The tenant's tags.
    #[serde(rename = "tg", default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// The provider's id for the request.
    #[serde(rename = "pr", default, skip_serializing_if = "Option::is_none")]
    pub provider_request_id: Option<String>,
    /// Whether the prompt and the response are kept in a row of their own.
    #[serde(rename = "ct", default, skip_serializing_if = "is_default")]
    pub has_content: bool,
}

/// One attempt of a call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptRow {
    /// The provider's name in the configuration.
    #[serde(rename = "v")]
    pub provider: String,
    /// The provider's name for the model.
    #[serde(rename = "m")]
    pub model: String,
    /// The fingerprint of the key: twelve hexadecimal digits, or `none`.
    #[serde(rename = "k", default, skip_serializing_if = "String::is_empty")]
    pub key: String,
    /// How the attempt ended: `success`, `canceled` or the code of the failure.
    #[serde(rename = "o")]
    pub outcome: String,
    /// The provider's HTTP status, when there was one.
    #[serde(rename = "h", default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// From the call's arrival to the start of the attempt, in milliseconds.
    #[serde(rename = "st", default, skip_serializing_if = "is_default")]
    pub start_ms: u64,
    /// From the start to the end of the attempt, in milliseconds.
    #[serde(rename = "ms", default, skip_serializing_if = "is_default")]
    pub duration_ms: u64,
    /// From the start to the first meaningful event of a stream, in milliseconds.
    #[serde(rename = "ft", default, skip_serializing_if = "Option::is_none")]
    pub first_token_ms: Option<u64>,
    /// What was decided after a failure: `next_key`, `next_target`, `retry_same_target`,
    /// `apply_remedy`, `fail_fast` or `exhausted`.
    #[serde(rename = "nx", default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// For how long the target cools down because of the attempt, in milliseconds.
    #[serde(rename = "cd", default, skip_serializing_if = "is_default")]
    pub cooldown_ms: u64,
}

/// Tokens in classes that do not overlap, in the order of [`Usage`]'s fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageRow(pub [u64; 7]);

impl From<Usage> for UsageRow {
    fn from(usage: Usage) -> Self {
        let Usage {
            input,
            cached_input,
            cache_write,
            // A part of `cache_write` that only the cost depends on, which the row has.
            cache_write_hour: _,
            input_audio,
            output,
            reasoning,
            output_audio,
        } = usage;
        Self([input, cached_input, cache_write, input_audio, output, reasoning, output_audio])
    }
}

impl From<UsageRow> for Usage {
    fn from(row: UsageRow) -> Self {
        let [input, cached_input, cache_write, input_audio, output, reasoning, output_audio] =
            row.0;
        let cache_write_hour = 0;
        Self {
            input,
            cached_input,
            cache_write,
            cache_write_hour,
            input_audio,
            output,
            reasoning,
            output_audio,
        }
    }
}

impl CallRow {
    /// The row of a finished record.
    pub fn new(record: &CallRecord) -> Self {
        let CallRecord { request, timings, end, client, .. } = record;
        Self {
            id: record.id.clone(),
            trace_id: record.trace_id.clone(),
            arrived: record.arrived,
            total_ms: millis(timings.total),
            tenant: record.principal.as_ref().map(|it| it.tenant.to_string()),
            key_id: record.principal.as_ref().map(|it| it.key_id.to_string()),
            method: request.method.clone(),
            // A client may send a path of many kilobytes, none of which the log has to pay for.
            path: cut(&request.path, MAX_NAME_CHARS),
            format: request.format.to_owned(),
            requested_model: request.model.as_deref().map(|it| cut(it, MAX_NAME_CHARS)),
            route: record.route.clone(),
            provider: record.provider.clone(),
            sent_model: record.model.clone(),
            answered_model: record.answered_model.as_deref().map(|it| cut(it, MAX_NAME_CHARS)),
            is_configured: record.is_configured,
            stream: request.stream,
            outcome: end.outcome.as_str().to_owned(),
            status: end.status,
            message: end.message.as_deref().map(|it| cut(it, MAX_MESSAGE_CHARS)),
            finish_reason: record.finish_reason.as_deref().map(|it| cut(it, MAX_NAME_CHARS)),
            attempts: record.attempts.iter().map(AttemptRow::new).collect(),
            attempts_left_out: 0,
            usage: record.usage.map(|it| it.tokens.into()),
            is_estimated: record.usage.is_some_and(|it| it.source == UsageSource::Estimated),
            cost: record.cost.map(|it| it.0),
            cache: record.cache.map(|it| it.as_str().to_owned()),
            saved: record.saved.map(|it| it.0),
            dropped: record.dropped.iter().map(ToString::to_string).collect(),
            dropped_count: record.dropped.len(),
            hold: record.hold.map(|it| it.0),
            settled: record.settled.map(|it| it.0),
            queue_ms: timings.queue.map(millis),
            admit_ms: timings.admit.map(millis),
            first_token_ms: timings.first_token.map(millis),
            overhead_us: timings.overhead.map(micros),
            user_agent: client.user_agent.as_deref().map(|it| cut(it, MAX_USER_AGENT_CHARS)),
            session: client.session.as_deref().map(|it| cut(it, MAX_NAME_CHARS)),
            tags: client.tags.clone(),
            provider_request_id: record
                .provider_request_id
                .as_deref()
                .map(|it| cut(it, MAX_NAME_CHARS)),
            // The content itself lies in a row of its own, so that lists do not read it.
            has_content: record.content.is_some(),
        }
    }

    /// When the call ended, in milliseconds since 1970.
    pub fn ended(&self) -> u64 {
        self.arrived.saturating_add(self.total_ms)
    }

    /// The hour in which the call ended.
    pub fn hour(&self) -> Hour {
        Hour::of(self.ended())
    }

    /// Whether the call failed. One that its client left did not.
    pub fn has_failed(&self) -> bool {
        self.outcome != "success" && self.outcome != "canceled"
    }

    /// The usage in classes; zero where it is unknown.
    pub fn tokens(&self) -> Usage {
        self.usage.unwrap_or_default().into()
    }

    /// The stored form, within [`MAX_VALUE_BYTES`]: what matters least is left out first.
    pub(crate) fn to_stored(&self) -> String {
        // Identifiers by which a provider's support finds the call go first, since the log line has
        // them, too. Names of models are cut last: filters compare them.
        let cuts: [fn(&mut Self); 6] = [
            |row| row.provider_request_id = None,
            |row| row.dropped.truncate(3),
            |row| row.user_agent = None,
            Self::cut_attempts,
            |row| row.tags.clear(),
            |row| {
                row.message = row.message.as_deref().map(|it| cut(it, 60));
                row.requested_model = row.requested_model.as_deref().map(|it| cut(it, 40));
                row.dropped.clear();
            },
        ];
        let mut text = self.serialized();
        if text.len() <= MAX_VALUE_BYTES {
            return text;
        }

        let mut row = self.clone();
        for cut in cuts {
            if text.len() <= MAX_VALUE_BYTES {
                break;
            }
            cut(&mut row);
            text = row.serialized();
        }
        text
    }

    fn serialized(&self) -> String {
        // A value of plain fields with text keys always serializes.
        serde_json::to_string(self).unwrap_or_default()
    }

    fn cut_attempts(&mut self) {
        if self.attempts.len() <= MIN_ATTEMPTS {
            return;
        }
        let left_out = self.attempts.len() - MIN_ATTEMPTS;
        // The first ones show what went wrong, and the last one how it ended.
        self.attempts.drain(MIN_ATTEMPTS - 1..MIN_ATTEMPTS - 1 + left_out);
        self.attempts_left_out += left_out;
    }

    /// The row as the admin API gives it.
    pub fn to_json(&self) -> Value {
        let usage = self.usage.map(|_| {
            let tokens = self.tokens();
            json!({
                "input": tokens.input,
                "cached_input": tokens.cached_input,
                "cache_write": tokens.cache_write,
                "input_audio": tokens.input_audio,
                "output": tokens.output,
                "reasoning": tokens.reasoning,
                "output_audio": tokens.output_audio,
                "total": tokens.total(),
                "source": if self.is_estimated { "estimated" } else { "reported" },
            })
        });
        json!({
            "id": self.id,
            "trace_id": self.trace_id,
            "arrived_ms": self.arrived,
            "ended_ms": self.ended(),
            "tenant": self.tenant,
            "key_id": self.key_id,
            "method": self.method,
            "path": self.path,
            "format": self.format,
            "requested_model": self.requested_model,
            "route": self.route,
            "provider": self.provider,
            "sent_model": self.sent_model,
            "answered_model": self.answered_model,
            "stream": self.stream,
            "outcome": self.outcome,
            "status": self.status,
            "message": self.message,
            "finish_reason": self.finish_reason,
            "attempts": self.attempts.iter().map(AttemptRow::to_json).collect::<Vec<_>>(),
            "attempts_left_out": self.attempts_left_out,
            "usage": usage,
            "cost_usd": self.cost.map(|it| MicroDollars(it).dollars()),
            "is_priced": self.cost.is_some(),
            "cache": self.cache,
            "saved_usd": self.saved.map(|it| MicroDollars(it).dollars()),
            "dropped": self.dropped,
            "dropped_count": self.dropped_count,
            "hold_usd": self.hold.map(|it| MicroDollars(it).dollars()),
            "settled_usd": self.settled.map(|it| MicroDollars(it).dollars()),
            "timings": {
                "queue_ms": self.queue_ms,
                "admit_ms": self.admit_ms,
                "first_token_ms": self.first_token_ms,
                "total_ms": self.total_ms,
                "overhead_us": self.overhead_us,
            },
            "user_agent": self.user_agent,
            "session": self.session,
            "tags": self.tags,
            "provider_request_id": self.provider_request_id,
            "has_content": self.has_content,
        })
    }
}

impl AttemptRow {
    fn new(attempt: &AttemptRecord) -> Self {
        Self {
            provider: attempt.provider.clone(),
            model: attempt.model.clone(),
            key: attempt.key.to_string(),
            outcome: attempt.outcome.as_str().to_owned(),
            status: attempt.status,
            start_ms: attempt.start_ms,
            duration_ms: attempt.duration_ms,
            first_token_ms: attempt.first_token_ms,
            next: attempt.next.map(|it| it.as_str().to_owned()),
            cooldown_ms: attempt.cooldown_ms,
        }
    }

    fn to_json(&self) -> Value {
        json!({
            "provider": self.provider,
            "model": self.model,
            "key": self.key,
            "outcome": self.outcome,
            "status": self.status,
            "start_ms": self.start_ms,
            "duration_ms": self.duration_ms,
            "first_token_ms": self.first_token_ms,
            "cooldown_ms": self.cooldown_ms,
            "next": self.next,
        })
    }
}

/// The first characters of a text, owned by its row.
fn cut(text: &str, chars: usize) -> String {
    first_chars(text, chars).into_owned()
}

pub(crate) fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn micros(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[cfg(test)]
mod tests {
    use canonical::{MicroDollars, NextStep, Outcome};

    use super::*;
    use crate::{CallEnd, Principal, RequestFacts, UsageRecord};

    fn attempt(model: &str) -> AttemptRecord {
        AttemptRecord {
            provider: "a-provider".to_owned(),
            model: model.to_owned(),
            outcome: Outcome::Failed("rate_limit"),
            status: Some(429),
            start_ms: 12,
            duration_ms: 3_456,
            next: Some(NextStep::NextTarget),
            ..AttemptRecord::default()
        }
    }

    fn record(attempts: usize) -> CallRecord {
        CallRecord {
            id: crate::call_id(1_795_863_599_123, 7),
            trace_id: "4bf92f3577b34da6a3ce929d0e0e4736".to_owned(),
            arrived: 1_795_863_599_123,
            principal: Some(Principal { tenant: "acme".into(), key_id: "key_1".into() }),
            request: RequestFacts {
                method: "POST".to_owned(),
                path: "/v1/chat/completions".to_owned(),
                format: "openai_chat",
                model: Some("dynamic/n8n".to_owned()),
                stream: true,
            },
            attempts: (0..attempts).map(|nth| attempt(&format!("model-{nth}"))).collect(),
            usage: Some(UsageRecord {
                tokens: Usage { input: 1_000, output: 20, ..Usage::default() },
                source: UsageSource::Estimated,
            }),
            cost: Some(MicroDollars(1_234_567)),
            end: CallEnd {
                outcome: Outcome::Failed("rate_limit"),
                status: Some(429),
                message: Some("é".repeat(500)),
                cause: Some("secret".to_owned()),
            },
            ..CallRecord::default()
        }
    }

    #[test]
    fn a_row_is_read_as_it_was_stored() {
        let row = CallRow::new(&record(1));
        let stored = row.to_stored();
        assert!(!stored.contains("secret"), "{stored}");
        assert_eq!(serde_json::from_str::<CallRow>(&stored).unwrap(), row);
        assert_eq!(row.message.as_deref().unwrap().chars().count(), MAX_MESSAGE_CHARS + 1);
    }

    #[test]
    fn a_row_fits_one_write_unit_whatever_happened() {
        let mut long = record(40);
        long.client.user_agent = Some("agent".repeat(99));
        long.client.tags = vec!["tag".repeat(30); 3];
        long.dropped = vec!["a_long_name_of_a_field".into(); 50];
        let row = CallRow::new(&long);
        let stored = row.to_stored();
        assert!(stored.len() <= MAX_VALUE_BYTES, "{}", stored.len());
        let read: CallRow = serde_json::from_str(&stored).unwrap();
        assert_eq!((read.attempts.len(), read.attempts_left_out), (3, 37));
        assert_eq!(read.attempts[2].model, "model-39");
        assert_eq!((read.dropped_count, read.usage), (50, row.usage));
    }

    #[test]
    fn the_names_that_people_read_hold_every_field() {
        let json = CallRow::new(&record(2)).to_json();
        assert_eq!(json["cost_usd"], 1.234_567);
        assert_eq!(json["usage"]["total"], 1_020);
        assert_eq!(json["usage"]["source"], "estimated");
        assert_eq!(json["attempts"][1]["next"], "next_target");
        assert_eq!(json["tenant"], "acme");
    }
}

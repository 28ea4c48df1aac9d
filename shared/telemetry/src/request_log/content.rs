//! Prompts and responses, kept only where the configuration says so, with an end of their own.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use storage::{Consistency, Row, StoreError};

use super::{CallRow, RequestLog};
use crate::{CallContent, first_bytes};

/// The request and the response of one call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContentRow {
    /// The body of the request.
    pub request: String,
    /// The text of the response.
    pub response: String,
    /// When both expire, in seconds since 1970.
    #[serde(skip)]
    pub expires: u64,
}

impl ContentRow {
    /// The content as the admin API gives it.
    pub fn to_json(&self) -> Value {
        json!({
            "request": self.request,
            "response": self.response,
            "expires_ms": self.expires * 1_000,
        })
    }
}

/// The most that a stored row takes, in bytes: with its keys it fits one row of DynamoDB.
const MAX_VALUE_BYTES: usize = 390 * 1024;

impl RequestLog {
    /// What was asked and answered in a call, as far as it was kept and has not expired.
    pub async fn content(
        &self,
        call: &CallRow,
        now_ms: u64,
    ) -> Result<Option<ContentRow>, StoreError> {
        let (pk, sk) = keys(call);
        let found = self.table.get(&pk, &sk, Consistency::Eventual, now_ms / 1000).await?;
        Ok(found.and_then(|row| {
            let content: ContentRow = serde_json::from_str(&row.value).ok()?;
            Some(ContentRow { expires: row.expires.unwrap_or_default(), ..content })
        }))
    }
}

/// The row that keeps a call's content until `expires`, in seconds since 1970.
pub(super) fn row(call: &CallRow, content: &CallContent, expires: u64) -> Row {
    let CallContent { request, response, .. } = content;
    let mut content =
        ContentRow { request: request.clone(), response: response.clone(), expires: 0 };
    let mut value = serialized(&content);
    // What has to be escaped takes more room than its bytes.
    while MAX_VALUE_BYTES < value.len() {
        cut_to_half(&mut content.request);
        cut_to_half(&mut content.response);
        value = serialized(&content);
    }
    let (pk, sk) = keys(call);

    Row { pk, sk, value, expires: Some(expires) }
}

fn serialized(content: &ContentRow) -> String {
    serde_json::to_string(content).unwrap_or_default()
}

fn cut_to_half(text: &mut String) {
    *text = first_bytes(text, text.len() / 2).into_owned();
}

fn keys(call: &CallRow) -> (String, String) {
    // The same order as rows of calls, and the hour bounds the size of a partition.
    (format!("content#{}", call.hour()), format!("{}#{}", call.ended(), call.id))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_takes_too_much_room_is_cut_until_it_fits() {
        let quotes = "\"".repeat(300_000);
        let content =
            CallContent { request: quotes.clone(), response: quotes, retention: Duration::ZERO };
        let row = row(&CallRow::default(), &content, 7);
        assert!(row.value.len() <= MAX_VALUE_BYTES, "{}", row.value.len());
        let kept: ContentRow = serde_json::from_str(&row.value).unwrap();
        assert!(kept.request.ends_with('…') && 30_000 < kept.request.len());
    }
}

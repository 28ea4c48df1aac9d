//! Prompts and responses, kept only where the configuration says so, with an end of their own.

use serde::{Deserialize, Serialize};
use storage::{Consistency, Row, StoreError};

use super::{CallRow, RequestLog};
use crate::CallContent;

/// The request and the response of one call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContentRow {
    /// The body of the request.
    pub request: String,
    /// The text of the response.
    pub response: String,
}

impl RequestLog {
    /// What was asked and answered in a call, as far as it was kept and has not expired.
    pub async fn content(
        &self,
        call: &CallRow,
        now_ms: u64,
    ) -> Result<Option<ContentRow>, StoreError> {
        let (pk, sk) = keys(call);
        let found = self.table.get(&pk, &sk, Consistency::Eventual, now_ms / 1000).await?;
        Ok(found.and_then(|row| serde_json::from_str(&row.value).ok()))
    }
}

/// The row that keeps a call's content until `expires`, in seconds since 1970.
pub(super) fn row(call: &CallRow, content: &CallContent, expires: u64) -> Row {
    let CallContent { request, response, .. } = content;
    let content = ContentRow { request: request.clone(), response: response.clone() };
    let value = serde_json::to_string(&content).unwrap_or_default();
    let (pk, sk) = keys(call);

    Row { pk, sk, value, expires: Some(expires) }
}

fn keys(call: &CallRow) -> (String, String) {
    // The same order as rows of calls, and the hour bounds the size of a partition.
    (format!("content#{}", call.hour()), format!("{}#{}", call.ended(), call.id))
}

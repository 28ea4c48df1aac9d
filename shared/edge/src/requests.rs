//! `GET /admin/requests` and `/admin/requests/{id}`: the request log as JSON.
//!
//! A list takes the filters of [`CallFilter::parse`], `limit` and `cursor`; with `after` it gives
//! what came since, oldest first, for a live tail. Rows come whole.

use canonical::{Error, ErrorKind, Result};
use http::StatusCode;
use serde_json::Value;
use storage::StoreError;
use telemetry::request_log::{BadFilter, CallFilter, Cursor, MAX_HITS};

use crate::{endpoint::HandlerFuture, front::Exchange, request, response};

/// Lists calls, newest first, or those after a place.
pub(crate) fn list(exchange: &mut Exchange) -> HandlerFuture<'_> {
    Box::pin(async move { Ok(response::json(StatusCode::OK, listed(exchange).await?.to_string())) })
}

/// Gives one call by its id, with the request and the response where that is kept.
pub(crate) fn get(exchange: &mut Exchange) -> HandlerFuture<'_> {
    Box::pin(async move {
        let id = exchange.id.clone().unwrap_or_default();
        let (log, now) = (&exchange.app.records.log, exchange.arrival.clock.now());
        let Some(row) = log.get(&id, now).await.map_err(unreadable)? else {
            let message = "No call with this id is kept.";
            return Err(Error::new(ErrorKind::UnknownPath, message));
        };
        let content = if row.has_content { log.content(&row, now).await } else { Ok(None) };
        let content = content.map_err(unreadable)?;
        let mut json = row.to_json();
        json["content"] = content.map_or(Value::Null, |content| content.to_json());
        Ok(response::json(StatusCode::OK, json.to_string()))
    })
}

async fn listed(exchange: &mut Exchange) -> Result<Value> {
    let (log, now) = (&exchange.app.records.log, exchange.arrival.clock.now());
    let uri = exchange.request.uri();
    let parameter = |name: &str| request::query_value(uri, name);
    let filter = CallFilter::parse(&parameter, now)
        .map_err(|bad: BadFilter| Error::invalid(bad.name, bad.message))?;
    let cursor = |name: &'static str| {
        let cursor = parameter(name).map(|text| {
            let wrong = |_| Error::invalid(name, format!("`{name}` is no cursor of this list."));
            Cursor::parse(&text).map_err(wrong)
        });
        cursor.transpose()
    };
    if let Some(after) = cursor("after")? {
        return Ok(log.after(&after, &filter, now).await.map_err(unreadable)?.to_json());
    }
    let limit = parameter("limit").map(|text| {
        let wrong = |_| Error::invalid("limit", format!("`limit` is a number up to {MAX_HITS}."));
        text.parse::<usize>().map_err(wrong)
    });
    let limit = limit.transpose()?.unwrap_or(MAX_HITS);
    let page = log.list(&filter, cursor("cursor")?.as_ref(), limit, now).await;
    Ok(page.map_err(unreadable)?.to_json())
}

fn unreadable(error: StoreError) -> Error {
    Error::new(ErrorKind::Unavailable, "The request log cannot be read.").caused_by(error)
}

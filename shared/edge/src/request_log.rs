//! `GET /admin/requests` and `/admin/requests/{id}`: the request log as JSON.
//!
//! A list takes the filters of [`CallFilter::parse`], `limit` and `cursor`; with `after` it gives
//! what came since, oldest first, for a live tail. Rows come whole, with the names of their tenants.

use std::collections::BTreeMap;

use canonical::{Error, ErrorKind, Result};
use gateway::Clock;
use http::{StatusCode, Uri};
use serde_json::Value;
use storage::StoreError;
use telemetry::{
    RequestLog,
    request_log::{BadFilter, CallFilter, Cursor, MAX_HITS},
};

use crate::{
    endpoint::HandlerFuture,
    front::{App, Exchange},
    request, response,
};

/// The names of tenants by their ids.
type Names = BTreeMap<String, String>;

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
        add_name(&mut json, &names(&exchange.app, exchange.arrival.clock).await);
        Ok(response::json(StatusCode::OK, json.to_string()))
    })
}

async fn listed(exchange: &mut Exchange) -> Result<Value> {
    let (app, uri, clock) = (&*exchange.app, exchange.request.uri(), exchange.arrival.clock);
    let parsed = CallFilter::parse(&|name| request::query_value(uri, name), clock.now());
    let mut filter = parsed.map_err(|bad: BadFilter| Error::invalid(bad.name, bad.message))?;
    let mut known = None;
    if let Some(tenant) = &mut filter.tenant {
        *tenant = tenant_id(known.insert(names(app, clock).await), tenant);
    }
    let mut list = read(&app.records.log, uri, &filter, clock.now()).await?;
    let rows = list["data"].as_array_mut().map_or(&mut [][..], Vec::as_mut_slice);
    // Who follows the log asks every second, and mostly gets nothing.
    if !rows.is_empty() {
        let names = match known {
            Some(names) => names,
            None => names(app, clock).await,
        };
        rows.iter_mut().for_each(|row| add_name(row, &names));
    }
    Ok(list)
}

/// Reads the part of the log that a request is for.
async fn read(log: &RequestLog, uri: &Uri, filter: &CallFilter, now: u64) -> Result<Value> {
    let parameter = |name: &str| request::query_value(uri, name);
    let cursor = |name: &'static str| {
        let cursor = parameter(name).map(|text| {
            let wrong = |_| Error::invalid(name, format!("`{name}` is no cursor of this list."));
            Cursor::parse(&text).map_err(wrong)
        });
        cursor.transpose()
    };
    if let Some(after) = cursor("after")? {
        return Ok(log.after(&after, filter, now).await.map_err(unreadable)?.to_json());
    }
    let limit = parameter("limit").map(|text| {
        let wrong = |_| Error::invalid("limit", format!("`limit` is a number up to {MAX_HITS}."));
        text.parse::<usize>().map_err(wrong)
    });
    let limit = limit.transpose()?.unwrap_or(MAX_HITS);
    let page = log.list(filter, cursor("cursor")?.as_ref(), limit, now).await;
    Ok(page.map_err(unreadable)?.to_json())
}

/// The names of tenants; none, with a word in the log, where they cannot be read.
async fn names(app: &App, clock: Clock) -> Names {
    let Some(admin) = &app.admin else { return Names::new() };
    match admin.first_tenants(clock).await {
        Ok(list) => list.names(),
        Err(problem) => {
            tracing::warn!(error = problem.detail, "failed to read the names of tenants");
            Names::new()
        }
    }
}

/// The id of the tenant that has this name. What is no name of a tenant is taken for an id.
pub(crate) fn tenant_id(names: &Names, id_or_name: &str) -> String {
    if names.contains_key(id_or_name) {
        return id_or_name.to_owned();
    }
    let named = names.iter().find(|(_, name)| *name == id_or_name);
    named.map_or(id_or_name, |(id, _)| id).to_owned()
}

/// Adds the name of a call's tenant; its id where the tenant is gone.
fn add_name(call: &mut Value, names: &Names) {
    let name = call["tenant"].as_str().map(|id| names.get(id).map_or(id, String::as_str));
    call["tenant_name"] = name.into();
}

fn unreadable(error: StoreError) -> Error {
    Error::new(ErrorKind::Unavailable, "The request log cannot be read.").caused_by(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_is_found_by_its_id_first() {
        let named = |id: &str, name: &str| (id.to_owned(), name.to_owned());
        let names = Names::from([named("ten_1", "search"), named("search", "support")]);
        for (wanted, id) in
            [("ten_1", "ten_1"), ("search", "search"), ("support", "search"), ("gone", "gone")]
        {
            assert_eq!(tenant_id(&names, wanted), id);
        }
    }
}

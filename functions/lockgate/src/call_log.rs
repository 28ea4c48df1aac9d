//! The request log of a gateway: of the local data file, of a stack in AWS, or of a gateway at a URL.
//!
//! Calls are JSON as the admin API gives them, wherever they are read.

use std::collections::BTreeMap;

use admin::Operation;
use edge::settings::now_ms;
use serde_json::Value;
use storage::{Query, Stores};
use telemetry::{
    RequestLog,
    request_log::{CallFilter, Cursor, MAX_HITS},
};
use tenants::Tenants;
use tokio::sync::Mutex;

use crate::{
    admin_client::{Call, Remote, Target},
    commands::Failure,
};

/// The partition of the state table that holds cooldowns.
const COOLDOWNS: &str = "cooldown";

/// Where calls are read.
pub(crate) enum CallLog {
    /// Tables that this process reads.
    Tables(Box<Tables>),
    /// A gateway at an address.
    Remote(Box<Remote>),
}

/// Tables that this process reads.
pub(crate) struct Tables {
    log: RequestLog,
    stores: Stores,
    /// The names of tenants by their ids, as far as they were looked up.
    names: Mutex<BTreeMap<String, String>>,
}

impl Tables {
    /// Adds the names of tenants to calls, as the admin API does: the id where a tenant is gone.
    async fn name_tenants(&self, calls: &mut [Value]) {
        let mut names = self.names.lock().await;
        let repository = Tenants::new(self.stores.config.clone());
        for call in calls {
            let Some(id) = call["tenant"].as_str().map(str::to_owned) else {
                call["tenant_name"] = Value::Null;
                continue;
            };
            if !names.contains_key(&id) {
                // A tenant of the configuration has no row, and its name for an id.
                let found = repository.find(&id, now_ms() / 1000).await.ok().flatten();
                let found = found.filter(|tenant| tenant.id == id);
                let name = found.map_or_else(|| id.clone(), |tenant| tenant.settings.name);
                names.insert(id.clone(), name);
            }
            call["tenant_name"] = names[&id].as_str().into();
        }
    }
}

/// Which calls are wanted, by the names of the admin API's parameters.
pub(crate) type Filter = Vec<(&'static str, String)>;

/// Some calls, newest first.
pub(crate) struct Page {
    pub(crate) calls: Vec<Value>,
    /// Where to go on; none at the end.
    pub(crate) next: Option<String>,
    /// The place after the newest call.
    pub(crate) newest: String,
}

impl CallLog {
    /// Opens the log of the gateway that is meant.
    pub(crate) async fn open(target: &Target) -> Result<Self, Failure> {
        if let Some(remote) = target.remote()? {
            return Ok(Self::Remote(Box::new(remote)));
        }
        let stores = target.existing_stores().await?;
        let log = RequestLog::new(stores.state.clone());
        Ok(Self::Tables(Box::new(Tables { log, stores, names: Mutex::default() })))
    }

    /// The id of a tenant, which may be named. One that is gone is known by the calls that it left.
    pub(crate) async fn tenant_id(&self, name: &str, target: &Target) -> Result<String, Failure> {
        let found = match self {
            Self::Tables(tables) => {
                let repository = Tenants::new(tables.stores.config.clone());
                let found = repository.find(name, now_ms() / 1000).await;
                found.map_err(|error| Failure::Other(error.to_string()))?.map(|it| it.id)
            }
            Self::Remote(remote) => {
                let call = Call { parameters: &[name], ..Call::default() };
                let found = remote.call(Operation::ReadTenant, &call).await.ok();
                found.and_then(|it| it["id"].as_str().map(str::to_owned))
            }
        };
        if let Some(id) = found {
            return Ok(id);
        }
        let of_it = vec![("tenant", name.to_owned())];
        // A tenant that was deleted still has calls in the log.
        let has_calls = !self.list(&of_it, None, 1).await?.calls.is_empty();
        let is_declared = || match self {
            // A server names its own.
            Self::Remote(_) => Ok(false),
            Self::Tables(_) => target.declared_tenants().map(|all| all.iter().any(|it| it == name)),
        };
        if name == tenants::DEFAULT_TENANT || has_calls || is_declared()? {
            return Ok(name.to_owned());
        }
        let message = format!("there is no tenant {name} (see `lockgate tenants list`)");
        Err(Failure::Usage(message))
    }

    /// One call with everything that is kept of it.
    pub(crate) async fn one(&self, id: &str) -> Result<Value, Failure> {
        let tables = match self {
            Self::Remote(remote) => return remote.get("/admin/requests/{id}", &[id], &[]).await,
            Self::Tables(tables) => tables,
        };
        let (log, now) = (&tables.log, now_ms());
        let row = log.get(id, now).await.map_err(unreadable)?;
        let row = row.ok_or_else(|| Failure::Other(format!("no call {id} is kept")))?;
        let mut call = row.to_json();
        if row.has_content {
            let content = log.content(&row, now).await.map_err(unreadable)?;
            call["content"] = content.map_or(Value::Null, |content| content.to_json());
        }
        tables.name_tenants(std::slice::from_mut(&mut call)).await;
        Ok(call)
    }

    /// Calls, newest first, from a cursor on.
    pub(crate) async fn list(
        &self,
        filter: &Filter,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page, Failure> {
        let limit = limit.clamp(1, MAX_HITS);
        match self {
            Self::Tables(tables) => {
                let now = now_ms();
                let cursor = cursor.map(parsed).transpose()?;
                let filter = call_filter(filter, now)?;
                let page = tables.log.list(&filter, cursor.as_ref(), limit, now).await;
                let mut page = page_of(page.map_err(unreadable)?.to_json());
                tables.name_tenants(&mut page.calls).await;
                Ok(page)
            }
            Self::Remote(remote) => {
                let limit = limit.to_string();
                let more = [("limit", limit.as_str()), ("cursor", cursor.unwrap_or_default())];
                Ok(page_of(remote.get("/admin/requests", &[], &query(filter, &more)).await?))
            }
        }
    }

    /// What ended after a place, oldest first, and the place behind it.
    pub(crate) async fn after(
        &self,
        place: &str,
        filter: &Filter,
    ) -> Result<(Vec<Value>, String), Failure> {
        let page = match self {
            Self::Tables(tables) => {
                let now = now_ms();
                let filter = call_filter(filter, now)?;
                let tail = tables.log.after(&parsed(place)?, &filter, now).await;
                let mut page = page_of(tail.map_err(unreadable)?.to_json());
                tables.name_tenants(&mut page.calls).await;
                page
            }
            Self::Remote(remote) => {
                let query = query(filter, &[("after", place)]);
                page_of(remote.get("/admin/requests", &[], &query).await?)
            }
        };
        Ok((page.calls, page.newest))
    }

    /// What cools down, and for how many seconds more.
    pub(crate) async fn cooldowns(&self) -> Result<Vec<(String, u64)>, Failure> {
        match self {
            Self::Tables(tables) => {
                let now = now_ms();
                let query = Query::partition(COOLDOWNS, now / 1000);
                let rows = tables.stores.state.query(&query).await.map_err(unreadable)?.rows;
                Ok(rows.iter().filter_map(|row| cooldown(&row.value, now)).collect())
            }
            Self::Remote(remote) => {
                let health = remote.get("/health/providers", &[], &[]).await?;
                let providers = health["providers"].as_array().cloned().unwrap_or_default();
                Ok(providers.iter().flat_map(cooldowns_of).collect())
            }
        }
    }
}

/// What cools down by a row of the store, and for how many seconds more.
fn cooldown(value: &str, now: u64) -> Option<(String, u64)> {
    let cooldown: routing::SharedCooldown = serde_json::from_str(value).ok()?;
    // Rounded up: 0 seconds would read as over.
    let left = cooldown.until.checked_sub(now)?.div_ceil(1000);
    let name = format!("{}/{} (key {})", cooldown.provider, cooldown.model, cooldown.key);
    Some((name, left))
}

/// What cools down at a provider, as its health tells.
fn cooldowns_of(provider: &Value) -> Vec<(String, u64)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let name = text(&provider["name"]);
    let cooldowns = provider["cooldowns"].as_array().into_iter().flatten();
    let described = cooldowns.map(|it| {
        let what = format!("{name}/{} (key {})", text(&it["model"]), text(&it["key"]));
        (what, it["seconds_left"].as_u64().unwrap_or_default())
    });
    described.collect()
}

fn call_filter(filter: &Filter, now: u64) -> Result<CallFilter, Failure> {
    let parameter = |name: &str| {
        let found = filter.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| value.clone())
    };
    CallFilter::parse(&parameter, now).map_err(|bad| Failure::Usage(bad.message))
}

fn query<'q>(filter: &'q Filter, more: &[(&'q str, &'q str)]) -> Vec<(&'q str, &'q str)> {
    let filter = filter.iter().map(|(name, value)| (*name, value.as_str()));
    filter.chain(more.iter().copied()).collect()
}

fn parsed(cursor: &str) -> Result<Cursor, Failure> {
    Cursor::parse(cursor).map_err(|_wrong| Failure::Other("this is no place in the log".to_owned()))
}

fn page_of(mut page: Value) -> Page {
    let calls = match page["data"].take() {
        Value::Array(calls) => calls,
        _ => vec![],
    };
    Page {
        calls,
        next: page["next"].as_str().map(str::to_owned),
        newest: page["newest"].as_str().unwrap_or_default().to_owned(),
    }
}

/// The name of a call's tenant; its id where a gateway of an earlier version gives no name.
pub(crate) fn tenant_name(call: &Value) -> Option<&str> {
    call["tenant_name"].as_str().or(call["tenant"].as_str())
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that `map_err` takes")]
fn unreadable(error: storage::StoreError) -> Failure {
    Failure::Other(error.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn cooldowns_are_named_alike_wherever_they_are_read() {
        let health = json!({
            "name": "groq",
            "cooldowns": [{ "model": "m", "key": "none", "reason": "outage", "seconds_left": 7 }],
        });
        assert_eq!(cooldowns_of(&health), [("groq/m (key none)".to_owned(), 7)]);
    }

    #[test]
    fn a_tenant_without_a_name_is_shown_by_its_id() {
        let named = json!({ "tenant": "ten_1", "tenant_name": "search" });
        assert_eq!(tenant_name(&named), Some("search"));
        assert_eq!(tenant_name(&json!({ "tenant": "ten_1" })), Some("ten_1"));
        assert_eq!(tenant_name(&json!({ "tenant": null, "tenant_name": null })), None);
    }
}

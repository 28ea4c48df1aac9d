//! A document as the rows of a store, and back.
//!
//! One row holds the settings, one each provider, route, model, price and tenant, and one a digest of all
//! others: rows that were read halfway through a change do not fit it. Secrets are not in rows; a
//! row names the parameter that keeps each.

use std::fmt;

use serde::Deserialize;
use storage::{Row, Secret};

use super::{
    Config, ConfigErrors, ProviderKind, SecretSource, declared_tenants,
    node::{Key, Node, Value},
    read::read_stored,
    route,
    secrets::{Place, places, variables},
    write::{self, Entries, Written},
};

/// The partition of the configuration.
pub const PARTITION: &str = "config";
/// The row that holds the digest.
const VERSION: &str = "version";
/// The row that holds what stands at the top of the document.
const SETTINGS: &str = "settings";
/// The lists of a document, and what a row of each is called.
const LISTS: [(&str, &str); 5] = [
    ("provider", "providers"),
    ("route", "routes"),
    ("model", "models"),
    ("price", "prices"),
    ("tenant", "tenants"),
];

/// Why rows are no configuration.
#[derive(Debug)]
pub enum Unreadable {
    /// There are no rows: nothing was ever applied.
    Absent,
    /// The rows were read while they were changed. Reading again will do.
    Torn,
    /// A row is not what this version writes.
    Row {
        /// The row's place within the partition.
        sk: String,
        /// What is wrong with the row.
        cause: String,
    },
    /// What the rows say is wrong.
    ConfigErrors(ConfigErrors),
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("there is no configuration yet; `apply` writes one"),
            Self::Torn => f.write_str("the configuration was read while it was changed"),
            Self::Row { sk, cause } => write!(f, "the row {sk} cannot be read: {cause}"),
            Self::ConfigErrors(errors) => write!(f, "the stored configuration is wrong: {errors}"),
        }
    }
}

impl std::error::Error for Unreadable {}

/// The rows of a document, in order, and the parameters that its secrets belong in.
///
/// `prefix` begins the names of parameters, such as `/lockgate/prod`.
pub fn to_rows(config: &Config, prefix: &str) -> (Vec<Row>, Vec<(String, Secret)>) {
    let prefix = prefix.trim_end_matches('/');
    let variables = variables(config);
    let secret = |place: &Place, source: &SecretSource| {
        let name = match source {
            SecretSource::Value { .. } => format!("{prefix}/{}", place.parameter()),
            SecretSource::Parameter { name, .. } => name.clone(),
        };
        // The name stays with the reference, so that an export gives the operator's own file back.
        let variable = variables.get(place).map_or(String::new(), |it| format!("#{it}"));
        Written::Text(format!("ssm:{name}{variable}"))
    };
    let mut rows = vec![row(SETTINGS.to_owned(), 0, write::settings(config, &secret))];
    for (position, it) in config.providers.iter().enumerate() {
        rows.push(row(format!("provider/{}", it.name), position, write::provider(it, &secret)));
    }
    for (position, it) in config.routes.iter().enumerate() {
        rows.push(row(format!("route/{}", it.name), position, route::write(it)));
    }
    for (position, it) in config.models.iter().enumerate() {
        rows.push(row(format!("model/{}", it.name), position, write::model(it)));
    }
    for (position, it) in config.prices.iter().enumerate() {
        let sk = format!("price/{}/{}", it.provider, it.model);
        rows.push(row(sk, position, write::price(it)));
    }
    for (position, it) in config.tenants.iter().enumerate() {
        let sk = format!("tenant/{}", it.settings.name);
        rows.push(row(sk, position, declared_tenants::write(it, &secret)));
    }
    rows.push(version_row(&rows));
    // Stores give rows in this order, and a plan compares the two lists.
    rows.sort_by(|one, other| one.sk.cmp(&other.sk));
    let parameters = places(config).into_iter().filter_map(|(place, source)| match source {
        SecretSource::Value { value, .. } => {
            Some((format!("{prefix}/{}", place.parameter()), value.clone()))
        }
        SecretSource::Parameter { .. } => None,
    });
    (rows, parameters.collect())
}

/// Reads all rows of the partition.
pub fn from_rows(rows: &[Row], kinds: &[ProviderKind]) -> Result<Config, Unreadable> {
    // Rows without a digest are a first write that has not ended; without rows there was none.
    let Some(version) = rows.iter().find(|row| is_version(row)) else {
        return Err(if rows.is_empty() { Unreadable::Absent } else { Unreadable::Torn });
    };
    // Checked before anything is parsed: half of a change may be invalid, and would be blamed on
    // the operator.
    if version.value != version_row(rows).value {
        return Err(Unreadable::Torn);
    }
    let mut settings = vec![];
    let mut lists = LISTS.map(|_| vec![]);
    for row in rows.iter().filter(|row| !is_version(row)) {
        let unreadable = |cause: String| Unreadable::Row { sk: row.sk.clone(), cause };
        let placed: Placed<'_> =
            serde_json::from_str(&row.value).map_err(|error| unreadable(error.to_string()))?;
        let kind = row.sk.split('/').next().unwrap_or_default();
        let list = LISTS.iter().zip(&mut lists).find(|((name, _), _)| *name == kind);
        match (list, placed.entry.value) {
            (Some((_, list)), value) => list.push((placed.position, &row.sk, Node::stored(value))),
            (None, Value::Map(entries)) if row.sk == SETTINGS => settings = entries,
            // Guessing would drop a row that a newer version needs, and serve without it.
            (None, _) => return Err(unreadable("this version knows no such row".to_owned())),
        }
    }
    for ((_, key), mut list) in LISTS.into_iter().zip(lists) {
        // A store orders rows by name; the order in the file decides the order of lists that
        // clients see. The name breaks ties between rows that a person edited.
        list.sort_by(|one, other| (one.0, one.1).cmp(&(other.0, other.1)));
        let items = list.into_iter().map(|(_, _, node)| node).collect();
        settings.push((
            Key { at: None, bytes: 0..0, text: key.into() },
            Node::stored(Value::List(items)),
        ));
    }
    read_stored(&Node::stored(Value::Map(settings)), kinds).map_err(Unreadable::ConfigErrors)
}

/// The row that holds the digest of all `rows`, whether or not one of them is such a row already.
pub fn version_row(rows: &[Row]) -> Row {
    let mut rows: Vec<&Row> = rows.iter().filter(|row| !is_version(row)).collect();
    // The digest must not depend on the order in which a store gives the rows.
    rows.sort_by(|one, other| one.sk.cmp(&other.sk));
    // Not for secrecy: whoever may write a row may write the digest, too.
    let mut digest = Fnv::default();
    for row in rows {
        digest.add(&row.sk);
        digest.add(&row.value);
    }
    let value = format!("{{\"digest\":\"{:016x}\"}}", digest.0);
    Row { pk: PARTITION.to_owned(), sk: VERSION.to_owned(), value, expires: None }
}

/// Whether a row is the one with the digest. While its value stays, so does everything.
pub fn is_version(row: &Row) -> bool {
    row.sk == VERSION
}

/// What a row holds: an entry and its place in its list.
#[derive(Deserialize)]
struct Placed<'a> {
    position: usize,
    #[serde(borrow)]
    entry: Node<'a>,
}

fn row(sk: String, position: usize, entry: Entries) -> Row {
    let entry = serde_json::to_string(&Written::Map(entry)).expect("texts are always JSON");
    let value = format!("{{\"position\":{position},\"entry\":{entry}}}");
    Row { pk: PARTITION.to_owned(), sk, value, expires: None }
}

/// FNV-1a: small and stable, and nobody attacks it here.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    fn add(&mut self, text: &str) {
        // Lengths separate the texts, so that no two lists of rows run together to the same bytes.
        let length = (text.len() as u64).to_be_bytes();
        for byte in length.iter().chain(text.as_bytes()) {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

#[cfg(test)]
mod tests;

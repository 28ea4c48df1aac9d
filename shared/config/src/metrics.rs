//! Who may read `/metrics`, and which earlier gateways' names stand beside Lockgate's own.

use super::{
    SecretSource,
    keys::{Key, Keys, Takes, words},
    node::Node,
    provider::secret,
    reader::Reader,
    secrets::Place,
    write::{Map, WriteSecret, Written, bare, text},
};

pub(super) const METRICS: Keys = Keys {
    of: "metrics",
    keys: &[
        Key::new(
            "username",
            Takes::Text,
            "that of a user of `admin`",
            "the name that may read `/metrics` and nothing else",
        ),
        Key::new(
            "password",
            Takes::Text,
            "that of a user of `admin`",
            "its password, or the argon2id hash",
        ),
        Key::new(
            "seeds",
            Takes::List(&Takes::Words(&words(&NAME_SETS))),
            "`[b]`",
            "the sets of names that are served beside Lockgate's own: `b` (`aigateway_…`), `c` (`ai_gateway_…`), `d` (`proxy_…`)",
        ),
    ],
};
const NAME_SETS: [(&str, MetricNames); 3] =
    [("b", MetricNames::B), ("c", MetricNames::C), ("d", MetricNames::D)];

/// Who may read `/metrics`, and what it shows.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// Credentials that may read `/metrics` and nothing else. Absent: those of a user of `/admin`.
    pub credentials: Option<MetricsCredentials>,
    /// The sets of names that are served beside Lockgate's own.
    pub seeds: Vec<MetricNames>,
}

/// Credentials that may read `/metrics`, by HTTP Basic.
#[derive(Clone, Debug)]
pub struct MetricsCredentials {
    /// The user name.
    pub username: String,
    /// The password, or its argon2id hash as a PHC string.
    pub password: SecretSource,
}

/// The metric names of an earlier gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricNames {
    /// `aigateway_…`, of felipepmaragno/ai-gateway.
    B,
    /// `ai_gateway_…`, of DatanoiseTV/aigateway.
    C,
    /// `proxy_…`, of liuzl/ai.
    D,
}

impl Default for Metrics {
    fn default() -> Self {
        Self { credentials: None, seeds: vec![MetricNames::B] }
    }
}

pub(super) fn read(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<Metrics> {
    let fields = reader.fields(node, &METRICS)?;
    let username = reader.optional(fields, "username", Reader::text);
    let password = reader.optional(fields, "password", secret).flatten();
    // Half of the credentials must not open `/metrics`, nor be ignored by mistake.
    for (key, other) in [("username", "password"), ("password", "username")] {
        if fields.get(key).is_some() && fields.get(other).is_none() {
            let message = format!("is missing; it belongs to {key}");
            reader.inside(other, |reader| reader.report(fields.at, message));
        }
    }
    let mut seeds = reader.list(fields, "seeds", |it, node| it.word(node, &NAME_SETS));
    seeds.dedup();
    let credentials = username.zip(password);
    Some(Metrics {
        credentials: credentials
            .map(|(username, password)| MetricsCredentials { username, password }),
        // An empty list is a decision, unlike an absent one: no earlier gateway's names at all.
        seeds: if fields.get("seeds").is_some() { seeds } else { Metrics::default().seeds },
    })
}

pub(super) fn write(it: &Metrics, secret: WriteSecret<'_>) -> Option<Written> {
    let mut map = Map::default();
    if let Some(MetricsCredentials { username, password }) = &it.credentials {
        map.put("username", text(username));
        map.put("password", secret(&Place::MetricsPassword, password));
    }
    let name = |set: &MetricNames| {
        bare(&NAME_SETS.iter().find(|(_, known)| known == set).map_or("", |(name, _)| name))
    };
    let is_default = it.seeds == Metrics::default().seeds;
    map.unless("seeds", is_default, Written::List(it.seeds.iter().map(name).collect()));
    map.section()
}

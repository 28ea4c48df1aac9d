//! What the gateway does as an earlier gateway did, for clients and checks that rely on it.

use super::{
    keys::{Key, Keys, Takes, words},
    log::word,
    node::Node,
    reader::Reader,
    write::{Map, Written, bare, text},
};

pub(super) const COMPATIBILITY: Keys = Keys {
    of: "compatibility",
    keys: &[
        Key::new(
            "base_paths",
            Takes::List(&Takes::Text),
            "none",
            "paths, such as `/api`, under which every endpoint is served too",
        ),
        Key::new(
            "error_words",
            Takes::Words(&words(&ERROR_WORDS)),
            "Lockgate's",
            "whose words stand in `type` and `code` of errors in OpenAI's shape: `a`, `b`, `c` or `d`",
        ),
        Key::new(
            "health_members",
            Takes::List(&Takes::Words(&words(&HEALTH_MEMBERS))),
            "none",
            "what `GET /health` shows beside the status: `providers`, `circuit_breakers`, `models`, `timestamp`",
        ),
    ],
};
const ERROR_WORDS: [(&str, ErrorWords); 4] =
    [("a", ErrorWords::A), ("b", ErrorWords::B), ("c", ErrorWords::C), ("d", ErrorWords::D)];
const HEALTH_MEMBERS: [(&str, HealthMember); 4] = [
    ("providers", HealthMember::Providers),
    ("circuit_breakers", HealthMember::CircuitBreakers),
    ("models", HealthMember::Models),
    ("timestamp", HealthMember::Timestamp),
];

/// What the gateway does as an earlier gateway did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Compatibility {
    /// Paths, such as `/api`, under which every endpoint is served too.
    pub base_paths: Vec<String>,
    /// Whose words stand in `type` and `code` of errors in OpenAI's shape. Absent: Lockgate's.
    pub error_words: Option<ErrorWords>,
    /// What `GET /health` shows beside the status.
    pub health_members: Vec<HealthMember>,
}

/// The error words of an earlier gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorWords {
    /// The words of leshchenko1979/ai-gateway.
    A,
    /// The words of felipepmaragno/ai-gateway.
    B,
    /// The words of DatanoiseTV/aigateway.
    C,
    /// The words of liuzl/ai.
    D,
}

/// A member of `GET /health` that an earlier gateway had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HealthMember {
    /// `providers`: each provider, `ok` or `unhealthy`.
    Providers,
    /// `circuit_breakers`: each provider's, `closed`, `half-open` or `open`.
    CircuitBreakers,
    /// `models`: how many are served.
    Models,
    /// `timestamp`: the time, as RFC 3339 writes it.
    Timestamp,
}

pub(super) fn read(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<Compatibility> {
    let fields = reader.fields(node, &COMPATIBILITY)?;
    let base_paths = reader.list(fields, "base_paths", |it, node| {
        Some(it.checked_text(node, base_path).trim_end_matches('/').to_owned())
    });
    let error_words =
        reader.optional(fields, "error_words", |it, node| it.word(node, &ERROR_WORDS));
    let mut members =
        reader.list(fields, "health_members", |it, node| it.word(node, &HEALTH_MEMBERS));
    members.dedup();
    Some(Compatibility { base_paths, error_words: error_words.flatten(), health_members: members })
}

fn base_path(text: &str) -> Result<(), &'static str> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-~".contains(&byte);
    // Under these, operators' own pages and checks would be shadowed by an alias for clients.
    let reserved = ["/admin", "/health", "/metrics"];
    let is_path = text.starts_with('/') && !text.contains("//") && text.bytes().all(fits);
    if !is_path || text.trim_matches('/').is_empty() {
        return Err("is no path: write it as /api");
    }
    if reserved.iter().any(|path| text.starts_with(path)) {
        return Err("is served already, for operators");
    }
    Ok(())
}

pub(super) fn write(it: &Compatibility) -> Option<Written> {
    let paths = it.base_paths.iter().map(text).collect();
    let members = it.health_members.iter().map(|it| bare(&word(&HEALTH_MEMBERS, *it))).collect();
    let mut map = Map::default();
    map.unless("base_paths", it.base_paths.is_empty(), Written::List(paths));
    map.some("error_words", it.error_words.map(|it| bare(&word(&ERROR_WORDS, it))));
    map.unless("health_members", it.health_members.is_empty(), Written::List(members));
    map.section()
}

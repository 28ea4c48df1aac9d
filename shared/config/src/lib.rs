//! The configuration: parsed once, validated whole.
//!
//! The same document is written as YAML by people and kept as rows by a store; both come
//! through the one reader in [`read`], so that there is one set of rules.

mod admin;
mod cache;
mod compatibility;
mod connection;
mod cors;
mod declared_keys;
mod declared_tenants;
mod default_providers;
mod duration;
mod error;
mod events;
mod export;
mod fetch;
mod keys;
mod ledger;
mod literal_secrets;
mod log;
mod metrics;
mod node;
mod outbound;
mod provider;
mod read;
mod reader;
mod records;
#[cfg(test)]
mod reference_tables;
mod route;
pub mod rows;
mod schema;
mod secrets;
mod server;
mod source_positions;
mod step;
mod tls;
mod values;
mod variables;
mod warnings;
mod when;
mod write;
mod yaml;
pub mod yaml_tree;

use std::{collections::BTreeMap, time::Duration};

use storage::Secret;
use tenants::{Unpriced, UnreachablePolicy};

pub use admin::{Admin, AdminUser, Role, is_password_hash};
pub use cache::{Cache, Idempotency};
pub use compatibility::{Compatibility, ErrorWords, HealthMember};
pub use cors::Cors;
pub use declared_keys::{DeclaredKey, KeySource};
pub use declared_tenants::DeclaredTenant;
pub use default_providers::DefaultProvider;
pub use error::{ConfigError, ConfigErrors, Position};
pub use export::to_yaml;
pub use ledger::{Alerts, UsageEvents, Webhook};
pub use literal_secrets::{LiteralSecret, WrittenPlace, literal_secrets};
pub use log::{Log, LogContents, LogFormat, LogLevel};
pub use metrics::{MetricNames, Metrics, MetricsCredentials};
pub use outbound::{Probe, ProviderLimits};
pub use provider::ProviderKind;
pub use read::read;
pub use records::{PromptLog, RequestLog};
pub use route::{Breaker, COOLDOWN_MAX, FallbackOn, HEDGE_BUDGET, Rescue, Route, Strategy};
pub use schema::schema;
pub use server::ServerLimits;
pub use source_positions::placed;
pub use step::{ConflictResolution, SPEED_WINDOW, Step};
pub use tls::Tls;
pub use values::is_key_header;
pub use when::When;

/// How long one step may take when nobody says otherwise.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(300);
/// How long all steps together may take when nobody says otherwise.
pub const ROUTE_TIMEOUT: Duration = Duration::from_secs(600);
/// How long a stream may be silent when nobody says otherwise.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a provider's model cools down after a failure when nobody says otherwise.
pub const COOLDOWN: Duration = Duration::from_secs(60);
/// How long all media of one request may take to fetch when nobody says otherwise.
pub const FETCH_TIMEOUT: Duration = Duration::from_secs(10);
/// How many bytes all media of one request may have together when nobody says otherwise.
pub const FETCH_BYTES: u64 = 10_000_000;
/// Time for a connection to a provider when nobody says otherwise: the lookup of its name, TCP and
/// TLS together.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// How long an unused connection is kept when nobody says otherwise. Lambda freezes between calls
/// and sockets die meanwhile, so that older ones are not worth a try.
pub const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(20);
/// Where the local server listens when nobody says otherwise.
pub const PORT: u16 = 8080;

/// Everything an operator decides.
#[derive(Clone, Debug)]
pub struct Config {
    /// The key of the tenant `default`, who may use everything.
    pub api_key: Option<SecretSource>,
    /// Whether clients need a key.
    pub auth: Auth,
    /// Where the local server listens.
    pub port: u16,
    /// Time for one step: the whole response, or the first token of a stream.
    pub default_timeout: Duration,
    /// Time for all steps together.
    pub route_timeout: Duration,
    /// Silence allowed inside a stream.
    pub idle_timeout: Duration,
    /// The provider that gets unknown models, their name unchanged.
    pub default_provider: Option<String>,
    /// The providers that get unknown models of some names, before that one.
    pub default_providers: Vec<DefaultProvider>,
    /// The route or model that serves a request which names none.
    pub default_model: Option<String>,
    /// How connections to providers are made, unless a provider has options of its own.
    pub connection: ConnectionOptions,
    /// How many unused connections to providers are kept, and for how long.
    pub pool: PoolOptions,
    /// What may be fetched for providers that take only bytes; nothing when absent.
    pub fetch: Option<Fetch>,
    /// Which pages in browsers may call.
    pub cors: Cors,
    /// The bounds of the server.
    pub server: ServerLimits,
    /// The certificate with which the server serves HTTPS; plain HTTP when absent.
    pub tls: Option<Tls>,
    /// Who may use `/admin`.
    pub admin: Admin,
    /// Who may read `/metrics`, and what it shows.
    pub metrics: Metrics,
    /// What the server logs.
    pub log: Log,
    /// How long records of calls are kept.
    pub requests: RequestLog,
    /// Whether responses are given again.
    pub cache: Cache,
    /// How repeated requests with one `Idempotency-Key` are handled.
    pub idempotency: Idempotency,
    /// What happens to a call of unknown price of a tenant with a budget.
    pub unpriced: Unpriced,
    /// What happens to limited calls while the store cannot be reached.
    pub store_down: UnreachablePolicy,
    /// Whom budget alerts are sent to.
    pub alerts: Alerts,
    /// Whom the usage of every call is sent to.
    pub usage_events: UsageEvents,
    /// What the gateway does as an earlier gateway did.
    pub compatibility: Compatibility,
    /// Whom we call.
    pub providers: Vec<Provider>,
    /// Names that clients use, and the steps behind each.
    pub routes: Vec<Route>,
    /// Models served by one provider under their own name.
    pub models: Vec<Model>,
    /// Prices that override the shipped table.
    pub prices: Vec<Price>,
    /// Tenants beside `default` and those of the store.
    pub tenants: Vec<DeclaredTenant>,
}

impl Config {
    /// Every secret, wherever it stands.
    pub fn secrets(&self) -> impl Iterator<Item = &SecretSource> {
        secrets::places(self).into_iter().map(|(_, source)| source)
    }

    /// What is allowed and risky, as sentences without secrets.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = declared_tenants::key_warnings(self);
        warnings.extend(warnings::of_addresses(self));
        warnings.extend(warnings::of_timeouts(self));
        warnings
    }
}

/// Whether clients need a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Auth {
    /// Every client needs one.
    #[default]
    Keys,
    /// None does: the gateway is open, on loopback addresses only.
    None,
}

/// How connections to providers are made. What is absent is taken from the level above, else from the defaults.
#[derive(Clone, Debug, Default)]
pub struct ConnectionOptions {
    /// The proxy that connections pass through. Absent: the one that the environment names.
    pub proxy: Option<Proxy>,
    /// A PEM file of root certificates that are trusted beside the public ones.
    pub ca_file: Option<String>,
    /// Time for the lookup of a name, TCP and TLS together.
    pub connect_timeout: Option<Duration>,
}

/// Whether connections pass through a proxy.
#[derive(Clone, Debug)]
pub enum Proxy {
    /// Never, whatever the environment says.
    None,
    /// Through the proxy with this URL, which may hold a password.
    Url(SecretSource),
}

/// Which unused connections to providers are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolOptions {
    /// How long an unused connection is kept.
    pub idle_timeout: Duration,
    /// How many unused connections are kept for each host; as many as there are when absent.
    pub max_idle_per_host: Option<usize>,
}

/// What the gateway may fetch for providers that take images and documents only as bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetch {
    /// From whom: names, or `*.` and the end of names. In lower case; at least one.
    pub hosts: Vec<String>,
    /// How many bytes all media of one request may have together.
    pub max_bytes: u64,
    /// Time for all media of one request together.
    pub timeout: Duration,
}

/// A value that must not be seen: here, or in a parameter store.
#[derive(Clone, Debug)]
pub enum SecretSource {
    /// The value itself.
    Value {
        /// What it is.
        value: Secret,
        /// The variable that it was expanded from, when the whole value was one `${VAR}`.
        variable: Option<String>,
        /// Where it stands in the file that it was read from.
        place: Option<WrittenPlace>,
    },
    /// The name of a parameter (or of a reference to a secret) in AWS that holds the value.
    Parameter {
        /// The parameter's full name.
        name: String,
        /// The variable that `export` writes in its place. Absent: the reference itself.
        variable: Option<String>,
    },
}

/// One company, or one server of one's own, that we call.
#[derive(Clone, Debug, Default)]
pub struct Provider {
    /// What routes call it.
    pub name: String,
    /// The provider's entry in the catalog of providers; `openai` when absent.
    pub kind: String,
    /// Where it lives, when the catalog does not know or is not meant.
    pub base_url: Option<String>,
    /// The provider's keys: none, one (`api_key`), or a pool (`api_keys`).
    pub keys: Vec<SecretSource>,
    /// Headers that every call to it carries.
    pub headers: BTreeMap<String, SecretSource>,
    /// The version of its API, for providers that date theirs.
    pub api_version: Option<String>,
    /// The region of AWS that it is called in, for providers that live there.
    pub region: Option<String>,
    /// Time for one step at this provider, between the step's own and that of the whole configuration.
    pub timeout: Option<Duration>,
    /// What the provider allows each key.
    pub limits: ProviderLimits,
    /// How its health is found out in the background; not at all when absent.
    pub probe: Option<Probe>,
    /// How connections to it are made, where that differs from the other providers.
    pub connection: ConnectionOptions,
    /// What a scripted provider returns (`type: mock`).
    pub script: Option<Script>,
}

impl Provider {
    /// Every secret of the provider: its keys, its headers, its proxy.
    pub fn secrets(&self) -> impl Iterator<Item = &SecretSource> {
        self.keys.iter().chain(self.headers.values()).chain(self.connection.proxy_source())
    }
}

/// What the scripted provider returns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Script {
    /// The text of its responses.
    pub answer: Option<String>,
    /// The status of its failures. Without `fail_first`, every call fails with it.
    pub status: Option<u16>,
    /// How long it waits before it responds at all.
    pub delay: Option<Duration>,
    /// How long it waits between the words of a stream.
    pub pause: Option<Duration>,
    /// How many calls fail (with `status`, else 500) before the first that works.
    pub fail_first: Option<u32>,
    /// What a failure says in `Retry-After`, in seconds.
    pub retry_after: Option<u32>,
}

/// A model served by one provider under its own name.
#[derive(Clone, Debug)]
pub struct Model {
    /// What clients call it, and the provider too.
    pub name: String,
    /// The name of a provider in the same configuration.
    pub provider: String,
    /// What the list of models shows beside the name.
    pub description: Option<String>,
}

/// A price that overrides the shipped table, in micro-dollars per million tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Price {
    /// The name of a provider in the same configuration.
    pub provider: String,
    /// The provider's name for the model.
    pub model: String,
    /// For a token that is read.
    pub input: u64,
    /// For a token that is written.
    pub output: u64,
    /// For a token that is read from the provider's cache; as `input` when absent.
    pub cached_input: Option<u64>,
    /// For a token that is written to the provider's cache; as `input` when absent.
    pub cache_write: Option<u64>,
}

//! The admin API from a terminal: of the local data file, of a gateway at a URL, or of a stack in
//! AWS.
//!
//! Locally and in AWS the operations run in this process; at a URL the same ones are asked for.

use std::{
    collections::BTreeMap,
    error::Error,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    sync::Arc,
};

use admin::{
    Admin, ApiBody, ApiRequest, ConfigRows, ConfigSource, Operation, Operator, Role, RootSecret,
};
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use clap::Args;
use edge::settings::{Environment, now_ms};
use gateway::{Client, Clock, Configuration, Freshness, Gateway, Source};
use serde_json::Value;
use storage::{Parameters, Signer, Stores, Table, sqlite};

use crate::{
    aws_account,
    commands::{Failure, Stack, StackOptions},
    export, root_secret, serve,
    settings::{self, Sources},
};

/// Which gateway is meant, and how the response is printed.
#[derive(Clone, Debug, Args)]
pub(crate) struct Target {
    #[arg(
        long,
        global = true,
        help = "The gateway at this address, in place of the local data file [default: $LOCKGATE_URL]"
    )]
    url: Option<String>,
    #[arg(
        long,
        global = true,
        help = "NAME:PASSWORD to sign in with there [default: $LOCKGATE_USER, or the token $LOCKGATE_TOKEN]"
    )]
    user: Option<String>,
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        help = "A PEM file of root certificates that are trusted there beside the public ones [default: $LOCKGATE_CA_FILE, else the `ca_file` of --config]"
    )]
    ca_file: Option<String>,
    /// The stack in AWS, in place of the local data file (see --stack)
    #[arg(long, global = true)]
    aws: bool,
    #[command(flatten)]
    stack: StackOptions,
    /// The embedded database's file
    #[arg(long, global = true, value_name = "FILE", default_value = DATA_FILE)]
    data: PathBuf,
    /// The configuration, as `serve` would find it
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    sources: Sources,
    /// Print JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

/// A gateway whose admin API can be called.
pub(crate) enum AdminClient {
    /// In this process.
    Local(Box<Admin>),
    /// At an address.
    Remote(Box<Remote>),
}

/// A gateway at an address.
pub(crate) struct Remote {
    client: Client,
    url: String,
    authorization: String,
}

/// The data file, where no other is named.
const DATA_FILE: &str = "lockgate.db";

/// What is asked of the admin API.
#[derive(Default)]
pub(crate) struct Call<'a> {
    /// What stands in the path in place of its parameters.
    pub(crate) parameters: &'a [&'a str],
    /// The parameters of the query.
    pub(crate) query: &'a [(&'a str, &'a str)],
    /// The body.
    pub(crate) body: Option<Value>,
}

/// What a command does where the data file is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IfMissing {
    /// The command refuses: what it would read or make, no gateway knows. Unless a configuration lies
    /// here whose gateway was not started yet.
    Refuse,
    /// The command goes on: what it reads is in the configuration.
    Ignore,
    /// The command makes the file, which keeps who changed the configuration.
    Make,
}

impl Target {
    /// Opens the gateway that is meant.
    pub(crate) async fn open(&self, if_missing: IfMissing) -> Result<AdminClient, Failure> {
        if let Some(remote) = self.remote()? {
            return Ok(AdminClient::Remote(Box::new(remote)));
        }
        let environment = self.sources.environment()?;
        let admin = if self.aws {
            self.open_stack(&environment).await?
        } else {
            self.open_file(environment, if_missing).await?
        };
        Ok(AdminClient::Local(Box::new(admin)))
    }

    /// The gateway at an address, where one is meant.
    pub(crate) fn remote(&self) -> Result<Option<Remote>, Failure> {
        let environment = self.sources.environment()?;
        let Some(url) = self.address_in(&environment) else { return Ok(None) };
        let authorization = self.authorization(&environment)?;
        let ca_file = self.ca_file(&environment)?;
        let client = Client::new(Signer::new(None, None), environment.proxies());
        let client = client.with_ca_file(ca_file);
        let url = with_scheme(url.trim_end_matches('/'))?;
        Ok(Some(Remote { client, url, authorization }))
    }

    /// The address of the gateway, where one is named.
    pub(crate) fn address(&self) -> Result<Option<String>, Failure> {
        Ok(self.address_in(&self.sources.environment()?))
    }

    fn address_in(&self, environment: &Environment) -> Option<String> {
        self.url.clone().or_else(|| environment.get("LOCKGATE_URL"))
    }

    /// The operators that the configuration declares; none where it cannot be read, since a wrong one
    /// must not keep an operator out.
    pub(crate) async fn configured_operators(&self, table: &dyn Table) -> Vec<String> {
        let config = if self.aws {
            export::live(table, &gateway::kinds()).await.ok()
        } else {
            let environment = self.sources.environment();
            let found = environment.and_then(|it| settings::found(self.config.clone(), &it));
            found.ok().map(|found| found.config)
        };
        let users = config.into_iter().flat_map(|config| config.admin.users);
        users.map(|user| user.name).collect()
    }

    /// The root certificates of a gateway at an address, where they are not public ones.
    fn ca_file(&self, environment: &Environment) -> Result<Option<String>, Failure> {
        if let Some(named) = self.ca_file.clone().or_else(|| environment.get("LOCKGATE_CA_FILE")) {
            return Ok(Some(named));
        }
        // Only one that is named: the file that happens to be here may be another gateway's.
        let Some(path) = &self.config else { return Ok(None) };
        Ok(settings::config(path, environment)?.connection.ca_file)
    }

    /// The tenants that the local configuration declares.
    pub(crate) fn declared_tenants(&self) -> Result<Vec<String>, Failure> {
        if self.aws {
            return Ok(vec![]);
        }
        let config = settings::found(self.config.clone(), &self.sources.environment()?)?.config;
        Ok(config.tenants.into_iter().map(|tenant| tenant.settings.name).collect())
    }

    /// The tables of a gateway that was started before.
    pub(crate) async fn existing_stores(&self) -> Result<Stores, Failure> {
        // Opening would make the file, and a typing error in its name an empty gateway.
        if !self.aws && !self.data.exists() {
            let file = self.data.display();
            let message = format!(
                "{file} is not there. Name the gateway's file with --data, or its address with --url."
            );
            return Err(Failure::Other(message));
        }
        if self.aws {
            let environment = self.sources.environment()?;
            return Ok(Stack::open(&self.stack, &environment).await?.stores);
        }
        sqlite::open(&self.data).map_err(|error| Failure::data_file(&error))
    }

    /// The tables of the data file, and the root secret beside it.
    async fn file_with_secret(
        &self,
        environment: &Environment,
        if_missing: IfMissing,
    ) -> Result<(Stores, RootSecret), Failure> {
        if if_missing == IfMissing::Ignore && !self.data.exists() {
            // In memory, so that a command that only reads leaves no file behind.
            let stores = sqlite::in_memory().map_err(|error| Failure::data_file(&error))?;
            return Ok((stores, admin::generate_root_secret().ok_or_else(no_randomness)?));
        }
        let stores = match if_missing {
            IfMissing::Refuse | IfMissing::Ignore => self.existing_stores().await?,
            IfMissing::Make => {
                sqlite::open(&self.data).map_err(|error| Failure::data_file(&error))?
            }
        };
        Ok((stores, root_secret::find(&self.data, environment)?))
    }

    async fn open_file(
        &self,
        environment: Environment,
        if_missing: IfMissing,
    ) -> Result<Admin, Failure> {
        let found = settings::found(self.config.clone(), &environment)?;
        // Tenants may be made before the first start.
        let is_new_gateway =
            self.data == Path::new(DATA_FILE) && matches!(found.origin, settings::Origin::File(_));
        let if_missing = match if_missing {
            IfMissing::Refuse if is_new_gateway => IfMissing::Make,
            other => other,
        };
        let (stores, root) = self.file_with_secret(&environment, if_missing).await?;
        let config = found.config.clone();
        let aws = aws_account::find_for(&config, &environment).await?;
        let signer = aws_account::signer(aws.as_ref(), &environment);
        let source = Source::Config(Box::new(config), aws.as_ref().map(Parameters::new));
        let client = Client::new(signer, environment.proxies());
        // Not served from here, so that `auth: none` in the file is no fault.
        let local = (Ipv4Addr::LOCALHOST, 0).into();
        let file = serve::config_source(found, environment, local);
        administration(source, stores, client, file, &root).await
    }

    async fn open_stack(&self, environment: &Environment) -> Result<Admin, Failure> {
        let Stack { stores, parameters, signer, prefix } =
            Stack::open(&self.stack, environment).await?;

        let name = format!("{prefix}/admin-secret");
        let found = parameters.get(std::slice::from_ref(&name)).await;
        let found = found.map_err(|error| Failure::Other(error.to_string()))?;
        let root = found.get(&name).and_then(|it| admin::parse_root_secret(it.expose()));
        let root = root.ok_or_else(|| {
            Failure::Other(format!("the parameter {name} is missing or may not be read"))
        })?;
        let client = Client::new(signer, environment.proxies());
        let rows = ConfigRows { parameters: parameters.clone(), prefix };
        let source = Source::Store(parameters);
        administration(source, stores, client, ConfigSource::Rows(rows), &root).await
    }

    fn authorization(&self, environment: &Environment) -> Result<String, Failure> {
        if let Some(user) = self.user.clone().or_else(|| environment.get("LOCKGATE_USER")) {
            return Ok(format!("Basic {}", BASE64_STANDARD.encode(user)));
        }
        if let Some(token) = environment.get("LOCKGATE_TOKEN") {
            return Ok(format!("Bearer {token}"));
        }
        let message = "name an operator with --user NAME:PASSWORD, or set LOCKGATE_TOKEN";
        Err(Failure::Usage(message.to_owned()))
    }
}

async fn administration(
    source: Source,
    stores: Stores,
    client: Client,
    config_source: ConfigSource,
    root: &RootSecret,
) -> Result<Admin, Failure> {
    let configuration = Configuration::new(source, stores, client, Freshness::default());
    // Loaded now, so that a wrong configuration is named before the command is carried out.
    let loaded = configuration.load(Clock::starting(now_ms())).await;
    loaded.map_err(|error| Failure::Other(error.message().to_owned()))?;
    // Without sinks: a command makes no calls that would be recorded.
    let gateway = Arc::new(Gateway::new(configuration, vec![]));
    let admin = Admin::new(gateway, config_source, root);
    admin.ok_or_else(no_randomness)
}

fn no_randomness() -> Failure {
    Failure::Other("the system has no randomness".to_owned())
}

impl AdminClient {
    /// Does what is asked and gives the response: JSON, or a configuration's text.
    pub(crate) async fn call(
        &self,
        operation: Operation,
        call: Call<'_>,
    ) -> Result<Value, Failure> {
        match self {
            Self::Local(admin) => call_here(admin, operation, &call).await,
            Self::Remote(remote) => remote.call(operation, &call).await,
        }
    }

    /// The items of a list that comes whole.
    pub(crate) async fn items(
        &self,
        operation: Operation,
        call: Call<'_>,
        items: &str,
    ) -> Result<Vec<Value>, Failure> {
        let mut listed = self.call(operation, call).await?;
        Ok(taken(&mut listed, items))
    }

    /// Every item of a list, page after page.
    pub(crate) async fn list(
        &self,
        operation: Operation,
        items: &str,
    ) -> Result<Vec<Value>, Failure> {
        let mut all = vec![];
        let mut cursor = String::new();
        loop {
            // 100 is the largest page that the API gives.
            let query = [("cursor", cursor.as_str()), ("limit", "100")];
            let mut page = self.call(operation, Call { query: &query, ..Call::default() }).await?;
            all.extend(taken(&mut page, items));
            match page["next_cursor"].as_str() {
                Some(next) => cursor = next.to_owned(),
                None => return Ok(all),
            }
        }
    }
}

/// The list under a name of a JSON object; empty where there is none.
fn taken(object: &mut Value, items: &str) -> Vec<Value> {
    match object[items].take() {
        Value::Array(found) => found,
        _ => vec![],
    }
}

async fn call_here(admin: &Admin, operation: Operation, call: &Call<'_>) -> Result<Value, Failure> {
    // Whoever can open the store can do everything; the name is for the audit.
    let operator = Operator { name: "terminal".to_owned(), role: Role::Admin };
    let parameters: Vec<String> = call.parameters.iter().map(|it| (*it).to_owned()).collect();
    let query = call.query.iter().filter(|(_, value)| !value.is_empty());
    let query: BTreeMap<String, String> =
        query.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let body = call.body.as_ref().map(Value::to_string).unwrap_or_default();
    let request = ApiRequest {
        operator: &operator,
        parameters: &parameters,
        query: &query,
        content_type: None,
        if_match: None,
        idempotency_key: None,
        body: body.as_bytes(),
        clock: Clock::starting(now_ms()),
    };
    match admin.respond(operation, &request).await {
        Ok(response) => Ok(match response.body {
            ApiBody::Json(body) => body,
            ApiBody::Yaml(text) => Value::String(text),
            ApiBody::Empty => Value::Null,
        }),
        Err(problem) => {
            // The operator's own machine: the cause is no secret here.
            let cause = problem.cause().map(|cause| format!(" ({cause})")).unwrap_or_default();
            Err(Failure::Other(format!("{problem}{cause}")))
        }
    }
}

impl Remote {
    /// Reads what a path gives, `{id}` in it replaced by the parameters.
    pub(crate) async fn get(
        &self,
        pattern: &str,
        parameters: &[&str],
        query: &[(&str, &str)],
    ) -> Result<Value, Failure> {
        let call = Call { parameters, query, body: None };
        self.send(&http::Method::GET, pattern, &call).await
    }

    /// Asks for an operation of the admin API.
    pub(crate) async fn call(
        &self,
        operation: Operation,
        call: &Call<'_>,
    ) -> Result<Value, Failure> {
        let endpoint = edge::ENDPOINTS.iter().find(|it| it.operation() == Some(operation));
        let endpoint = endpoint.ok_or_else(|| Failure::Other("no such operation".to_owned()))?;
        self.send(&endpoint.method, endpoint.paths[0], call).await
    }

    async fn send(
        &self,
        method: &http::Method,
        pattern: &str,
        call: &Call<'_>,
    ) -> Result<Value, Failure> {
        let url = format!("{}{}", self.url, path(pattern, call));
        let body = call.body.as_ref().map(Value::to_string).unwrap_or_default();
        let request = http::Request::builder()
            .method(method)
            .uri(&url)
            .header("authorization", &self.authorization)
            .header("content-type", "application/json")
            .body(Bytes::from(body))
            .map_err(|error| Failure::Usage(format!("{url}: {error}")))?;
        let response = self.client.request(request).await;
        let response = response.map_err(|error| {
            let cause = error.cause().map(|cause| format!(" ({})", innermost(cause)));
            let cause = cause.unwrap_or_default();
            Failure::Other(format!("{} {}{cause}", self.url, error.message()))
        })?;

        let text = String::from_utf8_lossy(response.body()).into_owned();
        // A proxy in between responds with HTML.
        let body: Value = serde_json::from_str(&text).unwrap_or(Value::String(text));
        if response.status().is_success() {
            return Ok(body);
        }
        let detail = body["detail"].as_str().unwrap_or("It gave no reason.").to_owned();
        Err(Failure::Other(format!("{} returned {}: {detail}", self.url, response.status())))
    }
}

/// What an error comes from in the end: those around it only say what was being done.
pub(crate) fn innermost(error: &(dyn Error + Send + Sync)) -> String {
    let (mut innermost, mut source) = (error.to_string(), error.source());
    while let Some(cause) = source {
        (innermost, source) = (cause.to_string(), cause.source());
    }
    innermost
}

/// The path and query of a call.
fn path(pattern: &str, call: &Call<'_>) -> String {
    let mut parameters = call.parameters.iter();
    let segments = pattern.split('/').map(|segment| {
        if segment.starts_with('{') {
            encoded(parameters.next().copied().unwrap_or_default())
        } else {
            segment.to_owned()
        }
    });
    let mut path = segments.collect::<Vec<_>>().join("/");
    // An option that was not given is an empty text here, which the API would take for a value.
    let pairs = call.query.iter().filter(|(_, value)| !value.is_empty());

    for (index, (name, value)) in pairs.enumerate() {
        path.push(if index == 0 { '?' } else { '&' });
        path.push_str(&format!("{name}={}", encoded(value)));
    }
    path
}

/// Percent-encodes everything that is not unreserved (RFC 3986 section 2.3).
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// The address of a gateway with its scheme, which one on this machine may leave out.
fn with_scheme(url: &str) -> Result<String, Failure> {
    if url.contains("://") {
        return Ok(url.to_owned());
    }
    let is_here = ["127.0.0.1", "localhost", "[::1]"].iter().any(|host| {
        url.strip_prefix(host).is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
    });
    if is_here {
        return Ok(format!("http://{url}"));
    }
    let message =
        format!("{url} is no address of a gateway: write https://{url}, or http:// before it");
    Err(Failure::Usage(message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_holds_its_parameters_encoded() {
        let call = Call {
            parameters: &["a/b c", "key_1"],
            query: &[("cursor", ""), ("model", "x&y")],
            body: None,
        };
        assert_eq!(
            path("/admin/tenants/{id}/keys/{key}", &call),
            "/admin/tenants/a%2Fb%20c/keys/key_1?model=x%26y"
        );
    }

    #[test]
    fn an_address_on_this_machine_needs_no_scheme() {
        for url in ["127.0.0.1:18080", "localhost", "[::1]:80"] {
            assert_eq!(with_scheme(url).ok(), Some(format!("http://{url}")));
        }
        let whole = "https://g.example.com";
        assert_eq!(with_scheme(whole).ok().as_deref(), Some(whole));
        for url in ["g.example.com", "127.0.0.1.example.com"] {
            let refused = with_scheme(url);
            assert!(matches!(refused, Err(Failure::Usage(it)) if it.contains("https://")), "{url}");
        }
    }
}

//! The HTTP clients of all providers, which outlive the configuration that asks for them.
//!
//! Providers that connect alike (proxy, roots, time limit, pool) share one reqwest client and its
//! connections. How a request is sent over them is left to `connections`.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use canonical::{Error, ErrorKind, Result};
use config::{CONNECT_TIMEOUT, ConnectionOptions, PoolOptions, Proxy};
use storage::{Secret, Signer};

use crate::{
    connections::{Connections, ProxyRule, Transport},
    endpoint::ResolveSecret,
    memory::MemoryBudget,
};

/// Connections to providers, and what signs for those who take signatures. A clone shares them.
#[derive(Clone)]
pub struct Client {
    environment: Arc<ProxyVariables>,
    clients: Arc<Mutex<Vec<Connections>>>,
    pub(crate) signer: Signer,
    /// Who plays the services of AWS; none where AWS itself does.
    pub(crate) aws_endpoint: Option<String>,
    /// A PEM file of roots that are trusted where no provider's options say otherwise.
    pub(crate) ca_file: Option<String>,
    /// The memory that whole responses are held in.
    pub(crate) memory: MemoryBudget,
}

/// The environment's variables about proxies; each value has the meaning that it has to `curl`.
#[derive(Clone, Debug, Default)]
pub struct ProxyVariables {
    /// `HTTPS_PROXY`: the proxy for `https://`.
    pub https: Option<Secret>,
    /// `HTTP_PROXY`: the proxy for `http://`.
    pub http: Option<Secret>,
    /// `ALL_PROXY`: the proxy where neither of those is set.
    pub all: Option<Secret>,
    /// `NO_PROXY`: the hosts that are called directly, also where the configuration names a proxy.
    pub no_proxy: Option<String>,
}

impl Client {
    /// A client without any connection yet.
    pub fn new(signer: Signer, environment: ProxyVariables) -> Self {
        Self {
            environment: Arc::new(environment),
            clients: Arc::default(),
            signer,
            aws_endpoint: None,
            ca_file: None,
            memory: MemoryBudget::default(),
        }
    }

    /// The same client, whose messages to services of AWS go to this address.
    #[must_use]
    pub fn with_aws_endpoint(self, endpoint: Option<String>) -> Self {
        Self { aws_endpoint: endpoint, ..self }
    }

    /// The same client, which trusts the roots of a PEM file beside the public ones where no provider's
    /// options say otherwise.
    #[must_use]
    pub fn with_ca_file(self, ca_file: Option<String>) -> Self {
        Self { ca_file, ..self }
    }

    /// The same client, which holds whole responses within a budget.
    #[must_use]
    pub fn with_memory(mut self, memory: MemoryBudget) -> Self {
        self.memory = memory;
        self
    }

    /// The region that the process runs in, where that is known.
    pub fn region(&self) -> Option<&str> {
        self.signer.region()
    }

    /// The connections for these options: those at hand, where some provider connects alike.
    pub(crate) fn connections(
        &self,
        options: &ConnectionOptions,
        pool: &PoolOptions,
        resolve: ResolveSecret<'_>,
    ) -> Result<Connections> {
        let transport = Transport {
            proxies: self.proxies(options, resolve)?,
            no_proxy: self.environment.no_proxy.clone().unwrap_or_default(),
            ca_file: options.ca_file.clone(),
            connect_timeout: options.connect_timeout.unwrap_or(CONNECT_TIMEOUT),
            pool: pool.clone(),
        };
        // Held while a client is built, so that two calls cannot build the same one.
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = clients.iter().find(|it| it.transport() == &transport) {
            return Ok(known.clone());
        }

        let connections = Connections::new(transport)?;
        clients.push(connections.clone());
        Ok(connections)
    }

    /// The proxies that options lead to: their own, else those of the environment.
    fn proxies(
        &self,
        options: &ConnectionOptions,
        resolve: ResolveSecret<'_>,
    ) -> Result<Vec<ProxyRule>> {
        match &options.proxy {
            Some(Proxy::None) => Ok(vec![]),
            Some(Proxy::Url(source)) => {
                let url = resolve(source).ok_or_else(|| {
                    Error::new(ErrorKind::ProviderAccess, "its `proxy` has no value")
                })?;
                Ok(vec![ProxyRule::all(&url)])
            }
            None => Ok(self.environment.rules()),
        }
    }
}

impl ProxyVariables {
    fn rules(&self) -> Vec<ProxyRule> {
        // A scheme's own variable wins over `ALL_PROXY`, as it does for curl.
        let https = self.https.as_ref().or(self.all.as_ref()).map(ProxyRule::https);
        let http = self.http.as_ref().or(self.all.as_ref()).map(ProxyRule::http);
        https.into_iter().chain(http).collect()
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client")
    }
}

//! What the configuration may say about connections to providers: proxy, roots, limits and pool.

use super::{
    ConnectionOptions, POOL_IDLE_TIMEOUT, PoolOptions, Proxy, SecretSource,
    keys::{Key, Keys, Takes},
    node::Node,
    provider::secret,
    reader::{Fields, Reader},
    values,
};

pub(super) const POOL: Keys = Keys {
    of: "pool",
    keys: &[
        Key::new(
            "idle_timeout",
            Takes::Duration,
            "20s",
            "how long an unused connection is kept. Less than what the provider or a load balancer before it allows avoids connections that end as they are used",
        ),
        Key::new(
            "max_idle_per_host",
            Takes::Whole(0, 100000),
            "no limit",
            "how many unused connections each worker keeps for each host; 0 keeps none",
        ),
    ],
};
/// The word that stands for no proxy at all.
pub(super) const NO_PROXY: &str = "none";

/// Reads the options that the document and each provider have in common.
pub(super) fn connection(reader: &mut Reader<'_>, fields: Fields<'_>) -> ConnectionOptions {
    ConnectionOptions {
        proxy: reader.optional(fields, "proxy", proxy).flatten(),
        ca_file: reader.optional(fields, "ca_file", Reader::text),
        connect_timeout: reader.optional(fields, "connect_timeout", Reader::time_limit),
    }
}

/// Reads a proxy's URL, which may hold a password and is therefore kept like a key, or `none`.
fn proxy(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<Proxy> {
    let source = secret(reader, node)?;
    // What a parameter holds is checked when it is loaded, by the client that uses it.
    let SecretSource::Value { value, .. } = &source else { return Some(Proxy::Url(source)) };
    if value.expose() == NO_PROXY {
        return Some(Proxy::None);
    }
    if let Err(message) = values::proxy_url(value.expose()) {
        reader.report(node.at, message);
    }
    Some(Proxy::Url(source))
}

/// Reads how many unused connections are kept, and for how long.
pub(super) fn pool(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<PoolOptions> {
    let fields = reader.fields(node, &POOL)?;
    // Zero is allowed: it keeps no unused connection at all.
    let idle_timeout = reader.optional(fields, "idle_timeout", Reader::duration);
    let max_idle = reader.count(fields, "max_idle_per_host");
    Some(PoolOptions {
        idle_timeout: idle_timeout.unwrap_or(POOL_IDLE_TIMEOUT),
        max_idle_per_host: max_idle.and_then(|it| usize::try_from(it).ok()),
    })
}

impl ConnectionOptions {
    /// The options of a provider, and for what they leave open those of the whole document.
    #[must_use]
    pub fn or(&self, defaults: &Self) -> Self {
        Self {
            proxy: self.proxy.clone().or_else(|| defaults.proxy.clone()),
            ca_file: self.ca_file.clone().or_else(|| defaults.ca_file.clone()),
            connect_timeout: self.connect_timeout.or(defaults.connect_timeout),
        }
    }

    /// The proxy's URL, where one is configured.
    pub(super) fn proxy_source(&self) -> Option<&SecretSource> {
        match &self.proxy {
            Some(Proxy::Url(source)) => Some(source),
            Some(Proxy::None) | None => None,
        }
    }
}

impl Default for PoolOptions {
    fn default() -> Self {
        Self { idle_timeout: POOL_IDLE_TIMEOUT, max_idle_per_host: None }
    }
}

impl PoolOptions {
    /// Whether these are the options that need not be written.
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        read::{
            self,
            tests::{KINDS, config},
        },
        rows::{from_rows, to_rows},
        to_yaml,
    };

    const BOTH: &str = "proxy: http://user:hunter2@proxy.example:3128
ca_file: /etc/company.pem
connect_timeout: 1s
pool:
  idle_timeout: 5s
  max_idle_per_host: 7
providers:
- {name: a, base_url: 'http://a', proxy: none, ca_file: own.pem}
- {name: b, base_url: 'http://b', connect_timeout: 2s, proxy: 'socks5h://10.0.0.1:1080'}
- {name: c, base_url: 'http://c'}
";

    #[test]
    fn a_provider_may_have_its_own_proxy_roots_and_time_limit() {
        let config = config(BOTH);
        let options = |index: usize| config.providers[index].connection.or(&config.connection);
        assert!(matches!(options(0).proxy, Some(Proxy::None)));
        assert_eq!(options(0).ca_file.as_deref(), Some("own.pem"));
        assert_eq!(options(0).connect_timeout, Some(Duration::from_secs(1)));
        assert!(matches!(options(1).proxy, Some(Proxy::Url(_))));
        assert_eq!(options(1).ca_file.as_deref(), Some("/etc/company.pem"));
        assert_eq!(options(1).connect_timeout, Some(Duration::from_secs(2)));
        assert!(matches!(options(2).proxy, Some(Proxy::Url(_))));
        let pool = PoolOptions { idle_timeout: Duration::from_secs(5), max_idle_per_host: Some(7) };
        assert_eq!(config.pool, pool);
    }

    #[test]
    fn connection_options_survive_rows_and_export() {
        let (rows, parameters) = to_rows(&config(BOTH), "/p");
        let names: Vec<&str> = parameters.iter().map(|(name, _)| &**name).collect();
        assert_eq!(names, ["/p/proxy", "/p/providers/b/proxy"]);
        let again = from_rows(&rows, &KINDS).unwrap();
        assert_eq!(to_yaml(&again), to_yaml(&config(BOTH)));
        let yaml = to_yaml(&again);
        for line in
            ["proxy: ${GATEWAY_PROXY}", "proxy: ${B_PROXY}", "proxy: none", "idle_timeout: 5s"]
        {
            assert!(yaml.contains(line), "{line}: {yaml}");
        }
        assert!(!yaml.contains("hunter2") && !format!("{rows:?}").contains("hunter2"));
    }

    #[test]
    fn a_bad_proxy_is_named_without_its_password() {
        for (url, reason) in [
            ("ftp://u:hunter2@p", "begins with none of http://"),
            ("proxy.example:3128", "begins with none of http://"),
            ("http://u:hunter2@", "has no host"),
            ("http://p:3128/path", "has a path"),
            ("http://p:0", "has a bad port"),
        ] {
            let text = format!("proxy: '{url}'\nproviders: [{{name: a, base_url: 'http://a'}}]");
            let errors = read::read(&text, &|_| None, &KINDS).unwrap_err().to_string();
            assert!(errors.contains(reason) && !errors.contains("hunter2"), "{url}: {errors}");
        }
    }
}

//! Where a configuration's secrets stand, and what each is called elsewhere.

use std::collections::BTreeMap;

use super::{Config, SecretSource, admin::password_place};

/// A place in a document where a secret stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// The gateway's own key.
    Gateway,
    /// The proxy that all providers are called through.
    Proxy,
    /// The only key of a provider.
    Key { provider: String },
    /// One of several keys of a provider, counted from 1.
    Pooled { provider: String, number: usize },
    /// A header of a provider.
    Header { provider: String, header: String },
    /// The proxy that one provider is called through.
    ProviderProxy { provider: String },
    /// The only key of a tenant, or one of several, counted from 1.
    TenantKey { tenant: String, number: Option<usize> },
    /// The key of a tenant's own provider.
    TenantProvider { tenant: String },
    /// The password of a user of `/admin`.
    AdminPassword { user: String },
    /// The password for `/metrics`.
    MetricsPassword,
    /// The address that alerts are posted to.
    WebhookUrl,
    /// The key of the signature of alerts.
    WebhookSecret,
}

impl Place {
    /// The end of the name of the parameter that keeps it.
    pub(super) fn parameter(&self) -> String {
        match self {
            Self::Gateway => "api_key".to_owned(),
            Self::Proxy => "proxy".to_owned(),
            Self::Key { provider } => format!("providers/{provider}"),
            Self::Pooled { provider, number } => format!("providers/{provider}/{number}"),
            Self::Header { provider, header } => format!("providers/{provider}/headers/{header}"),
            Self::ProviderProxy { provider } => format!("providers/{provider}/proxy"),
            Self::TenantKey { tenant, number: None } => format!("tenants/{tenant}"),
            Self::TenantKey { tenant, number: Some(number) } => {
                format!("tenants/{tenant}/{number}")
            }
            Self::TenantProvider { tenant } => format!("tenants/{tenant}/provider"),
            Self::AdminPassword { user } => format!("admin/{user}"),
            Self::MetricsPassword => "metrics".to_owned(),
            Self::WebhookUrl => "alerts/webhook/url".to_owned(),
            Self::WebhookSecret => "alerts/webhook/secret".to_owned(),
        }
    }

    /// A name for the variable that may hold it, when nobody gave one.
    fn variable(&self) -> String {
        let name = match self {
            Self::Gateway => "gateway_api_key".to_owned(),
            Self::Proxy => "gateway_proxy".to_owned(),
            Self::Key { provider } => format!("{provider}_api_key"),
            Self::Pooled { provider, number } => format!("{provider}_api_key_{number}"),
            Self::Header { provider, header } => format!("{provider}_{header}"),
            Self::ProviderProxy { provider } => format!("{provider}_proxy"),
            Self::TenantKey { tenant, number: None } => format!("{tenant}_tenant_key"),
            Self::TenantKey { tenant, number: Some(number) } => {
                format!("{tenant}_tenant_key_{number}")
            }
            Self::TenantProvider { tenant } => format!("{tenant}_provider_api_key"),
            Self::AdminPassword { user } => format!("{user}_password"),
            Self::MetricsPassword => "metrics_password".to_owned(),
            Self::WebhookUrl => "alerts_webhook_url".to_owned(),
            Self::WebhookSecret => "alerts_webhook_secret".to_owned(),
        };
        let fits =
            |it: char| if it.is_ascii_alphanumeric() { it.to_ascii_uppercase() } else { '_' };
        let name: String = name.chars().map(fits).collect();
        // A shell knows no variable that begins with a digit.
        if name.starts_with(|first: char| first.is_ascii_digit()) {
            format!("_{name}")
        } else {
            name
        }
    }
}

/// Every secret of a document and where it stands.
pub(super) fn places(config: &Config) -> Vec<(Place, &SecretSource)> {
    let mut places: Vec<_> = config.api_key.iter().map(|it| (Place::Gateway, it)).collect();
    places.extend(config.connection.proxy_source().map(|it| (Place::Proxy, it)));
    for it in &config.providers {
        for (index, key) in it.keys.iter().enumerate() {
            places.push((key_place(&it.name, index, it.keys.len()), key));
        }
        for (header, value) in &it.headers {
            places.push((header_place(&it.name, header), value));
        }
        let proxy = it.connection.proxy_source();
        places.extend(proxy.map(|source| (provider_proxy_place(&it.name), source)));
    }
    for it in &config.tenants {
        let name = &it.settings.name;
        for (index, key) in it.keys.iter().enumerate() {
            let place = tenant_key_place(name, index, it.keys.len());
            places.extend(key.secret().map(|source| (place, source)));
        }
        let place = Place::TenantProvider { tenant: name.clone() };
        places.extend(it.provider_api_key.iter().map(|source| (place.clone(), source)));
    }
    places.extend(operator_places(config));
    places
}

/// The secrets of those who run the gateway.
fn operator_places(config: &Config) -> Vec<(Place, &SecretSource)> {
    let users = config.admin.users.iter();
    let mut places: Vec<_> =
        users.map(|user| (password_place(&user.name), &user.password)).collect();
    if let Some(credentials) = &config.metrics.credentials {
        places.push((Place::MetricsPassword, &credentials.password));
    }
    if let Some(webhook) = &config.alerts.webhook {
        places.push((Place::WebhookUrl, &webhook.url));
        places.extend(webhook.secret.iter().map(|key| (Place::WebhookSecret, key)));
    }
    places
}

/// The place of one of a tenant's keys.
pub(super) fn tenant_key_place(tenant: &str, index: usize, keys: usize) -> Place {
    // A tenant with one key keeps its parameter's name when the file writes the key as a list.
    let number = (keys != 1).then_some(index + 1);
    Place::TenantKey { tenant: tenant.to_owned(), number }
}

/// The place of one of a provider's keys.
pub(super) fn key_place(provider: &str, index: usize, keys: usize) -> Place {
    let provider = provider.to_owned();
    if keys == 1 { Place::Key { provider } } else { Place::Pooled { provider, number: index + 1 } }
}

/// The place of one of a provider's headers.
pub(super) fn header_place(provider: &str, header: &str) -> Place {
    Place::Header { provider: provider.to_owned(), header: header.to_owned() }
}

/// The place of the proxy that one provider is called through.
pub(super) fn provider_proxy_place(provider: &str) -> Place {
    Place::ProviderProxy { provider: provider.to_owned() }
}

/// The variable that stands for each secret: the one it came from, else one that no other has.
///
/// References that the operator wrote himself have none.
pub(super) fn variables(config: &Config) -> BTreeMap<Place, String> {
    let places = places(config);
    let mut named = BTreeMap::new();
    let mut unnamed = vec![];
    for (place, source) in places {
        match source {
            SecretSource::Value { variable: Some(variable), .. }
            | SecretSource::Parameter { variable: Some(variable), .. } => {
                named.insert(place, variable.clone());
            }
            SecretSource::Value { variable: None, .. } => unnamed.push(place),
            SecretSource::Parameter { variable: None, .. } => {}
        }
    }
    // Second, because names that operators chose must not be taken by names that are made up.
    for place in unnamed {
        let name = place.variable();
        // Two providers such as `a-b` and `a_b` make the same name.
        let is_free = |name: &String| !named.values().any(|taken| taken == name);
        let numbered = (2..).map(|number| format!("{name}_{number}"));
        let free = std::iter::once(name.clone()).chain(numbered).find(is_free);
        named.insert(place, free.unwrap_or(name));
    }
    named
}

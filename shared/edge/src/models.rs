//! The models that the caller's key may use, in the format of the path's own API.
//!
//! The configuration names routes and models. Where it leaves names open, as a default provider does,
//! the names are those that the provider lists.

mod capabilities;
mod lists;
mod pricing;

use std::{borrow::Cow, collections::HashSet};

use canonical::Error;
use config::Config;
use gateway::{ModelDetails, ProviderModels, Snapshot};
use http::StatusCode;
use tenants::{Tenant, policy};

use self::pricing::Pricing;
use crate::{api::method_of, endpoint::HandlerFuture, front::Exchange, response, text::shorten};

/// One name that a client may put into `model`.
struct Model<'a> {
    id: Cow<'a, str>,
    owned_by: &'a str,
    description: Option<&'a str>,
    /// When the model was made, in seconds since 1970; 0 where that is not known.
    created: u64,
    details: ModelDetails,
    pricing: Option<Pricing>,
}

impl<'a> Model<'a> {
    fn new(id: impl Into<Cow<'a, str>>, owned_by: &'a str, description: Option<&'a str>) -> Self {
        let details = ModelDetails::default();
        Self { id: id.into(), owned_by, description, created: 0, details, pricing: None }
    }
}

/// Names that the configuration leaves open to whatever a provider lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct OpenNames<'a> {
    provider: &'a str,
    /// Whether the names are `provider/model`, as opposed to the provider's own.
    prefixed: bool,
}

/// Responds with the list of models, or with the one that the path names.
pub(crate) fn respond(exchange: &mut Exchange) -> HandlerFuture<'_> {
    Box::pin(async move {
        let (snapshot, tenant) = (exchange.snapshot()?.clone(), exchange.tenant()?.clone());
        let open = open_names(&snapshot.config, &tenant);
        let providers: Vec<&str> = open.iter().map(|it| it.provider).collect();
        let (gateway, clock) = (&exchange.app.gateway, exchange.arrival.clock);
        let lists = gateway.provider_models(&snapshot, &providers, clock).await;

        let mut models = configured(&snapshot.config);
        let open = open.into_iter().zip(&lists);
        models.extend(open.flat_map(|(open, list)| listed(open, list)));
        // What a key may not use is not listed, so that clients with a menu offer what works.
        let mut names = HashSet::new();
        models.retain(|model| {
            policy::is_model_allowed(&tenant, &model.id) && names.insert(model.id.clone())
        });
        let body = match &exchange.id {
            None => {
                models.iter_mut().for_each(|model| describe(model, &snapshot));
                lists::encode_list(exchange.api, &models, exchange.request.uri())?
            }
            Some(id) => {
                // More names than those of the list can be called: any model of any provider. What
                // ends like a method of Google's is a call with the wrong method.
                let may_be_called =
                    policy::is_model_allowed(&tenant, id) && method_of(id).is_none();
                let provider = snapshot.first_provider(id).filter(|_| may_be_called);
                let listed = models.into_iter().find(|model| model.id == *id);
                let called = || Some(Model::new(id.as_str(), provider.as_deref()?, None));
                let model = listed.or_else(called);
                let mut model = model.ok_or_else(|| Error::unknown_model(&shorten(id)))?;
                describe(&mut model, &snapshot);
                lists::encode_model(exchange.api, &model)?
            }
        };
        Ok(response::json(StatusCode::OK, body))
    })
}

/// The names that the configuration, or what a tenant may use, leaves open.
fn open_names<'a>(config: &'a Config, tenant: &Tenant) -> Vec<OpenNames<'a>> {
    let mut open = vec![];
    let default = config.default_provider.as_deref();
    open.extend(default.map(|provider| OpenNames { provider, prefixed: false }));
    // Without routes and models, names are `provider/model` only.
    let names_nothing = config.routes.is_empty() && config.models.is_empty();
    for provider in config.providers.iter().map(|it| it.name.as_str()) {
        let is_only_way = names_nothing && default != Some(provider);
        if is_only_way || has_wildcard(tenant, provider) {
            open.push(OpenNames { provider, prefixed: true });
        }
    }
    open
}

/// Whether a tenant may use what a pattern such as `provider/*` means.
fn has_wildcard(tenant: &Tenant, provider: &str) -> bool {
    let patterns = tenant.settings.models.allowed.iter().flatten();
    let mut models = patterns.filter_map(|it| it.strip_prefix(provider)?.strip_prefix('/'));
    models.any(|model| model.contains('*'))
}

fn configured(config: &Config) -> Vec<Model<'_>> {
    let routes = config
        .routes
        .iter()
        .map(|route| Model::new(route.name.as_str(), "lockgate", route.description.as_deref()));
    let models = config
        .models
        .iter()
        .map(|it| Model::new(it.name.as_str(), it.provider.as_str(), it.description.as_deref()));
    routes.chain(models).collect()
}

/// What a provider lists, under names that clients use.
fn listed<'a>(open: OpenNames<'a>, list: &'a ProviderModels) -> impl Iterator<Item = Model<'a>> {
    list.models().iter().map(move |listed| {
        let id = if open.prefixed {
            Cow::Owned(format!("{}/{}", open.provider, listed.id))
        } else {
            Cow::Borrowed(listed.id.as_str())
        };
        Model {
            created: listed.created.unwrap_or(0),
            details: ModelDetails {
                context_window: listed.context_window,
                max_output: listed.max_output,
                ..ModelDetails::default()
            },
            pricing: Pricing::as_listed(listed),
            ..Model::new(id, open.provider, None)
        }
    })
}

/// Adds what the gateway knows itself, which counts before what a provider lists.
fn describe(model: &mut Model<'_>, snapshot: &Snapshot) {
    let known = snapshot.model_details(&model.id);
    model.pricing = known.price.map(|price| Pricing::from(&price)).or(model.pricing.take());
    model.details = ModelDetails {
        context_window: known.context_window.or(model.details.context_window),
        max_output: known.max_output.or(model.details.max_output),
        ..known
    };
}

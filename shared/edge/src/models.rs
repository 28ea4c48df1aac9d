//! The models that the caller's key may use, in the format of the path's own API.

mod lists;

use canonical::Error;
use config::Config;
use http::StatusCode;
use tenants::policy;

use crate::{endpoint::HandlerFuture, front::Exchange, response, text::shorten};

/// One name that a client may put into `model`.
struct Model<'a> {
    id: &'a str,
    owned_by: &'a str,
    description: Option<&'a str>,
    /// The most tokens that it reads, and the most that it writes, where that is known.
    limits: (Option<u64>, Option<u64>),
}

/// Responds with the list of models, or with the one that the path names.
pub(crate) fn respond(exchange: &mut Exchange) -> HandlerFuture<'_> {
    Box::pin(async move {
        let snapshot = exchange.snapshot()?;
        let mut models = models(&snapshot.config);
        let tenant = exchange.tenant()?;
        // What a key may not use is not listed, so that clients with a menu offer what works.
        models.retain(|model| policy::is_model_allowed(tenant, model.id));
        for model in &mut models {
            model.limits = snapshot.model_limits(model.id);
        }
        let body = match &exchange.id {
            None => lists::encode_list(exchange.api, &models, exchange.request.uri())?,
            Some(id) => {
                let model = models.iter().find(|model| model.id == id);
                let model = model.ok_or_else(|| Error::unknown_model(&shorten(id)))?;
                lists::encode_model(exchange.api, model)?
            }
        };
        Ok(response::json(StatusCode::OK, body))
    })
}

fn models(config: &Config) -> Vec<Model<'_>> {
    let model =
        |id, owned_by, description| Model { id, owned_by, description, limits: (None, None) };
    let routes = config
        .routes
        .iter()
        .map(|route| model(route.name.as_str(), "lockgate", route.description.as_deref()));
    let models = config
        .models
        .iter()
        .map(|it| model(it.name.as_str(), it.provider.as_str(), it.description.as_deref()));
    routes.chain(models).collect()
}

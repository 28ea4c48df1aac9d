//! The plan of a call: the targets of what it asks for, and behind them those of its tenant's
//! fallback models.

use std::sync::Arc;

use canonical::Result;
use routing::{ModelQuery, RoutePlan, Target};

use crate::{Call, own_provider::OwnProvider};

/// The plan for what a call asks for.
pub(crate) fn resolve(call: &Call) -> Result<Arc<RoutePlan>> {
    let routes = &call.snapshot.routes;
    let named = query(call, call.request.model.as_deref());
    // A tenant that may not use every model has to name one.
    let may_leave_open =
        call.request.task.has_default_model() && call.tenant.settings.models.allowed.is_none();
    let plan = if named.model.is_none() && may_leave_open {
        routes.resolve_unnamed(named.provider)?
    } else {
        routes.resolve(named)?
    };
    let fallbacks = &call.tenant.settings.models.fallback;
    if fallbacks.is_empty() {
        return Ok(plan);
    }

    let mut whole = RoutePlan::clone(&plan);
    for model in fallbacks {
        // A name that is served no more is no reason to refuse what the client asks for.
        let Ok(fallback) = routes.resolve(query(call, Some(model))) else {
            tracing::debug!(tenant = call.tenant.id, model, "a fallback model is not served");
            continue;
        };
        // A target that is in the plan already would be attempted twice for the same failure.
        let new = fallback.targets.iter().filter(|target| !has_target(&plan, target));
        whole.targets.extend(new.cloned());
    }
    Ok(Arc::new(whole))
}

/// What a call asks for.
fn query<'a>(call: &'a Call, model: Option<&'a str>) -> ModelQuery<'a> {
    let query = ModelQuery { model, provider: call.only_provider.as_deref() };
    by_own_name(call.snapshot.own.as_ref(), query)
}

/// A query as it is resolved where a tenant's own provider goes by another name than its settings give
/// it.
pub(crate) fn by_own_name<'a>(
    own: Option<&'a OwnProvider>,
    ModelQuery { model, provider }: ModelQuery<'a>,
) -> ModelQuery<'a> {
    let Some(own) = own else { return ModelQuery { model, provider } };
    let is_own = |name: &str| own.alias.as_deref() == Some(name);
    let provider = provider.map(|name| if is_own(name) { own.name.as_str() } else { name });
    let own_model = |name: &'a str| name.split_once('/').filter(|(prefix, _)| is_own(prefix));
    match model.and_then(own_model) {
        Some((_, model)) if !model.is_empty() => {
            ModelQuery { model: Some(model), provider: provider.or(Some(&own.name)) }
        }
        _ => ModelQuery { model, provider },
    }
}

fn has_target(plan: &RoutePlan, target: &Target) -> bool {
    plan.targets.iter().any(|it| it.provider == target.provider && it.model == target.model)
}

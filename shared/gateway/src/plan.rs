//! The plan of a call: the targets of what it asks for, and behind them those of its tenant's
//! fallback models.

use std::sync::Arc;

use canonical::Result;
use routing::{ModelQuery, RoutePlan, Target};

use crate::Call;

/// The plan for what a call asks for.
pub(crate) fn resolve(call: &Call) -> Result<Arc<RoutePlan>> {
    let (routes, provider) = (&call.snapshot.routes, call.only_provider.as_deref());
    let plan = routes.resolve(ModelQuery { model: call.request.model.as_deref(), provider })?;
    let fallbacks = &call.tenant.settings.models.fallback;
    if fallbacks.is_empty() {
        return Ok(plan);
    }

    let mut whole = RoutePlan::clone(&plan);
    for model in fallbacks {
        // A name that is served no more is no reason to refuse what the client asks for.
        let Ok(fallback) = routes.resolve(ModelQuery { model: Some(model), provider }) else {
            tracing::debug!(tenant = call.tenant.id, model, "a fallback model is not served");
            continue;
        };
        // A target that is in the plan already would be attempted twice for the same failure.
        let new = fallback.targets.iter().filter(|target| !has_target(&plan, target));
        whole.targets.extend(new.cloned());
    }
    Ok(Arc::new(whole))
}

fn has_target(plan: &RoutePlan, target: &Target) -> bool {
    plan.targets.iter().any(|it| it.provider == target.provider && it.model == target.model)
}

//! OpenRouter's routing members, as a request or a preset has them: models in order.
//!
//! Source: openrouter.ai/docs (model routing, provider routing), seen 2026-11.

use crate::{
    draft::{Draft, DraftProvider, bare, entry, step, text},
    mapping::Mapping,
};

const REASONS: [(&str, &str); 5] = [
    ("provider", "OpenRouter itself chooses among its providers"),
    ("transforms", "prompts are never cut"),
    ("plugins", "tools run at the client"),
    ("messages", "belongs to a request"),
    ("route", "steps are tried in order"),
];

pub(crate) fn import(mut root: Mapping<'_>, name: &str, draft: &mut Draft) {
    let first = root.text("model");
    let models: Vec<String> = first.into_iter().chain(root.texts("models")).collect();

    let provider = draft.provider(DraftProvider {
        name: "openrouter".to_owned(),
        kind: "openrouter".to_owned(),
        base_url: None,
        key: Some(bare("${OPENROUTER_API_KEY}")),
        more: vec![],
    });

    let mut steps = vec![];
    for model in models {
        let step = step(&provider, &model);
        if !steps.contains(&step) {
            steps.push(step);
        }
    }
    if let Some(mut preference) = root.mapping("provider") {
        if preference.text("sort").as_deref() == Some("price") {
            draft.route(name).settings.push(entry("strategy", bare("cheapest")));
        }
        let reason = "OpenRouter itself chooses among its providers";
        let keys =
            ["order", "only", "ignore", "allow_fallbacks", "data_collection", "quantizations"];
        preference.leave("provider", &keys.map(|key| (key, reason)), draft);
    }

    draft.route(name).steps = steps;
    draft.set("default_model", text(name));
    root.leave("", &REASONS, draft);
}

//! The `version: "1.0"` file of liuzl/ai's gateway.

use crate::{
    draft::{Draft, DraftProvider, bare, entry, text},
    mapping::{Mapping, line},
    provider_kinds::key_variable,
};

const KINDS: [&str; 3] = ["openai", "gemini", "anthropic"];

pub(crate) fn import(mut root: Mapping<'_>, draft: &mut Draft) {
    root.text("version");
    let default = root.text("default_provider");
    for kind in default.iter() {
        provider(kind, draft);
    }
    for node in root.list("models") {
        let Some(mut model) = Mapping::open(node) else { continue };
        let (Some(name), Some(kind)) = (model.text("name"), model.text("provider")) else {
            draft.note(line(node), "a model without `name` or `provider` is left out");
            continue;
        };
        if !KINDS.contains(&&*kind) {
            draft.note(line(node), format!("{name} is left out: there is no provider {kind}"));
            continue;
        }
        let provider = provider(&kind, draft);
        let mut entries = vec![entry("name", text(name)), entry("provider", text(provider))];
        let description = model.text("description");
        entries.extend(description.map(|it| entry("description", text(it))));
        draft.models.push(entries);
        model.leave("models", &[], draft);
    }

    if let Some(model) = root.take("default_model") {
        draft.note(
            line(model),
            "`default_model` serves requests that name none; there, it also took the place of \
             unknown names, which are a 404 here",
        );
        if let Some(name) = crate::mapping::text(model) {
            draft.set("default_model", text(name));
        }
    }

    if let Some(kind) = default {
        draft.set("default_provider", text(kind));
    }
    let message =
        "`OPENAI_BASE_URL` and its like are not read here: give a provider its `base_url`";
    draft.note(None, message);
    root.leave("", &[("timeout", "it was ignored; 300s is the default here, too")], draft);
}

fn provider(kind: &str, draft: &mut Draft) -> String {
    let key = key_variable(kind).map(|variable| bare(format!("${{{variable}}}")));
    let (name, kind) = (kind.to_owned(), kind.to_owned());
    draft.provider(DraftProvider { name, kind, base_url: None, key, more: vec![] })
}

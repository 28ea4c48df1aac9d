//! Fingerprints of requests: equal ones ask the same of the same model.

use canonical::CanonicalRequest;
use routing::RoutePlan;
use tenants::KeyHash;

use crate::{Call, target_order};

/// Changes with every version, since what a request means may be read otherwise then.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The fingerprint of a call's request, as hexadecimal digits: its tenant, its model, the targets that
/// may serve it, and everything that it says. Whether it is streamed, and in which format it is keyed,
/// makes no difference, as long as nothing is keyed that only one format has words for.
pub(crate) fn fingerprint(call: &Call, plan: &RoutePlan) -> String {
    let request = &call.request;
    let mut keyed = String::with_capacity(request.raw.body.len() + 256);
    let mut add = |text: &str| {
        // The length keeps texts apart that stand side by side.
        keyed.push_str(&text.len().to_string());
        keyed.push(':');
        keyed.push_str(text);
    };
    add(VERSION);
    add(&call.tenant.id);
    add(&format!("{:?}", request.task));
    add(request.model.as_deref().unwrap_or_default());
    add(call.only_provider.as_deref().unwrap_or_default());
    // Conditions read what is no part of the body, such as headers.
    add(&format!("{:?}", target_order::eligible(call, plan)));
    // Headers that pass through, such as betas, change what a model does.
    for (name, value) in &request.headers {
        add(name);
        add(value);
    }

    match request.canonical() {
        Ok(canonical) if canonical.unmapped_fields().is_empty() => {
            add("canonical");
            add(&described(canonical));
        }
        Ok(_) | Err(_) => {
            add(request.format.name);
            for (name, value) in members(call) {
                add(name);
                add(value);
            }
        }
    }
    digest(&keyed)
}

fn described(canonical: &CanonicalRequest) -> String {
    format!("{canonical:?}")
}

/// The members of a body that say something of the request, in order of their names.
fn members(call: &Call) -> Vec<(&str, &str)> {
    let raw = &call.request.raw;
    let text = |place: &std::ops::Range<usize>| {
        std::str::from_utf8(raw.body.get(place.clone()).unwrap_or_default()).unwrap_or_default()
    };
    let all = raw.members.iter().map(|it| (text(&it.key), text(&it.value)));
    let mut members: Vec<(&str, &str)> =
        all.filter(|(name, _)| !matches!(*name, "\"stream\"" | "\"stream_options\"")).collect();
    members.sort_unstable();
    members
}

/// The SHA-256 of a text, as hexadecimal digits.
pub(crate) fn digest(text: &str) -> String {
    KeyHash::of(text).as_str().to_owned()
}

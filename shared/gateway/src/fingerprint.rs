//! Fingerprints of requests: equal ones ask the same of the same model.

use canonical::CanonicalRequest;
use routing::RoutePlan;
use tenants::{KeyHash, policy};

use crate::{Call, target_order};

/// Changes with every version, since what a request means may be read otherwise then.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The fingerprint of what a client asks for, as hexadecimal digits: its tenant, its model and
/// everything that its request says. Whether it is streamed, and in which format it is keyed, makes no
/// difference, as long as nothing is keyed that only one format has words for.
///
/// It is taken before the settings of the tenant are applied, so that a request that is repeated after
/// an operator has changed them is the same one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fingerprint(String);

impl Fingerprint {
    /// The fingerprint of a call's request, to which no policy is applied yet.
    pub(crate) fn of_request(call: &Call) -> Self {
        let request = &call.request;
        let mut keyed = Keyed::with_capacity(request.raw.body.len() + 256);
        keyed.add(VERSION);
        keyed.add(&call.tenant.id);
        keyed.add(&format!("{:?}", request.task));
        // As the client named it: which model serves a request that names none is a setting.
        keyed.add(call.record.request.model.as_deref().unwrap_or_default());
        keyed.add(call.only_provider.as_deref().unwrap_or_default());
        // Headers that pass through, such as betas, change what a model does.
        for (name, value) in &request.headers {
            keyed.add(name);
            keyed.add(value);
        }

        match request.canonical() {
            Ok(canonical) if canonical.unmapped_fields().is_empty() => {
                keyed.add("canonical");
                keyed.add(&described(canonical));
            }
            Ok(_) | Err(_) => {
                keyed.add(request.format.name);
                for (name, value) in members(call) {
                    keyed.add(name);
                    keyed.add(value);
                }
            }
        }
        Self(digest(&keyed.0))
    }

    /// The fingerprint as hexadecimal digits.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The fingerprint of the request as it is made: with the model and the targets that may serve it,
    /// and what its tenant's settings add.
    pub(crate) fn as_made(&self, call: &Call, plan: &RoutePlan) -> String {
        let mut keyed = Keyed::with_capacity(512);
        keyed.add(&self.0);
        keyed.add(call.request.model.as_deref().unwrap_or_default());
        // Conditions read what is no part of the body, such as headers.
        keyed.add(&format!("{:?}", target_order::eligible(call, plan)));
        keyed.add(&format!("{:?}", policy::system_prompt(&call.tenant)));
        keyed.add(&format!("{:?}", call.tenant.settings.requests.max_output_tokens));
        digest(&keyed.0)
    }
}

/// Texts of which each is kept apart from the next.
struct Keyed(String);

impl Keyed {
    fn with_capacity(bytes: usize) -> Self {
        Self(String::with_capacity(bytes))
    }

    fn add(&mut self, text: &str) {
        // The length keeps texts apart that stand side by side.
        self.0.push_str(&text.len().to_string());
        self.0.push(':');
        self.0.push_str(text);
    }
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

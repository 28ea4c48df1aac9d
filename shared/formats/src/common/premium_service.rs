//! Whether a request wants to be served for more than its model's price: sooner, faster, or at a place
//! of its choice. How much more is known to its provider alone.
//!
//! Sources: OpenAI's *Priority processing*, Anthropic's *Service tiers*, *Fast mode* and *Data
//! residency*, Google's *Priority inference*, Groq's *Service tiers*. Seen 2026-11.

use super::request_policy::is_spelling;
use crate::{
    RawObject,
    json::{name_of, text},
};

/// The members that say how a request is served, and their values that cost no more than the price.
const SERVED: [(&str, &[&str]); 3] = [
    (
        "service_tier",
        &["auto", "default", "standard", "standard_only", "flex", "on_demand", "unspecified"],
    ),
    ("speed", &["standard"]),
    ("inference_geo", &["global"]),
];

/// Whether a request wants to be served for more than its model's price.
pub(crate) fn wants_premium_service(raw: &RawObject) -> bool {
    raw.members.iter().any(|it| {
        let (name, value) = (name_of(&raw.body, it), text(&raw.body, &it.value));
        let mut served = SERVED.iter().filter(|(member, _)| is_spelling(&name, member));
        value != "null" && served.any(|(_, standard)| !standard.contains(&word(value).as_str()))
    })
}

/// The word that a value is: Google's begin with their member's name.
fn word(value: &str) -> String {
    let word: String = serde_json::from_str(value).unwrap_or_else(|_| value.to_owned());
    word.to_ascii_lowercase().trim_start_matches("service_tier_").to_owned()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::json;

    #[test]
    fn who_wants_to_be_served_sooner_pays_more_than_the_price() {
        for (member, expected) in [
            (r#""service_tier":"priority""#, true),
            (r#""service_tier":"prior\u0069ty""#, true),
            (r#""serviceTier":"SERVICE_TIER_PRIORITY""#, true),
            (r#""service_tier":"flex","Service_Tier":"priority""#, true),
            (r#""speed":"fast""#, true),
            (r#""inference_geo":"us""#, true),
            (r#""service_tier":{"type":"priority"}"#, true),
            (r#""service_tier":"auto","speed":null,"inference_geo":"global""#, false),
            (r#""serviceTier":"SERVICE_TIER_FLEX""#, false),
            (r#""model":"priority""#, false),
        ] {
            let body = format!("{{{member}}}");
            let raw = json::members(Bytes::from(body)).unwrap();
            assert_eq!(wants_premium_service(&raw), expected, "{member}");
        }
    }
}

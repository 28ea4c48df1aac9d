//! For how long failures made targets cool down.

use std::collections::BTreeMap;

use telemetry::sums::OTHER;

use super::{
    families::{Reading, added},
    family::Labels,
};

/// The cooldowns of targets, in microseconds.
pub(super) fn series(reading: &Reading) -> BTreeMap<Labels, u64> {
    let cooldowns = reading.totals.sums.cooldowns.iter().map(|(key, millis)| {
        let model = if key.is_configured { key.model.clone() } else { OTHER.to_owned() };
        let labels = vec![("provider", key.provider.clone()), ("model", model)];
        (labels, millis.saturating_mul(1_000))
    });
    added(cooldowns)
}

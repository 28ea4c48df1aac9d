//! Facts about families of models: rules in the data file, by the form of a model's name.
//!
//! Every rule that fits a name adds its facts to those of the rules before it, so that the most
//! particular rule stands last.

#[cfg(test)]
mod tests;

use canonical::{
    Effort, ModelApi, ModelFacts, ModelFamily, ReasoningControl, ReasoningOff, SamplingSupport,
};
use serde::Deserialize;

/// The version that a name without one counts as: the newest.
const NEWEST: Version = (u32::MAX, 0);

/// Two numbers, as in `4.6`.
type Version = (u32, u32);

/// A family of models.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Family<'a> {
    /// The types of provider whose models these are; empty for any.
    #[serde(borrow, default)]
    providers: Vec<&'a str>,
    #[serde(borrow, default)]
    name: NamePattern<'a>,
    #[serde(default)]
    facts: FamilyFacts,
    /// The rules for some models of the family.
    #[serde(borrow, default)]
    models: Vec<Rule<'a>>,
    /// The name of a source, for people and a test.
    #[serde(rename = "source")]
    _source: &'a str,
}

/// A rule for some models of a family.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule<'a> {
    #[serde(borrow, default)]
    name: NamePattern<'a>,
    /// The first version that the rule is for.
    from: Option<Version>,
    /// The first version that the rule is no longer for.
    below: Option<Version>,
    facts: FamilyFacts,
}

/// Texts by which names are told apart. An empty list fits every name.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct NamePattern<'a> {
    /// Texts of which a name begins with one.
    #[serde(borrow)]
    starts: Vec<&'a str>,
    /// Texts of which a name contains one.
    #[serde(borrow)]
    contains: Vec<&'a str>,
    /// Texts of which a name contains none.
    #[serde(borrow)]
    without: Vec<&'a str>,
}

/// The facts that a rule adds; those left out stay as they are.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct FamilyFacts {
    family: Option<ModelFamily>,
    default_max_output: Option<u64>,
    apis: Option<Vec<ModelApi>>,
    reasoning: Option<ReasoningControl>,
    reasoning_off: Option<ReasoningOff>,
    efforts: Option<Vec<Effort>>,
    budget: Option<(u64, u64)>,
    reasons_unrequested: Option<bool>,
    replays_reasoning_text: Option<bool>,
    sampling: Option<SamplingSupport>,
    forced_tools: Option<bool>,
    schemas: Option<bool>,
    prefill: Option<bool>,
    dimensions: Option<bool>,
}

/// The facts that the rules give about a model at a type of provider.
pub(crate) fn find(families: &[Family<'_>], provider_type: &str, model: &str) -> ModelFacts {
    let mut facts = ModelFacts::UNKNOWN;
    // A path, an ARN or a vendor may stand before the name.
    let name = model.rsplit('/').next().unwrap_or(model).to_ascii_lowercase();
    for family in families.iter().filter(|it| it.is_of(provider_type)) {
        let Some(rest) = family.name.rest(&name) else { continue };
        family.facts.apply(&mut facts);

        let version = version(rest);
        for rule in family.models.iter().filter(|it| it.fits(&name, version)) {
            rule.facts.apply(&mut facts);
        }
    }
    facts
}

impl Family<'_> {
    fn is_of(&self, provider_type: &str) -> bool {
        self.providers.is_empty() || self.providers.contains(&provider_type)
    }
}

impl Rule<'_> {
    fn fits(&self, name: &str, version: Version) -> bool {
        self.name.rest(name).is_some()
            && self.from.is_none_or(|from| from <= version)
            && self.below.is_none_or(|below| version < below)
    }
}

impl NamePattern<'_> {
    /// The part of a name behind the text that it is told by; none for a name that does not fit.
    fn rest<'n>(&self, name: &'n str) -> Option<&'n str> {
        if self.without.iter().any(|it| name.contains(it)) {
            return None;
        }
        let started = match &self.starts[..] {
            [] => Some(name),
            starts => starts.iter().find_map(|it| name.strip_prefix(it)),
        };
        let contained = match &self.contains[..] {
            [] => started,
            texts => texts.iter().find_map(|it| Some(name.split_once(it)?.1)),
        };
        started.and(contained)
    }
}

impl FamilyFacts {
    fn apply(&self, facts: &mut ModelFacts) {
        set(&mut facts.family, &self.family);
        set(&mut facts.apis, &self.apis);
        set(&mut facts.sampling, &self.sampling);
        set(&mut facts.forced_tools, &self.forced_tools);
        set(&mut facts.schemas, &self.schemas);
        set(&mut facts.dimensions, &self.dimensions);
        set(&mut facts.reasoning.off, &self.reasoning_off);
        set(&mut facts.reasoning.efforts, &self.efforts);
        set(&mut facts.reasoning.unrequested, &self.reasons_unrequested);
        set(&mut facts.reasoning.replays_text, &self.replays_reasoning_text);
        facts.reasoning.control = self.reasoning.or(facts.reasoning.control);
        facts.reasoning.budget = self.budget.or(facts.reasoning.budget);
        facts.prefill = self.prefill.or(facts.prefill);
        facts.default_max_output = self.default_max_output.or(facts.default_max_output);
    }
}

fn set<T: Clone>(fact: &mut T, value: &Option<T>) {
    if let Some(value) = value {
        fact.clone_from(value);
    }
}

/// The first two small numbers of a name. Dates are longer; a name without a number is the newest.
fn version(name: &str) -> Version {
    let is_number =
        |it: &&str| (1..=2).contains(&it.len()) && it.bytes().all(|it| it.is_ascii_digit());
    let words: Vec<&str> = name.split(|it: char| !it.is_ascii_alphanumeric()).collect();
    // Aliases such as `claude-opus` follow the newest model, so that its rules fit them.
    let Some(first) = words.iter().position(is_number) else {
        return NEWEST;
    };
    let number = |at: usize| words.get(at).filter(|it| is_number(it))?.parse().ok();
    (number(first).unwrap_or(u32::MAX), number(first + 1).unwrap_or(0))
}

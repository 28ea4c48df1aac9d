//! Diagnosis of a provider's failure: one table of rules, of which the first that matches decides.
//!
//! `error_body` parses the failure, and `routing` decides whether and how to try again.

mod account;
mod limits;
mod model;
mod params;
mod status;

use canonical::{ErrorKind, Field, Remedy};

/// A failure before its diagnosis.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Symptoms<'a> {
    /// The HTTP status, or the one that an event in a stream stands for.
    pub(crate) status: u16,
    /// The provider's own codes and types.
    pub(crate) codes: &'a [String],
    /// The parameter that the provider names beside its message.
    pub(crate) param: Option<&'a str>,
    /// The provider's message.
    pub(crate) message: &'a str,
}

/// The diagnosis of a failure.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Diagnosis {
    /// The kind of the failure.
    pub(crate) kind: ErrorKind,
    /// The change with which the same target may accept the request.
    pub(crate) remedy: Option<Remedy>,
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
struct Rule {
    /// HTTP statuses; none means any.
    statuses: &'static [u16],
    /// One of the provider's codes or types, in lower case; empty means any.
    code: &'static str,
    /// Names of a parameter, one of which the message or `param` must hold; none means any.
    names: &'static [&'static str],
    /// Fragments that the message must hold, in lower case.
    text: &'static [&'static str],
    kind: ErrorKind,
    remedy: Suggestion,
    /// The report of the wording, or the page that documents it; seen in 2026-11.
    #[cfg_attr(not(test), expect(dead_code, reason = "for readers and the test of every row"))]
    source: &'static str,
    /// A message as a provider sends it.
    #[cfg_attr(not(test), expect(dead_code, reason = "for readers and the test of every row"))]
    example: &'static str,
}

/// The remedy of a rule, before the parameter's name is looked up.
#[derive(Clone, Copy, Debug)]
enum Suggestion {
    None,
    /// Drop the parameter that the failure names. A rule does not match where none is known.
    DropNamedParam,
    DropMaxTokens,
    DropTopP,
    RenameMaxTokens,
    DropUser,
    /// Move system messages to the beginning.
    MoveSystem,
    DropSignatures,
    DropBetas,
    SchemaAsText,
}

/// The rule that matches everything. Others differ from it.
const ANY: Rule = Rule {
    statuses: &[],
    code: "",
    names: &[],
    text: &[],
    kind: ErrorKind::Upstream,
    remedy: Suggestion::None,
    source: "",
    example: "",
};

/// Statuses with which providers refuse a request as such.
const REFUSED: &[u16] = &[400, 413, 422];

/// The groups in the order in which they are tried.
///
/// The limit on output precedes the context length, because its refusals mention both; whatever is
/// about the account precedes what is about a parameter, because such refusals name parameters, too;
/// a parameter that is deprecated for a model precedes models that are deprecated.
static TABLE: &[&[Rule]] = &[
    limits::OUTPUT,
    limits::RATE,
    limits::CONTEXT,
    account::RULES,
    params::SAMPLING,
    model::UNAVAILABLE,
    params::SIGNATURES,
    params::RULES,
    model::WITHOUT,
    status::RULES,
];

/// Diagnoses a failure.
pub(crate) fn diagnose(symptoms: &Symptoms<'_>) -> Diagnosis {
    rule_for(symptoms).map_or(Diagnosis { kind: ErrorKind::Upstream, remedy: None }, |it| it.1)
}

fn rule_for(symptoms: &Symptoms<'_>) -> Option<(&'static Rule, Diagnosis)> {
    let message = symptoms.message.to_ascii_lowercase();
    let param = symptoms.param.unwrap_or_default().to_ascii_lowercase();

    let mut rules = TABLE.iter().copied().flatten();
    // A rule that matches may still give no diagnosis, where it wants a parameter and none is
    // named: the search goes on then.
    rules.find_map(|rule| rule.diagnose(symptoms, &message, &param).map(|it| (rule, it)))
}

impl Rule {
    /// The diagnosis of the rule, if the rule matches.
    fn diagnose(&self, symptoms: &Symptoms<'_>, message: &str, param: &str) -> Option<Diagnosis> {
        let has_status = self.statuses.is_empty() || self.statuses.contains(&symptoms.status);
        let has_code = self.code.is_empty()
            || symptoms.codes.iter().any(|it| it.eq_ignore_ascii_case(self.code));
        let has_text = self.text.iter().all(|it| message.contains(it));
        let has_name = self.names.is_empty()
            || self.names.iter().any(|it| param.contains(it) || message.contains(it));
        if !(has_status && has_code && has_text && has_name) {
            return None;
        }
        let remedy = match self.remedy {
            Suggestion::None => None,
            // Without a name there is nothing to leave out, and the same request would be refused
            // again.
            Suggestion::DropNamedParam => Some(params::named(param, message)?),
            Suggestion::DropMaxTokens => Some(Remedy::DropParam(Field::MaxTokens)),
            Suggestion::DropTopP => Some(Remedy::DropParam(Field::TopP)),
            Suggestion::RenameMaxTokens => Some(Remedy::DropParam(Field::MaxTokensName)),
            Suggestion::DropUser => Some(Remedy::DropParam(Field::User)),
            Suggestion::MoveSystem => Some(Remedy::DropParam(Field::LateSystem)),
            Suggestion::DropSignatures => Some(Remedy::DropSignatures),
            Suggestion::DropBetas => Some(Remedy::DropBetas),
            Suggestion::SchemaAsText => Some(Remedy::SchemaAsText),
        };
        Some(Diagnosis { kind: self.kind, remedy })
    }
}

#[cfg(test)]
mod tests;

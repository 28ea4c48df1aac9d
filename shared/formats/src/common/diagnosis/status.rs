//! Diagnosis by the status alone, where neither code nor message match a rule.

use canonical::ErrorKind;

use super::{ANY, REFUSED, Rule};

/// Source: RFC 9110, section 15; and the error pages of OpenAI, Anthropic and Google.
const STATUS: Rule = Rule { source: "RFC 9110, section 15", ..ANY };

/// The last rules of the table.
pub(super) const RULES: &[Rule] = &[
    // Another target would refuse it as well, and the client should read why.
    Rule { statuses: REFUSED, kind: ErrorKind::InvalidRequest, ..STATUS },
    // They are about the gateway's own account and the target, so that another target may respond.
    // A client that read a 401 of the provider would look for the fault in its own key.
    Rule { statuses: &[401, 402, 403, 404], kind: ErrorKind::ProviderAccess, ..STATUS },
    Rule { statuses: &[408, 504], kind: ErrorKind::Timeout, ..STATUS },
    Rule { statuses: &[429], kind: ErrorKind::RateLimited, ..STATUS },
    STATUS,
];

//! Every row with its own example, and what must not match.

use super::*;

fn diagnosis(status: u16, code: &str, message: &str) -> Diagnosis {
    let codes = [code.to_owned()];
    diagnose(&Symptoms { status, codes: &codes, param: None, message })
}

#[test]
fn every_row_decides_its_own_example() {
    for rule in TABLE.iter().copied().flatten() {
        let status = rule.statuses.first().copied().unwrap_or(500);
        let codes = [rule.code.to_owned()];
        let message = rule.example;
        let (found, _) =
            rule_for(&Symptoms { status, codes: &codes, param: None, message }).unwrap();
        assert!(std::ptr::eq(found, rule), "{message:?} of {rule:?} is decided by {found:?}");
    }
}

#[test]
fn every_row_has_a_source() {
    for rule in TABLE.iter().copied().flatten() {
        assert!(!rule.source.is_empty(), "{rule:?}");
        let is_lower = rule.text.iter().chain(rule.names).all(|it| *it == it.to_lowercase());
        assert!(is_lower && rule.code == rule.code.to_lowercase(), "{rule:?}");
    }
}

#[test]
fn a_400_about_the_request_stops() {
    for message in [
        "`max_tokens` must be greater than `thinking.budget_tokens`",
        "max_tokens must be at least 1",
        "'service_tier' : value is not one of the allowed values ['auto','flex']",
        "Invalid schema for response_format 'answer': 'type' is missing.",
        "temperature must be between 0 and 2",
        "Unknown parameter: 'temprature'.",
        "`thinking.budget_tokens` must be at least 1024",
        "'messages.1' : property 'reasoning_content' is unsupported",
        "messages.1.content.0: unknown block `thinking_aloud`",
        "The signature of the request does not match",
        "messages: roles must alternate between \"user\" and \"assistant\"",
        "Your request was rejected as a result of our safety system.",
        "Could not process image",
    ] {
        let expected = Diagnosis { kind: ErrorKind::InvalidRequest, remedy: None };
        assert_eq!(diagnosis(400, "invalid_request_error", message), expected, "{message}");
    }
}

#[test]
fn a_rejected_parameter_is_named_by_its_remedy() {
    let field = |message: &str| match diagnosis(400, "", message).remedy {
        Some(Remedy::DropParam(field)) => Some(field),
        _ => None,
    };
    for (message, expected) in [
        (
            "Unsupported value: 'temperature' does not support 0.2 with this model.",
            Field::Temperature,
        ),
        ("\"llama3:8b\" does not support thinking", Field::Reasoning),
        ("This model does not support the effort parameter.", Field::Reasoning),
        ("Unrecognized request argument supplied: reasoning_effort", Field::Reasoning),
        ("Unrecognized request argument supplied: seed", Field::Seed),
        ("Model grok-4 does not support parameter presencePenalty.", Field::PresencePenalty),
        ("`temperature` is deprecated for this model.", Field::Temperature),
        (
            "The model returned the following errors: top_k is deprecated for this model.",
            Field::TopK,
        ),
        (
            "The model returned the following errors: temperature and top_p cannot both be specified \
             for this model. Please use only one.",
            Field::TopP,
        ),
    ] {
        assert_eq!(field(message), Some(expected), "{message}");
    }
}

#[test]
fn a_parameter_may_be_named_beside_the_message() {
    let codes = ["unsupported_value".to_owned()];
    let symptoms = Symptoms {
        status: 400,
        codes: &codes,
        param: Some("reasoning.effort"),
        message: "'minimal' is not supported with the 'gpt-5.1' model.",
    };
    assert_eq!(diagnose(&symptoms).remedy, Some(Remedy::DropParam(Field::Reasoning)));
    let symptoms = Symptoms {
        status: 422,
        codes: &[],
        param: Some("max_completion_tokens"),
        message: "Extra inputs are not permitted",
    };
    assert_eq!(diagnose(&symptoms).remedy, Some(Remedy::DropParam(Field::MaxTokensName)));
}

#[test]
fn a_response_schema_is_described_where_it_is_rejected() {
    for message in [
        "response_format.type `json_schema` is unavailable now",
        "This model does not support response format `json_schema`.",
        "Invalid parameter: 'response_format' of type 'json_schema' is not supported with this model.",
    ] {
        assert_eq!(diagnosis(400, "", message).remedy, Some(Remedy::SchemaAsText), "{message}");
    }
}

#[test]
fn a_limit_on_output_precedes_the_context_length() {
    let message = "'max_tokens' or 'max_completion_tokens' is too large: 64000. This model's maximum \
                   context length is 64001 tokens and your request has 24235 input tokens";
    let remedy = Some(Remedy::DropParam(Field::MaxTokens));
    assert_eq!(diagnosis(400, "", message), Diagnosis { kind: ErrorKind::Rejected, remedy });
}

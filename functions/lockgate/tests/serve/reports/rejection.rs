//! The requests that real providers reject, by the names that the rules use.

use serde_json::Value;
use testkit::provider::ReceivedRequest;

/// Whether a provider with this rejection rejects a request.
pub(super) fn applies(what: &str, seen: &ReceivedRequest) -> bool {
    let body = seen.json();
    match what {
        "everything" => true,
        "user_over_64" => body["user"].as_str().is_some_and(|user| 64 < user.len()),
        "schema_without_properties" => {
            functions(&body).any(|function| function["parameters"].get("properties").is_none())
        }
        "property_names" => has_odd_property(&body["tools"]),
        "late_system" => roles(&body).skip(1).any(|role| role == "system"),

        "lone_surrogate" => String::from_utf8_lossy(&seen.body).contains("\\ud83d"),
        "user_over_128" => body["user"].as_str().is_some_and(|user| 128 < user.len()),
        "first_message_of_assistant" => roles(&body).next() == Some("assistant"),
        "no_messages" => body["messages"].as_array().is_none_or(Vec::is_empty),
        "no_contents" => body["contents"].as_array().is_none_or(Vec::is_empty),
        "two_versions" => seen.headers.get_all("anthropic-version").iter().count() != 1,
        "adaptive_thinking" => body["thinking"]["type"] == "adaptive",
        "budget_of_limit" => {
            let budget = body["thinking"]["budget_tokens"].as_u64().unwrap_or_default();
            body["max_tokens"].as_u64().is_none_or(|limit| limit <= budget)
        }
        "strict_with_optional_property" => {
            let schema = &body["response_format"]["json_schema"];
            schema["strict"] == true && schema["schema"].get("additionalProperties").is_none()
        }
        "url_safe_base64" => String::from_utf8_lossy(&seen.body).contains("_-8"),
        "json_object" => body["response_format"]["type"] == "json_object",
        "call_ids" => has_odd_call_id(&body["messages"]),
        "blank_stop" => {
            let stops = body["inferenceConfig"]["stopSequences"].as_array();
            stops.is_some_and(|stops| stops.iter().any(is_blank))
        }
        field => body.get(field).is_some(),
    }
}

fn functions(body: &Value) -> impl Iterator<Item = &Value> {
    body["tools"].as_array().into_iter().flatten().map(|tool| &tool["function"])
}

fn roles(body: &Value) -> impl Iterator<Item = &str> {
    let messages = body["messages"].as_array().into_iter().flatten();
    messages.filter_map(|message| message["role"].as_str())
}

fn is_blank(stop: &Value) -> bool {
    stop.as_str().is_none_or(|stop| stop.trim().is_empty())
}

/// Whether a schema somewhere inside names a property as Anthropic and Bedrock do not take it.
fn has_odd_property(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().any(has_odd_property),
        Value::Object(members) => {
            let properties = members.get("properties").and_then(Value::as_object);
            properties.is_some_and(|it| it.keys().any(|name| !fits(name, "_.-")))
                || members.values().any(has_odd_property)
        }
        _ => false,
    }
}

/// Whether a call or a result somewhere inside has an id that Anthropic does not take.
fn has_odd_call_id(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().any(has_odd_call_id),
        Value::Object(members) => {
            let ids = ["id", "tool_use_id"].into_iter().filter_map(|name| members.get(name));
            ids.filter_map(Value::as_str).any(|id| !fits(id, "_-"))
                || members.values().any(has_odd_call_id)
        }
        _ => false,
    }
}

fn fits(name: &str, signs: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.chars().all(|it| it.is_ascii_alphanumeric() || signs.contains(it))
}

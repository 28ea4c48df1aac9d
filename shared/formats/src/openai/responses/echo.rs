//! The members of a response that repeat its request.
//!
//! Source: the API reference of the Response object and `ResponseResource` of the Open Responses
//! specification, seen 2026-11: each is there in every response, at the reference's default value
//! where the request does not name one.

use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::{
    GatewayRequest, RawObject,
    json::{self, Edits, Object},
};

/// A request, as far as its responses repeat it.
#[derive(Debug)]
pub(super) struct RequestEcho {
    raw: RawObject,
    text: Box<RawValue>,
    reasoning: Box<RawValue>,
    tools: Box<RawValue>,
}

/// The members as a response has them.
#[derive(Debug, Serialize)]
pub(super) struct EchoJson<'a> {
    background: bool,
    frequency_penalty: &'a RawValue,
    instructions: &'a RawValue,
    max_output_tokens: &'a RawValue,
    max_tool_calls: &'a RawValue,
    metadata: &'a RawValue,
    parallel_tool_calls: &'a RawValue,
    presence_penalty: &'a RawValue,
    previous_response_id: Option<()>,
    prompt_cache_key: &'a RawValue,
    reasoning: &'a RawValue,
    safety_identifier: &'a RawValue,
    service_tier: &'a RawValue,
    store: bool,
    temperature: &'a RawValue,
    text: &'a RawValue,
    tool_choice: &'a RawValue,
    tools: &'a RawValue,
    top_logprobs: &'a RawValue,
    top_p: &'a RawValue,
    truncation: &'a RawValue,
    user: &'a RawValue,
}

impl Default for RequestEcho {
    /// The members that responses repeat of a request without any.
    fn default() -> Self {
        Self::of(RawObject { body: Bytes::new(), members: vec![] })
    }
}

impl RequestEcho {
    /// The members of a request that its responses repeat.
    pub(super) fn new(request: &GatewayRequest) -> Self {
        Self::of(request.raw.clone())
    }

    fn of(raw: RawObject) -> Self {
        let text = completed(&raw, "text", &[("format", r#"{"type":"text"}"#)]);
        let reasoning = completed(&raw, "reasoning", &[("effort", "null"), ("summary", "null")]);
        let tools = tools(&raw);
        Self { raw, text, reasoning, tools }
    }

    /// The members for one response.
    pub(super) fn members(&self) -> EchoJson<'_> {
        let value = |name: &str, default: &'static str| self.value(name, default);
        EchoJson {
            // Nothing runs on after its call, and nothing is stored.
            background: false,
            store: false,
            previous_response_id: None,
            frequency_penalty: value("frequency_penalty", "0.0"),
            instructions: value("instructions", "null"),
            max_output_tokens: value("max_output_tokens", "null"),
            max_tool_calls: value("max_tool_calls", "null"),
            metadata: value("metadata", "{}"),
            parallel_tool_calls: value("parallel_tool_calls", "true"),
            presence_penalty: value("presence_penalty", "0.0"),
            prompt_cache_key: value("prompt_cache_key", "null"),
            reasoning: &self.reasoning,
            safety_identifier: value("safety_identifier", "null"),
            service_tier: value("service_tier", "\"default\""),
            temperature: value("temperature", "1.0"),
            text: &self.text,
            tool_choice: value("tool_choice", "\"auto\""),
            tools: &self.tools,
            top_logprobs: value("top_logprobs", "0"),
            top_p: value("top_p", "1.0"),
            truncation: value("truncation", "\"disabled\""),
            user: value("user", "null"),
        }
    }

    fn value(&self, name: &str, default: &'static str) -> &RawValue {
        member(&self.raw, name).or_else(|| parsed(default)).unwrap_or(RawValue::NULL)
    }
}

/// A member of the request that is not null.
fn member<'a>(raw: &'a RawObject, name: &str) -> Option<&'a RawValue> {
    let member = json::find(raw, name).ok().flatten()?;
    parsed(json::text(&raw.body, &member.value)).filter(|it| it.get() != "null")
}

fn parsed(json: &str) -> Option<&RawValue> {
    serde_json::from_str(json).ok()
}

/// An object of the request with the members that it lacks.
fn completed(
    raw: &RawObject,
    name: &str,
    defaults: &[(&'static str, &'static str)],
) -> Box<RawValue> {
    let object = member(raw, name).map_or("{}", RawValue::get);
    let add_defaults = |edits: &mut Edits<'_>| {
        for (name, default) in defaults {
            if edits.value(name).is_none() {
                edits.set(name, *default);
            }
        }
    };
    boxed(json::edited(object, add_defaults).unwrap_or_else(|_| object.to_owned()))
}

/// The tools, each function with all the members of one.
fn tools(raw: &RawObject) -> Box<RawValue> {
    let list = member(raw, "tools").map_or("[]", RawValue::get);
    let list: Vec<&RawValue> = serde_json::from_str(list).unwrap_or_default();
    let tools: Vec<String> = list.into_iter().map(tool).collect();
    boxed(format!("[{}]", tools.join(",")))
}

fn tool(json: &RawValue) -> String {
    let object: Object<'_> = serde_json::from_str(json.get()).unwrap_or_default();
    let is_function = object.get("type").is_some_and(|it| it.get() == "\"function\"");
    // Other tools have members of their own.
    if !is_function {
        return json.get().to_owned();
    }
    let add_defaults = |edits: &mut Edits<'_>| {
        for (name, default) in
            [("description", "null"), ("parameters", "null"), ("strict", "false")]
        {
            if edits.value(name).is_none() {
                edits.set(name, default);
            }
        }
    };
    json::edited(json.get(), add_defaults).unwrap_or_else(|_| json.get().to_owned())
}

fn boxed(json: String) -> Box<RawValue> {
    RawValue::from_string(json).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{Inbound, openai::responses::OpenAiResponses};

    fn echo(request: &str) -> Value {
        let request = Bytes::copy_from_slice(request.as_bytes());
        let request = OpenAiResponses.decode(request).unwrap();
        serde_json::to_value(RequestEcho::new(&request).members()).unwrap()
    }

    #[test]
    fn what_the_request_names_is_repeated() {
        let echo = echo(
            r#"{"input":"x","temperature":0.20,"store":true,"text":{"verbosity":"low"},
            "reasoning":{"effort":"low"},"tools":[{"type":"function","name":"f"}],"user":null}"#,
        );
        assert_eq!(echo["temperature"], json!(0.2));
        assert_eq!(echo["store"], json!(false));
        assert_eq!(echo["text"], json!({"verbosity": "low", "format": {"type": "text"}}));
        assert_eq!(echo["reasoning"], json!({"effort": "low", "summary": null}));
        let function = json!({
            "type": "function", "name": "f", "description": null, "parameters": null, "strict": false
        });
        assert_eq!(echo["tools"], json!([function]));
        assert_eq!(echo["user"], json!(null));
    }

    #[test]
    fn what_it_does_not_name_has_the_references_default() {
        let echo = echo(r#"{"input":"x"}"#);
        for (name, default) in [
            ("temperature", json!(1.0)),
            ("top_p", json!(1.0)),
            ("presence_penalty", json!(0.0)),
            ("frequency_penalty", json!(0.0)),
            ("top_logprobs", json!(0)),
            ("parallel_tool_calls", json!(true)),
            ("tool_choice", json!("auto")),
            ("truncation", json!("disabled")),
            ("service_tier", json!("default")),
            ("metadata", json!({})),
            ("tools", json!([])),
        ] {
            assert_eq!(echo[name], default, "{name}");
        }
    }
}

//! Responses of every format, read as a client's SDK reads them.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::wire_formats::events;

/// The content of a response.
#[derive(Debug, Default)]
struct Reading {
    text: String,
    /// The name and the arguments of each call, as text.
    calls: BTreeMap<u64, (String, String)>,
    has_error: bool,
}

/// Everything in which a body differs from what a rule expects of it.
pub(super) fn faults(expect: &Value, body: &str) -> Vec<String> {
    let reading = read(body);
    let mut faults = Vec::new();
    if expect.get("text").is_some_and(|text| *text != reading.text) {
        faults.push(format!("the text is {:?}: {body}", reading.text));
    }
    if let Some(calls) = expect["calls"].as_array() {
        let found = reading.calls.values().map(|(name, arguments)| {
            let arguments: Value = serde_json::from_str(arguments).unwrap_or_default();
            Value::from(vec![Value::from(name.as_str()), arguments])
        });
        if found.collect::<Vec<_>>() != *calls {
            faults.push(format!("the calls are {:?}: {body}", reading.calls));
        }
    }
    if expect["ends"] == "error" && !reading.has_error {
        faults.push(format!("no error ends it: {body}"));
    }
    if let Some(member) = expect["every_choice_has"].as_str() {
        let events = events(body);
        let mut choices = events.iter().filter_map(|event| event["choices"].as_array()).flatten();
        if choices.any(|choice| choice.get(member).is_none()) {
            faults.push(format!("a choice has no {member}: {body}"));
        }
    }
    let texts = |name: &str| expect[name].as_array().cloned().unwrap_or_default();
    for text in texts("contains").iter().filter_map(Value::as_str) {
        if !body.contains(text) {
            faults.push(format!("{text} is missing: {body}"));
        }
    }
    for text in texts("lacks").iter().filter_map(Value::as_str) {
        if body.contains(text) {
            faults.push(format!("{text} is there: {body}"));
        }
    }
    faults
}

fn read(body: &str) -> Reading {
    match serde_json::from_str::<Value>(body) {
        Ok(whole) => read_whole(&whole),
        Err(_) => read_stream(body),
    }
}

fn read_whole(whole: &Value) -> Reading {
    let mut reading = Reading { has_error: whole.get("error").is_some(), ..Reading::default() };
    let message = &whole["choices"][0]["message"];
    reading.text.push_str(message["content"].as_str().unwrap_or_default());
    for call in message["tool_calls"].as_array().into_iter().flatten() {
        let at = reading.calls.len() as u64;
        reading
            .calls
            .insert(at, (owned(&call["function"]["name"]), owned(&call["function"]["arguments"])));
    }
    for block in whole["content"].as_array().into_iter().flatten() {
        reading.text.push_str(block["text"].as_str().unwrap_or_default());
        if block["type"] == "tool_use" {
            let at = reading.calls.len() as u64;
            reading.calls.insert(at, (owned(&block["name"]), block["input"].to_string()));
        }
    }
    read_items(&mut reading, whole);
    read_parts(&mut reading, whole);
    reading
}

/// Adds the output items of a whole response of the Responses format.
fn read_items(reading: &mut Reading, response: &Value) {
    for item in response["output"].as_array().into_iter().flatten() {
        for part in item["content"].as_array().into_iter().flatten() {
            reading.text.push_str(part["text"].as_str().unwrap_or_default());
        }
        if item["type"] == "function_call" {
            let at = reading.calls.len() as u64;
            reading.calls.insert(at, (owned(&item["name"]), owned(&item["arguments"])));
        }
    }
}

/// Adds the parts of a response of Gemini, whole or one of a stream.
fn read_parts(reading: &mut Reading, response: &Value) {
    let parts = &response["candidates"][0]["content"]["parts"];
    for part in parts.as_array().into_iter().flatten() {
        if part["thought"] != true {
            reading.text.push_str(part["text"].as_str().unwrap_or_default());
        }
        if let Some(call) = part.get("functionCall") {
            let at = reading.calls.len() as u64;
            reading.calls.insert(at, (owned(&call["name"]), call["args"].to_string()));
        }
    }
}

fn read_stream(body: &str) -> Reading {
    let mut reading = Reading::default();
    for event in events(body) {
        reading.has_error |= event.get("error").is_some_and(|error| !error.is_null());
        reading.has_error |= ["error", "response.failed"].iter().any(|kind| event["type"] == *kind);
        // The last event of the Responses format repeats everything.
        if event["type"] == "response.completed" {
            read_items(&mut reading, &event["response"]);
        }
        read_parts(&mut reading, &event);
        read_chunk(&mut reading, &event["choices"][0]["delta"]);
        read_block(&mut reading, &event);
    }
    reading
}

/// Adds a chat delta, as OpenAI's SDKs do: by index, texts appended.
fn read_chunk(reading: &mut Reading, delta: &Value) {
    reading.text.push_str(delta["content"].as_str().unwrap_or_default());
    for call in delta["tool_calls"].as_array().into_iter().flatten() {
        let (name, arguments) = reading.calls.entry(call["index"].as_u64().unwrap()).or_default();
        name.push_str(call["function"]["name"].as_str().unwrap_or_default());
        arguments.push_str(call["function"]["arguments"].as_str().unwrap_or_default());
    }
}

/// Adds an event of an Anthropic stream.
fn read_block(reading: &mut Reading, event: &Value) {
    let block = &event["content_block"];
    if block["type"] == "tool_use" {
        let call = (owned(&block["name"]), String::new());
        reading.calls.insert(event["index"].as_u64().unwrap(), call);
    }
    let delta = &event["delta"];
    reading.text.push_str(block["text"].as_str().unwrap_or_default());
    reading.text.push_str(delta["text"].as_str().unwrap_or_default());
    if let Some(arguments) = delta["partial_json"].as_str() {
        let at = event["index"].as_u64().unwrap();
        reading.calls.get_mut(&at).unwrap().1.push_str(arguments);
    }
}

fn owned(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

//! Responses of OpenAI Responses, whole and in events.

use serde_json::{Value, json};

use super::MAKER;
use crate::provider::{ScriptedResponse, Step};
use crate::strict::signature::sign;
use crate::strict::{
    DecodedRequest, InjectedFault, Script, ScriptedContent, Stop, Tokens, openai, sse,
};

pub(super) fn whole(script: &Script, request: &DecodedRequest) -> ScriptedResponse {
    if script
        .injected_fault
        .is_some_and(|it| matches!(it, InjectedFault::ErrorFirst | InjectedFault::ErrorLast))
    {
        return openai::failure(500);
    }
    let items: Vec<Value> = items(script, request).into_iter().map(|it| it.done).collect();
    sse::whole(script, &response(script, request, &items)).header("x-request-id", "req_strict")
}

pub(super) fn stream(script: &Script, request: &DecodedRequest) -> ScriptedResponse {
    let items = items(script, request);
    let mut events = Events::default();
    let mut begun = response(script, request, &[]);
    begun["status"] = "in_progress".into();
    begun["usage"] = Value::Null;
    begun["incomplete_details"] = Value::Null;
    events.add("response.created", json!({"response": begun}));
    events.add("response.in_progress", json!({"response": begun}));
    for (index, item) in items.iter().enumerate() {
        events
            .add("response.output_item.added", json!({"output_index": index, "item": item.begun}));
        for (kind, mut members) in item.events.clone() {
            members["output_index"] = index.into();
            members["item_id"] = item.done["id"].clone();
            events.add(kind, members);
        }
        events.add("response.output_item.done", json!({"output_index": index, "item": item.done}));
    }
    let sent = std::mem::take(&mut events.steps);
    let done: Vec<Value> = items.into_iter().map(|it| it.done).collect();
    let last = response(script, request, &done);
    let kind = if last["status"] == "incomplete" { "incomplete" } else { "completed" };
    events.add(&format!("response.{kind}"), json!({"response": last}));
    let end = std::mem::take(&mut events.steps);
    let message = "An error occurred while processing your request.";
    events.add("error", json!({"code": "server_error", "message": message, "param": null}));
    let error = events.steps.remove(0);
    sse::stream(script, sent, end, error).header("x-request-id", "req_strict")
}

#[derive(Default)]
struct Events {
    steps: Vec<Step>,
    number: usize,
}

impl Events {
    fn add(&mut self, kind: &str, mut members: Value) {
        members["type"] = kind.into();
        members["sequence_number"] = self.number.into();
        self.number += 1;
        self.steps.push(sse::named(&members));
    }
}

/// One item of the output: as it begins, what streams of it, and as it is when done.
struct Item {
    begun: Value,
    events: Vec<(&'static str, Value)>,
    done: Value,
}

fn items(script: &Script, request: &DecodedRequest) -> Vec<Item> {
    let mut items: Vec<Item> = vec![];
    for (at, say) in script.content.iter().enumerate() {
        match say {
            ScriptedContent::Reasoning(chunks) => items.push(reasoning(at, chunks, request)),
            ScriptedContent::RedactedReasoning => items.push(reasoning(at, &[], request)),
            ScriptedContent::Text(chunks) => {
                items.push(text(
                    &name("msg", at, request),
                    chunks,
                    &citations(&script.content, at),
                ));
            }
            ScriptedContent::Refusal(chunks) => {
                items.push(refusal(&name("msg", at, request), chunks));
            }
            ScriptedContent::Call { id, name, arguments } => {
                items.push(call(&self::name("fc", at, request), id, name, arguments));
            }
            ScriptedContent::Citation { .. } => {}
        }
    }
    items
}

/// The name of an item.
fn name(kind: &str, at: usize, request: &DecodedRequest) -> String {
    format!("{kind}_{}x{at}", request.number)
}

fn citations(content: &[ScriptedContent], at: usize) -> Vec<Value> {
    let mut found = vec![];
    for say in content.iter().skip(at + 1) {
        let ScriptedContent::Citation { url, title, .. } = say else { break };
        found.push(json!({
            "type": "url_citation", "url": url, "title": title, "start_index": 0, "end_index": 1,
        }));
    }
    found
}

fn reasoning(at: usize, chunks: &[String], request: &DecodedRequest) -> Item {
    let text = chunks.concat();
    let begun = json!({"type": "reasoning", "id": name("rs", at, request), "summary": []});
    let mut done = begun.clone();
    if request.wants_signatures == Some(true) {
        done["encrypted_content"] = sign(MAKER, &text).into();
    }
    let mut events = vec![];
    if !chunks.is_empty() {
        let part = |text: &str| json!({"type": "summary_text", "text": text});
        done["summary"] = json!([part(&text)]);
        let add = json!({"summary_index": 0, "part": part("")});
        events.push(("response.reasoning_summary_part.added", add));
        for chunk in chunks {
            let delta = json!({"summary_index": 0, "delta": chunk});
            events.push(("response.reasoning_summary_text.delta", delta));
        }
        let whole = json!({"summary_index": 0, "text": text});
        events.push(("response.reasoning_summary_text.done", whole));
        let end = json!({"summary_index": 0, "part": part(&text)});
        events.push(("response.reasoning_summary_part.done", end));
    }
    Item { begun, events, done }
}

fn message(id: &str, status: &str, content: &Value) -> Value {
    json!({
        "type": "message", "id": id, "status": status, "role": "assistant",
        "content": content,
    })
}

fn text(id: &str, chunks: &[String], annotations: &[Value]) -> Item {
    let whole = chunks.concat();
    let part = |text: &str, annotations: &[Value]| json!({"type": "output_text", "text": text, "annotations": annotations, "logprobs": []});
    let mut events =
        vec![("response.content_part.added", json!({"content_index": 0, "part": part("", &[])}))];
    for chunk in chunks {
        let delta = json!({"content_index": 0, "delta": chunk, "logprobs": []});
        events.push(("response.output_text.delta", delta));
    }
    for (index, annotation) in annotations.iter().enumerate() {
        let one = json!({
            "content_index": 0, "annotation_index": index, "annotation": annotation,
        });
        events.push(("response.output_text.annotation.added", one));
    }
    let done = json!({"content_index": 0, "text": whole, "logprobs": []});
    events.push(("response.output_text.done", done));
    let part = part(&whole, annotations);
    events.push(("response.content_part.done", json!({"content_index": 0, "part": part})));
    let begun = message(id, "in_progress", &json!([]));
    Item { begun, events, done: message(id, "completed", &json!([part])) }
}

fn refusal(id: &str, chunks: &[String]) -> Item {
    let whole = chunks.concat();
    let part = |text: &str| json!({"type": "refusal", "refusal": text});
    let mut events =
        vec![("response.content_part.added", json!({"content_index": 0, "part": part("")}))];
    for chunk in chunks {
        events.push(("response.refusal.delta", json!({"content_index": 0, "delta": chunk})));
    }
    events.push(("response.refusal.done", json!({"content_index": 0, "refusal": whole})));
    events.push(("response.content_part.done", json!({"content_index": 0, "part": part(&whole)})));
    let begun = message(id, "in_progress", &json!([]));
    Item { begun, events, done: message(id, "completed", &json!([part(&whole)])) }
}

fn call(item_id: &str, id: &str, name: &str, arguments: &[String]) -> Item {
    let whole = if arguments.is_empty() { "{}".to_owned() } else { arguments.concat() };
    let item = |status: &str, arguments: &str| {
        json!({
            "type": "function_call", "id": item_id, "call_id": id, "name": name,
            "arguments": arguments, "status": status,
        })
    };
    let mut events = vec![];
    for chunk in arguments {
        events.push(("response.function_call_arguments.delta", json!({"delta": chunk})));
    }
    let done = json!({"name": name, "arguments": whole});
    events.push(("response.function_call_arguments.done", done));
    Item { begun: item("in_progress", ""), events, done: item("completed", &whole) }
}

fn response(script: &Script, request: &DecodedRequest, output: &[Value]) -> Value {
    let (status, details) = match script.stop {
        Stop::Length => ("incomplete", json!({"reason": "max_output_tokens"})),
        Stop::Filtered => ("incomplete", json!({"reason": "content_filter"})),
        _ => ("completed", Value::Null),
    };
    json!({
        "id": format!("resp_strict{}", request.number), "object": "response", "created_at": 1_741_569_952, "status": status,
        "background": false, "error": null, "incomplete_details": details, "instructions": null,
        "max_output_tokens": null, "model": request.model, "output": output,
        "parallel_tool_calls": true, "previous_response_id": null,
        "reasoning": {"effort": null, "summary": null}, "service_tier": "default", "store": false,
        "temperature": 1.0, "text": {"format": {"type": "text"}}, "tool_choice": "auto",
        "tools": [], "top_p": 1.0, "truncation": "disabled", "usage": usage(&script.tokens),
        "user": null, "metadata": {}, "completed_at": 1_741_569_953, "presence_penalty": 0.0,
        "frequency_penalty": 0.0, "top_logprobs": 0, "max_tool_calls": null,
        "safety_identifier": null, "prompt_cache_key": null,
    })
}

fn usage(tokens: &Tokens) -> Value {
    let (input, output) = (tokens.all_input(), tokens.all_output());
    json!({
        "input_tokens": input, "input_tokens_details": {"cached_tokens": tokens.cached},
        "output_tokens": output, "output_tokens_details": {"reasoning_tokens": tokens.reasoning},
        "total_tokens": input + output,
    })
}

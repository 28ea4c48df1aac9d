//! Responses of OpenAI Chat Completions, whole and in chunks.

use serde_json::{Value, json};

use crate::provider::{ScriptedResponse, Step};
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
    let mut message = json!({"role": "assistant", "content": null, "refusal": null});
    let mut annotations = vec![];
    let mut calls = vec![];
    for say in &script.content {
        match say {
            ScriptedContent::Text(parts) => add(&mut message["content"], &parts.concat()),
            ScriptedContent::Refusal(parts) => add(&mut message["refusal"], &parts.concat()),
            ScriptedContent::Reasoning(parts) => {
                add(&mut message["reasoning_content"], &parts.concat());
            }
            ScriptedContent::RedactedReasoning => {}
            ScriptedContent::Citation { url, title, .. } => {
                let length = message["content"].as_str().unwrap_or_default().chars().count();
                annotations.push(annotation(url, title, length));
            }
            ScriptedContent::Call { id, name, arguments } => {
                let arguments =
                    if arguments.is_empty() { "{}".to_owned() } else { arguments.concat() };
                let function = json!({"name": name, "arguments": arguments});
                calls.push(json!({"id": id, "type": "function", "function": function}));
            }
        }
    }
    if !calls.is_empty() {
        message["tool_calls"] = calls.into();
    }
    message["annotations"] = annotations.into();
    let choice = json!({
        "index": 0, "message": message, "logprobs": null, "finish_reason": reason(&script.stop),
    });
    let response = json!({
        "id": id(request), "object": "chat.completion", "created": 1_741_569_952,
        "model": request.model, "choices": [choice], "usage": usage(&script.tokens),
        "service_tier": "default", "system_fingerprint": "fp_strict",
    });
    sse::whole(script, &response).header("x-request-id", "req_strict")
}

pub(super) fn stream(script: &Script, request: &DecodedRequest) -> ScriptedResponse {
    let mut sent =
        vec![chunk(request, &json!({"role": "assistant", "content": "", "refusal": null}), None)];
    let mut calls = 0;
    for say in &script.content {
        let one = |name: &str, it: &String| chunk(request, &json!({name: it}), None);
        match say {
            ScriptedContent::Text(parts) => sent.extend(parts.iter().map(|it| one("content", it))),
            ScriptedContent::Refusal(parts) => {
                sent.extend(parts.iter().map(|it| one("refusal", it)));
            }
            ScriptedContent::Reasoning(parts) => {
                sent.extend(parts.iter().map(|it| one("reasoning_content", it)));
            }
            ScriptedContent::RedactedReasoning => {}
            ScriptedContent::Citation { url, title, .. } => {
                sent.push(chunk(
                    request,
                    &json!({"annotations": [annotation(url, title, 1)]}),
                    None,
                ));
            }
            ScriptedContent::Call { id, name, arguments } => {
                let function = json!({"name": name, "arguments": ""});
                let call =
                    json!({"index": calls, "id": id, "type": "function", "function": function});
                sent.push(chunk(request, &json!({"tool_calls": [call]}), None));
                let none = ["{}".to_owned()];
                for part in if arguments.is_empty() { &none[..] } else { arguments } {
                    let call = json!({"index": calls, "function": {"arguments": part}});
                    sent.push(chunk(request, &json!({"tool_calls": [call]}), None));
                }
                calls += 1;
            }
        }
    }
    let mut end = vec![chunk(request, &json!({}), Some(reason(&script.stop)))];
    if request.wants_usage {
        let mut last = frame(request);
        last["choices"] = json!([]);
        last["usage"] = usage(&script.tokens);
        end.push(sse::data(&last));
    }
    end.push(Step::text("data: [DONE]\n\n"));
    let error = json!({"message": "The server had an error.", "type": "server_error",
        "param": null, "code": null});
    let response = sse::stream(script, sent, end, sse::data(&json!({"error": error})));
    response.header("x-request-id", "req_strict")
}

fn id(request: &DecodedRequest) -> String {
    format!("chatcmpl-strict{}", request.number)
}

fn frame(request: &DecodedRequest) -> Value {
    json!({
        "id": id(request), "object": "chat.completion.chunk", "created": 1_741_569_952,
        "model": request.model, "service_tier": "default", "system_fingerprint": "fp_strict",
    })
}

fn chunk(request: &DecodedRequest, delta: &Value, reason: Option<&str>) -> Step {
    let mut frame = frame(request);
    frame["choices"] =
        json!([{"index": 0, "delta": delta, "logprobs": null, "finish_reason": reason}]);
    sse::data(&frame)
}

fn annotation(url: &str, title: &str, end: usize) -> Value {
    let citation = json!({"url": url, "title": title, "start_index": 0, "end_index": end});
    json!({"type": "url_citation", "url_citation": citation})
}

fn add(member: &mut Value, text: &str) {
    *member = Value::from(format!("{}{text}", member.as_str().unwrap_or_default()));
}

fn reason(stop: &Stop) -> &'static str {
    match stop {
        Stop::Done | Stop::Refusal | Stop::Sequence(_) => "stop",
        Stop::Length => "length",
        Stop::Tools => "tool_calls",
        Stop::Filtered => "content_filter",
    }
}

fn usage(tokens: &Tokens) -> Value {
    let (input, output) = (tokens.all_input(), tokens.all_output());
    json!({
        "prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output,
        "prompt_tokens_details": {"cached_tokens": tokens.cached, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": tokens.reasoning, "audio_tokens": 0,
            "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0,
        },
    })
}

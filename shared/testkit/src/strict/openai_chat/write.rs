//! Answers of OpenAI Chat Completions, whole and in chunks.

use serde_json::{Value, json};

use crate::provider::{Answer, Step};
use crate::strict::{Asked, Say, Script, Stop, Tokens, Trouble, openai, sse};

pub(super) fn whole(script: &Script, asked: &Asked) -> Answer {
    if script.trouble.is_some_and(|it| matches!(it, Trouble::ErrorFirst | Trouble::ErrorLast)) {
        return openai::failure(500);
    }
    let mut message = json!({"role": "assistant", "content": null, "refusal": null});
    let mut annotations = vec![];
    let mut calls = vec![];
    for say in &script.says {
        match say {
            Say::Text(pieces) => add(&mut message["content"], &pieces.concat()),
            Say::Refusal(pieces) => add(&mut message["refusal"], &pieces.concat()),
            Say::Thought(pieces) => add(&mut message["reasoning_content"], &pieces.concat()),
            Say::Hidden => {}
            Say::Citation { url, title, .. } => {
                let length = message["content"].as_str().unwrap_or_default().chars().count();
                annotations.push(annotation(url, title, length));
            }
            Say::Call { id, name, arguments } => {
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
    let answer = json!({
        "id": id(asked), "object": "chat.completion", "created": 1_741_569_952,
        "model": "strict-1", "choices": [choice], "usage": usage(&script.tokens),
        "service_tier": "default", "system_fingerprint": "fp_strict",
    });
    sse::whole(script, &answer).header("x-request-id", "req_strict")
}

pub(super) fn stream(script: &Script, asked: &Asked) -> Answer {
    let mut said =
        vec![chunk(asked, &json!({"role": "assistant", "content": "", "refusal": null}), None)];
    let mut calls = 0;
    for say in &script.says {
        let one = |name: &str, it: &String| chunk(asked, &json!({name: it}), None);
        match say {
            Say::Text(pieces) => said.extend(pieces.iter().map(|it| one("content", it))),
            Say::Refusal(pieces) => said.extend(pieces.iter().map(|it| one("refusal", it))),
            Say::Thought(pieces) => {
                said.extend(pieces.iter().map(|it| one("reasoning_content", it)));
            }
            Say::Hidden => {}
            Say::Citation { url, title, .. } => {
                said.push(chunk(asked, &json!({"annotations": [annotation(url, title, 1)]}), None));
            }
            Say::Call { id, name, arguments } => {
                let function = json!({"name": name, "arguments": ""});
                let call =
                    json!({"index": calls, "id": id, "type": "function", "function": function});
                said.push(chunk(asked, &json!({"tool_calls": [call]}), None));
                let none = ["{}".to_owned()];
                for piece in if arguments.is_empty() { &none[..] } else { arguments } {
                    let call = json!({"index": calls, "function": {"arguments": piece}});
                    said.push(chunk(asked, &json!({"tool_calls": [call]}), None));
                }
                calls += 1;
            }
        }
    }
    let mut end = vec![chunk(asked, &json!({}), Some(reason(&script.stop)))];
    if asked.wants_usage {
        let mut last = frame(asked);
        last["choices"] = json!([]);
        last["usage"] = usage(&script.tokens);
        end.push(sse::data(&last));
    }
    end.push(Step::text("data: [DONE]\n\n"));
    let error = json!({"message": "The server had an error.", "type": "server_error",
        "param": null, "code": null});
    let answer = sse::stream(script, said, end, sse::data(&json!({"error": error})));
    answer.header("x-request-id", "req_strict")
}

fn id(asked: &Asked) -> String {
    format!("chatcmpl-strict{}", asked.number)
}

fn frame(asked: &Asked) -> Value {
    json!({
        "id": id(asked), "object": "chat.completion.chunk", "created": 1_741_569_952,
        "model": "strict-1", "service_tier": "default", "system_fingerprint": "fp_strict",
    })
}

fn chunk(asked: &Asked, delta: &Value, reason: Option<&str>) -> Step {
    let mut frame = frame(asked);
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
        Stop::Done | Stop::Refused | Stop::Sequence(_) => "stop",
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
            "reasoning_tokens": tokens.thought, "audio_tokens": 0,
            "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0,
        },
    })
}

//! Responses of Anthropic Messages, whole and in events.

use serde_json::{Value, json};

use super::MAKER;
use crate::provider::{ScriptedResponse, Step};
use crate::strict::signature::sign;
use crate::strict::{DecodedRequest, InjectedFault, Script, ScriptedContent, Stop, Tokens, sse};

pub(super) fn whole(script: &Script, request: &DecodedRequest) -> ScriptedResponse {
    if script
        .injected_fault
        .is_some_and(|it| matches!(it, InjectedFault::ErrorFirst | InjectedFault::ErrorLast))
    {
        return super::failure(529);
    }
    let content: Vec<Value> = blocks(script).into_iter().map(|it| it.done).collect();
    let mut message = message(script, request, &content);
    (message["stop_reason"], message["stop_sequence"]) = reason(&script.stop);
    message["usage"] = usage(&script.tokens, script.tokens.all_output());
    sse::whole(script, &message).header("request-id", "req_strict")
}

pub(super) fn stream(script: &Script, request: &DecodedRequest) -> ScriptedResponse {
    let mut begun = message(script, request, &[]);
    begun["usage"] = usage(&script.tokens, 1);
    let mut sent = vec![sse::named(&json!({"type": "message_start", "message": begun}))];
    sent.push(sse::named(&json!({"type": "ping"})));
    for (index, block) in blocks(script).into_iter().enumerate() {
        let start = json!({
            "type": "content_block_start", "index": index, "content_block": block.begun,
        });
        sent.push(sse::named(&start));
        for delta in block.deltas {
            let event = json!({"type": "content_block_delta", "index": index, "delta": delta});
            sent.push(sse::named(&event));
        }
        sent.push(sse::named(&json!({"type": "content_block_stop", "index": index})));
    }
    let (reason, sequence) = reason(&script.stop);
    let last = json!({
        "type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": sequence},
        "usage": {"output_tokens": script.tokens.all_output()},
    });
    let end = vec![sse::named(&last), sse::named(&json!({"type": "message_stop"}))];
    let error = json!({"type": "error",
        "error": {"type": "overloaded_error", "message": "Overloaded"}});
    let error: Step = sse::named(&error);
    sse::stream(script, sent, end, error).header("request-id", "req_strict")
}

/// One block: as it begins, what streams of it, and as it is when done.
struct Block {
    begun: Value,
    deltas: Vec<Value>,
    done: Value,
}

fn blocks(script: &Script) -> Vec<Block> {
    let mut blocks: Vec<Block> = vec![];
    for say in &script.content {
        match say {
            ScriptedContent::Text(chunks) | ScriptedContent::Refusal(chunks) => {
                blocks.push(text(chunks));
            }
            ScriptedContent::Reasoning(chunks) => blocks.push(reasoning(chunks)),
            ScriptedContent::RedactedReasoning => {
                let block = json!({"type": "redacted_thinking", "data": sign(MAKER, "hidden")});
                blocks.push(Block { begun: block.clone(), deltas: vec![], done: block });
            }
            ScriptedContent::Call { id, name, arguments } => blocks.push(call(id, name, arguments)),
            ScriptedContent::Citation { url, title, quote } => {
                let citation = json!({
                    "type": "web_search_result_location", "url": url, "title": title,
                    "cited_text": quote, "encrypted_index": "abc",
                });
                let Some(last) = blocks.last_mut() else { continue };
                last.deltas.push(json!({"type": "citations_delta", "citation": citation}));
                last.done["citations"] = json!([citation]);
            }
        }
    }
    blocks
}

fn text(chunks: &[String]) -> Block {
    let delta = |it: &String| json!({"type": "text_delta", "text": it});
    Block {
        begun: json!({"type": "text", "text": "", "citations": null}),
        deltas: chunks.iter().map(delta).collect(),
        done: json!({"type": "text", "text": chunks.concat(), "citations": null}),
    }
}

fn reasoning(chunks: &[String]) -> Block {
    let signature = sign(MAKER, &chunks.concat());
    let delta = |it: &String| json!({"type": "thinking_delta", "thinking": it});
    let mut deltas: Vec<Value> = chunks.iter().map(delta).collect();
    deltas.push(json!({"type": "signature_delta", "signature": signature}));
    Block {
        begun: json!({"type": "thinking", "thinking": "", "signature": ""}),
        deltas,
        done: json!({"type": "thinking", "thinking": chunks.concat(), "signature": signature}),
    }
}

fn call(id: &str, name: &str, arguments: &[String]) -> Block {
    let delta = |it: &str| json!({"type": "input_json_delta", "partial_json": it});
    let mut deltas = vec![delta("")];
    deltas.extend(arguments.iter().map(|it| delta(it)));
    let input = serde_json::from_str(&arguments.concat()).unwrap_or_else(|_| json!({}));
    let block = |input: Value| {
        let caller = json!({"type": "direct"});
        json!({"type": "tool_use", "id": id, "name": name, "input": input, "caller": caller})
    };
    Block { begun: block(json!({})), deltas, done: block(input) }
}

fn message(script: &Script, request: &DecodedRequest, content: &[Value]) -> Value {
    let model = if script.has_calls() { "strict-tools-1" } else { &request.model };
    json!({
        "id": format!("msg_strict{}", request.number), "type": "message", "role": "assistant", "model": model,
        "content": content, "stop_reason": null, "stop_sequence": null, "stop_details": null,
        "container": null,
    })
}

fn reason(stop: &Stop) -> (Value, Value) {
    let word = match stop {
        Stop::Done => "end_turn",
        Stop::Length => "max_tokens",
        Stop::Tools => "tool_use",
        Stop::Filtered | Stop::Refusal => "refusal",
        Stop::Sequence(text) => return ("stop_sequence".into(), text.as_str().into()),
    };
    (word.into(), Value::Null)
}

fn usage(tokens: &Tokens, output: u64) -> Value {
    json!({
        "input_tokens": tokens.input, "cache_creation_input_tokens": tokens.written,
        "cache_read_input_tokens": tokens.cached, "output_tokens": output,
        "service_tier": "standard", "cache_creation": null, "inference_geo": null,
        "output_tokens_details": null, "server_tool_use": null,
    })
}

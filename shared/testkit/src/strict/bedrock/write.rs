//! Responses of Converse, whole and in binary frames.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::MAKER;
use crate::bedrock;
use crate::provider::{ScriptedResponse, Step};
use crate::strict::signature::sign;
use crate::strict::{InjectedFault, Script, ScriptedContent, Stop, Tokens, sse};

pub(super) fn whole(script: &Script) -> ScriptedResponse {
    if script
        .injected_fault
        .is_some_and(|it| matches!(it, InjectedFault::ErrorFirst | InjectedFault::ErrorLast))
    {
        return super::failure(503);
    }
    let mut content: Vec<Value> = vec![];
    for say in &script.content {
        match (say, content.last_mut()) {
            (ScriptedContent::Citation { url, title, quote }, Some(last)) => {
                let citations = json!([citation(url, title, quote)]);
                *last = json!({"citationsContent": {"content": [last], "citations": citations}});
            }
            (say, _) => content.extend(done(say)),
        }
    }
    let mut response = json!({
        "output": {"message": {"role": "assistant", "content": content}},
        "stopReason": reason(&script.stop), "usage": usage(&script.tokens),
        "metrics": {"latencyMs": 12},
    });
    if let Stop::Sequence(text) = &script.stop {
        response["additionalModelResponseFields"] = json!({"stop_sequence": text});
    }
    sse::whole(script, &response).header("x-amzn-requestid", "req_strict")
}

fn done(say: &ScriptedContent) -> Option<Value> {
    Some(match say {
        ScriptedContent::Text(chunks) | ScriptedContent::Refusal(chunks) => {
            json!({"text": chunks.concat()})
        }
        ScriptedContent::Reasoning(chunks) => {
            let text = chunks.concat();
            let signature = sign(MAKER, &text);
            json!({"reasoningContent": {"reasoningText": {"text": text, "signature": signature}}})
        }
        ScriptedContent::RedactedReasoning => {
            json!({"reasoningContent": {"redactedContent": hidden()}})
        }
        ScriptedContent::Call { id, name, arguments } => {
            let input = serde_json::from_str(&arguments.concat()).unwrap_or_else(|_| json!({}));
            json!({"toolUse": {"toolUseId": id, "name": name, "input": input}})
        }
        ScriptedContent::Citation { .. } => return None,
    })
}

fn citation(url: &str, title: &str, quote: &str) -> Value {
    json!({"title": title, "sourceContent": [{"text": quote}], "location": {"web": {"url": url}}})
}

fn hidden() -> String {
    STANDARD.encode(sign(MAKER, "hidden"))
}

pub(super) fn stream(script: &Script) -> ScriptedResponse {
    let mut sent = vec![bedrock::start()];
    let mut index = 0;
    for (at, say) in script.content.iter().enumerate() {
        let delta = |delta: Value| {
            let payload = json!({"contentBlockIndex": index, "delta": delta});
            bedrock::event("contentBlockDelta", &payload)
        };
        match say {
            ScriptedContent::Text(chunks) | ScriptedContent::Refusal(chunks) => {
                sent.extend(chunks.iter().map(|it| delta(json!({"text": it}))));
                if let Some(ScriptedContent::Citation { url, title, quote }) =
                    script.content.get(at + 1)
                {
                    sent.push(delta(json!({"citation": citation(url, title, quote)})));
                }
            }
            ScriptedContent::Reasoning(chunks) => {
                let reasoning =
                    |name: &str, it: &str| delta(json!({"reasoningContent": {name: it}}));
                sent.extend(chunks.iter().map(|it| reasoning("text", it)));
                sent.push(reasoning("signature", &sign(MAKER, &chunks.concat())));
            }
            ScriptedContent::RedactedReasoning => {
                sent.push(delta(json!({"reasoningContent": {"redactedContent": hidden()}})));
            }
            ScriptedContent::Call { id, name, arguments } => {
                let start = json!({"toolUse": {"toolUseId": id, "name": name}});
                let start = json!({"contentBlockIndex": index, "start": start});
                sent.push(bedrock::event("contentBlockStart", &start));
                sent.extend(arguments.iter().map(|it| delta(json!({"toolUse": {"input": it}}))));
            }
            ScriptedContent::Citation { .. } => continue,
        }
        sent.push(bedrock::event("contentBlockStop", &json!({"contentBlockIndex": index})));
        index += 1;
    }
    let mut stop = json!({"stopReason": reason(&script.stop)});
    if let Stop::Sequence(text) = &script.stop {
        stop["additionalModelResponseFields"] = json!({"stop_sequence": text});
    }
    let usage = json!({"usage": usage(&script.tokens), "metrics": {"latencyMs": 12}});
    let end = vec![bedrock::event("messageStop", &stop), bedrock::event("metadata", &usage)];
    let error: Step = bedrock::exception("modelStreamErrorException", "The model failed.");
    let response = sse::stream(script, sent, end, error);
    response.header("content-type", bedrock::STREAM).header("x-amzn-requestid", "req_strict")
}

fn reason(stop: &Stop) -> &'static str {
    match stop {
        Stop::Done => "end_turn",
        Stop::Length => "max_tokens",
        Stop::Tools => "tool_use",
        Stop::Filtered | Stop::Refusal => "content_filtered",
        Stop::Sequence(_) => "stop_sequence",
    }
}

fn usage(tokens: &Tokens) -> Value {
    let total = tokens.all_input() + tokens.all_output();
    json!({
        "inputTokens": tokens.input, "outputTokens": tokens.all_output(), "totalTokens": total,
        "cacheReadInputTokens": tokens.cached, "cacheWriteInputTokens": tokens.written,
    })
}

//! Answers of Converse, whole and in binary frames.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::MAKER;
use crate::bedrock;
use crate::provider::{Answer, Step};
use crate::strict::seal::seal;
use crate::strict::{Say, Script, Stop, Tokens, Trouble, sse};

pub(super) fn whole(script: &Script) -> Answer {
    if script.trouble.is_some_and(|it| matches!(it, Trouble::ErrorFirst | Trouble::ErrorLast)) {
        return super::failure(503);
    }
    let mut content: Vec<Value> = vec![];
    for say in &script.says {
        match (say, content.last_mut()) {
            (Say::Citation { url, title, quote }, Some(last)) => {
                let citations = json!([citation(url, title, quote)]);
                *last = json!({"citationsContent": {"content": [last], "citations": citations}});
            }
            (say, _) => content.extend(done(say)),
        }
    }
    let mut answer = json!({
        "output": {"message": {"role": "assistant", "content": content}},
        "stopReason": reason(&script.stop), "usage": usage(&script.tokens),
        "metrics": {"latencyMs": 12},
    });
    if let Stop::Sequence(text) = &script.stop {
        answer["additionalModelResponseFields"] = json!({"stop_sequence": text});
    }
    sse::whole(script, &answer).header("x-amzn-requestid", "req_strict")
}

fn done(say: &Say) -> Option<Value> {
    Some(match say {
        Say::Text(pieces) | Say::Refusal(pieces) => json!({"text": pieces.concat()}),
        Say::Thought(pieces) => {
            let text = pieces.concat();
            let signature = seal(MAKER, &text);
            json!({"reasoningContent": {"reasoningText": {"text": text, "signature": signature}}})
        }
        Say::Hidden => json!({"reasoningContent": {"redactedContent": hidden()}}),
        Say::Call { id, name, arguments } => {
            let input = serde_json::from_str(&arguments.concat()).unwrap_or_else(|_| json!({}));
            json!({"toolUse": {"toolUseId": id, "name": name, "input": input}})
        }
        Say::Citation { .. } => return None,
    })
}

fn citation(url: &str, title: &str, quote: &str) -> Value {
    json!({"title": title, "sourceContent": [{"text": quote}], "location": {"web": {"url": url}}})
}

fn hidden() -> String {
    STANDARD.encode(seal(MAKER, "hidden"))
}

pub(super) fn stream(script: &Script) -> Answer {
    let mut said = vec![bedrock::start()];
    let mut index = 0;
    for (at, say) in script.says.iter().enumerate() {
        let delta = |delta: Value| {
            let payload = json!({"contentBlockIndex": index, "delta": delta});
            bedrock::event("contentBlockDelta", &payload)
        };
        match say {
            Say::Text(pieces) | Say::Refusal(pieces) => {
                said.extend(pieces.iter().map(|it| delta(json!({"text": it}))));
                if let Some(Say::Citation { url, title, quote }) = script.says.get(at + 1) {
                    said.push(delta(json!({"citation": citation(url, title, quote)})));
                }
            }
            Say::Thought(pieces) => {
                let thought = |name: &str, it: &str| delta(json!({"reasoningContent": {name: it}}));
                said.extend(pieces.iter().map(|it| thought("text", it)));
                said.push(thought("signature", &seal(MAKER, &pieces.concat())));
            }
            Say::Hidden => {
                said.push(delta(json!({"reasoningContent": {"redactedContent": hidden()}})));
            }
            Say::Call { id, name, arguments } => {
                let start = json!({"toolUse": {"toolUseId": id, "name": name}});
                let start = json!({"contentBlockIndex": index, "start": start});
                said.push(bedrock::event("contentBlockStart", &start));
                said.extend(arguments.iter().map(|it| delta(json!({"toolUse": {"input": it}}))));
            }
            Say::Citation { .. } => continue,
        }
        said.push(bedrock::event("contentBlockStop", &json!({"contentBlockIndex": index})));
        index += 1;
    }
    let mut stop = json!({"stopReason": reason(&script.stop)});
    if let Stop::Sequence(text) = &script.stop {
        stop["additionalModelResponseFields"] = json!({"stop_sequence": text});
    }
    let usage = json!({"usage": usage(&script.tokens), "metrics": {"latencyMs": 12}});
    let end = vec![bedrock::event("messageStop", &stop), bedrock::event("metadata", &usage)];
    let error: Step = bedrock::exception("modelStreamErrorException", "The model failed.");
    let answer = sse::stream(script, said, end, error);
    answer.header("content-type", bedrock::STREAM).header("x-amzn-requestid", "req_strict")
}

fn reason(stop: &Stop) -> &'static str {
    match stop {
        Stop::Done => "end_turn",
        Stop::Length => "max_tokens",
        Stop::Tools => "tool_use",
        Stop::Filtered | Stop::Refused => "content_filtered",
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

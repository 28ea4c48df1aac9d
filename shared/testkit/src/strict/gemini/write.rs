//! Answers of Gemini, whole and in chunks.

use serde_json::{Value, json};

use super::MAKER;
use crate::provider::Answer;
use crate::strict::seal::seal;
use crate::strict::{Asked, Say, Script, Stop, Tokens, Trouble, sse};

pub(super) fn whole(script: &Script, asked: &Asked) -> Answer {
    if script.trouble.is_some_and(|it| matches!(it, Trouble::ErrorFirst | Trouble::ErrorLast)) {
        return super::failure(503);
    }
    let mut parts: Vec<Value> = vec![];
    for group in groups(script) {
        let mut group = group.into_iter();
        let Some(mut whole) = group.next() else { continue };
        for piece in group {
            let (old, new) = (whole["text"].as_str(), piece["text"].as_str());
            let text = format!("{}{}", old.unwrap_or_default(), new.unwrap_or_default());
            whole["text"] = text.into();
        }
        parts.push(whole);
    }
    sse::whole(script, &last(script, asked, &parts))
}

pub(super) fn stream(script: &Script, asked: &Asked) -> Answer {
    let parts = groups(script).into_iter().flatten();
    let chunk = |part: Value| {
        let mut chunk = frame(&script.tokens, asked);
        chunk["candidates"] = json!([{
            "content": {"parts": [part], "role": "model"}, "index": 0,
        }]);
        sse::data(&chunk)
    };
    let said = parts.map(chunk).collect();
    // The last chunk of a real stream often has an empty text.
    let end = vec![sse::data(&last(script, asked, &[json!({"text": ""})]))];
    let error = json!({"error": {
        "code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE",
    }});
    sse::stream(script, said, end, sse::data(&error))
}

/// The parts of each thing that is said, piece by piece.
fn groups(script: &Script) -> Vec<Vec<Value>> {
    let mut groups = vec![];
    let mut signs = true;
    for say in &script.says {
        match say {
            Say::Text(pieces) | Say::Refusal(pieces) => {
                groups.push(pieces.iter().map(|it| json!({"text": it})).collect());
            }
            Say::Thought(pieces) => {
                let part = |it: &String| json!({"text": it, "thought": true});
                groups.push(pieces.iter().map(part).collect());
            }
            Say::Call { name, arguments, .. } => {
                let text = arguments.concat();
                let args = serde_json::from_str(&text).unwrap_or_else(|_| json!({}));
                let mut part = json!({"functionCall": {"name": name, "args": args}});
                // Of several calls at once only the first is signed.
                if std::mem::take(&mut signs) {
                    part["thoughtSignature"] = seal(MAKER, &format!("{name}{text}")).into();
                }
                groups.push(vec![part]);
            }
            Say::Hidden | Say::Citation { .. } => {}
        }
    }
    groups
}

fn frame(tokens: &Tokens, asked: &Asked) -> Value {
    json!({
        "modelVersion": "strict-1", "responseId": format!("strict{}", asked.number),
        "usageMetadata": {"promptTokenCount": tokens.all_input(),
            "totalTokenCount": tokens.all_input()},
    })
}

/// A chunk that ends the answer; alone, it is the whole of it.
fn last(script: &Script, asked: &Asked, parts: &[Value]) -> Value {
    let mut chunk = frame(&script.tokens, asked);
    let mut candidate = json!({
        "content": {"parts": parts, "role": "model"}, "finishReason": reason(&script.stop),
        "index": 0,
    });
    let sources: Vec<&Say> =
        script.says.iter().filter(|it| matches!(it, Say::Citation { .. })).collect();
    if !sources.is_empty() {
        candidate["groundingMetadata"] = grounding(&sources);
    }
    chunk["candidates"] = json!([candidate]);
    chunk["usageMetadata"] = usage(&script.tokens);
    chunk
}

fn grounding(sources: &[&Say]) -> Value {
    let (mut chunks, mut supports) = (vec![], vec![]);
    for (index, say) in sources.iter().enumerate() {
        let Say::Citation { url, title, quote } = say else { continue };
        chunks.push(json!({"web": {"uri": url, "title": title}}));
        let segment = json!({"startIndex": 0, "endIndex": quote.len(), "text": quote});
        supports.push(json!({"segment": segment, "groundingChunkIndices": [index]}));
    }
    json!({"groundingChunks": chunks, "groundingSupports": supports})
}

fn reason(stop: &Stop) -> &'static str {
    match stop {
        Stop::Done | Stop::Tools | Stop::Sequence(_) => "STOP",
        Stop::Length => "MAX_TOKENS",
        Stop::Filtered | Stop::Refused => "SAFETY",
    }
}

fn usage(tokens: &Tokens) -> Value {
    let mut usage = json!({
        "promptTokenCount": tokens.all_input(), "candidatesTokenCount": tokens.output,
        "totalTokenCount": tokens.all_input() + tokens.all_output(),
    });
    if 0 < tokens.cached {
        usage["cachedContentTokenCount"] = tokens.cached.into();
    }
    if 0 < tokens.thought {
        usage["thoughtsTokenCount"] = tokens.thought.into();
    }
    usage
}

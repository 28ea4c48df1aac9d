//! Responses of Gemini, whole and in chunks.

use serde_json::{Value, json};

use super::MAKER;
use crate::provider::ScriptedResponse;
use crate::strict::signature::sign;
use crate::strict::{DecodedRequest, InjectedFault, Script, ScriptedContent, Stop, Tokens, sse};

pub(super) fn whole(script: &Script, request: &DecodedRequest) -> ScriptedResponse {
    if script
        .injected_fault
        .is_some_and(|it| matches!(it, InjectedFault::ErrorFirst | InjectedFault::ErrorLast))
    {
        return super::failure(503);
    }
    let mut parts: Vec<Value> = vec![];
    for group in groups(script) {
        let mut group = group.into_iter();
        let Some(mut whole) = group.next() else { continue };
        for chunk in group {
            let (old, new) = (whole["text"].as_str(), chunk["text"].as_str());
            let text = format!("{}{}", old.unwrap_or_default(), new.unwrap_or_default());
            whole["text"] = text.into();
        }
        parts.push(whole);
    }
    sse::whole(script, &last(script, request, &parts))
}

pub(super) fn stream(script: &Script, request: &DecodedRequest) -> ScriptedResponse {
    let parts = groups(script).into_iter().flatten();
    let chunk = |part: Value| {
        let mut chunk = frame(&script.tokens, request);
        chunk["candidates"] = json!([{
            "content": {"parts": [part], "role": "model"}, "index": 0,
        }]);
        sse::data(&chunk)
    };
    let sent = parts.map(chunk).collect();
    // The last chunk of a real stream often has an empty text.
    let end = vec![sse::data(&last(script, request, &[json!({"text": ""})]))];
    let error = json!({"error": {
        "code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE",
    }});
    sse::stream(script, sent, end, sse::data(&error))
}

/// The parts of each thing that is said, chunk by chunk.
fn groups(script: &Script) -> Vec<Vec<Value>> {
    let mut groups = vec![];
    let mut signs = true;
    for say in &script.content {
        match say {
            ScriptedContent::Text(chunks) | ScriptedContent::Refusal(chunks) => {
                groups.push(chunks.iter().map(|it| json!({"text": it})).collect());
            }
            ScriptedContent::Reasoning(chunks) => {
                let part = |it: &String| json!({"text": it, "thought": true});
                groups.push(chunks.iter().map(part).collect());
            }
            ScriptedContent::Call { name, arguments, .. } => {
                let text = arguments.concat();
                let args = serde_json::from_str(&text).unwrap_or_else(|_| json!({}));
                let mut part = json!({"functionCall": {"name": name, "args": args}});
                // Of several calls at once only the first is signed.
                if std::mem::take(&mut signs) {
                    part["thoughtSignature"] = sign(MAKER, &format!("{name}{text}")).into();
                }
                groups.push(vec![part]);
            }
            ScriptedContent::RedactedReasoning | ScriptedContent::Citation { .. } => {}
        }
    }
    groups
}

fn frame(tokens: &Tokens, request: &DecodedRequest) -> Value {
    json!({
        "modelVersion": request.model, "responseId": format!("strict{}", request.number),
        "usageMetadata": {"promptTokenCount": tokens.all_input(),
            "totalTokenCount": tokens.all_input()},
    })
}

/// A chunk that ends the response; alone, it is the whole of it.
fn last(script: &Script, request: &DecodedRequest, parts: &[Value]) -> Value {
    let mut chunk = frame(&script.tokens, request);
    let mut candidate = json!({
        "content": {"parts": parts, "role": "model"}, "finishReason": reason(&script.stop),
        "index": 0,
    });
    let sources: Vec<&ScriptedContent> =
        script.content.iter().filter(|it| matches!(it, ScriptedContent::Citation { .. })).collect();
    if !sources.is_empty() {
        candidate["groundingMetadata"] = grounding(&sources);
    }
    chunk["candidates"] = json!([candidate]);
    chunk["usageMetadata"] = usage(&script.tokens);
    chunk
}

fn grounding(sources: &[&ScriptedContent]) -> Value {
    let (mut chunks, mut supports) = (vec![], vec![]);
    for (index, say) in sources.iter().enumerate() {
        let ScriptedContent::Citation { url, title, quote } = say else { continue };
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
        Stop::Filtered | Stop::Refusal => "SAFETY",
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
    if 0 < tokens.reasoning {
        usage["thoughtsTokenCount"] = tokens.reasoning.into();
    }
    usage
}

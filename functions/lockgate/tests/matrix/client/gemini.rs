//! A client of Gemini.

use serde_json::{Value, json};
use testkit::strict::{Choice, Shape, Stop};

use super::decode::{count, each, frames, list, number, only, says, word};
use super::{ClientRequest, DecodeFailure, KEY, ReceivedResponse, ToolCall, Usage, decode};
use crate::conversation::{self, Bit, Conversation, Line, ReasoningSetting, Unsupported};

pub(crate) fn ask(
    conversation: &Conversation,
    model: &str,
    stream: bool,
) -> Result<ClientRequest, Unsupported> {
    let text_elsewhere = conversation.user.is_some()
        || conversation.metadata.is_some()
        || conversation.cache.is_some();
    if text_elsewhere || conversation.parallel.is_some() {
        return Err(Unsupported);
    }
    let (mut system, mut contents) = (vec![], vec![]);
    for line in &conversation.lines {
        content(line, &mut system, &mut contents)?;
    }
    let mut body = json!({"contents": contents});
    if !system.is_empty() {
        body["systemInstruction"] = json!({"parts": system});
    }
    if !conversation.tools.is_empty() {
        let tool = |it: &conversation::Tool| {
            json!({"name": it.name, "description": it.description,
                "parametersJsonSchema": it.schema})
        };
        let tools: Vec<Value> = conversation.tools.iter().map(tool).collect();
        body["tools"] = json!([{"functionDeclarations": tools}]);
    }
    if let Some(choice) = &conversation.choice {
        let config = match choice {
            Choice::Auto => json!({"mode": "AUTO"}),
            Choice::None => json!({"mode": "NONE"}),
            Choice::Required => json!({"mode": "ANY"}),
            Choice::Named(name) => json!({"mode": "ANY", "allowedFunctionNames": [name]}),
        };
        body["toolConfig"] = json!({"functionCallingConfig": config});
    }
    let config = generation(conversation)?;
    if config != json!({}) {
        body["generationConfig"] = config;
    }
    let method = if stream { "streamGenerateContent?alt=sse" } else { "generateContent" };
    let headers = vec![("x-goog-api-key", KEY.to_owned())];
    Ok(ClientRequest { target: format!("/v1beta/models/{model}:{method}"), headers, body })
}

fn generation(conversation: &Conversation) -> Result<Value, Unsupported> {
    let mut config = json!({});
    for (name, value) in &conversation.numbers {
        let name = match *name {
            "temperature" => "temperature",
            "top_p" => "topP",
            "top_k" => "topK",
            "seed" => "seed",
            "n" => "candidateCount",
            "max_tokens" => "maxOutputTokens",
            "frequency_penalty" => "frequencyPenalty",
            "presence_penalty" => "presencePenalty",
            _ => return Err(Unsupported),
        };
        config[name] = conversation::number(*value);
    }
    if !conversation.stop.is_empty() {
        config["stopSequences"] = json!(conversation.stop);
    }
    if let Some(shape) = &conversation.shape {
        config["responseMimeType"] = "application/json".into();
        if let Shape::Schema(schema) = shape {
            config["responseJsonSchema"] = schema.clone();
        }
    }
    match conversation.reasoning_setting {
        Some(ReasoningSetting::Somehow) => {
            config["thinkingConfig"] = json!({"includeThoughts": true, "thinkingBudget": 2048});
        }
        Some(ReasoningSetting::Budget(budget)) => {
            config["thinkingConfig"] = json!({"thinkingBudget": budget});
        }
        Some(ReasoningSetting::Word(word)) => {
            config["thinkingConfig"] = json!({"thinkingLevel": word});
        }
        None => {}
    }
    Ok(config)
}

fn content(
    line: &Line,
    system: &mut Vec<Value>,
    contents: &mut Vec<Value>,
) -> Result<(), Unsupported> {
    match line {
        Line::System(text) => system.push(json!({"text": text})),
        Line::Developer(_) => return Err(Unsupported),
        Line::User(bits) => {
            let parts: Vec<Value> = bits.iter().map(part).collect();
            contents.push(json!({"role": "user", "parts": parts}));
        }
        Line::Answer(echo) => contents.extend(echo.iter().cloned()),
        Line::Results(outcomes) => {
            let parts: Vec<Value> = outcomes.iter().map(result).collect();
            contents.push(json!({"role": "user", "parts": parts}));
        }
    }
    Ok(())
}

fn part(bit: &Bit) -> Value {
    match bit {
        Bit::Text(text) => json!({"text": text}),
        Bit::Image(kind, data) => json!({"inlineData": {"mimeType": kind, "data": data}}),
        Bit::ImageUrl(url) => json!({"fileData": {"mimeType": "image/png", "fileUri": url}}),
        Bit::Pdf(data) => json!({"inlineData": {"mimeType": "application/pdf", "data": data}}),
        Bit::Wav(data) => json!({"inlineData": {"mimeType": "audio/wav", "data": data}}),
    }
}

fn result(outcome: &conversation::Outcome) -> Value {
    let member = if outcome.failed { "error" } else { "output" };
    let mut response = json!({"name": outcome.name, "response": {member: outcome.text}});
    if !outcome.id.is_empty() {
        response["id"] = outcome.id.clone().into();
    }
    if let Some((kind, data)) = outcome.image {
        response["parts"] = json!([part(&Bit::Image(kind, data))]);
    }
    json!({"functionResponse": response})
}

pub(crate) fn read(whole: &Value) -> Result<ReceivedResponse, DecodeFailure> {
    const MEMBERS: [&str; 6] = [
        "candidates",
        "promptFeedback",
        "usageMetadata",
        "modelVersion",
        "responseId",
        "modelStatus",
    ];
    only(whole, &MEMBERS)?;
    for name in ["modelVersion", "responseId"] {
        // Bedrock reports neither.
        if !whole[name].is_null() {
            word(whole, name)?;
        }
    }
    let candidate = list(whole, "candidates")?.first().ok_or("no candidates")?;
    only(
        candidate,
        &[
            "content",
            "finishReason",
            "finishMessage",
            "index",
            "safetyRatings",
            "citationMetadata",
            "groundingMetadata",
            "avgLogprobs",
            "logprobsResult",
            "tokenCount",
        ],
    )?;
    let mut responses = ReceivedResponse::default();
    let content = &candidate["content"];
    if !content.is_null() {
        says(content, "role", "model")?;
        for part in each(content, "parts")? {
            one(part, &mut responses)?;
        }
        if !each(content, "parts")?.is_empty() {
            responses.echo.push(content.clone());
        }
    }
    for chunk in each(&candidate["groundingMetadata"], "groundingChunks")? {
        let (url, title) = (word(&chunk["web"], "uri")?, word(&chunk["web"], "title")?);
        responses.citations.push((url.to_owned(), title.to_owned()));
    }
    for source in each(&candidate["citationMetadata"], "citationSources")? {
        let title = source["title"].as_str().unwrap_or_default().to_owned();
        responses.citations.push((word(source, "uri")?.to_owned(), title));
    }
    responses.stop = match word(candidate, "finishReason")? {
        "STOP" if !responses.calls.is_empty() => Stop::Tools,
        "STOP" => Stop::Done,
        "MAX_TOKENS" => Stop::Length,
        "SAFETY" | "PROHIBITED_CONTENT" | "BLOCKLIST" | "RECITATION" => Stop::Filtered,
        other => return Err(format!("there is no finishReason {other:?}")),
    };
    if !whole["usageMetadata"].is_null() {
        responses.usage = Some(usage(&whole["usageMetadata"])?);
    }
    Ok(responses)
}

fn one(part: &Value, responses: &mut ReceivedResponse) -> Result<(), DecodeFailure> {
    only(part, &["text", "thought", "thoughtSignature", "functionCall", "inlineData"])?;
    if !part["thoughtSignature"].is_null() {
        word(part, "thoughtSignature")?;
    }
    if !part["functionCall"].is_null() {
        let call = &part["functionCall"];
        only(call, &["id", "name", "args"])?;
        if !call["args"].is_object() && !call["args"].is_null() {
            return Err(format!("the args {} are no object", call["args"]));
        }
        let args = if call["args"].is_null() { json!({}) } else { call["args"].clone() };
        let id = call["id"].as_str().unwrap_or_default().to_owned();
        responses.calls.push(ToolCall {
            id,
            name: word(call, "name")?.to_owned(),
            arguments: args,
        });
        return Ok(());
    }
    let text = word(part, "text")?;
    let field =
        if part["thought"] == true { &mut responses.reasoning } else { &mut responses.text };
    field.push_str(text);
    Ok(())
}

fn usage(usage: &Value) -> Result<Usage, DecodeFailure> {
    let (read, output_count) =
        (number(usage, "promptTokenCount")?, count(usage, "candidatesTokenCount")?);
    let reasoning = count(usage, "thoughtsTokenCount")?;
    if number(usage, "totalTokenCount")? != read + output_count + reasoning {
        return Err(format!("{usage} does not add up"));
    }
    let cached = count(usage, "cachedContentTokenCount")?;
    Ok(Usage { read, output_tokens: output_count + reasoning, cached, written: 0, reasoning })
}

/// Makes a whole response of a stream's chunks, all of which have to be valid.
pub(crate) fn assemble(text: &str) -> Result<Value, DecodeFailure> {
    let mut whole = json!({});
    let (mut parts, mut last) = (vec![], json!({}));
    for (name, data) in frames(text)? {
        if name.is_some() {
            return Err(format!("an event has a name: {name:?}"));
        }
        let chunk = decode::json(data)?;
        only(
            &chunk,
            &["candidates", "promptFeedback", "usageMetadata", "modelVersion", "responseId"],
        )?;
        for name in ["modelVersion", "responseId"] {
            if !whole[name].is_null() && whole[name] != chunk[name] {
                return Err(format!("{name} changes from {} to {}", whole[name], chunk[name]));
            }
        }
        for (name, value) in chunk.as_object().into_iter().flatten() {
            whole[name] = value.clone();
        }
        let Some(candidate) = each(&chunk, "candidates")?.first() else { continue };
        if !last["finishReason"].is_null() {
            return Err(format!("a chunk follows the finish: {chunk}"));
        }
        let output_count = each(&candidate["content"], "parts")?;
        let is_empty = |it: &&Value| it["text"] == "" && it["thoughtSignature"].is_null();
        parts.extend(output_count.iter().filter(|it| !is_empty(it)).cloned());
        for (name, value) in candidate.as_object().into_iter().flatten() {
            last[name] = value.clone();
        }
    }
    if last["finishReason"].is_null() {
        return Err(format!("the stream has no finish: {text}"));
    }
    last["content"] = json!({"role": "model", "parts": parts});
    whole["candidates"] = json!([last]);
    Ok(whole)
}

//! A client of Gemini.

use serde_json::{Value, json};
use testkit::strict::{Choice, Shape, Stop};

use super::read::{count, each, frames, list, number, only, says, word};
use super::{Asking, Called, Heard, KEY, Misread, Used, read};
use crate::talk::{self, Bit, Line, Talk, Thinks, Unsayable};

pub(crate) fn ask(talk: &Talk, model: &str, stream: bool) -> Result<Asking, Unsayable> {
    let said_elsewhere = talk.user.is_some() || talk.metadata.is_some() || talk.cache.is_some();
    if said_elsewhere || talk.parallel.is_some() {
        return Err(Unsayable);
    }
    let (mut system, mut contents) = (vec![], vec![]);
    for line in &talk.lines {
        content(line, &mut system, &mut contents)?;
    }
    let mut body = json!({"contents": contents});
    if !system.is_empty() {
        body["systemInstruction"] = json!({"parts": system});
    }
    if !talk.tools.is_empty() {
        let tool = |it: &talk::Tool| {
            json!({"name": it.name, "description": it.description,
                "parametersJsonSchema": it.schema})
        };
        let tools: Vec<Value> = talk.tools.iter().map(tool).collect();
        body["tools"] = json!([{"functionDeclarations": tools}]);
    }
    if let Some(choice) = &talk.choice {
        let config = match choice {
            Choice::Auto => json!({"mode": "AUTO"}),
            Choice::None => json!({"mode": "NONE"}),
            Choice::Required => json!({"mode": "ANY"}),
            Choice::Named(name) => json!({"mode": "ANY", "allowedFunctionNames": [name]}),
        };
        body["toolConfig"] = json!({"functionCallingConfig": config});
    }
    let config = generation(talk)?;
    if config != json!({}) {
        body["generationConfig"] = config;
    }
    let method = if stream { "streamGenerateContent?alt=sse" } else { "generateContent" };
    let headers = vec![("x-goog-api-key", KEY.to_owned())];
    Ok(Asking { target: format!("/v1beta/models/{model}:{method}"), headers, body })
}

fn generation(talk: &Talk) -> Result<Value, Unsayable> {
    let mut config = json!({});
    for (name, value) in &talk.numbers {
        let name = match *name {
            "temperature" => "temperature",
            "top_p" => "topP",
            "top_k" => "topK",
            "seed" => "seed",
            "n" => "candidateCount",
            "max_tokens" => "maxOutputTokens",
            "frequency_penalty" => "frequencyPenalty",
            "presence_penalty" => "presencePenalty",
            _ => return Err(Unsayable),
        };
        config[name] = talk::number(*value);
    }
    if !talk.stop.is_empty() {
        config["stopSequences"] = json!(talk.stop);
    }
    if let Some(shape) = &talk.shape {
        config["responseMimeType"] = "application/json".into();
        if let Shape::Schema(schema) = shape {
            config["responseJsonSchema"] = schema.clone();
        }
    }
    match talk.thinks {
        Some(Thinks::Somehow) => {
            config["thinkingConfig"] = json!({"includeThoughts": true, "thinkingBudget": 2048});
        }
        Some(Thinks::Budget(budget)) => {
            config["thinkingConfig"] = json!({"thinkingBudget": budget});
        }
        Some(Thinks::Word(word)) => config["thinkingConfig"] = json!({"thinkingLevel": word}),
        None => {}
    }
    Ok(config)
}

fn content(
    line: &Line,
    system: &mut Vec<Value>,
    contents: &mut Vec<Value>,
) -> Result<(), Unsayable> {
    match line {
        Line::System(text) => system.push(json!({"text": text})),
        Line::Developer(_) => return Err(Unsayable),
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

fn result(outcome: &talk::Outcome) -> Value {
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

pub(crate) fn read(whole: &Value) -> Result<Heard, Misread> {
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
        // Bedrock tells neither.
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
    let mut heard = Heard::default();
    let content = &candidate["content"];
    if !content.is_null() {
        says(content, "role", "model")?;
        for part in each(content, "parts")? {
            one(part, &mut heard)?;
        }
        if !each(content, "parts")?.is_empty() {
            heard.echo.push(content.clone());
        }
    }
    for chunk in each(&candidate["groundingMetadata"], "groundingChunks")? {
        let (url, title) = (word(&chunk["web"], "uri")?, word(&chunk["web"], "title")?);
        heard.citations.push((url.to_owned(), title.to_owned()));
    }
    for source in each(&candidate["citationMetadata"], "citationSources")? {
        let title = source["title"].as_str().unwrap_or_default().to_owned();
        heard.citations.push((word(source, "uri")?.to_owned(), title));
    }
    heard.stop = match word(candidate, "finishReason")? {
        "STOP" if !heard.calls.is_empty() => Stop::Tools,
        "STOP" => Stop::Done,
        "MAX_TOKENS" => Stop::Length,
        "SAFETY" | "PROHIBITED_CONTENT" | "BLOCKLIST" | "RECITATION" => Stop::Filtered,
        other => return Err(format!("there is no finishReason {other:?}")),
    };
    if !whole["usageMetadata"].is_null() {
        heard.usage = Some(usage(&whole["usageMetadata"])?);
    }
    Ok(heard)
}

fn one(part: &Value, heard: &mut Heard) -> Result<(), Misread> {
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
        heard.calls.push(Called { id, name: word(call, "name")?.to_owned(), arguments: args });
        return Ok(());
    }
    let text = word(part, "text")?;
    let told = if part["thought"] == true { &mut heard.thought } else { &mut heard.text };
    told.push_str(text);
    Ok(())
}

fn usage(usage: &Value) -> Result<Used, Misread> {
    let (read, said) = (number(usage, "promptTokenCount")?, count(usage, "candidatesTokenCount")?);
    let thought = count(usage, "thoughtsTokenCount")?;
    if number(usage, "totalTokenCount")? != read + said + thought {
        return Err(format!("{usage} does not add up"));
    }
    let cached = count(usage, "cachedContentTokenCount")?;
    Ok(Used { read, wrote: said + thought, cached, written: 0, thought })
}

/// Makes a whole answer of a stream's chunks, all of which have to be lawful.
pub(crate) fn assemble(text: &str) -> Result<Value, Misread> {
    let mut whole = json!({});
    let (mut parts, mut last) = (vec![], json!({}));
    for (name, data) in frames(text)? {
        if name.is_some() {
            return Err(format!("an event has a name: {name:?}"));
        }
        let chunk = read::json(data)?;
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
        let said = each(&candidate["content"], "parts")?;
        let is_empty = |it: &&Value| it["text"] == "" && it["thoughtSignature"].is_null();
        parts.extend(said.iter().filter(|it| !is_empty(it)).cloned());
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

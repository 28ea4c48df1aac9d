//! A client of OpenAI Chat Completions.

use serde_json::{Value, json};
use testkit::strict::{Choice, Shape, Stop};

use super::decode::{add, arguments, count, each, frames, list, number, only, says, word};
use super::{ClientRequest, DecodeFailure, KEY, ReceivedResponse, ToolCall, Usage, decode};
use crate::conversation::{self, Bit, Conversation, Line, ReasoningSetting, Unsupported};

pub(crate) fn ask(
    conversation: &Conversation,
    model: &str,
    stream: bool,
) -> Result<ClientRequest, Unsupported> {
    conversation.require_known_numbers(&[
        "temperature",
        "top_p",
        "seed",
        "n",
        "frequency_penalty",
        "presence_penalty",
        "max_tokens",
    ])?;
    let mut messages = vec![];
    for line in &conversation.lines {
        message(line, &mut messages)?;
    }
    let mut body = json!({"model": model, "messages": messages});
    if stream {
        body["stream"] = true.into();
        if conversation.wants_usage {
            body["stream_options"] = json!({"include_usage": true});
        }
    }
    for (name, value) in &conversation.numbers {
        let name = if *name == "max_tokens" { "max_completion_tokens" } else { name };
        body[name] = conversation::number(*value);
    }
    if !conversation.stop.is_empty() {
        body["stop"] = json!(conversation.stop);
    }
    tools(conversation, &mut body);
    match &conversation.shape {
        Some(Shape::Json) => body["response_format"] = json!({"type": "json_object"}),
        Some(Shape::Schema(schema)) => {
            let schema = json!({"name": "answer", "schema": schema, "strict": true});
            body["response_format"] = json!({"type": "json_schema", "json_schema": schema});
        }
        None => {}
    }
    match conversation.reasoning_setting {
        Some(ReasoningSetting::Somehow) => body["reasoning_effort"] = "medium".into(),
        Some(ReasoningSetting::Word(word)) => body["reasoning_effort"] = word.into(),
        Some(ReasoningSetting::Budget(_)) => return Err(Unsupported),
        None => {}
    }
    if let Some(user) = conversation.user {
        body["user"] = user.into();
    }
    if let Some((name, value)) = conversation.metadata {
        body["metadata"] = json!({name: value});
    }
    if conversation.cache.is_some() {
        return Err(Unsupported);
    }
    let headers = vec![("authorization", format!("Bearer {KEY}"))];
    Ok(ClientRequest { target: "/v1/chat/completions".to_owned(), headers, body })
}

fn message(line: &Line, messages: &mut Vec<Value>) -> Result<(), Unsupported> {
    match line {
        Line::System(text) => messages.push(json!({"role": "system", "content": text})),
        Line::Developer(text) => messages.push(json!({"role": "developer", "content": text})),
        Line::User(bits) => {
            let content: Vec<Value> = bits.iter().map(part).collect();
            messages.push(json!({"role": "user", "content": content}));
        }
        Line::Answer(echo) => messages.extend(echo.iter().cloned()),
        Line::Results(outcomes) => {
            for outcome in outcomes {
                if outcome.failed || outcome.image.is_some() {
                    return Err(Unsupported);
                }
                messages.push(json!({
                    "role": "tool", "tool_call_id": outcome.id, "content": outcome.text,
                }));
            }
        }
    }
    Ok(())
}

fn part(bit: &Bit) -> Value {
    match bit {
        Bit::Text(text) => json!({"type": "text", "text": text}),
        Bit::Image(kind, data) => {
            let url = format!("data:{kind};base64,{data}");
            json!({"type": "image_url", "image_url": {"url": url}})
        }
        Bit::ImageUrl(url) => json!({"type": "image_url", "image_url": {"url": url}}),
        Bit::Pdf(data) => {
            let data = format!("data:application/pdf;base64,{data}");
            json!({"type": "file", "file": {"filename": "a.pdf", "file_data": data}})
        }
        Bit::Wav(data) => {
            json!({"type": "input_audio", "input_audio": {"data": data, "format": "wav"}})
        }
    }
}

fn tools(conversation: &Conversation, body: &mut Value) {
    let tool = |it: &conversation::Tool| {
        let function =
            json!({"name": it.name, "description": it.description, "parameters": it.schema});
        json!({"type": "function", "function": function})
    };
    if !conversation.tools.is_empty() {
        body["tools"] = conversation.tools.iter().map(tool).collect();
    }
    if let Some(choice) = &conversation.choice {
        body["tool_choice"] = match choice {
            Choice::Auto => "auto".into(),
            Choice::None => "none".into(),
            Choice::Required => "required".into(),
            Choice::Named(name) => json!({"type": "function", "function": {"name": name}}),
        };
    }
    if let Some(parallel) = conversation.parallel {
        body["parallel_tool_calls"] = parallel.into();
    }
}

pub(crate) fn read(whole: &Value) -> Result<ReceivedResponse, DecodeFailure> {
    only(
        whole,
        &[
            "id",
            "object",
            "created",
            "model",
            "choices",
            "usage",
            "service_tier",
            "system_fingerprint",
            "x_gateway",
        ],
    )?;
    says(whole, "object", "chat.completion")?;
    word(whole, "id")?;
    word(whole, "model")?;
    number(whole, "created")?;
    let choice = list(whole, "choices")?.first().ok_or("no choices")?;
    only(choice, &["index", "message", "finish_reason", "logprobs"])?;
    let mut responses = message_of(&choice["message"])?;
    responses.stop = match word(choice, "finish_reason")? {
        "stop" => Stop::Done,
        "length" => Stop::Length,
        "tool_calls" => Stop::Tools,
        "content_filter" => Stop::Filtered,
        other => return Err(format!("there is no finish_reason {other:?}")),
    };
    if !whole["usage"].is_null() {
        responses.usage = Some(usage(&whole["usage"])?);
    }
    Ok(responses)
}

fn message_of(message: &Value) -> Result<ReceivedResponse, DecodeFailure> {
    says(message, "role", "assistant")?;
    let text = |name: &str| message[name].as_str().unwrap_or_default().to_owned();
    let mut responses = ReceivedResponse {
        text: text("content"),
        refusal: text("refusal"),
        reasoning: text("reasoning_content"),
        echo: vec![message.clone()],
        ..ReceivedResponse::default()
    };
    for call in each(message, "tool_calls")? {
        says(call, "type", "function")?;
        let function = &call["function"];
        only(function, &["name", "arguments"])?;
        responses.calls.push(ToolCall {
            id: word(call, "id")?.to_owned(),
            name: word(function, "name")?.to_owned(),
            arguments: arguments(word(function, "arguments")?)?,
        });
    }
    for annotation in each(message, "annotations")? {
        says(annotation, "type", "url_citation")?;
        let citation = &annotation["url_citation"];
        let (url, title) = (word(citation, "url")?, word(citation, "title")?);
        number(citation, "start_index")?;
        number(citation, "end_index")?;
        responses.citations.push((url.to_owned(), title.to_owned()));
    }
    Ok(responses)
}

fn usage(usage: &Value) -> Result<Usage, DecodeFailure> {
    let (read, output_tokens) =
        (number(usage, "prompt_tokens")?, number(usage, "completion_tokens")?);
    if number(usage, "total_tokens")? != read + output_tokens {
        return Err(format!("{usage} does not add up"));
    }
    Ok(Usage {
        read,
        output_tokens,
        cached: count(&usage["prompt_tokens_details"], "cached_tokens")?,
        written: count(&usage["prompt_tokens_details"], "cache_write_tokens")?,
        reasoning: count(&usage["completion_tokens_details"], "reasoning_tokens")?,
    })
}

/// Makes a whole response of a stream's chunks, all of which have to be valid.
pub(crate) fn assemble(text: &str) -> Result<Value, DecodeFailure> {
    let mut frames = frames(text)?;
    if frames.pop() != Some((None, "[DONE]")) {
        return Err(format!("the stream has no terminator: {text:?}"));
    }
    let mut whole = Value::Null;
    let (mut message, mut reason) = (json!({}), Value::Null);
    let mut calls = 0;
    for (_, data) in frames {
        let chunk = decode::json(data)?;
        says(&chunk, "object", "chat.completion.chunk")?;
        if whole.is_null() {
            whole = json!({"id": chunk["id"], "object": "chat.completion",
                "created": chunk["created"], "model": chunk["model"]});
        }
        for name in ["id", "created", "model"] {
            if whole[name] != chunk[name] {
                return Err(format!("{name} changes from {} to {}", whole[name], chunk[name]));
            }
        }
        if !chunk["usage"].is_null() {
            whole["usage"] = chunk["usage"].clone();
        }
        let Some(choice) = list(&chunk, "choices")?.first() else { continue };
        only(choice, &["index", "delta", "finish_reason", "logprobs"])?;
        if !reason.is_null() {
            return Err(format!("a chunk follows the finish: {chunk}"));
        }
        let delta = &choice["delta"];
        if message == json!({}) && delta["role"] != "assistant" {
            return Err(format!("the first chunk has no role: {chunk}"));
        }
        for call in each(delta, "tool_calls")? {
            let index = number(call, "index")?;
            if index == calls {
                word(call, "id")?;
                word(&call["function"], "name")?;
                says(call, "type", "function")?;
                calls += 1;
            } else if calls < index {
                return Err(format!("call {index} is not the next after {calls}"));
            }
        }
        add(&mut message, delta)?;
        reason = choice["finish_reason"].clone();
    }
    if message["content"] == "" && message["tool_calls"].is_array() {
        message["content"] = Value::Null;
    }
    for call in message["tool_calls"].as_array_mut().into_iter().flatten() {
        call.as_object_mut().map(|it| it.remove("index"));
    }
    whole["choices"] = json!([{"index": 0, "message": message, "finish_reason": reason}]);
    Ok(whole)
}

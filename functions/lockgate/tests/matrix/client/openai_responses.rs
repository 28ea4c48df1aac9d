//! A client of OpenAI Responses, which keeps nothing at the provider.

use serde_json::{Value, json};
use testkit::strict::{Choice, Shape, Stop};

use super::decode::{arguments, count, each, frames, list, number, only, says, word};
use super::{ClientRequest, DecodeFailure, KEY, ReceivedResponse, ToolCall, Usage, decode};
use crate::conversation::{self, Bit, Conversation, Line, ReasoningSetting, Unsupported};

pub(crate) fn ask(
    conversation: &Conversation,
    model: &str,
    stream: bool,
) -> Result<ClientRequest, Unsupported> {
    conversation.require_no_audio()?;
    conversation.require_known_numbers(&["temperature", "top_p", "max_tokens"])?;
    if conversation.cache.is_some() || !conversation.stop.is_empty() {
        return Err(Unsupported);
    }
    let mut input = vec![];
    for line in &conversation.lines {
        item(line, &mut input)?;
    }
    let mut body = json!({"model": model, "input": input, "store": false});
    if stream {
        body["stream"] = true.into();
    }
    for (name, value) in &conversation.numbers {
        let name = if *name == "max_tokens" { "max_output_tokens" } else { name };
        body[name] = conversation::number(*value);
    }
    tools(conversation, &mut body);
    match &conversation.shape {
        Some(Shape::Json) => body["text"] = json!({"format": {"type": "json_object"}}),
        Some(Shape::Schema(schema)) => {
            let format =
                json!({"type": "json_schema", "name": "answer", "schema": schema, "strict": true});
            body["text"] = json!({"format": format});
        }
        None => {}
    }
    if let Some(reasoning_setting) = conversation.reasoning_setting {
        let effort = match reasoning_setting {
            ReasoningSetting::Somehow => "medium",
            ReasoningSetting::Word(word) => word,
            ReasoningSetting::Budget(_) => return Err(Unsupported),
        };
        body["reasoning"] = json!({"effort": effort, "summary": "auto"});
        body["include"] = json!(["reasoning.encrypted_content"]);
    }
    if let Some(user) = conversation.user {
        body["user"] = user.into();
    }
    if let Some((name, value)) = conversation.metadata {
        body["metadata"] = json!({name: value});
    }
    let headers = vec![("authorization", format!("Bearer {KEY}"))];
    Ok(ClientRequest { target: "/v1/responses".to_owned(), headers, body })
}

fn item(line: &Line, input: &mut Vec<Value>) -> Result<(), Unsupported> {
    match line {
        Line::System(text) => input.push(json!({"role": "system", "content": text})),
        Line::Developer(text) => input.push(json!({"role": "developer", "content": text})),
        Line::User(bits) => {
            let content: Vec<Value> = bits.iter().map(part).collect();
            input.push(json!({"type": "message", "role": "user", "content": content}));
        }
        Line::Answer(echo) => input.extend(echo.iter().cloned()),
        Line::Results(outcomes) => {
            for outcome in outcomes {
                if outcome.failed {
                    return Err(Unsupported);
                }
                let output = match outcome.image {
                    None => json!(outcome.text),
                    Some((kind, data)) => {
                        let text = json!({"type": "input_text", "text": outcome.text});
                        json!([text, part(&Bit::Image(kind, data))])
                    }
                };
                input.push(json!({
                    "type": "function_call_output", "call_id": outcome.id, "output": output,
                }));
            }
        }
    }
    Ok(())
}

fn part(bit: &Bit) -> Value {
    match bit {
        Bit::Text(text) => json!({"type": "input_text", "text": text}),
        Bit::Image(kind, data) => {
            let url = format!("data:{kind};base64,{data}");
            json!({"type": "input_image", "image_url": url, "detail": "auto"})
        }
        Bit::ImageUrl(url) => json!({"type": "input_image", "image_url": url, "detail": "auto"}),
        Bit::Pdf(data) => {
            let data = format!("data:application/pdf;base64,{data}");
            json!({"type": "input_file", "filename": "a.pdf", "file_data": data})
        }
        Bit::Wav(_) => unreachable!("`ask` refuses sound"),
    }
}

fn tools(conversation: &Conversation, body: &mut Value) {
    let tool = |it: &conversation::Tool| {
        json!({"type": "function", "name": it.name, "description": it.description,
            "parameters": it.schema, "strict": false})
    };
    if !conversation.tools.is_empty() {
        body["tools"] = conversation.tools.iter().map(tool).collect();
    }
    if let Some(choice) = &conversation.choice {
        body["tool_choice"] = match choice {
            Choice::Auto => "auto".into(),
            Choice::None => "none".into(),
            Choice::Required => "required".into(),
            Choice::Named(name) => json!({"type": "function", "name": name}),
        };
    }
    if let Some(parallel) = conversation.parallel {
        body["parallel_tool_calls"] = parallel.into();
    }
}

pub(crate) fn read(whole: &Value) -> Result<ReceivedResponse, DecodeFailure> {
    says(whole, "object", "response")?;
    word(whole, "id")?;
    word(whole, "model")?;
    number(whole, "created_at")?;
    if !whole["error"].is_null() {
        return Err("an error in a success".to_owned());
    }
    let mut responses = ReceivedResponse::default();
    for item in list(whole, "output")? {
        output(item, &mut responses)?;
        responses.echo.push(item.clone());
    }
    responses.stop = match (word(whole, "status")?, whole["incomplete_details"]["reason"].as_str())
    {
        ("completed", None) if !responses.calls.is_empty() => Stop::Tools,
        ("completed", None) => Stop::Done,
        ("incomplete", Some("max_output_tokens")) => Stop::Length,
        ("incomplete", Some("content_filter")) => Stop::Filtered,
        other => return Err(format!("there is no end like {other:?}")),
    };
    if !whole["usage"].is_null() {
        responses.usage = Some(usage(&whole["usage"])?);
    }
    Ok(responses)
}

fn output(item: &Value, responses: &mut ReceivedResponse) -> Result<(), DecodeFailure> {
    let id = word(item, "id")?;
    match word(item, "type")? {
        "message" => {
            only(item, &["type", "id", "status", "role", "content", "phase"])?;
            says(item, "role", "assistant")?;
            if !id.starts_with("msg") {
                return Err(format!("{id} is no id of a message"));
            }
            for part in list(item, "content")? {
                content(part, responses)?;
            }
        }
        "function_call" => {
            only(item, &["type", "id", "call_id", "name", "arguments", "status"])?;
            if !id.starts_with("fc") {
                return Err(format!("{id} is no id of a function call"));
            }
            responses.calls.push(ToolCall {
                id: word(item, "call_id")?.to_owned(),
                name: word(item, "name")?.to_owned(),
                arguments: arguments(word(item, "arguments")?)?,
            });
        }
        "reasoning" => {
            only(item, &["type", "id", "summary", "content", "encrypted_content", "status"])?;
            if !id.starts_with("rs") {
                return Err(format!("{id} is no id of a thought"));
            }
            for part in list(item, "summary")? {
                says(part, "type", "summary_text")?;
                responses.reasoning.push_str(word(part, "text")?);
            }
        }
        other => return Err(format!("there is no item of type {other:?}")),
    }
    Ok(())
}

fn content(part: &Value, responses: &mut ReceivedResponse) -> Result<(), DecodeFailure> {
    if part["type"] == "refusal" {
        responses.refusal.push_str(word(part, "refusal")?);
        return Ok(());
    }
    says(part, "type", "output_text")?;
    only(part, &["type", "text", "annotations", "logprobs"])?;
    responses.text.push_str(word(part, "text")?);
    for annotation in list(part, "annotations")? {
        says(annotation, "type", "url_citation")?;
        number(annotation, "start_index")?;
        number(annotation, "end_index")?;
        let (url, title) = (word(annotation, "url")?, word(annotation, "title")?);
        responses.citations.push((url.to_owned(), title.to_owned()));
    }
    Ok(())
}

fn usage(usage: &Value) -> Result<Usage, DecodeFailure> {
    let (read, output_tokens) = (number(usage, "input_tokens")?, number(usage, "output_tokens")?);
    if number(usage, "total_tokens")? != read + output_tokens {
        return Err(format!("{usage} does not add up"));
    }
    Ok(Usage {
        read,
        output_tokens,
        cached: number(&usage["input_tokens_details"], "cached_tokens")?,
        written: count(&usage["input_tokens_details"], "cache_write_tokens")?,
        reasoning: number(&usage["output_tokens_details"], "reasoning_tokens")?,
    })
}

/// What is open in a stream.
#[derive(Default)]
struct StreamState {
    /// The items that are done.
    done: Vec<Value>,
    /// The one that is not, and what was streamed of it.
    open: Option<(Value, String)>,
    part: bool,
}

/// Makes a whole response of a stream's events, all of which have to be valid.
pub(crate) fn assemble(text: &str) -> Result<Value, DecodeFailure> {
    let mut state = StreamState::default();
    let mut end = None;
    for (number, (name, data)) in frames(text)?.into_iter().enumerate() {
        let event = decode::json(data)?;
        if name != event["type"].as_str() {
            return Err(format!("the event {name:?} has the type {}", event["type"]));
        }
        if event["sequence_number"] != number {
            return Err(format!("event {number} has the number {}", event["sequence_number"]));
        }
        if end.is_some() {
            return Err(format!("{event} follows the end"));
        }
        match (number, name.unwrap_or_default()) {
            (0, "response.created") => says(&event["response"], "status", "in_progress")?,
            (0, other) => return Err(format!("the stream begins with {other}")),
            (1, "response.in_progress") => {}
            (_, "response.completed" | "response.incomplete") => {
                end = Some(event["response"].clone());
            }
            (_, name) => state.go(name, &event).map_err(|it| format!("{it} at {event}"))?,
        }
    }
    let end = end.ok_or_else(|| format!("the stream has no end: {text}"))?;
    if state.open.is_some() || list(&end, "output")? != state.done {
        return Err(format!("the end is not what was streamed: {end} {:?}", state.done));
    }
    Ok(end)
}

impl StreamState {
    fn go(&mut self, name: &str, event: &Value) -> Result<(), DecodeFailure> {
        if event["output_index"] != self.done.len() {
            return Err(format!("item {} is not the next", event["output_index"]));
        }
        if name == "response.output_item.added" {
            if self.open.is_some() {
                return Err("an item is still open".to_owned());
            }
            self.open = Some((event["item"].clone(), String::new()));
            self.part = false;
            return Ok(());
        }
        let (item, streamed) = self.open.as_mut().ok_or("no item is open")?;
        let id = if name == "response.output_item.done" {
            &event["item"]["id"]
        } else {
            &event["item_id"]
        };
        if *id != item["id"] {
            return Err(format!("{id} is not the open item"));
        }
        match name {
            "response.content_part.added" | "response.reasoning_summary_part.added" => {
                self.part = true;
                streamed.clear();
            }
            "response.output_text.delta"
            | "response.refusal.delta"
            | "response.reasoning_summary_text.delta"
            | "response.reasoning_text.delta"
                if self.part =>
            {
                streamed.push_str(word(event, "delta")?);
            }
            "response.function_call_arguments.delta" if item["type"] == "function_call" => {
                streamed.push_str(word(event, "delta")?);
            }
            "response.output_text.done" | "response.reasoning_summary_text.done" => {
                says(event, "text", streamed)?;
            }
            "response.refusal.done" => says(event, "refusal", streamed)?,
            "response.function_call_arguments.done" => {
                if !streamed.is_empty() {
                    says(event, "arguments", streamed)?;
                }
            }
            "response.output_text.annotation.added" if self.part => {}
            "response.content_part.done" | "response.reasoning_summary_part.done" if self.part => {
                self.part = false;
            }
            "response.output_item.done" if !self.part => {
                let item = event["item"].clone();
                finished(&item)?;
                self.done.push(item);
                self.open = None;
            }
            other => return Err(format!("{other} is not lawful here")),
        }
        Ok(())
    }
}

fn finished(item: &Value) -> Result<(), DecodeFailure> {
    each(item, "content")?;
    match item["status"].as_str() {
        None | Some("completed" | "incomplete") => Ok(()),
        Some(other) => Err(format!("a done item is {other}")),
    }
}

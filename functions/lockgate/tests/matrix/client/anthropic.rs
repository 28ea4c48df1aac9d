//! A client of Anthropic Messages.

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
    conversation.require_no_audio()?;
    conversation.require_known_numbers(&["temperature", "top_p", "top_k", "max_tokens"])?;
    if conversation.metadata.is_some() || conversation.shape == Some(Shape::Json) {
        return Err(Unsupported);
    }
    let (mut system, mut messages) = (vec![], vec![]);
    for line in &conversation.lines {
        message(line, &mut system, &mut messages)?;
    }
    if let Some(ttl) = conversation.cache {
        let mut mark = json!({"type": "ephemeral"});
        if !ttl.is_empty() {
            mark["ttl"] = ttl.into();
        }
        system.last_mut().ok_or(Unsupported)?["cache_control"] = mark;
    }
    let mut body = json!({"model": model, "max_tokens": 4096, "messages": messages});
    if !system.is_empty() {
        body["system"] = system.into();
    }
    if stream {
        body["stream"] = true.into();
    }
    for (name, value) in &conversation.numbers {
        body[*name] = conversation::number(*value);
    }
    if !conversation.stop.is_empty() {
        body["stop_sequences"] = json!(conversation.stop);
    }
    tools(conversation, &mut body)?;
    if let Some(Shape::Schema(schema)) = &conversation.shape {
        body["output_config"] = json!({"format": {"type": "json_schema", "schema": schema}});
    }
    match conversation.reasoning_setting {
        Some(ReasoningSetting::Somehow) => body["thinking"] = thinking(2048),
        Some(ReasoningSetting::Budget(budget)) => body["thinking"] = thinking(budget),
        Some(ReasoningSetting::Word(word)) => {
            body["thinking"] = json!({"type": "adaptive"});
            body["output_config"] = json!({"effort": word});
        }
        None => {}
    }
    if let Some(user) = conversation.user {
        body["metadata"] = json!({"user_id": user});
    }
    let headers =
        vec![("x-api-key", KEY.to_owned()), ("anthropic-version", "2023-06-01".to_owned())];
    Ok(ClientRequest { target: "/v1/messages".to_owned(), headers, body })
}

fn thinking(budget: u64) -> Value {
    json!({"type": "enabled", "budget_tokens": budget})
}

fn message(
    line: &Line,
    system: &mut Vec<Value>,
    messages: &mut Vec<Value>,
) -> Result<(), Unsupported> {
    match line {
        Line::System(text) => system.push(json!({"type": "text", "text": text})),
        Line::Developer(_) => return Err(Unsupported),
        Line::User(bits) => {
            let content: Vec<Value> = bits.iter().map(block).collect();
            messages.push(json!({"role": "user", "content": content}));
        }
        Line::Answer(echo) => messages.extend(echo.iter().cloned()),
        Line::Results(outcomes) => {
            let content: Vec<Value> = outcomes.iter().map(result).collect();
            messages.push(json!({"role": "user", "content": content}));
        }
    }
    Ok(())
}

fn result(outcome: &conversation::Outcome) -> Value {
    let mut content = vec![json!({"type": "text", "text": outcome.text})];
    if let Some((kind, data)) = outcome.image {
        content.push(block(&Bit::Image(kind, data)));
    }
    let mut result = json!({"type": "tool_result", "tool_use_id": outcome.id, "content": content});
    if outcome.failed {
        result["is_error"] = true.into();
    }
    result
}

fn block(bit: &Bit) -> Value {
    match bit {
        Bit::Text(text) => json!({"type": "text", "text": text}),
        Bit::Image(kind, data) => {
            let source = json!({"type": "base64", "media_type": kind, "data": data});
            json!({"type": "image", "source": source})
        }
        Bit::ImageUrl(url) => json!({"type": "image", "source": {"type": "url", "url": url}}),
        Bit::Pdf(data) => {
            let source = json!({"type": "base64", "media_type": "application/pdf", "data": data});
            json!({"type": "document", "title": "a.pdf", "source": source})
        }
        Bit::Wav(_) => unreachable!("`ask` refuses sound"),
    }
}

fn tools(conversation: &Conversation, body: &mut Value) -> Result<(), Unsupported> {
    let tool = |it: &conversation::Tool| json!({"name": it.name, "description": it.description, "input_schema": it.schema});
    if !conversation.tools.is_empty() {
        body["tools"] = conversation.tools.iter().map(tool).collect();
    }
    if conversation.choice.is_none() && conversation.parallel.is_none() {
        return Ok(());
    }
    body["tool_choice"] = match conversation.choice.as_ref().unwrap_or(&Choice::Auto) {
        Choice::Auto => json!({"type": "auto"}),
        Choice::None => json!({"type": "none"}),
        Choice::Required => json!({"type": "any"}),
        Choice::Named(name) => json!({"type": "tool", "name": name}),
    };
    match (conversation.parallel, &conversation.choice) {
        (Some(_), Some(Choice::None)) => Err(Unsupported),
        (Some(parallel), _) => {
            body["tool_choice"]["disable_parallel_tool_use"] = (!parallel).into();
            Ok(())
        }
        (None, _) => Ok(()),
    }
}

pub(crate) fn read(whole: &Value) -> Result<ReceivedResponse, DecodeFailure> {
    only(
        whole,
        &[
            "id",
            "type",
            "role",
            "model",
            "content",
            "stop_reason",
            "stop_sequence",
            "usage",
            "container",
            "context_management",
            "stop_details",
        ],
    )?;
    says(whole, "type", "message")?;
    says(whole, "role", "assistant")?;
    word(whole, "id")?;
    word(whole, "model")?;
    let content = list(whole, "content")?;
    let mut responses = ReceivedResponse {
        echo: vec![json!({"role": "assistant", "content": content})],
        ..ReceivedResponse::default()
    };
    if content.is_empty() {
        responses.echo.clear();
    }
    for block in content {
        one(block, &mut responses)?;
    }
    responses.stop = match (word(whole, "stop_reason")?, whole["stop_sequence"].as_str()) {
        ("end_turn", None) => Stop::Done,
        ("max_tokens" | "model_context_window_exceeded", None) => Stop::Length,
        ("tool_use", None) => Stop::Tools,
        ("refusal", None) => Stop::Refusal,
        ("stop_sequence", Some(text)) => Stop::Sequence(text.to_owned()),
        other => return Err(format!("there is no stop_reason like {other:?}")),
    };
    responses.usage = Some(usage(&whole["usage"])?);
    Ok(responses)
}

fn one(block: &Value, responses: &mut ReceivedResponse) -> Result<(), DecodeFailure> {
    match word(block, "type")? {
        "text" => {
            only(block, &["type", "text", "citations"])?;
            responses.text.push_str(word(block, "text")?);
            for citation in each(block, "citations")? {
                word(citation, "type")?;
                word(citation, "cited_text")?;
                let text = |name: &str| citation[name].as_str().unwrap_or_default().to_owned();
                responses.citations.push((text("url"), text("title")));
            }
        }
        "thinking" => {
            only(block, &["type", "thinking", "signature"])?;
            responses.reasoning.push_str(word(block, "thinking")?);
            word(block, "signature")?;
        }
        "redacted_thinking" => {
            only(block, &["type", "data"])?;
            word(block, "data")?;
        }
        "tool_use" => {
            only(block, &["type", "id", "name", "input", "caller"])?;
            if !block["input"].is_object() {
                return Err(format!("the input {} is no object", block["input"]));
            }
            responses.calls.push(ToolCall {
                id: word(block, "id")?.to_owned(),
                name: word(block, "name")?.to_owned(),
                arguments: block["input"].clone(),
            });
        }
        other => return Err(format!("there is no block of type {other:?}")),
    }
    Ok(())
}

fn usage(usage: &Value) -> Result<Usage, DecodeFailure> {
    let (cached, written) =
        (count(usage, "cache_read_input_tokens")?, count(usage, "cache_creation_input_tokens")?);
    Ok(Usage {
        read: number(usage, "input_tokens")? + cached + written,
        output_tokens: number(usage, "output_tokens")?,
        cached,
        written,
        reasoning: count(&usage["output_tokens_details"], "thinking_tokens")?,
    })
}

/// What is open in a stream.
#[derive(Default)]
struct StreamState {
    message: Value,
    blocks: Vec<Value>,
    /// The block that is open, and the JSON of its input so far.
    open: Option<(Value, String)>,
    stopped: bool,
    ended: bool,
}

/// Makes a whole message of a stream's events, all of which have to be valid.
pub(crate) fn assemble(text: &str) -> Result<Value, DecodeFailure> {
    let mut state = StreamState::default();
    for (name, data) in frames(text)? {
        let event = decode::json(data)?;
        if name != event["type"].as_str() {
            return Err(format!("the event {name:?} has the type {}", event["type"]));
        }
        state.go(name.unwrap_or_default(), &event).map_err(|it| format!("{it} at {event}"))?;
    }
    if !state.ended {
        return Err(format!("the stream has no end: {text}"));
    }
    state.message["content"] = state.blocks.into();
    Ok(state.message)
}

impl StreamState {
    fn go(&mut self, name: &str, event: &Value) -> Result<(), DecodeFailure> {
        if self.ended || (self.message.is_null() != (name == "message_start")) {
            return Err("this is not lawful here".to_owned());
        }
        match name {
            "message_start" => {
                self.message = event["message"].clone();
                if self.message["content"] != json!([]) || !self.message["stop_reason"].is_null() {
                    return Err("the message begins with something in it".to_owned());
                }
                usage(&self.message["usage"]).map(drop)
            }
            "ping" => Ok(()),
            "content_block_start" | "content_block_delta" | "content_block_stop" => {
                if event["index"] != self.blocks.len() || self.stopped {
                    return Err(format!("block {} is not the next", event["index"]));
                }
                self.block(name, event)
            }
            "message_delta" => {
                if self.open.is_some() || self.stopped {
                    return Err("a block is open, or it was said before".to_owned());
                }
                self.stopped = true;
                for (name, value) in event["delta"].as_object().into_iter().flatten() {
                    self.message[name] = value.clone();
                }
                number(&event["usage"], "output_tokens")?;
                for (name, value) in event["usage"].as_object().into_iter().flatten() {
                    self.message["usage"][name] = value.clone();
                }
                Ok(())
            }
            "message_stop" if self.stopped => {
                self.ended = true;
                Ok(())
            }
            other => Err(format!("{other} is not lawful here")),
        }
    }

    fn block(&mut self, name: &str, event: &Value) -> Result<(), DecodeFailure> {
        match (name, self.open.take()) {
            ("content_block_start", None) => {
                let block = event["content_block"].clone();
                let empty =
                    ["text", "thinking"].iter().all(|it| block[*it].is_null() || block[*it] == "");
                if !empty || !matches!(&block["input"], Value::Null) && block["input"] != json!({})
                {
                    return Err("a block begins with something in it".to_owned());
                }
                self.open = Some((block, String::new()));
                Ok(())
            }
            ("content_block_delta", Some((mut block, mut input))) => {
                delta(&mut block, &mut input, &event["delta"])?;
                self.open = Some((block, input));
                Ok(())
            }
            ("content_block_stop", Some((mut block, input))) => {
                if !input.is_empty() {
                    block["input"] = decode::arguments(&input)?;
                }
                self.blocks.push(block);
                Ok(())
            }
            _ => Err("blocks overlap, or none is open".to_owned()),
        }
    }
}

fn delta(block: &mut Value, input: &mut String, delta: &Value) -> Result<(), DecodeFailure> {
    let kind = word(block, "type")?.to_owned();
    let mut append = |name: &str| -> Result<(), DecodeFailure> {
        let text = format!("{}{}", block[name].as_str().unwrap_or_default(), word(delta, name)?);
        block[name] = text.into();
        Ok(())
    };
    match (kind.as_str(), word(delta, "type")?) {
        ("text", "text_delta") => append("text"),
        ("thinking", "thinking_delta") => append("thinking"),
        ("thinking", "signature_delta") => append("signature"),
        ("tool_use", "input_json_delta") => {
            input.push_str(word(delta, "partial_json")?);
            Ok(())
        }
        ("text", "citations_delta") => {
            let mut all = block["citations"].as_array().cloned().unwrap_or_default();
            all.push(delta["citation"].clone());
            block["citations"] = all.into();
            Ok(())
        }
        (kind, other) => Err(format!("a {other} in a block of type {kind}")),
    }
}

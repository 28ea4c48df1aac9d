//! OpenAI chat as OpenAI encodes it, field by field and in its order.

use serde_json::{Value, json};

use crate::provider::{ScriptedResponse, Step};

/// What is common to all chunks of a stream.
const HEAD: &str = r#""id":"chatcmpl-B9MHDbslfkBeAs8l4bebGdFOJ6PeG","object":"chat.completion.chunk","created":1741569952,"model":"gpt-4o-2024-08-06","service_tier":"default","system_fingerprint":"fp_f9f4fb6dbf""#;

/// A whole response of one text, with usage of 9 tokens in and 12 out.
pub fn completion(text: &str) -> ScriptedResponse {
    let message = json!({"role": "assistant", "content": text, "refusal": null, "annotations": []});
    whole(&message, "stop")
}

/// A whole response of one tool call. The arguments are JSON as text.
pub fn completion_with_tool(id: &str, name: &str, arguments: &str) -> ScriptedResponse {
    let call = json!({
        "id": id, "type": "function", "function": {"name": name, "arguments": arguments},
    });
    let message = json!({"role": "assistant", "content": null, "tool_calls": [call]});
    whole(&message, "tool_calls")
}

/// A failure. Its code is null, as it mostly is.
pub fn error(status: u16, kind: &str, message: &str) -> ScriptedResponse {
    ScriptedResponse::json(
        status,
        &json!({"error": {"message": message, "type": kind, "param": null, "code": null}}),
    )
}

/// A whole stream: the role, these texts one chunk each, the end.
pub fn stream<'a>(texts: impl IntoIterator<Item = &'a str>) -> ScriptedResponse {
    let mut steps = vec![role()];
    steps.extend(texts.into_iter().map(chunk));
    steps.extend([finish("stop"), done()]);
    ScriptedResponse::stream(steps)
}

/// The first chunk, which has no text yet.
pub fn role() -> Step {
    delta(r#"{"role":"assistant","content":"","refusal":null}"#)
}

/// A chunk of text.
pub fn chunk(text: &str) -> Step {
    delta(&format!(r#"{{"content":{}}}"#, quoted(text)))
}

/// The chunk in which a tool call begins.
pub fn tool_call(index: u32, id: &str, name: &str) -> Step {
    let (id, name) = (quoted(id), quoted(name));
    delta(&format!(
        r#"{{"tool_calls":[{{"index":{index},"id":{id},"type":"function","function":{{"name":{name},"arguments":""}}}}]}}"#
    ))
}

/// A chunk of a tool call's arguments.
pub fn tool_arguments(index: u32, part: &str) -> Step {
    let part = quoted(part);
    delta(&format!(r#"{{"tool_calls":[{{"index":{index},"function":{{"arguments":{part}}}}}]}}"#))
}

/// The chunk with the finish reason: `stop`, `length`, `tool_calls`.
pub fn finish(reason: &str) -> Step {
    choice("{}", &quoted(reason))
}

/// The chunk with the usage, for clients that requested it.
pub fn usage(input: u64, output: u64) -> Step {
    let usage = usage_of(input, output);
    Step::text(format!("data: {{{HEAD},\"choices\":[],\"usage\":{usage}}}\n\n"))
}

/// A failure inside a stream.
pub fn error_event(kind: &str, message: &str) -> Step {
    let error = json!({"error": {"message": message, "type": kind, "param": null, "code": null}});
    Step::text(format!("data: {error}\n\n"))
}

/// The terminator.
pub fn done() -> Step {
    Step::text("data: [DONE]\n\n")
}

fn whole(message: &Value, reason: &str) -> ScriptedResponse {
    let usage = usage_of(9, 12);
    let text = format!(
        r#"{{"id":"chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT","object":"chat.completion","created":1741569952,"model":"gpt-4o-2024-08-06","choices":[{{"index":0,"message":{message},"logprobs":null,"finish_reason":"{reason}"}}],"usage":{usage},"service_tier":"default","system_fingerprint":"fp_f9f4fb6dbf"}}"#
    );
    ScriptedResponse::raw(200, "application/json", text).header("x-request-id", "req_fake")
}

fn delta(delta: &str) -> Step {
    choice(delta, "null")
}

fn choice(delta: &str, reason: &str) -> Step {
    Step::text(format!(
        "data: {{{HEAD},\"choices\":[{{\"index\":0,\"delta\":{delta},\"logprobs\":null,\"finish_reason\":{reason}}}]}}\n\n"
    ))
}

fn usage_of(input: u64, output: u64) -> String {
    let total = input + output;
    format!(
        r#"{{"prompt_tokens":{input},"completion_tokens":{output},"total_tokens":{total},"prompt_tokens_details":{{"cached_tokens":0,"audio_tokens":0}},"completion_tokens_details":{{"reasoning_tokens":0,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}}}"#
    )
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}
